"""What the agent of a drill is given: its configuration, and how it is started in the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from drills.cluster.settings import DATABASE, LOOPBACK, SCOPE
from drills.replay.guards import CULPRIT

if TYPE_CHECKING:
    from drills.cluster.cluster import Cluster
    from drills.replay.stage import Stage

ROOT = Path(__file__).parents[2]
STATE = "agent"
TICKS_PER_SECOND = 6.0


def state_of(folder: Path) -> Path:
    """Where the agent of a run keeps what it knows."""
    return folder / STATE


def configuration(cluster: Cluster, own: str, scale: float, secrets: Path) -> str:
    """The agent's TOML: what an owner of this host would write, and no threshold."""
    ports = {node.name: node.ports for node in cluster.nodes}
    peers = [f"http://{LOOPBACK}:{p.card_rest}" for name, p in ports.items() if name != own]
    rest, console = secrets / "rest", secrets / "console"
    # Of the text of one line, JSON and TOML are the same.
    quoted = json.dumps
    return f"""\
[agent]
mode = "act"
listen = false
interval_seconds = {scale / TICKS_PER_SECOND:.3g}

[[service]]
name = {quoted(CULPRIT)}
match = {{ process = {quoted(CULPRIT)} }}
restart = "signal"
allow = true

[database]
scope = {quoted(SCOPE)}
member = {quoted(own)}
patroni = "http://{LOOPBACK}:{ports[own].card_rest}"
peers = {quoted(peers)}
user = "forestall"
password_file = {quoted(str(rest))}

[[database.pgbouncer]]
address = "{LOOPBACK}:{cluster.ports.pooler}"
user = "forestall"
password_file = {quoted(str(console))}
databases = [{quoted(DATABASE)}]

[fleet]
etcd = ["http://{LOOPBACK}:{cluster.ports.etcd}"]
"""


def start(stage: Stage, log: Path) -> subprocess.Popen[bytes]:
    """Start the shipped agent in the machine."""
    from drills.replay.stage import NODE

    story, timeline = stage.story, stage.setting.timeline
    state = state_of(story.folder)
    secrets = story.folder / "secrets"
    for folder in (state, secrets):
        folder.mkdir(mode=0o700)
    words = stage.cluster.secrets
    _private(secrets / "rest", words.rest)
    _private(secrets / "console", words.forestall)
    config = secrets / "forestall.toml"
    _private(config, configuration(stage.cluster, NODE, timeline.scale, secrets))
    command = [sys.executable, "-m", "drills.replay.agent", str(config), str(state)]
    command += [repr(timeline.scale), repr(story.started), repr(timeline.started_at.timestamp())]
    return stage.machine.spawn(
        command, folder=ROOT, log=log, environment={"PATH": os.environ.get("PATH", os.defpath)}
    )


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)

"""The fault that hits guard itself: killed while it moves the primary and holds the writes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from drills.cluster.cluster import Cluster
from forestall.guard.history import fold
from forestall.guard.ledger import LEDGER_NAME, read_ledger

LONGEST_SECONDS = 5.0
"""A switchover with its PAUSE and RESUME takes about four."""
RECOVER_SECONDS = 90.0
LEASE_SECONDS = 12.0
"""So long the lease of a killed guard stays in the way of the next one."""
KILLED = "killed"
PROGRAM = Path(__file__).parent / "guard.py"


class HalfDoneError(Exception):
    """A plan was left half done, and nothing says so: what must never be."""


def kill_guard(cluster: Cluster, chance: random.Random, *, at_seconds: float | None = None) -> str:
    """SIGKILL at a random moment of a plan; the next guard must close the plan in its ledger and
    let the clients go. HalfDoneError when it does not.

    :param at_seconds: the moment; a random one when None.
    """
    home = cluster.folder / "guard"
    home.mkdir(mode=0o700, exist_ok=True)
    config = _configure(cluster, home)
    _await_lease(home)
    leader, candidate = cluster.primary(), cluster.replica()
    leak = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    seconds = chance.uniform(0.3, LONGEST_SECONDS) if at_seconds is None else at_seconds
    try:
        peer = f"http://127.0.0.1:{candidate.ports.card_rest}"
        words = [str(leak.pid), leader.name, candidate.name, peer]
        guard = _guard("act", config, home, *words)
        try:
            guard.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            guard.kill()
            (home / KILLED).touch()
        said, _ = guard.communicate()
        ended = "ended by itself" if guard.returncode >= 0 else f"killed after {seconds:.1f} s"
        held = cluster.pooler.paused
        before = _half_done(home)
        time.sleep(chance.uniform(0.0, 1.0))
        recovered = _guard("recover", config, home)
        told, _ = recovered.communicate(timeout=RECOVER_SECONDS)
    finally:
        leak.kill()
        leak.wait()
    if guard.returncode > 0 or recovered.returncode != 0:
        raise HalfDoneError(f"a guard failed: {_words(home)}")
    if cluster.pooler.paused:
        raise HalfDoneError(f"the writes are still held after guard's restart: {told}")
    if left := _half_done(home):
        raise HalfDoneError(f"plans without an outcome after guard's restart: {left}")
    outcomes = [json.loads(line) for line in (said + told).splitlines()]
    states = "+".join(outcome["state"] for outcome in outcomes) or "nothing recorded"
    clients = "clients were held" if held else "clients were not held"
    return f"{ended}, {clients}, {len(before)} plans half done; {states}"


def _await_lease(home: Path) -> None:
    """Wait until the lease of the guard that was killed before has run out."""
    killed = home / KILLED
    if killed.exists():
        time.sleep(max(0.0, killed.stat().st_mtime + LEASE_SECONDS - time.time()))


def _configure(cluster: Cluster, home: Path) -> Path:
    """The agent's configuration for this cluster, and the files with its passwords."""
    path = home / "forestall.toml"
    if path.exists():
        return path
    for name, word in (("rest", cluster.secrets.rest), ("pooler", cluster.secrets.forestall)):
        _private(home / name, word)
    rest = [f"http://127.0.0.1:{node.ports.card_rest}" for node in cluster.nodes]
    _private(
        path,
        "\n".join(
            (
                "[database]",
                'scope = "orders"',
                f"peers = {json.dumps(rest)}",
                'user = "forestall"',
                f"password_file = {json.dumps(str(home / 'rest'))}",
                "[[database.pgbouncer]]",
                f'address = "127.0.0.1:{cluster.ports.pooler}"',
                'user = "forestall"',
                f"password_file = {json.dumps(str(home / 'pooler'))}",
                'databases = ["orders"]',
                "[[database.haproxy]]",
                f"address = {json.dumps(str(cluster.haproxy_socket))}",
                'backend = "primary"',
                "[fleet]",
                f'etcd = ["http://127.0.0.1:{cluster.ports.etcd}"]',
                'member = "n1"',
            )
        ),
    )
    return path


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")


def _guard(what: str, config: Path, home: Path, *words: str) -> subprocess.Popen[str]:
    with (home / "guard.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(PROGRAM), what, str(config), str(home), *words],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _words(home: Path) -> str:
    return (home / "guard.log").read_text(encoding="utf-8", errors="replace")[-2000:]


def _half_done(home: Path) -> list[str]:
    """Ids of plans in the ledger that have an action without an outcome."""
    ledger = home / LEDGER_NAME
    return [past.plan.id for past in fold(read_ledger(ledger)).past if past.unanswered]

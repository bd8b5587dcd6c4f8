"""The examples of deploy/cluster are accepted by the programs that they are for."""

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from drills.cluster import process, programs
from drills.cluster.settings import LOOPBACK

EXAMPLES = Path(__file__).parents[2] / "deploy" / "cluster"


@pytest.fixture(scope="module")
def found():
    missing = programs.missing_here()
    if missing:
        pytest.skip(missing)
    return programs.find_programs()


def validated(text: str, path: Path) -> list[str]:
    """What Patroni says against a configuration; that the example's etcd is not here is no fault.

    Patroni connects to these addresses; ones of this machine refuse at once, and not after a while.
    """
    text = re.sub(r"192\.0\.2\.2\d:2379", f"{LOOPBACK}:1", text)
    path.write_text(text.replace(" listen: 192.0.2.11:", f" listen: {LOOPBACK}:"))
    done = subprocess.run(
        [sys.executable, "-m", "patroni", "--validate-config", "-i", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = (done.stdout + done.stderr).splitlines()
    return [line for line in said if line.strip() and "is not reachable" not in line]


def test_haproxy_takes_its_file(found):
    """`haproxy -c` has nothing to say."""
    done = subprocess.run(
        [found.haproxy, "-c", "-f", str(EXAMPLES / "haproxy.cfg")],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.usefixtures("found")
def test_patroni_takes_its_file(tmp_path):
    """`patroni --validate-config` finds no fault, and would find one: a ttl of no number."""
    example, path = (EXAMPLES / "patroni.yml").read_text(), tmp_path / "patroni.yml"
    assert validated(example, path) == []
    assert any("ttl" in line for line in validated(example.replace("ttl: 20", "ttl: soon"), path))


def test_pgbouncer_starts_with_its_file(found, tmp_path):
    """pgbouncer runs with the example (addresses and paths of this machine put in), and its admin
    user is the one that the agent's configuration names."""
    from drills.cluster.cluster import free_ports
    from drills.cluster.pooler import Pooler, PoolerError

    account = programs.find_account()
    folder = Path("/tmp") / f"forestall-deploy-{os.getpid()}-{time.time_ns()}"
    folder.mkdir(mode=0o700)
    account.own(folder)
    port = free_ports(1)[0]
    text = (EXAMPLES / "pgbouncer.ini").read_text()
    for old, new in (
        ("listen_addr = 192.0.2.30", f"listen_addr = {LOOPBACK}\nunix_socket_dir ="),
        ("listen_port = 6432", f"listen_port = {port}"),
        ("/etc/pgbouncer/", f"{folder}/"),
        ("/var/log/postgresql/", f"{folder}/"),
        ("/run/postgresql/", f"{folder}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    for name, words in (("pgbouncer.ini", text), ("userlist.txt", '"forestall" "word"\n')):
        (folder / name).write_text(words)
        account.own(folder / name)
    user = tomllib.loads((EXAMPLES / "forestall.toml").read_text())["database"]["pgbouncer"][0]
    pooler = Pooler(host=LOOPBACK, port=port, user=user["user"], password="word", database="orders")
    server = process.spawn(
        [found.pgbouncer, str(folder / "pgbouncer.ini")],
        folder=folder,
        log=folder / "words.log",
        user=account.user,
        group=account.group,
    )
    try:
        until = time.monotonic() + 20
        while True:
            try:
                config = {row["key"]: row["value"] for row in pooler.ask("SHOW CONFIG")}
                break
            except PoolerError:
                assert time.monotonic() < until, (folder / "words.log").read_text()
                time.sleep(0.1)
    finally:
        server.kill()
        server.wait()
        process.clean(folder, keep=False)
    assert config["pool_mode"] == "transaction"
    assert config["admin_users"] == "forestall"


def test_the_agent_takes_its_file():
    """The agent reads the example, and finds in it the pooler, the proxy and the fleet."""
    from forestall.agent.config import read_config

    config = read_config(str(EXAMPLES / "forestall.toml"))
    assert config.database is not None
    assert config.database.via == "pgbouncer"
    assert config.database.proxies[0].backend == "primary"
    assert config.fleet is not None
    assert len(config.fleet.etcd) == 3

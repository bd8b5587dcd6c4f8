"""How the audit's commands end when their reader goes away, at Ctrl-C, and when they are killed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.servers import answers_to_signals, wait_for
from tests.integration.sshd import ssh_server

LOG = Path(__file__).parents[1] / "data/oom/written/rhel7-docker.dmesg-T"
COMMANDS = [
    ["--rule", "PAN-001"],
    ["--json"],
    ["--list-unknown"],
    ["check", "any host: psi"],
    ["check", "any host: psi", "--json"],
    ["check", "--names"],
    ["oom", str(LOG)],
    ["oom", str(LOG), "--json"],
    ["refresh"],
    ["refresh", "--json"],
    ["refresh", "--export", "-"],
    ["rules"],
    ["rules", "PAN-001"],
    ["rules", "--json"],
    ["script"],
]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def started(*words, **options):
    command = [sys.executable, "-m", "forestall", "audit", *map(str, words)]
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    usual["preexec_fn"] = answers_to_signals
    return subprocess.Popen(command, **usual | options)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_reader_that_went_away(words, tmp_path):
    """`... | head`: 141 as a shell has it, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = os.environ | {"FORESTALL_STATE": str(tmp_path)}
    with started(*words, stdout=writer, env=environment) as child:
        os.close(writer)
        error = child.communicate(timeout=60)[1]
    assert (child.returncode, error) == (141, "")


def ended(child, number):
    """What it said until it ended by this signal, of which a shell would say so."""
    child.send_signal(number)
    out, error = child.communicate(timeout=30)
    assert child.returncode == (130 if number == signal.SIGINT else 128 + number), error
    assert "Traceback" not in error
    return out + error


def runs(child):
    """Whether the command is at work: from then on it handles SIGTERM."""
    status = Path(f"/proc/{child.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (signal.SIGTERM - 1))


def with_words(text):
    """The processes that have `text` in their command line, other than this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in path.read_bytes() and path.parent.name != str(os.getpid()):
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("command", ["audit", "check"])
def test_hosts_that_are_asked(tmp_path, number, command):
    """Every ssh client ends too, the answers that came are kept, and no report is half."""
    report = tmp_path / "fleet.html"
    report.write_text("of yesterday")
    with ssh_server(tmp_path, {"plain": None, "hang": "sleep 30"}) as server:
        words = ["--ssh-config", server.config, "--keep", tmp_path / "kept"]
        if command == "audit":
            words = ["ssh", "plain", "hang", *words, "--html", report]
        else:
            inputs = ("ssh", "plain", "hang")
            words = ["check", "any host: psi", *[f"--from={one}" for one in inputs], *words]
        with started(*words) as child:
            wait_for(
                lambda: list(tmp_path.glob("kept/plain*.answer.gz")), "the first answer", child
            )
            clients = [pid for pid in with_words(str(server.config)) if pid != child.pid]
            assert clients
            ended(child, number)
        assert set(clients) & set(with_words(str(server.config))) == set()
    assert report.read_text() == "of yesterday"
    assert not list(tmp_path.glob("*.partial-*"))


@pytest.mark.parametrize("number", SIGNALS)
def test_kernel_messages_that_do_not_come(number):
    """`dmesg -w | forestall audit oom -`."""
    with started("oom", "-", stdin=subprocess.PIPE) as child:
        wait_for(lambda: runs(child), "the command", child, LOG)
        assert ended(child, number) == ""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("words", [["prometheus"], ["refresh"]], ids=" ".join)
def test_a_server_that_does_not_answer(number, words, tmp_path):
    """It has taken the connection, and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        address = f"http://127.0.0.1:{bound.getsockname()[1]}/rhel.json"
        with started(*words, address, "--state", tmp_path) as child:
            bound.settimeout(30)
            with bound.accept()[0]:
                assert ended(child, number) == ""
    assert os.listdir(tmp_path) == []


def test_nohup_is_obeyed():
    """Who has SIGHUP ignored wants the run to go on."""
    with started(
        "oom",
        "-",
        stdin=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    ) as child:
        wait_for(lambda: runs(child), "the command", child, LOG)
        child.send_signal(signal.SIGHUP)
        out, _ = child.communicate(LOG.read_text(), timeout=30)
    assert child.returncode == 1
    assert "worker" in out

"""Hosts asked over real SSH: a server on loopback with keys of its own, and what can go wrong."""

import contextlib
import gzip
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.integration.servers import wait_for
from tests.integration.sshd import make_key, ssh_server

from forestall.audit.collect.options import SshOptions
from forestall.audit.collect.ssh import collect
from forestall.audit.collect.stream import read_answer
from forestall.errors import ForestallError, UsageError

BEHAVIOURS = {
    "plain": None,
    "garbage": "head -c 300000 /dev/urandom",
    "endless": "yes",
    "hang": "sleep 20",
    "noisy": "echo Welcome; printf 'no end of line'; exec sh -s",
    "half": "sh -s | head -c 3000",
    "refused": "false",
    "nologin": "echo This account is not available.; exit 1",
    "nologin-noise": "echo rm: no such file >&2; echo This account is closed.; exit 1",
    "no-shell": "exec /nonexistent/sh -s",
    "restricted": "exec bash -r -c /bin/sh",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ssh_server(tmp_path_factory.mktemp("sshd"), BEHAVIOURS) as running:
        yield running


def options(server, **settings):
    settings.setdefault("deadline_seconds", 60.0)
    return SshOptions(config=str(server.config), **settings)


def ask(server, *hosts, **settings):
    """What each host came to, by its name."""
    return {seen.name: seen for seen in collect(hosts, options(server, **settings))}


def children():
    """The clients that this process has started and not yet ended, as /proc has them."""
    pids = Path("/proc/thread-self/children").read_text().split()
    return [pid for pid in pids if Path(f"/proc/{pid}/comm").read_text() == "ssh\n"]


def test_a_host(server):
    """One host's facts, through a server, a client and a shell that are real."""
    seen = ask(server, "plain")["plain"]
    assert seen.problem is None
    assert seen.facts.origin == "ssh"
    assert seen.facts.hostname == socket.gethostname()
    assert seen.facts.kernel_release == os.uname().release
    assert seen.facts.memory.mem_total_bytes
    assert seen.facts.process_count > 1


@pytest.mark.timeout(60)
def test_each_trouble_is_its_own_host_and_its_own_words(server):
    """All at once: one line for each trouble that says what is wrong, and no host waits for
    another beyond its deadline."""
    seen = ask(server, *BEHAVIOURS, deadline_seconds=15.0)
    expected = {
        "garbage": "no shell answered",
        "endless": "said more than",
        "hang": "within 15 seconds",
        "half": "broke off",
        "refused": "exit code 1",
        "nologin": "This account is not available.",
        "nologin-noise": "it said: This account is closed. (it said: rm: no such file)",
        "no-shell": "/nonexistent/sh",
        "restricted": "restricted",
    }
    assert {name: seen[name].problem for name in expected if seen[name].facts} == {}
    for name, words in expected.items():
        assert words in seen[name].problem, seen[name].problem
        assert "\n" not in seen[name].problem
    assert seen["plain"].facts is not None
    assert seen["noisy"].facts is not None
    assert seen["noisy"].problem is None
    assert children() == []


def test_answers_without_end_are_bounded_together(server):
    """The longest is ended while all together take too much; a host that answers is still read."""
    seen = {
        one.name: one
        for one in collect(["endless", "plain"], options(server, held_limit_bytes=2**20))
    }
    assert "beside the other hosts" in seen["endless"].problem
    assert seen["plain"].facts is not None


def test_fifty_at_once(server):
    """Fifty hosts, each told once; a host that is named twice is asked once."""
    names = [f"host-{number}" for number in range(50)]
    told = [seen.name for seen in collect([*names, "host-7"], options(server))]
    assert sorted(told) == sorted(names)
    assert children() == []


def test_an_unknown_host_key_is_not_trusted(server, tmp_path):
    """No key known: nothing is asked, and the line says how to make it known."""
    (tmp_path / "nobody").touch()
    seen = ask(server, "plain", known_hosts=str(tmp_path / "nobody"))["plain"]
    assert seen.facts is None
    assert "host key is not known" in seen.problem
    assert (tmp_path / "nobody").read_text() == ""


def test_a_wrong_host_key_is_named(server, tmp_path):
    """Another key than the known one is never taken."""
    other = make_key(tmp_path / "other")
    (tmp_path / "keys").write_text(f"[127.0.0.1]:{server.port} {other}\n")
    seen = ask(server, "plain", known_hosts=str(tmp_path / "keys"))["plain"]
    assert seen.facts is None
    assert "host key is not the one that is known" in seen.problem


def test_the_user_can_widen_what_is_trusted(server, tmp_path):
    """An option of the user's own stands before ours: accept-new adds the key."""
    (tmp_path / "keys").touch()
    seen = ask(
        server,
        "plain",
        known_hosts=str(tmp_path / "keys"),
        ssh_options=("StrictHostKeyChecking=accept-new",),
    )["plain"]
    assert seen.facts is not None
    assert (tmp_path / "keys").read_text() != ""


def test_a_key_that_is_not_accepted(server, tmp_path):
    """The line names the user and the ways the server would take."""
    make_key(tmp_path / "stranger")
    config = tmp_path / "config"
    config.write_text(
        f"Host plain\n IdentityFile {tmp_path}/stranger\n" + server.config.read_text()
    )
    # ssh offers every IdentityFile it has read: only the stranger's is left.
    text = "\n".join(
        line for line in config.read_text().splitlines() if f"{server.folder}/key" not in line
    )
    config.write_text(text)
    (seen,) = collect(["someone@plain"], SshOptions(config=str(config)))
    assert seen.facts is None
    assert seen.name == "plain"
    assert "authentication failed for user someone (publickey)" in seen.problem


def listener(speak):
    """A port of loopback on which `speak(connection)` is what an SSH client meets."""
    bound = socket.create_server(("127.0.0.1", 0))
    kept = []

    def serve():
        while True:
            try:
                connection, _ = bound.accept()
            except OSError:
                return
            kept.append(connection)
            speak(connection)

    threading.Thread(target=serve, daemon=True).start()
    return bound, kept


def test_ports_behind_which_there_is_no_server(server):
    """One that nobody listens on, one that accepts and is silent, one that closes at once."""
    silent, kept = listener(lambda connection: None)
    closing, _ = listener(lambda connection: connection.close())
    (free,) = (socket.create_server(("127.0.0.1", 0)),)
    ports = {
        name: bound.getsockname()[1]
        for name, bound in (("silent", silent), ("closing", closing), ("nobody", free))
    }
    free.close()
    try:
        hosts = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        seen = ask(server, *hosts.values(), connect_seconds=2, deadline_seconds=10.0, retries=1)
    finally:
        for bound in (silent, closing, *kept):
            bound.close()
    assert "connection refused" in seen[hosts["nobody"]].problem
    assert "in time" in seen[hosts["silent"]].problem
    assert "MaxStartups" in seen[hosts["closing"]].problem


def test_a_server_that_takes_few_at_once_is_asked_again(tmp_path):
    """MaxStartups 2: sixteen hosts behind one server all answer, the refused ones later."""
    with ssh_server(tmp_path, max_startups="2:100:2") as server:
        names = [f"host-{number}" for number in range(16)]
        seen = ask(server, *names, deadline_seconds=90.0, retries=20)
    assert {name: found.problem for name, found in seen.items() if found.problem} == {}
    assert len(seen) == 16


def test_kept_answers_are_not_asked_for_again(server, tmp_path):
    """A second run within the age asks nobody; what is kept is for its owner alone and whole."""
    folder = tmp_path / "answers"
    clock = FakeClock(time.time())
    first = ask(server, "plain", "refused", keep=str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (kept,) = folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    shown = subprocess.run(["zcat", str(kept)], capture_output=True, check=True, timeout=30)
    assert read_answer(shown.stdout).machine == os.uname().machine

    nowhere = options(server, keep=str(folder), program="/bin/false")
    (again,) = collect(["plain"], nowhere, clock=clock)
    assert again.facts == first["plain"].facts
    clock.step(2 * 86400)
    (later,) = collect(["plain"], nowhere, clock=clock)
    assert later.facts is None


KILLED = """
import sys
from forestall.audit.collect.options import SshOptions
from forestall.audit.collect.ssh import collect
config, folder, *hosts = sys.argv[1:]
for seen in collect(hosts, SshOptions(config=config, keep=folder, parallel=2)):
    print(seen.name, seen.facts is not None, flush=True)
"""


def test_an_interrupted_run_goes_on_where_it_was(server, tmp_path):
    """Killed in the middle without a chance to clean up: the next run asks only the rest."""
    names = [f"host-{number}" for number in range(12)]
    words = [sys.executable, "-c", KILLED, str(server.config), str(tmp_path / "kept"), *names]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    first = [child.stdout.readline().split()[0] for _ in range(3)]
    child.kill()
    child.wait(30)
    child.stdout.close()
    reports = []
    rest = list(collect(names, options(server, keep=str(tmp_path / "kept")), report=reports.append))
    assert len(rest) == 12
    assert all(seen.facts is not None for seen in rest)
    assert set(first) <= {seen.name for seen in rest[: reports[-1].kept]}
    assert 3 <= reports[-1].kept < 12
    assert reports[-1].done == reports[-1].total == 12


RELAY = """
import os, socket, sys, threading
to = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := to.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    to.sendall(data)
"""


def test_an_end_by_the_user_leaves_nothing_behind(server, tmp_path):
    """Ctrl-C, or a consumer that has seen enough: every client and its ProxyCommand are gone."""
    relay = tmp_path / "relay.py"
    relay.write_text(RELAY)

    def running():
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found += [path.parent.name] * (str(relay).encode() in path.read_bytes())
        return found

    command = f"ProxyCommand={sys.executable} {relay} {server.port}"
    run = collect(["plain", "hang"], options(server, ssh_options=(command,)))
    first = next(run)
    assert (first.name, first.problem) == ("plain", None)
    assert children()
    assert running()
    run.close()
    assert children() == []
    wait_for(lambda: not running(), "the end of the proxies")


def test_where_sudo_refuses_it_reads_without_root(tmp_path):
    """--sudo on a host that does not allow it: the facts without root, and what root would add."""
    if os.geteuid() != 0:
        pytest.skip("a login that is not root's needs root here")
    command = tmp_path / "as-nobody"
    command.write_text(
        "#!/bin/sh\n"
        'exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"\n'
    )
    command.chmod(0o755)
    keep = {"keep": str(tmp_path / "answers")}
    with ssh_server(tmp_path, {"plain": None, "nobody": str(command)}) as server:
        assert ask(server, "nobody", **keep)["nobody"].facts.effective_uid == 65534
        # What is kept was read without root, and now root is asked for.
        seen = ask(server, "plain", "nobody", sudo=True, **keep)
    kept = ask(server, "plain", "nobody", sudo=False, program="/bin/false", **keep)
    assert {name: one.facts.effective_uid for name, one in kept.items()} == {
        "plain": 0,
        "nobody": 65534,
    }
    assert seen["nobody"].facts.effective_uid == 65534
    assert "read without root (sudo" in seen["nobody"].problem
    assert "root would add /proc/1/environ" in seen["nobody"].problem
    assert seen["plain"].facts.effective_uid == 0


def test_more_hosts_than_descriptors(server):
    """Where the limit cannot be raised, fewer are asked at once, and all are asked."""
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80))\n"
        + KILLED.replace(", parallel=2", ", parallel=500")
    )
    names = [f"host-{number}" for number in range(12)]
    words = [sys.executable, "-c", script, str(server.config), str(server.folder / "k80"), *names]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == ["True"] * 12


def test_nothing_is_asked_where_something_is_wrong_from_the_start(server):
    """A host that is no name, and a client that is not there, are told before anything runs."""
    with pytest.raises(UsageError):
        list(collect(["plain", "-oProxyCommand=id"], options(server)))
    with pytest.raises(ForestallError, match="there is no"):
        list(collect(["plain"], options(server, program="/nonexistent/ssh")))
    assert signal.getsignal(signal.SIGCHLD) is signal.SIG_DFL


def test_by_hand(server):
    """The printed script, sent with plain ssh and unpacked, is an answer as --keep keeps it."""
    printed = run_script()
    answered = subprocess.run(
        ["ssh", "-F", str(server.config), "-T", "noisy", "sh -s"],
        input=printed,
        capture_output=True,
        check=True,
        timeout=60,
    )
    packed = run_script("--unpack", data=answered.stdout)
    assert read_answer(gzip.decompress(packed)).effective_uid == os.geteuid()


def run_script(*words, data=b""):
    """`forestall audit script`, as its module runs it."""
    code = (
        "import argparse, sys; from forestall.cli import audit_script as s;"
        "p = argparse.ArgumentParser(); s.configure(p); sys.exit(s.run(p.parse_args()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], input=data, capture_output=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout

"""Actions on real processes of our own: end, restart, capture. Nothing else is touched."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from array import array
from contextlib import contextmanager

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.guard import ALLOWED, HASTY, state_of, verdict_of

from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.evidence.verify import open_bundle, verify
from forestall.guard.actions.capture import CaptureHandler
from forestall.guard.actions.ending import PIDFD_OPEN, end_process
from forestall.guard.actions.notify import NotifyHandler
from forestall.guard.actions.restart import RestartHandler
from forestall.guard.actions.stop import StopHandler
from forestall.guard.decision import decide
from forestall.guard.executor import Executor
from forestall.guard.history import History
from forestall.guard.ledger import LEDGER_NAME, Ledger, read_ledger
from forestall.guard.live import HostProcesses, own_pids
from forestall.guard.policy import Allowance, Remedy
from forestall.guard.recheck import Recheck
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode, OutcomeState
from forestall.model.sample import HostSample, ProcessKey, Sample
from forestall.model.series import Series
from forestall.model.verdict import Subject
from forestall.sense.host import Host

# Sleeps with a name of its own, tells that it is ready, and is gone after a minute at the latest.
SERVICE = """
import ctypes, os, signal, sys, time
ctypes.CDLL(None).prctl(15, sys.argv[1].encode())
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
if sys.argv[2:] and sys.argv[2].startswith("/"):
    # The first of them serves; those after it crash soon after their start.
    if os.path.exists(sys.argv[2]):
        time.sleep(0.4)
        sys.exit(1)
    open(sys.argv[2], "w").close()
time.sleep(60)
"""

SUPERVISOR = """
import signal, subprocess, sys
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1) or child.terminate())
for _ in range(50):
    child = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]])
    print(child.pid, flush=True)
    child.wait()
    if stopping:
        break
"""


@contextmanager
def service(name, *words, environ=None):
    """A running process of this name; killed and reaped at the end, whatever happened."""
    child = subprocess.Popen(
        [sys.executable, "-c", SERVICE, name, *words],
        stdout=subprocess.PIPE,
        env={**os.environ, **(environ or {})},
    )
    try:
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@contextmanager
def supervised(name, *words):
    """A service that its supervisor starts again; yields the pid of its first process."""
    parent = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, SERVICE, name, *words], stdout=subprocess.PIPE
    )
    try:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == b"ready\n"
        yield pid
    finally:
        parent.terminate()
        parent.wait()
        parent.stdout.close()


class Nothing:
    """An agent that holds nothing in memory."""

    def sample(self):
        return None

    def facts(self):
        return None

    def series(self, subject):
        return None


class Heard:
    """A notifier that keeps what it was told."""

    name = "test"

    def __init__(self):
        self.notices = []

    def send(self, notice):
        self.notices.append(notice)


class Guard:
    """A real guard with its state in `folder`."""

    def __init__(self, folder, *, recent=None):
        self.host = Host()
        self.processes = HostProcesses(self.host)
        self.heard = Heard()
        self.evidence = str(folder / "evidence")
        self.ledger_path = str(folder / LEDGER_NAME)
        self.clock = SystemClock()
        self.handlers = {
            ActionKind.CAPTURE: CaptureHandler(
                self.evidence,
                host=self.host,
                processes=self.processes,
                recent=recent or Nothing(),
                clock=self.clock,
            ),
            ActionKind.STOP: StopHandler(processes=self.processes, clock=self.clock),
            ActionKind.RESTART: RestartHandler(
                host=self.host, processes=self.processes, clock=self.clock
            ),
            ActionKind.NOTIFY: NotifyHandler((self.heard,), clock=self.clock),
        }

    def subject(self, pid):
        live = self.processes.look(pid)
        return Subject(host="db1", name=live.name, process=live.key, unit=None)

    def run(self, subject, *, policy=ALLOWED, **options):
        options.setdefault("own_pids", own_pids(self.host))
        verdict = verdict_of(subject, at=self.clock.now())
        plan = decide(verdict, state_of(self.clock.now(), **options), policy, History())
        with Ledger(self.ledger_path) as ledger:
            executor = Executor(
                self.handlers,
                ledger=ledger,
                recheck=Recheck(processes=self.processes, own_pids=options["own_pids"]),
                clock=self.clock,
            )
            return plan, executor.execute(plan)


def states(outcomes):
    return [f"{outcome.kind.value} {outcome.state.value}" for outcome in outcomes]


@pytest.fixture
def guard(tmp_path):
    return Guard(tmp_path)


def test_a_signal_restarts_a_service_that_is_supervised(guard):
    """SIGTERM to the judged process; its supervisor brings a new one, and that one is seen."""
    with supervised("feed-sync-sig") as pid:
        subject = guard.subject(pid)
        plan, outcomes = guard.run(subject)
        assert states(outcomes) == ["capture done", "restart done", "notify done"]
        assert outcomes[1].detail.startswith(f"Process {pid} ended by SIGTERM after ")
        others = [live for live in guard.processes.all() if live.name == "feed-sync-sig"]
        assert len(others) == 1
        assert others[0].key != subject.process
    (notice,) = guard.heard.notices
    assert notice.title == "feed-sync-sig on db1 was LEAKING and has been restarted."
    assert notice.evidence == (outcomes[0].evidence,)
    assert list(read_ledger(guard.ledger_path)) == [plan, *outcomes]


def test_a_restart_without_a_successor_is_failed(guard):
    """Nobody brings the service back: the restart is FAILED, and people are told so.

    Another worker of the same service, which ran before, is no successor.
    """
    with service("feed-sync-one") as pid, service("feed-sync-one"):
        _, outcomes = guard.run(
            guard.subject(pid),
            policy=dataclasses.replace(
                ALLOWED, restart_timeout_seconds=4.0, stop_grace_seconds=1.0
            ),
        )
    assert states(outcomes) == ["capture done", "restart failed", "notify done"]
    assert "No new process of feed-sync-one came within 2 s." in outcomes[1].detail
    assert guard.heard.notices[0].urgency.value == "page"


def test_a_service_that_comes_back_only_to_crash_is_not_restarted(guard, tmp_path):
    """Some new process is there at any time, but none that lasts: the restart is FAILED."""
    with supervised("feed-sync-loop", str(tmp_path / "served")) as pid:
        _, outcomes = guard.run(guard.subject(pid))
    assert states(outcomes) == ["capture done", "restart failed", "notify done"]
    assert "A new process of feed-sync-loop came, and ended within 1 s." in outcomes[1].detail


def test_a_given_command_restarts_a_service(guard, tmp_path):
    """Its own words, without a shell, as killable as the old process; a new one must be there."""
    script = tmp_path / "restart.py"
    with service("feed-sync-cmd") as pid:
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write("321")
        script.write_text(
            f"import os, subprocess, sys\n"
            f"os.kill({pid}, 9)\n"
            f"child = subprocess.Popen([sys.executable, '-c', {SERVICE!r}, 'feed-sync-cmd'])\n"
            f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
            f"print(open('/proc/self/oom_score_adj').read().strip(), file=open("
            f"{str(tmp_path / 'adjust')!r}, 'w'))\n"
            f"open({str(tmp_path / 'session')!r}, 'w').write(str(os.getsid(0)))\n"
        )
        recipe = Recipe(method=Method.COMMAND, command=(sys.executable, str(script), "$HOME; x"))
        try:
            _, outcomes = guard.run(guard.subject(pid), recipe=recipe)
        finally:
            os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert states(outcomes) == ["capture done", "restart done", "notify done"]
    assert outcomes[1].detail == f"{sys.executable} ended well."
    assert (tmp_path / "adjust").read_text() == "321\n"
    # A service in the session of a terminal would end with it.
    assert int((tmp_path / "session").read_text()) != os.getsid(0)


@pytest.mark.parametrize(
    ("code", "words"),
    [("import sys; sys.exit(3)", "failed with exit code 3"), ("pass", "is still there")],
)
def test_a_command_that_does_not_restart_is_failed(guard, code, words):
    """A bad exit code, or an old process that goes on, is not taken for a restart."""
    with service("feed-sync-bad") as pid:
        recipe = Recipe(method=Method.COMMAND, command=(sys.executable, "-c", code))
        policy = dataclasses.replace(ALLOWED, restart_timeout_seconds=4.0, stop_grace_seconds=1.0)
        _, outcomes = guard.run(guard.subject(pid), recipe=recipe, policy=policy)
        assert guard.processes.look(pid) is not None
    assert states(outcomes) == ["capture done", "restart failed", "notify done"]
    assert words in outcomes[1].detail


def test_systemd_is_not_asked_where_it_does_not_run(guard, tmp_path):
    """A recipe that this host cannot carry out is refused before anything is touched."""
    os.mkdir(tmp_path / "run")
    handler = guard.handlers[ActionKind.RESTART]
    handler._host = Host(run=str(tmp_path / "run"))
    with service("feed-sync-sd") as pid:
        subject = guard.subject(pid)
        processes = guard.processes
        guard.processes = InUnit(processes, pid, "feed-sync-sd.service")
        recipe = Recipe(method=Method.SYSTEMD, unit="feed-sync-sd.service")
        _, outcomes = guard.run(subject, recipe=recipe)
        assert processes.look(pid) is not None
    assert states(outcomes) == ["capture done", "restart refused", "notify done"]
    assert "systemd does not run here" in outcomes[1].detail


@pytest.mark.parametrize("works", [True, False])
def test_systemd_is_asked_by_a_list_of_words(guard, tmp_path, monkeypatch, works):
    """A stand-in for systemctl restarts the unit, or fails and is quoted."""
    os.makedirs(tmp_path / "run" / "systemd" / "system")
    guard.handlers[ActionKind.RESTART]._host = Host(run=str(tmp_path / "run"))
    with service("feed-sync-unit") as pid:
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(
            f"#!{sys.executable}\n"
            f"import os, subprocess, sys\n"
            f"open({str(tmp_path / 'words')!r}, 'w').write(repr(sys.argv[1:]))\n"
            f"if not {works}:\n"
            f"    sys.exit('Job for it failed.')\n"
            f"os.kill({pid}, 15)\n"
            f"child = subprocess.Popen([sys.executable, '-c', {SERVICE!r}, 'feed-sync-unit'],\n"
            f"    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
            f"open({str(tmp_path / 'child')!r}, 'w').write(str(child.pid))\n"
        )
        systemctl.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        subject = guard.subject(pid)
        guard.processes = InUnit(guard.processes, pid, "feed-sync-unit.service")
        recipe = Recipe(method=Method.SYSTEMD, unit="feed-sync-unit.service")
        try:
            _, outcomes = guard.run(subject, recipe=recipe)
        finally:
            if works:
                os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)
    assert (tmp_path / "words").read_text() == repr(
        ["--no-ask-password", "restart", "--", "feed-sync-unit.service"]
    )
    state = "done" if works else "failed"
    assert states(outcomes) == ["capture done", f"restart {state}", "notify done"]
    assert outcomes[1].detail == (
        "systemctl restart feed-sync-unit.service ended well."
        if works
        else "systemctl restart feed-sync-unit.service failed with exit code 1: Job for it failed."
    )


class InUnit:
    """Processes as they are, one of them in a unit that this host may not have."""

    def __init__(self, processes, pid, unit):
        self._processes, self._pid, self._unit = processes, pid, unit

    def look(self, pid):
        live = self._processes.look(pid)
        return dataclasses.replace(live, unit=self._unit) if pid == self._pid and live else live

    def all(self):
        return (self.look(live.key.pid) or live for live in self._processes.all())


STOP = dataclasses.replace(
    HASTY,
    allow=(Allowance(service="feed-sync*", remedy=Remedy.STOP),),
    stop_grace_seconds=0.5,
    stop_timeout_seconds=5.0,
)


def test_a_process_that_ignores_sigterm_is_stopped_by_sigkill(guard):
    """First the signal that lets it end well, then the one that it cannot ignore."""
    with service("feed-sync-term", "stubborn") as pid:
        _, outcomes = guard.run(guard.subject(pid), policy=STOP, recipe=None)
        assert guard.processes.look(pid) is None
    assert states(outcomes) == ["capture done", "stop done", "notify done"]
    assert "ended by SIGKILL" in outcomes[1].detail
    assert "having ignored SIGTERM" in outcomes[1].detail


def no_such_call(pid):
    """A Python that has the function, on a kernel that does not have the call."""
    raise OSError(errno.ENOSYS, "Function not implemented")


@pytest.mark.parametrize("pidfd_open", [PIDFD_OPEN, None, no_such_call])
def test_a_process_with_another_start_time_gets_no_signal(guard, pidfd_open):
    """Pid reuse: the key says another start, so the process that has the pid now lives on."""
    with service("feed-sync-pid") as pid:
        key = guard.processes.look(pid).key
        for other in (
            ProcessKey(boot_id=key.boot_id, pid=pid, start_ticks=key.start_ticks - 1),
            ProcessKey(boot_id="another", pid=pid, start_ticks=key.start_ticks),
        ):
            with pytest.raises(ForestallError, match="not there any more as it was judged"):
                end_process(
                    other,
                    processes=guard.processes,
                    clock=SystemClock(),
                    grace_seconds=0.2,
                    timeout_seconds=0.4,
                    pidfd_open=pidfd_open,
                )
        time.sleep(0.1)
        assert guard.processes.look(pid).key == key
        said = end_process(
            key,
            processes=guard.processes,
            clock=SystemClock(),
            grace_seconds=5,
            timeout_seconds=10,
            pidfd_open=pidfd_open,
        )
        assert said.startswith(f"Process {pid} ended by SIGTERM")


class Undying:
    """Processes of which one never goes away, as in uninterruptible sleep."""

    def __init__(self, live):
        self._live = live

    def look(self, pid):
        return self._live if pid == self._live.key.pid else None

    def all(self):
        return iter((self._live,))


def test_a_process_that_outlives_sigkill_is_a_failure_with_advice(guard):
    """Both signals were sent; the failure comes within the timeout and says where to look."""
    clock = FakeClock()
    with service("feed-sync-dead") as pid:
        live = guard.processes.look(pid)
        with pytest.raises(ForestallError) as caught:
            end_process(
                live.key,
                processes=Undying(live),
                clock=clock,
                grace_seconds=3,
                timeout_seconds=10,
            )
    assert "still there 10 s after SIGTERM, and after SIGKILL" in caught.value.message
    assert "disk or network" in caught.value.help
    assert clock.monotonic() == pytest.approx(10)


def test_the_whole_guard_refuses_a_reused_pid(guard):
    """The subject was judged with another start time: evidence of it is not taken from this one."""
    with service("feed-sync-old") as pid:
        live = guard.processes.look(pid)
        old = ProcessKey(boot_id=live.key.boot_id, pid=pid, start_ticks=live.key.start_ticks - 5)
        subject = Subject(host="db1", name=live.name, process=old)
        _, outcomes = guard.run(subject)
        assert guard.processes.look(pid).key == live.key
    assert states(outcomes) == ["capture done", "restart refused", "notify done"]
    bundle = open_bundle(os.path.join(guard.evidence, outcomes[0].evidence))
    assert not [e for e in bundle.manifest.entries if e.name.startswith("process/")]
    assert any("its pid was another's" in sentence for sentence in bundle.manifest.missing)


SECRET = "hunter2-Zx81qQ77wLmPoiuy"


class Full:
    """An agent that holds all it could."""

    def __init__(self, host):
        self._host = host

    def sample(self):
        return Sample(at=1.0, monotonic=1.0, boot_id="b", host=HostSample())

    def facts(self):
        from forestall.sense.facts import read_facts

        return read_facts(self._host, SystemClock())

    def series(self, subject):
        times, values = array("d", (1.0, 2.0)), array("d", (10.0, 12.5))
        return Series(subject=subject, signal="memory_bytes", times=times, values=values)


def test_evidence_of_a_real_process_is_whole_and_without_its_secrets(tmp_path):
    """Every promised entry is there, the bundle verifies, and a planted secret is in no byte."""
    guard = Guard(tmp_path, recent=Full(Host()))
    planted = {"DATABASE_PASSWORD": SECRET, "INVENTORY_URL": f"https://u:{SECRET}@inv.example/x"}
    with service("feed-sync-cap", f"--api-token={SECRET}", environ=planted) as pid:
        recipe = Recipe(
            method=Method.COMMAND, command=("/usr/bin/restarter", f"--password={SECRET}")
        )
        subject = guard.subject(pid)
        plan, outcomes = guard.run(subject, recipe=recipe)
        assert SECRET in str(plan)
        words = json.loads(_entry(guard, outcomes[0], "process/cmdline.json"))["words"]
    assert outcomes[0].state is OutcomeState.DONE
    path = os.path.join(guard.evidence, outcomes[0].evidence)
    assert verify(path) == []
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=path).returncode == 0
    manifest = open_bundle(path).manifest
    assert {
        *("verdict.json", "plan.json", "sample.json", "series.json", "host-facts.json"),
        *("process/status", "process/stat", "process/limits", "process/maps"),
        *("process/cmdline.json", "process/environ.json", "process/smaps_rollup"),
        *("host/meminfo", "host/vmstat"),
    } <= {entry.name for entry in manifest.entries}
    assert words[0] == sys.executable
    assert words[-1] == "--api-token=[redacted]"
    redacted = {entry.name: entry.redaction_count for entry in manifest.entries}
    assert redacted["process/cmdline.json"] >= 1
    assert redacted["process/environ.json"] >= 2
    for folder, _, files in os.walk(path):
        for name in files:
            with open(os.path.join(folder, name), "rb") as file:
                assert SECRET.encode() not in file.read(), name
    series = json.loads(_entry(guard, outcomes[0], "series.json"))
    assert series["times"] == [1.0, 2.0]
    assert series["values"] == [10, 12.5]
    assert not any(SECRET in line for notice in guard.heard.notices for line in notice.lines)
    assert plan.subject.process.pid == pid


def _entry(guard, outcome, name):
    with open(os.path.join(guard.evidence, outcome.evidence, name), "rb") as file:
        return file.read()


def test_evidence_is_kept_without_stopping_the_service(guard):
    """Capture only reads: it shows a process that runs or sleeps, never one held for it."""
    with service("feed-sync-obs") as pid:
        _, outcomes = guard.run(guard.subject(pid), recipe=None, mode=Mode.ACT, policy=STOP)
        assert outcomes[0].state is OutcomeState.DONE
        state = _entry(guard, outcomes[0], "process/stat").rsplit(b")", 1)[1].split()[0]
        assert state in (b"S", b"R")


def test_observe_leaves_a_real_process_and_disk_alone(guard):
    """Observe: no bundle, no signal, no notice; only the ledger."""
    with service("feed-sync-see") as pid:
        key = guard.processes.look(pid).key
        _, outcomes = guard.run(guard.subject(pid), mode=Mode.OBSERVE)
        assert guard.processes.look(pid).key == key
    assert states(outcomes) == ["capture would", "restart would", "notify would"]
    assert not os.path.exists(guard.evidence)
    assert guard.heard.notices == []


def test_forestall_protects_itself_and_its_parents(guard):
    """This very process and those that run it are refused, seen through the real /proc."""
    pids = own_pids(guard.host)
    assert {os.getpid(), os.getppid()} <= pids
    subject = guard.subject(os.getpid())
    policy = dataclasses.replace(HASTY, allow=(Allowance(service="*", remedy=Remedy.STOP),))
    plan, _ = guard.run(subject, policy=policy, recipe=None)
    assert [action.kind for action in plan.actions] == [ActionKind.NOTIFY]

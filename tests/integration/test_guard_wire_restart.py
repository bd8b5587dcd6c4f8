"""Restarts by who runs the service: a real supervisord, and container engines.

No container runs where the tests run, for want of rights: the command lines are checked by a
stand-in executable that answers as the engines do, and say so here plainly.
"""

import json
import os
import stat
import subprocess
import tarfile

import pytest
from tests.fakes.guard import verdict_of
from tests.integration import servers

from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.guard.actions.restart import RestartHandler
from forestall.guard.handler import Step
from forestall.guard.live import HostProcesses
from forestall.guard.recipe import Method, Recipe, to_parameters
from forestall.guard.wire.containers import Containers, Engine
from forestall.guard.wire.endpoint import RefusedError, WireError
from forestall.guard.wire.supervisord import Supervisord
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.verdict import Subject
from forestall.sense.host import Host, run_bounded


def step_of(recipe, pid, *, timeout=12.0):
    """A restart of the process `pid` by a recipe."""
    live = HostProcesses(Host()).look(pid)
    subject = Subject(host="db1", name="sleeper", process=live.key)
    action = Action(
        id="restart",
        kind=ActionKind.RESTART,
        subject=subject,
        timeout_seconds=timeout,
        parameters=to_parameters(recipe),
    )
    plan = Plan(
        id="p", at=1.0, mode=Mode.ACT, verdict=verdict_of(subject), actions=(action,), because=()
    )
    return Step(plan=plan, action=action)


def handler(run=run_bounded):
    host = Host()
    return RestartHandler(host=host, processes=HostProcesses(host), clock=SystemClock(), run=run)


@pytest.fixture(scope="module")
def supervisor(tmp_path_factory):
    programs = {"sleeper": "/bin/sleep 300", "other": "/bin/sleep 300"}
    with servers.supervisord(tmp_path_factory.mktemp("sup"), programs) as url:
        client = Supervisord(url)
        servers.wait_for(lambda: client.program("other").state == "RUNNING", "other")
        yield url, client
        client.close()


def test_a_program_of_supervisord_is_restarted_and_seen(supervisor):
    """A new process of this program runs afterwards; the other one was not touched."""
    url, client = supervisor
    before, other = client.program("sleeper").pid, client.program("other").pid
    step = step_of(Recipe(method=Method.SUPERVISORD, program="sleeper", server=url), before)
    restart = handler()
    assert restart.precondition(step) is None
    done = restart.do(step)
    assert "stopped sleeper" in done.detail
    assert restart.verify(step, done) is None
    assert client.program("sleeper").pid not in (0, before)
    assert client.program("other").pid == other


def test_a_program_that_is_not_the_judged_process_is_not_touched(supervisor):
    """A recipe that names another program than the leaking one is refused."""
    url, client = supervisor
    other = client.program("other").pid
    step = step_of(Recipe(method=Method.SUPERVISORD, program="sleeper", server=url), other)
    assert "neither the judged process" in handler().precondition(step)
    gone = step_of(Recipe(method=Method.SUPERVISORD, program="nobody", server=url), other)
    assert "BAD_NAME" in handler().precondition(gone)


def test_a_program_that_was_stopped_and_not_started_is_started_by_undo(supervisor):
    """An agent that was killed between the two leaves no service down; said twice, nothing more."""
    url, client = supervisor
    recipe = Recipe(method=Method.SUPERVISORD, program="sleeper", server=url)
    step = step_of(recipe, client.program("sleeper").pid)
    assert handler().undo(step) is None
    client.stop("sleeper", seconds=10)
    assert "was started" in handler().undo(step)
    assert handler().undo(step) is None
    assert client.program("sleeper").pid != 0


def test_a_program_that_does_not_come_back_is_a_failure(supervisor):
    """Verify asks who runs it, not whether something of the same name is about."""
    url, client = supervisor
    recipe = Recipe(method=Method.SUPERVISORD, program="sleeper", server=url)
    step = step_of(recipe, client.program("sleeper").pid, timeout=6.0)
    restart = handler()
    done = restart.do(step)
    client.stop("sleeper", seconds=10)
    assert "runs no new process" in restart.verify(step, done)
    client.start("sleeper", seconds=10)


STAND_IN = """#!/bin/sh
echo "$@" >> "{folder}/asked"
case "$1 $2" in
"--version ") echo "engine version 4.3.1" ;;
"container inspect") cat "{folder}/inspect" ;;
"container restart") cp "{folder}/after" "{folder}/inspect" ;;
"container update" | "container start") ;;
*) exit 125 ;;
esac
"""


@pytest.fixture
def stand_in(tmp_path):
    """An executable that notes its words and answers `inspect`; run in place of the engine."""
    path = tmp_path / "engine"
    path.write_text(STAND_IN.format(folder=tmp_path))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(words, seconds):
        assert words[0] in ("podman", "docker")
        return run_bounded((str(path), *words[1:]), seconds)

    run.folder = tmp_path
    run.told = lambda name, pid, running=True: (tmp_path / name).write_text(
        json.dumps(
            [
                {
                    "Id": "f" * 64,
                    "Name": "/feed-sync",
                    "State": {"Running": running, "Pid": pid},
                    "HostConfig": {"Memory": 512},
                }
            ]
        )
    )
    return run


@pytest.mark.parametrize("engine", list(Engine))
def test_the_words_that_an_engine_is_given(engine, stand_in):
    """Each question is one command, its name behind `--`, with its limits in bytes and seconds."""
    stand_in.told("inspect", 77)
    stand_in.told("after", 78)
    client = Containers(engine, run=stand_in)
    assert client.ping() == "engine version 4.3.1"
    found = client.container("feed-sync")
    assert (found.name, found.running, found.pid, found.limit_bytes) == ("feed-sync", True, 77, 512)
    client.limit("feed-sync", 1024)
    client.restart("feed-sync", grace_seconds=3, seconds=10.0)
    client.start("feed-sync", seconds=5.0)
    assert client.container("feed-sync").pid == 78
    assert (stand_in.folder / "asked").read_text().splitlines() == [
        "--version",
        "container inspect -- feed-sync",
        "container update --memory 1024 --memory-swap 1024 -- feed-sync",
        "container restart -t 3 -- feed-sync",
        "container start -- feed-sync",
        "container inspect -- feed-sync",
    ]
    with pytest.raises(WireError, match="not the name of a container"):
        client.container("--all")


@pytest.mark.parametrize("said", ["", "[]", "{}", "[{}]", "[1]", "no json", "[[" * 9999, "null"])
def test_an_inspect_of_another_form_is_an_error(said, stand_in):
    """What the engine says is not trusted to have its form."""
    (stand_in.folder / "inspect").write_text(said)
    with pytest.raises(WireError, match="has not the form"):
        Containers(Engine.PODMAN, run=stand_in).container("feed-sync")


def test_an_engine_that_refuses_is_quoted(stand_in):
    """The exit code, and the command to see what it says."""
    with pytest.raises(RefusedError, match="exit code 1") as caught:
        Containers(Engine.PODMAN, run=stand_in).container("feed-sync")
    assert "container inspect" in caught.value.help


def test_a_container_is_restarted_only_if_the_judged_process_is_in_it(stand_in):
    """Its first process must be the judged one, or above it; a new one must run afterwards."""
    recipe = Recipe(method=Method.CONTAINER, engine="podman", container="feed-sync")
    child = subprocess.Popen(["sleep", "60"])
    try:
        step = step_of(recipe, child.pid, timeout=4.0)
        restart = handler(stand_in)
        stand_in.told("inspect", os.getpid())
        assert restart.precondition(step) is None, "it is below the first process"
        stand_in.told("inspect", child.pid)
        assert restart.precondition(step) is None
        stand_in.told("after", 1)
        done = restart.do(step)
        assert "is still there" in restart.verify(step, done)
        child.kill()
        child.wait()
        assert restart.verify(step, done) is None
        stand_in.told("inspect", done.managed_pid)
        assert "runs no new process" in restart.verify(step, done)
        stand_in.told("inspect", 2)
        assert "neither the judged process" in restart.precondition(step)
        stand_in.told("inspect", 0, running=False)
        assert "does not run" in restart.precondition(step)
        assert "was started" in restart.undo(step)
    finally:
        child.kill()
        child.wait()


def test_an_engine_that_is_not_here_is_one_clear_refusal():
    """No command of that name is a sentence, not a traceback."""
    recipe = Recipe(method=Method.CONTAINER, engine="podman", container="feed-sync")
    absent = handler(lambda words, seconds: run_bounded(("/nowhere/engine", *words[1:]), seconds))
    step = step_of(recipe, os.getpid())
    assert "No such file" in absent.precondition(step)
    with pytest.raises(ForestallError, match="No such file"):
        absent.do(step)


def test_a_real_podman_is_understood(tmp_path):
    """A container that was made and not started: its state, its limit, and what podman refuses.

    Whether a container can be started depends on the rights of whoever runs the tests.
    """
    engine = servers.program("podman")
    name = f"forestall-test-{os.getpid()}"
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(__file__, "file")

    def podman(*words):
        return subprocess.run([engine, *words], capture_output=True, text=True, timeout=60)

    made = podman("import", str(archive), name)
    if made.returncode == 0:
        made = podman("create", "--name", name, "--memory", "64m", "--network", "none", name, "/x")
    try:
        if made.returncode != 0:
            pytest.skip(f"podman makes no container here: {made.stderr.strip()[-200:]}")
        client = Containers(Engine.PODMAN)
        assert "podman version" in client.ping()
        found = client.container(name)
        assert (found.name, found.running, found.pid) == (name, False, 0)
        assert found.limit_bytes == 64 * 1024 * 1024
        recipe = Recipe(method=Method.CONTAINER, engine="podman", container=name)
        assert "does not run" in handler().precondition(step_of(recipe, os.getpid()))
        with pytest.raises(RefusedError, match="container inspect failed"):
            client.container(f"{name}-absent")
        with pytest.raises(RefusedError, match="container restart failed"):
            client.restart(f"{name}-absent", grace_seconds=0, seconds=10)
    finally:
        podman("rm", "-f", name)
        podman("rmi", "-f", name)

"""`forestall guard ledger`: what a person on call reads, and what a program does."""

import argparse
import json
import os
import time

import pytest
from tests.fakes.guard import ALLOWED, Stage, state_of, verdict_of

from forestall.cli import guard
from forestall.cli.main import main
from forestall.errors import ForestallError
from forestall.guard.decision import decide
from forestall.guard.ledger import LEDGER_NAME, Ledger
from forestall.model.action import ActionKind, Mode
from forestall.model.verdict import VerdictKind
from forestall.units import DAY, HOUR

NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


class Story:
    """Fills a ledger on disk with plans that were decided and carried out some time ago."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.stage = Stage()
        self._pid = 100

    def tell(self, ago, name="feed-sync", mode=Mode.ACT, *, failing=None, **options):
        self._pid += 1
        subject = self.stage.service(self._pid, name)
        at = NOW - ago
        self.stage.clock.at = at
        kind = options.pop("kind", VerdictKind.LEAKING)
        with Ledger(os.path.join(self.folder, LEDGER_NAME)) as ledger:
            self.stage.executor._ledger = ledger
            for handler in self.stage.handlers.values():
                handler.fault = ForestallError("it failed") if handler.kind is failing else None
            verdict = verdict_of(subject, kind, at=at)
            plan = decide(verdict, state_of(at, mode, **options), ALLOWED, ledger.history)
            self.stage.executor.execute(plan)
        return plan

    def shown(self, capsys, *, since="7d", service=None, as_json=False, code=0):
        args = argparse.Namespace(since=since, service=service, state=self.folder, json=as_json)
        assert guard.show_ledger(args, now=NOW) == code
        return capsys.readouterr().out


@pytest.fixture
def story(tmp_path):
    return Story(tmp_path)


def test_a_would_have_is_told_with_time_forecast_headroom_and_plan(story, capsys):
    """Everything that earns trust, in one look."""
    story.tell(2 * HOUR, mode=Mode.OBSERVE)
    assert (
        story.shown(capsys)
        == """\
Tue 2023-11-14 20:13:20 UTC  feed-sync  LEAKING: would have restarted it
  memory    624 MiB, growing by 200 MiB to 600 MiB per hour
  forecast  exhaustion in 40 min to 2 h
  headroom  400 MiB left of 1.0 GiB (/system.slice/feed-sync memory.max)
  because   Exhaustion may come within the 2 h in which guard acts where feed-sync alone runs out.
            The plan: keep its evidence, restart it by SIGTERM, then SIGKILL, expecting its
            supervisor to start it again, tell people. Time: 40 min at the soonest; the evidence 5
            s, recycling 5 s: all of it fits.
  done      nothing: the mode was observe
  next      still open: nothing was told of it since.

in the last 7 d: 1 plan, 0 acted, 1 would have acted, 0 refused
"""
    )


def test_a_refusal_is_told_with_its_reason(story, capsys):
    """Left alone, why, and that people were told."""
    story.tell(2 * HOUR, "postgres")
    out = story.shown(capsys)
    assert "postgres  LEAKING: left it alone\n" in out
    assert "  refused   Protected: guard never touches postgres.\n" in out
    assert "  notify    done in 1.5 s. The notify was done.\n" in out
    assert out.endswith("1 plan, 0 acted, 0 would have acted, 1 refused\n")


def test_what_was_done_is_told_step_by_step_with_the_path_of_its_evidence(story, capsys):
    """Where to look next is a path that can be copied."""
    story.tell(2 * HOUR)
    out = story.shown(capsys)
    assert "feed-sync  LEAKING: restarted it\n" in out
    assert f"  evidence  {story.folder}/evidence/{'b' * 64}\n" in out
    assert "  restart   done in 1.5 s. The restart was done.\n" in out
    assert out.endswith("1 plan, 1 acted, 0 would have acted, 0 refused\n")


def test_a_half_failed_plan_is_told_as_failed(story, capsys):
    """What failed, and what was not done because of it."""
    story.tell(2 * HOUR, failing=ActionKind.CAPTURE)
    out = story.shown(capsys)
    assert "feed-sync  LEAKING: could not restart it\n" in out
    assert "  capture   failed in 1.5 s. it failed.\n" in out
    assert "  restart   skipped. Not done, because the capture failed.\n" in out
    assert out.endswith("0 refused, 1 failed\n")


def test_a_plan_without_an_end_is_told_as_unfinished(story, capsys):
    """Under way, or the agent was ended: a reader of the ledger cannot know which."""
    plan = story.tell(2 * HOUR, mode=Mode.OBSERVE)
    other = Story(story.folder + "/other")
    with Ledger(os.path.join(other.folder, LEDGER_NAME)) as ledger:
        ledger.record(plan)
    out = other.shown(capsys)
    assert "feed-sync  LEAKING: began to restart it, and did not end\n" in out
    assert "no outcome is recorded" in out
    assert out.endswith("0 refused, 1 unfinished\n")


def test_age_and_service_narrow_it_down(story, capsys):
    """--since takes the age of the plan, --service a name or a pattern."""
    story.tell(3 * DAY)
    story.tell(2 * DAY, "postgres")
    story.tell(HOUR)
    assert "3 plans" in story.shown(capsys)
    assert "in the last 24 h: 1 plan," in story.shown(capsys, since="24h")
    assert "2 plans" in story.shown(capsys, service="feed-sync")
    assert "1 plan," in story.shown(capsys, service="post*")


def test_json_holds_the_documents_and_the_totals(story, capsys):
    """For a program: the plan and outcome documents as they were recorded."""
    plan = story.tell(2 * HOUR)
    story.tell(HOUR, "postgres")
    data = json.loads(story.shown(capsys, as_json=True))
    assert data["schema"] == "forestall/ledger/1"
    assert [entry["came"] for entry in data["plans"]] == ["acted", "refused"]
    assert data["plans"][0]["plan"]["id"] == plan.id
    assert [o["state"] for o in data["plans"][0]["outcomes"]] == ["done", "done", "done"]
    assert data["totals"] == {
        "plans": 2,
        "acted": 1,
        "would": 0,
        "refused": 1,
        "held": 0,
        "failed": 0,
        "unfinished": 0,
    }
    assert data["damaged"] == []


def test_a_hostile_name_cannot_drive_the_terminal(story, capsys):
    """A process can put anything into its name; JSON keeps it, text does not."""
    story.tell(HOUR, "\x1b[2Jevil\nFri 2026: restarted it")
    out = story.shown(capsys)
    assert "\x1b" not in out
    assert r"\x1b[2Jevil\nFri 2026: restarted it  LEAKING" in out


def test_damage_is_said_and_hides_nothing(story, capsys):
    """What is readable is shown; what is not is named."""
    story.tell(2 * HOUR)
    path = os.path.join(story.folder, LEDGER_NAME)
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    lines[1] = b"x" + lines[1][1:]
    with open(path, "wb") as file:
        file.write(b"\n".join(lines))
    out = story.shown(capsys, code=1)
    assert "1 plan, 0 acted" in out or "1 plan, 1 acted" in out
    assert "\nnot readable: " in out


def test_empty_says_so_and_what_to_run(story, capsys):
    """No ledger, and a ledger with nothing in the time asked for, are two answers."""
    out = story.shown(capsys)
    assert out.startswith(f"There is no ledger at {story.folder}/ledger.journal yet.\n")
    assert "`forestall watch`" in out
    story.tell(2 * DAY)
    out = story.shown(capsys, since="1d")
    assert out.startswith("Guard planned nothing in the last 24 h (")
    assert "`forestall look`" in out


def test_the_command_line_runs_it_and_refuses_nonsense(story, capsys):
    """Through main: 0 for what could be shown, 2 for what was asked wrongly."""
    assert main(["guard", "ledger", "--state", story.folder]) == 0
    assert main(["guard", "ledger", "--state", story.folder, "--since", "soon"]) == 2
    assert main(["guard"]) == 2
    assert "not a duration: 'soon'" in capsys.readouterr().err


def test_a_ruined_ledger_is_never_told_as_a_quiet_week(story, capsys):
    """Where no record can be read, nobody may conclude that nothing happened."""
    with open(os.path.join(story.folder, LEDGER_NAME), "wb") as file:
        file.write(b"\xff" * 5_000)
    out = story.shown(capsys, code=1)
    assert "Nothing came near" not in out
    assert "not readable: 5000 bytes at 0" in out

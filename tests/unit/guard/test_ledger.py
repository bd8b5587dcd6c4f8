"""The ledger on disk: what it gives back, and what it does when the disk fails."""

import errno

import pytest
from tests.fakes.guard import ALLOWED, Stage, state_of, verdict_of

from forestall.errors import JournalError
from forestall.guard.decision import decide
from forestall.guard.history import History, fold
from forestall.guard.ledger import Ledger, read_ledger
from forestall.guard.recipe import Method, Recipe, from_parameters
from forestall.journal import Journal
from forestall.model.action import Plan


def played():
    """A plan and its three outcomes."""
    stage = Stage()
    plan = decide(verdict_of(stage.service()), state_of(), ALLOWED, History())
    return [plan, *stage.executor.execute(plan)]


def test_what_was_recorded_is_read_back_in_order(tmp_path):
    """Plans and outcomes, and the history they add up to, by the next life of forestall."""
    path = tmp_path / "ledger.journal"
    records = played()
    with Ledger(path) as ledger:
        for noun in records:
            ledger.record(noun)
        assert ledger.history == fold(records)
    assert list(read_ledger(path)) == records
    with Ledger(path) as ledger:
        assert ledger.history == fold(records)


def test_a_secret_of_a_restart_command_is_not_written_down(tmp_path):
    """The executor needs the words as they are, the record of it does not."""
    command = ("/usr/bin/restarter", "--password=Fz8kQ2vTn4", "feed-sync")
    recipe = Recipe(method=Method.COMMAND, command=command)
    plan = decide(verdict_of(Stage().service()), state_of(recipe=recipe), ALLOWED, History())
    with Ledger(tmp_path / "l") as ledger:
        ledger.record(plan)
    (written,) = read_ledger(tmp_path / "l")
    assert from_parameters(plan.actions[1].parameters).command == command
    assert from_parameters(written.actions[1].parameters).command == (
        "/usr/bin/restarter", "--password=[redacted]", "feed-sync",
    )  # fmt: skip


def test_a_second_writer_is_refused(tmp_path):
    """Two guards with one ledger would act twice."""
    with Ledger(tmp_path / "l"), pytest.raises(JournalError, match="another writer"):
        Ledger(tmp_path / "l")


def test_no_ledger_holds_nothing(tmp_path):
    """Reading before the first plan is no error."""
    assert list(read_ledger(tmp_path / "none")) == []


def test_foreign_and_damaged_records_are_skipped_and_said(tmp_path):
    """One bad record does not hide the others."""
    path = tmp_path / "l"
    records = played()
    with Journal(path) as journal:
        journal.append({"schema": "forestall/other/9"})
        journal.append({"schema": "forestall/plan/1", "id": 5})
    with Ledger(path) as ledger:
        ledger.record(records[0])
    damaged = []
    assert list(read_ledger(path, damaged=damaged)) == records[:1]
    assert damaged[0] == "record 1: a document of the kind 'forestall/other/9'"
    assert damaged[1].startswith("record 2: ")
    assert len(damaged) == 2


class FailingDisk:
    """fdatasync that fails as long as it is told to."""

    def __init__(self):
        self.failing = False

    def __call__(self, descriptor):
        if self.failing:
            raise OSError(errno.EIO, "Input/output error")


def test_a_failed_record_stays_in_the_history_and_the_next_one_is_safe_again(tmp_path):
    """The journal is opened anew after a failure, because it acknowledges nothing more itself."""
    disk = FailingDisk()
    records = played()
    with Ledger(tmp_path / "l", sync=disk) as ledger:
        disk.failing = True
        with pytest.raises(JournalError):
            ledger.record(records[0])
        assert ledger.history.knows(records[0].id)
        disk.failing = False
        for noun in records[1:]:
            ledger.record(noun)
    assert [noun for noun in read_ledger(tmp_path / "l") if not isinstance(noun, Plan)] == (
        records[1:]
    )


def test_the_ledger_is_bounded_and_keeps_the_newest(tmp_path):
    """Old segments go; what a person reads is the newest."""
    plan = played()[0]
    with Ledger(tmp_path / "l", max_bytes=8000) as ledger:
        for _ in range(60):
            ledger.record(plan)
    kept = len(list(read_ledger(tmp_path / "l")))
    assert 5 < kept < 40


def test_the_same_record_twice_changes_nothing():
    """An outcome, or a plan, that was written again after a failed fsync counts once."""
    records = played()
    assert fold([*records, *records]) == fold(records)
    assert len(fold(records).past) == 1
    assert fold([records[1]]) == History()

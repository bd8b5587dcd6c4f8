from array import array

from forestall.agent.recall import SAVE_SECONDS, Recall, Segment, recall
from forestall.journal import Journal
from forestall.model.sample import ProcessKey

ONE = ProcessKey(boot_id="b", pid=1, start_ticks=10)
OTHER = ProcessKey(boot_id="b", pid=1, start_ticks=11)


def segment(process=ONE, times=(1.0, 2.5), values=(4096.0, 8192.0)) -> Segment:
    return Segment(process, array("d", times), array("d", values))


def test_what_is_saved_is_read_back(tmp_path):
    """Process, times and bytes come back as they were, oldest first."""
    path = tmp_path / "series" / "memory.journal"
    keeper = Recall(str(path))
    keeper.save(100.0, [segment(), segment(OTHER)])
    keeper.save(200.0, [segment(times=(101.0,), values=(4096.0,))])
    keeper.close()
    found = list(recall(str(path), {ONE}, since=0.0))
    assert found == [segment(), segment(times=(101.0,), values=(4096.0,))]


def test_only_living_processes_and_recent_points_are_recalled(tmp_path):
    """A reused pid gets nothing of the one before, and yesterday is not read back."""
    path = str(tmp_path / "m.journal")
    keeper = Recall(path)
    keeper.save(0.0, [segment(), segment(OTHER, times=(50.0,), values=(1.0,))])
    keeper.close()
    assert list(recall(path, {ProcessKey(boot_id="c", pid=1, start_ticks=10)}, 0.0)) == []
    assert [s.process for s in recall(path, {ONE, OTHER}, since=10.0)] == [OTHER]
    assert list(recall(str(tmp_path / "absent.journal"), {ONE}, 0.0)) == []


def test_foreign_and_damaged_records_are_passed_over(tmp_path):
    """Whatever is in the file, reading it back gives segments or nothing."""
    path = str(tmp_path / "m.journal")
    good = {
        "schema": "forestall/series-segment/1",
        "boot_id": "b",
        "pid": 1,
        "start_ticks": 10,
        "times": [1.0],
        "memory_bytes": [5],
    }
    bad = [
        {**good, "schema": "other"},
        {**good, "times": []},
        {**good, "times": [1.0, 2.0]},
        {**good, "times": "1"},
        {**good, "memory_bytes": [None]},
        {**good, "pid": "1"},
        {**good, "boot_id": None},
        {**good, "times": [1.0] * 5000, "memory_bytes": [1] * 5000},
        {},
    ]
    with Journal(path) as journal:
        journal.append_all([*bad, good])
    assert list(recall(path, {ONE}, 0.0)) == [segment(times=(1.0,), values=(5.0,))]


def test_a_failed_save_is_told_and_the_next_one_works(tmp_path):
    """A journal that another one holds costs one save, and is opened again."""
    path = str(tmp_path / "m.journal")
    keeper = Recall(path)
    with Journal(path):
        keeper.save(0.0, [segment()])
    assert keeper.error_count == 1
    assert keeper.problem
    keeper.save(1.0, [segment()])
    assert keeper.problem is None
    keeper.close()
    assert len(list(recall(path, {ONE}, 0.0))) == 1


def test_saving_is_due_after_its_time_and_never_without_a_folder(tmp_path):
    """The first call starts the count."""
    keeper = Recall(str(tmp_path / "m.journal"))
    assert not keeper.due(1000.0)
    assert not keeper.due(1000.0 + SAVE_SECONDS - 1)
    assert keeper.due(1000.0 + SAVE_SECONDS)
    nowhere = Recall(None)
    assert not nowhere.due(0.0)
    assert not nowhere.due(10_000.0)
    nowhere.save(0.0, [segment()])
    nowhere.close()

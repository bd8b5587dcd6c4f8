from tests.fakes.clock import FakeClock

from forestall.agent.spool import PENDING_MAX, RETRY_SECONDS, Spool
from forestall.journal import Journal, read
from forestall.model.codec import from_document
from forestall.model.event import EventKind, TimelineEvent


def event(number: int) -> TimelineEvent:
    return TimelineEvent(
        id=f"e{number}",
        at=float(number),
        kind=EventKind.VERDICT,
        key="h/s",
        source="agent",
        text="",
    )


def kept(path) -> list[str]:
    return [from_document(TimelineEvent, record.data).id for record in read(path)]


def test_an_event_is_on_disk_when_add_returns(tmp_path):
    """There is no buffer to lose: the reader sees each event at once."""
    spool = Spool(str(tmp_path / "spool.journal"), FakeClock())
    spool.add([event(1), event(2)])
    assert kept(tmp_path / "spool.journal") == ["e1", "e2"]
    assert (spool.pending_count, spool.error_count, spool.problem) == (0, 0, None)
    spool.close()


def test_what_cannot_be_written_waits_and_is_tried_again(tmp_path):
    """A held journal costs nothing but time: retried after its delay, in order, problem told."""
    path, clock = tmp_path / "spool.journal", FakeClock()
    other = Journal(path)
    spool = Spool(str(path), clock)
    spool.add([event(1)])
    assert (spool.pending_count, spool.error_count) == (1, 1)
    assert spool.problem is not None
    other.close()
    spool.add([event(2)])
    assert spool.error_count == 1, "not tried before the delay is over"
    clock.sleep(RETRY_SECONDS)
    spool.flush()
    assert kept(path) == ["e1", "e2"]
    assert (spool.pending_count, spool.problem) == (0, None)
    spool.close()


def test_waiting_events_are_bounded_and_the_dropped_ones_counted(tmp_path):
    """The oldest go first, and how many went is known."""
    path = tmp_path / "spool.journal"
    with Journal(path):
        spool = Spool(str(path), FakeClock())
        spool.add(event(number) for number in range(PENDING_MAX + 3))
        assert (spool.pending_count, spool.lost_count) == (PENDING_MAX, 3)
    spool.close()
    assert kept(path)[0] == "e3"


def test_closing_tries_once_more(tmp_path):
    """What waits at the end is written if it can be now, however short ago it failed."""
    path = tmp_path / "spool.journal"
    other = Journal(path)
    spool = Spool(str(path), FakeClock())
    spool.add([event(1)])
    other.close()
    spool.close()
    assert kept(path) == ["e1"]


def test_the_spool_is_bounded_on_disk(tmp_path):
    """Old segments go, so that a spool nobody reads does not fill the disk."""
    spool = Spool(str(tmp_path / "spool.journal"), FakeClock(), bytes_max=2000)
    for number in range(200):
        spool.add([event(number)])
    spool.close()
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert size <= 5 * 2000
    assert kept(tmp_path / "spool.journal")[-1] == "e199"


def test_without_a_folder_nothing_is_kept():
    """No path: events are forgotten, and nothing waits for ever."""
    spool = Spool(None, FakeClock())
    spool.add([event(1)])
    spool.flush()
    spool.close()
    assert spool.pending_count == 0

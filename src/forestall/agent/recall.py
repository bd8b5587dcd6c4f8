"""What the judges were fed, kept on disk, so that a restart of the agent does not forget a leak.

Every SAVE_SECONDS the latest points of the largest processes become one record each; at start
they are read back for the processes of this boot that still live.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from forestall.errors import JournalError
from forestall.journal import Journal, read
from forestall.model.sample import ProcessKey
from forestall.units import HOUR, MIB, MINUTE

SERIES_FILE = "series/memory.journal"
SERIES_BYTES_MAX = 4 * MIB
SERIES_SEGMENTS_KEPT = 3
POINTS_MAX = 1000
SAVE_SECONDS = 5 * MINUTE
RECALL_SECONDS = 24 * HOUR

SEGMENT_SCHEMA = "forestall/series-segment/1"


class Segment(NamedTuple):
    """Memory of one process: `times` in seconds since the epoch, `values` in bytes."""

    process: ProcessKey
    times: "array[float]"
    values: "array[float]"


class Recall:
    """Saves segments; `path` None saves nothing. A failure is counted, never raised."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._journal: Journal | None = None
        self.saved_at = float("-inf")
        self.error_count = 0
        self.problem: str | None = None

    def due(self, at: float) -> bool:
        """Whether it is time to save; the first call only starts the count."""
        if self.saved_at == float("-inf"):
            self.saved_at = at
        return self._path is not None and at - self.saved_at >= SAVE_SECONDS

    def save(self, at: float, segments: Iterable[Segment]) -> None:
        """Write the segments with one fsync, and remember that it was done at `at`."""
        self.saved_at = at
        if self._path is None:
            return
        try:
            if self._journal is None:
                self._journal = Journal(
                    self._path, max_bytes=SERIES_BYTES_MAX, keep_segments=SERIES_SEGMENTS_KEPT
                )
            self._journal.append_all(_record(segment) for segment in segments)
            self.problem = None
        except JournalError as error:
            self.error_count += 1
            self.problem = error.message
            # A journal that failed may refuse every further record; opening it again recovers it.
            self.close()

    def close(self) -> None:
        """Give the journal back."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None


def recall(path: str, alive: Collection[ProcessKey], since: float) -> Iterator[Segment]:
    """Saved segments of processes in `alive` with points after `since`, oldest first.

    Damaged and foreign records are passed over: what was forgotten is learnt again.
    Raises JournalError where the journal cannot be read.
    """
    for entry in read(path):
        segment = _segment(entry.data)
        if segment is not None and segment.process in alive and segment.times[-1] >= since:
            yield segment


def _record(segment: Segment) -> dict[str, object]:
    return {
        "schema": SEGMENT_SCHEMA,
        "boot_id": segment.process.boot_id,
        "pid": segment.process.pid,
        "start_ticks": segment.process.start_ticks,
        "times": [round(at, 3) for at in segment.times],
        "memory_bytes": [int(value) for value in segment.values],
    }


def _segment(data: dict[str, object]) -> Segment | None:
    boot_id, pid, start_ticks = data.get("boot_id"), data.get("pid"), data.get("start_ticks")
    times, values = _numbers(data.get("times")), _numbers(data.get("memory_bytes"))
    if (
        data.get("schema") != SEGMENT_SCHEMA
        or not isinstance(boot_id, str)
        or not isinstance(pid, int)
        or not isinstance(start_ticks, int)
        or not times
        or len(times) != len(values)
    ):
        return None
    process = ProcessKey(boot_id=boot_id, pid=pid, start_ticks=start_ticks)
    return Segment(process, times, values)


def _numbers(data: object) -> "array[float]":
    """The list of numbers in `data`; empty where it is anything else."""
    if not isinstance(data, list) or len(data) > POINTS_MAX:
        return array("d")
    items: Iterable[object] = data
    if not all(isinstance(item, int | float) for item in items):
        return array("d")
    return array("d", data)

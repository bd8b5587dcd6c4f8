"""The agent's events on their way to the incident side: on disk before they count as told.

A disk that is full or gone does not stop the agent: the events wait here, bounded, are tried
again, and what had to be dropped is counted.
"""

from collections import deque
from collections.abc import Iterable

from forestall.clock import Clock
from forestall.errors import JournalError
from forestall.journal import Journal
from forestall.model.codec import to_document
from forestall.model.event import TimelineEvent
from forestall.units import MIB

SPOOL_FILE = "spool.journal"
SPOOL_BYTES_MAX = 4 * MIB
SPOOL_SEGMENTS_KEPT = 3
PENDING_MAX = 256
RETRY_SECONDS = 10.0


class Spool:
    """Writes events to the journal at `path`; None keeps nothing and forgets them at once.

    `error_count` counts failed attempts, `lost_count` events that were dropped while waiting,
    `problem` is the present failure in words.
    """

    def __init__(self, path: str | None, clock: Clock, *, bytes_max: int = SPOOL_BYTES_MAX) -> None:
        self.path = path
        self._clock = clock
        self._bytes_max = bytes_max
        self._journal: Journal | None = None
        self._pending: deque[TimelineEvent] = deque()
        self._retry_at = float("-inf")
        self.error_count = 0
        self.lost_count = 0
        self.problem: str | None = None

    @property
    def pending_count(self) -> int:
        return len(self._pending)

    def add(self, events: Iterable[TimelineEvent]) -> None:
        """Make events durable now, or keep them for the next attempt."""
        if self.path is None:
            return
        added = False
        for event in events:
            added = True
            if len(self._pending) >= PENDING_MAX:
                self._pending.popleft()
                self.lost_count += 1
            self._pending.append(event)
        if added:
            self.flush()

    def flush(self) -> None:
        """Try to write what waits; after a failure not before RETRY_SECONDS are over."""
        if not self._pending or self._clock.monotonic() < self._retry_at:
            return
        try:
            if self._journal is None:
                assert self.path is not None
                self._journal = Journal(
                    self.path, max_bytes=self._bytes_max, keep_segments=SPOOL_SEGMENTS_KEPT
                )
            self._journal.append_all(to_document(event) for event in self._pending)
        except JournalError as error:
            self._fail(error)
            return
        self._pending.clear()
        self.problem = None

    def close(self) -> None:
        """A last attempt for what waits, then give the journal back."""
        self._retry_at = float("-inf")
        self.flush()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _fail(self, error: JournalError) -> None:
        self.error_count += 1
        self.problem = error.message
        self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        # A journal that failed may refuse every further record; opening it again recovers it.
        if self._journal is not None:
            self._journal.close()
            self._journal = None

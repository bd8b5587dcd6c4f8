"""Readiness: a write that was really committed, and not long ago."""

import threading
import time
from dataclasses import dataclass

from cims.store import NotAvailable, Refused, Store

# However many ask, the database is written to this often at most.
KEEP_SECONDS = 1.0
WHY = {"25006": "read-only", "42P01": "the schema is missing"}
WRITE = "UPDATE heartbeat SET at = clock_timestamp() WHERE id = 1 RETURNING at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the primary took a write; `why` when it did not."""

    ready: bool
    why: str | None
    seconds: float


class Probe:
    """Writes one row with a time-out. A commit that waits for a missing standby is not ready."""

    def __init__(self, dsn: str, *, seconds: float) -> None:
        self._store = Store(dsn, connections=1, attempt_seconds=seconds, name="cims-probe")
        self._lock = threading.Lock()
        self._last: Readiness | None = None
        self._at = 0.0

    def look(self) -> Readiness:
        """The last answer if it is fresh, else a new one; one probe runs at a time."""
        with self._lock:
            if self._last is None or time.monotonic() - self._at > KEEP_SECONDS:
                self._last = self._write()
                self._at = time.monotonic()
            return self._last

    def close(self) -> None:
        """Give the connection back."""
        self._store.close()

    def _write(self) -> Readiness:
        began = time.monotonic()
        why = None
        try:
            if not self._store.call(WRITE):
                why = "the schema is empty"
        except NotAvailable as error:
            why = WHY.get(error.sqlstate or "", "no write in time")
        except Refused as error:
            why = str(error)
        return Readiness(ready=why is None, why=why, seconds=time.monotonic() - began)

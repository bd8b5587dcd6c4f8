"""What goes on while a drill runs: clients that order, a warehouse that ships, feeds of regions."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from cims.load.by_sql import SqlShop
from cims.load.history import History
from cims.load.run import Plan, Run
from cims.load.workload import Workload
from cims.store import NotAvailable, Refused, Store
from drills.replay import flow
from drills.replay.timeline import Timeline

END_SECONDS = 30.0
SHIP_LOOK_SECONDS = 0.5
SHIP_AT_ONCE = 200
CARRIER = "drill"

_DUE = (
    "SELECT idem_key FROM sales_order WHERE status = 'open' AND warehouse_id = %s AND placed_at <"
    " clock_timestamp() - make_interval(secs => %s) ORDER BY placed_at LIMIT %s"
)
# The key of a shipment is made from its order's: sent again after doubt it is the same shipment.
_SHIP = "SELECT ship(md5('ship ' || %s)::uuid, %s::uuid, NULL, NULL, %s) AS done"


class Clients(threading.Thread):
    """The order clients, through the pooler, at a steady flow; `history` is what they were told."""

    def __init__(self, dsn: str, history: Path, timeline: Timeline, catalogue: Workload) -> None:
        super().__init__(name="clients", daemon=True)
        self._history = History(str(history))
        self._run = Run(
            Plan(
                clients=flow.CLIENTS,
                seconds=24 * 3600.0,
                rate=flow.orders_per_wall_second(timeline),
                rule=flow.rule(timeline),
            ),
            catalogue,
            [SqlShop(dsn, prepare=False) for _ in range(flow.CLIENTS)],
            self._history,
        )
        self.error: BaseException | None = None

    @property
    def acknowledged(self) -> int:
        """How many orders were acknowledged so far."""
        return self._run.progress.acknowledged

    @property
    def unanswered(self) -> int:
        """How many were given up or refused so far."""
        return self._run.progress.unanswered

    def run(self) -> None:
        """Order until stopped."""
        try:
            asyncio.run(self._run.run())
        except Exception as error:  # noqa: BLE001 - it is raised again by whoever joins
            self.error = error

    def stop(self) -> None:
        """Take no more orders."""
        self._run.stop()

    def finish(self, seconds: float) -> None:
        """Take no more orders; wait until those being placed came to their end."""
        self.stop()
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError(f"the clients did not come to an end within {seconds:.0f} s")
        self._history.close()
        if self.error is not None:
            raise self.error


class Warehouse(threading.Thread):
    """Ships each of its orders PICK_SECONDS (of the seed's clock) after it was taken, in turn."""

    def __init__(self, number: int, dsn: str, timeline: Timeline) -> None:
        super().__init__(name=f"warehouse {number}", daemon=True)
        self._number = number
        self._store = Store(dsn, connections=1, attempt_seconds=flow.ATTEMPT_WALL_SECONDS)
        self._pick_wall = timeline.wall(flow.PICK_SECONDS)
        self._stopping = threading.Event()
        self.shipped = 0

    def run(self) -> None:
        """Ship until stopped."""
        while not self._stopping.is_set():
            try:
                due = self._store.call(_DUE, (self._number, self._pick_wall, SHIP_AT_ONCE))
                for row in due:
                    key = str(row["idem_key"])
                    self._store.call(_SHIP, (key, key, CARRIER))
                    self.shipped += 1
                    if self._stopping.is_set():
                        return
                if len(due) == SHIP_AT_ONCE:
                    continue
            except (NotAvailable, Refused):
                # No answer now, or shipped by an attempt whose answer was lost: looked at again.
                pass
            self._stopping.wait(SHIP_LOOK_SECONDS)

    def finish(self) -> None:
        """End after the shipment under way."""
        self._stopping.set()
        self.join(END_SECONDS)
        self._store.close()


@contextlib.contextmanager
def feeds(dsn: str, log: Path) -> Iterator[str]:
    """The feeds of the regions in a process of their own; yields their address."""
    words = [sys.executable, "-m", "drills.replay.feeds", dsn]
    with open(log, "wb") as said:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        port = process.stdout.readline(16).strip()
        if not port.isdigit():
            raise RuntimeError(f"the feeds did not start: see {log}")
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        # It ends with its standard input, also when this process is killed.
        process.stdin.close()
        process.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5.0)
        process.kill()
        process.wait()


def wall(started: float) -> float:
    """Seconds since `started` on the monotonic clock."""
    return time.monotonic() - started

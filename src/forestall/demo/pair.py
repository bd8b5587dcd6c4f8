"""The database beside the demo's service: a PostgreSQL pair with failover, and a client of it.

It is that of the drills, so it is played from a checkout, and where its wheels are installed
(`forestall[pair]`). Elsewhere the demo goes without, and says why.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import forestall
from forestall.demo.limit import Cage
from forestall.errors import ForestallError
from forestall.guard.database import DatabaseAccess
from forestall.guard.wire.patroni import Access

if TYPE_CHECKING:
    from drills.cluster.pair import Pair
    from drills.cluster.writer import Writer

PART = "database"
"""The cgroup of the primary inside the limit that it shares with the leaking service."""
CLIENTS = 2
PAUSE_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the clients of the database saw. `unknown`: the answer never came.

    `primary_after` None = there is none.
    """

    primary_before: str
    primary_after: str | None
    acknowledged: int
    refused: int
    unknown: int
    lost: int
    longest_gap_seconds: float

    @property
    def moved(self) -> bool:
        return self.primary_after not in (None, self.primary_before)


class Database:
    """The pair as it runs, with clients that write one order after another."""

    def __init__(self, pair: "Pair", writer: "Writer") -> None:
        self._pair = pair
        self._writer = writer
        self._since = time.monotonic()
        self._primary = pair.primary().name
        own, peer = pair.node(self._primary), pair.replica()
        self.access = DatabaseAccess(
            scope=pair.scope,
            own=own.name,
            url=own.url,
            peers=(peer.url,),
            rest=Access(user=pair.rest_user, password_file=str(pair.password_file())),
        )

    def orders(self) -> Orders:
        """What the clients saw until now. Raises ForestallError where the pair does not answer."""
        import psycopg

        seen = self._writer.figures(self._since)
        primary = self._pair.find_primary()
        try:
            lost = len(self._writer.lost(self._pair.dsn()))
        except psycopg.Error as error:
            said = str(error).splitlines()[0]
            raise ForestallError(f"the demo's database does not answer any more: {said}") from None
        return Orders(
            primary_before=self._primary,
            primary_after=primary.name if primary is not None else None,
            acknowledged=seen.acknowledged,
            refused=seen.refused,
            unknown=seen.unknown,
            lost=lost,
            longest_gap_seconds=seen.longest_gap_seconds,
        )


@contextmanager
def beside(cage: Cage, progress: Callable[[str], None]) -> Iterator[Database | str]:
    """A pair whose primary is under the limit too; or why there is none, in words."""
    with ExitStack() as stack:
        yield _start(cage, progress, stack)


def _start(cage: Cage, progress: Callable[[str], None], stack: ExitStack) -> Database | str:
    root = Path(forestall.__file__).parents[2]
    if not (root / "drills" / "cluster" / "pair.py").is_file():
        return "it is played from a checkout"
    path = sys.path
    # Last, so that nothing else is hidden by what lies there.
    sys.path = [*path, str(root)]
    try:
        import psycopg
        from drills.cluster.cluster import ClusterError
        from drills.cluster.pair import Pair
        from drills.cluster.programs import MissingError
        from drills.cluster.writer import Writer, make_table
    except ImportError as error:
        return f"{error.name} is not installed: pip install 'forestall[pair]'"
    finally:
        sys.path = path

    def admit(pid: int) -> None:
        if cage.real:
            cage.admit(pid, PART)

    try:
        pair = stack.enter_context(Pair(admit=admit, progress=progress))
        make_table(pair.dsn())
        writer = Writer(pair.dsn(), threads=CLIENTS, pause_seconds=PAUSE_SECONDS)
        return Database(pair, stack.enter_context(writer))
    except (MissingError, ClusterError, OSError, psycopg.Error) as error:
        return str(error).splitlines()[0]

"""pgbouncer: its admin console, asked by simple queries.

What is sent is fixed here: SHOW, PAUSE and RESUME, and nothing that ends or forgets a client.
"""

from forestall.guard.wire.endpoint import Endpoint, RefusedError, WireError
from forestall.guard.wire.postgres import Postgres, Row
from forestall.guard.wire.stream import TIMEOUT_SECONDS

CONSOLE = "pgbouncer"
NOT_PAUSED = "not paused"
ALREADY = "already"


class Pgbouncer:
    """The admin console at `endpoint`, as `user`. Raises WireError, RefusedError for its own no.

    PAUSE holds its connection until every transaction has ended: RESUME, which must not wait for
    that, belongs on a second one.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        user: str = CONSOLE,
        password_file: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._console = Postgres(
            endpoint,
            "pgbouncer",
            database=CONSOLE,
            user=user,
            password_file=password_file,
            timeout_seconds=timeout_seconds,
        )

    @property
    def name(self) -> str:
        return self._console.name

    def connect(self) -> None:
        """Log in ahead of time."""
        self._console.connect()

    def ping(self) -> str:
        """The version of the console that answers."""
        rows = self._console.query("SHOW VERSION")
        return next((value or "" for row in rows for value in row.values()), "")

    def databases(self) -> tuple[Row, ...]:
        """SHOW DATABASES: name, host, port, pool_mode, paused, current_connections and more."""
        return self._console.query("SHOW DATABASES")

    def pool_mode(self) -> str:
        """The pool mode of databases that state none: session, transaction or statement."""
        rows = self._console.query("SHOW CONFIG")
        found = (row.get("value") for row in rows if row.get("key") == "pool_mode")
        return next((mode for mode in found if mode), "session")

    def pause(self, database: str | None, *, seconds: float) -> None:
        """PAUSE one database, or all; ends when no transaction runs. One that is paused stays so.

        Raises WireError after `seconds`; the pause then still stands, until `resume`.
        """
        self._settle(f"PAUSE{_quoted(database)}", ALREADY, seconds)

    def resume(self, database: str | None, *, seconds: float | None = None) -> None:
        """RESUME one database, or all. One that is not paused is no fault."""
        self._settle(f"RESUME{_quoted(database)}", NOT_PAUSED, seconds)

    def close(self) -> None:
        """Let go of the connection."""
        self._console.close()

    def _settle(self, command: str, fine: str, seconds: float | None) -> None:
        try:
            self._console.query(command, seconds=seconds)
        except RefusedError as error:
            if fine not in error.message:
                raise


def _quoted(database: str | None) -> str:
    if database is None:
        return ""
    if (
        not database
        or not database.isprintable()
        or set(database) & set("\"'\\;")
        or len(database) > 63
    ):
        raise WireError(f"not a database of pgbouncer: {database!r}")
    return f' "{database}"'

"""pgbouncer's admin console, as the drill uses it: hold the writes, let them go.

The console speaks the simple protocol alone, so the statements go past psycopg's cursors.
"""

from __future__ import annotations

import time

from psycopg import conninfo, pq


class PoolerError(Exception):
    """pgbouncer refused or did not answer in time."""


class Pooler:
    """The admin console of one pgbouncer."""

    def __init__(self, *, host: str, port: int, user: str, password: str, database: str) -> None:
        self.host, self.port, self.user, self.password = host, port, user, password
        self.database = database
        self._dsn = conninfo.make_conninfo(
            host=host,
            port=port,
            user=user,
            password=password,
            dbname="pgbouncer",
            connect_timeout=3,
            sslmode="disable",
            gssencmode="disable",
        )

    def pause(self, seconds: float) -> None:
        """Hold new transactions and wait for the open ones, at most so long; else none is held."""
        connection = self._connect()
        try:
            connection.send_query(f"PAUSE {self.database}".encode())
            until = time.monotonic() + seconds
            while True:
                connection.consume_input()
                if not connection.is_busy():
                    break
                if time.monotonic() > until:
                    raise PoolerError(f"PAUSE took longer than {seconds:.0f} s")
                time.sleep(0.005)
            self._check(connection.get_result())
        except BaseException:
            connection.finish()
            self.resume()
            raise
        connection.finish()

    def resume(self) -> None:
        """Let them go; fine when nothing is held."""
        if self.paused:
            self.ask(f"RESUME {self.database}")

    @property
    def paused(self) -> bool:
        """Whether the orders' database is held (or about to be)."""
        rows = self.ask("SHOW DATABASES")
        return any(row["name"] == self.database and row["paused"] == "1" for row in rows)

    def ask(self, statement: str) -> list[dict[str, str]]:
        """One statement of the console; its rows by column."""
        connection = self._connect()
        try:
            result = connection.exec_(statement.encode())
            self._check(result)
            names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
            return [
                {
                    name: (result.get_value(row, column) or b"").decode()
                    for column, name in enumerate(names)
                }
                for row in range(result.ntuples)
            ]
        finally:
            connection.finish()

    def _connect(self) -> pq.abc.PGconn:
        connection = pq.PGconn.connect(self._dsn.encode())
        if connection.status != pq.ConnStatus.OK:
            why = connection.error_message.decode(errors="replace").strip()
            raise PoolerError(f"pgbouncer's console: {why}")
        return connection

    @staticmethod
    def _check(result: pq.abc.PGresult | None) -> None:
        if result is None or result.status not in (
            pq.ExecStatus.COMMAND_OK,
            pq.ExecStatus.TUPLES_OK,
        ):
            why = "" if result is None else result.error_message.decode(errors="replace").strip()
            raise PoolerError(f"pgbouncer refused: {why}")

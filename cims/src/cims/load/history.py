"""What clients did and were told, one JSON object a line, written before and after each call.

start   who writes: format, pid, the times both clocks showed
invoke  about to be sent for the first time: key, warehouse, lines, requested_at
info    an attempt ended in doubt: key, why
ok      answered: key, order_id, outcome, replayed, short_sku
fail    definitely not taken, or never sent: key, why
end     nothing follows

`mono` is the host's monotonic clock and orders the lines of all clients of one host; `wall` is
seconds since 1970. A key without `ok` or `fail` is unknown, and may be in the database or not.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cims.errors import CimsError
from cims.load.order import Answer, Order

FORMAT = 1
MOST_LINE_BYTES = 1024 * 1024
KINDS = frozenset(("start", "invoke", "info", "ok", "fail", "end"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a history; `data` holds what its kind adds."""

    kind: str
    client: int
    mono: float
    wall: float
    key: str
    data: dict[str, Any]


class History:
    """Appends to `path`. Each line is handed to the kernel at once, so it outlives this process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._write("start", 0, {"format": FORMAT, "pid": os.getpid()})

    def invoke(self, client: int, order: Order) -> float:
        """Write that this order is about to be sent; answers the monotonic time."""
        told = {
            "key": str(order.key),
            "warehouse": order.warehouse,
            "lines": order.lines,
            "requested_at": order.requested_at,
        }
        return self._write("invoke", client, told)

    def info(self, client: int, order: Order, why: str) -> float:
        """Write that an attempt ended in doubt."""
        return self._write("info", client, {"key": str(order.key), "why": why})

    def ok(self, client: int, order: Order, answer: Answer) -> float:
        """Write what the client was told."""
        told = {
            "key": str(order.key),
            "order_id": answer.order_id,
            "outcome": answer.outcome,
            "replayed": answer.replayed,
            "short_sku": answer.short_sku,
        }
        return self._write("ok", client, told)

    def fail(self, client: int, order: Order, why: str) -> float:
        """Write that the order was definitely not taken."""
        return self._write("fail", client, {"key": str(order.key), "why": why})

    def close(self) -> None:
        """Write the end and close."""
        self._write("end", 0, {})
        os.close(self._fd)

    def _write(self, kind: str, client: int, told: dict[str, Any]) -> float:
        mono = time.monotonic()
        line = {"type": kind, "client": client, "mono": mono, "wall": time.time(), **told}
        text = json.dumps(line, separators=(",", ":")) + "\n"
        os.write(self._fd, text.encode())
        return mono


def read(path: str) -> Iterator[Record]:
    """The lines of a history. A torn last line is what a killed client leaves, and is left out."""
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise CimsError(f"{path}: {error.strerror}", help="name a file `cims load` wrote") from None
    with file:
        number = 0
        while line := file.readline(MOST_LINE_BYTES):
            number += 1
            if not line.endswith(b"\n"):
                if file.read(1):
                    raise CimsError(f"{path}:{number}: longer than {MOST_LINE_BYTES} bytes")
                return
            yield _record(path, number, line)


def _record(path: str, number: int, line: bytes) -> Record:
    try:
        told = json.loads(line)
        kind = told.pop("type")
        record = Record(
            kind=kind,
            client=int(told.pop("client")),
            mono=float(told.pop("mono")),
            wall=float(told.pop("wall")),
            key=str(told.pop("key", "")),
            data=told,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CimsError(f"{path}:{number}: not a line of a history") from None
    if kind not in KINDS or (kind == "start" and record.data.get("format") != FORMAT):
        raise CimsError(f"{path}:{number}: {kind!r} of a format this version does not know")
    return record

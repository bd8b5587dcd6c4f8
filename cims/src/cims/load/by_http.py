"""Orders over the REST API: POST /v1/orders with an Idempotency-Key, on one kept connection."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cims.errors import UsageError
from cims.load.order import Answer, Order, Refused, Unknown

MOST_BODY_BYTES = 1024 * 1024
_ANSWERS = (200, 201, 409)
_REFUSALS = (400, 401, 403, 404, 405, 413, 415, 422)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """The words the API knows warehouses and SKUs by, for the numbers the database does."""

    warehouses: Mapping[int, str]
    skus: Mapping[int, str]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, warehouses: Mapping[int, str], skus: Mapping[int, str]) -> "Codes":
        """Both, and the way back for SKUs."""
        numbers = {code: number for number, code in skus.items()}
        return cls(warehouses=warehouses, skus=skus, numbers=numbers)


class HttpShop:
    """One connection to the API at `address` (http://HOST:PORT)."""

    def __init__(self, address: str, token: str, codes: Codes) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or parts.hostname is None:
            raise UsageError(
                f"the API {address!r} is no address", help="like http://127.0.0.1:8080"
            )
        self._host, self._port = parts.hostname, parts.port or 80
        self._token = token
        self._codes = codes
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def place(self, order: Order, seconds: float) -> Answer:
        """Send the order once."""
        try:
            async with asyncio.timeout(seconds):
                status, told = await self._exchange(self._request(order))
        except TimeoutError:
            raise Unknown(f"no answer within {seconds:.3g} s") from None
        except (OSError, ValueError, EOFError, asyncio.IncompleteReadError) as error:
            raise Unknown(f"{type(error).__name__}: {error}") from None
        if status in _REFUSALS:
            raise Refused(f"{status} {json.dumps(told)[:200]}")
        if status not in _ANSWERS:
            raise Unknown(f"{status} {json.dumps(told)[:200]}")
        return self._answer(status, told)

    async def drop(self) -> None:
        """Close the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()
            # The transport closes its socket in the loop's next round.
            await asyncio.sleep(0)

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, Any]]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(request)
        await writer.drain()
        opening = (await reader.readline()).split(b" ", 2)
        if len(opening) < 2:
            raise EOFError("closed before an answer")
        status = int(opening[1])
        length, close = 0, False
        while (line := await reader.readline()).strip():
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "content-length":
                length = int(value)
            close = close or (name.lower() == "connection" and value.strip().lower() == "close")
        if not 0 < length <= MOST_BODY_BYTES:
            raise ValueError(f"an answer of {length} bytes")
        told = json.loads(await reader.readexactly(length))
        if close:
            await self.drop()
        if not isinstance(told, dict):
            raise ValueError("an answer that is no object")
        return status, told

    def _request(self, order: Order) -> bytes:
        codes = self._codes
        told = {
            "warehouse": codes.warehouses[order.warehouse],
            "lines": [{"sku": codes.skus[sku], "qty": quantity} for sku, quantity in order.lines],
            "requested_at": datetime.fromtimestamp(order.requested_at, UTC).isoformat(),
        }
        body = json.dumps(told).encode()
        head = (
            f"POST /v1/orders HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Authorization: Bearer {self._token}\r\nIdempotency-Key: {order.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _answer(self, status: int, told: dict[str, Any]) -> Answer:
        try:
            short = told["error"] if status == 409 else None
            found = told if short is None else short
            return Answer(
                order_id=int(found["order_id"]),
                outcome="accepted" if short is None else "rejected",
                replayed=bool(found["replayed"]),
                short_sku=None if short is None else self._codes.numbers[short["sku"]],
            )
        except (KeyError, TypeError, ValueError):
            raise Unknown(f"an answer that is not understood: {json.dumps(told)[:200]}") from None

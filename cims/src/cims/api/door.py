"""What every request passes before anything reads it: who asks, and how much is sent."""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from cims.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN = frozenset({"/healthz", "/readyz"})
# A browser cannot be told a bearer token; there the token is the password of any user name.
PAGES = frozenset({"/"})


class Door:
    """ASGI middleware: 401 without a known token, 413 over the limit, 408 for a slow body."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        path = str(scope["path"])
        if path not in OPEN and not self._may_enter(headers.get(b"authorization", b""), path):
            scheme = "Basic" if path in PAGES else "Bearer"
            await _refuse(
                send, 401, "token", "a known token is needed", {"www-authenticate": scheme}
            )
            return
        limit = self._settings.body_bytes
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _refuse(send, 413, "too-large", f"a body has at most {limit} bytes")
            return
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                body = await _read(receive, limit)
        except TimeoutError:
            await _refuse(send, 408, "too-slow", "the body did not arrive in time")
            return
        if body is None:
            await _refuse(send, 413, "too-large", f"a body has at most {limit} bytes")
            return
        await self._app(scope, _replay(body, receive), send)

    def _may_enter(self, header: bytes, path: str) -> bool:
        if not self._settings.token_hashes:
            return True
        scheme, _, value = header.decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            return self._settings.knows(value.strip())
        if scheme.lower() == "basic" and path in PAGES:
            try:
                _, _, password = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return self._settings.knows(password)
        return False


async def _read(receive: Receive, limit: int) -> bytes | None:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # The client went away; the application will be told so as well.
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _refuse(
    send: Send, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> None:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    if status in (408, 413):
        # What was not read would be taken for the next request.
        told["connection"] = "close"
    pairs = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})

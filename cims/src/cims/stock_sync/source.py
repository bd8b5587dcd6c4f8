"""Where pages come from: a feed over HTTP, or one made in this process."""

import asyncio
import http.client
import time
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from cims.errors import UsageError
from cims.stock_sync.feed import Feed
from cims.stock_sync.update import Page, page_from_json

MOST_BODY_BYTES = 16 * 1024 * 1024
TIMEOUT_SECONDS = 5.0


class SourceError(Exception):
    """A feed did not answer, or answered what is no page. Asking again later is right."""


class Source(Protocol):
    """A region's pages. SourceError when there is none this time."""

    async def page(self, region: str, *, after: int, offset: int, updates: int) -> Page:
        """The page after batch `after`, with `updates` updates from number `offset`."""
        ...


class LocalSource:
    """Feeds made in this process, for trials without a network."""

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds = feeds

    async def page(self, region: str, *, after: int, offset: int, updates: int) -> Page:
        """The page after batch `after`, with `updates` updates from number `offset`."""
        return self._feeds[region].page(
            after=after, offset=offset, updates=updates, now=time.time()
        )


class HttpSource:
    """Feeds at `address` (http://HOST:PORT), one kept connection a region."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme != "http" or parts.hostname is None:
            raise UsageError(
                f"the feed {address!r} is no address", help="like http://127.0.0.1:8090"
            )
        self._host, self._port = parts.hostname, parts.port or 80
        self._kept: dict[str, http.client.HTTPConnection] = {}

    async def page(self, region: str, *, after: int, offset: int, updates: int) -> Page:
        """The page after batch `after`, with `updates` updates from number `offset`."""
        path = f"/v1/feeds/{region}?after={after}&offset={offset}&updates={updates}"
        body = await asyncio.to_thread(self._get, region, path)
        try:
            return page_from_json(body)
        except (ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{region}: the feed sent no page: {error}") from None

    def _get(self, region: str, path: str) -> bytes:
        connection = self._kept.pop(region, None) or http.client.HTTPConnection(
            self._host, self._port, timeout=TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(MOST_BODY_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise SourceError(f"{region}: the feed does not answer: {error}") from None
        if answer.status != 200 or len(body) > MOST_BODY_BYTES:
            connection.close()
            raise SourceError(f"{region}: the feed answered {answer.status}, {len(body)} bytes")
        self._kept[region] = connection
        return body

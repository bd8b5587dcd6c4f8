"""A region's feed over HTTP: GET /v1/feeds/REGION?after=SEQ&offset=N&updates=N."""

import json
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from cims.stock_sync.feed import Feed, page_to_json

REQUEST_TIMEOUT_SECONDS = 30.0
_MOST_DIGITS = 15


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection; the feeds are the server's."""

    feeds: ClassVar[Mapping[str, Feed]] = {}
    protocol_version = "HTTP/1.1"
    # A page is sent after its header; with Nagle's algorithm it would wait for the acknowledgement.
    disable_nagle_algorithm = True
    timeout = REQUEST_TIMEOUT_SECONDS
    server_version = "cims-feed"

    def do_GET(self) -> None:
        """Answer a page, or say in one line what is wrong."""
        asked = urlsplit(self.path)
        feed = self.feeds.get(asked.path.removeprefix("/v1/feeds/"))
        if not asked.path.startswith("/v1/feeds/") or feed is None:
            self._answer(404, {"error": f"no such feed; there are {', '.join(self.feeds)}"})
            return
        try:
            numbers = _numbers(asked.query)
        except ValueError as error:
            self._answer(400, {"error": str(error)})
            return
        page = feed.page(
            after=numbers["after"],
            offset=numbers["offset"],
            updates=numbers["updates"],
            now=time.time(),
        )
        self._answer(200, page_to_json(page))

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a feed answers many times a second."""

    def _answer(self, status: int, told: Mapping[str, object]) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _numbers(query: str) -> dict[str, int]:
    found = {"after": 0, "offset": 0, "updates": 0}
    for name, values in parse_qs(query, max_num_fields=8).items():
        if name not in found or not values[-1].isdecimal() or len(values[-1]) > _MOST_DIGITS:
            raise ValueError(
                f"{name}={values[-1][:40]}: after, offset and updates are numbers >= 0"
            )
        found[name] = int(values[-1])
    return found


class FeedServer(ThreadingHTTPServer):
    """Serves the feeds on `address`; port 0 takes a free one, and `server_port` tells which."""

    daemon_threads = True

    def __init__(self, feeds: Mapping[str, Feed], address: tuple[str, int]) -> None:
        handler = type("_Handler", (_Handler,), {"feeds": dict(feeds)})
        super().__init__(address, handler)

"""`feed-sync`: the custom service of the demo. It applies inventory feeds of three regions.

It is a real process with a real mistake in it: every parsed feed is kept in a cache keyed by the
request's id, and no request id ever comes twice. `fixed` keys the same cache by what is asked
for, so that it warms up and then stays as it is. With `PARENT` it ends when that process does.

usage: python -m forestall.demo.feed_sync NAME REQUESTS_PER_SECOND leaky|fixed [PARENT]
"""

import json
import os
import signal
import sys
import time

REGIONS = ("USA", "EMEA", "APAC")
SKUS = 12_000
PAGE_SKUS = 120


def fetch(region: str, page: int, request: int) -> bytes:
    """The body of one feed page: the stock levels of `PAGE_SKUS` articles of a region."""
    first = page * PAGE_SKUS
    rows = [
        {"sku": f"SKU-{first + i:05d}", "level": (request * 31 + i) % 500, "region": region}
        for i in range(PAGE_SKUS)
    ]
    return json.dumps({"request": request, "region": region, "rows": rows}).encode()


class FeedSync:
    """Applies feed pages to stock levels; `cache` saves parsing a page that was seen before."""

    def __init__(self, *, fixed: bool) -> None:
        self.fixed = fixed
        self.levels: dict[tuple[str, str], int] = {}
        self.cache: dict[object, object] = {}

    def handle(self, request: int) -> None:
        """Serve one request: find the page in the cache or parse it, then apply it."""
        region = REGIONS[request % len(REGIONS)]
        page = request // len(REGIONS) % (SKUS // PAGE_SKUS)
        key: object = (region, page) if self.fixed else f"{region}-{request}"
        feed = self.cache.get(key)
        if feed is None:
            feed = self.cache[key] = json.loads(fetch(region, page, request))
        for row in feed["rows"]:  # type: ignore[index]
            self.levels[row["region"], row["sku"]] = row["level"]


def main(name: str, requests_per_second: float, *, fixed: bool, parent: int | None) -> None:
    """Serve until SIGTERM or the end of process `parent`, at a steady pace of wall time."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The kernel's name of a process is what a person sees in ps; all of Python would be "python3".
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(name)
    service = FeedSync(fixed=fixed)
    started = time.monotonic()
    request = 0
    # A demo that was killed cannot end its services, and this one would leak on without limit.
    while parent is None or os.getppid() == parent:
        service.handle(request)
        request += 1
        time.sleep(max(0.0, started + request / requests_per_second - time.monotonic()))


if __name__ == "__main__":
    main(
        sys.argv[1],
        float(sys.argv[2]),
        fixed=sys.argv[3] == "fixed",
        parent=int(sys.argv[4]) if len(sys.argv) > 4 else None,
    )

"""`inventory-sync`, the leaking service: it applies the inventory feeds of three regions.

The mistake is real and common: each feed page is kept in a cache keyed by the request's id, and
no request id ever comes twice.

usage: python3 inventory_sync.py BYTES_PER_SECOND
"""

import json
import os
import sys
import time

NAME = "inventory-sync"
REGIONS = ("USA", "EMEA", "APAC")
PAGE_BYTES = 512 * 1024
PAGE_SKUS = 16


def fetch(request, padding):
    """The body of one feed page: a head that is read, and the long tail of what a feed carries."""
    rows = [
        [f"SKU-{(request * PAGE_SKUS + i) % 12_000:05d}", request % 500] for i in range(PAGE_SKUS)
    ]
    head = json.dumps({"request": request, "rows": rows}).encode()
    return head + b"\n" + padding[: PAGE_BYTES - len(head) - 1]


def main(bytes_per_second):
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(NAME)
    padding = bytes(range(256)) * (PAGE_BYTES // 256)
    levels, cache = {}, {}
    port = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    began = time.monotonic()
    told = json.dumps({"event": "serving", "at": round(began, 3), "pid": os.getpid()})
    os.write(port, told.encode() + b"\n")
    request = 0
    while True:
        region = REGIONS[request % len(REGIONS)]
        key = f"{region}-{request}"
        page = cache.get(key)
        if page is None:
            page = cache[key] = fetch(request, padding)
        for sku, level in json.loads(page[: page.index(b"\n")])["rows"]:
            levels[region, sku] = level
        request += 1
        time.sleep(max(0.0, began + request * PAGE_BYTES / bytes_per_second - time.monotonic()))


if __name__ == "__main__":
    main(float(sys.argv[1]))

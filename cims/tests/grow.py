"""Run as a process of its own: how much a part of stock-sync grows, in resident bytes an update.

usage: python grow.py KIND broken|fixed UPDATES
"""

import asyncio
import ctypes
import gc
import json
import os
import sys

from cims.stock_sync.feed import Catalogue, Feed
from cims.stock_sync.leaks.kinds import BY_NAME

ROUNDS = 4


def resident_bytes() -> int:
    """The process's resident memory, after the C library gave back what it can."""
    gc.collect() if gc.isenabled() else None
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no such line")


async def grow(kind: str, state: str, updates: int) -> list[int]:
    """Resident bytes after each of ROUNDS rounds of `updates`, the first to warm up."""
    places = {"USA": [1, 2], "EMEA": [3, 4], "APAC": [5, 6]}
    catalogue = Catalogue(warehouses=places, skus=range(1, 12_001))
    feeds = [Feed(region=region, seed=1, catalogue=catalogue, started_at=0.0) for region in places]
    found = BY_NAME[kind]
    step = found.broken() if state == "broken" else found.fixed()
    levels = []
    number = 0
    for _ in range(ROUNDS):
        for _ in range(updates):
            step.handle(feeds[number % 3].update(number))
            number += 1
            if number % 100 == 0:
                await asyncio.sleep(0)
        # What is waited for with a limit has ended by then.
        await asyncio.sleep(0.4)
        levels.append(resident_bytes())
    return levels


if __name__ == "__main__":
    kind, state, updates = sys.argv[1], sys.argv[2], int(sys.argv[3])
    levels = asyncio.run(grow(kind, state, updates))
    print(json.dumps({"levels": levels, "pid": os.getpid()}))
    sys.stdout.flush()
    # Whatever was kept is not worth the time to take apart.
    os._exit(0)

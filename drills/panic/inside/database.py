"""`postgres`, a stand-in for the database beside the leak: innocent, and always asking for memory.

It is not PostgreSQL. Like backends that sort in their work_mem, its processes take a little
memory, use it and give it back, many times a second. So one of them is likely to be the one that
asks when none is left, and the kernel's log opens with the name of who asked. Each second they
tell the longest time between two sorts, which is how long a client would have waited.
"""

import json
import mmap
import os
import time

NAME = "postgres"
WORK_BYTES = 4 * 1024 * 1024
SORTS_PER_SECOND = 10
BACKENDS = 4


def main():
    with open("/proc/self/comm", "w", encoding="ascii") as comm:
        comm.write(NAME)
    # Started one after the other, so that they do not all ask at once.
    for _ in range(BACKENDS - 1):
        if os.fork() == 0:
            break
        time.sleep(1 / SORTS_PER_SECOND / BACKENDS)
    port = os.open("/dev/ttyS1", os.O_WRONLY | os.O_NOCTTY)
    rows = b"\xa5" * WORK_BYTES
    told_at = last = time.monotonic()
    longest, count = 0.0, 0
    while True:
        # By mmap, because malloc would keep what it was given back, and never ask again.
        with mmap.mmap(-1, WORK_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as work:
            work.write(rows)
        now = time.monotonic()
        longest, count, last = max(longest, now - last), count + 1, now
        if now - told_at >= 1.0:
            event = {"event": "sorts", "at": round(now, 3), "count": count}
            event["longest_gap"] = round(longest, 3)
            os.write(port, json.dumps(event).encode() + b"\n")
            told_at, longest, count = now, 0.0, 0
        time.sleep(1 / SORTS_PER_SECOND)


if __name__ == "__main__":
    main()

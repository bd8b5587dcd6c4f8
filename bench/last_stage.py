"""From the decision to the first action when no memory is left, in a real guest that thrashes.

One QEMU guest without swap: a culprit takes all memory, two readers keep the page cache turning
over, and guard's programs lie on a disk. Each round contains the culprit in three ways: by the
last stage (locked, started before), by a process that was started before and is not locked, and
by one that is started for it. The first two go through the executor, its record on the disk and
its second look included. `million_additions_seconds` says how slow the emulated processor is.

usage: python bench/last_stage.py [--json] [--memory MIB] [--keep DIR]
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from drills.panic import guest
from drills.panic.archive import file, write_archive
from drills.panic.disk import make_disk
from drills.panic.packages import Packages, cache_folder, find
from drills.panic.qemu import Board
from drills.panic.replay import Replay, Run

LIMIT_SECONDS = 300.0
WAYS = {
    "last": "the last stage: locked, started before",
    "helper": "started before, not locked",
    "new": "a program started for it",
}


def board_in(folder: str, memory_bytes: int) -> Board:
    """A guest like that of the panic drill, with another first process."""
    packages = Packages(cache_folder(), note)
    kernel = guest.unpack_kernel(packages, note)
    python = guest.find_python(packages.cache)
    base = guest.base_archive(kernel, python, {"busybox": os.path.realpath(find("busybox"))})
    setup = guest.Setup(
        guard="none",
        memory_bytes=memory_bytes,
        leak_bytes_per_second=0.0,
        healthy_seconds=0.0,
        watch_seconds=0.0,
    )
    with open(os.path.join(os.path.dirname(__file__), "last_stage_guest.py"), "rb") as source:
        own = write_archive([file("drill/init.py", source.read())])
    board = Board(
        kernel=kernel.image,
        initrd=os.path.join(folder, "initrd"),
        disk=os.path.join(folder, "disk"),
        console=os.path.join(folder, "console.log"),
        events=os.path.join(folder, "events.jsonl"),
        memory_bytes=memory_bytes,
    )
    with open(board.initrd, "wb") as archive:
        archive.writelines((base, guest.run_archive(setup, kernel, python), own))
    make_disk(board.disk)
    return board


def note(text: str) -> None:
    print(text, file=sys.stderr)


def measured(run: Run) -> dict[str, object]:
    """Seconds by way, with what was left at the moment of the decision."""
    ways = {}
    for way in WAYS:
        of_way = [event for event in run.all("took") if event["by"] == way]
        took = [event for event in of_way if not event["quiet"]]
        quiet = [event["seconds"] for event in of_way if event["quiet"]]
        seconds = [event["seconds"] for event in took if event["seconds"] is not None]
        parts = {
            name: [event[name] for event in took if event.get(name) is not None]
            for name in ("recorded", "before")
        }
        if seconds:
            ways[way] = {
                **{
                    f"{name}_median_seconds": round(statistics.median(each), 3)
                    for name, each in parts.items()
                    if each
                },
                "with_memory_seconds": quiet[0] if quiet else None,
                "rounds": len(seconds),
                "median_seconds": round(statistics.median(seconds), 3),
                "longest_seconds": round(max(seconds), 3),
                "left_bytes_max": max(event["left"] for event in took),
                "stalled_percent_median": statistics.median(event["full"] for event in took),
                "states": sorted({str(event.get("state")) for event in took}),
            }
    processes = {event["role"]: event for event in run.all("process")}
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, QEMU without KVM, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "guest": run.first("up"),
        "ended": run.ended,
        "processes": processes,
        "million_additions_seconds": (run.first("yardstick") or {}).get("seconds"),
        "ways": ways,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory", type=int, default=512, help="MiB of the guest")
    parser.add_argument("--keep", help="a folder for the console and the events")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="forestall-bench-") as folder:
        where = args.keep or folder
        os.makedirs(where, exist_ok=True)
        board = board_in(where, args.memory << 20)
        began = time.monotonic()
        run = Run(guard="none", folder=where)
        Replay(
            run,
            board,
            limit_seconds=LIMIT_SECONDS,
            show=lambda at, text: note(f"{at:6.1f} s  {text}"),
        ).play()
        found = measured(run)
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        note(f"{time.monotonic() - began:.0f} s, guest ended: {run.ended}")
        for way, words in WAYS.items():
            print(f"{words:42} {json.dumps(found['ways'].get(way))}")
    return 0 if len(found["ways"]) == len(WAYS) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Milliseconds to parse, render and lint a review, beside markdown-it-py where it is installed.

`python bench/review.py` prints a table, `--json` one object with the date and the machine. The
rival only splits Markdown into tokens: it neither resolves times nor promises the bytes back.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from forestall.incident.review import document
from forestall.incident.review.lint import lint
from forestall.incident.review.parse import parse
from forestall.incident.review.render import render

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "reviews" / "thread-leak.md"
LARGE_BYTES = 1 << 20
REPEATS_SMALL = 50
REPEATS_LARGE = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    as_json = parser.parse_args().json
    small = SAMPLE.read_bytes()
    results = {
        "seed_size": measure(small, REPEATS_SMALL),
        "one_mib": measure(grown(small, LARGE_BYTES), REPEATS_LARGE),
    }
    if as_json:
        print(json.dumps({"at": today(), "machine": machine(), "milliseconds": results}, indent=2))
        return 0
    steps = list(results["seed_size"])
    print(f"{today()}, {machine()}")
    print(f"{'':12}" + "".join(f"{step:>16}" for step in steps) + "   (ms of CPU, best)")
    for name, row in results.items():
        shown = "".join(
            f"{'-' if (value := row[step]) is None else f'{value:,.2f}':>16}" for step in steps
        )
        print(f"{name:12}{shown}")
    return 0


def grown(data: bytes, size: int) -> bytes:
    """The sample with lessons added until it has `size` bytes."""
    heading = b"### **Lessons Learned**\n\n"
    start, _, rest = data.partition(heading)
    row = b"-   The pool of 1,250 threads took 3GB on `book-db-07` before it was seen.\n"
    rows = row * ((size - len(data)) // len(row))
    return start + heading + rows + rest


def measure(data: bytes, repeats: int) -> dict[str, float | None]:
    """Best of `repeats` for each step, in milliseconds of CPU; None for a rival that is absent."""
    parsed = parse(data)
    assert not parsed.review.residual
    assert render(parsed.review) == data
    text = data.decode()
    rival = markdown_it()
    return {
        "parse": best(lambda: parse(data), repeats),
        "render": best(lambda: render(parsed.review), repeats),
        "lint": best(lambda: lint(parsed), repeats),
        "to_json": best(lambda: document.dump(parsed.review), repeats),
        "markdown_it": None if rival is None else best(lambda: rival(text), repeats),
    }


def best(step: Callable[[], object], repeats: int) -> float:
    """CPU time, as other work on the machine would otherwise be counted in."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        step()
        taken.append(time.process_time() - started)
    return min(taken) * 1000


def markdown_it() -> Callable[[str], object] | None:
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        return None
    return MarkdownIt().parse


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def machine() -> str:
    cores = os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())

"""`forestall audit oom`: how fast it reads, and whom it blames, beside readings by hand.

    python bench/audit_oom.py              200 MB of syslog with 1,000 reports, about half a minute
    python bench/audit_oom.py --megabytes 20 --reports 100 --json

Speed: a log of other lines with reports of 306 processes each in between, read to the end by a
process of its own; beside `grep -c 'Killed process'` on the same file. Blame: the reports under
tests/data/oom, for which it is known who held the memory (truth.json there; null = no process,
UNKNOWN = the report does not say, so that nobody should be named).
Readings by hand: `killed` takes the last `Killed process` line for the culprit, `invoked` the name
that the log opens with, `largest` the largest RSS of the table, `sum` the largest sum of RSS by
name, as scripts do that add up the table.
"""

import argparse
import bz2
import collections
import datetime
import gzip
import io
import json
import lzma
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from tests.fakes import oom, oom_hosts  # noqa: E402

from forestall.cli.audit_oom import explain_stream  # noqa: E402

DATA = os.path.join(ROOT, "tests", "data", "oom")
OTHER = [
    "Mar  2 03:05:{s:02} db-01 sshd[{n}]: Accepted publickey for deploy from 192.0.2.7 port {n}",
    "Mar  2 03:05:{s:02} db-01 systemd[1]: Started Session {n} of user deploy.",
    "Mar  2 03:05:{s:02} db-01 kernel: IPv4: martian source 192.0.2.{s} from 198.51.100.7",
    "Mar  2 03:05:{s:02} db-01 postgres[{n}]: [3-1] LOG:  checkpoint complete: wrote {n} buffers",
]
UNKNOWN = "UNKNOWN"
Reading = Callable[[str], str | None]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--reports", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    result = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} processors, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "speed": speed(args.megabytes, args.reports),
        "blame": blame(),
    }
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(result["date"], result["machine"])
    for who, row in result["speed"].items():
        print(f"{who:<20}" + "  ".join(f"{name} {value}" for name, value in row.items()))
    for who, row in result["blame"].items():
        print(f"{who:<20}" + "  ".join(f"{name} {value}" for name, value in row.items()))


def speed(megabytes: int, reports: int) -> dict[str, dict[str, object]]:
    """Wall time and memory of whole processes."""
    with tempfile.TemporaryDirectory(prefix="forestall-bench-") as folder:
        path = os.path.join(folder, "messages")
        size = write_log(path, megabytes * 1_000_000, reports)
        words = [sys.executable, "-m", "forestall", "audit", "oom", path, "--json"]
        rows: dict[str, dict[str, object]] = {}
        for who, command in (
            ("forestall audit oom", words),
            ("grep -c", ["grep", "-c", "Killed process", path]),
        ):
            before = time.perf_counter()
            with tempfile.TemporaryFile() as out:
                child = subprocess.Popen(command, stdout=out)
                _, _, usage = os.wait4(child.pid, 0)
                child.returncode = 0
                seconds = time.perf_counter() - before
                out.seek(0)
                found = json.load(out)["events"] if who.startswith("f") else int(out.read())
            rows[who] = {
                "seconds": round(seconds, 1),
                "CPU seconds": round(usage.ru_utime + usage.ru_stime, 1),
                "MB/s": round(size / 1e6 / seconds, 1),
                "found": found,
            }
            if who != "grep -c":
                # Of grep it would be ours: what it was forked from counts as its own peak.
                rows[who]["peak MiB"] = usage.ru_maxrss // 1024
    return rows


def write_log(path: str, size: int, reports: int) -> int:
    """Reports in even distances, other lines between; returns the bytes written."""
    event = oom.syslog(oom.report(oom_hosts.rhel8_connections()))
    other, n = "", 0
    while len(other) < 1_000_000:
        other += OTHER[n % len(OTHER)].format(n=n, s=n % 60) + "\n"
        n += 1
    between = max(0, (size - reports * len(event)) // reports)
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(reports):
            left = between
            while left > 0:
                left -= file.write(other[: max(1, min(left, len(other)))])
            file.write("\n" + event)
    return os.path.getsize(path)


def blame() -> dict[str, dict[str, object]]:
    """For each reading: how many it names rightly, and whom it blames though no process held it."""
    with open(os.path.join(DATA, "truth.json"), encoding="utf-8") as file:
        truth: dict[str, str | None] = json.load(file)
    readings: dict[str, Reading] = {
        "killed": killed,
        "invoked": invoked,
        "largest": largest,
        "sum": summed,
    }
    rows: dict[str, dict[str, object]] = {}
    answers = {"forestall audit oom": {name: forestall(name) for name in truth}}
    for who, reading in readings.items():
        answers[who] = {name: reading(text_of(name)) for name in truth}
    for who, named in answers.items():
        known = {name: holder for name, holder in truth.items() if holder != UNKNOWN}
        open_ones = set(truth) - set(known)
        right = sum(named[name] == holder for name, holder in known.items())
        innocent = sum(
            named[name] is not None and named[name] != holder for name, holder in known.items()
        )
        rows[who] = {
            "right": right,
            "of": len(known),
            "blamed an innocent process": innocent,
            "named one without evidence": sum(named[name] is not None for name in open_ones),
            "of those that do not say": len(open_ones),
        }
    return rows


def forestall(name: str) -> str | None:
    """The first event that has a culprit which is a process; None where there is none."""
    with open(os.path.join(DATA, name), "rb") as file:
        report = explain_stream(io.BytesIO(file.read()), name, 1 << 30)
    account = next(one for one in report.accounts if one.number == report.chosen)
    first = report.accounts[0] if name.endswith("pagetables.console") else account
    return next((one.name for one in first.culprits if one.kind.is_process), None)


def text_of(name: str) -> str:
    """What a person would look at: the text, unpacked, journals as journalctl shows them."""
    with open(os.path.join(DATA, name), "rb") as file:
        data = file.read()
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}
    text = unpack.get(os.path.splitext(name)[1], bytes)(data).decode("utf-8", "replace")
    if name.endswith(".json"):
        lines = [json.loads(line)["MESSAGE"] for line in text.splitlines()]
        return "\n".join(bytes(m).decode() if isinstance(m, list) else m for m in lines)
    # In an export, a binary field's text follows its length on the same line.
    return text


def killed(text: str) -> str | None:
    found = re.findall(r"kernel: .*?Killed process \d+.*?\(([^)]*)\)", text)
    if not found and " sshd[" not in text:
        found = re.findall(r"Killed process \d+.*?\(([^)]*)\)", text)
    return found[-1] if found else None


def invoked(text: str) -> str | None:
    found = re.search(r"(?:^|[\]:=\x00] ?)([^\]\n:=\x00]+) invoked oom-killer", text, re.MULTILINE)
    return found[1].strip() if found else None


def table(text: str) -> list[tuple[str, int]]:
    """(name, RSS) of the rows of the last table."""
    last = text.rsplit("invoked oom-killer", 1)[-1]
    rows = re.findall(r"\[ *\d+\] +\d+ +\d+ +\d+ +(\d+) [\d -]*? (\S+)\s*$", last, re.MULTILINE)
    return [(name, int(rss)) for rss, name in rows]


def largest(text: str) -> str | None:
    return max(table(text), key=lambda row: row[1], default=(None, 0))[0]


def summed(text: str) -> str | None:
    sums: collections.Counter[str] = collections.Counter()
    for name, rss in table(text):
        sums[name] += rss
    return sums.most_common(1)[0][0] if sums else None


if __name__ == "__main__":
    main()

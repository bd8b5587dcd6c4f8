"""What the inputs of `forestall audit` cost: a large sosreport, a fleet's facts, an inventory.

    python bench/audit_inputs.py                  about five minutes, 2 GB of temporary space
    python bench/audit_inputs.py --hosts 20000 --report-mb 50
    python bench/audit_inputs.py --json

Beside the sosreport, in the same run: `tar -tf`, which only names the members, and `tarfile`.
Each measurement is a process of its own: wall and CPU seconds, and the most memory it ever held.
"""

import argparse
import contextlib
import datetime
import json
import os
import platform
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "tests" / "data" / "sosreports" / "rhel9-app"

READ_REPORT = """
from forestall.audit.inputs.sosreport import read_sosreports
from forestall.clock import SystemClock
(seen,) = read_sosreports([sys.argv[1]], SystemClock())
assert seen.problem is None and seen.facts.units, seen.problem
print(1)
"""
READ_TARFILE = """
import tarfile
print(sum(1 for member in tarfile.open(sys.argv[1], "r|*")))
"""
READ_FACTS = """
from forestall.audit.inputs.facts import read_facts_files
from forestall.clock import SystemClock
print(sum(seen.facts is not None for seen in read_facts_files([sys.argv[1]], SystemClock())))
"""
READ_TWICE = """
from itertools import chain
from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.inputs.merge import merge_seen
from forestall.clock import SystemClock
twice = chain.from_iterable(read_facts_files([sys.argv[1]], SystemClock()) for _ in range(2))
print(sum(seen.facts is not None for seen in merge_seen(twice)))
"""
READ_JSON = """
import json
print(sum("hostname" in json.loads(line) for line in open(sys.argv[1], "rb")))
"""
READ_PROMETHEUS = """
from forestall.audit.inputs.prometheus import read_prometheus
from forestall.clock import SystemClock
found = read_prometheus([sys.argv[1]], SystemClock())
print(sum(seen.facts.memory.mem_total_bytes is not None for seen in found))
"""
READ_INVENTORY = """
from forestall.audit.inputs.inventory import read_inventory
print(len(read_inventory(sys.argv[1])))
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--report-mb", type=int, default=120)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve is not None:
        serve(args.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = measured(Path(folder), args.hosts, args.report_mb)
    machine = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    if args.json:
        print(json.dumps({**machine, "rows": rows}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    print(f"{'what':<44} {'wall s':>8} {'CPU s':>8} {'MiB':>6}  result")
    for row in rows:
        print(
            f"{row['what']:<44} {row['wall_seconds']:>8.2f} {row['cpu_seconds']:>8.2f} "
            f"{row['peak_mib']:>6}  {row['result']}"
        )


def measured(folder: Path, hosts: int, report_mb: int) -> list[dict]:
    report = make_report(folder, report_mb)
    size = f"{report.stat().st_size / 1e6:.0f} MB"
    rows = [
        run(f"sosreport.tar.xz of {size}", READ_REPORT, report),
        run("  tarfile, names alone", READ_TARFILE, report),
        run_words("  tar -tf, names alone", ["tar", "-tf", str(report)]),
    ]
    report.unlink()
    fleet = make_fleet(folder, hosts)
    size = f"{fleet.stat().st_size / 1e6:.0f} MB"
    rows.append(run(f"facts of {hosts} hosts, {size}", READ_FACTS, fleet))
    rows.append(run("  the same, told by two inputs and merged", READ_TWICE, fleet))
    rows.append(run("  json.loads of each line alone", READ_JSON, fleet))
    fleet.unlink()
    with answering(hosts) as url:
        rows.append(run(f"prometheus of {hosts} hosts (answers made up)", READ_PROMETHEUS, url))
    for form, maker in (("ini", make_ini), ("yml", make_yaml)):
        path = folder / f"hosts.{form}"
        path.write_text(maker(hosts))
        rows.append(run(f"inventory of {hosts} hosts ({form})", READ_INVENTORY, path))
    return rows


@contextlib.contextmanager
def answering(hosts: int):
    """The url of a server that answers every query for so many hosts, in a process of its own."""
    words = [sys.executable, __file__, "--serve", str(hosts)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child.stdout.readline().strip()
        finally:
            child.terminate()


def serve(hosts: int) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from urllib.parse import parse_qs

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.answer(json.dumps(vector(form["query"][0], hosts)).encode())

        def do_GET(self) -> None:
            self.answer(b'{"status":"success","data":{"groups":[]}}')

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def vector(query: str, hosts: int) -> dict:
    """A value for every host and metric that the query names; two file systems a host."""
    named = re.search(r'__name__=~"([^"]*)"', query)
    names = named[1].split("|") if named else [""]
    labels: dict[str, str] = {}
    if "node_uname_info" in query and "timestamp" not in query:
        labels = {"job": "node", "release": "5.14.0-427.el9.x86_64", "machine": "x86_64"}
    elif "node_os_info" in query:
        labels = {"id": "rhel", "version_id": "9.4", "pretty_name": "Red Hat Enterprise Linux"}
    elif "node_filesystem" in query:
        labels = {"device": "/dev/sda1", "mountpoint": "/", "fstype": "xfs"}
    result = []
    for number in range(0 if "== 0" in query or ("_info)" in query and not labels) else hosts):
        for name in names:
            metric = {"instance": f"app{number:06}.example:9100", **labels}
            if name:
                metric["__name__"] = name
            if "nodename" in query:
                metric["nodename"] = f"app{number:06}.example"
            result.append({"metric": metric, "value": [1_700_000_000.0, "17179869184"]})
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def run(what: str, code: str, path: Path | str) -> dict:
    tail = """
    import resource
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, file=sys.stderr)
    """
    script = "import sys\n" + code + textwrap.dedent(tail)
    return run_words(what, [sys.executable, "-c", script, str(path)])


def run_words(what: str, words: list[str]) -> dict:
    import resource
    import time

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(words, capture_output=True, check=True, text=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = done.stderr.split()
    lines = done.stdout.splitlines()
    return {
        "what": what,
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mib": int(said[-1]) if said else 0,
        "result": lines[0] if len(lines) == 1 else f"{len(lines)} lines",
    }


def make_report(folder: Path, megabytes: int) -> Path:
    """The report of tests/data with logs and a /sys of a usual size around it."""
    rng = random.Random(4)
    words = [f"{rng.getrandbits(32):x}" for _ in range(5000)]
    path = folder / "sosreport-app01-2025-11-03-abcdefg.tar"
    name = path.stem
    with tarfile.open(path, "w") as tar:
        tar.add(REPORT, name)
        for number in range(40_000):
            _add(tar, f"{name}/sys/devices/system/cpu/cpu{number % 64}/c{number // 64}", b"1\n")
        # Packed, a line of this kind is about a quarter; a journal hardly shrinks.
        for number in range(max(1, megabytes // 3)):
            lines = (
                f"Nov  3 12:00:00 app01 {' '.join(rng.choices(words, k=9))}" for _ in range(75_000)
            )
            _add(tar, f"{name}/sos_commands/logs/journalctl_{number}", "\n".join(lines).encode())
            _add(tar, f"{name}/var/log/journal/{number}", rng.randbytes(1_000_000))
    subprocess.run(["xz", "-1", "-T0", str(path)], check=True)
    return Path(f"{path}.xz")


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    import io

    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def make_fleet(folder: Path, hosts: int) -> Path:
    """The facts of the report of tests/data, for so many hosts, one a line."""
    from dataclasses import replace

    from forestall.audit.inputs.sosreport import read_sosreports
    from forestall.clock import SystemClock
    from forestall.model.codec import dumps

    def one_of(facts, number):
        return replace(facts, hostname=f"app{number:06}", boot_id=f"boot-{number}")

    (seen,) = read_sosreports([str(REPORT)], SystemClock())
    path = folder / "fleet.jsonl"
    with path.open("w") as file:
        for number in range(hosts):
            file.write(dumps(one_of(seen.facts, number)) + "\n")
    return path


def make_ini(hosts: int) -> str:
    groups = max(1, hosts // 100)
    lines = []
    for group in range(groups):
        lines += [f"[g{group}]", f"h{group}x[001:100].example ansible_user=u"]
    lines += ["[all_of_them:children]", *(f"g{group}" for group in range(groups))]
    return "\n".join(lines) + "\n"


def make_yaml(hosts: int) -> str:
    groups = max(1, hosts // 100)
    lines = ["all:", "  children:"]
    for group in range(groups):
        lines += [f"    g{group}:", "      hosts:", f"        h{group}x[001:100].example:"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()

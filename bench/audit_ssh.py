"""What collecting a host's facts over SSH costs: one host, and hundreds at once.

    python bench/audit_ssh.py one                 the script alone, beside what else is here
    python bench/audit_ssh.py one --processes 0 3000
    python bench/audit_ssh.py fleet --hosts 500   500 at once, all behind one sshd on loopback
    python bench/audit_ssh.py fleet --replayed    each answers with this host's answer of before

`one` runs the script with this machine's sh, without a network, and beside it `ansible -m setup`
and Lynis where they are installed (`--ansible`, `--lynis` name their programs); wall time and
processor time of all their processes, medians of the runs; Lynis, which takes minutes, once.

`fleet` starts one sshd (its package must be installed) and asks it as many times as there are to
be hosts. Clients, server and every host's script share this machine's cores, so it shows what the
client's side costs, and that so many at once hold together; not how long a fleet takes. With
`--replayed` the script runs once, before: then no answer holds the processes of all the others, and
what is left of the server's side is SSH.
"""

import argparse
import datetime
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.integration.sshd import ssh_server

from agent import sleepers
from forestall.audit.collect.options import SshOptions
from forestall.audit.collect.script import script
from forestall.audit.collect.ssh import collect
from forestall.audit.collect.stream import answer_of, read_answer
from forestall.clock import SystemClock
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost

MARK = "0123456789abcdef0123456789abcdef"
SLOW_SECONDS = 600
MAX_STARTUPS = "2000:30:2000"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", default="one", choices=["one", "fleet"])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--processes", type=int, nargs="+", default=[0])
    parser.add_argument("--hosts", type=int, default=500)
    parser.add_argument("--replayed", action="store_true")
    parser.add_argument("--ssh-option", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--ansible", default="ansible")
    parser.add_argument("--lynis", default="lynis")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = one(args) if args.part == "one" else [fleet(args.hosts, args.replayed, args.ssh_option)]
    machine = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    if args.json:
        print(json.dumps({**machine, "rows": rows}, indent=2))
        return
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    for row in rows:
        print("  " + ", ".join(f"{name} {value}" for name, value in row.items()))


def one(args):
    rows = []
    for count in args.processes:
        with sleepers(count):
            rows.append(ours(count, args.runs))
    for name, words, runs in (
        ("ansible setup", [args.ansible, "localhost", "-c", "local", "-m", "setup"], 3),
        ("lynis", [args.lynis, "audit", "system", "--quick", "--quiet", "--no-colors"], 1),
    ):
        if shutil.which(words[0]):
            rows.append({"who": name, **timed(lambda w=words: run(w), runs)})
        else:
            rows.append({"who": name, "wall_s": "not installed"})
    return rows


def run(words, **options):
    return subprocess.run(words, capture_output=True, timeout=SLOW_SECONDS, **options).stdout


def ours(count, runs):
    output = []
    took = timed(lambda: output.append(run(["sh", "-s"], input=script(MARK))), runs)
    began = time.process_time()
    answer = answer_of(output[-1], MARK)
    facts = read_facts(RecordedHost(read_answer(answer)), SystemClock())
    reading = time.process_time() - began
    return {
        "who": "forestall script",
        "processes": facts.process_count,
        **took,
        "sent_bytes": len(script(MARK)),
        "answer_bytes": len(output[-1]),
        "unpacked_bytes": len(answer),
        "smallest_bytes": len(zlib.compress(answer, 9)),
        "our_cpu_s": round(reading, 3),
    }


def timed(what, runs):
    """Wall and processor seconds of all children, medians."""
    wall, cpu = [], []
    for _ in range(runs):
        before, began = usage(), time.monotonic()
        what()
        wall.append(time.monotonic() - began)
        cpu.append(usage() - before)
    return {
        "wall_s": round(statistics.median(wall), 3),
        "cpu_s": round(statistics.median(cpu), 3),
        "runs": runs,
    }


def usage(who=resource.RUSAGE_CHILDREN):
    spent = resource.getrusage(who)
    return spent.ru_utime + spent.ru_stime


REPLAY = """\
mark=$(sed -n 's/^mark=//p' | tail -n 1)
echo
echo "@$mark forestall 1 gzip"
sed "s/^@{old} /@$mark /" {answer} | gzip -c
"""


def server_of(folder, replayed):
    """The server; `replayed`: whose hosts all answer as this one did a moment before."""
    if not replayed:
        return ssh_server(folder, max_startups=MAX_STARTUPS)
    answer, words = folder / "answer", folder / "replay.sh"
    told = answer_of(run(["sh", "-s"], input=script(MARK)), MARK)
    # Its first line is the new answer's own.
    answer.write_bytes(told.partition(b"\n")[2])
    words.write_text(REPLAY.format(old=MARK, answer=answer))
    return ssh_server(folder, {"host-*": f"sh {words}"}, max_startups=MAX_STARTUPS)


def fleet(count, replayed, ssh_options):
    most = {"running": 0, "client_pss": 0}

    def watch(progress):
        if progress.running > most["running"]:
            most["running"] = progress.running
            if progress.running % 50 == 0:
                most["client_pss"] = max(most["client_pss"], client_pss())

    with tempfile.TemporaryDirectory() as folder:
        before = usage()
        own = usage(resource.RUSAGE_SELF)
        began = time.monotonic()
        with server_of(Path(folder), replayed) as server:
            options = SshOptions(
                config=str(server.config),
                deadline_seconds=900.0,
                connect_seconds=600,
                ssh_options=tuple(ssh_options),
            )
            names = [f"host-{number}" for number in range(count)]
            began = time.monotonic()
            seen = list(collect(names, options, report=watch))
            wall = time.monotonic() - began
            own = usage(resource.RUSAGE_SELF) - own
            clients = usage() - before
        servers = usage() - before - clients
    problems = {one.problem for one in seen if one.facts is None}
    return {
        "hosts": count,
        "answers": "replayed" if replayed else "made",
        "ssh": " ".join(ssh_options) or "its defaults",
        "answered": sum(one.facts is not None for one in seen),
        "problems": sorted(problems)[:3],
        "wall_s": round(wall, 1),
        "hosts_per_s": round(count / wall, 1),
        "most_at_once": most["running"],
        "our_cpu_ms_per_host": round(1000 * own / count, 1),
        "ssh_cpu_ms_per_host": round(1000 * clients / count, 1),
        "sshd_and_script_cpu_ms_per_host": round(1000 * servers / count, 1),
        "our_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "ssh_pss_mib_each": round(most["client_pss"] / 1024, 2),
    }


def client_pss():
    """KiB of the clients that run now, each page divided by those that share it; the mean."""
    sizes = []
    for pid in Path("/proc/thread-self/children").read_text().split():
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "ssh\n":
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
                sizes.append(int(rollup.split("Pss:")[1].split()[0]))
        except (OSError, IndexError):
            continue
    return statistics.mean(sizes) if sizes else 0


if __name__ == "__main__":
    main()

"""What `forestall audit` costs: judging a fleet, decoding its facts, and one host beside rivals.

    python bench/audit.py                    100,000 hosts, then this host; a few minutes
    python bench/audit.py --hosts 10000 --rivals lynis,risu --rival-seconds 240
    python bench/audit.py --coverage sosreport tests/data/sosreports --coverage ssh HOST
                                             which rules could be decided from an input, and end

Fleet figures are one process on one core: CPU seconds, and the peak of its resident memory. The
hosts are made here: a mix of database, web and old hosts of which no two are alike, each with 40
services and ten holders. Rivals run where they are installed (lynis: Debian's package; risu: `pip
install risu`, in an environment of its own that is on PATH); what is not there is said so.
"""

import argparse
import datetime
import gc
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import audit_hosts
from forestall.audit.fleet import Fleet, chosen_rules, judge_host, judge_hosts
from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.inputs.source import Seen
from forestall.audit.policy import HostTerms, Policy
from forestall.audit.report import About
from forestall.audit.terms import Terms
from forestall.cli.audit import GARBAGE_THRESHOLD
from forestall.cli.audit_inputs import INPUTS
from forestall.clock import SystemClock
from forestall.model.codec import dumps
from forestall.model.facts import HolderFacts, HostFacts, SwapDevice, UnitFacts
from forestall.model.finding import FindingState
from forestall.model.sample import HostSample, ProcessKey, ProcessSample

GIB = 1024**3
BOOT = "6f5b2c1e-0000-4000-8000-000000000001"
AT = 1_787_000_000.0
SYSTEMS = (
    ("rhel", "7.6", "3.10.0-957.el7.x86_64", 219, 1),
    ("rhel", "8.10", "4.18.0-553.22.1.el8_10.x86_64", 239, 1),
    ("rhel", "9.4", "5.14.0-427.13.1.el9_4.x86_64", 252, 2),
    ("debian", "12", "6.1.0-28-amd64", 252, 2),
    ("ubuntu", "22.04", "5.15.0-122-generic", 249, 2),
)


def host(number: int) -> HostFacts:
    """One of a fleet: every fifth a database host, every seventh panics, and so on."""
    system, version, kernel, systemd, cgroups = SYSTEMS[number % len(SYSTEMS)]
    database = number % 5 == 0
    memory = (8, 16, 32, 64, 128)[number % 7 % 5] * GIB
    swap = (0, 4, 16)[number % 3] * GIB
    holders = tuple(_holder(number, place, database) for place in range(10))
    return HostFacts(
        at=AT - number % 3600,
        hostname=f"{'db' if database else 'web'}{number:06d}.example",
        boot_id=BOOT,
        kernel_release=kernel,
        machine="x86_64",
        os_id=system,
        os_version_id=version,
        os_name=f"{system} {version}",
        booted_at=AT - 86_400.0 * (number % 500),
        effective_uid=0,
        memory=HostSample(
            mem_total_bytes=memory,
            mem_available_bytes=memory // (2 + number % 12),
            swap_total_bytes=swap,
            swap_free_bytes=swap // (1 + number % 4),
        ),
        swaps=(
            (SwapDevice(name="/dev/dm-1", kind="partition", size_bytes=swap, used_bytes=0),)
            if swap
            else ()
        ),
        sysctls={
            "vm.panic_on_oom": "1" if number % 7 == 0 else "0",
            "kernel.panic": "0" if number % 2 else "10",
            "kernel.panic_on_oops": "1",
            "vm.overcommit_memory": str(number % 11 % 3),
            "vm.oom_kill_allocating_task": "0",
            "vm.swappiness": "60",
            "vm.min_free_kbytes": "67584",
            "vm.zone_reclaim_mode": "0",
        },
        cgroup_version=cgroups,
        psi=cgroups == 2,
        crash_kernel_loaded=number % 3 == 0,
        systemd_version=systemd,
        units=tuple(_unit(number, place) for place in range(40)),
        holders=holders,
        process_count=200,
        hidden_processes=False,
        guards=() if number % 4 else ("earlyoom",),
        kubernetes=False,
        livepatches=(),
        databases=holders[:1] if database else (),
        commit_limit_bytes=memory,
        committed_bytes=memory // 2,
    )


def _unit(number: int, place: int) -> UnitFacts:
    own = place < 4
    return UnitFacts(
        name="postgresql.service" if place == 39 else f"service-{place}.service",
        active=place < 30 or place == 39,
        main_pid=500 + place,
        memory_max_bytes=2 * GIB if own and number % 3 else None,
        limit_known=True,
        restart="no" if place % 3 == 0 else "on-failure",
        fragment_path=f"/{'etc' if own else 'usr/lib'}/systemd/system/service-{place}.service",
    )


def _holder(number: int, place: int, database: bool) -> HolderFacts:
    name = "postgres" if database and place == 0 else f"worker-{place}"
    return HolderFacts(
        process=ProcessSample(
            key=ProcessKey(boot_id=BOOT, pid=500 + place, start_ticks=number),
            name=name,
            rss_bytes=GIB // (1 + place) + number,
            swap_bytes=0,
            unit="postgresql.service" if name == "postgres" else f"service-{place}.service",
        ),
        oom_score=600 - place,
        oom_score_adjust=-900 if number % 2 and name == "postgres" else 0,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3, help="of each fleet figure")
    parser.add_argument("--write-facts", metavar="FILE", help="write the fleet's facts and end")
    parser.add_argument(
        "--coverage", metavar=("KIND", "WORD"), nargs=2, action="append", default=[]
    )
    parser.add_argument("--rivals", default="lynis,risu")
    parser.add_argument("--rival-seconds", type=float, default=400.0)
    parser.add_argument("--part", choices=PARTS, help="one measurement alone, as JSON")
    args = parser.parse_args()
    if args.write_facts:
        with open(args.write_facts, "w", encoding="utf-8") as file:
            file.writelines(dumps(host(number)) + "\n" for number in range(args.hosts))
        return
    if args.coverage:
        for kind, word in args.coverage:
            print("\n".join(_coverage(kind, word)))
        return
    if args.part:
        gc.set_threshold(GARBAGE_THRESHOLD)
        print(json.dumps(PARTS[args.part](args.hosts)))
        return
    print(
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, "
        f"Linux {platform.release()}, Python {platform.python_version()}, "
        f"{len(chosen_rules())} rules"
    )
    for part in PARTS:
        print(_row(part, [_alone(part, args.hosts) for _ in range(args.runs)]), flush=True)
    for row in (*_this_host(), *_rivals(args.rivals.split(","), args.rival_seconds)):
        print(row, flush=True)


def _alone(part: str, hosts: int) -> dict[str, float]:
    """One measurement in a process of its own, so that its peak of memory is its own."""
    words = [sys.executable, __file__, "--part", part, "--hosts", str(hosts)]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=3600, check=True)
    return dict(json.loads(ran.stdout))


def _row(part: str, runs: list[dict[str, float]]) -> str:
    """The least and the most that a host took: others on the machine make every run slower."""
    each = sorted(1e6 * found["cpu_seconds"] / found["hosts"] for found in runs)
    peak = max(found["peak_bytes"] for found in runs)
    return (
        f"{part:<22} {runs[0]['hosts']:>9,.0f} hosts {each[0]:>8.1f} to {each[-1]:.1f} CPU us a "
        f"host, {each[0] / 10:.1f} to {each[-1] / 10:.1f} s for 100,000; "
        f"{peak / 1024**2:.0f} MiB at most"
    )


def _policy() -> Policy:
    return Policy(hosts=(HostTerms(match="db*", roles=frozenset(("db",))),), terms=Terms(at=AT))


def _judged(hosts: Iterator[HostFacts], out: object = None) -> tuple[Fleet, float]:
    """Judge all; only the time from a host's facts to its row (and its lines) counts."""
    from forestall.audit.report.lines import Lines

    rules, policy = chosen_rules(), _policy()
    fleet = Fleet(rules, keep=200)
    lines = None if out is None else Lines(out, About(at=AT, version="bench"))  # type: ignore[arg-type]
    made = 0.0

    def seen() -> Iterator[Seen]:
        nonlocal made
        began = time.process_time()
        for facts in hosts:
            made += time.process_time() - began
            yield Seen(name=facts.hostname, facts=facts)
            began = time.process_time()

    began = time.process_time()
    for audit in judge_hosts(seen(), policy, rules, AT):
        fleet.add(audit)
        if lines is not None:
            lines.host(audit)
    return fleet, time.process_time() - began - made


def _states(hosts: int) -> dict[str, float]:
    """Facts in memory -> a row per host, the 200 worst in full."""
    fleet, spent = _judged(host(number) for number in range(hosts))
    assert len(fleet.rows) == hosts
    return _found(hosts, spent)


def _compliant(hosts: int) -> dict[str, float]:
    """The same for the compliant hosts of bench/audit_hosts.py; a fifth, they take long to make."""
    count = max(1, hosts // 5)
    _, spent = _judged(audit_hosts.hosts(count))
    return _found(count, spent)


def _in_doubt(hosts: int) -> dict[str, float]:
    """Those without what a Prometheus never tells (kubelets, livepatches): some is judged twice."""
    count = max(1, hosts // 5)
    made = audit_hosts.hosts(count)
    _, spent = _judged(replace(one, kubernetes=None, livepatches=None) for one in made)
    return _found(count, spent)


def _lines(hosts: int) -> dict[str, float]:
    """Every finding of every host as a JSON line; a fifth of the hosts."""
    count = max(1, hosts // 5)
    with open(os.devnull, "w", encoding="utf-8") as out:
        _, spent = _judged((host(number) for number in range(count)), out)
    return _found(count, spent)


def _decoded(hosts: int) -> dict[str, float]:
    """A file of JSON lines -> facts -> rows; a tenth of the hosts, for reading takes longest."""
    count = max(1, hosts // 10)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(dumps(host(number)) + "\n" for number in range(count))
        file.flush()
        began = time.process_time()
        fleet = Fleet(chosen_rules(), keep=200)
        found = read_facts_files([file.name], SystemClock())
        for audit in judge_hosts(found, _policy(), fleet.rules, AT):
            fleet.add(audit)
        assert len(fleet.rows) == count
        return _found(count, time.process_time() - began)


def _found(hosts: int, spent: float) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"hosts": hosts, "cpu_seconds": spent, "peak_bytes": peak}


PARTS = {
    "judged": _states,
    "judged, compliant": _compliant,
    "judged, in doubt": _in_doubt,
    "judged, JSON lines": _lines,
    "read and judged": _decoded,
}


def _this_host() -> Iterator[str]:
    """Wall time of whole runs of the command on this host, interpreter included."""
    taken = []
    for _ in range(5):
        began = time.monotonic()
        words = [sys.executable, "-m", "forestall", "audit", "--json"]
        subprocess.run(words, capture_output=True, timeout=60, check=False)
        taken.append(time.monotonic() - began)
    yield f"{'this host, audit':<22} {sorted(taken)[2]:>8.2f} s wall, median of 5"


RIVALS = {
    "lynis": ["lynis", "audit", "system", "--quick", "--no-colors", "--quiet"],
    "risu": ["risu.py", "--live", "--run", "--quiet", "--output", "risu.json"],
}


def _rivals(names: list[str], seconds: float) -> Iterator[str]:
    for name in names:
        if name not in RIVALS:
            continue
        if shutil.which(RIVALS[name][0]) is None:
            yield f"this host, {name}: not installed"
            continue
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(
                    RIVALS[name],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=seconds,
                    check=False,
                )
            ended = ""
        except subprocess.TimeoutExpired:
            ended = ", stopped there"
        yield f"{f'this host, {name}':<22} {time.monotonic() - began:>8.2f} s wall{ended}"


def _coverage(kind: str, word: str) -> Iterator[str]:
    """Which rules were decided for the hosts that one input read, and which were not."""
    rules = chosen_rules(every=True)
    decided: Counter[str] = Counter()
    hosts = 0
    args = argparse.Namespace(root=None)
    for seen in INPUTS[kind].read([word], args, SystemClock()):
        if seen.facts is None:
            yield f"{seen.name}: {seen.problem}"
            continue
        hosts += 1
        audit = judge_host(seen, Policy(), rules, seen.facts.at)
        for index, rule in enumerate(rules):
            if audit.state(index) is not FindingState.UNKNOWN:
                decided[rule.id] += 1
    every = [rule.id for rule in rules if decided[rule.id] == hosts]
    never = [rule.id for rule in rules if not decided[rule.id]]
    some = [rule.id for rule in rules if 0 < decided[rule.id] < hosts]
    yield (
        f"{kind} {word}: {hosts} hosts; of {len(rules)} rules {len(every)} decided on every host, "
        f"{len(some)} on some ({' '.join(some)}), {len(never)} on none ({' '.join(never)})"
    )


if __name__ == "__main__":
    main()

"""A Debian guest, audited for real: over SSH as root and as a plain user, beside its sosreport.

    python bench/audit_guest.py                   ten minutes, or five the second time
    python bench/audit_guest.py --suite trixie    Debian 13: systemd 257, sos 4.9
    python bench/audit_guest.py --services 4000   as many services more, active without a process
    python bench/audit_guest.py --keep DIR        keep the image, the key and the answers there

Needs root, debootstrap, qemu-system-x86, e2fsprogs and an SSH client; says so and ends where one
is missing. It ends with 1 where a fact is not what was written into the guest (guest_host.py), not
what systemd says of it on its bus, or not the same over SSH and in the sosreport.
"""

import argparse
import dataclasses
import json
import sys
import time

import guest
import guest_host
from forestall.audit.collect.options import SshOptions
from forestall.audit.collect.ssh import collect
from forestall.audit.inputs.sosreport import read_sosreports
from forestall.clock import SystemClock
from guest import NAME, run, say

HOST_SECONDS = 200.0
EXPECTED = {
    "hostname": NAME,
    "os_id": "debian",
    "virtualization": "qemu",
    "cgroup_version": 2,
    "fstab_swaps": ("/dev/vdb",),
}
MOVING = {
    "at",
    "origin",
    "sources",
    "unseen",
    "memory",
    "committed_bytes",
    "process_count",
    "holders",
    "own_cgroups",
}
"""Facts that differ between two moments, or that say how they were read."""

MOVING_OF_UNITS = ("memory_current_bytes", "task_count", "active", "main_pid", "restart_count")
MOVING_OF_MOUNTS = ("free_bytes",)

PLUGINS = (
    "apt,boot,block,cgroups,date,dpkg,filesys,hardware,host,kdump,kernel,memory,numa,pam,postgresql,"
    "process,release,systemd"
)
"""What the facts are in; all of sos takes an hour under emulation."""

# Of each service and slice the bus gives numbers, which nobody had to write as text and read.
BUS = """\
import json, subprocess
def ask(*words):
    done = subprocess.run(["busctl", "--json=short", *words], capture_output=True, text=True)
    return [json.loads(line)["data"] for line in done.stdout.splitlines()]
where = "org.freedesktop.systemd1"
(units,) = ask("call", where, "/org/freedesktop/systemd1", where + ".Manager", "ListUnits")
found = {}
for unit in units[0]:
    name, state, path = unit[0], unit[3], unit[6]
    kind = {"service": "Service", "slice": "Slice"}.get(name.rpartition(".")[2])
    # Of what is loaded and not active `systemctl show` tells nothing either.
    if kind is None or state == "inactive" or "MANY" in name:
        continue
    names = "MemoryMax MemoryHigh MemorySwapMax Slice".split()
    if kind == "Service":
        names += "Type Restart RestartUSec OOMScoreAdjust OOMPolicy LimitCORESoft".split()
    values = ask("get-property", where, path, where + "." + kind, *names)
    one = dict(zip(names, values))
    if kind == "Service":
        names = "StartLimitBurst StartLimitIntervalUSec FragmentPath".split()
        one |= zip(names, ask("get-property", where, path, where + ".Unit", *names))
    found[name] = one
print(json.dumps(found))
"""
UNLIMITED = 2**64 - 1

MANY = """\
cd /run/systemd/system && i=0
while [ $i -lt {count} ]; do
    printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStop=/bin/true\\n' >MANY-$i.service
    printf 'MemoryMax=%sM\\n' $((i + 1)) >>MANY-$i.service
    printf '[Unit]\\nWants=MANY-%s.service\\n' $i >>MANY.target
    i=$((i + 1))
done
systemctl daemon-reload && systemctl start --no-block MANY.target
while [ "$(systemctl show -P JobId MANY.target)" != 0 ]; do sleep 1; done
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--suite", default=guest.SUITE)
    parser.add_argument("--services", type=int, default=0)
    args = parser.parse_args()
    problem = guest.why_not()
    if problem:
        print(problem)
        return 0
    with (
        guest.folder_for(args.keep) as folder,
        guest.Guest(folder, guest_host, args.suite) as machine,
    ):
        machine.settle()
        if args.services:
            machine.ask(MANY.format(count=args.services))
        wrong, root = asked_as_both(machine)
        bus = json.loads(machine.ask(f"python3 -c '{BUS}'"))
        wrong += beside_the_bus(root, bus)
        if args.services:
            wrong += counted(root, args.services)
        wrong += beside_the_report(machine, root)
        audit(machine)
    print("\n".join(wrong) or "all that was put there was found, by every way")
    return 1 if wrong else 0


def asked_as_both(machine):
    """What is wrong in the answers, and root's facts."""
    options = SshOptions(
        config=str(machine.config),
        deadline_seconds=HOST_SECONDS,
        keep=str(machine.folder / "answers"),
        max_age_seconds=0.0,
    )
    wrong = []
    for user in ("audit", "root"):
        began = time.monotonic()
        (seen,) = collect([f"{user}@{NAME}"], options)
        took = time.monotonic() - began
        if seen.facts is None:
            sys.exit(f"{user}: {seen.problem}")
        facts = seen.facts
        say(f"as {user}: {took:.1f} s, {facts.os_name}, kernel {facts.kernel_release}")
        said = {name: getattr(facts, name) for name in EXPECTED}
        wrong += [f"{user}: {n} is {said[n]!r}" for n in EXPECTED if said[n] != EXPECTED[n]]
        wrong += [f"{user}: {line}" for line in unlike_written(facts)]
        say(
            f"  {len(facts.units or ())} services, {facts.process_count} processes,"
            f" {len(facts.mounts or ())} file systems, kernels {facts.installed_kernels}"
        )
        unseen = {name: why for name, why in facts.unseen.items() if "root" in why}
        say(f"  root would add: {json.dumps(unseen) if unseen else 'nothing'}")
        (machine.folder / f"facts-{user}.json").write_text(
            json.dumps(dataclasses.asdict(facts), default=str, indent=1)
        )
    return wrong, facts


def unlike_written(facts):
    """Units and settings that are not what guest_host.py wrote."""
    units = {unit.name: unit for unit in (*(facts.units or ()), *(facts.slices or ()))}
    for name, settings in guest_host.WRITTEN.items():
        for field, value in settings.items():
            seen = getattr(units.get(name), field, "no such unit")
            if seen != value:
                yield f"{name} {field} is {seen!r}, not {value!r}"
    for name, value in guest_host.SYSCTLS.items():
        if facts.sysctls.get(name) != value:
            yield f"{name} is {facts.sysctls.get(name)!r}, not {value!r}"


def beside_the_bus(facts, bus):
    """Every unit's facts are the numbers that systemd gives on its bus."""
    units = {unit.name: unit for unit in (*facts.units, *facts.slices)}
    wrong = [f"on the bus alone: {name}" for name in sorted(bus.keys() - units.keys())]
    for name, said in bus.items():
        unit = units.get(name)
        if unit is None:
            continue
        expected = {
            "memory_max_bytes": limit(said["MemoryMax"]),
            "memory_high_bytes": limit(said["MemoryHigh"]),
            "swap_max_bytes": limit(said["MemorySwapMax"]),
            "slice": said["Slice"] or None,
        }
        if "Type" in said:
            expected |= {
                "service_type": said["Type"],
                "restart": said["Restart"],
                "restart_seconds": seconds(said["RestartUSec"]),
                "oom_score_adjust": said["OOMScoreAdjust"],
                "oom_policy": said["OOMPolicy"],
                "cores_allowed": said["LimitCORESoft"] != 0,
                "start_limit_burst": said["StartLimitBurst"],
                "start_limit_interval_seconds": seconds(said["StartLimitIntervalUSec"]),
                "fragment_path": said["FragmentPath"] or None,
            }
        wrong += [
            f"{name} {field} is {getattr(unit, field)!r}, on the bus {value!r}"
            for field, value in expected.items()
            if getattr(unit, field) != value
        ]
    say(f"beside the bus: {len(bus)} units, {len(wrong)} differences")
    return wrong


def limit(number):
    return None if number == UNLIMITED else number


def seconds(microseconds):
    return None if microseconds == UNLIMITED else microseconds / 1e6


def counted(facts, count):
    """Of the many services each is there, with its own limit."""
    limits = {
        unit.name: unit.memory_max_bytes for unit in facts.units if unit.name.startswith("MANY")
    }
    expected = {f"MANY-{number}.service": (number + 1) * 2**20 for number in range(count)}
    if limits == expected:
        return []
    why = facts.unseen.get("units", "and nothing says why")
    return [f"of {count} services {len(limits)} are seen ({why})"]


def beside_the_report(machine, root):
    """A sosreport of the guest says what the guest says over SSH, or that it cannot tell."""
    began = time.monotonic()
    said = machine.ask(f"sos report --batch -z gzip --tmp-dir /var/tmp -o {PLUGINS}", timeout=3600)
    path = machine.ask("ls /var/tmp/sosreport-*.tar.gz").split()[0]
    archive = machine.folder / "sosreport-guest.tar.gz"
    machine.fetch(path, archive)
    version = next((line for line in said.splitlines() if "version" in line), "sos")
    say(f"{version.strip()}: {time.monotonic() - began:.0f} s, {archive.stat().st_size} bytes")
    return unlike_report(root, archive)


def unlike_report(root, archive):
    """What a report says otherwise than the facts over SSH."""
    (seen,) = read_sosreports([str(archive)], SystemClock())
    if seen.facts is None:
        return [f"sosreport: {seen.problem}"]
    wrong = [f"sosreport: {seen.problem}"] if seen.problem else []
    untold, equal = [], 0
    for field in dataclasses.fields(root):
        name = field.name
        if name in MOVING:
            continue
        ours, theirs = still(getattr(root, name)), still(getattr(seen.facts, name))
        if name in ("units", "slices"):
            # sos lists what is not active too.
            active = {unit.name for unit in ours}
            theirs = tuple(unit for unit in theirs or () if unit.name in active)
        if ours == theirs:
            equal += 1
        elif name in seen.facts.unseen:
            untold.append(f"{name} ({seen.facts.unseen[name]})")
        else:
            wrong += [f"sosreport: {name}: {line}" for line in apart(ours, theirs)]
    say(f"sosreport: {equal} facts as over SSH; not told: {'; '.join(untold) or 'none'}")
    return wrong


def still(value):
    """A value without what moves between two moments."""
    if isinstance(value, dict):
        return {name: still(one) for name, one in value.items()}
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        parts = [still(one) for one in value]
        return tuple(sorted(parts, key=repr))
    if dataclasses.is_dataclass(value):
        fields = {one.name for one in dataclasses.fields(value)}
        gone = [name for name in (*MOVING_OF_UNITS, *MOVING_OF_MOUNTS) if name in fields]
        return dataclasses.replace(value, **dict.fromkeys(gone))
    return value


def apart(ours, theirs):
    """The parts of two values that are not the same, in a few lines."""
    if isinstance(ours, tuple) and ours and hasattr(ours[0], "name"):
        others = {part.name: part for part in theirs or ()}
        for part in ours:
            yield from unlike(part, others.get(part.name))
    elif isinstance(ours, tuple) and isinstance(theirs, tuple):
        for sign, one, other in (("ssh", ours, theirs), ("sos", theirs, ours)):
            yield from (f"{sign} alone: {part!r}" for part in one if part not in other)
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted({*ours, *theirs}):
            if ours.get(name) != theirs.get(name):
                yield f"{name}: ssh {ours.get(name)!r}, sos {theirs.get(name)!r}"
    else:
        yield f"ssh {ours!r}, sos {theirs!r}"


def unlike(ours, theirs):
    """The fields of one unit, or the like, that are not the same."""
    if theirs is None:
        yield f"ssh alone: {ours.name}"
        return
    for field in dataclasses.fields(ours):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        if one != other:
            yield f"{ours.name} {field.name}: ssh {one!r}, sos {other!r}"


def audit(machine):
    """What `forestall audit` says of it."""
    words = ("-m", "forestall", "audit", "facts", str(machine.folder / "answers"), "--json")
    done = run(sys.executable, *words, fine=(0, 1, 3))
    found = [json.loads(line) for line in done.splitlines()]
    for state in ("fail", "unknown"):
        rules = sorted({one["rule"] for one in found if one["state"] == state})
        say(f"  {state}: {' '.join(rules) or 'none'}")


if __name__ == "__main__":
    sys.exit(main())

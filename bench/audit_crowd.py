"""What the collector's script costs on a host with tens of thousands of processes.

    python bench/audit_crowd.py                       0, 3,000, 10,000 and 30,000 of them
    python bench/audit_crowd.py --processes 0 20000
    python bench/audit_crowd.py --keep DIR            may share DIR with bench/audit_guest.py

The processes are real, and run in a Debian guest of their own: so many on this machine would be in
everybody's way. The guest runs under emulation. So the script's seconds are given beside those of
the guest's without any, and the same ratio is to be expected elsewhere; bytes, and the seconds of
reading the answer, which is done here, are as anywhere.
"""

import argparse
import re
import resource
import sys
import time

import guest
import guest_host
from forestall.audit.collect.script import script
from forestall.audit.collect.stream import answer_of, read_answer
from forestall.clock import SystemClock
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost
from guest import say

MARK = "0123456789abcdef0123456789abcdef"
GUEST_MIB = 5120
START_SECONDS = 1800

# In a cgroup without a limit of tasks; Perl is on every Debian, and small.
START = """\
systemd-run -q -p TasksMax=infinity -p Type=forking -p KillMode=none -p GuessMainPID=no \\
    -p TimeoutStartSec=infinity perl -e 'for (1..{count}) {{
        my $pid = fork; die "fork: $!" unless defined $pid; if (!$pid) {{ sleep 1e6; exit }} }}'
"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", metavar="DIR")
    parser.add_argument("--processes", type=int, nargs="+", default=[0, 3000, 10_000, 30_000])
    args = parser.parse_args()
    problem = guest.why_not()
    if problem:
        print(problem)
        return
    with (
        guest.folder_for(args.keep) as folder,
        guest.Guest(folder, guest_host, memory_mib=GUEST_MIB) as machine,
    ):
        machine.settle()
        machine.ask("sysctl -q -w kernel.pid_max=100000 kernel.threads-max=100000")
        (folder / "script.sh").write_bytes(script(MARK))
        machine.send(folder / "script.sh", ".")
        started = 0
        for count in sorted(args.processes):
            began = time.monotonic()
            machine.ask(START.format(count=count - started), timeout=START_SECONDS)
            say(f"started {count - started} in {time.monotonic() - began:.0f} s")
            started = count
            measured(machine, count)


def measured(machine, count):
    """One row: the script there, its answer here."""
    times = machine.ask("bash -c 'time sh -s <script.sh >answer' 2>&1", timeout=START_SECONDS)
    spent = {
        name: 60 * int(minutes) + float(seconds)
        for name, minutes, seconds in re.findall(r"(real|user|sys)\s+(\d+)m([0-9.]+)s", times)
    }
    machine.fetch("answer", machine.folder / "answer")
    data = (machine.folder / "answer").read_bytes()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    answer = answer_of(data, MARK)
    facts = read_facts(RecordedHost(read_answer(answer)), SystemClock())
    after = resource.getrusage(resource.RUSAGE_SELF)
    say(
        f"{count} more: {facts.process_count} processes in the facts, script {spent['real']:.1f} s"
        f" (processor {spent['user'] + spent['sys']:.1f} s), answer {len(data)} bytes,"
        f" unpacked {len(answer)}, here {time.process_time() - began:.2f} s of processor,"
        f" at most {after.ru_maxrss // 1024} MiB (before {before.ru_maxrss // 1024})"
    )
    if facts.process_count < count:
        sys.exit(f"of {count} processes {facts.process_count} are in the facts")


if __name__ == "__main__":
    main()

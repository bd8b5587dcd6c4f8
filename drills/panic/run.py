"""A real kernel panics: a leaking service fills a small host that has vm.panic_on_oom=1.

Under QEMU, in plain emulation, without rights and without touching this machine. First without a
guard, then with forestall's agent in the guest, in act mode, with the thresholds it ships with.
Needs the packages qemu-system-x86 and e2fsprogs; kernel, busybox and rival are downloaded once by
apt, and never installed. Serial console, kernel memory, evidence and a report are kept.

examples:
  forestall drill panic                            unguarded, then guarded by forestall
  forestall drill panic --guard none               the panic alone, in less than a minute
  forestall drill panic --guard none,earlyoom,forestall --out ./panic
  forestall drill panic --debug-symbols            drgn names the culprit from the vmcore
  forestall drill panic --json

Exit code 0 when it went as promised (unguarded it panics; with forestall it does not, and evidence
comes out whole), 1 when not, 2 usage, 3 when something is missing here.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from drills.panic import culprit, disk, guest, qemu, report
from drills.panic.findings import Finding, find
from drills.panic.guest import GUARDS, Kernel, Python, Setup
from drills.panic.packages import Packages, cache_folder, require
from drills.panic.qemu import Board
from drills.panic.replay import Replay, Run, probe
from forestall.errors import ForestallError, UsageError
from forestall.units import MIB, parse_bytes

RESULT = "result.json"
REPORT = "report.md"
MEMORY_MIN, MEMORY_MAX = 192 * MIB, 8192 * MIB
# By the guest's clock; a guest that neither panicked nor was saved until then ends by itself.
WATCH_SECONDS = 600.0
LEAK_MIN, LEAK_MAX = MIB // 4, 256 * MIB


def main(argv: Sequence[str] | None = None) -> int:
    """Run the drill from the command line; returns the exit code."""
    try:
        return Drill(parse(sys.argv[1:] if argv is None else argv)).run()
    except ForestallError as error:
        print(f"drill panic: {error.message}", file=sys.stderr)
        if error.help:
            print(f"  {error.help}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"drill panic: {error.filename}: {error.strerror}", file=sys.stderr)
        return ForestallError.exit_code
    except KeyboardInterrupt:
        return 130


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options, checked. Raises UsageError."""
    parser = argparse.ArgumentParser(
        prog="forestall drill panic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--guard", default="none,forestall", metavar="LIST", help=f"of {','.join(GUARDS)}")
    add("--json", action="store_true", help="print one JSON object; what happens goes to stderr")
    add("--out", metavar="DIR", help="where all is kept (default: a new temporary folder)")
    add("--memory", default="512M", metavar="BYTES", help="of the guest (default: %(default)s)")
    add("--leak", default="7M", metavar="BYTES", help="per second (default: %(default)s)")
    add(
        "--healthy",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="to watch the guest after the service was first recycled (default: %(default)g)",
    )
    add(
        "--limit",
        type=float,
        default=900.0,
        metavar="SECONDS",
        help="for one guest, at most, by this host's clock (default: %(default)g)",
    )
    add(
        "--accel",
        choices=("tcg", "kvm"),
        default="tcg",
        help="kvm: if a guest boots with it within 10 s, else tcg (default: tcg, plain emulation)",
    )
    add("--debug-symbols", action="store_true", help="download the kernel's, 283 MB, once")
    args = parser.parse_args(argv)
    args.guard = _guards(args.guard)
    args.memory = _between("--memory", args.memory, MEMORY_MIN, MEMORY_MAX)
    args.leak = _between("--leak", args.leak, LEAK_MIN, LEAK_MAX)
    for name, value in (("--healthy", args.healthy), ("--limit", args.limit)):
        if not 1 <= value <= 3600:
            raise UsageError(f"{name} {value:g} is out of range", help="give 1 to 3600 seconds")
    return args


def _guards(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in GUARDS:
            raise UsageError(
                f"--guard: no such guard: {name!r}", help=f"known: {', '.join(GUARDS)}"
            )
    return names


def _between(option: str, text: str, low: int, high: int) -> int:
    value = parse_bytes(text)
    if not low <= value <= high:
        raise UsageError(
            f"{option} {text} is out of range", help=f"give {low // 1024}K to {high // MIB}M"
        )
    return value


class Drill:
    """One drill with its guards, one after the other, so that none disturbs another."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._began = time.monotonic()
        self._load_before = os.getloadavg()[0]
        self._out = out_folder(args.out)
        self._packages = Packages(cache_folder(), self._say)

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGHUP):
            # By default they would end the drill, and leave its guest running.
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _leave)
        require(
            (qemu.PROGRAM, "qemu-system-x86"),
            ("mke2fs", "e2fsprogs"),
            ("debugfs", "e2fsprogs"),
            ("ldd", "libc-bin"),
            ("dpkg-deb", "dpkg"),
        )
        self._say(f"all is kept in {self._out}")
        kernel = guest.unpack_kernel(self._packages, self._say)
        if self._args.debug_symbols:
            culprit.fetch_symbols(self._packages, kernel.release, self._say)
        python = guest.find_python(self._packages.cache)
        base = guest.base_archive(kernel, python, self._programs())
        accelerator = self._accelerator(kernel, python, base)
        findings = [
            self._play(guard, kernel, python, base, accelerator) for guard in self._args.guard
        ]
        self._write(findings, kernel, python, accelerator)
        return 0 if all(one.as_promised for one in findings) else 1

    def _programs(self) -> dict[str, str]:
        programs = {"busybox": self._packages.program("busybox", "busybox-static")}
        if "earlyoom" in self._args.guard:
            programs["earlyoom"] = self._packages.program("earlyoom", "earlyoom")
        return programs

    def _accelerator(self, kernel: Kernel, python: Python, base: bytes) -> str:
        """What was asked for, if a guest boots with it; that /dev/kvm exists is no sign."""
        if self._args.accel == "tcg":
            return "tcg"
        self._say("probing KVM: a guest must boot with it within 10 s")
        folder = os.path.join(self._out, "probe")
        os.makedirs(folder, exist_ok=True)
        board = self._board(folder, "none", kernel, python, base, "kvm", probing=True)
        works = probe(board, folder)
        shutil.rmtree(folder, ignore_errors=True)
        self._say("KVM works" if works else "KVM does not boot a guest here: plain emulation")
        return "kvm" if works else "tcg"

    def _play(
        self, guard: str, kernel: Kernel, python: Python, base: bytes, accelerator: str
    ) -> Finding:
        self._say(f"\n== guard: {guard}")
        folder = os.path.join(self._out, guard)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        board = self._board(folder, guard, kernel, python, base, accelerator)
        run = Run(guard=guard, folder=folder)
        Replay(run, board, limit_seconds=self._args.limit, show=self._show).play()
        os.unlink(board.initrd)
        disk.read_disk(board.disk, os.path.join(folder, "kept"))
        os.unlink(board.disk)
        finding = find(run, self._packages, kernel.release)
        self._say(verdict_of(finding))
        return finding

    def _board(
        self,
        folder: str,
        guard: str,
        kernel: Kernel,
        python: Python,
        base: bytes,
        accelerator: str,
        *,
        probing: bool = False,
    ) -> Board:
        setup = Setup(
            guard=guard,
            memory_bytes=self._args.memory,
            leak_bytes_per_second=self._args.leak,
            healthy_seconds=self._args.healthy,
            watch_seconds=WATCH_SECONDS + self._args.healthy,
            probe=probing,
        )
        board = Board(
            kernel=kernel.image,
            initrd=os.path.join(folder, "initrd"),
            disk=os.path.join(folder, "disk"),
            console=os.path.join(folder, "console.log"),
            events=os.path.join(folder, "events.jsonl"),
            memory_bytes=self._args.memory,
            accelerator=accelerator,
        )
        with open(board.initrd, "wb") as file:
            file.write(base)
            file.write(guest.run_archive(setup, kernel, python))
        disk.make_disk(board.disk)
        return board

    def _write(
        self, findings: list[Finding], kernel: Kernel, python: Python, accelerator: str
    ) -> None:
        total = time.monotonic() - self._began
        conditions = report.Conditions(
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            machine=f"{os.cpu_count()} processors, Linux {platform.release()}",
            load_before=self._load_before,
            load_after=os.getloadavg()[0],
            qemu=qemu.version(),
            accelerator=accelerator,
            kernel=kernel.release,
            python=python.version,
            memory_bytes=self._args.memory,
            leak_bytes_per_second=self._args.leak,
            healthy_seconds=self._args.healthy,
            total_seconds=total,
        )
        result = {"guards": [one.to_json() for one in findings]}
        with open(os.path.join(self._out, RESULT), "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
            file.write("\n")
        path = os.path.join(self._out, REPORT)
        with open(path, "w", encoding="utf-8") as file:
            file.write(report.write(conditions, findings))
        self._say(f"\n{total:.1f} s from zero to here. The report: {path}")
        if self._args.json:
            print(json.dumps(result, indent=2))

    def _say(self, text: str) -> None:
        print(text, file=sys.stderr if self._args.json else sys.stdout, flush=True)

    def _show(self, at: float, text: str) -> None:
        self._say(f"[{at:6.1f} s] {text}")


def verdict_of(finding: Finding) -> str:
    """One line on what came of a run."""
    run = finding.run
    if run.panicked:
        log = run.panic.invoked_by if run.panic else None
        said = f"Panicked {run.seconds} s after the leak began. The log opens with `{log}`; "
        return said + f"`{finding.culprit}` held the memory, says {finding.culprit_by}."
    if finding.outcome == "recovered":
        said = f"No panic: `{finding.culprit}` was recycled {run.seconds} s after the leak began."
        return said + (f" Evidence: {finding.verified}." if finding.evidence else " No evidence.")
    return f"Neither panicked nor recovered: {finding.outcome}."


def out_folder(option: str | None) -> str:
    """The folder for what is kept: new, empty, or that of an earlier drill."""
    if option is None:
        return tempfile.mkdtemp(prefix="forestall-drill-panic-")
    folder = os.path.abspath(option)
    os.makedirs(folder, exist_ok=True)
    names = os.listdir(folder)
    if names and RESULT not in names and not set(names) <= {*GUARDS, "probe"}:
        raise UsageError(f"{folder} holds other things", help="name a new folder with --out")
    return folder


def _leave(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())

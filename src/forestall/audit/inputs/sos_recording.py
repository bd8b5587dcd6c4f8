"""A sosreport as a `Recording`: what it holds in another form is put where a host would have it.

So `sense.facts` reads every fact by the same readers as on a live host. What is written here was
read by a command of the host itself; nothing is guessed, and what is not in the report stays away.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from forestall.audit.inputs import sos_text
from forestall.audit.inputs.gather import Gathered
from forestall.audit.inputs.sos_cut import Cuts, why_list_cut, why_units_cut
from forestall.audit.inputs.sos_layout import command_of
from forestall.audit.inputs.sos_units import shown_slices, shown_units, why_slices_cut
from forestall.model.facts import HolderFacts, HostFacts
from forestall.sense.host import decode
from forestall.sense.recording import Recording

PAGE_BYTES = 4096
TICKS_PER_SECOND = 100
PROCESS_LIMIT = 20_000
KERNEL_THREAD = 0x00200000
MOUNTINFO = ("proc/self/mountinfo", "proc/1/mountinfo")
MOUNTS = ("proc/mounts", "proc/self/mounts", "proc/1/mounts")
RECORDED = "the sosreport has no "

_ARGUMENT_NAMES = re.compile(
    r"agent|earlyoom|forestall|k3s-server|nohang|oomd|otelcol|postgres|postmaster|python|systemd-oomd"
)


class SosReport:
    """One report's files and commands by the words of `sos_layout.COMMANDS`."""

    def __init__(self, found: Gathered) -> None:
        self.found = found
        found.follow_links()
        self.by_command: dict[str, list[str]] = {}
        for path in sorted(found.files):
            word = command_of(path)
            if word is not None:
                self.by_command.setdefault(word, []).append(path)
        self.made: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.listed: set[str] = set()
        self.cuts = Cuts(found.files)
        self.timed: set[int] = set()

    def text(self, *paths: str) -> str | None:
        """The first of these files that is there and not empty."""
        for path in paths:
            data = self.found.files.get(path)
            if data:
                return decode(data)
        return None

    def answer(self, word: str) -> str | None:
        """A command's output."""
        return self.text(*self.by_command.get(word, ()))

    def path_of(self, word: str) -> str:
        paths = self.by_command.get(word, ())
        return next((path for path in paths if self.found.files.get(path)), "")

    def why_cut(self, word: str) -> str | None:
        """Why a command's output is not whole; None without a sign of it, and without output."""
        path, text = self.path_of(word), self.answer(word)
        if text is None:
            return None
        if path in self.found.cut:
            return f"{path} is too large and was cut"
        told = {"services": why_units_cut, "list-units": why_list_cut}.get(word)
        return self.cuts.why(path, text) or (told(text) if told else None)

    def put(self, path: str, text: str, pointer: str | None = None, word: str = "") -> None:
        """Put a file where the host would have it, unless the report has that file itself."""
        if path in self.found.files or path in self.made:
            return
        self.made[path] = text.encode("utf-8", "surrogateescape")
        if pointer:
            self.sources[pointer] = self.path_of(word) or word


def recording_of(report: SosReport, name: str) -> Recording:
    """The recording of one report; `name` is used where the report does not tell its host's."""
    denied = _put_sysctls(report)
    machine = _put_kernel(report)
    _put_mounts(report)
    _put_blocks(report)
    _put_processes(report)
    commands = _commands(report)
    files = {path: data for path, data in report.found.files.items() if _is_the_hosts(path)}
    return Recording(
        files=files | report.made,
        links={**_links(report.found), **report.links},
        commands=commands,
        denied=denied,
        hostname=hostname(report) or name,
        machine=machine,
        effective_uid=0,
        page_bytes=PAGE_BYTES,
        collected_at=collected_at(report),
        origin="sosreport",
        listed=frozenset(report.listed),
    )


def _is_the_hosts(path: str) -> bool:
    return "/" in path and not path.startswith(("sos_commands/", "sos_logs/", "sos_reports/"))


def _links(found: Gathered) -> dict[str, str]:
    return {path: target for path, target in found.links.items() if path not in found.files}


def hostname(report: SosReport) -> str | None:
    """What the host called itself; a name that sos clean put in its place is as good."""
    for text in (
        report.text("proc/sys/kernel/hostname"),
        report.answer("hostname"),
        report.text("hostname", "etc/hostname"),
    ):
        words = (text or "").split()
        if len(words) == 1 and len(words[0]) <= 253 and words[0].isprintable():
            return words[0]
    told = sos_text.uname(report.answer("uname") or report.text("uname") or "")
    return told[0] if told and told[0].isprintable() else None


def collected_at(report: SosReport) -> float | None:
    """When the report was made, by the host's clock.

    A date in another language or in a local zone is not used: the time at which sos wrote a
    command's output is the same, and needs no words. Of an unpacked report it may be the time of
    the copy.
    """
    for word in ("date-utc", "timedatectl", "date"):
        for path in report.by_command.get(word, ()):
            moment = sos_text.collected_at(report.text(path) or "")
            if moment is not None:
                return moment
    times = report.found.times if report.found.times_of_host else {}
    for word in ("date", "uname", "hostname", "sysctl"):
        for path in report.by_command.get(word, ()):
            if times.get(path, 0) > 0:
                return times[path]
    return None


def _put_sysctls(report: SosReport) -> frozenset[str]:
    told = sos_text.sysctls(report.answer("sysctl") or "")
    for key, value in told.values.items():
        path = "proc/sys/" + key.replace(".", "/")
        report.put(path, value + "\n", f"/sysctls/{key}", "sysctl")
    families = [key.partition(".")[0] for key in told.values]
    if report.why_cut("sysctl"):
        families = []
    # Families come one after the other: of one that another follows, nothing was cut off.
    report.listed |= {f"proc/sys/{name}" for name in families if name != families[-1]}
    paths = {"proc/sys/" + key.replace(".", "/") for key in told.denied}
    return frozenset(path for path in paths if path not in report.found.files)


def _put_kernel(report: SosReport) -> str | None:
    """Release, modules and installed kernels; the machine's architecture."""
    told = sos_text.uname(report.answer("uname") or report.text("uname") or "")
    if told:
        report.put("proc/sys/kernel/osrelease", told[1] + "\n", "/kernel_release", "uname")
    modules = report.answer("lsmod") or report.text("lsmod")
    if modules:
        lines = [line.split() for line in modules.splitlines()[1:]]
        text = "".join(
            f"{words[0]} {words[1]} {words[2]} - Live 0x0\n"
            for words in lines
            if len(words) >= 3 and words[1].isdigit()
        )
        if text:
            report.put("proc/modules", text, "/modules", "lsmod")
    for name in re.findall(r"^(\w+) \[enabled\]", report.answer("kpatch") or "", re.MULTILINE):
        report.put(f"sys/kernel/livepatch/{name}/enabled", "1\n", "/livepatches", "kpatch")
    for path in report.by_command.get("boot", ()):
        names = sos_text.listed_names(report.text(path) or "", "/boot")
        if sos_text.lists_whole(report.text(path) or "", "/boot"):
            report.listed.add("boot")
        for name in names:
            if re.match(r"(vmlinu[xz]|[Ii]mage)-", name) and "/" not in name:
                report.put(f"boot/{name}", "", "/installed_kernels", "boot")
    return told[2] if told else None


def _put_mounts(report: SosReport) -> None:
    """mountinfo, of the first process or made of /proc/mounts or mount -l, where it is missing."""
    files = report.found.files
    if "proc/self/mountinfo" in files:
        return
    first = files.get("proc/1/mountinfo")
    if first:
        report.put("proc/self/mountinfo", decode(first), "/mounts", "proc/1/mountinfo")
        return
    text = report.text(*MOUNTS)
    source = "proc/mounts"
    if text is None:
        text = _mounts_of_mount(report.answer("mount") or report.text("mount") or "")
        source = report.path_of("mount")
    lines = []
    for number, line in enumerate(text.splitlines(), 20):
        words = line.split(" ")
        if len(words) >= 4 and words[1].startswith("/"):
            device, point, kind, options = words[:4]
            lines.append(f"{number} 1 0:{number} / {point} {options} - {kind} {device} {options}\n")
    if lines:
        report.put("proc/self/mountinfo", "".join(lines), "/mounts", source)


def _mounts_of_mount(text: str) -> str:
    """`DEVICE on POINT type KIND (OPTIONS) [LABEL]` as lines of /proc/mounts."""
    found = []
    for line in text.splitlines():
        device, _, rest = line.partition(" on /")
        point, _, rest = rest.partition(" type ")
        kind, _, rest = rest.partition(" (")
        options, closed, _ = rest.partition(")")
        if device and closed and " " not in kind:
            row = (device, f"/{point}", kind, options)
            found.append(" ".join(part.replace(" ", "\\040") for part in row) + "\n")
    return "".join(found)


def _put_blocks(report: SosReport) -> None:
    """/sys/class/block and /dev/disk of what lsblk printed."""
    word = "lsblk" if report.answer("lsblk") else "lsblk-plain"
    text = report.answer(word) or ""
    rotating = _rotating(report)
    for block in sos_text.blocks(text) if word == "lsblk" else sos_text.block_tree(text):
        if not re.fullmatch(r"[\w.!-]+", block.name):
            continue
        folder = f"sys/class/block/{block.name}"
        above = block.parents[0] if block.kind == "part" and block.parents else None
        place = f"{above}/{block.name}" if above else block.name
        report.links.setdefault(folder, f"../../devices/block/{place}")
        if above:
            report.put(f"{folder}/partition", "1\n", "/block_devices", word)
        else:
            for parent in block.parents:
                report.put(f"{folder}/slaves/{parent}", "", "/block_devices", word)
        told = rotating.get(block.name) if block.rotational is None else block.rotational
        if told is not None:
            report.put(f"{folder}/queue/rotational", f"{int(told)}\n")
        _put_names(report, block, folder)


def _rotating(report: SosReport) -> dict[str, bool]:
    """By /sys, where /sys/block/sda is a link into /sys/devices, else by `lsblk -t`."""
    found = sos_text.rotating(report.answer("lsblk-topology") or "")
    for path in report.found.files:
        match = re.fullmatch(r"sys/(?:devices/.*/)?block/([^/]+)/queue/rotational", path)
        if match:
            found[match[1]] = (report.text(path) or "").strip() == "1"
    return found


def _put_names(report: SosReport, block: sos_text.Block, folder: str) -> None:
    if block.name.startswith("dm-") and block.given_name:
        report.put(f"{folder}/dm/name", block.given_name + "\n")
        report.links.setdefault(f"dev/mapper/{block.given_name}", f"../{block.name}")
    for by, value in (
        ("by-uuid", block.uuid),
        ("by-label", block.label),
        ("by-partuuid", block.partuuid),
    ):
        if value and "/" not in value:
            report.links.setdefault(f"dev/disk/{by}/{value}", f"../../{block.name}")


def _commands(report: SosReport) -> dict[str, bytes]:
    """What commands answered, under the names that `sense` asks for."""
    found: dict[str, bytes] = {}
    services = report.answer("services")
    slices = shown_slices(report.found.files)
    if services is not None:
        report.put("run/systemd/system/", "")
        found["systemctl-show"] = (_whole_records(report, services) + slices).encode()
        report.sources["/units"] = report.path_of("services")
    elif report.answer("list-units"):
        shown = shown_units(report.found.files, report.answer("list-units") or "")
        if shown:
            report.put("run/systemd/system/", "")
            found["systemctl-show"] = (shown + slices).encode()
            report.sources["/units"] = "unit files"
    version = sos_text.value_of(report.answer("manager") or "", "Version")
    version = version or _packaged_version(report, "systemd")
    match = re.search(r"\d{2,4}", version or "")
    if match:
        found["systemctl-version"] = f"systemd {match[0]}\n".encode()
        report.sources["/systemd_version"] = report.path_of("manager") or "installed-rpms"
    disk_space = report.answer("df") or report.text("df")
    if disk_space:
        found["df-P"] = re.sub(r"\n(?=/|[^\s:]++:)(\S++)\n +", r"\n\1 ", disk_space).encode()
    packages = report.text("installed-rpms") or report.answer("rpms")
    if packages:
        found["rpm-qa"] = "\n".join(sos_text.package_lines(packages)).encode()
    debs = report.text("installed-debs") or report.answer("debs")
    if debs:
        found["dpkg-l"] = debs.encode()
    return found


def _whole_records(report: SosReport, services: str) -> str:
    """Without the half of a record that a cut may have left: what it lacks would seem not set."""
    end = services.rfind("\n\n") if report.why_cut("services") else len(services)
    return services[: max(0, end)].rstrip("\n") + "\n"


def _packaged_version(report: SosReport, package: str) -> str | None:
    for line in sos_text.package_lines(report.text("installed-rpms") or ""):
        if re.match(rf"{package}-\d", line):
            return line[len(package) + 1 :]
    match = re.search(rf"^ii\s+{package}\s+(\S+)", report.answer("debs") or "", re.MULTILINE)
    return match[1] if match else None


def _put_processes(report: SosReport) -> None:
    """stat, statm and cgroup of each process, from its status file and what ps printed.

    ps prints itself too, so a list without it was cut. Without parents a server's sessions would
    be servers, and without sizes all of them kernel threads.
    """
    rows: dict[int, sos_text.PsRow] = {}
    told: set[str] = set()
    for word in ("ps-cgroup", "ps-long", "ps-aux", "ps-full", "ps-started", "ps"):
        text = report.text("ps") if word == "ps" else report.answer(word)
        printed = list(sos_text.ps_rows(text or ""))
        # The report's own `ps` is a link to that of all users.
        whole = report.why_cut("ps-aux" if word == "ps" else word) is None
        if whole and any((row.name or _name_of(row.command or "")) == "ps" for row in printed):
            told |= {"parents"} if printed[0].parent_pid is not None else set()
            told |= {"sizes"} if printed[0].rss_bytes is not None else set()
        for row in printed:
            if len(rows) < PROCESS_LIMIT or row.pid in rows:
                rows[row.pid] = _merged(rows.get(row.pid), row)
    if told == {"parents", "sizes"} and len(rows) < PROCESS_LIMIT:
        report.listed.add("proc")
    places = sos_text.unit_processes(report.answer("status") or "")
    unified = _put_controllers(report)
    for pid in sorted({*rows, *_pids(report)}):
        _put_process(report, pid, rows.get(pid), places.get(pid), unified=unified)
        _put_cgroups(report, pid)


def _put_cgroups(report: SosReport, pid: int) -> None:
    """The folders of a process's cgroups: they exist, whether or not sos came to copy them."""
    told = report.found.files.get(f"proc/{pid}/cgroup") or report.made.get(f"proc/{pid}/cgroup")
    for line in decode(told or b"").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if place.startswith("/") and ".." not in place:
            if not controllers:
                report.put(f"sys/fs/cgroup{place.rstrip('/')}/", "")
            elif "memory" in controllers.split(","):
                report.put(f"sys/fs/cgroup/memory{place.rstrip('/')}/", "")


_V2_MEMORY = re.compile(r"sys/fs/cgroup/[^/]+/(?:[^\0]*/)?memory\.(?:max|high|swap\.max)")


def _put_controllers(report: SosReport) -> bool:
    """Whether cgroup v2 is at work: by the root's list of controllers, or by files of its own.

    sos copies the tree file by file and may have been ended before it came to the list. v1 has
    other names for its limits.
    """
    path = "sys/fs/cgroup/cgroup.controllers"
    if path not in report.found.files and any(map(_V2_MEMORY.fullmatch, report.found.files)):
        report.put(path, "memory\n", "/cgroup_version", "sys/fs/cgroup")
    return path in report.found.files or path in report.made


def _merged(known: sos_text.PsRow | None, row: sos_text.PsRow) -> sos_text.PsRow:
    if known is None:
        return row
    fields = (a if a is not None else b for a, b in zip(known, row, strict=True))
    return sos_text.PsRow(*fields)  # type: ignore[arg-type]


def _pids(report: SosReport) -> Iterator[int]:
    for path in report.found.files:
        if path.startswith("proc/") and path.endswith("/status"):
            pid = path.split("/")[1]
            if pid.isdecimal() and len(pid) < 10:
                yield int(pid)


def _put_process(
    report: SosReport, pid: int, row: sos_text.PsRow | None, place: str | None, *, unified: bool
) -> None:
    folder = f"proc/{pid}"
    status = report.text(f"{folder}/status") or ""
    row = row or sos_text.PsRow(pid)
    name = sos_text.value_of(status, "Name") or row.name or _name_of(row.command or "")
    if not name:
        return
    rss = _kib(status, "VmRSS")
    rss = row.rss_bytes if rss is None and not status else rss
    shared = (_kib(status, "RssFile") or 0) + (_kib(status, "RssShmem") or 0)
    pages = (rss or 0) // PAGE_BYTES
    parent = sos_text.value_of(status, "PPid") or row.parent_pid or 0
    flags = 0 if pages else KERNEL_THREAD
    threads = sos_text.value_of(status, "Threads") or row.thread_count or 1
    if row.cpu_seconds is not None:
        report.timed.add(pid)
    ticks = (row.cpu_seconds or 0) * TICKS_PER_SECOND
    numbers = f"{parent} 0 0 0 -1 {flags} 0 0 0 0 {ticks} 0 0 0 20 0 {threads} 0 0 0"
    report.put(f"{folder}/stat", f"{pid} ({name}) S {numbers}\n")
    report.put(f"{folder}/statm", f"{pages} {pages} {shared // PAGE_BYTES} 0 0 0 0\n")
    report.put(f"{folder}/comm", name + "\n")
    if not status:
        uid = f"Uid:\t{row.uid}\n" if row.uid is not None else ""
        report.put(f"{folder}/status", f"Name:\t{name}\n{uid}")
    cgroups = re.findall(r"(?<!\d)(\d++:[\w=,]*+:/[^,;]*)", row.cgroup or "")
    if cgroups:
        report.put(f"{folder}/cgroup", "\n".join(cgroups) + "\n")
    elif place:
        report.put(f"{folder}/cgroup", f"{'0:' if unified else '1:name=systemd'}:{place}\n")
    if row.command and _ARGUMENT_NAMES.match(name):
        report.put(f"{folder}/cmdline", "\0".join(row.command.split()) + "\0")


def _name_of(command: str) -> str:
    """The kernel's name for a process, of the command line that ps printed."""
    first = command.split(" ", 1)[0]
    if command.startswith("["):
        return command.strip("[]")[:15]
    return first.rstrip(":").rpartition("/")[2].lstrip("-")[:15]


def _kib(status: str, name: str) -> int | None:
    words = (sos_text.value_of(status, name) or "").split()
    return int(words[0]) * 1024 if words and words[0].isdecimal() else None


def without_made_up(facts: HostFacts, report: SosReport) -> HostFacts:
    """`facts` without what only stood in a file because the file needs something there."""
    unseen = dict(facts.unseen)
    changes: dict[str, object] = {
        "holders": tuple(_honest(holder, report) for holder in facts.holders),
        "databases": None
        if facts.databases is None
        else tuple(_honest(holder, report) for holder in facts.databases),
        "sources": {**facts.sources, **_used(report.sources, facts)},
    }
    if not any(path.endswith("/stat") for path in report.made):
        unseen["holders"] = unseen["kubernetes"] = RECORDED + "list of processes"
        changes |= {"hidden_processes": None, "process_count": None, "kubernetes": None}
    if facts.slices is not None and not facts.slices:
        changes["slices"] = None
        unseen["slices"] = RECORDED + "answer about slices"
    changes["psi"] = _psi(facts, report)
    if changes["psi"] is None:
        unseen["psi"] = RECORDED + "proc/pressure, which its sos may not have collected"
    unseen.update(_cut(report))
    changes["livepatches"] = _livepatches(facts, report)
    if changes["livepatches"] is None:
        unseen["livepatches"] = RECORDED + "list of modules or live patches"
    if facts.units is None:
        unseen["units"] = RECORDED + "answer of systemctl show"
    return replace(facts, **changes, unseen=unseen)  # type: ignore[arg-type]


_LISTS = {
    "services": "units",
    "sysctl": "sysctls",
    "ps-aux": "holders",
    "ps-long": "holders",
    "lsblk": "block_devices",
    "lsmod": "modules",
    "rpms": "installed_kernels",
    "debs": "installed_kernels",
}


def _cut(report: SosReport) -> dict[str, str]:
    """Why lists are not whole, by the field of each."""
    words = dict(_LISTS)
    if report.answer("services") is None:
        words["list-units"] = "units"
    if not report.answer("lsblk"):
        words["lsblk-plain"] = "block_devices"
    if "proc/modules" in report.found.files:
        del words["lsmod"]
    if not any(path in report.found.files for path in MOUNTINFO + MOUNTS):
        words["mount"] = "mounts"
    found = {field: why for word, field in words.items() if (why := report.why_cut(word))}
    slices = report.cuts.why_plugin("cgroups") or why_slices_cut(report.found.files)
    return {**found, "slices": slices} if slices else found


def _used(sources: dict[str, str], facts: HostFacts) -> dict[str, str]:
    """Without those of the hundreds of settings that are no fact of ours."""
    return {
        pointer: place
        for pointer, place in sources.items()
        if not pointer.startswith("/sysctls/") or pointer[len("/sysctls/") :] in facts.sysctls
    }


def _psi(facts: HostFacts, report: SosReport) -> bool | None:
    """No file of pressure is a sign only where the kernel is known to have none.

    PSI came with 4.20, and to RHEL 8 with 4.18. The kernels of RHEL 8 and 9 have it switched off
    unless booted with psi=1 (CONFIG_PSI_DEFAULT_DISABLED).
    """
    if facts.psi or any(path.startswith("proc/pressure/") for path in report.found.files):
        return facts.psi
    match = re.match(r"(\d+)\.(\d+)\.", facts.kernel_release or "")
    if match is None:
        return None
    told = (facts.cmdline or "").split()
    if "psi=1" in told or "psi=0" in told:
        return "psi=1" in told and (int(match[1]), int(match[2])) >= (4, 18)
    if re.search(r"\.el[89](?:[._]|$)", facts.kernel_release or ""):
        return False if facts.cmdline else None
    return False if (int(match[1]), int(match[2])) < (4, 20) else None


_PATCH_MODULES = re.compile(r"(?:kpatch|klp|livepatch|lkp|ksplice)_\w+")


def _livepatches(facts: HostFacts, report: SosReport) -> tuple[str, ...] | None:
    """By /sys/kernel/livepatch or, in reports without it, by the modules that patch a kernel."""
    if facts.livepatches or any(path.startswith("sys/kernel/livepatch/") for path in report.made):
        return facts.livepatches
    if any(path.startswith("sys/kernel/livepatch/") for path in report.found.files):
        return facts.livepatches
    if facts.modules is None:
        return None
    if "proc/modules" not in report.found.files and report.why_cut("lsmod"):
        return None
    found = {name for name in facts.modules if _PATCH_MODULES.fullmatch(name)}
    return tuple(sorted(found | ({"kernelcare"} if "kcare" in facts.modules else set())))


def _honest(holder: HolderFacts, report: SosReport) -> HolderFacts:
    process = holder.process
    status = report.text(f"proc/{process.key.pid}/status") or ""
    known = _kib(status, "RssAnon") is not None
    return replace(
        holder,
        process=replace(
            process,
            anon_bytes=process.anon_bytes if known else None,
            cpu_seconds=process.cpu_seconds if process.key.pid in report.timed else None,
            thread_count=process.thread_count if "Threads" in status else None,
        ),
    )

"""systemd's services and slices: their limits and what happens when they die, in one question."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from forestall.model.facts import UnitFacts
from forestall.sense.host import Host, decode

TIMEOUT_SECONDS = 0.8
UNIT_LIMIT = 10_000
VALUE_LIMIT = 64 * 1024

NO_LIMIT = ("infinity", "18446744073709551615")

PROPERTIES = (
    "Id",
    "Type",
    "TriggeredBy",
    "ActiveState",
    "MainPID",
    "MemoryMax",
    "MemoryHigh",
    "MemoryLimit",
    "MemorySwapMax",
    "MemoryCurrent",
    "TasksCurrent",
    "Restart",
    "RestartUSec",
    "NRestarts",
    "StartLimitBurst",
    "StartLimitIntervalUSec",
    "StartLimitIntervalSec",
    "StartLimitInterval",
    "OOMScoreAdjust",
    "OOMPolicy",
    "LimitCORE",
    "LimitCORESoft",
    "Slice",
    "ControlGroup",
    "FragmentPath",
    "Environment",
)
"""MemoryLimit= is what systemd before 231 has in place of MemoryMax= and MemoryHigh=.

The interval of the start limit changed its name twice (219, 229, 230). Of Environment only
PostgreSQL's own settings are kept, and the rest never leaves the parser.
"""

SHOW_UNITS = (
    "systemctl",
    "show",
    "--no-pager",
    f"--property={','.join(PROPERTIES)}",
    "*.service",
    "*.slice",
)
SHOW_VERSION = ("systemctl", "--version")

INTERVALS = ("StartLimitIntervalUSec", "StartLimitIntervalSec", "StartLimitInterval")

SPAN_LENGTH_MAX = 100
_SPAN = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)(us|ms|s|min|h|d|w|month|y)")
_SPAN_SECONDS = {
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "month": 2_629_800.0,
    "y": 31_557_600.0,
}
"""systemd.time(7): a month is 30.44 days and a year 365.25."""

_ADJUST_FILE = re.compile(r'(?:^|[\s"])PG_OOM_ADJUST_FILE=[^\s"]')
_ADJUST_VALUE = re.compile(r'(?:^|[\s"])PG_OOM_ADJUST_VALUE=(-?[0-9]{1,4})(?=[\s"]|$)')
_DATA_DIRECTORY = re.compile(r'(?:^|\s)(?:"PGDATA=([^"]+)"|PGDATA=(\S+))')


class Units(NamedTuple):
    """The services and slices, or None twice and `problem` in words.

    With units, `problem` says that they are not all. `version` is systemd's own number;
    `data_directories` holds, by service, the PGDATA of its environment.
    """

    units: tuple[UnitFacts, ...] | None
    version: int | None
    problem: str | None = None
    slices: tuple[UnitFacts, ...] | None = None
    data_directories: Mapping[str, str] = {}


def read_units(host: Host) -> Units:
    """The loaded services and slices of the system's manager; at most UNIT_LIMIT of them.

    What came before systemctl overran its time or its size is used, and `problem` says so.
    """
    if not host.is_folder("run/systemd/system"):
        return Units(None, None, "systemd does not run here")
    version = _version(host)
    answer = host.run_command(SHOW_UNITS, TIMEOUT_SECONDS)
    if answer.exit_code not in (0, None):
        return Units(None, version, f"systemctl show ended with exit code {answer.exit_code}")
    services: list[UnitFacts] = []
    slices: list[UnitFacts] = []
    folders: dict[str, str] = {}
    problem = answer.problem or why_not_whole(answer.stdout)
    ended = answer.exit_code == 0 and answer.stdout.endswith(b"\n")
    for block in parse_show(answer.stdout, whole=ended):
        if len(services) + len(slices) >= UNIT_LIMIT:
            problem = f"more than {UNIT_LIMIT} services and slices; the rest was left out"
            break
        name = block["Id"]
        (slices if name.endswith(".slice") else services).append(unit_facts(block))
        folder = data_directory(block.get("Environment", ""))
        if folder:
            folders[name] = folder
    if not services:
        return Units(None, version, problem or "systemctl show named no service")
    if problem and answer.exit_code is None:
        problem = f"{problem}; only {len(services)} services came before"
    return Units(tuple(services), version, problem, tuple(slices), folders)


def _version(host: Host) -> int | None:
    """The number in `systemd 219`, the first line of `systemctl --version`."""
    words = host.run_command(SHOW_VERSION, TIMEOUT_SECONDS).stdout.split(maxsplit=2)
    found = re.match(rb"[0-9]{1,9}", words[1]) if len(words) > 1 else None
    return int(found[0]) if found else None


def parse_show(data: bytes, *, whole: bool = True) -> Iterator[dict[str, str]]:
    """The blocks of NAME=value lines that `systemctl show` puts a blank line between.

    A block without an Id is passed over: nothing can be said about it. Of an answer that is not
    `whole` the last block may be half of one, and is passed over too.
    """
    start = 0
    while start < len(data):
        end = data.find(b"\n\n", start)
        if end < 0:
            if not whole:
                return
            end = len(data)
        block = {}
        for line in decode(data[start:end]).splitlines():
            name, equals, value = line.partition("=")
            if equals:
                block[name] = value[:VALUE_LIMIT]
        if block.get("Id"):
            yield block
        start = end + 2


def why_not_whole(data: bytes) -> str | None:
    """Why these records of `systemctl show` are not all that it had to tell; None without a sign.

    Every record has an Id, and the last of them ends in a newline.
    """
    if data and not data.endswith(b"\n"):
        return "systemctl show was cut: it ends in the middle of a line"
    for record in data.split(b"\n\n"):
        if record.strip() and not re.search(rb"^Id=.", record, re.MULTILINE):
            return "systemctl show was cut: a record of it has no Id"
    return None


def unit_facts(block: Mapping[str, str]) -> UnitFacts:
    """One service. The limit is known if systemd named any of the three properties for it."""
    maximum = _bytes(block.get("MemoryMax"))
    if maximum is None:
        # A 219 knows only MemoryLimit=; later ones list it beside MemoryMax= for v1 hosts.
        maximum = _bytes(block.get("MemoryLimit"))
    active = block.get("ActiveState")
    interval = next((block[name] for name in INTERVALS if name in block), None)
    return UnitFacts(
        name=block["Id"],
        active=None if active is None else active in ("active", "reloading", "activating"),
        main_pid=_number(block.get("MainPID")) or None,
        memory_max_bytes=maximum,
        memory_high_bytes=_bytes(block.get("MemoryHigh")),
        memory_current_bytes=_bytes(block.get("MemoryCurrent")),
        limit_known="MemoryMax" in block or "MemoryLimit" in block,
        restart=block.get("Restart") or None,
        oom_score_adjust=_number(block.get("OOMScoreAdjust")),
        oom_policy=block.get("OOMPolicy") or None,
        cgroup=block.get("ControlGroup") or None,
        fragment_path=block.get("FragmentPath") or None,
        swap_max_bytes=_bytes(block.get("MemorySwapMax")),
        slice=block.get("Slice") or None,
        restart_seconds=parse_span(block.get("RestartUSec")),
        restart_count=_number(block.get("NRestarts")),
        start_limit_burst=_number(block.get("StartLimitBurst")),
        start_limit_interval_seconds=parse_span(interval),
        task_count=_bytes(block.get("TasksCurrent")),
        cores_allowed=_cores_allowed(block),
        oom_adjust_children=_adjust_of_children(block.get("Environment", "")),
        service_type=block.get("Type") or None,
        triggered=bool(block["TriggeredBy"]) if "TriggeredBy" in block else None,
    )


def parse_span(text: str | None) -> float | None:
    """`1min 30s` or bare microseconds to seconds; None for `infinity` and what is no span."""
    if text is None or text in NO_LIMIT or len(text) > SPAN_LENGTH_MAX:
        return None
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text) / 1e6
    parts = _SPAN.findall(text)
    if not parts or "".join(f"{amount}{unit}" for amount, unit in parts) != text.replace(" ", ""):
        return None
    return sum(float(amount) * _SPAN_SECONDS[unit] for amount, unit in parts)


def data_directory(environment: str) -> str | None:
    """The PGDATA in the value of `Environment=`."""
    found = _DATA_DIRECTORY.search(environment)
    return (found[1] or found[2]) if found else None


def _adjust_of_children(environment: str) -> int | None:
    """What PostgreSQL writes for its sessions: only with the file named, and 0 if nothing else."""
    if not _ADJUST_FILE.search(environment):
        return None
    found = _ADJUST_VALUE.search(environment)
    return int(found[1]) if found else 0


def _cores_allowed(block: Mapping[str, str]) -> bool | None:
    """The soft limit counts, as systemd-coredump keeps to it; 219 shows the hard one alone."""
    text = block.get("LimitCORESoft") or block.get("LimitCORE")
    if not text:
        return None
    return text in NO_LIMIT or _number(text) != 0


def _bytes(text: str | None) -> int | None:
    return None if text in NO_LIMIT else _number(text)


def _number(text: str | None) -> int | None:
    """None for `[not set]`, an empty value and a property this systemd does not have."""
    return int(text) if text is not None and re.fullmatch(r"-?[0-9]{1,20}", text) else None

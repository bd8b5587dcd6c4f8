"""systemd's services with their limits and what happens when they die, in one question."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from forestall.model.facts import UnitFacts
from forestall.sense.host import Host, decode

TIMEOUT_SECONDS = 0.8
UNIT_LIMIT = 2000

NO_LIMIT = ("infinity", "18446744073709551615")

PROPERTIES = (
    "Id",
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
    "Slice",
    "ControlGroup",
    "FragmentPath",
    "Environment",
)
"""MemoryLimit= is what systemd before 231 has in place of MemoryMax= and MemoryHigh=.

The interval of the start limit changed its name twice (219, 229, 230). Of Environment only
PG_OOM_ADJUST_VALUE and PGDATA are kept, and the rest never leaves the parser.
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


class Units(NamedTuple):
    """The services, or None and `problem` in words; `version` is systemd's own number."""

    units: tuple[UnitFacts, ...] | None
    version: int | None
    problem: str | None = None


def read_units(host: Host) -> Units:
    """The loaded services of the system's manager; at most UNIT_LIMIT of them."""
    if not host.is_folder("run/systemd/system"):
        return Units(None, None, "systemd does not run here")
    version = _version(host)
    answer = host.run_command(SHOW_UNITS, TIMEOUT_SECONDS)
    if answer.exit_code != 0:
        problem = answer.problem or f"systemctl show ended with exit code {answer.exit_code}"
        return Units(None, version, problem)
    units = tuple(
        unit_facts(block) for block in parse_show(answer.stdout) if block["Id"].endswith(".service")
    )[:UNIT_LIMIT]
    if not units:
        return Units(None, version, "systemctl show named no service")
    return Units(units, version)


def _version(host: Host) -> int | None:
    """The number in `systemd 219`, the first line of `systemctl --version`."""
    words = host.run_command(SHOW_VERSION, TIMEOUT_SECONDS).stdout.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def parse_show(data: bytes) -> Iterator[dict[str, str]]:
    """The blocks of NAME=value lines that `systemctl show` puts a blank line between.

    A block without an Id is passed over: nothing can be said about it.
    """
    for text in decode(data).split("\n\n"):
        block = {}
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                block[name] = value
        if block.get("Id"):
            yield block


def unit_facts(block: Mapping[str, str]) -> UnitFacts:
    """One service. The limit is known if systemd named any of the three properties for it."""
    maximum = _bytes(block.get("MemoryMax"))
    if maximum is None:
        # A 219 knows only MemoryLimit=; later ones list it beside MemoryMax= for v1 hosts.
        maximum = _bytes(block.get("MemoryLimit"))
    active = block.get("ActiveState")
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
    )


def _bytes(text: str | None) -> int | None:
    return None if text in NO_LIMIT else _number(text)


def _number(text: str | None) -> int | None:
    """None for `[not set]`, an empty value and a property this systemd does not have."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None

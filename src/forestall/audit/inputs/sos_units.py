"""Units that a report's sos did not ask systemd for: all before 3.3, and slices in every one.

Of services an old sos keeps unit files alone. What a unit file and its drop-ins set is written as
`systemctl show` would answer. A unit whose file the report does not hold is named without any
limit, which stays unknown.
"""

import re
from collections.abc import Iterator, Mapping

from forestall.sense.configured import parse_size
from forestall.sense.host import decode

ROOTS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
UNIT_LIMIT = 5000
DROP_IN_LIMIT = 50

_LISTED = re.compile(r"[^\w@]*+([\w@:.\\-]+\.service)\s+(\S+)\s+(\S+)\s+(\S+)")
_KEPT = {
    "MemoryLimit": "MemoryLimit",
    "MemoryMax": "MemoryMax",
    "MemoryHigh": "MemoryHigh",
    "MemorySwapMax": "MemorySwapMax",
    "Restart": "Restart",
    "RestartSec": "RestartUSec",
    "OOMScoreAdjust": "OOMScoreAdjust",
    "OOMPolicy": "OOMPolicy",
    "LimitCORE": "LimitCORE",
    "Slice": "Slice",
    "Environment": "Environment",
    "StartLimitBurst": "StartLimitBurst",
    "StartLimitInterval": "StartLimitInterval",
    "StartLimitIntervalSec": "StartLimitIntervalUSec",
}
_DEFAULTS = {
    "MemoryLimit": "infinity",
    "Restart": "no",
    "OOMScoreAdjust": "0",
    "LimitCORE": "infinity",
    "Slice": "system.slice",
}


def shown_units(files: Mapping[str, bytes], listed: str) -> str:
    """The answer of `systemctl show *.service`, of `systemctl list-units` and the unit files."""
    blocks = []
    drop_ins = _drop_ins(files)
    for name, active in _listed(listed):
        settings = {"Id": name, "ActiveState": active, **_settings(files, drop_ins, name)}
        blocks.append("".join(f"{key}={value}\n" for key, value in settings.items()))
    return "\n".join(blocks)


def _listed(text: str) -> Iterator[tuple[str, str]]:
    """(name, active state) of each loaded service."""
    count = 0
    for line in text.splitlines():
        match = _LISTED.match(line)
        if match and match[2] == "loaded" and count < UNIT_LIMIT:
            count += 1
            yield match[1], match[3]


def _settings(
    files: Mapping[str, bytes], drop_ins: Mapping[str, Mapping[str, str]], name: str
) -> dict[str, str]:
    """What the files of one unit set; an instance (getty@tty1) is of its template's file."""
    template = re.sub(r"@[^.]*\.", "@.", name)
    path = next(
        (
            f"{root}/{one}"
            for root in ROOTS
            for one in dict.fromkeys((name, template))
            if files.get(f"{root}/{one}")
        ),
        None,
    )
    if path is None:
        return {}
    found = {**_DEFAULTS, "FragmentPath": "/" + path}
    own = drop_ins.get(name, {})
    for part in (path, *(own[key] for key in sorted(own)[:DROP_IN_LIMIT])):
        found.update(_parsed(decode(files[part])))
    return found


def _drop_ins(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """Of each unit the paths of its drop-ins by their own names; one in /etc hides its namesake."""
    found: dict[str, dict[str, str]] = {}
    for root in reversed(ROOTS):
        pattern = re.compile(rf"{root}/([^/]+)\.d/([^/]+\.conf)")
        for path in files:
            match = pattern.fullmatch(path)
            if match:
                found.setdefault(match[1], {})[match[2]] = path
    return found


def _parsed(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        key, equals, value = line.strip().partition("=")
        shown = _KEPT.get(key.strip()) if equals else None
        if shown is None:
            continue
        value = value.strip()
        if shown == "Environment":
            found[shown] = f"{found.get(shown, '')} {value}".strip()
        elif shown.startswith("Memory"):
            found[shown] = _size(value)
        elif shown.endswith(("USec", "Interval")) and value.isdigit():
            found[shown] = value + "s"
        else:
            found[shown] = value
    return found


def _size(text: str) -> str:
    """A unit file's size as `systemctl show` prints it; a share of memory stays one."""
    size = None if text == "infinity" else parse_size(text)
    return (text or "infinity") if size is None else str(size)


_LIMITS = {
    "memory.max": "MemoryMax",
    "memory.high": "MemoryHigh",
    "memory.swap.max": "MemorySwapMax",
}
"""How systemd calls the limits of cgroup v2. The root has none of them."""

_IN_SLICE = re.compile(r"sys/fs/cgroup((?:/[^/]+\.slice)+)/(?:[^\0]*/)?memory\.[\w.]+")


def shown_slices(files: Mapping[str, bytes]) -> str:
    """The slices as `systemctl show` would tell them: sos asks for services, but keeps cgroups.

    A slice is there if anything in it is. A limit whose file the report lacks is left out.
    """
    slices = _slices(files)
    blocks = [_ROOT_SLICE] if slices else []
    for place in slices:
        above, _, name = place.rpartition("/")
        block = f"Id={name}\nActiveState=active\nControlGroup={place}\n"
        block += f"Slice={above.rpartition('/')[2] or '-.slice'}\n"
        for file, shown in _LIMITS.items():
            value = decode(files.get(f"sys/fs/cgroup{place}/{file}", b"")).strip()
            if value:
                block += f"{shown}={'infinity' if value == 'max' else value}\n"
        blocks.append(block)
    return "".join("\n" + block for block in blocks)


_ROOT_SLICE = "Id=-.slice\nActiveState=active\nControlGroup=/\n" + "".join(
    f"{shown}=infinity\n" for shown in _LIMITS.values()
)


def why_slices_cut(files: Mapping[str, bytes]) -> str | None:
    """Why the limits of the slices are not all known. Some kernels do not limit swap (no file)."""
    slices = _slices(files)
    swap = any(path.endswith("/memory.swap.max") for path in files)
    needed = ("memory.max", "memory.high", *(("memory.swap.max",) if swap else ()))
    if len(slices) >= UNIT_LIMIT:
        return f"there are more than {UNIT_LIMIT} slices; the rest was left out"
    for place in slices:
        for name in needed:
            path = f"sys/fs/cgroup{place}/{name}"
            if not files.get(path):
                return f"the sosreport has no {path}"
    return None


def _slices(files: Mapping[str, bytes]) -> list[str]:
    """The cgroup of each slice that the report has anything of, parents before what is in them.

    At most UNIT_LIMIT: a hostile archive may have a hundred new ones in each name.
    """
    found: set[str] = set()
    for path in files:
        match = _IN_SLICE.fullmatch(path)
        place = match[1] if match else ""
        while place and place not in found and len(found) < UNIT_LIMIT:
            found.add(place)
            place = place.rpartition("/")[0]
    return sorted(found)

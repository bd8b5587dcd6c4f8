"""Commands' output as sosreports hold it, read by what stayed the same in twenty years of them.

Every function takes text that may be localised, cut or full of error messages between its lines,
passes over what it does not understand, and never raises. Each takes time in proportion to the
text: a quantifier that could give back what it took, and try again from each place, takes all of it
or nothing (`*+`).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

LINE_LIMIT = 1_000_000

_SYSCTL_LINE = re.compile(r"([a-z][\w-]*(?:\.[\w/-]+)+)(?:\s*=\s*|\s*:(?:\s+|$))(.*)")
_SYSCTL_DENIED = re.compile(r"permission denied on key '([\w.]+)'", re.IGNORECASE)
_SYSCTL_ERROR = re.compile(r"(?:sysctl|error|warning)\b.*", re.IGNORECASE)


class Sysctls(NamedTuple):
    """The settings by dotted name, and those whose reading was refused."""

    values: dict[str, str]
    denied: frozenset[str]


def sysctls(text: str, families: tuple[str, ...] = ("vm.", "kernel.", "fs.", "user.")) -> Sysctls:
    """`sysctl -a`: `key = value` or, of busybox and old BSD-like ones, `key: value`.

    A value of several lines stands below its key, indented or not, or repeats the key for each.
    """
    values: dict[str, str] = {}
    denied = set()
    last = None
    for line in _lines(text):
        refused = _SYSCTL_DENIED.search(line)
        if refused:
            denied.add(refused[1])
            last = None
            continue
        match = _SYSCTL_LINE.fullmatch(line.rstrip())
        if match and not line.startswith("sysctl"):
            key, value = match[1], (match[2] or "").strip()
            last = key if key.startswith(families) else ""
            if last and values.get(key) != value:
                values[key] = f"{values[key]}\n{value}" if key in values else value
        elif _SYSCTL_ERROR.fullmatch(line):
            last = None
        elif last and line.strip():
            values[last] = f"{values[last]}\n{line.strip()}".strip()
    return Sysctls(values, frozenset(denied))


class PsRow(NamedTuple):
    """One process as ps printed it; None where that ps had no such column.

    `command` is its command line, `name` what the kernel calls it.
    """

    pid: int
    parent_pid: int | None = None
    uid: int | None = None
    rss_bytes: int | None = None
    thread_count: int | None = None
    command: str | None = None
    cgroup: str | None = None
    name: str | None = None
    cpu_seconds: int | None = None


def ps_rows(text: str) -> Iterator[PsRow]:
    """The processes of any ps output with a header; the rows of threads (`-` for a pid) are not.

    The last column takes the rest of its line. Of `comm cgroup` only the second is sure to be one
    word, so everything between the known columns and it belongs to the name.
    """
    header: list[str] | None = None
    for line in _lines(text):
        words = line.split()
        if "PID" in words and ("PPID" in words or "RSS" in words or "USER" in words):
            # lstart prints a date of five words below one heading.
            header = line.replace(" STARTED ", " DAY MONTH DATE CLOCK YEAR ").split()
            continue
        row = None if header is None else _ps_row(header, line)
        if row is not None:
            yield row


def _ps_row(header: list[str], line: str) -> PsRow | None:
    by_cgroup = header[-1] == "CGROUP"
    fixed = len(header) - (2 if by_cgroup else 1)
    words = line.split(None, fixed)
    if len(words) <= fixed:
        return None
    column = dict(zip(header[:fixed], words, strict=False))
    pid = _whole(column.get("PID"))
    if pid is None:
        return None
    command, _, cgroup = (
        words[fixed].rstrip().rpartition(" ") if by_cgroup else (words[fixed], "", "")
    )
    rss = _whole(column.get("RSS"))
    return PsRow(
        pid=pid,
        parent_pid=_whole(column.get("PPID")),
        uid=_whole(column.get("UID")),
        rss_bytes=None if rss is None else rss * 1024,
        thread_count=_whole(column.get("NLWP")),
        # `ps f` draws a tree before the command.
        command=None if by_cgroup else re.sub(r"^[ |]*+\\_ ", "", command).strip() or None,
        cgroup=cgroup if by_cgroup and cgroup != "-" else None,
        name=command.strip() or None if by_cgroup else None,
        cpu_seconds=_processor_time(column.get("TIME", "")),
    )


def _processor_time(text: str) -> int | None:
    """`1:33`, `00:01:33` or `2-03:04:05` of ps, which leaves out the parts of a second."""
    match = re.fullmatch(r"(?:(\d{1,6})-)?(?:(\d{1,6}):)?(\d{1,8}):(\d\d)", text, re.ASCII)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def unit_processes(text: str) -> dict[int, str]:
    """`systemctl status --all`: the cgroup path of every process that its trees name."""
    found: dict[int, str] = {}
    unit = path = None
    for line in _lines(text):
        stripped = line.strip()
        if stripped.startswith("CGroup: "):
            unit = path = stripped[8:].split(" ", 1)[0]
            continue
        match = re.match(r"[\s│├└─|`-]+(\d+) ", line) if path else None
        if match:
            found.setdefault(int(match[1][:10]), path or "")
        elif not stripped:
            path = None
        elif path and (below := re.match(r"[\s│├└─|`-]+([\w@.:\\-]+)$", line)):
            # A cgroup below the unit's own (Delegate=yes) has a line of its name alone.
            path = f"{unit}/{below[1]}"
    return found


def collected_at(text: str) -> float | None:
    """Seconds since the epoch that `date`, `date --utc` or `timedatectl` printed in English.

    None for another language, and for a zone that is only an abbreviation: those are not unique.
    """
    for line in _lines(text):
        universal = "Universal time:" in line
        if "Local time:" in line or (":" not in line):
            continue
        moment = _moment(line.partition("time:")[2] if universal else line)
        if moment is not None:
            return moment
    return None


def _moment(line: str) -> float | None:
    words = [word for word in line.replace(",", " ").split() if word not in ("AM", "PM")]
    if not {"UTC", "GMT"} & set(words):
        return None
    text = " ".join(word for word in words if word not in ("UTC", "GMT"))
    evening = " PM" in line
    for pattern in ("%a %b %d %H:%M:%S %Y", "%a %d %b %Y %H:%M:%S", "%a %Y-%m-%d %H:%M:%S"):
        try:
            moment = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        if evening and moment.hour < 12:
            moment = moment.replace(hour=moment.hour + 12)
        elif " AM" in line and moment.hour == 12:
            moment = moment.replace(hour=0)
        return moment.timestamp()
    return None


def listed_names(text: str, folder: str) -> list[str]:
    """`ls -lanR`: the names in one folder. A line's ninth word begins the name."""
    names = []
    here = False
    for line in _lines(text):
        if line.endswith(":") and line.startswith("/"):
            here = line[:-1].rstrip("/") == folder
        elif here and line[:1] in "-l":
            words = line.split(None, 9 if _has_context(line) else 8)
            if len(words) >= 9:
                names.append(words[-1].split(" -> ")[0])
    return names


def lists_whole(text: str, folder: str) -> bool:
    """Whether `ls -lanR` went on to another folder after this one, so that none of it was cut."""
    headers = [line for line in _lines(text) if line.endswith(":") and line.startswith("/")]
    return any(line[:-1].rstrip("/") == folder for line in headers[:-1])


def _has_context(line: str) -> bool:
    """Whether a fifth column holds the SELinux context (`ls -Z`)."""
    words = line.split(None, 5)
    return len(words) > 4 and words[4].count(":") >= 3


def pairs(text: str) -> Iterator[dict[str, str]]:
    """`lsblk -P` and the like: a line of KEY="value" for each thing."""
    for line in _lines(text):
        found = dict(re.findall(r'(?<![\w:%-])([A-Z][\w:%-]*+)="([^"]*)"', line))
        if found:
            yield found


def package_lines(text: str) -> Iterator[str]:
    """The first word of each line of `rpm -qa`, whatever follows it (a date, a vendor)."""
    for line in _lines(text):
        words = line.split(None, 1)
        if words and "-" in words[0]:
            yield words[0]


def uname(text: str) -> tuple[str, str, str | None] | None:
    """(hostname, release, machine) of `uname -a`; None where it is none."""
    words = text.split()
    if len(words) < 4 or words[0] != "Linux":
        return None
    machines = (
        "x86_64",
        "aarch64",
        "ppc64le",
        "ppc64",
        "s390x",
        "i686",
        "i386",
        "armv7l",
        "riscv64",
    )
    machine = next((word for word in words[3:] if word in machines), None)
    return words[1], words[2], machine


class Block(NamedTuple):
    """One block device of `lsblk`; `parents` and `name` are the kernel's names (sda2, dm-0)."""

    name: str
    kind: str
    parents: tuple[str, ...] = ()
    rotational: bool | None = None
    given_name: str | None = None
    uuid: str | None = None
    label: str | None = None
    partuuid: str | None = None


def blocks(text: str) -> list[Block]:
    """`lsblk -O -P`: a device below two others (a mirror, a volume) has a line for each."""
    found: dict[str, Block] = {}
    for row in pairs(text):
        name = row.get("KNAME") or row.get("NAME", "")
        if not name:
            continue
        parent = row.get("PKNAME", "")
        known = found.get(name)
        parents = (*(known.parents if known else ()), *((parent,) if parent else ()))
        found[name] = Block(
            name=name,
            kind=row.get("TYPE", ""),
            parents=tuple(dict.fromkeys(parents)),
            rotational={"0": False, "1": True}.get(row.get("ROTA", "")),
            given_name=row.get("NAME") or None,
            uuid=row.get("UUID") or None,
            label=row.get("LABEL") or None,
            partuuid=row.get("PARTUUID") or None,
        )
    return list(found.values())


def block_tree(text: str) -> list[Block]:
    """Plain `lsblk`, a tree: a device stands further in than the one that it is on.

    A device of the device mapper is called by its own name there; its minor number tells the
    kernel's (253:0 is dm-0).
    """
    found: dict[str, Block] = {}
    above: list[tuple[int, str]] = []
    for line in _lines(text):
        match = re.match(r"([\s│├└─|`-]*+)(\S+)\s+(?:\(dm-\d+\)\s+)?(\d+):(\d+)\s+(.*)", line)
        if match is None:
            continue
        kind = next((word for word in match[5].split() if word in _BLOCK_KINDS), "")
        mapped = kind in ("lvm", "crypt", "mpath", "dm")
        name = f"dm-{match[4]}" if mapped else match[2]
        depth = len(match[1])
        above = [item for item in above if item[0] < depth]
        known = found.get(name)
        parents = (*(known.parents if known else ()), *((above[-1][1],) if above else ()))
        found[name] = Block(name, kind, tuple(dict.fromkeys(parents)), given_name=match[2])
        above.append((depth, name))
    return list(found.values())


def rotating(text: str) -> dict[str, bool]:
    """`lsblk -t`: whether each device rotates, by the name that stands in its tree."""
    found: dict[str, bool] = {}
    column = -1
    for line in _lines(text):
        words = line.replace("|-", "").replace("`-", "").lstrip("│├└─ ").split()
        if "ROTA" in words:
            column = words.index("ROTA")
        elif 0 <= column < len(words) and words[column] in ("0", "1"):
            found[words[0]] = words[column] == "1"
    return found


_BLOCK_KINDS = (
    "disk",
    "part",
    "lvm",
    "crypt",
    "mpath",
    "dm",
    "rom",
    "loop",
    "md",
    "raid1",
    "raid10",
)


def value_of(text: str, name: str) -> str | None:
    """The value of the first `Name: value` or `Name=value` line."""
    match = re.search(rf"^[ \t]*+{re.escape(name)}[ \t]*+[:=](.*)", text, re.MULTILINE)
    return match[1].strip() or None if match else None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _lines(text: str) -> Iterator[str]:
    for count, line in enumerate(text.splitlines()):
        if count >= LINE_LIMIT:
            return
        yield line

"""Where a sosreport keeps what: the files that are taken, and what its commands' files are called.

sos copies a host's files under their own paths and keeps a command's output below
`sos_commands/PLUGIN/`, named after the command with every other character as `_`. Commands and
their options changed from sos 3.2 (RHEL 7.1) to 4.x, so they are matched by what stayed.
"""

import re
from functools import lru_cache

from forestall.sense.sources import CONTENT, SOURCES
from forestall.units import KIB, MIB

TOP_FOLDERS = frozenset(
    ("boot", "data", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "run", "srv")
) | frozenset(
    ("sos_commands", "sos_logs", "sos_reports", "sos_strings", "sys", "tmp", "usr", "var")
)
"""What stands at the root of a report; a first name that is none of these is the report's own."""

_SMALL = 256 * KIB
_LARGE = 16 * MIB

_EXACT = {
    "proc/mounts": 4 * MIB,
    "hostname": _SMALL,
    "uname": _SMALL,
    "lsmod": MIB,
    "df": 4 * MIB,
    "mount": 4 * MIB,
    "ps": _LARGE,
    "installed-rpms": 4 * MIB,
    "installed-debs": 4 * MIB,
    "sos_logs/sos.log": _LARGE,
    "sos_logs/ui.log": MIB,
}

_COPIED = (
    (
        r"proc/(?:self|\d+)/(?:status|stat|statm|cgroup|cmdline|comm|oom_score|oom_score_adj)",
        _SMALL,
    ),
    (r"proc/(?:self|1)/(?:mountinfo|mounts|environ)", 4 * MIB),
    (r"proc/\d+/mountinfo", _SMALL),
    (r"sys/fs/cgroup/(?:[^\0]*/)?memory\.[\w.]+", _SMALL),
    (r"sys/devices/virtual/dmi/id/(?:sys_vendor|product_name)", _SMALL),
    (r"sys/(?:devices/[^\0]+/)?block/[\w!.-]+/queue/rotational", _SMALL),
    (r"sys/module/\w+/parameters/enabled", _SMALL),
    (r"etc/(?:[\w.-]+-release|hostname)", _SMALL),
    (r"lib/systemd/[\w.-]+\.conf(?:\.d/[^/]+)?", _SMALL),
    (r"usr/lib/systemd/[\w.-]+\.conf(?:\.d/[^/]+)?", _SMALL),
    (r"etc/systemd/system/(?:[^/]+/)?[^/]+\.(?:swap|service|conf)", _SMALL),
    (r"lib/systemd/system/(?:[^/]+\.service|[^/]+\.service\.d/[^/]+\.conf)", _SMALL),
    (r"usr/lib/systemd/system/(?:[^/]+\.service|[^/]+\.service\.d/[^/]+\.conf)", _SMALL),
    (r"run/systemd/generator[\w.]*/(?:[^/]+/)?[^/]+\.swap", _SMALL),
    (r"run/systemd/system/[^\0]+", 1),
    (r"etc/postgresql/[^\0]+\.conf", _SMALL),
    (r"var/lib/(?:pgsql|postgresql)/[^\0]+(?:\.conf|/postmaster\.opts)", _SMALL),
    (r"var/opt/rh/[^\0]+/pgsql/[^\0]+(?:\.conf|/postmaster\.opts)", _SMALL),
    (r"opt/rh/[^\0]+(?:/postgresql[\w.]*\.conf|/postmaster\.opts)", _SMALL),
)
"""Beside the places of `sense.sources`: what stands in for one of them, or lies deeper."""

COMMANDS = {
    "sysctl": r"sysctl_-a\w*",
    "services": r"systemctl_show_\.?service.*",
    "manager": r"systemctl_show_--all",
    "list-units": r"systemctl_list-units_--all",
    "status": r"systemctl_status(?:_--full)?_--all",
    "ps-aux": r"ps_aux\w*",
    "ps-long": r"ps_alxw*",
    "ps-full": r"ps_-elfL?",
    "ps-cgroup": r"ps_axo_pid\w*cgroup",
    "ps-started": r"ps_axo_flags_state_uid_pid_ppid_\w+_lstart_tty_time_cmd",
    "df": r"df_-alP?(?:_.*)?",
    "mount": r"mount_-l",
    "lsblk": r"lsblk_-O_-P",
    "lsblk-plain": r"lsblk",
    "lsblk-topology": r"lsblk_-t",
    "boot": r"ls_-\w+_\.boot",
    "rpms": r"(?:sh_-c_)?rpm_.*-qa_.*|package-data",
    "debs": r"dpkg_-l",
    "date": r"date",
    "date-utc": r"date_--utc",
    "timedatectl": r"timedatectl(?:_status)?",
    "uname": r"uname_-a",
    "hostname": r"hostname(?:_-f)?",
    "lsmod": r"lsmod",
    "kpatch": r"kpatch_list",
}
"""What each command's file is called, by the word that the rest of the reader uses for it."""

_LARGE_COMMANDS = {"services": 64 * MIB, "status": 32 * MIB, "ps-aux": _LARGE, "ps-long": _LARGE}
_LARGE_COMMANDS |= {"ps-full": _LARGE, "ps-cgroup": _LARGE, "ps-started": _LARGE}


def _of_the_host() -> dict[str, int]:
    """The places that facts are read from, as patterns; of a mere name one byte is enough."""
    found = {}
    for source in SOURCES:
        pattern = re.escape(source.path).replace(r"\*", "[^/]*")
        # Brackets are a glob's too, and the only other thing of one that is used there.
        pattern = pattern.replace(r"\[", "[").replace(r"\]", "]")
        found[pattern] = max(_SMALL, source.limit_bytes) if source.what == CONTENT else 1
    return found


class _Places:
    """The patterns below one first folder, asked in one match: a report has 100,000 members."""

    def __init__(self, places: list[tuple[str, int]]) -> None:
        self._pattern = re.compile("|".join(f"({pattern})" for pattern, _ in places))
        self._limits = [limit for _, limit in places]

    def limit_of(self, path: str) -> int:
        match = self._pattern.fullmatch(path)
        return 0 if match is None or match.lastindex is None else self._limits[match.lastindex - 1]


def _by_first_folder(places: dict[str, int]) -> dict[str, _Places]:
    groups: dict[str, list[tuple[str, int]]] = {}
    for pattern, limit in places.items():
        groups.setdefault(pattern.partition("/")[0].replace("\\", ""), []).append((pattern, limit))
    return {first: _Places(group) for first, group in groups.items()}


_COPIED_BY_FOLDER = _by_first_folder({**_of_the_host(), **dict(_COPIED)})
_COMMAND_PATTERN = re.compile("|".join(f"({pattern})" for pattern in COMMANDS.values()))
_COMMAND_WORDS = list(COMMANDS)


def command_of(path: str) -> str | None:
    """Which command's output the file at `path` holds; None if it is none of ours."""
    if not path.startswith("sos_commands/"):
        return None
    match = _COMMAND_PATTERN.fullmatch(path[path.rfind("/") + 1 :])
    return None if match is None or match.lastindex is None else _COMMAND_WORDS[match.lastindex - 1]


def limit_of(path: str) -> int:
    """How many bytes of the file at `path` are wanted; 0 = none."""
    exact = _EXACT.get(path)
    if exact is not None:
        return exact
    first = path.partition("/")[0]
    if first == "sos_commands":
        word = command_of(path)
        return 0 if word is None else _LARGE_COMMANDS.get(word, 4 * MIB)
    places = _COPIED_BY_FOLDER.get(first)
    return 0 if places is None else places.limit_of(path)


_NO_FOLDERS = (
    frozenset(("dev", "home", "proc/fs", "proc/irq", "proc/net", "sos_strings", "sys/bus"))
    | frozenset(("sys/devices/platform", "sys/firmware", "sys/kernel/debug"))
    | frozenset(("sys/kernel/slab", "usr/share", "var/crash", "var/log"))
)


def wants_folder(path: str) -> bool:
    """Whether an unpacked report's folder may hold anything that is taken."""
    return path not in _NO_FOLDERS


@lru_cache(maxsize=4096)
def report_of(first: str) -> str:
    """The name of the report that a member below `first` belongs to; empty for one without."""
    return "" if first in TOP_FOLDERS or first in _EXACT else first

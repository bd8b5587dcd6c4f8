"""What a host's own settings files say of cores, the journal, kernel dumps and user limits."""

import re
from collections.abc import Iterator, Mapping

from forestall.model.facts import CoredumpFacts, KdumpFacts, UserLimit
from forestall.sense.host import NEEDS_ROOT, Host, decode
from forestall.sense.notes import Notes

ROOTS = ("etc", "run", "usr/local/lib", "usr/lib")
"""systemd's order: what lies in /etc hides a file of the same name further down."""

DROP_IN_LIMIT = 100
SETTING_LIMIT = 1000
VALUE_LIMIT = 1000
USER_LIMIT_LIMIT = 1000

UNLIMITED_BYTES = 2**64 - 1
"""How systemd counts `infinity`."""

_SIZES = {"": 1, "B": 1, **{unit: 1024 ** (at + 1) for at, unit in enumerate("KMGTPE")}}

DUMP_PATH = "/var/crash"

_TARGETS = [
    "raw",
    "nfs",
    "nfs4",
    "net",
    "ssh",
    "ext2",
    "ext3",
    "ext4",
    "minix",
    "btrfs",
    "xfs",
    "virtiofs",
    "cifs",
    "lvm",
]

# makedumpfile(8): 8 leaves out the pages of processes, 16 the free ones.
_FILTERED = 8 | 16


def parse(data: bytes) -> dict[str, str]:
    """An ini file of systemd's: `Section.Key` to the last value; at most SETTING_LIMIT of them."""
    found: dict[str, str] = {}
    section = ""
    for raw in decode(data).splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if equals and key[:1] not in "#;" and len(found) < SETTING_LIMIT:
            found[f"{section}.{key.strip()}"] = value.strip()[:VALUE_LIMIT]
    return found


def read(host: Host, notes: Notes, field: str, name: str) -> dict[str, str] | None:
    """The settings of systemd/`name` after its drop-ins; None where there is no such file.

    The main file is the first of ROOTS, the drop-ins those of all of them by their own names.
    """
    places = {}
    for root in reversed(ROOTS):
        folder = f"{root}/systemd/{name}.d"
        for drop_in in host.names(folder) or ():
            if drop_in.endswith(".conf"):
                places[drop_in] = f"{folder}/{drop_in}"
    main = next((f"{root}/systemd/{name}" for root in ROOTS if _there(host, root, name)), None)
    paths = [places[drop_in] for drop_in in sorted(places)[:DROP_IN_LIMIT]]
    if main is None and not paths:
        return None
    settings: dict[str, str] = {}
    for path in ([main] if main else []) + paths:
        data = host.read_bytes(path)
        if data is None and host.was_denied(path):
            notes.why(field, f"{path}: {NEEDS_ROOT}")
        settings.update(parse(data or b""))
    return settings


def _there(host: Host, root: str, name: str) -> bool:
    return host.exists(f"{root}/systemd/{name}")


def parse_size(text: str | None) -> int | None:
    """`1.5G`, `512M`, `4096`, `infinity` to bytes, in powers of 1024; None for no size."""
    if text == "infinity":
        return UNLIMITED_BYTES
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([KMGTPE]?)i?B?", text or "")
    return int(float(match[1]) * _SIZES[match[2]]) if match else None


def read_coredump(host: Host, notes: Notes) -> CoredumpFacts | None:
    """coredump.conf(5); all None where nothing is set. None itself: it could not be looked for."""
    settings = read(host, notes, "coredump", "coredump.conf")
    if settings is None:
        if not host.complete or not host.is_folder("etc/systemd"):
            notes.why("coredump", "no systemd/coredump.conf here")
            return None
        settings = {}
    section = _section(settings, "Coredump")
    return CoredumpFacts(
        storage=section.get("Storage") or None,
        process_size_max_bytes=parse_size(section.get("ProcessSizeMax")),
        external_size_max_bytes=parse_size(section.get("ExternalSizeMax")),
        max_use_bytes=parse_size(section.get("MaxUse")),
        keep_free_bytes=parse_size(section.get("KeepFree")),
    )


def _section(settings: Mapping[str, str], name: str) -> dict[str, str]:
    start = name + "."
    return {key[len(start) :]: text for key, text in settings.items() if key.startswith(start)}


def read_journal_runtime_max(host: Host, notes: Notes) -> int | None:
    """RuntimeMaxUse= of journald.conf(5); None where it is not set: a tenth of /run, then."""
    field = "journal_runtime_max_bytes"
    settings = read(host, notes, field, "journald.conf")
    if settings is None:
        notes.why(field, "no systemd/journald.conf here")
        return None
    return parse_size(settings.get("Journal.RuntimeMaxUse"))


def read_kdump(host: Host, notes: Notes) -> KdumpFacts | None:
    """Where a kernel dump goes, by whichever of the three settings files is here."""
    for path, parsed in (
        ("etc/kdump.conf", parse_kdump_conf),
        ("etc/sysconfig/kdump", parse_kdump_of_suse),
        ("etc/default/kdump-tools", parse_kdump_tools),
    ):
        data = host.read_bytes(path)
        if data is None and host.was_denied(path):
            notes.why("kdump", f"{path}: {NEEDS_ROOT}")
            return None
        found = None if data is None else parsed(data)
        if found is not None:
            if path != "etc/kdump.conf":
                notes.sources["/kdump"] = path
            return found
    absent = "no settings of kdump here: it is not installed"
    notes.why("kdump", absent if host.complete else "no settings of kdump were recorded")
    return None


def parse_kdump_conf(data: bytes) -> KdumpFacts:
    """kdump.conf(5) of RHEL 6 to 10; the collector is makedumpfile -d 31 unless said."""
    values: dict[str, str] = {}
    for raw in decode(data).splitlines():
        words = raw.partition("#")[0].split(None, 1)
        if words and len(values) < SETTING_LIMIT:
            values[words[0]] = "".join(words[1:]).strip()[:VALUE_LIMIT]
    target = next((word for word in _TARGETS if word in values), None)
    collector = values.get("core_collector")
    return KdumpFacts(
        target=target,
        address=_without_password(values[target]) if target else None,
        path=values.get("path") or DUMP_PATH,
        filtered=True if collector is None else _is_filtered(collector),
        final_action=values.get("final_action") or None,
    )


def parse_kdump_of_suse(data: bytes) -> KdumpFacts | None:
    """SLES's sysconfig file; None for RHEL's of the same name, which has no KDUMP_SAVEDIR."""
    values = dict(_assignments(data))
    if "KDUMP_SAVEDIR" not in values:
        return None
    scheme, separator, rest = (values["KDUMP_SAVEDIR"] or "file://" + DUMP_PATH).partition("://")
    if not separator:
        # An old form: a folder, or `file:` without a host.
        scheme, rest = "file", values["KDUMP_SAVEDIR"].removeprefix("file:")
    local = scheme == "file"
    place = _without_password(rest)
    host_name, _, path = place.partition("/")
    level = values.get("KDUMP_DUMPLEVEL", "31")
    return KdumpFacts(
        target=None if local else scheme,
        address=None if local else host_name,
        path=place if local else "/" + path,
        filtered=_level(level),
        final_action="reboot" if values.get("KDUMP_IMMEDIATE_REBOOT", "yes") == "yes" else None,
    )


def parse_kdump_tools(data: bytes) -> KdumpFacts:
    """Debian's and Ubuntu's /etc/default/kdump-tools."""
    values = dict(_assignments(data))
    target = next((word for word in ("SSH", "NFS", "FTP") if values.get(word)), None)
    arguments = values.get("MAKEDUMP_ARGS") or "-c -d 31"
    return KdumpFacts(
        target=target.lower() if target else None,
        address=_without_password(values[target]) if target else None,
        path=values.get("KDUMP_COREDIR") or DUMP_PATH,
        filtered=_is_filtered("makedumpfile " + arguments),
    )


def _assignments(data: bytes) -> Iterator[tuple[str, str]]:
    """NAME=value lines of a file for the shell, one pair of quotes taken off."""
    for raw in decode(data).splitlines()[:SETTING_LIMIT]:
        match = re.match(r"\s*([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|\S*)", raw)
        if match:
            yield match[1], match[2].strip("\"'").strip()[:VALUE_LIMIT]


def _is_filtered(collector: str) -> bool | None:
    if not collector.startswith("makedumpfile"):
        # `cp`, `scp`, dd: all of memory.
        return False
    match = re.search(r"(?:^|\s)-d\s*([0-9,]+)", collector)
    # Without -d it leaves out nothing.
    return _level(match[1]) if match else False


def _level(text: str) -> bool | None:
    """Of several levels, each tried when the one before had no room, the last counts."""
    last = text.rpartition(",")[2]
    return int(last) & _FILTERED == _FILTERED if re.fullmatch(r"[0-9]{1,3}", last) else None


def _without_password(text: str) -> str:
    """`user:secret@host/x` -> `user@host/x`; a secret may hold an @ too."""
    return re.sub(r"^((?:\w+://)?[^@/:]*):[^/]*@", r"\1@", text)


def read_user_limits(host: Host, notes: Notes) -> tuple[UserLimit, ...] | None:
    """limits.conf(5) and limits.d, in the order in which pam_limits reads them."""
    folder = "etc/security/limits.d"
    names = sorted(host.names(folder) or ())[:DROP_IN_LIMIT]
    paths = [f"{folder}/{name}" for name in names if name.endswith(".conf")]
    found: list[UserLimit] = []
    read_any = False
    for path in ("etc/security/limits.conf", *paths):
        data = host.read_bytes(path)
        if data is None:
            if host.was_denied(path):
                notes.why("user_limits", f"{path}: {NEEDS_ROOT}")
            continue
        read_any = True
        found += parse_user_limits(data)
    if not read_any:
        notes.why("user_limits", "etc/security/limits.conf is not there")
        return None
    if len(found) > USER_LIMIT_LIMIT:
        notes.why("user_limits", f"{len(found)} lines; only the first {USER_LIMIT_LIMIT} are told")
    return tuple(found[:USER_LIMIT_LIMIT])


def parse_user_limits(data: bytes) -> Iterator[UserLimit]:
    """The lines of four words; any other is passed over, as pam_limits does."""
    for line in decode(data).splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 4 and words[1] in ("soft", "hard", "-"):
            domain, kind, item, value = (word[:VALUE_LIMIT] for word in words)
            yield UserLimit(domain=domain, kind=kind, item=item, value=value)

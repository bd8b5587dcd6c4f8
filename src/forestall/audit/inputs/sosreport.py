"""Input `sosreport FILE|DIR...`: packed reports, unpacked ones, and folders or archives of both."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace

from forestall.audit.inputs import gather, sos_layout
from forestall.audit.inputs.files import open_file
from forestall.audit.inputs.gather import Gathered
from forestall.audit.inputs.sos_recording import SosReport, recording_of, without_made_up
from forestall.audit.inputs.source import Seen
from forestall.audit.inputs.tarstream import Body, Member, members
from forestall.audit.inputs.unpack import Inflow, Limits, Meter, unpacked
from forestall.clock import Clock
from forestall.errors import ForestallError, InputError
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost

ARCHIVE_LIMIT = 100_000
REPORT_LIMIT = 1000
NEST_LIMIT = 3
PACKED = (".tar", ".tar.xz", ".tar.gz", ".tgz", ".tar.bz2", ".txz", ".tbz")
LOCKED = (".gpg", ".pgp")


class RecordedClock:
    """The clock of a host that was recorded at one moment."""

    def __init__(self, at: float) -> None:
        self._at = at

    def now(self) -> float:
        return self._at

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        return


def read_sosreports(
    paths: Iterable[str], clock: Clock, limits: Limits | None = None
) -> Iterator[Seen]:
    """Every host of the reports at `paths`. Raises ForestallError for a path with none."""
    limits = limits or Limits()
    for path in paths:
        try:
            kind = os.stat(path).st_mode
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ForestallError(f"{path!r} cannot be read: {reason}") from None
        found = (
            _read_folder(path, clock, limits)
            if stat.S_ISDIR(kind)
            else _read_file(path, clock, limits)
        )
        yield from found


def _read_folder(path: str, clock: Clock, limits: Limits) -> Iterator[Seen]:
    """An unpacked report, or a folder of packed and unpacked ones."""
    if _is_report(path):
        yield _read_tree(path, clock)
        return
    count = 0
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name)[:ARCHIVE_LIMIT]:
        if entry.is_dir(follow_symlinks=False) and _is_report(entry.path):
            count += 1
            yield _read_tree(entry.path, clock)
        elif entry.is_file() and entry.name.endswith(PACKED + LOCKED):
            count += 1
            try:
                yield from _read_file(entry.path, clock, limits)
            except ForestallError as error:
                yield Seen(name=entry.name, problem=error.message)
    if count == 0:
        raise InputError(
            f"no sosreport in {path}",
            help="give an archive (sosreport-*.tar.xz), or the folder that one was unpacked into",
        )


def _is_report(path: str) -> bool:
    return any(
        os.path.isdir(os.path.join(path, *parts)) for parts in (("sos_commands",), ("sos_reports",))
    ) or all(os.path.isdir(os.path.join(path, part)) for part in ("proc", "etc"))


def _read_tree(path: str, clock: Clock) -> Seen:
    name = os.path.basename(os.path.abspath(path))
    found = gather.walk(path, sos_layout.limit_of, sos_layout.wants_folder)
    return _seen(name, found, clock, None, os.stat(path).st_mtime)


def _read_file(path: str, clock: Clock, limits: Limits) -> Iterator[Seen]:
    name = os.path.basename(path)
    if name.endswith(LOCKED):
        raise InputError(f"{path} is encrypted", help="decrypt it with gpg first")
    try:
        file = open_file(path)
    except InputError as error:
        raise InputError(f"{path}: {error.message}") from None
    with file:
        meter = Meter(clock, limits)
        reports = _Reports(name, os.fstat(file.fileno()).st_mtime, clock, meter)
        yield from reports.read(unpacked(file, meter), 0)
        if reports.count == 0:
            raise InputError(
                f"no sosreport in {path}: {reports.problem or 'nothing of one is in it'}",
                help="give the archive that sos report or sos collect made",
            )


class _Reports:
    """The reports in one archive, told apart by the folder that each lies in."""

    def __init__(self, name: str, modified_at: float, clock: Clock, meter: Meter) -> None:
        self._name = name
        self._modified_at = modified_at
        self._clock = clock
        self._meter = meter
        self.count = 0
        self.problem: str | None = None

    def read(self, inflow: Inflow, depth: int) -> Iterator[Seen]:
        found: dict[str, Gathered] = {}
        problem = None
        unsafe = 0
        try:
            for member, body in members(inflow):
                path = gather.safe_path(member.name)
                if path is None:
                    unsafe += member.kind != "folder"
                elif path.endswith(PACKED) and depth < NEST_LIMIT and member.kind == "file":
                    yield from self._nested(path, body, depth)
                else:
                    self._take(found, path, member, body)
        except InputError as error:
            problem = error.message
        self.problem = problem or self.problem
        for first, gathered in found.items():
            # What sos collect packs reports into has logs of its own, and is no host's.
            if not all(path.startswith("sos_logs/") for path in gathered.files):
                if unsafe:
                    gathered.note(f"{unsafe} members with unsafe names were passed over")
                self.count += 1
                yield _seen(first or self._name, gathered, self._clock, problem, self._modified_at)

    def _take(self, found: dict[str, Gathered], path: str, member: Member, body: Body) -> None:
        first, _, rest = path.partition("/")
        report = sos_layout.report_of(first)
        if report and not rest:
            return
        gathered = found.get(report)
        if gathered is None:
            if len(found) >= REPORT_LIMIT:
                return
            gathered = found[report] = Gathered()
        gather.take(gathered, rest if report else path, member, body, sos_layout.limit_of)

    def _nested(self, path: str, body: Body, depth: int) -> Iterator[Seen]:
        """A report packed inside this archive (sos collect); the outer one goes on after it."""
        name = path.rpartition("/")[2]
        inner = _Reports(name, self._modified_at, self._clock, self._meter)
        try:
            yield from inner.read(unpacked(_Inner(body), self._meter), depth + 1)
        except InputError as error:
            inner.problem = error.message
        self.count += inner.count
        if inner.count == 0 and "sosreport" in name:
            self.count += 1
            yield Seen(name=name, problem=inner.problem or "nothing of a sosreport is in it")


class _Inner:
    """The bytes of a member as a source; they were counted when the outer archive gave them."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def read(self, size: int) -> bytes:
        return self._body.read(size)


def _seen(
    name: str, found: Gathered, clock: Clock, problem: str | None, modified_at: float
) -> Seen:
    """The facts of one report, with what is missing of it in words."""
    name = "".join(sign if sign.isprintable() else "?" for sign in name)
    report = SosReport(found)
    recording = recording_of(report, _host_of(name))
    dated = recording.collected_at is not None
    if not dated:
        # By the time of its copy, the host would have run on since.
        newest = max(found.times.values(), default=0.0)
        fallback = newest if 0 < newest <= modified_at else modified_at
        recording = replace(recording, collected_at=min(fallback, clock.now()))
    at = recording.collected_at
    assert at is not None
    if not recording.files and not recording.commands:
        return Seen(name=name, problem=problem or "nothing of a sosreport is in it")
    facts = read_facts(RecordedHost(recording), RecordedClock(at))
    facts = replace(without_made_up(facts, report), at=at, origin="sosreport")
    if not dated:
        # The age of a copied file is no uptime's end.
        why = "when the report was made is not told, only how old its files are"
        facts = replace(facts, booted_at=None, unseen={"booted_at": why, **facts.unseen, "at": why})
    words = [f"the archive is not whole: {problem}"] if problem else []
    return Seen(name=facts.hostname, facts=facts, problem="; ".join([*words, *found.notes]) or None)


def _host_of(name: str) -> str:
    """The host in an archive's name: `sosreport-HOST-CASE-DATE-XXXXXXX.tar.xz`."""
    stem = name
    for ending in PACKED:
        stem = stem.removesuffix(ending)
    stem = stem.removesuffix("-obfuscated").removeprefix("sosreport-")
    import re

    match = re.match(r"(.+?)(?:[-.]\d{4}-\d{2}-\d{2}-[a-z]{7}|-\d{6,}.*|\.\d{6,}.*)$", stem)
    return (match[1] if match else stem) or name

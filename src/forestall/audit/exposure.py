"""Which known faults a kernel has, and which updates it has missed: package against package.

A fix has a package version per stream: the ordinary one, and the paid ones of older minors. A
kernel of the ordinary stream is older than the fix or it is not. One that may come from a paid
stream (Red Hat's own, with updates newer than any the ordinary stream had for that minor) may
hold the same fix under a number that is not in the table: that is undecided, never open.
"""

from dataclasses import dataclass
from functools import lru_cache

from forestall.audit.kernels import EL_SYSTEMS, Kernel, Line, kernel_of
from forestall.audit.posture import Posture
from forestall.audit.systems import KERNEL_OF_A_CLUSTER, WITH_A_CLUSTER, system_of
from forestall.audit.tables import Fix, Tables, Update, number_of
from forestall.audit.tables.nouns import Minor, day
from forestall.audit.versions import CACHED
from forestall.units import DAY

FIRST_COVERED = 7
FIRST_ALWAYS_NAMED = 9
"""Since then each package of a minor release carries its name (el9_4)."""

REBUILDERS = ("tuxcare", ".els")
"""Who carries fixes into kernels under numbers of their own, by the package's name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exposure:
    """What a kernel lacks at a moment: faults and updates surely, or only perhaps.

    `needs` are the different needs of the open faults, each once; `minor` is the minor release
    the kernel belongs to. `paid` = it may hold fixes under numbers that are not in the table.
    `own_at` is when the very kernel came out, None where that is not in the table.
    """

    open: tuple[Fix, ...]
    needs: tuple[tuple[str, ...], ...]
    undecided: tuple[Fix, ...]
    missed: tuple[Update, ...]
    missed_undecided: tuple[Update, ...]
    minor: Minor | None
    paid: bool
    own_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The kernel to judge, or why none is judged: NOT_APPLICABLE (`applies` False) or UNKNOWN.

    `system` is the ID of os-release, also where only an older name line told it.
    """

    kernel: Kernel | None
    applies: bool
    why: str = ""
    system: str | None = None


def subject(host: Posture) -> Subject:
    """The Enterprise Linux kernel whose fixes the tables can tell; livepatched ones by effect."""
    facts = host.facts
    if facts.container:
        return Subject(kernel=None, applies=False, why=NOT_OURS)
    release = facts.effective_release or facts.kernel_release
    if release is None:
        return Subject(kernel=None, applies=True, why="The kernel's release was not read.")
    return _subject(release, facts.os_id, facts.os_version_id, facts.os_name)


def reservations(host: Posture, major: int) -> str:
    """What an accusation leaves open, a sentence with a space before it."""
    return host.tables.aged(major, host.at)


NOT_OURS = "The kernel is the host's, not this container's: audit the host."


@lru_cache(CACHED)
def _subject(release: str, os_id: str | None, version: str | None, name: str | None) -> Subject:
    system = system_of(os_id, version, name)
    kernel = kernel_of(release, system.id)
    if system.id in WITH_A_CLUSTER:
        return Subject(kernel=None, applies=True, why=KERNEL_OF_A_CLUSTER)
    if kernel is not None and kernel.line is Line.EL and kernel.el_major is not None:
        if kernel.el_major < FIRST_COVERED:
            why = f"Advisories of Enterprise Linux {kernel.el_major} are not in the table."
            return Subject(kernel=None, applies=False, why=why)
        return Subject(kernel=kernel, applies=True, system=system.id)
    if system.id is None:
        why = f"Whose kernel {release} should be is unknown: no os-release was read."
        return Subject(kernel=None, applies=True, why=why)
    maker = kernel.line.value if kernel is not None else "another maker"
    if system.id in EL_SYSTEMS or (
        kernel is not None and kernel.line in (Line.UEK, Line.ELREPO, Line.CLOUDLINUX)
    ):
        why = (
            f"{release} is a kernel of {maker}, which the advisories of Enterprise Linux say "
            "nothing about."
        )
        return Subject(kernel=None, applies=True, why=why)
    why = f"Only advisories of Enterprise Linux are in the table; {release} was not looked up."
    return Subject(kernel=None, applies=False, why=why)


def exposure(kernel: Kernel, system: str | None, tables: Tables, at: float) -> Exposure | None:
    """What `kernel` lacks of what was out by `at`; None = no advisory is about its version."""
    return _exposure(kernel.release, system, tables, at // DAY)


@lru_cache(CACHED)
def _exposure(release: str, system: str | None, tables: Tables, days: float) -> Exposure | None:
    kernel = kernel_of(release, system)
    if kernel is None or kernel.el_major is None or kernel.base is None:
        return None
    by_cve = tables.fixes(kernel.el_major, kernel.base)
    updates = tables.updates(kernel.el_major, kernel.base)
    if not by_cve and not updates:
        return None
    now = (days + 1) * DAY
    minor = tables.minor_of(kernel)
    streams = _Streams(kernel, system, minor, updates)
    surely: list[Fix] = []
    perhaps: list[Fix] = []
    for fixes in by_cve.values():
        lacking, sure = streams.lacks([fix for fix in fixes if fix.at < now])
        if lacking is not None:
            (surely if sure else perhaps).append(lacking)
    late: list[Update] = []
    maybe: list[Update] = []
    for update in updates:
        if update.at < now and update.key > kernel.order:
            sure = streams.surely_before(update.advisory.fixed)
            (late if sure else maybe).append(update)
    return Exposure(
        open=tuple(sorted(surely, key=lambda fix: (not fix.flaw.remote_panic, fix.flaw.cve))),
        needs=tuple(dict.fromkeys(fix.flaw.needs for fix in surely)),
        undecided=tuple(perhaps),
        missed=tuple(late),
        missed_undecided=tuple(maybe),
        minor=minor,
        paid=streams.paid,
        own_at=next((update.at for update in updates if update.key == kernel.order), None),
    )


class _Streams:
    """Where a kernel can have its fixes from."""

    def __init__(
        self, kernel: Kernel, system: str | None, minor: Minor | None, updates: list[Update]
    ) -> None:
        self.kernel = kernel
        self.number = None if minor is None else number_of(minor.name)[1]
        ordinary = [
            update.key for update in updates if _build(update.advisory.fixed) == kernel.build
        ]
        self.rebuilt = any(word in (kernel.package or "") for word in REBUILDERS)
        # Others than Red Hat have no paid streams; a system without a name may be Red Hat's.
        self.extended = system in ("rhel", None)
        # CentOS Stream has no minor releases, and fixes of its own time.
        stream = minor is None or (
            (kernel.el_major or 0) >= FIRST_ALWAYS_NAMED and kernel.el_minor is None
        )
        beyond = kernel.update and not any(kernel.order <= key for key in ordinary)
        self.paid = self.rebuilt or stream or (self.extended and beyond)

    def surely_before(self, fixed: str) -> bool:
        """Whether this kernel cannot hold what the ordinary package `fixed` holds, being older."""
        if self.rebuilt:
            return False
        return not self.paid or _build(fixed) == self.kernel.build

    def lacks(self, fixes: list[Fix]) -> tuple[Fix | None, bool]:
        """The fix that this kernel lacks, if it does, and whether that is sure."""
        order = self.kernel.order
        if not fixes or any(fix.since is not None and order < fix.since for fix in fixes):
            return None, True
        ordinary = [fix for fix in fixes if fix.minor is None]
        own = [
            fix
            for fix in fixes
            if self.extended and fix.minor is not None and fix.minor == self.number
        ]
        if any(order >= fix.key for fix in ordinary) or any(order >= fix.key for fix in own):
            return None, True
        if own:
            return own[0], not self.rebuilt
        if not ordinary:
            return None, True
        return ordinary[0], self.surely_before(ordinary[0].advisory.fixed)


def _build(package: str) -> int | None:
    """957 of `3.10.0-957.21.3.el7`."""
    number = package.partition("-")[2].partition(".")[0]
    return int(number) if number.isdigit() else None


def has_paid_stream(minor: Minor, system: str | None, asserted: bool, at: float) -> bool:
    """Whether Red Hat still carries fixes into this minor: by EUS, or by what the site pays for."""
    if system != "rhel":
        return False
    ends = [minor.eus_until, minor.e4s_until if asserted else None]
    return any(end is not None and at < day(end) + DAY for end in ends)

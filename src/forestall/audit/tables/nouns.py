"""What the tables hold, as they are written down. Reading one checks all that can be checked.

A document is read with `model.codec`, which refuses unknown fields and wrong types; the rest is
refused here. Each table says where it comes from, under which licence, and of which day it is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache

from forestall.units import DAY

FIRST_YEAR, LAST_YEAR = 1995, 2100
LONGEST_TEXT = 300
MOST_PRODUCTS = 100
MOST_CYCLES = 200
MOST_MINORS = 500
MOST_ADVISORIES = 20_000
MOST_FLAWS = 20_000

NEEDS = (
    "dax",
    "zswap",
    "zram",
    "zram-swap",
    "memory-limits",
    "huge-pages",
    "transparent-huge-pages",
    "numa",
    "ksm",
    "userfaultfd",
    "user-namespaces",
    "cores",
    "slab-debug",
    "16-tib",
)
"""What a host must have or use for a fault to be reached, beside `module:NAME`.

docs/reference/audit-tables.md says what each means; audit.fault_needs decides them.
"""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_ADVISORY = re.compile(r"[A-Z]{4}-\d{4}:\d{4,6}")
_MODULE = re.compile(r"module:[a-z0-9_]{1,60}")
_MINOR = re.compile(r"\d{1,2}\.\d{1,2}")
_BASE = re.compile(r"\d+\.\d+\.\d+")
_PACKAGE = re.compile(r"(\d+\.\d+\.\d+)-\d[\w.]*\.el(\d+)\w*")


@lru_cache(8192)
def day(text: str) -> float:
    """`2024-06-30` as the epoch seconds of its first moment, UTC. Raises ValueError."""
    return datetime.combine(_day(text), datetime.min.time(), UTC).timestamp()


def iso(at: float) -> str:
    """The day of a moment: the inverse of `day`."""
    return _iso(at // DAY)


@lru_cache(8192)
def _iso(days: float) -> str:
    return f"{datetime.fromtimestamp(days * DAY, UTC):%Y-%m-%d}"


def _day(text: str) -> date:
    # ISO 8601 has other forms (2024-W26-7), and days are compared as text.
    if len(text) > LONGEST_TEXT or _DAY.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is no day like 2024-06-30")
    found = date.fromisoformat(text)
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError(f"{text} is not between {FIRST_YEAR} and {LAST_YEAR}")
    return found


def _check_days(*texts: str | None) -> None:
    for text in texts:
        if text is not None:
            _day(text)


def _check_texts(*texts: str) -> None:
    for text in texts:
        if not text.strip() or len(text) > LONGEST_TEXT or not text.isprintable():
            raise ValueError(f"{text[:40]!r} is empty, longer than {LONGEST_TEXT}, or unprintable")


def _check_count(count: int, most: int, what: str) -> None:
    if count > most:
        raise ValueError(f"{count} {what}; at most {most} are read")


def _check_form(pattern: re.Pattern[str], text: str, wanted: str) -> None:
    if len(text) > LONGEST_TEXT or pattern.fullmatch(text) is None:
        raise ValueError(f"{text[:60]!r} is not {wanted}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where data came from, under which licence, and of which day it is."""

    source: str
    licence: str
    as_of: str

    def __post_init__(self) -> None:
        _check_texts(self.source, self.licence)
        _check_days(self.as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One release of a product: `end` is the last day with ordinary fixes, None = not announced.

    `extended_end` is that of the paid extension, where there is one.
    """

    cycle: str
    released: str | None = None
    end: str | None = None
    extended_end: str | None = None

    def __post_init__(self) -> None:
        _check_texts(self.cycle)
        _check_days(self.released, self.end, self.extended_end)
        if self.released and self.end and self.end < self.released:
            raise ValueError(f"{self.cycle} ends on {self.end}, before it began")
        if self.end and self.extended_end and self.extended_end < self.end:
            raise ValueError(f"{self.cycle}: the extension ends before what it extends")


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """The life cycles of one product, by the name that endoflife.date gives it."""

    name: str
    as_of: str
    cycles: tuple[Cycle, ...]

    def __post_init__(self) -> None:
        _check_texts(self.name)
        _check_days(self.as_of)
        _check_count(len(self.cycles), MOST_CYCLES, f"cycles of {self.name}")
        names = [one.cycle for one in self.cycles]
        if len(set(names)) != len(names):
            raise ValueError(f"a cycle of {self.name} is there twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeCycles:
    """When systems stop getting fixes."""

    SCHEMA = "forestall/audit-life-cycles/1"

    origins: tuple[Origin, ...]
    products: tuple[Product, ...]

    def __post_init__(self) -> None:
        _check_origins(self.origins)
        _check_count(len(self.products), MOST_PRODUCTS, "products")
        names = [one.name for one in self.products]
        if len(set(names)) != len(names):
            raise ValueError("a product is there twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Minor:
    """One minor release of Enterprise Linux and the kernel build it came with.

    `eus_until` and `e4s_until` are the last days of Red Hat's paid extensions for this minor.
    """

    name: str
    base: str
    build: int
    released: str | None = None
    eus_until: str | None = None
    e4s_until: str | None = None

    def __post_init__(self) -> None:
        _check_form(_MINOR, self.name, "a minor release like 7.6")
        _check_form(_BASE, self.base, "a kernel version like 3.10.0")
        _check_days(self.released, self.eus_until, self.e4s_until)
        if not 0 < self.build < 1_000_000:
            raise ValueError(f"build {self.build} of {self.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """The minor releases of Enterprise Linux; a `closed` major will get no further minor."""

    SCHEMA = "forestall/audit-releases/1"

    origins: tuple[Origin, ...]
    closed: tuple[int, ...]
    minors: tuple[Minor, ...]

    def __post_init__(self) -> None:
        _check_origins(self.origins)
        _check_count(len(self.minors), MOST_MINORS, "minor releases")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """A kernel update: the package version that holds the fixes, and what it fixes.

    `stream` names the minor release whose paid stream it is (7.6), None = the ordinary one.
    `since` is the first package version that has the faults, None = all before have them.
    `cves` are those of the table's subject alone, and may be none.
    """

    el: int
    id: str
    date: str
    fixed: str
    cves: tuple[str, ...] = ()
    stream: str | None = None
    since: str | None = None

    def __post_init__(self) -> None:
        _check_days(self.date)
        _check_form(_ADVISORY, self.id, "an advisory like RHSA-2019:1481")
        _check_form(_PACKAGE, self.fixed, "a kernel package like 3.10.0-957.21.3.el7")
        if self.since is not None:
            _check_form(_PACKAGE, self.since, "a kernel package like 3.10.0-957.el7")
        if self.stream is not None:
            _check_form(_MINOR, self.stream, "a minor release like 7.6")
        for name in self.cves:
            _check_form(_CVE, name, "a CVE")
        match = _PACKAGE.fullmatch(self.fixed)
        if match is None or int(match[2]) != self.el:
            raise ValueError(f"{self.id}: {self.fixed} is no kernel of Enterprise Linux {self.el}")

    @property
    def base(self) -> str:
        """`3.10.0`: only kernels of the same version compare."""
        return self.fixed.partition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """One CVE: it is reached where one of `needs` is met, or everywhere if it has none."""

    cve: str
    title: str
    needs: tuple[str, ...] = ()
    remote_panic: bool = False

    def __post_init__(self) -> None:
        _check_form(_CVE, self.cve, "a CVE")
        _check_texts(self.title)
        for need in self.needs:
            if need not in NEEDS and _MODULE.fullmatch(need) is None:
                raise ValueError(
                    f"{self.cve} needs {need[:60]!r}: neither module:NAME nor one of "
                    + ", ".join(NEEDS)
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Until which day the advisories of one major that bear on memory are in the table.

    From `complete_since` on, every other kernel update is in it as well; None = they are not.
    """

    el: int
    until: str
    complete_since: str | None = None

    def __post_init__(self) -> None:
        _check_days(self.until, self.complete_since)
        if self.complete_since is not None and self.until < self.complete_since:
            raise ValueError(f"EL{self.el} is complete since {self.complete_since}, after its end")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisories:
    """Kernel updates of Enterprise Linux and the faults they repair."""

    SCHEMA = "forestall/audit-advisories/1"

    origins: tuple[Origin, ...]
    coverage: tuple[Coverage, ...]
    advisories: tuple[Advisory, ...]
    flaws: tuple[Flaw, ...]

    def __post_init__(self) -> None:
        _check_origins(self.origins)
        _check_count(len(self.advisories), MOST_ADVISORIES, "advisories")
        _check_count(len(self.flaws), MOST_FLAWS, "faults")
        told = {one.cve for one in self.flaws}
        if len(told) != len(self.flaws):
            raise ValueError("a CVE is there twice")
        for one in self.advisories:
            for name in one.cves:
                if name not in told:
                    raise ValueError(f"{one.id} repairs {name}, which is not in the table")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Tables in one document; a table that is None is not in it.

    `beside` are the days of the shipped tables that these were kept in place of.
    """

    SCHEMA = "forestall/audit-tables/1"

    life_cycles: LifeCycles | None = None
    releases: Releases | None = None
    advisories: Advisories | None = None
    beside: Mapping[str, str] = field(default_factory=dict)


def _check_origins(origins: tuple[Origin, ...]) -> None:
    if not origins:
        raise ValueError("no source and licence are named")
    _check_count(len(origins), MOST_PRODUCTS, "origins")

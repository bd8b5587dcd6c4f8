"""Life cycles, release map and advisories: what a host cannot tell of itself.

They ship as JSON beside this file, each with its source, licence and day (`nouns`), are read and
checked when a rule first asks, and are replaced table by table with what `forestall audit refresh`
has written into the state folder, as long as that is no older. docs/reference/audit-tables.md
"""

import itertools
import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, lru_cache

from forestall.audit.kernels import Kernel
from forestall.audit.tables.nouns import (
    Advisories,
    Advisory,
    Bundle,
    Cycle,
    Flaw,
    LifeCycles,
    Minor,
    Releases,
    day,
    iso,
)
from forestall.audit.versions import Key, rpm_key
from forestall.errors import InputError
from forestall.model.codec import from_document, parse_json
from forestall.units import DAY

STORED = "audit-tables.json"
"""What a refresh writes, in the state folder."""

MOST_BYTES = 16 * 1024 * 1024

LIFE_CYCLES_STALE_DAYS = 180
RELEASES_STALE_DAYS = 180
ADVISORIES_STALE_DAYS = 45
"""A life cycle rarely changes, a minor release comes out each half year, and a kernel advisory
every week or so."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fix:
    """One advisory for one fault, ready to compare. There is one of each, equal to itself alone."""

    flaw: Flaw
    advisory: Advisory
    at: float
    key: Key
    since: Key | None
    minor: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Update:
    """One advisory of the ordinary stream, ready to compare."""

    advisory: Advisory
    at: float
    key: Key


class Tables:
    """The tables, with what makes looking them up fast. Made once, asked for every host."""

    def __init__(self, life_cycles: LifeCycles, releases: Releases, advisories: Advisories) -> None:
        self.life_cycles = life_cycles
        self.releases = releases
        self.advisories = advisories

    @property
    def bundle(self) -> Bundle:
        """All three as one document."""
        return Bundle(
            life_cycles=self.life_cycles, releases=self.releases, advisories=self.advisories
        )

    @cached_property
    def _cycles(self) -> dict[str, dict[str, Cycle]]:
        return {
            product.name: {cycle.cycle: cycle for cycle in product.cycles}
            for product in self.life_cycles.products
        }

    @cached_property
    def _as_of(self) -> dict[str, float]:
        return {product.name: day(product.as_of) for product in self.life_cycles.products}

    def cycle(self, product: str, version: str) -> Cycle | None:
        """The cycle of a version: `9.4` is of `9`, `3.19.1` of `3.19`, `15.5` is one itself."""
        cycles = self._cycles.get(product, {})
        while version:
            found = cycles.get(version)
            if found is not None:
                return found
            version = version.rpartition(".")[0]
        return None

    def life_cycle_age_days(self, product: str, at: float) -> float:
        """How old the dates of a product are at a moment; 0 for a moment before them."""
        return max(0.0, (at - self._as_of[product]) / DAY)

    @cached_property
    def _minors(self) -> dict[tuple[str, int], Minor]:
        """By (version, build); what advisories show and the map lacks is added from them."""
        found = {(one.base, one.build): one for one in self.releases.minors}
        for advisory in sorted(self.advisories.advisories, key=lambda one: one.date):
            place, name = _place_of(advisory)
            if place is not None and place not in found:
                found[place] = Minor(
                    name=name, base=place[0], build=place[1], released=advisory.date
                )
        return found

    @cached_property
    def _by_name(self) -> dict[str, Minor]:
        return {one.name: one for one in self._minors.values()}

    def minor_of(self, kernel: Kernel) -> Minor | None:
        """The minor release that a kernel belongs to: by its suffix, else by its build."""
        if kernel.build is None or kernel.base is None:
            return None
        if kernel.el_minor is not None:
            named = self._by_name.get(f"{kernel.el_major}.{kernel.el_minor}")
            if named is not None:
                return named
        return self._minors.get((kernel.base, kernel.build))

    @cached_property
    def _by_major(self) -> dict[int, list[Minor]]:
        """The minor releases of each major, the newest first."""
        found: dict[int, list[Minor]] = {}
        for one in sorted(self._by_name.values(), key=lambda one: number_of(one.name)):
            found.setdefault(number_of(one.name)[0], []).insert(0, one)
        return found

    def last_minor(self, el: int, at: float) -> Minor | None:
        """The newest minor release of a major that was out at a moment."""
        for one in self._by_major.get(el, []):
            if one.released is None or day(one.released) <= at:
                return one
        return None

    @cached_property
    def _following(self) -> dict[str, Minor]:
        return {
            older.name: newer
            for minors in self._by_major.values()
            for newer, older in itertools.pairwise(minors)
        }

    def next_minor(self, minor: Minor) -> Minor | None:
        """The minor release after this one, as far as the table goes."""
        return self._following.get(minor.name)

    @cached_property
    def _mapped(self) -> float:
        return day(newest(self.releases))

    def mapped_until(self, el: int) -> float:
        """Until when a new minor release of a major would be known, by map or by its packages."""
        return max(self._mapped, self._covered.get(el, 0.0))

    def is_closed(self, el: int) -> bool:
        """Whether a major will get no further minor release."""
        return el in self.releases.closed

    @cached_property
    def _fixes(self) -> dict[tuple[int, str], dict[str, list[Fix]]]:
        flaws = {one.cve: one for one in self.advisories.flaws}
        found: dict[tuple[int, str], dict[str, list[Fix]]] = {}
        for one in self.advisories.advisories:
            key, since = rpm_key(one.fixed), rpm_key(one.since) if one.since else None
            minor = int(one.stream.partition(".")[2]) if one.stream else None
            by_cve = found.setdefault((one.el, one.base), {})
            for cve in one.cves:
                fix = Fix(
                    flaw=flaws[cve],
                    advisory=one,
                    at=day(one.date),
                    key=key,
                    since=since,
                    minor=minor,
                )
                by_cve.setdefault(cve, []).append(fix)
        for by_cve in found.values():
            for fixes in by_cve.values():
                fixes.sort(key=lambda fix: fix.key)
        return found

    def fixes(self, el: int, base: str) -> dict[str, list[Fix]]:
        """By CVE, the advisories that repair it in kernels of one version, the oldest first."""
        return self._fixes.get((el, base), {})

    @cached_property
    def _updates(self) -> dict[tuple[int, str], list[Update]]:
        found: dict[tuple[int, str], dict[Key, Update]] = {}
        for one in self.advisories.advisories:
            if one.stream is None:
                # Red Hat's and AlmaLinux's advisories of one package are one update.
                update = Update(advisory=one, at=day(one.date), key=rpm_key(one.fixed))
                found.setdefault((one.el, one.base), {}).setdefault(update.key, update)
        return {
            place: [updates[key] for key in sorted(updates)] for place, updates in found.items()
        }

    def updates(self, el: int, base: str) -> list[Update]:
        """The advisories of the ordinary stream, the oldest package first."""
        return self._updates.get((el, base), [])

    @cached_property
    def _covered(self) -> dict[int, float]:
        return {one.el: day(one.until) for one in self.advisories.coverage}

    def covered_until(self, el: int) -> float | None:
        """Until when the advisories of a major are in the table; None = it has none."""
        return self._covered.get(el)

    @cached_property
    def _complete(self) -> dict[int, float]:
        return {
            one.el: day(one.complete_since)
            for one in self.advisories.coverage
            if one.complete_since is not None
        }

    def complete_since(self, el: int) -> float | None:
        """Since when every update of a major is in the table; None = those about memory alone."""
        return self._complete.get(el)

    def knows_every_update(self, el: int, first: float, last: float) -> bool:
        """Whether none of the updates of a major between two moments is missing in the table."""
        since, until = self._complete.get(el), self._covered.get(el)
        return since is not None and until is not None and since <= first and last <= until

    def aged(self, el: int, at: float) -> str:
        """A sentence, with a space before it, where the advisories of a major are stale; or ""."""
        until = self._covered.get(el)
        if until is None or at - until <= ADVISORIES_STALE_DAYS * DAY:
            return ""
        return f" The advisories known end on {iso(until)}; there may be more."

    def stale(
        self,
        at: float,
        products: AbstractSet[str] | None = None,
        majors: AbstractSet[int] | None = None,
    ) -> tuple[str, ...]:
        """What of the tables is too old to rely on at a moment, a sentence each.

        `products` and `majors` (of Enterprise Linux) are those that matter; None = all.
        """
        found = []
        old = sorted(
            name
            for name, when in self._as_of.items()
            if at - when > LIFE_CYCLES_STALE_DAYS * DAY and (products is None or name in products)
        )
        if old:
            found.append(
                f"The life cycles of {', '.join(old)} are older than {LIFE_CYCLES_STALE_DAYS} days."
            )
        mapped = majors is None or bool(majors)
        if mapped and at - self._mapped > RELEASES_STALE_DAYS * DAY:
            found.append(
                f"The map of minor releases is of {iso(self._mapped)}, older than "
                f"{RELEASES_STALE_DAYS} days."
            )
        for el, until in sorted(self._covered.items()):
            if majors is not None and el not in majors:
                continue
            if at - until > ADVISORIES_STALE_DAYS * DAY:
                found.append(
                    f"The advisories of Enterprise Linux {el} end on {iso(until)}, "
                    f"more than {ADVISORIES_STALE_DAYS} days before."
                )
        return tuple(found)


def number_of(name: str) -> tuple[int, int]:
    """`8.10` -> (8, 10), which is after (8, 9)."""
    major, _, minor = name.partition(".")
    return int(major), int(minor)


def _place_of(advisory: Advisory) -> tuple[tuple[str, int] | None, str]:
    """(version, build) and the minor that the suffix `elX_Y` of an advisory's package names."""
    version, _, rest = advisory.fixed.partition("-")
    build, _, _ = rest.partition(".")
    _, _, suffix = rest.rpartition(f".el{advisory.el}_")
    minor = suffix.partition(".")[0]
    if f".el{advisory.el}_" not in rest or not minor.isdigit() or not build.isdigit():
        return None, ""
    return (version, int(build)), f"{advisory.el}.{int(minor)}"


@lru_cache(maxsize=1)
def shipped() -> Tables:
    """The tables of this version of forestall."""
    folder = os.path.dirname(__file__)
    return Tables(
        from_document(LifeCycles, _document(os.path.join(folder, "life_cycles.json"))),
        from_document(Releases, _document(os.path.join(folder, "releases.json"))),
        from_document(Advisories, _document(os.path.join(folder, "advisories.json"))),
    )


def stored(state: str) -> Bundle | None:
    """What a refresh has kept below a state folder, None where there was none.

    Raises InputError for a damaged one: stale data must not be taken for fresh in silence.
    """
    path = os.path.join(state, STORED)
    try:
        return from_document(Bundle, _document(path))
    except FileNotFoundError:
        return None
    except InputError as error:
        raise InputError(
            f"{path}: {error.message}",
            help="go back to the shipped tables: forestall audit refresh --restore-shipped",
        ) from None


def load(state: str | None = None) -> Tables:
    """The shipped tables, each replaced by the one kept below `state`, if any."""
    ours = shipped()
    kept = stored(state) if state is not None else None
    return ours if kept is None else combined(ours, kept)


def combined(ours: Tables, kept: Bundle) -> Tables:
    """`ours` with the tables of `kept`, unless an upgrade has brought newer ones since."""
    bundle = ours.bundle
    life_cycles, releases, advisories = ours.life_cycles, ours.releases, ours.advisories
    if kept.life_cycles is not None and _stays(kept, bundle, "life_cycles"):
        life_cycles = kept.life_cycles
    if kept.releases is not None and _stays(kept, bundle, "releases"):
        releases = kept.releases
    if kept.advisories is not None and _stays(kept, bundle, "advisories"):
        advisories = kept.advisories
    return Tables(life_cycles, releases, advisories)


def _stays(kept: Bundle, ours: Bundle, name: str) -> bool:
    mine, theirs = newest(getattr(ours, name)), newest(getattr(kept, name))
    return theirs >= mine or kept.beside.get(name) == mine


def newest(table: LifeCycles | Releases | Advisories) -> str:
    """The newest day that a table's sources name."""
    return max(one.as_of for one in table.origins)


def _document(path: str) -> object:
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"{path} is larger than {MOST_BYTES // 1024**2} MiB")
    return parse_json(data)

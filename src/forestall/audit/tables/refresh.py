"""Newer data -> the tables this host judges by: read, checked, compared, and only then kept.

What is kept lies in the state folder beside the shipped tables, which stay as they are; going back
to them is deleting one file.
"""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forestall.audit.report.writing import OPEN, report_file
from forestall.audit.systems import PRODUCTS
from forestall.audit.tables import STORED, Tables, combined, newest, shipped, stored
from forestall.audit.tables.fetch import File
from forestall.audit.tables.nouns import (
    Advisories,
    Advisory,
    Bundle,
    Coverage,
    Flaw,
    LifeCycles,
    Origin,
    Product,
    Releases,
    day,
    iso,
)
from forestall.audit.tables.sources import alma, front_matter, product, products_of, red_hat
from forestall.errors import InputError
from forestall.journal import sync_folder
from forestall.model.codec import Json, dumps, from_document, parse_json
from forestall.units import DAY

KNOWN = frozenset({name for name, _ in PRODUCTS.values()} | {"centos-stream"})
"""The products whose life cycles are asked for."""

END_OF_LIFE = ("https://endoflife.date", "MIT")
ALMA = ("https://github.com/AlmaLinux/osv-database", "MIT")
RED_HAT = ("Red Hat security data, per CVE", "CC BY 4.0")

GIVEN = "what can be given: docs/reference/audit-tables.md"

TABLES = ("life_cycles", "releases", "advisories")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """The tables as they would be, and what that changes, a line each."""

    tables: Tables
    changes: tuple[str, ...]


def refreshed(
    files: Iterable[File], now: Tables, at: float, *, as_of: str | None = None, force: bool = False
) -> Refreshed:
    """`now` with what the files bring. Raises InputError for anything unexpected in them.

    `as_of` is the day of data that does not tell its own, None = when the file was changed.
    `force` takes data that is older than what is there.
    """
    gathered = _Gathered(as_of)
    for file in files:
        try:
            gathered.add(file)
        except InputError as error:
            raise InputError(f"{file.name}: {error.message}", help=error.help or GIVEN) from None
    if gathered.empty:
        raise InputError(
            "no table, life cycle or kernel advisory is in it",
            help=GIVEN,
        )
    merged = _merge(now, gathered, force)
    _check_future(merged, at)
    tables = Tables(merged.life_cycles, merged.releases, merged.advisories)
    return Refreshed(tables=tables, changes=tuple(differences(now, tables)))


class _Gathered:
    """What the files of one source hold, by kind."""

    def __init__(self, as_of: str | None) -> None:
        self.as_of = as_of
        self.bundle = Bundle()
        self.products: dict[str, Product] = {}
        self.alma: list[Advisory] = []
        self.alma_until = ""
        self.red_hat: list[Advisory] = []
        self.red_hat_as_of = ""
        self.flaws: dict[str, Flaw] = {}

    @property
    def empty(self) -> bool:
        tables = [getattr(self.bundle, name) for name in TABLES]
        return not (any(tables) or self.products or self.alma or self.red_hat)

    def add(self, file: File) -> None:
        """Take in one file by what it holds."""
        date = self.as_of or iso(file.at)
        stem = os.path.basename(file.name).partition(".")[0]
        if file.name.endswith(".md"):
            if stem in KNOWN:
                text = file.data.decode("utf-8", "replace")
                self.products[stem] = product(stem, front_matter(text), date)
            return
        document = parse_json(file.data)
        if isinstance(document, dict) and isinstance(document.get("schema"), str):
            self._add_table(document)
        elif isinstance(document, dict) and "affected_release" in document:
            found, flaw = red_hat(document)
            self.red_hat += found
            self.flaws[flaw.cve] = flaw
            self.red_hat_as_of = max(self.red_hat_as_of, date)
        elif isinstance(document, dict) and "affected" in document:
            self._add_alma(document)
        else:
            self._add_products(stem, document, date)

    def _add_table(self, document: Mapping[str, Json]) -> None:
        kinds: dict[str, tuple[str, type]] = {
            LifeCycles.SCHEMA: ("life_cycles", LifeCycles),
            Releases.SCHEMA: ("releases", Releases),
            Advisories.SCHEMA: ("advisories", Advisories),
        }
        if document["schema"] in kinds:
            name, kind = kinds[document["schema"]]
            self.bundle = dataclasses.replace(self.bundle, **{name: from_document(kind, document)})
        else:
            self.bundle = from_document(Bundle, document)

    def _add_alma(self, document: Mapping[str, Json]) -> None:
        # Each advisory dates the whole database, whatever package it is about.
        changed = max(str(document.get("published", "")), str(document.get("modified", "")))[:10]
        try:
            day(changed)
        except ValueError as error:
            raise InputError(f"published and modified: {error}") from None
        self.alma_until = max(self.alma_until, changed)
        found = alma(document)
        if found is not None and found[0].el >= 8:
            self.alma.append(found[0])
            self.flaws.update((flaw.cve, flaw) for flaw in found[1])

    def _add_products(self, stem: str, document: Json, date: str) -> None:
        products = {stem: document} if isinstance(document, list) else products_of(document)
        if products is None:
            raise InputError(
                "neither a table of forestall, nor an answer of endoflife.date, nor an advisory",
                help=GIVEN,
            )
        for name, cycles in products.items():
            if name in KNOWN:
                self.products[name] = product(name, cycles, date)
            elif len(products) == 1:
                raise InputError(
                    f"{name!r} is no product whose life cycle is used",
                    help=f"a file is named after its product: {', '.join(sorted(KNOWN))}",
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    life_cycles: LifeCycles
    releases: Releases
    advisories: Advisories


def _merge(now: Tables, found: _Gathered, force: bool) -> _Whole:
    life_cycles, releases, advisories = now.life_cycles, now.releases, now.advisories
    given = found.bundle
    if given.life_cycles is not None:
        _check_age(newest(given.life_cycles), newest(life_cycles), "life cycles", force)
        life_cycles = given.life_cycles
    if given.releases is not None:
        _check_age(newest(given.releases), newest(releases), "releases", force)
        releases = given.releases
    if given.advisories is not None:
        _check_age(newest(given.advisories), newest(advisories), "advisories", force)
        advisories = given.advisories
    if found.products:
        life_cycles = _with_products(life_cycles, found.products, force)
    if found.alma:
        advisories = _with_alma(advisories, found, force)
    if found.red_hat:
        advisories = _with_red_hat(advisories, found)
    return _Whole(life_cycles=life_cycles, releases=releases, advisories=advisories)


def _check_age(given: str, there: str, what: str, force: bool) -> None:
    if given < there and not force:
        raise InputError(
            f"the {what} given are of {given}, those in use of {there}",
            help="--force takes the older ones; --as-of DAY says of which day the data is",
        )


def _with_products(table: LifeCycles, given: Mapping[str, Product], force: bool) -> LifeCycles:
    kept = {one.name: one for one in table.products}
    for name, one in tuple(given.items()):
        if name in kept:
            _check_age(one.as_of, kept[name].as_of, f"dates of {name}", force)
        if not one.cycles:
            raise InputError(f"{name} has no releases in it", help=GIVEN)
        if name in kept and not force:
            # Part of a product (a cut answer) takes none of its other releases away.
            told = {row.cycle for row in one.cycles}
            rest = tuple(row for row in kept[name].cycles if row.cycle not in told)
            given = {**given, name: dataclasses.replace(one, cycles=(*one.cycles, *rest))}
    products = tuple((kept | dict(given))[name] for name in sorted(kept | dict(given)))
    as_of = max(one.as_of for one in given.values())
    return LifeCycles(origins=_origins(table.origins, END_OF_LIFE, as_of), products=products)


def _with_alma(table: Advisories, found: _Gathered, force: bool) -> Advisories:
    """AlmaLinux's advisories of the majors given replace those there; others stay."""
    majors = {one.el for one in found.alma}
    coverage = {one.el: one for one in table.coverage}
    for el in majors & coverage.keys():
        _check_age(
            found.alma_until, coverage[el].until, f"advisories of Enterprise Linux {el}", force
        )
    given = {one.id for one in found.alma}
    ours = [one for one in table.advisories if one.el in majors and _is_alma(one)]
    # Less than is known of a major is no database: it adds, and does not say how far one reaches.
    whole = majors if force else majors - {one.el for one in ours if one.id not in given}
    since = {el: min(one.date for one in found.alma if one.el == el) for el in whole}
    coverage |= {
        el: Coverage(el=el, until=found.alma_until, complete_since=since[el]) for el in whole
    }
    kept = [
        one
        for one in table.advisories
        if not (_is_alma(one) and (one.el in whole or one.id in given))
    ]
    return _whole(
        (*kept, *found.alma),
        # What somebody has looked at outweighs what a title says.
        found.flaws | {one.cve: one for one in table.flaws},
        _origins(table.origins, ALMA, found.alma_until),
        coverage.values(),
    )


def _with_red_hat(table: Advisories, found: _Gathered) -> Advisories:
    """Each CVE given in the streams that Red Hat names; one advisory may repair several."""
    rows = {(one.el, one.id, one.fixed, one.stream): one for one in table.advisories}
    for one in found.red_hat:
        place = (one.el, one.id, one.fixed, one.stream)
        there = rows.get(place)
        cves = sorted({*one.cves, *(there.cves if there else ())})
        since = there.since if there else None
        rows[place] = dataclasses.replace(one, cves=tuple(cves), since=since)
    return _whole(
        rows.values(),
        found.flaws | {one.cve: one for one in table.flaws},
        _origins(table.origins, RED_HAT, found.red_hat_as_of),
        table.coverage,
    )


def _is_alma(one: Advisory) -> bool:
    return one.id.startswith("AL")


def _whole(
    rows: Iterable[Advisory],
    flaws: Mapping[str, Flaw],
    origins: tuple[Origin, ...],
    coverage: Iterable[Coverage],
) -> Advisories:
    ordered = tuple(sorted(rows, key=lambda one: (one.el, one.date, one.id, one.stream or "")))
    named = {cve for one in ordered for cve in one.cves}
    try:
        return Advisories(
            origins=origins,
            coverage=tuple(sorted(coverage, key=lambda one: one.el)),
            advisories=ordered,
            flaws=tuple(flaws[cve] for cve in sorted(flaws) if cve in named),
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def _origins(there: tuple[Origin, ...], source: tuple[str, str], as_of: str) -> tuple[Origin, ...]:
    """The origins with the one that was refreshed at its new day."""
    name, licence = source
    others = tuple(one for one in there if not one.source.startswith(name))
    return (*others, Origin(source=name, licence=licence, as_of=as_of))


def _check_future(found: _Whole, at: float) -> None:
    days = [newest(getattr(found, name)) for name in TABLES]
    days += [one.as_of for one in found.life_cycles.products]
    days += [one.until for one in found.advisories.coverage]
    if day(max(days)) > at + DAY:
        raise InputError(
            f"data of {max(days)} is still to come",
            help="check this machine's clock; --as-of DAY says of which day the data is",
        )


def differences(old: Tables, new: Tables) -> Iterable[str]:
    """What a person would want to check before believing it, a line each."""
    yield from _changed(
        "life cycle",
        {(p.name, c.cycle): _cycle_words(c) for p in old.life_cycles.products for c in p.cycles},
        {(p.name, c.cycle): _cycle_words(c) for p in new.life_cycles.products for c in p.cycles},
    )
    yield from _changed(
        "dates of",
        {(p.name,): p.as_of for p in old.life_cycles.products},
        {(p.name,): p.as_of for p in new.life_cycles.products},
    )
    yield from _changed(
        "release",
        {(m.name, str(m.build)): _words(m) for m in old.releases.minors},
        {(m.name, str(m.build)): _words(m) for m in new.releases.minors},
    )
    yield from _changed(
        "advisory",
        {(f"EL{a.el}", a.id, a.stream or ""): _words(a) for a in old.advisories.advisories},
        {(f"EL{a.el}", a.id, a.stream or ""): _words(a) for a in new.advisories.advisories},
    )
    yield from _changed(
        "fault",
        {(f.cve,): _words(f) for f in old.advisories.flaws},
        {(f.cve,): _words(f) for f in new.advisories.flaws},
    )
    yield from _changed(
        "advisories until",
        {(f"EL{c.el}",): _coverage_words(c) for c in old.advisories.coverage},
        {(f"EL{c.el}",): _coverage_words(c) for c in new.advisories.coverage},
    )


def _changed(
    kind: str, old: Mapping[tuple[str, ...], str], new: Mapping[tuple[str, ...], str]
) -> Iterable[str]:
    for place in sorted(old.keys() | new.keys()):
        name = f"{kind} {' '.join(part for part in place if part)}"
        if place not in old:
            yield f"+ {name}: {new[place]}"
        elif place not in new:
            yield f"- {name}: {old[place]}"
        elif old[place] != new[place]:
            yield f"~ {name}: {old[place]} -> {new[place]}"


def _coverage_words(one: Coverage) -> str:
    complete = f"; complete since {one.complete_since}" if one.complete_since else ""
    return f"{one.until}{complete}"


def _cycle_words(cycle: object) -> str:
    return _words(cycle, skip=("cycle",))


def _words(row: object, skip: tuple[str, ...] = ()) -> str:
    """The fields of a row that say something."""
    found = []
    for field in dataclasses.fields(row):  # type: ignore[arg-type]
        value = getattr(row, field.name)
        if field.name not in skip and value not in (None, (), False):
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else value
            found.append(f"{field.name.replace('_', ' ')} {shown}")
    return "; ".join(found)


def keep(tables: Tables, state: str) -> str:
    """Write the tables that differ from the shipped ones, whole or not at all; returns the path.

    They are public. Raises InputError where they cannot be written.
    """
    ours = shipped()
    changed = {
        name: getattr(tables, name)
        for name in TABLES
        if getattr(tables, name) != getattr(ours, name)
    }
    beside = {name: newest(getattr(ours, name)) for name in changed}
    path = os.path.join(state, STORED)
    os.makedirs(state, exist_ok=True)
    with report_file(path, mode=OPEN) as file:
        file.write(dumps(Bundle(**changed, beside=beside)) + "\n")
    return path


def forget(state: str) -> bool:
    """Back to the shipped tables; False where nothing had been kept."""
    try:
        os.unlink(os.path.join(state, STORED))
    except FileNotFoundError:
        return False
    sync_folder(state)
    return True


def in_use(state: str) -> Tables:
    """The tables that rules judge by below this state folder."""
    kept = stored(state)
    return shipped() if kept is None else combined(shipped(), kept)

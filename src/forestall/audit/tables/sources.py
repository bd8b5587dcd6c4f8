"""Data as others publish it -> our tables: endoflife.date, AlmaLinux's OSV database, Red Hat.

Pure: parsed JSON or text in, nouns out; `fetch` reads the bytes and `refresh` merges. A source's
form is known from its public documents and stored copies; docs/reference/audit-tables.md says
which were never asked live.
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from forestall.audit.tables.nouns import LONGEST_TEXT, Advisory, Cycle, Flaw, Product
from forestall.errors import InputError
from forestall.model.codec import Json

FREE_EXTENSION = frozenset({"debian"})
"""Products whose extension is there for everybody: Debian's LTS needs no contract."""

FIRST_MAJOR = 7

_CYCLE_KEYS = ("releaseCycle", "cycle", "name")
_END_KEYS = ("eol", "eolFrom")
_EXTENDED_KEYS = ("eoes", "extendedSupport", "eoesFrom")

_FRONT_MATTER = re.compile(r"-?\s*([A-Za-z]+):\s*[\"']?([^\"'#\n]*)")


def product(name: str, cycles: Json, as_of: str) -> Product:
    """One product of endoflife.date: its API (0 and 1) or front matter. Raises InputError."""
    if not isinstance(cycles, list):
        raise InputError(f"{name}: expected a list of releases")
    found = []
    for one in cycles:
        if not isinstance(one, dict):
            raise InputError(f"{name}: a release is no object")
        cycle = _first(one, _CYCLE_KEYS)
        if not isinstance(cycle, str | int | float) or isinstance(cycle, bool):
            raise InputError(f"{name}: a release has no name")
        found.append(_cycle(name, str(cycle), one))
    try:
        return Product(name=name, as_of=as_of, cycles=tuple(found))
    except ValueError as error:
        raise InputError(f"{name}: {error}") from None


def _cycle(product: str, name: str, one: Mapping[str, Json]) -> Cycle:
    end, extended = _day(_first(one, _END_KEYS)), _day(_first(one, _EXTENDED_KEYS))
    if product in FREE_EXTENSION and extended is not None:
        end, extended = extended, None
    if extended == end:
        extended = None
    try:
        return Cycle(
            cycle=name, released=_day(one.get("releaseDate")), end=end, extended_end=extended
        )
    except ValueError as error:
        raise InputError(f"{product} {name}: {error}") from None


def _first(one: Mapping[str, Json], keys: Iterable[str]) -> Json:
    return next((one[key] for key in keys if one.get(key) is not None), None)


def _day(value: Json) -> str | None:
    """A date; true and false say only that it has ended, or not, and name no day."""
    return value if isinstance(value, str) and value else None


def front_matter(text: str) -> list[dict[str, str]]:
    """The releases of a product page (products/NAME.md): the few keys used, one a line."""
    found: list[dict[str, str]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("releases:"):
            inside = True
        elif inside and line.startswith("---"):
            break
        elif inside:
            match = _FRONT_MATTER.match(line.strip())
            if match is None:
                continue
            if match[1] == "releaseCycle":
                found.append({})
            if found and match[2].strip() not in ("", "true", "false"):
                found[-1].setdefault(match[1], match[2].strip())
    return found


SUBJECT = re.compile(
    r"\bmm[:/]|memcg|memory cgroup|mem_cgroup|hugetlb|huge_memory|\bthp\b|swap|zram|\bslu?b\b|"
    r"\bksm\b|shmem|mremap|userfaultfd|\buffd\b|vmscan|page_alloc|oom[ -]kill|\boom\b",
    re.IGNORECASE,
)
"""Titles of faults that are about memory management."""

TOPICS = (
    (re.compile(r"\bi915\b"), ("module:i915",)),
    (re.compile(r"hugetlb", re.IGNORECASE), ("huge-pages",)),
    (re.compile(r"zswap", re.IGNORECASE), ("zswap",)),
    (re.compile(r"zram", re.IGNORECASE), ("zram",)),
    (re.compile(r"memcg|mem_?cgroup|memory cgroup", re.IGNORECASE), ("memory-limits",)),
    (re.compile(r"userfaultfd|uffd", re.IGNORECASE), ("userfaultfd",)),
    (re.compile(r"\bksm\b", re.IGNORECASE), ("ksm",)),
    (re.compile(r"huge_memory|\bthp\b|khugepaged", re.IGNORECASE), ("transparent-huge-pages",)),
    (re.compile(r"\bdax\b", re.IGNORECASE), ("dax",)),
    (re.compile(r"memory-failure|hwpoison", re.IGNORECASE), ("module:hwpoison_inject",)),
    (re.compile(r"vhost_net", re.IGNORECASE), ("module:vhost_net",)),
    (re.compile(r"\bvfio\b", re.IGNORECASE), ("module:vfio_iommu_type1", "module:vfio_pci")),
    (re.compile(r"\bipmi\b", re.IGNORECASE), ("module:ipmi_msghandler", "module:ipmi_si")),
)
"""What a title says a fault needs, for one that nobody has looked at yet. None = everywhere."""

_ECOSYSTEM = re.compile(r"AlmaLinux:(\d+)")
_TITLE = re.compile(r"(?:\*\s*+)?(.+)\((CVE-\d{4}-\d{4,7})\)")


def alma(document: Json) -> tuple[Advisory, list[Flaw]] | None:
    """One advisory of AlmaLinux's OSV database with its faults of memory management.

    None where it is not about the kernel. Raises InputError for another form.
    """
    try:
        fixed = [
            (int(match[1]), event["fixed"])
            for affected in document["affected"]
            if affected["package"]["name"] == "kernel"
            and (match := _ECOSYSTEM.fullmatch(affected["package"]["ecosystem"]))
            for ranged in affected["ranges"]
            for event in ranged["events"]
            if "fixed" in event
        ]
        if not fixed:
            return None
        flaws = [
            Flaw(cve=cve, title=_short(title), needs=_needs(title))
            for title, cve in _titles(str(document.get("details", "")))
            if SUBJECT.search(title)
        ]
        el, package = fixed[0]
        advisory = Advisory(
            el=el,
            id=document["id"],
            date=document["published"][:10],
            fixed=package,
            cves=tuple(sorted({flaw.cve for flaw in flaws})),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        name = document.get("id") if isinstance(document, dict) else None
        raise InputError(f"{name or 'a document'} is no OSV advisory: {error!r}") from None
    return advisory, flaws


def _titles(details: str) -> Iterator[tuple[str, str]]:
    """Each fault and its number, of the lines ` * kernel: what is wrong (CVE-...)`, once."""
    lines = dict.fromkeys(line.strip() for line in details.splitlines())
    for match in map(_TITLE.fullmatch, lines):
        if match is not None:
            yield match[1].strip(), match[2]


_PRODUCT = re.compile(r"Red Hat Enterprise Linux (\d+)(\.\d+)?(?: .*)?")
_KERNEL = re.compile(r"kernel-\d+:(\S+)")


def red_hat(document: Json) -> tuple[list[Advisory], Flaw]:
    """One CVE of Red Hat's security data: its kernel packages, the paid streams' among them.

    Raises InputError for another form, and where it names no kernel.
    """
    try:
        cve = document["name"]
        title = _short(document["bugzilla"]["description"])
        title = re.sub(r"^(?:CVE-[\d-]+\s*)?(?:[Kk]ernel:\s*)*", "", title)
        vector = str((document.get("cvss3") or {}).get("cvss3_scoring_vector") or "")
        needs = _needs(title)
        flaw = Flaw(cve=cve, title=title, needs=needs, remote_panic=not needs and _remote(vector))
        released = document.get("affected_release") or []
        found = [
            Advisory(
                el=int(product[1]),
                id=one["advisory"],
                date=one["release_date"][:10],
                fixed=package[1],
                cves=(cve,),
                stream=f"{product[1]}{product[2]}" if product[2] else None,
            )
            # Where there is one only, some answers hold it without a list.
            for one in ([released] if isinstance(released, dict) else released)
            if (product := _PRODUCT.fullmatch(one["product_name"]))
            and int(product[1]) >= FIRST_MAJOR
            and (package := _KERNEL.fullmatch(one.get("package") or ""))
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"this is no CVE of Red Hat's security data: {error!r}") from None
    if not found:
        raise InputError(
            f"{cve} names no kernel package of Enterprise Linux {FIRST_MAJOR} or newer"
        )
    return found, flaw


def _remote(vector: str) -> bool:
    """Whether anybody on the network takes the host down, by its CVSS 3 vector."""
    parts = set(vector.split("/"))
    return {"AV:N", "PR:N", "UI:N", "A:H"} <= parts


def _needs(title: str) -> tuple[str, ...]:
    return next((needs for pattern, needs in TOPICS if pattern.search(title)), ())


def _short(title: str) -> str:
    # Some titles were escaped twice on their way.
    plain = html.unescape(html.unescape(title)).removeprefix("kernel: ")
    return "".join(c if c.isprintable() else " " for c in plain).strip()[:LONGEST_TEXT]


def products_of(document: Any) -> dict[str, Json] | None:
    """The products in an answer of endoflife.date: API 1, or several under their names."""
    if not isinstance(document, dict):
        return None
    result = document.get("result")
    if isinstance(result, dict) and isinstance(result.get("releases"), list):
        return {str(result.get("name")): result["releases"]}
    if document and all(isinstance(value, list) for value in document.values()):
        return document
    return None

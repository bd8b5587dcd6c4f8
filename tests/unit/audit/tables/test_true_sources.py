"""What others publish, in copies of the real files (tests/data/audit/sources/PROVENANCE)."""

import json
import shutil
from pathlib import Path

import pytest

from forestall.audit.tables import shipped
from forestall.audit.tables.fetch import read
from forestall.audit.tables.nouns import day
from forestall.audit.tables.refresh import refreshed
from forestall.audit.tables.sources import alma, red_hat

SOURCES = Path(__file__).parents[3] / "data" / "audit" / "sources"
AT = day("2026-11-26")


def document(name):
    return json.loads((SOURCES / name).read_text())


def test_an_advisory_of_almalinux():
    """Package, day and the one fault of memory of nine; GFP_ATOMIC below the fixes is none."""
    advisory, flaws = alma(document("advisories/ALSA-2026-57253.json"))
    (row,) = [one for one in shipped().advisories.advisories if one.id == "ALSA-2026:57253"]
    assert advisory == row
    assert [(one.cve, one.needs) for one in flaws] == [
        ("CVE-2026-53189", ("transparent-huge-pages",))
    ]
    assert flaws[0].title == "mm/huge_memory: update file PMD counter before folio_put()"


def test_an_advisory_without_a_fault_of_memory():
    """An update all the same: its day and package count, and no fault is made of it."""
    advisory, flaws = alma(document("advisories/ALSA-2026-71232.json"))
    assert (advisory.el, advisory.date, advisory.fixed, advisory.cves) == (
        *(9, "2026-09-24", "5.14.0-687.51.1.el9_8"),
        (),
    )
    assert flaws == []


def test_a_checkout_with_these_two(tmp_path):
    """By the names that the database gives them, which no file of ours can have everywhere."""
    for number, el in ((57253, 8), (71232, 9)):
        folder = tmp_path / "osv-database" / "advisories" / f"almalinux{el}"
        folder.mkdir(parents=True)
        shutil.copy(
            SOURCES / "advisories" / f"ALSA-2026-{number}.json", folder / f"ALSA-2026:{number}.json"
        )
    found = refreshed(read(str(tmp_path / "osv-database"), AT), shipped(), AT)
    assert found.tables.bundle.advisories.advisories == shipped().advisories.advisories
    assert found.tables.covered_until(9) == shipped().covered_until(9)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("CVE-2021-20265", [(7, "RHSA-2021:0856", "3.10.0-1160.21.1.el7", None)]),
        (
            "CVE-2022-42703",
            [
                (7, "RHSA-2023:1091", "3.10.0-1160.88.1.el7", None),
                (8, "RHSA-2023:2951", "4.18.0-477.10.1.el8_8", None),
                (8, "RHSA-2023:3388", "4.18.0-372.57.1.el8_6", "8.6"),
                (9, "RHSA-2023:2458", "5.14.0-284.11.1.el9_2", None),
            ],
        ),
    ],
)
def test_a_cve_of_red_hat(name, rows):
    """The kernel's packages alone, not the real-time kernel's, Virtualization's or those of 6."""
    found, flaw = red_hat(document(f"{name}.json"))
    assert [(one.el, one.id, one.fixed, one.stream) for one in found] == rows
    assert flaw.cve == name
    assert not flaw.remote_panic
    shipped_rows = {
        (one.el, one.id, one.fixed, one.stream, one.date)
        for one in shipped().advisories.advisories
        if name in one.cves
    }
    assert shipped_rows == {(one.el, one.id, one.fixed, one.stream, one.date) for one in found}


def test_titles_with_and_without_their_number():
    """Red Hat writes the CVE before some of them."""
    titles = [red_hat(document(f"{name}.json"))[1].title for name in _NAMES]
    assert titles == [
        "increase slab leak leads to DoS",
        "use-after-free related to leaf anon_vma double reuse",
    ]


_NAMES = ("CVE-2021-20265", "CVE-2022-42703")


def test_products_of_endoflife_date():
    """A comment after a day, one between the keys, a paid extension: as in the shipped table."""
    found = refreshed(read(str(SOURCES), AT), shipped(), AT, as_of="2026-10-01")
    assert found.changes == ()
    seven = shipped().cycle("cloudlinux", "7.9")
    assert (seven.end, seven.extended_end) == ("2024-06-30", "2027-06-30")
    assert shipped().cycle("scientific-linux", "7.9").end == "2024-06-30"

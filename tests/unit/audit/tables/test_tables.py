"""The shipped tables: whole, licensed, dated, and honest about their age."""

import dataclasses
import itertools
import re

import pytest

from forestall.audit.systems import PRODUCTS, system_of
from forestall.audit.tables import Tables, number_of, shipped
from forestall.audit.tables.nouns import Advisory, day, iso
from forestall.units import DAY


def test_each_table_says_where_it_comes_from():
    """A source, a licence that may be shipped, and a day."""
    for table in (shipped().life_cycles, shipped().releases, shipped().advisories):
        for origin in table.origins:
            assert re.match(r"MIT|Apache-2\.0|CC BY|facts", origin.licence)
            assert "2020-01-01" < origin.as_of < "2100-01-01"
            assert origin.source


def test_every_system_has_its_life_cycle():
    """Each product that a system is mapped to is in the table, with a cycle that is open."""
    names = {product.name: product for product in shipped().life_cycles.products}
    for name in {name for name, _ in PRODUCTS.values()} | {"centos-stream"}:
        ends = [cycle.end for cycle in names[name].cycles]
        assert len(ends) >= 3, name
    assert shipped().cycle("rhel", "7.6").extended_end == "2029-05-31"


@pytest.mark.parametrize(
    ("os_id", "version", "name", "product"),
    [
        ("rhel", "9.4", None, "rhel"),
        ("centos", "9", "CentOS Stream 9", "centos-stream"),
        ("centos", "7", "CentOS Linux 7 (Core)", "centos"),
        ("sles_sap", "15.5", None, "sles"),
        (None, None, "CentOS release 6.10 (Final)", "centos"),
        (None, None, "Scientific Linux release 6.10 (Carbon)", "scientific-linux"),
        (None, None, "CloudLinux release 8.10 (Vladimir Aksyonov)", "cloudlinux"),
        ("fedora", "43", "Fedora Linux 43 (Server Edition)", "fedora"),
        ("azurelinux", "3.0", "Microsoft Azure Linux 3.0", "azure-linux"),
        ("mariner", "2.0", "CBL-Mariner/Linux", "azure-linux"),
        ("nixos", "25.11", "NixOS 25.11 (Xantusia)", "nixos"),
        ("haiku", "1", None, None),
        (None, None, None, None),
    ],
)
def test_which_product_a_system_is(os_id, version, name, product):
    """By os-release, or by the line of /etc/redhat-release where there is none."""
    assert system_of(os_id, version, name).product == product


def test_versions_lead_to_their_cycle():
    """A point release belongs to its cycle, and a number is not a prefix of another."""
    tables = shipped()
    assert tables.cycle("rhel", "8.10").cycle == "8"
    assert tables.cycle("alpine-linux", "3.19.1").cycle == "3.19"
    assert tables.cycle("alpine-linux", "3.1.9") is None
    assert tables.cycle("ubuntu", "24.04").cycle == "24.04"
    assert tables.cycle("sles", "15.5").cycle == "15.5"
    assert tables.cycle("rhel", "10.1").cycle == "10"
    assert tables.cycle("rhel", "") is None
    assert tables.cycle("nothing", "1") is None


def test_minor_releases_are_in_order():
    """8.10 is after 8.9, each follows the one before, and a later one has a later build and day."""
    minors = [one for one in shipped().releases.minors if one.released is not None]
    for one, other in itertools.pairwise(minors):
        if number_of(one.name)[0] == number_of(other.name)[0]:
            assert number_of(one.name) < number_of(other.name)
            assert one.build < other.build
            assert one.released < other.released
            assert shipped().next_minor(one) == other
    assert shipped().last_minor(8, day("2030-01-01")).name == "8.10"
    assert shipped().last_minor(7, day("2019-01-01")).name == "7.6"
    assert shipped().last_minor(42, day("2030-01-01")) is None


def test_stale():
    """Advisories after 45 days, life cycles after half a year, a sentence each."""
    until = day("2026-09-14")
    fresh = " ".join(shipped().stale(until + 45 * DAY))
    old = " ".join(shipped().stale(until + 46 * DAY))
    assert "Enterprise Linux 9" not in fresh
    assert "The advisories of Enterprise Linux 9 end on 2026-09-14" in old
    assert "Enterprise Linux 7 end on 2020-09-29" in fresh
    half_a_year = " ".join(shipped().stale(day("2026-08-22") + 181 * DAY))
    assert "rhel" in half_a_year
    assert "rhel" not in " ".join(shipped().stale(day("2026-08-22") + 180 * DAY))


def test_days():
    """A day is its first second, UTC, and back."""
    assert day("2000-01-02") == 946_771_200.0
    assert iso(day("2024-02-29") + DAY - 1) == "2024-02-29"
    for text in ("2024-02-30", "2024-2-1", "20240201", "2024-W01-1", "", "1899-01-01"):
        with pytest.raises(ValueError):
            day(text)


@pytest.mark.parametrize(
    "change",
    [
        {"fixed": "5.14.0-427.el8"},
        {"fixed": "kernel"},
        {"id": "x"},
        {"date": "soon"},
        {"stream": "EUS"},
        {"cves": ("CVE-1",)},
        {"since": "1"},
    ],
)
def test_an_advisory_is_checked(change):
    """A package of another major, or what is no package, advisory, day, stream or CVE."""
    good = Advisory(el=9, id="ALSA-2024:0001", date="2024-01-01", fixed="5.14.0-427.1.1.el9_4")
    with pytest.raises(ValueError):
        dataclasses.replace(good, **change)


def test_an_advisory_names_faults_of_the_table_only():
    """A reference into nowhere is refused."""
    table = shipped().advisories
    with pytest.raises(ValueError, match="not in the table"):
        dataclasses.replace(table, flaws=table.flaws[1:])
    with pytest.raises(ValueError, match="there twice"):
        dataclasses.replace(table, flaws=(*table.flaws, table.flaws[0]))
    with pytest.raises(ValueError, match="no source"):
        dataclasses.replace(table, origins=())


def test_tables_of_nothing():
    """Empty tables answer every question with not known."""
    ours = shipped()
    empty = Tables(
        dataclasses.replace(ours.life_cycles, products=()),
        dataclasses.replace(ours.releases, minors=(), closed=()),
        dataclasses.replace(ours.advisories, advisories=(), flaws=(), coverage=()),
    )
    assert empty.cycle("rhel", "7") is None
    assert empty.fixes(7, "3.10.0") == {}
    assert empty.updates(9, "5.14.0") == []
    assert empty.covered_until(9) is None
    assert empty.stale(day("2026-09-01")) == ()

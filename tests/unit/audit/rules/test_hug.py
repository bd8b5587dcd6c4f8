"""HUG-001 and HUG-002: too few huge pages for PostgreSQL, and too many for anybody."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy
from tests.fakes.postures import FAIL, NOT_APPLICABLE, PASS, UNKNOWN, database, found, state

from forestall.audit.rules import hug001_no_huge_pages, hug002_idle_huge_pages
from forestall.model.facts import PostgresFacts

NONE, IDLE = hug001_no_huge_pages.RULE, hug002_idle_huge_pages.RULE
MIB = 1024**2


def postgres(buffers, pages=0, page=2 * MIB, complete=True, huge_pages=None):
    """A PostgreSQL host with so much of shared_buffers and so many huge pages."""
    server = PostgresFacts(shared_buffers_bytes=buffers, complete=complete, huge_pages=huge_pages)
    return database(postgres=(server,), hugepages_total=pages, hugepage_bytes=page)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (postgres(8 * GIB - 1), NOT_APPLICABLE),
        (postgres(None), NOT_APPLICABLE),
        (postgres(None, complete=False), UNKNOWN),
        (postgres(GIB, complete=False), UNKNOWN),
        (postgres(8 * GIB), FAIL),
        (postgres(8 * GIB, pages=4095), FAIL),
        (postgres(8 * GIB, pages=4096), PASS),
        (postgres(8 * GIB, pages=4095, page=None), FAIL),
        (postgres(8 * GIB, pages=4096, page=None), PASS),
        (postgres(8 * GIB, pages=8, page=GIB), PASS),
        (postgres(8 * GIB, pages=4200, huge_pages="on"), PASS),
        (postgres(8 * GIB, pages=4200, huge_pages="off"), FAIL),
        (postgres(8 * GIB, pages=None), UNKNOWN),
        (database(postgres=None), UNKNOWN),
        (database(postgres=()), UNKNOWN),
        (database("mysqld"), NOT_APPLICABLE),
        (healthy(), NOT_APPLICABLE),
        (healthy(databases=None), UNKNOWN),
        (replace(postgres(8 * GIB), container="docker"), NOT_APPLICABLE),
    ],
)
def test_large_shared_buffers(facts, expected):
    """From 8 GiB on, and only huge pages for all of it count: with fewer none are used."""
    assert state(NONE, facts) is expected


def test_the_largest_server_counts_and_the_number_is_given():
    """Of two servers the larger is judged; 16 GiB need some 8,600 pages of 2 MiB."""
    facts = postgres(16 * GIB)
    both = replace(facts, postgres=(PostgresFacts(complete=True), *facts.postgres))
    told = found(NONE, both)
    assert told.observed[0].pointer == "/postgres/1/shared_buffers_bytes"
    assert "vm.nr_hugepages=8602" in told.remedy
    assert "there are no huge pages" in told.text


def test_too_few_huge_pages_are_told():
    """How much there is stands beside how much is mapped."""
    told = found(NONE, postgres(8 * GIB, pages=1024))
    assert "8.0 GiB of shared_buffers in small pages, and there are 2.0 GiB of huge" in told.text


def test_pages_of_another_size_are_not_in_the_counters():
    """200 GiB of 1 GiB pages beside an empty default pool: neither none nor idle is known."""
    facts = replace(postgres(64 * GIB, huge_pages="on"), hugetlb_bytes=200 * GIB, hugepages_free=0)
    assert state(NONE, facts) is UNKNOWN
    told = found(IDLE, facts)
    assert told.state is UNKNOWN
    assert "200 GiB is reserved as huge pages of another size" in told.text
    few = replace(facts, hugetlb_bytes=32 * GIB)
    assert state(NONE, few) is FAIL
    used = replace(facts, hugepages_total=1000, hugepages_reserved=0)
    assert state(IDLE, used) is UNKNOWN
    assert state(IDLE, replace(used, hugetlb_bytes=2000 * MIB)) is PASS
    assert state(IDLE, replace(used, hugepages_free=900)) is FAIL


def test_of_two_servers_one_was_not_read():
    """The other may be the large one."""
    facts = postgres(GIB)
    both = replace(facts, postgres=(*facts.postgres, PostgresFacts(complete=False)))
    assert state(NONE, both) is UNKNOWN


@pytest.mark.parametrize(
    ("total", "free", "reserved", "expected"),
    [
        (0, 0, 0, NOT_APPLICABLE),
        (None, None, None, UNKNOWN),
        (1000, None, 0, UNKNOWN),
        (None, 900, 0, UNKNOWN),
        (1000, 200, 0, PASS),
        (1000, 200, None, PASS),
        (1000, 201, 0, FAIL),
        (1000, 1000, 0, FAIL),
        (1000, 900, 850, PASS),
        (1000, 900, 700, PASS),
        (1000, 900, 699, FAIL),
        (1000, 900, 650, FAIL),
        (1000, 150, None, PASS),
    ],
)
def test_idle_huge_pages(total, free, reserved, expected):
    """A fifth may lie idle; what a database was promised is not idle though it counts as free."""
    facts = database(
        hugepages_total=total,
        hugepages_free=free,
        hugepages_reserved=reserved,
        hugepage_bytes=2 * MIB,
    )
    assert state(IDLE, facts) is expected


def test_idle_huge_pages_where_promises_were_not_read():
    """They may be promised to whoever asked: a database, or a Java that nobody listed."""
    pages = {"hugepages_total": 1000, "hugepages_free": 900, "hugepage_bytes": 2 * MIB}
    assert state(IDLE, database(**pages)) is UNKNOWN
    assert state(IDLE, healthy(databases=None, **pages)) is UNKNOWN
    assert state(IDLE, healthy(**pages)) is UNKNOWN
    pages["hugepages_reserved"] = 0
    told = found(IDLE, healthy(**pages))
    assert told.state is FAIL
    assert "1.8 GiB of memory lies idle" in told.text
    assert "vm.nr_hugepages=100," in told.remedy
    large = found(
        IDLE,
        healthy(**{**pages, "hugepages_total": 10, "hugepages_free": 10, "hugepage_bytes": GIB}),
    )
    assert "10 GiB of memory lies idle" in large.text
    assert state(IDLE, healthy(container="docker", **pages)) is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("name", "expected"), [("mysqld", UNKNOWN), ("ora_pmon_DB", UNKNOWN), ("mongod", UNKNOWN)]
)
def test_databases_that_ask_for_huge_pages_by_name(name, expected):
    """How many of the free ones were promised was not read."""
    pages = {"hugepages_total": 1000, "hugepages_free": 900, "hugepages_reserved": None}
    assert state(IDLE, database(name, **pages)) is expected


def test_the_size_of_a_huge_page_where_it_was_not_read():
    """2 MiB, as on every x86."""
    told = found(
        IDLE,
        healthy(
            hugepages_total=1024, hugepages_free=1024, hugepages_reserved=0, hugepage_bytes=None
        ),
    )
    assert told.text.startswith("2.0 GiB of memory lies idle")
    assert "1024 of 1024" in told.text

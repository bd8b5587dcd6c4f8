"""THP-001: each vendor's wish, and hosts without one."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy
from tests.fakes.postures import FAIL, NOT_APPLICABLE, PASS, UNKNOWN, database, found, memory, state

from forestall.audit.rules.thp001_huge_pages import RULE


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("postgres", "never", PASS),
        ("postgres", "madvise", PASS),
        ("postgres", "always", FAIL),
        ("postgres", "always [madvise] never", PASS),
        ("postgres", "[always] madvise never", FAIL),
        ("ora_pmon_ORCL", "never", PASS),
        ("ora_pmon_ORCL", "always", FAIL),
        ("redis-server", "madvise", PASS),
        ("valkey-server", "always", FAIL),
        ("sqlservr", "always", PASS),
        ("sqlservr", "never", FAIL),
        ("sqlservr", "madvise", PASS),
        ("mongod", "always", NOT_APPLICABLE),
        ("mongod", "never", NOT_APPLICABLE),
        ("mysqld", "always", NOT_APPLICABLE),
        ("postgres", None, UNKNOWN),
        ("postgres", "", UNKNOWN),
    ],
)
def test_by_vendor(name, value, expected):
    """PostgreSQL, Oracle, Redis against always; SQL Server for it; MongoDB changed its mind."""
    assert state(RULE, replace(database(name), transparent_hugepage=value)) is expected


def test_remedy_is_the_vendors():
    """SQL Server's remedy turns them on, and each can be undone."""
    told = found(RULE, replace(database("sqlservr"), transparent_hugepage="never"))
    assert "echo always" in told.remedy
    assert "echo never" in told.undo
    assert "mssql" in told.reference


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(), NOT_APPLICABLE),
        (healthy(databases=None), UNKNOWN),
        (database(container="docker"), NOT_APPLICABLE),
        (database(rss=GIB // 2), NOT_APPLICABLE),
    ],
)
def test_other_hosts(facts, expected):
    """A small database is no reason to change a setting of the whole host."""
    assert state(RULE, replace(facts, transparent_hugepage="always")) is expected
    assert state(RULE, healthy(), roles=frozenset({"db"})) is NOT_APPLICABLE


def test_a_host_whose_memory_was_not_read():
    """Whether the database is what the host is there for cannot be told; it is never fine."""
    facts = memory(replace(database(), transparent_hugepage="always"), mem_total_bytes=None)
    assert state(RULE, facts) is UNKNOWN
    assert state(RULE, replace(database(), transparent_hugepage="always [] never")) is UNKNOWN


def test_what_is_told_is_the_vendors():
    """Each value that the vendor allows, and the one to set."""
    told = found(RULE, replace(database(), transparent_hugepage="[always] madvise never"))
    assert told.text.startswith("Transparent huge pages are `always` beside PostgreSQL, which asks")
    assert told.expected == "transparent huge pages never or madvise"
    assert told.remedy.startswith("echo never > ")
    unread = found(RULE, replace(database(), transparent_hugepage=None))
    assert unread.text.endswith("/enabled was not read.")

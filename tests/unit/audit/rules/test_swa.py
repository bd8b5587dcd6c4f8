"""SWA-001: the range of each vendor, and hosts that it says nothing about."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    database,
    found,
    memory,
    state,
    sysctls,
)

from forestall.audit.rules.swa001_swappiness import RULE
from forestall.model.facts import SwapDevice
from forestall.model.finding import Severity


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("postgres", "1", PASS),
        ("postgres", "10", PASS),
        ("postgres", "11", FAIL),
        ("postgres", "30", FAIL),
        ("postgres", "60", FAIL),
        ("postmaster", "3", PASS),
        ("ora_pmon_ORCL", "10", PASS),
        ("ora_pmon_ORCL", "60", FAIL),
        ("sqlservr", "1", PASS),
        ("sqlservr", "2", FAIL),
        ("mongod", "0", PASS),
        ("mysqld", "1", PASS),
        ("redis-server", "60", NOT_APPLICABLE),
        ("postgres", None, UNKNOWN),
        ("postgres", "rubbish", UNKNOWN),
    ],
)
def test_range_by_vendor(name, value, expected):
    """Each vendor's own range, and none where a vendor gives no advice."""
    assert state(RULE, sysctls(database(name), vm__swappiness=value)) is expected


def test_zero_is_another_matter():
    """0 is no lower 1: it is a note, with its own reason."""
    told = found(RULE, sysctls(database(), vm__swappiness="0"))
    assert (told.state, told.severity) == (FAIL, Severity.LOW)
    assert "until the OOM killer is near" in told.text
    assert "vm.swappiness=3" in told.remedy
    assert "vm.swappiness=0" in told.undo


def test_the_vendors_range_is_told():
    """One value for SQL Server, a range for PostgreSQL."""
    wanted = {
        name: found(RULE, sysctls(database(name), vm__swappiness="60")).expected
        for name in ("sqlservr", "postgres")
    }
    assert wanted == {"sqlservr": "vm.swappiness=1", "postgres": "vm.swappiness=1 to 10"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(), NOT_APPLICABLE),
        (healthy(databases=None), UNKNOWN),
        (database(container="docker"), NOT_APPLICABLE),
        (database(rss=GIB // 2), NOT_APPLICABLE),
        (memory(database(), swap_total_bytes=0), NOT_APPLICABLE),
    ],
)
def test_general_hosts_keep_the_default(facts, expected):
    """60 is right for a host of many programs, and without swap it decides nothing."""
    assert state(RULE, sysctls(facts, vm__swappiness="60")) is expected


def test_zram_alone_wants_to_be_used():
    """On zram a high value makes sense, so it is not judged."""
    zram = SwapDevice(name="/dev/zram0", kind="zram", size_bytes=8 * GIB, used_bytes=0)
    facts = memory(replace(database(), swaps=(zram,)), swap_total_bytes=8 * GIB)
    assert state(RULE, sysctls(facts, vm__swappiness="180")) is NOT_APPLICABLE


def test_role_without_a_database_in_sight():
    """A host called db that runs none has nothing to fit the setting to."""
    assert state(RULE, healthy(), roles=frozenset({"db"})) is NOT_APPLICABLE


def test_a_host_whose_memory_was_not_read():
    """Whether the database is what the host is there for cannot be told; it is never fine."""
    facts = sysctls(memory(database(), mem_total_bytes=None), vm__swappiness="60")
    assert state(RULE, facts) is UNKNOWN


def test_what_is_told_of_a_value_too_high():
    """The vendor's range, its reference, and the value to go back to."""
    told = found(RULE, sysctls(database(), vm__swappiness="60"))
    assert told.severity is Severity.MEDIUM
    assert told.text == "vm.swappiness=60 beside PostgreSQL: its vendor wants 1 to 10."
    assert "vm.swappiness=60" in told.undo

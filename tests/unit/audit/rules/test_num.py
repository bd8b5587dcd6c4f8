"""NUM-001: zone reclaim matters with several nodes and a database."""

from dataclasses import replace

import pytest
from tests.fakes.facts import healthy
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    database,
    found,
    state,
    sysctls,
)

from forestall.audit.rules.num001_zone_reclaim import RULE


@pytest.mark.parametrize(
    ("nodes", "value", "expected"),
    [
        (2, "0", PASS),
        (2, "1", FAIL),
        (8, "7", FAIL),
        (1, "1", NOT_APPLICABLE),
        (1, None, NOT_APPLICABLE),
        (None, "0", PASS),
        (None, "1", UNKNOWN),
        (2, None, UNKNOWN),
    ],
)
def test_zone_reclaim(nodes, value, expected):
    """Any bit, from two nodes on."""
    facts = sysctls(database(numa_node_count=nodes), vm__zone_reclaim_mode=value)
    assert state(RULE, facts) is expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (healthy(), NOT_APPLICABLE),
        (healthy(databases=None), UNKNOWN),
        (database(container="docker"), NOT_APPLICABLE),
    ],
)
def test_zone_reclaim_is_about_databases(facts, expected):
    """Many small bound programs may want it."""
    facts = sysctls(replace(facts, numa_node_count=2), vm__zone_reclaim_mode="1")
    assert state(RULE, facts) is expected


def test_undo_is_the_old_value():
    """It was 3, so undoing gives 3."""
    told = found(RULE, sysctls(database(numa_node_count=2), vm__zone_reclaim_mode="3"))
    assert "vm.zone_reclaim_mode=3" in told.undo


def test_zero_is_fine_whatever_else_is_not_known():
    """Neither the role nor the number of nodes is asked for then."""
    facts = sysctls(healthy(databases=None, numa_node_count=None), vm__zone_reclaim_mode="0")
    assert state(RULE, facts) is PASS
    one_node = sysctls(database(numa_node_count=1, container="lxc"), vm__zone_reclaim_mode="0")
    assert state(RULE, one_node) is NOT_APPLICABLE

"""JRN-001: how much memory the journal may take."""

import pytest
from tests.fakes.facts import GIB, healthy
from tests.fakes.postures import FAIL, NOT_APPLICABLE, PASS, UNKNOWN, found, memory, state

from forestall.audit.rules.jrn001_journal_in_memory import FIELD, RULE


@pytest.mark.parametrize(
    ("size", "expected"),
    [(None, PASS), (0, PASS), (16 * GIB // 10, PASS), (16 * GIB // 10 + 1, FAIL)],
)
def test_share(size, expected):
    """Not set is the default, a tenth of /run; set by hand a tenth of memory is the most."""
    assert state(RULE, healthy(journal_runtime_max_bytes=size)) is expected


def test_infinity_is_not_set():
    """journald takes it for its default, so nobody is told of 16 million TiB."""
    assert state(RULE, healthy(journal_runtime_max_bytes=2**64 - 1)) is PASS


def test_exactly_a_tenth_is_fine():
    """1 GiB of 10."""
    facts = memory(healthy(journal_runtime_max_bytes=GIB), mem_total_bytes=10 * GIB)
    assert state(RULE, facts) is PASS


def test_unread_is_not_unset():
    """Settings that could not be read, or no systemd in sight, are unknown."""
    assert state(RULE, healthy(unseen={FIELD: "needs root"})) is UNKNOWN
    assert state(RULE, healthy(systemd_version=None)) is UNKNOWN
    facts = healthy(journal_runtime_max_bytes=GIB)
    assert state(RULE, memory(facts, mem_total_bytes=None)) is UNKNOWN
    assert state(RULE, healthy(container="lxc")) is NOT_APPLICABLE


def test_optional_and_named():
    """It runs when it is asked for."""
    assert RULE.optional
    assert "4.0 GiB of 16 GiB" in found(RULE, healthy(journal_runtime_max_bytes=4 * GIB)).text

"""MIN-001: between what the kernel chooses itself and a twentieth of memory."""

import pytest
from tests.fakes.facts import GIB, healthy
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    found,
    memory,
    state,
    sysctls,
)

from forestall.audit.rules.min001_min_free import RULE


@pytest.mark.parametrize(
    ("total", "kilobytes", "expected"),
    [
        (16 * GIB, "16384", PASS),
        (16 * GIB, "12288", PASS),
        (16 * GIB, "12287", FAIL),
        (16 * GIB, "67584", PASS),
        (16 * GIB, "524288", PASS),
        (16 * GIB, "838860", PASS),
        (16 * GIB, "838861", FAIL),
        (20 * GIB, "1048576", PASS),
        (20 * GIB, "1048577", FAIL),
        (32 * GIB, "1024", FAIL),
        (64 * GIB, "33000", PASS),
        (512 * GIB, "67584", PASS),
        (512 * GIB, "90112", PASS),
        (512 * GIB, "49151", FAIL),
        (512 * GIB, "49152", PASS),
        (GIB, "45056", PASS),
        (GIB, "67584", FAIL),
        (512 * 1024**2, "2896", PASS),
    ],
)
def test_range(total, kilobytes, expected):
    """The kernel's own choices pass at every size, with transparent huge pages and without."""
    facts = sysctls(memory(healthy(), mem_total_bytes=total), vm__min_free_kbytes=kilobytes)
    assert state(RULE, facts) is expected


def test_both_ends_say_what_comes_of_it():
    """Too little starves the kernel, too much the programs; the remedy is the kernel's choice."""
    little = found(RULE, sysctls(healthy(), vm__min_free_kbytes="1024"))
    assert "by itself it would keep 16 MiB" in little.text
    assert "vm.min_free_kbytes=16384" in little.remedy
    assert "vm.min_free_kbytes=1024" in little.undo
    much = found(RULE, sysctls(healthy(), vm__min_free_kbytes=str(2 * 1024**2)))
    assert "with memory free" in much.text


def test_unread_and_elsewhere():
    """Unread is unknown, a container's is the host's."""
    assert state(RULE, sysctls(healthy(), vm__min_free_kbytes=None)) is UNKNOWN
    facts = sysctls(healthy(), vm__min_free_kbytes="1024")
    assert state(RULE, memory(facts, mem_total_bytes=None)) is UNKNOWN
    assert state(RULE, sysctls(healthy(container="lxc"), vm__min_free_kbytes="1")) is NOT_APPLICABLE

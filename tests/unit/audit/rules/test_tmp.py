"""TMP-001: what the site's file systems in memory may grow to."""

import pytest
from tests.fakes.facts import GIB, healthy
from tests.fakes.postures import FAIL, NOT_APPLICABLE, PASS, UNKNOWN, found, memory, state

from forestall.audit.rules.tmp001_tmpfs import RULE
from forestall.model.facts import MountFacts


def tmpfs(path, size):
    return MountFacts(device="tmpfs", path=path, kind="tmpfs", size_bytes=size)


SYSTEM = (
    tmpfs("/dev/shm", 8 * GIB),
    tmpfs("/run", 3 * GIB),
    tmpfs("/run/user/1000", 2 * GIB),
    tmpfs("/run/lock", 5 * 1024**2),
    tmpfs("/sys/fs/cgroup", 8 * GIB),
)


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ((), PASS),
        (SYSTEM, PASS),
        ((*SYSTEM, tmpfs("/tmp", 8 * GIB)), PASS),
        ((*SYSTEM, tmpfs("/tmp", 8 * GIB), tmpfs("/srv/cache", 4096)), FAIL),
        ((tmpfs("/var/lib/kubelet/pods/x/volumes/token", 16 * GIB),), PASS),
        ((tmpfs("/srv/cache", None),), UNKNOWN),
        ((tmpfs("/srv/cache", None), tmpfs("/srv/x", 9 * GIB)), FAIL),
        ((tmpfs("/runner", 9 * GIB),), FAIL),
        (None, UNKNOWN),
    ],
)
def test_sum(mounts, expected):
    """systemd's own and those of pods are left out; half of memory is the site's to give."""
    assert state(RULE, healthy(mounts=mounts)) is expected


def test_optional_named_and_not_for_containers():
    """It runs when it is asked for; it names what it counted."""
    assert RULE.optional
    facts = healthy(mounts=(tmpfs("/srv/cache", 12 * GIB),))
    assert "12 GiB of 16 GiB: /srv/cache" in found(RULE, facts).text
    assert state(RULE, memory(facts, mem_total_bytes=None)) is UNKNOWN
    assert state(RULE, healthy(mounts=facts.mounts, container="docker")) is NOT_APPLICABLE

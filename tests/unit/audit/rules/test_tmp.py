"""TMP-001: what the site's file systems in memory may grow to."""

from dataclasses import replace

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


@pytest.mark.parametrize(
    "path",
    [
        "/run", "/dev", "/sys/x", "/proc/acpi", "/var/run", "/var/lock/x", "/var/lib/kubelet/x",
        "/var/lib/containers/x", "/var/lib/docker/x", "/var/snap/x",
    ],
)  # fmt: skip
def test_not_the_sites_own(path):
    """What systemd and runtimes of containers mount is on every host."""
    assert state(RULE, healthy(mounts=(tmpfs(path, 16 * GIB),))) is PASS


def test_what_is_counted_is_named():
    """Three by name, eight as evidence, and disks not at all."""
    many = tuple(tmpfs(f"/srv/{n}", GIB) for n in range(12))
    told = found(RULE, healthy(mounts=(replace(tmpfs("/", GIB), kind="xfs"), *many)))
    assert told.text.endswith("12 GiB of 16 GiB: /srv/0, /srv/1, /srv/2 and more.")
    assert told.observed[0].pointer == "/mounts/1/size_bytes"
    assert len(told.observed) == 9
    three = found(RULE, healthy(mounts=tuple(tmpfs(f"/srv/{n}", 3 * GIB) for n in range(3))))
    assert three.text.endswith("/srv/0, /srv/1, /srv/2.")
    four = found(RULE, healthy(mounts=tuple(tmpfs(f"/srv/{n}", 3 * GIB) for n in range(4))))
    assert four.text.endswith("/srv/2 and more.")
    unread = found(RULE, healthy(mounts=tuple(tmpfs(f"/srv/{n}", None) for n in range(4))))
    assert unread.text == "How large /srv/0, /srv/1, /srv/2 may grow was not read."

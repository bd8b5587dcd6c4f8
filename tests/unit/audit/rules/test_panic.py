"""PAN and KDP, each on both sides of its threshold."""

import pytest
from tests.fakes.facts import healthy, seed_like, with_sysctls

from forestall.audit.rules import panic
from forestall.model.finding import FindingState, Severity


@pytest.mark.parametrize(
    ("value", "severity", "state"),
    [
        ("1", Severity.CRITICAL, FindingState.FAIL),
        ("2", Severity.CRITICAL, FindingState.FAIL),
        (None, Severity.HIGH, FindingState.UNKNOWN),
    ],
)
def test_panic_on_oom(value, severity, state):
    """1 and 2 panic; unread is unknown; both are found."""
    found = panic.panic_on_oom(with_sysctls(healthy(), vm__panic_on_oom=value))
    assert found is not None
    assert (found.rule, found.severity, found.state) == ("PAN-001", severity, state)


def test_panic_on_oom_of_a_container_is_the_hosts():
    """From inside a container the setting cannot be changed, and the remedy says where to."""
    found = panic.panic_on_oom(seed_like(container="docker"))
    assert found is not None
    assert found.remedy.startswith("on the host, not in this container")


def test_panic_on_oom_0_is_fine():
    """The kernel's default is what is wanted."""
    assert panic.panic_on_oom(healthy()) is None


def test_staying_down_is_grave_only_where_a_panic_is_expected():
    """kernel.panic=0 is the kernel's default: a note, unless exhaustion ends in a panic."""
    calm = with_sysctls(healthy(crash_kernel_loaded=False), kernel__panic="0")
    found = panic.stays_down(calm)
    assert found is not None
    assert found.severity is Severity.LOW
    grave = panic.stays_down(seed_like())
    assert grave is not None
    assert grave.severity is Severity.HIGH


@pytest.mark.parametrize(
    "facts",
    [
        with_sysctls(seed_like(), kernel__panic="10"),
        with_sysctls(seed_like(), kernel__panic=None),
        seed_like(crash_kernel_loaded=True),
        seed_like(container="docker"),
    ],
)
def test_staying_down_does_not_apply(facts):
    """Not where it reboots, is unread, kdump takes over, or a container cannot tell."""
    assert panic.stays_down(facts) is None


def test_other_panics_are_named():
    """Each setting that panics is named with its value, where no dump would explain it."""
    facts = with_sysctls(
        seed_like(),
        kernel__panic_on_oops="1",
        kernel__softlockup_panic="1",
        kernel__hung_task_panic="0",
    )
    found = panic.other_panics(facts)
    assert found is not None
    assert "kernel.panic_on_oops=1, kernel.softlockup_panic=1" in found.text
    assert "hung_task" not in found.text
    assert panic.other_panics(with_sysctls(healthy(), kernel__panic_on_oops="1")) is None


def test_allocating_task():
    """1 kills the innocent; 0 and unread are no finding."""
    found = panic.allocating_task(with_sysctls(seed_like(), vm__oom_kill_allocating_task="1"))
    assert found is not None
    assert "the database is as likely as any other" in found.text
    assert panic.allocating_task(healthy()) is None
    assert panic.allocating_task(with_sysctls(healthy(), vm__oom_kill_allocating_task=None)) is None


@pytest.mark.parametrize(("armed", "expected"), [(False, "KDP-001"), (True, None), (None, None)])
def test_kdump(armed, expected):
    """Not armed is found; a kernel that cannot tell is not accused."""
    found = panic.kdump_not_armed(seed_like(crash_kernel_loaded=armed))
    assert (found.rule if found else None) == expected

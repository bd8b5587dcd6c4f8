"""PAN-001 to PAN-004: what panics, whether it comes back, and who is killed."""

from dataclasses import replace

import pytest
from tests.fakes.facts import healthy, seed_like
from tests.fakes.postures import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    UNKNOWN,
    found,
    state,
    sysctls,
)

from forestall.audit.rules import (
    pan001_panic_on_oom,
    pan002_stays_down,
    pan003_other_panics,
    pan004_allocating_task,
)
from forestall.model.facts import KdumpFacts
from forestall.model.finding import Severity

PANIC, DOWN = pan001_panic_on_oom.RULE, pan002_stays_down.RULE
OTHER, ASKS = pan003_other_panics.RULE, pan004_allocating_task.RULE


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", PASS), ("1", FAIL), ("2", FAIL), (None, UNKNOWN), ("rubbish", UNKNOWN)],
)
def test_panic_on_oom(value, expected):
    """1 and 2 panic; unread is unknown, never fine."""
    told = found(PANIC, sysctls(healthy(), vm__panic_on_oom=value))
    assert (told.state, told.severity) == (expected, Severity.CRITICAL)


def test_panic_on_oom_of_a_container_is_the_hosts():
    """From inside a container the setting cannot be changed, and the remedy says where to."""
    told = found(PANIC, seed_like(container="docker"))
    assert told.remedy.startswith("on the host, not in this container")
    assert found(PANIC, seed_like()).remedy == PANIC.remedy
    assert found(PANIC, sysctls(seed_like(), vm__panic_on_oom="2")).undo.startswith(
        "sysctl -w vm.panic_on_oom=2"
    )


@pytest.mark.parametrize(
    ("panic", "armed", "action", "expected"),
    [
        ("0", False, None, FAIL),
        ("0", True, None, UNKNOWN),
        ("10", None, None, UNKNOWN),
        ("0", True, "reboot", PASS),
        ("0", True, "halt", FAIL),
        ("10", True, "poweroff", FAIL),
        ("10", True, "shell", FAIL),
        ("10", None, "poweroff", UNKNOWN),
        ("0", None, None, UNKNOWN),
        ("0", None, "reboot", UNKNOWN),
        ("10", False, "poweroff", PASS),
        ("10", False, None, PASS),
        ("-1", False, None, PASS),
        ("60", False, None, PASS),
        ("61", False, None, FAIL),
        ("86400", True, "reboot", PASS),
        ("86400", None, None, UNKNOWN),
        (None, False, None, UNKNOWN),
        (None, True, None, UNKNOWN),
    ],
)
def test_stays_down(panic, armed, action, expected):
    """kernel.panic=0 waits for ever, and so does a kdump that is told to halt."""
    kdump = None if action is None else KdumpFacts(final_action=action)
    facts = sysctls(healthy(crash_kernel_loaded=armed, kdump=kdump), kernel__panic=panic)
    assert state(DOWN, facts) is expected


def test_a_day_is_as_long_as_for_ever():
    """How long it stands still is said, and undone to what it was."""
    told = found(DOWN, sysctls(healthy(crash_kernel_loaded=False), kernel__panic="86400"))
    assert "stands still for 24 h before it reboots: kernel.panic=86400" in told.text
    assert "kernel.panic=86400" in told.undo


def test_staying_down_is_grave_only_where_a_panic_is_expected():
    """kernel.panic=0 is the kernel's default: a note, unless exhaustion ends in a panic."""
    calm = sysctls(healthy(crash_kernel_loaded=False), kernel__panic="0")
    assert found(DOWN, calm).severity is Severity.LOW
    assert found(DOWN, seed_like()).severity is Severity.HIGH
    assert state(DOWN, seed_like(container="docker")) is NOT_APPLICABLE
    unseen = sysctls(healthy(crash_kernel_loaded=None), kernel__panic="0")
    assert found(DOWN, unseen).severity is Severity.LOW
    assert state(DOWN, seed_like(crash_kernel_loaded=None)) is FAIL


@pytest.mark.parametrize(
    ("panic_on_oom", "expected"), [("0", PASS), ("1", FAIL), ("2", FAIL), (None, UNKNOWN)]
)
def test_kdump_alone_is_little_where_memory_panics(panic_on_oom, expected):
    """Armed and kernel.panic=0 is how Red Hat ships; beside panic_on_oom it is found."""
    facts = sysctls(healthy(), kernel__panic="0", vm__panic_on_oom=panic_on_oom)
    told = found(DOWN, facts)
    assert told.state is expected
    if expected is FAIL:
        assert told.severity is Severity.MEDIUM
        assert "Only the crash kernel" in told.text


@pytest.mark.parametrize(
    ("settings", "armed", "expected", "severity"),
    [
        ({"oops": "1"}, True, PASS, Severity.HIGH),
        ({"oops": "1"}, False, FAIL, Severity.LOW),
        ({"oops": "1"}, None, UNKNOWN, Severity.HIGH),
        ({"hung": "1"}, False, FAIL, Severity.HIGH),
        ({"soft": "1", "oops": "1"}, False, FAIL, Severity.HIGH),
        ({"oops": "0", "hung": "0", "soft": "0"}, False, PASS, Severity.HIGH),
        ({"oops": "0"}, False, PASS, Severity.HIGH),
        ({}, False, UNKNOWN, Severity.HIGH),
    ],
)
def test_other_panics(settings, armed, expected, severity):
    """A thrashing host trips the watchdogs: grave; an oops is a note; with a dump all are fine."""
    names = {
        "oops": "kernel__panic_on_oops",
        "hung": "kernel__hung_task_panic",
        "soft": "kernel__softlockup_panic",
    }
    facts = sysctls(
        healthy(crash_kernel_loaded=armed), **{names[one]: settings[one] for one in settings}
    )
    facts = sysctls(facts, **{name: None for one, name in names.items() if one not in settings})
    told = found(OTHER, facts)
    assert (told.state, told.severity) == (expected, severity)


def test_each_panic_there_is_is_known():
    """A warning or a stall that panics is as grave as a watchdog; a fault of the machine a note."""
    bare = healthy(crash_kernel_loaded=False)
    for name in ("panic_on_warn", "panic_on_rcu_stall", "softlockup_panic", "hung_task_panic"):
        told = found(OTHER, sysctls(bare, **{f"kernel__{name}": "1"}))
        assert (told.state, told.severity) == (FAIL, Severity.HIGH)
        assert f"kernel.{name}=1" in told.text
    for name in (
        "panic_on_oops", "hardlockup_panic", "unknown_nmi_panic", "panic_on_io_nmi",
        "panic_on_unrecovered_nmi",
    ):  # fmt: skip
        told = found(OTHER, sysctls(bare, **{f"kernel__{name}": "1"}))
        assert (told.state, told.severity) == (FAIL, Severity.LOW)


def test_a_setting_that_was_not_read_may_panic():
    """Only where /proc/sys was listed is what is missing not there."""
    listed = sysctls(healthy(), kernel__hung_task_panic=None)
    assert state(OTHER, listed) is PASS
    assert state(OTHER, replace(listed, origin="prometheus")) is UNKNOWN
    assert state(OTHER, replace(listed, unseen={"sysctls": "needs root"})) is UNKNOWN
    partial = replace(listed, sysctls={"kernel.panic_on_oops": "0"})
    told = found(OTHER, partial)
    assert told.state is UNKNOWN
    assert "hardlockup_panic" in told.text


def test_other_panics_are_named():
    """Each setting that panics is named with its value, where no dump would explain it."""
    facts = sysctls(
        seed_like(),
        kernel__panic_on_oops="1",
        kernel__softlockup_panic="1",
        kernel__hung_task_panic="0",
    )
    told = found(OTHER, facts)
    assert "kernel.panic_on_oops=1, kernel.softlockup_panic=1" in told.text
    assert "hung_task" not in told.text
    assert {fact.name for fact in told.observed} == {
        "kernel.panic_on_oops",
        "kernel.softlockup_panic",
        "kdump armed",
    }


def test_a_kubelet_asks_for_panic_on_oops():
    """It sets panic_on_oops on its node, not the watchdogs."""
    node = sysctls(healthy(kubernetes=True, crash_kernel_loaded=False), kernel__panic_on_oops="1")
    assert state(OTHER, node) is NOT_APPLICABLE
    assert state(OTHER, sysctls(node, kernel__hung_task_panic="1")) is FAIL
    hung = sysctls(node, kernel__hung_task_panic="1")
    assert state(OTHER, replace(hung, container="docker")) is NOT_APPLICABLE


def test_a_baseline_is_named_instead_of_broken():
    """Where STIG orders kdump off or ANSSI panic_on_oops, neither is the remedy's first word."""
    facts = sysctls(
        healthy(crash_kernel_loaded=False), kernel__panic_on_oops="1", kernel__hung_task_panic="1"
    )
    stig = found(OTHER, facts, baseline="stig")
    assert "DISA STIG orders kdump off" in stig.text
    assert "exception" in stig.remedy
    assert "arm kdump, so" not in stig.remedy
    anssi = found(OTHER, facts, baseline="anssi_bp28_high")
    assert "ANSSI BP-028 orders kernel.panic_on_oops=1" in anssi.text
    assert anssi.remedy.endswith(", or sysctl -w kernel.hung_task_panic=0")
    assert stig.remedy.startswith(
        "sysctl -w kernel.panic_on_oops=0 kernel.hung_task_panic=0; for the dump, "
    )
    plain = found(OTHER, facts)
    assert plain.remedy.endswith("or sysctl -w kernel.panic_on_oops=0 kernel.hung_task_panic=0")
    oops = sysctls(healthy(crash_kernel_loaded=False), kernel__panic_on_oops="1")
    assert found(OTHER, oops, baseline="anssi").remedy == OTHER.remedy
    assert "orders kdump off" in found(OTHER, oops, baseline="stig").text
    assert "panic_on_oops=1." not in found(OTHER, oops, baseline="stig").text
    assert "panic_on_oops=0" not in anssi.remedy
    watchdogs = sysctls(facts, kernel__panic_on_oops="0")
    assert "orders" not in found(OTHER, watchdogs, baseline="anssi").text


def test_an_oops_is_told_apart_from_a_thrashing_host():
    """panic_on_oops is about faults of the kernel, the watchdogs about a host that stalls."""
    calm = healthy(crash_kernel_loaded=False)
    oops = found(OTHER, sysctls(calm, kernel__panic_on_oops="1"))
    assert oops.text.startswith("A fault of the kernel")
    hung = found(OTHER, sysctls(calm, kernel__hung_task_panic="1"))
    assert hung.text.startswith("A host that thrashes")


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", PASS), ("1", FAIL), (None, UNKNOWN)],
)
def test_allocating_task(value, expected):
    """1 kills the innocent; unread is unknown."""
    assert state(ASKS, sysctls(seed_like(), vm__oom_kill_allocating_task=value)) is expected


def test_allocating_task_is_graver_beside_a_database():
    """There the victim is likely the database; elsewhere it is a note."""
    beside = found(ASKS, sysctls(seed_like(), vm__oom_kill_allocating_task="1"))
    assert "the database is as likely as any other" in beside.text
    assert beside.severity is Severity.MEDIUM
    alone = found(ASKS, sysctls(healthy(), vm__oom_kill_allocating_task="1"))
    assert alone.severity is Severity.LOW
    assert alone.text.endswith("any process may be it.")
    assert alone.remedy == ASKS.remedy
    inside = found(ASKS, sysctls(healthy(container="lxc"), vm__oom_kill_allocating_task="1"))
    assert inside.remedy.startswith("on the host")

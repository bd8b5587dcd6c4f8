"""Other troubles panic too, and no dump will tell which.

A host that thrashes blocks tasks and processors for minutes; with hung_task_panic,
softlockup_panic or panic_on_rcu_stall set that ends in a panic that does not mention memory, and
with panic_on_warn so does any warning of the kernel's. panic_on_oops is another matter: Red Hat's
kernels and Debian's kdump-tools set it so that a dump is taken, ANSSI's baseline orders it, a
kubelet sets it on its node; hardlockup_panic, which Red Hat's kernels come with, and the panics on
an NMI are for faults of kernel and machine as well. Without a dump these only turn a fault into a
restart, which is worth a note. With kdump armed the dump shows what was behind it. A setting that
was not read may be set; only one that a reading of /proc/sys/kernel did not find is not there.
"""

from collections.abc import Iterable
from functools import lru_cache

from forestall.audit.baselines import KDUMP_OFF, PANIC_ON_OOPS, THIRD_WAY, Baseline
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

OOPS = "kernel.panic_on_oops"
FAULTS = (
    OOPS,
    "kernel.hardlockup_panic",
    "kernel.panic_on_io_nmi",
    "kernel.panic_on_unrecovered_nmi",
    "kernel.unknown_nmi_panic",
)
"""Faults of kernel or machine, which memory that runs out does not bring about."""

SETTINGS = (
    *FAULTS,
    "kernel.hung_task_panic",
    "kernel.softlockup_panic",
    "kernel.panic_on_rcu_stall",
    "kernel.panic_on_warn",
)

IN_CONTAINER = not_applicable("The settings are the host's, not this container's.")
ON_NODE = not_applicable("A kubelet sets kernel.panic_on_oops=1 on its node.")
NOT_READ = unknown("What else panics is unknown: no panic setting could be read.")
NO_KDUMP_READ = unknown("Whether a dump would explain such a panic is unknown: kdump is not seen.")


def judge(host: Posture) -> Judgement:
    """A setting that this kernel does not have cannot panic."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    values = tuple([host.number(name) for name in SETTINGS])
    if not any(values):
        unread = [
            name
            for name, value in zip(SETTINGS, values, strict=True)
            if value is None and not host.has_no(name)
        ]
        if unread == list(SETTINGS):
            return NOT_READ
        return _partly_read(tuple(unread)) if unread else PASS
    on = _on(values)
    if host.kubernetes and OOPS in on and set(on) <= set(FAULTS):
        return ON_NODE
    if facts.crash_kernel_loaded:
        return PASS
    if facts.crash_kernel_loaded is None:
        return NO_KDUMP_READ
    return _without_dump(values, host.baseline)


def _on(values: tuple[int | None, ...]) -> dict[str, int]:
    return {name: value for name, value in zip(SETTINGS, values, strict=True) if value}


@lru_cache(maxsize=256)
def _partly_read(unread: tuple[str, ...]) -> Judgement:
    more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
    return unknown(
        f"What else panics is unknown: {', '.join(unread[:3])}{more} could not be read.",
        remedy="sysctl -a --pattern panic",
    )


@lru_cache(maxsize=256)
def _without_dump(values: tuple[int | None, ...], baseline: Baseline | None) -> Judgement:
    """`values` are those of SETTINGS. Kept, because many hosts of a fleet have the same."""
    on = _on(values)
    faults = set(on) <= set(FAULTS)
    orders = frozenset[str]() if baseline is None else baseline.orders
    named = ", ".join(f"{name}={value}" for name, value in on.items())
    reads = (*(f"/sysctls/{name}" for name in on), "/crash_kernel_loaded")
    text = f"A host that thrashes may panic for other reasons ({named}), without a dump"
    if faults:
        text = f"A fault of the kernel or the machine panics this host ({named}), without a dump"
    ordered = []
    if KDUMP_OFF in orders:
        ordered.append("kdump off")
    if OOPS in on and PANIC_ON_OOPS in orders:
        ordered.append(f"{OOPS}=1")
    if baseline is not None and ordered:
        text += f"; {baseline.name} orders {' and '.join(ordered)}"
    return fail(
        f"{text}.",
        *reads,
        severity=Severity.LOW if faults else None,
        remedy=_remedy(orders, on),
        undo="set them back: "
        + ", ".join(f"sysctl -w {name}={value}" for name, value in on.items()),
    )


def _remedy(orders: frozenset[str], on: Iterable[str]) -> str:
    relaxed = " ".join(f"{name}=0" for name in on if name != OOPS or PANIC_ON_OOPS not in orders)
    if KDUMP_OFF in orders:
        first = f"sysctl -w {relaxed}; for the dump, " if relaxed else ""
        return first + THIRD_WAY
    return RULE.remedy + (f", or sysctl -w {relaxed}" if relaxed else "")


RULE = Rule(
    id="PAN-003",
    title="other panics without a dump",
    severity=Severity.HIGH,
    reads=(*(f"/sysctls/{name}" for name in SETTINGS), "/crash_kernel_loaded"),
    expected="kdump armed where panics are asked for",
    remedy="arm kdump, so that the next panic can be explained",
    undo="systemctl disable --now kdump",
    cost=Cost.REBOOT,
    reference="kernel documentation, admin-guide/sysctl/kernel.rst",
    judge=judge,
)

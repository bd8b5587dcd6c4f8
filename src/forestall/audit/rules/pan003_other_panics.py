"""Other troubles panic too, and no dump will tell which.

A host that thrashes blocks tasks and processors for minutes; with hung_task_panic or
softlockup_panic set that ends in a panic that does not mention memory. panic_on_oops is another
matter: Red Hat's kernels and Debian's kdump-tools set it so that a dump is taken, ANSSI's baseline
orders it, a kubelet sets it on its node; without a dump it only turns a fault of the kernel into a
restart, which is worth a note. With kdump armed the dump shows what was behind it.
"""

from forestall.audit.baselines import KDUMP_OFF, PANIC_ON_OOPS, THIRD_WAY
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

OOPS = "kernel.panic_on_oops"
SETTINGS = (OOPS, "kernel.hung_task_panic", "kernel.softlockup_panic")

IN_CONTAINER = not_applicable("The settings are the host's, not this container's.")
ON_NODE = not_applicable("A kubelet sets kernel.panic_on_oops=1 on its node.")
NOT_READ = unknown("What else panics is unknown: no panic setting could be read.")
NO_KDUMP_READ = unknown("Whether a dump would explain such a panic is unknown: kdump is not seen.")


def judge(host: Posture) -> Judgement:
    """A setting that this kernel does not have cannot panic."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    values = [host.number(name) for name in SETTINGS]
    if not any(values):
        return NOT_READ if values == [None, None, None] else PASS
    if facts.crash_kernel_loaded:
        return PASS
    on = [name for name, value in zip(SETTINGS, values, strict=True) if value]
    if on == [OOPS] and host.kubernetes:
        return ON_NODE
    if facts.crash_kernel_loaded is None:
        return NO_KDUMP_READ
    return _without_dump(host, on)


def _without_dump(host: Posture, on: list[str]) -> Judgement:
    named = ", ".join(f"{name}={host.number(name)}" for name in on)
    reads = (*(f"/sysctls/{name}" for name in on), "/crash_kernel_loaded")
    text = f"A host that thrashes may panic for other reasons ({named}), without a dump"
    if on == [OOPS]:
        text = f"A fault of the kernel panics this host ({named}), without a dump"
    ordered = []
    if host.forbids(KDUMP_OFF):
        ordered.append("kdump off")
    if OOPS in on and host.forbids(PANIC_ON_OOPS):
        ordered.append(f"{OOPS}=1")
    if host.baseline is not None and ordered:
        text += f"; {host.baseline.name} orders {' and '.join(ordered)}"
    return fail(
        f"{text}.",
        *reads,
        severity=Severity.LOW if on == [OOPS] else None,
        remedy=_remedy(host, on),
        undo="set them back: " + ", ".join(f"sysctl -w {name}=1" for name in on),
    )


def _remedy(host: Posture, on: list[str]) -> str:
    relaxed = " ".join(f"{name}=0" for name in on if not (name == OOPS and _is_ordered(host)))
    if host.forbids(KDUMP_OFF):
        first = f"sysctl -w {relaxed}; for the dump, " if relaxed else ""
        return first + THIRD_WAY
    return RULE.remedy + (f", or sysctl -w {relaxed}" if relaxed else "")


def _is_ordered(host: Posture) -> bool:
    return host.forbids(PANIC_ON_OOPS)


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

"""What the host's settings and guards amount to, where several places must agree about it."""

from forestall.audit.reading import sysctl_number
from forestall.model.facts import HostFacts

STRICT_OVERCOMMIT = 2

PROMPT_GUARDS = ("earlyoom", "nohang", "oomd")
"""Guards that act on the host as a whole by default.

systemd-oomd only touches units that asked for it (ManagedOOM...=kill), and `forestall watch`
only acts with --mode act; neither may be counted on from its presence alone.
"""

OOMD_ALONE = "systemd-oomd runs, but only touches units with ManagedOOM...=kill; see oomctl"
"""What may be said of a host whose only guard it is."""


def prompt_guards(facts: HostFacts) -> tuple[str, ...]:
    """The userspace OOM guards here that act by themselves."""
    return tuple(name for name in facts.guards or () if name in PROMPT_GUARDS)


def kills_who_asks(facts: HostFacts) -> bool:
    """Whether the OOM killer takes the process that asks, whoever holds the memory."""
    return (sysctl_number(facts, "vm.oom_kill_allocating_task") or 0) != 0

"""Where hardening baselines order the opposite of forensics, and the way out of it.

A kernel dump or a core is a copy of memory, secrets included, so several baselines switch both
off; others turn an oops into a panic. A host that must follow one cannot simply be told to arm
kdump: the rules name the conflict and what its own authority accepts instead, an encrypted target
away from the host and an exception with an owner and an end.
"""

from dataclasses import dataclass

KDUMP_OFF = "kdump-off"
"""ComplianceAsCode's service_kdump_disabled."""
CORES_NOT_STORED = "cores-not-stored"
"""`Storage=none` in coredump.conf (coredump_disable_storage)."""
USER_CORES_OFF = "user-cores-off"
"""`* hard core 0` in limits.conf (disable_users_coredumps)."""
PANIC_ON_OOPS = "panic-on-oops"
"""kernel.panic_on_oops=1 (sysctl_kernel_panic_on_oops)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One family of hardening profiles and which of the orders it gives.

    `words` are parts of its profiles' names, in lower case.
    """

    words: tuple[str, ...]
    name: str
    orders: frozenset[str]


BASELINES = (
    Baseline(
        words=("stig", "disa"),
        name="DISA STIG",
        orders=frozenset((KDUMP_OFF, CORES_NOT_STORED, USER_CORES_OFF)),
    ),
    Baseline(
        words=("ospp",),
        name="OSPP",
        orders=frozenset((KDUMP_OFF, CORES_NOT_STORED, USER_CORES_OFF)),
    ),
    Baseline(words=("hipaa",), name="HIPAA", orders=frozenset((KDUMP_OFF,))),
    Baseline(
        words=("cis",), name="CIS Benchmark", orders=frozenset((CORES_NOT_STORED, USER_CORES_OFF))
    ),
    Baseline(
        words=("anssi", "bp028", "bp-028"), name="ANSSI BP-028", orders=frozenset((PANIC_ON_OOPS,))
    ),
)
"""From the profiles and control files of ComplianceAsCode (2026-08); single products differ.

panic_on_oops is ANSSI's R9 from level intermediary on; OSPP for RHEL 8 and 9 does not order it.
"""

THIRD_WAY = (
    "do not arm it against the baseline: ask its authority for an exception with a reason, an "
    "owner and an end (the baseline allows what is documented as an operational need), dump over "
    "ssh to a host with encrypted disks that only responders may read (ssh, path and sshkey in "
    "kdump.conf), and record the exception as a waiver of this rule; or record that a panic here "
    "stays unexplained"
)
"""The remedy where a baseline forbids the usual one."""


def named(text: str | None) -> Baseline | None:
    """The baseline that a profile's name speaks of; None where it is none that is known here.

    Scanners write `xccdf_org.ssgproject.content_profile_stig_gui`, people `DISA STIG`.
    """
    if not text:
        return None
    lowered = text.lower()
    return next((one for one in BASELINES if any(word in lowered for word in one.words)), None)

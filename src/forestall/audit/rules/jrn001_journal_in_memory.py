"""The journal may take more memory than a log is worth.

What journald keeps in /run is memory: all of the journal on a host without /var/log/journal, the
first part of each boot elsewhere. Its default is a tenth of /run, a fiftieth of memory or so, and
4 GiB at most, and `infinity` is taken for it; a RuntimeMaxUse= set by hand and copied to smaller
hosts may be most of theirs. A limit is also needed: a service that logs in a loop would otherwise
fill /run, and with it everything that starts services.
"""

from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.unseen import unseen
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

HIGHEST_SHARE = 0.1
NOT_A_SIZE = 2**64 - 1
"""`infinity`, which journald takes for not set: it goes by its default."""

FIELD = "journal_runtime_max_bytes"

IN_CONTAINER = not_applicable("The journal is the host's, or counts at this container's limit.")
NO_MEMORY = unknown("How much memory there is could not be read.")


def judge(host: Posture) -> Judgement:
    """Not set is systemd's default, which is fine; not read is not."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    size = facts.journal_runtime_max_bytes
    if size == NOT_A_SIZE:
        return PASS
    if size is None:
        if FIELD in facts.unseen or facts.systemd_version is None:
            return unseen(host, FIELD, "How much memory the journal may take")
        return PASS
    total = facts.memory.mem_total_bytes
    if not total:
        return NO_MEMORY
    if size <= HIGHEST_SHARE * total:
        return PASS
    return fail(
        f"The journal may take {format_bytes(size)} of {format_bytes(total)} of memory "
        "(RuntimeMaxUse=)."
    )


RULE = Rule(
    id="JRN-001",
    title="journal large in memory",
    severity=Severity.LOW,
    reads=(f"/{FIELD}", "/memory/mem_total_bytes"),
    expected="RuntimeMaxUse= at most 10 % of memory",
    remedy="RuntimeMaxUse=256M below [Journal] in /etc/systemd/journald.conf.d/, then systemctl "
    "restart systemd-journald",
    undo="the old RuntimeMaxUse=, then systemctl restart systemd-journald",
    cost=Cost.NONE,
    reference="journald.conf(5); the share is our advice",
    judge=judge,
    optional=True,
)

"""A host for PostgreSQL alone lets the kernel promise memory that it does not have.

With the kernel's default a session gets every allocation, and when the promises come due the OOM
killer ends a process of the database, which restarts all of it. With vm.overcommit_memory=2 the
allocation that goes too far fails instead, and only that one query with it. That is PostgreSQL's
advice, for hosts of its own: programs beside it that reserve much more than they use (Java, Go,
browsers) are refused as well, so the rule does not apply where other services run, and its
remedy says what the limit would be before anybody switches.
"""

from forestall.audit.holders import large_others
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.audit.rules.shared.overcommit import COMFORT_SHARE, comfortable_ratio, limit_bytes
from forestall.audit.rules.shared.unseen import unseen
from forestall.audit.settings import STRICT_OVERCOMMIT
from forestall.model.finding import Cost, Severity
from forestall.units import format_bytes

IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")
NO_DATABASE = not_applicable("No host for PostgreSQL, whose advice this is.")
ON_NODE = not_applicable("A kubelet sets vm.overcommit_memory=1 on its node.")
NO_ROLE = unknown("Whether this is a host for PostgreSQL is unknown: give it a role.")
NOT_READ = unknown("vm.overcommit_memory could not be read.")
ALWAYS = not_applicable("vm.overcommit_memory=1 is what OVC-003 speaks of.")


def judge(host: Posture) -> Judgement:
    """Only where PostgreSQL is the only thing of weight here."""
    facts = host.facts
    if facts.container:
        return IN_CONTAINER
    if host.is_database_host is False or host.engine not in (None, "postgresql"):
        return NO_DATABASE
    if host.kubernetes:
        return ON_NODE
    if host.engine is None:
        return NO_ROLE if facts.databases is None else NO_DATABASE
    if host.is_database_host is None:
        return NO_ROLE
    mode = host.number("vm.overcommit_memory")
    if mode is None:
        return NOT_READ
    if mode == STRICT_OVERCOMMIT:
        return PASS
    if mode == 1:
        return ALWAYS
    if facts.units is None:
        return unseen(host, "units", "Whether PostgreSQL has this host for itself")
    beside = _beside(host)
    if beside:
        return not_applicable(f"PostgreSQL shares this host with {beside}.")
    if not facts.holders or facts.hidden_processes or "holders" in facts.unseen:
        hidden = "other users' processes are hidden" if facts.hidden_processes else "none was seen"
        why = host.why_unseen("holders", hidden)
        return unknown(f"Whether PostgreSQL has this host for itself is unknown: {why}.")
    return _simulated(host)


def _beside(host: Posture) -> str | None:
    """The first other thing of weight here: a service of the site's, another database, a holder."""
    facts = host.facts
    if host.own_services:
        return host.own_services[0].name
    names = {one.process.name for one in facts.databases or ()}
    large = [holder.process.name for _, holder in large_others(facts)]
    strangers = sorted(name for name in names if not name.startswith("post"))
    return next(iter([*strangers, *large]), None)


def _simulated(host: Posture) -> Judgement:
    """The finding, with what strict overcommit would allow today and what is promised today."""
    limit, committed = limit_bytes(host), host.facts.committed_bytes
    text = "The kernel promises PostgreSQL more memory than there is (vm.overcommit_memory=0)"
    if limit is None or committed is None:
        return fail(
            f"{text}.",
            remedy="look at Committed_AS in /proc/meminfo over a busy week first; then "
            f"{RULE.remedy}",
        )
    ratio = comfortable_ratio(host, committed)
    told = (
        f"{text}; with 2 and today's ratio CommitLimit would be {format_bytes(limit)}, and "
        f"{format_bytes(committed)} is promised now"
    )
    if committed <= COMFORT_SHARE * limit:
        return fail(f"{told}: it fits.")
    if ratio is None:
        return fail(
            f"{told}: it does not fit at any sensible ratio.",
            severity=Severity.LOW,
            remedy="do not switch yet: allocations would fail at once; lower max_connections, "
            "work_mem or shared_buffers, or add swap, until Committed_AS fits",
            undo="nothing to undo",
        )
    return fail(
        f"{told}: too near; vm.overcommit_ratio={ratio} would leave a fifth.",
        remedy=f"sysctl -w vm.overcommit_ratio={ratio}, then {RULE.remedy}",
    )


RULE = Rule(
    id="OVC-001",
    title="heuristic overcommit on a PostgreSQL host",
    severity=Severity.MEDIUM,
    reads=(
        "/sysctls/vm.overcommit_memory",
        "/sysctls/vm.overcommit_ratio",
        "/committed_bytes",
        "/memory/mem_total_bytes",
        "/memory/swap_total_bytes",
    ),
    expected="vm.overcommit_memory=2 where PostgreSQL has the host for itself",
    remedy="sysctl -w vm.overcommit_memory=2, on a replica first, and keep both in /etc/sysctl.d/",
    undo="sysctl -w vm.overcommit_memory=0, and take the lines out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="PostgreSQL documentation, Managing Kernel Resources, Linux Memory Overcommit",
    judge=judge,
)

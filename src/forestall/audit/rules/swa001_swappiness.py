"""The kernel trades the database's own memory for page cache too readily.

The default of 60 suits a host of many programs: memory nobody touched goes out, files come in. A
database caches its files itself, so pages of its cache that are swapped out are read twice, and
each vendor asks for a low value. Zero is not lower but different: the kernel then leaves swap
alone until nearly nothing else is left, and the OOM killer comes while swap is empty. With
control groups of version 1 each group keeps the value it was made with, so a change there counts
for services started afterwards only (`sysctl vm.force_cgroup_v2_swappiness` on RHEL 8).
"""

from forestall.audit.engines import NAMES, SWAPPINESS
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

SETTING = "vm.swappiness"

IN_CONTAINER = not_applicable("The setting is the host's, not this container's.")
NO_DATABASE = not_applicable("No database host: the kernel's default is meant for the others.")
NONE_KNOWN = not_applicable("No database that is known by name runs here.")
NO_ADVICE = not_applicable("The vendor of this database gives no advice on swappiness.")
NO_SWAP = not_applicable("There is no swap on a disk, so the setting decides little.")
NO_ROLE = unknown("Whether this is a database host, and of which database, is unknown.")
NOT_READ = unknown("vm.swappiness could not be read.")


def judge(host: Posture) -> Judgement:
    """The range is the vendor's of the largest database here."""
    if host.facts.container:
        return IN_CONTAINER
    if host.is_database_host is False:
        return NO_DATABASE
    if host.disk_swap_bytes == 0:
        return NO_SWAP
    engine = host.engine
    if engine is None:
        return NO_ROLE if host.facts.databases is None else NONE_KNOWN
    advice = SWAPPINESS.get(engine)
    if advice is None:
        return NO_ADVICE
    if host.is_database_host is None:
        return NO_ROLE
    value = host.number(SETTING)
    if value is None:
        return NOT_READ
    if advice.low <= value <= advice.high:
        return PASS
    span = str(advice.low) if advice.low == advice.high else f"{advice.low} to {advice.high}"
    why = (
        "the kernel leaves swap alone until the OOM killer is near"
        if value == 0
        else f"its vendor wants {span}"
    )
    return fail(
        f"vm.swappiness={value} beside {NAMES[engine]}: {why}.",
        expected=f"vm.swappiness={span}",
        remedy=f"sysctl -w vm.swappiness={advice.wanted}, and keep it in /etc/sysctl.d/ (or "
        "tuned's profile for this database)",
        undo=f"sysctl -w vm.swappiness={value}, and take the line out of /etc/sysctl.d/",
        reference=advice.reference,
        severity=Severity.LOW if value == 0 else None,
    )


RULE = Rule(
    id="SWA-001",
    title="swappiness unfit for the database",
    severity=Severity.MEDIUM,
    reads=(f"/sysctls/{SETTING}",),
    expected="vm.swappiness as the database's vendor asks: 1 to 10, for SQL Server 1",
    remedy="sysctl -w vm.swappiness=N, and keep it in /etc/sysctl.d/",
    undo="sysctl -w vm.swappiness=60, and take the line out of /etc/sysctl.d/",
    cost=Cost.NONE,
    reference="tuned's profiles postgresql, oracle and mssql; the vendors' installation guides",
    judge=judge,
)

"""Nobody would see the next leak coming.

A leak takes hours, and each of four things shows it in time: (a) somebody takes samples of the
host, (b) an alert watches its memory, (c) the kernel tells how long programs wait for memory, and
(d) the services were tested for leaks before they came here. What a host cannot say of itself is
asked of Prometheus and of the gate's records; where nobody could be asked, the answer is unknown.
"""

from forestall.audit.observed import PARTS
from forestall.audit.posture import Posture
from forestall.audit.rule import PASS, Judgement, Rule, fail, not_applicable, unknown
from forestall.model.finding import Cost, Severity

GRAVITY = tuple(Severity)


def judge(host: Posture) -> Judgement:
    """As grave as the gravest part. A kernel that is too old to tell pressure is not blamed.

    A host with neither a database nor a service of the site's own, such as a laptop, has less to
    lose.
    """
    if host.facts.container:
        return not_applicable("The host is what is watched, not this container.")
    parts = [part for look in PARTS if (part := look(host)) is not None]
    if not parts:
        return PASS
    missing = [part for part in parts if part.severity is not None]
    unasked = [part.text for part in parts if part.severity is None]
    if not missing:
        return unknown(
            f"Not known: {', '.join(unasked)}.",
            *(pointer for part in parts for pointer in part.reads),
            remedy=parts[0].remedy,
        )
    gravest = min((part.severity for part in missing if part.severity), key=GRAVITY.index)
    if gravest is Severity.HIGH and not host.is_database_host and not host.own_services:
        gravest = Severity.MEDIUM
    rest = f" Not known: {', '.join(unasked)}." if unasked else ""
    return fail(
        f"The next leak would not be seen: {', '.join(part.text for part in missing)}.{rest}",
        *(pointer for part in missing for pointer in part.reads),
        severity=gravest,
        remedy="; ".join(part.remedy for part in missing),
    )


RULE = Rule(
    id="OBS-001",
    title="leaks unseen",
    severity=Severity.HIGH,
    reads=("/scraped_at", "/monitors", "/memory_alerts", "/psi", "/gated_services"),
    expected="samples younger than a day, an alert on memory, pressure told, and services tested",
    remedy="run an exporter or forestall watch, scrape it, and alert on memory",
    undo="take it out of the scrape configuration",
    cost=Cost.NONE,
    reference="kernel documentation, accounting/psi.rst; the day is our advice",
    judge=judge,
)

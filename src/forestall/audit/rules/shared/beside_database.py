"""Whether a rule about what runs beside a database is about this host, and how grave it is."""

from dataclasses import replace

from forestall.audit.posture import Posture
from forestall.audit.rule import Judgement, not_applicable, unknown
from forestall.model.finding import FindingState, Severity


def no_database(host: Posture) -> Judgement | None:
    """Why such a rule has nothing to say of this host; None where it has.

    A database that holds little counts as well where no role says otherwise, because it may be
    idle today; `gravity` makes less of it.
    """
    if host.is_database_host:
        return None
    if host.facts.databases:
        if host.terms.roles is None:
            return None
        return not_applicable("By its roles, this is no database host.")
    if host.facts.databases is None and host.terms.roles is None:
        why = host.why_unseen("databases", "processes could not be seen")
        return unknown(
            f"Whether a database runs here is unknown: {why}.", remedy="give the host its roles"
        )
    return not_applicable("No database here.")


def gravity(host: Posture, severity: Severity) -> Severity:
    """`severity` on a database host; MEDIUM beside a database that holds little."""
    return severity if host.is_database_host else Severity.MEDIUM


def graded(host: Posture, judged: Judgement, severity: Severity) -> Judgement:
    """An UNKNOWN as grave as the finding would be: beside a database that holds little, MEDIUM."""
    if judged.state is not FindingState.UNKNOWN or not host.facts.databases:
        return judged
    return replace(judged, severity=gravity(host, severity))

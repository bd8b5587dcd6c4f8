"""Whether a rule about what runs beside a database is about this host, and how grave it is."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

from forestall.audit.posture import Posture
from forestall.audit.rule import Judgement, not_applicable, unknown
from forestall.model.facts import HolderFacts
from forestall.model.finding import FindingState, Severity

JAVA = "java"
NONE_BUT_JAVA = not_applicable(
    "No database here that is known by its name; one that runs as java (Elasticsearch, OpenSearch, "
    "Cassandra, Kafka) is not: --role db=HOST says that there is one."
)

Judge = Callable[[Posture], Judgement]


UNRECOGNISED = unknown(
    "By its roles this is a database host, and no database that is known by name runs here."
)


def no_database(host: Posture) -> Judgement | None:
    """Why such a rule has nothing to say of this host; None where it has.

    A database that holds little counts as well where no role says otherwise, because it may be
    idle today; `gravity` makes less of it.
    """
    if host.is_database_host:
        # Which of the services is the database would be a guess: it is not beside itself.
        return UNRECOGNISED if host.facts.databases == () else None
    if host.facts.databases:
        if host.terms.roles is None:
            return None
        return not_applicable("By its roles, this is no database host.")
    partly = "databases" in host.facts.unseen
    if (host.facts.databases is None or partly) and host.terms.roles is None:
        why = host.why_unseen("databases", "processes could not be seen")
        return unknown(
            f"Whether a database runs here is unknown: {why}.", remedy="give the host its roles"
        )
    if any(one.process.name == JAVA for one in host.facts.holders):
        return NONE_BUT_JAVA
    return not_applicable("No database here.")


def scored_database(host: Posture) -> HolderFacts | Judgement:
    """The main process whose OOM score a rule compares, or why there is none to compare."""
    if host.facts.container:
        return not_applicable("The OOM killer is the host's, not this container's.")
    elsewhere = no_database(host)
    if elsewhere is not None:
        return elsewhere
    if host.database is not None:
        return host.database
    return unknown("The database's processes could not be seen.")


def gravity(host: Posture, severity: Severity) -> Severity:
    """`severity` on a database host; MEDIUM beside a database that holds little."""
    return severity if host.is_database_host else Severity.MEDIUM


def graded(severity: Severity) -> Callable[[Judge], Judge]:
    """Makes an UNKNOWN as grave as the finding: beside a database that holds little, MEDIUM."""

    def decorate(judge: Judge) -> Judge:
        @wraps(judge)
        def graded_judge(host: Posture) -> Judgement:
            judged = judge(host)
            if judged.state is not FindingState.UNKNOWN or not host.facts.databases:
                return judged
            return replace(judged, severity=gravity(host, severity))

        return graded_judge

    return decorate

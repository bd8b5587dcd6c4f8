"""Everything `forestall look` says, from the facts alone: HostFacts -> Look, a pure function."""

from forestall.audit.abilities import abilities
from forestall.audit.exhaustion import exhaustion
from forestall.audit.findings import findings, needs_a_look
from forestall.audit.headroom import headroom
from forestall.audit.look.between import between, protected_text
from forestall.audit.services import services, unlimited_text
from forestall.model.facts import HostFacts
from forestall.model.finding import Finding, Look


def look(facts: HostFacts) -> Look:
    """What happens here when memory runs out, what is left, and what stands in between."""
    found = findings(facts)
    running = services(facts)
    return Look(
        at=facts.at,
        hostname=facts.hostname,
        exhaustion=exhaustion(facts),
        headroom=headroom(facts),
        services=running,
        services_text=unlimited_text(facts, running),
        protected=protected_text(facts),
        between=between(facts),
        abilities=abilities(facts),
        findings=found,
        next_step=_next_step(facts, found),
        facts=facts,
    )


def _next_step(facts: HostFacts, found: tuple[Finding, ...]) -> str:
    """The one thing to do first."""
    if needs_a_look(found):
        # What follows a semicolon in a remedy is the exception; it stands with the finding.
        return f"{found[0].rule} first: {found[0].remedy.partition('; ')[0]}"
    if facts.hidden_processes:
        return "Nothing found so far, but most processes are hidden: run forestall look as root"
    if facts.guards is not None and "forestall" in facts.guards:
        return "Nothing to change tonight. What guard saw: forestall guard ledger --since 7d"
    return "Nothing to change tonight. To hear of a leak early: forestall watch (it only observes)"

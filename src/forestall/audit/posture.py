"""One host as the rules see it: facts, terms, and what several rules derive from them, once."""

from functools import cached_property

from forestall.audit import holders as held
from forestall.audit import services as told
from forestall.audit.exhaustion import host_exhaustion
from forestall.audit.terms import DATABASE, Terms
from forestall.model.facts import HolderFacts, HostFacts
from forestall.model.finding import Outcome, Service


class Posture:
    """The facts of one host with the terms it is judged on. Rules read it and change nothing."""

    def __init__(self, facts: HostFacts, terms: Terms | None = None) -> None:
        self.facts = facts
        self.terms = terms or Terms()

    @property
    def at(self) -> float:
        """The moment of judgement, epoch seconds."""
        return self.facts.at if self.terms.at is None else self.terms.at

    def number(self, sysctl: str) -> int | None:
        """One sysctl as a whole number, None where it is absent or no number."""
        try:
            return int(self.facts.sysctls[sysctl])
        except (KeyError, ValueError):
            return None

    def why_unseen(self, field: str, otherwise: str) -> str:
        """Why a field of the facts is None, in words."""
        return self.facts.unseen.get(field, otherwise)

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """The running services, the site's own first."""
        return told.services(self.facts)

    @cached_property
    def own_services(self) -> tuple[Service, ...]:
        """The running services that the site wrote itself, the databases left out."""
        return tuple(one for one in self.services if one.own and not one.database)

    @cached_property
    def main_database(self) -> int | None:
        """Index in `facts.databases` of the one that holds most."""
        return held.main_database(self.facts)

    @property
    def database(self) -> HolderFacts | None:
        """The main process of the largest database."""
        index = self.main_database
        return None if index is None else (self.facts.databases or ())[index]

    @cached_property
    def is_database_host(self) -> bool | None:
        """Whether this host is there for a database: by its role, else by what runs.

        A small database on a laptop does not make it a database host: it must hold 5 % of the
        memory. None = neither the site nor the host can tell.
        """
        if self.terms.roles is not None:
            return DATABASE in self.terms.roles
        if self.facts.databases is None:
            return None
        total, database = self.facts.memory.mem_total_bytes, self.database
        if database is None:
            return False
        if total is None:
            return None
        return held.database_bytes(self.facts, database) >= held.LARGE_SHARE * total

    def runs(self, *names: str) -> bool:
        """Whether a database server of one of these process names runs here."""
        return any(one.process.name in names for one in self.facts.databases or ())

    @cached_property
    def outcome(self) -> Outcome:
        """What memory exhaustion of the whole host ends in."""
        return host_exhaustion(self.facts).outcome

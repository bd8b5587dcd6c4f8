"""One host as the rules see it: facts, terms, and what several rules derive from them, once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, TypeVar, overload

from forestall.audit import baselines
from forestall.audit import holders as held
from forestall.audit import services as told
from forestall.audit.baselines import Baseline
from forestall.audit.engines import engine_of
from forestall.audit.exhaustion import host_outcome
from forestall.audit.headroom import disk_swap_bytes
from forestall.audit.tables import Tables, shipped
from forestall.audit.terms import DATABASE, KUBERNETES, Terms
from forestall.model.facts import HolderFacts, HostFacts, UnitFacts
from forestall.model.finding import Outcome, Service

Found = TypeVar("Found")


LISTS_PROC_SYS = ("local", "ssh", "sosreport")
"""Where facts come from that hold each setting a host has (`HostFacts.origin`)."""

IN_EVERY_KERNEL = frozenset(("kernel.panic", "kernel.panic_on_oops", "vm.panic_on_oom"))


class derived(Generic[Found]):  # noqa: N801 - it is used as a decorator
    """Worked out once a host, then an attribute like any other.

    functools.cached_property takes a lock on Python 3.11, which would cost a fleet a tenth of its
    time; a posture belongs to one thread.
    """

    def __init__(self, work_out: Callable[[Any], Found]) -> None:
        self._work_out = work_out
        self._name = work_out.__name__
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, host: None, owner: type) -> "derived[Found]": ...

    @overload
    def __get__(self, host: "Posture", owner: type) -> Found: ...

    def __get__(self, host: "Posture | None", owner: type) -> "Found | derived[Found]":
        if host is None:
            return self
        found = host.__dict__[self._name] = self._work_out(host)
        return found


class Posture:
    """The facts of one host with the terms it is judged on. Rules read it and change nothing."""

    def __init__(self, facts: HostFacts, terms: Terms | None = None) -> None:
        self.facts = facts if facts.memory.mem_total_bytes != 0 else _without_total(facts)
        self.terms = terms or Terms()

    @property
    def at(self) -> float:
        """The moment of judgement, epoch seconds."""
        return self.facts.at if self.terms.at is None else self.terms.at

    @property
    def tables(self) -> Tables:
        """The life cycles and advisories to judge by."""
        return shipped() if self.terms.tables is None else self.terms.tables

    def number(self, sysctl: str) -> int | None:
        """One sysctl as a whole number, None where it is absent or no number."""
        text = self.facts.sysctls.get(sysctl)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def has_no(self, sysctl: str) -> bool:
        """Whether this host's kernel surely has no such setting.

        Only a reading of /proc/sys itself lists what is there, and one that lacks what every
        kernel has was not whole.
        """
        facts = self.facts
        return (
            sysctl not in facts.sysctls
            and facts.origin in LISTS_PROC_SYS
            and "sysctls" not in facts.unseen
            and facts.sysctls.keys() >= IN_EVERY_KERNEL
        )

    def why_unseen(self, field: str, otherwise: str) -> str:
        """Why a field of the facts is None, in words."""
        return self.facts.unseen.get(field, otherwise)

    @derived
    def services(self) -> tuple[Service, ...]:
        """The running services, the site's own first."""
        return told.services(self.facts)

    @derived
    def own_services(self) -> tuple[Service, ...]:
        """The running services that the site wrote itself, the databases left out."""
        return told.own_services(self.facts)

    @derived
    def services_beside(self) -> tuple[Service, ...]:
        """The site's own services, and on a database host any other that holds much.

        On a laptop that has a small database too, what holds much is what the laptop is there for.
        """
        if self.is_database_host is False:
            return self.own_services
        return told.services_beside(self.facts)

    @derived
    def services_of_unknown_origin(self) -> tuple[Service, ...]:
        """The running services that may be the site's own or not."""
        return told.of_unknown_origin(self.facts)

    @derived
    def own_units(self) -> tuple[UnitFacts, ...]:
        """The units of `own_services`, in the same order."""
        return tuple([told.unit_of(self.facts, one) for one in self.own_services])

    @derived
    def main_database(self) -> int | None:
        """Index in `facts.databases` of the one that holds most."""
        return held.main_database(self.facts)

    @property
    def database(self) -> HolderFacts | None:
        """The main process of the largest database."""
        index = self.main_database
        return None if index is None else (self.facts.databases or ())[index]

    @derived
    def is_database_host(self) -> bool | None:
        """Whether this host is there for a database: by its role, else by what runs.

        A small database on a laptop does not make it a database host: it must hold 5 % of the
        memory, or be configured to. None = neither the site nor the host can tell.
        """
        if self.terms.roles is not None:
            return DATABASE in self.terms.roles
        return self.holds_database

    @derived
    def holds_database(self) -> bool | None:
        """Whether a database that takes 5 % of the memory runs here, whatever its roles say."""
        if self.facts.databases is None:
            return None
        answers = {held.is_large_database(self.facts, one) for one in self.facts.databases}
        return True if True in answers else (None if None in answers else False)

    def runs(self, *names: str) -> bool:
        """Whether a database server of one of these process names runs here."""
        return any(one.process.name in names for one in self.facts.databases or ())

    @derived
    def engine(self) -> str | None:
        """Which database product the largest database is (`audit.engines`), None without one."""
        return None if self.database is None else engine_of(self.database)

    @derived
    def kubernetes(self) -> bool | None:
        """Whether a kubelet manages this host, by its role or by what runs."""
        if self.terms.roles is not None and not KUBERNETES.isdisjoint(self.terms.roles):
            return True
        return self.facts.kubernetes

    @derived
    def baseline(self) -> Baseline | None:
        """The hardening baseline that this host must follow, if it is a known one."""
        return baselines.named(self.terms.baseline or self.facts.baseline)

    def forbids(self, order: str) -> bool:
        """Whether this host's baseline gives one of the orders in `audit.baselines`."""
        return self.baseline is not None and order in self.baseline.orders

    @derived
    def has_zram(self) -> bool:
        """Whether some swap is itself kept in memory."""
        return any(swap.kind == "zram" for swap in self.facts.swaps or ())

    @derived
    def disk_swap_bytes(self) -> int | None:
        """Swap that is not itself kept in memory, as zram is."""
        return disk_swap_bytes(self.facts)

    @derived
    def outcome(self) -> Outcome:
        """What memory exhaustion of the whole host ends in."""
        return host_outcome(self.facts)


def _without_total(facts: HostFacts) -> HostFacts:
    """A host without any memory is one whose memory was not read."""
    memory = replace(facts.memory, mem_total_bytes=None)
    unseen = {"memory": "MemTotal is 0, which no host has", **facts.unseen}
    return replace(facts, memory=memory, unseen=unseen)

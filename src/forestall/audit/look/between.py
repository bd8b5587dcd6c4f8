"""What stands between a leak and the database: HostFacts -> Points."""

from typing import NamedTuple

from forestall.audit.exhaustion import host_exhaustion
from forestall.audit.headroom import swap_kinds, too_little_swap
from forestall.audit.holders import (
    database_bytes,
    heaviest_killable,
    main_database,
    weight_bytes,
)
from forestall.audit.limits import tightest_limit
from forestall.audit.reading import fact, sysctl, sysctl_number
from forestall.audit.services import NAMED_MOST, named, services
from forestall.audit.settings import OOMD_ALONE, STRICT_OVERCOMMIT, prompt_guards
from forestall.model.facts import HostFacts
from forestall.model.finding import Answer, Fact, Outcome, Point
from forestall.units import format_bytes


class _Told(NamedTuple):
    """A Point without its name."""

    answer: Answer
    text: str
    facts: tuple[Fact, ...] = ()
    remedy: str | None = None


def between(facts: HostFacts) -> tuple[Point, ...]:
    """Swap, overcommit, limits, guards, the database's score, and forestall itself."""
    points = {
        "swap": _swap(facts),
        "overcommit": _overcommit(facts),
        "memory limits": _limits(facts),
        "OOM guard": _guards(facts),
        "oom_score_adj": _score(facts),
        "forestall": _forestall(facts),
    }
    return tuple(Point(name=name, **told._asdict()) for name, told in points.items() if told)


def protected_text(facts: HostFacts) -> str:
    """Whom this is about: the database, or why none is named."""
    index = main_database(facts)
    if index is not None:
        database = (facts.databases or ())[index]
        unit = f", {database.process.unit}" if database.process.unit else ""
        size = format_bytes(database_bytes(facts, database))
        others = len(facts.databases or ()) - 1
        more = f"; {others} more {'is' if others == 1 else 'are'} smaller" if others else ""
        return f"{database.process.name} (pid {database.process.key.pid}, {size}{unit}){more}."
    if facts.databases is None:
        return "Whether a database runs here could not be seen."
    seen = "No database is seen here"
    if facts.hidden_processes:
        return f"{seen}, but other users' processes are hidden."
    running = services(facts)
    largest = max(running, key=lambda service: service.memory_bytes or 0, default=None)
    if largest is None or not largest.memory_bytes:
        return f"{seen}; what follows holds for whatever runs here."
    size = format_bytes(largest.memory_bytes)
    return f"{seen}. The largest service is {largest.name} ({size})."


def _swap(facts: HostFacts) -> _Told:
    limit = tightest_limit(facts)
    if facts.container and limit is not None and facts.own_cgroups[limit].swap_max_bytes == 0:
        pointer = f"/own_cgroups/{limit}/swap_max_bytes"
        text = "this container may not use any."
        own = (fact(facts, pointer, source="memory.swap.max"),)
        return _Told(Answer.NO, text, own)
    total, free = facts.memory.swap_total_bytes, facts.memory.swap_free_bytes
    read = (fact(facts, "/memory/swap_total_bytes"), fact(facts, "/memory/swap_free_bytes"))
    if total is None:
        return _Told(Answer.UNKNOWN, "SwapTotal could not be read.")
    if total == 0:
        return _Told(Answer.NO, "none: nothing slows a leak down before memory is gone.", read)
    kinds = f" ({kind})" if (kind := swap_kinds(facts)) else ""
    text = f"{format_bytes(total)}{kinds}, {format_bytes(free or 0)} free"
    little = too_little_swap(facts)
    if little is not None:
        return _Told(Answer.NO, f"{text}: {little}.", read)
    if not free or free < total / 10:
        text += ": nearly used up."
        return _Told(Answer.NO, text, read)
    text += ": the host slows down before it runs out."
    return _Told(Answer.YES, text, read)


def _overcommit(facts: HostFacts) -> _Told:
    number = sysctl_number(facts, "vm.overcommit_memory")
    read: tuple[Fact, ...] = (sysctl(facts, "vm.overcommit_memory"),)
    if number is None:
        return _Told(Answer.UNKNOWN, "vm.overcommit_memory could not be read.", read)
    if number == STRICT_OVERCOMMIT:
        text = "vm.overcommit_memory=2: programs are refused memory before it is gone"
        limit, committed = facts.commit_limit_bytes, facts.committed_bytes
        if limit is not None and committed is not None:
            read += (fact(facts, "/committed_bytes"), fact(facts, "/commit_limit_bytes"))
            text += f" ({format_bytes(committed)} of {format_bytes(limit)} promised)"
        text += "; the database may be the one refused."
        return _Told(Answer.YES, text, read)
    how = "no request is ever refused" if number == 1 else "only absurd requests are refused"
    leak = "" if number == 1 else "; a leak is not"
    return _Told(Answer.NO, f"vm.overcommit_memory={number}: {how}{leak}.", read)


def _limits(facts: HostFacts) -> _Told:
    index = tightest_limit(facts)
    if facts.container and index is not None:
        size = format_bytes(facts.own_cgroups[index].max_bytes or 0)
        text = f"this container may take {size}; a leak in here ends in here."
        own = (fact(facts, f"/own_cgroups/{index}/max_bytes", source="cgroup"),)
        return _Told(Answer.YES, text, own)
    if facts.units is None:
        why = facts.unseen.get("units", "systemd could not be asked")
        return _Told(Answer.UNKNOWN, f"{why}.")
    running = [service for service in services(facts) if not service.database]
    ours = [service for service in running if service.own]
    unlimited = [service for service in ours or running if service.limited is False]
    read = tuple(
        fact(facts, f"{service.pointer}/memory_max_bytes", source="systemctl show")
        for service in unlimited[:NAMED_MOST]
    )
    whose = "the site's own services" if ours else "the running services"
    if not running:
        return _Told(Answer.NO, "no other service of systemd runs here.")
    if not unlimited:
        if any(service.limited is None for service in ours or running):
            return _Told(Answer.UNKNOWN, "systemd did not tell them.")
        return _Told(Answer.YES, f"each of {whose} has one.")
    return _Told(Answer.NO, f"{named(unlimited)} may take all that is left: no limit.", read)


def _guards(facts: HostFacts) -> _Told:
    read = (fact(facts, "/guards"),)
    if facts.guards is None:
        return _Told(Answer.UNKNOWN, "processes could not be seen.")
    prompt = prompt_guards(facts)
    if prompt:
        text = f"{' and '.join(prompt)} runs: it kills one process a little before the kernel."
        return _Told(Answer.YES, text, read)
    if "systemd-oomd" in facts.guards:
        return _Told(Answer.UNKNOWN, f"{OOMD_ALONE}.", read)
    if facts.hidden_processes:
        return _Told(Answer.UNKNOWN, "none is seen, but other users' processes are hidden.", read)
    if facts.container:
        text = "none in this container; the host's cannot be seen from here."
        return _Told(Answer.UNKNOWN, text, read)
    return _Told(Answer.NO, "none runs (earlyoom, nohang, systemd-oomd).", read)


def _score(facts: HostFacts) -> _Told | None:
    index = main_database(facts)
    if index is None:
        return None
    database = (facts.databases or ())[index]
    adjust = database.oom_score_adjust
    source = f"/proc/{database.process.key.pid}/oom_score_adj"
    read = (fact(facts, f"/databases/{index}/oom_score_adjust", source=source),)
    who = database.process.name
    if host_exhaustion(facts).outcome is Outcome.PANIC:
        has = "an unknown one" if adjust is None else adjust
        text = f"{who} has {has}, which does not help here: the host panics instead."
        return _Told(Answer.NO, text, read)
    if adjust is None:
        return _Told(Answer.UNKNOWN, f"that of {who} could not be read.", read)
    return _compared(facts, index, read)


def _compared(facts: HostFacts, index: int, read: tuple[Fact, ...]) -> _Told:
    """Who dies first: a process of the database, or a leak that took all that is left."""
    database = (facts.databases or ())[index]
    who, adjust = database.process.name, database.oom_score_adjust
    killable = heaviest_killable(facts, database)
    if killable is None:
        return _Told(Answer.YES, f"{who} has {adjust}: the OOM killer never takes it.", read)
    left, weight = facts.memory.headroom_bytes, weight_bytes(facts, killable)
    has = f"{who} has {adjust}"
    if killable.oom_score_adjust != adjust:
        has += f", its other processes {killable.oom_score_adjust}"
    if left is None or weight is None:
        return _Told(Answer.UNKNOWN, f"{has}; who dies first cannot be told.", read)
    if weight <= 0:
        return _Told(Answer.YES, f"{has}: any leak elsewhere is killed first.", read)
    if left < weight:
        text = (
            f"{has}: a new leak elsewhere can take the {format_bytes(left)} that is left, less "
            f"than {who} weighs ({format_bytes(weight)}), so {who} is killed for it."
        )
        return _Told(Answer.NO, text, read)
    text = (
        f"{has}: a leak elsewhere is killed first only once it holds more than "
        f"{format_bytes(weight)}; {format_bytes(left)} is left."
    )
    return _Told(Answer.YES, text, read)


def _forestall(facts: HostFacts) -> _Told:
    read = (fact(facts, "/guards"),)
    if facts.guards is not None and "forestall" in facts.guards:
        text = "forestall watch runs; whether it may act is its --mode."
        return _Told(Answer.UNKNOWN, text, read)
    if facts.guards is None or facts.hidden_processes:
        return _Told(Answer.UNKNOWN, "whether forestall watch runs could not be seen.", read)
    if facts.container:
        return _Told(Answer.UNKNOWN, "not running in this container.", read)
    text = "not running: nobody notices a leak before it is over."
    return _Told(Answer.NO, text, read, remedy="forestall watch")

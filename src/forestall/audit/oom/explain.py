"""Event -> Account: one event in sentences, with what cannot be said kept apart."""

import dataclasses

from forestall.audit.oom.account import Account, Ending
from forestall.audit.oom.choice import why_chosen
from forestall.audit.oom.nouns import Event, Kill, Kind, Scope, Task
from forestall.audit.oom.panics import by_setting, why_panicked
from forestall.audit.oom.remedies import hides_huge_pages, next_steps, tables_may_be_off
from forestall.audit.oom.shortage import RanOut, Shortage, ran_out, reachable
from forestall.audit.oom.tally import (
    BLAME_SHARE_MIN,
    Holder,
    HolderKind,
    Tally,
    table_is_whole,
    tally,
)
from forestall.units import format_bytes

TASKS_KEPT = 50
ZONES_KEPT = 64
CACHES_KEPT = 10


def explain(event: Event, number: int) -> Account:
    """The account of one event, as number `number` of its log."""
    counted = tally(event)
    out = ran_out(event)
    culprits = _culprits(event, counted, out)
    ending = _ending(event)
    victims = event.kills or ((event.chosen,) if event.chosen and not event.panic else ())
    return Account(
        number=number,
        kind=event.kind,
        ending=ending,
        headline=_headline(event, counted, out, culprits, ending, victims),
        line=event.line,
        last_line=event.last_line,
        ran_out=out,
        culprit=_culprit_text(event, counted, out, culprits),
        host=event.host,
        at=event.at,
        seconds=event.seconds,
        kernel=event.kernel,
        invoker=event.invoker,
        invoker_pid=event.invoker_pid,
        order=event.order,
        gfp=event.gfp_names or (None if event.gfp_mask is None else hex(event.gfp_mask)),
        page_bytes=event.page_bytes,
        cgroup=event.cgroup,
        whole_bytes=counted.whole_bytes,
        swap_total_bytes=event.swap_total_bytes,
        swap_free_bytes=event.swap_free_bytes,
        parts=counted.parts,
        zones=event.zones[:ZONES_KEPT],
        culprits=culprits,
        holders=counted.holders,
        tasks=tuple(sorted(event.tasks, key=_largest_first)[:TASKS_KEPT]),
        tasks_seen=len(event.tasks),
        caches=tuple(sorted(event.caches, key=lambda one: -one.total_bytes)[:CACHES_KEPT]),
        victims=victims,
        why_victim=tuple(why_chosen(event)),
        panic=event.panic,
        why_panic=tuple(why_panicked(event)),
        unknown=tuple(_unknown(event, counted, culprits)),
        next_steps=tuple(next_steps(event, out, culprits, ending)),
    )


def _largest_first(task: Task) -> tuple[int, int]:
    return -task.held_bytes, task.pid


def _ending(event: Event) -> Ending:
    if event.panic is not None:
        return Ending.PANICKED
    if event.kills:
        return Ending.KILLED
    if event.kind is Kind.ALLOCATION_FAILURE:
        return Ending.REFUSED
    if event.nothing_killable:
        return Ending.NOBODY_KILLED
    return Ending.UNKNOWN


def _culprits(event: Event, counted: Tally, out: RanOut) -> tuple[Holder, ...]:
    """Who really holds what ran out; nobody where nothing was used up."""
    if event.head_lost and event.zones and out.shortage is Shortage.UNKNOWN:
        # Not all of the host had run out, so who holds most of it need not have to do with it.
        return ()
    if out.shortage in (Shortage.NOTHING, Shortage.FRAGMENTATION):
        return counted.blamed if event.kind is Kind.SNAPSHOT else ()
    found = _in_zone(event, counted) if out.shortage is Shortage.ZONE else counted.blamed
    return () if any(_is_in_pages(event, one) for one in found) else found


def _is_in_pages(event: Event, holder: Holder) -> bool:
    """Whether its size stands and falls with the size of a page that is only assumed."""
    if event.page_known:
        return False
    of_tasks = holder.kind.is_process or holder.kind is HolderKind.UNLISTED
    return bool(event.tasks) if of_tasks or event.in_cgroup else bool(event.counts)


def _in_zone(event: Event, counted: Tally) -> tuple[Holder, ...]:
    """A low zone is filled by the kernel's own memory; that of processes mostly lies above it."""
    low = sum(zone.managed_bytes or 0 for zone in reachable(event))
    found = [
        dataclasses.replace(one, share=min(1.0, one.bytes / low))
        for one in counted.holders
        if low and one.kind in (HolderKind.SLAB, HolderKind.PAGE_TABLES, HolderKind.UNNAMED)
    ]
    return tuple(one for one in found[:1] if (one.share or 0) >= BLAME_SHARE_MIN)


def _culprit_text(event: Event, counted: Tally, out: RanOut, culprits: tuple[Holder, ...]) -> str:
    if not culprits:
        return _nobody(event, counted, out)
    if culprits[0].kind is HolderKind.UNLISTED:
        size = format_bytes(culprits[0].bytes)
        share = _percent(culprits[0])
        return f"UNKNOWN: processes hold {size} ({share}) that no row of the log accounts for."
    of = " of the zone" if out.shortage is Shortage.ZONE else ""
    text = " and ".join(f"{_held_by(event, one)} ({_percent(one)}{of})" for one in culprits)
    of_nobody = not any(
        one.kind.is_process or one.kind is HolderKind.HUGE_PAGES_USED for one in culprits
    )
    if of_nobody:
        text = f"No process: {text}"
    if not counted.complete:
        text += "; memory of the kernel itself is not counted here"
    return text + "."


def _nobody(event: Event, counted: Tally, out: RanOut) -> str:
    if event.by_hand:
        return "Nobody is to blame: memory had not run out."
    if out.shortage is Shortage.FRAGMENTATION:
        return "Nobody is to blame: memory was not used up."
    if out.shortage is Shortage.ZONE:
        return "UNKNOWN: who fills this zone is not said; the largest of the host are below."
    if not counted.holders:
        return "UNKNOWN: the log holds no table of tasks and no counters."
    if not event.tasks and not counted.complete:
        return "UNKNOWN: neither the table of tasks nor the kernel's counters are in the log."
    top = counted.holders[0]
    if _is_in_pages(event, top):
        return f"UNKNOWN: the size of a page is not said; with 4 KiB, it is {_held_by(event, top)}."
    held = _held_by(event, top)
    if top.share is None:
        return f"UNKNOWN: {held}, is the largest in the table; what the kernel holds is not said."
    return f"Nobody stands out: the largest, {held}, has {_percent(top)} of the memory."


def _held_by(event: Event, holder: Holder) -> str:
    """`postgres (6 processes), 2.1 GiB`."""
    if holder.kind is HolderKind.PROCESS:
        name = f"{holder.name} (pid {holder.pid})"
    elif holder.kind is HolderKind.PROCESSES:
        name = f"{holder.name} ({holder.count} processes)"
    else:
        name = holder.name
    if holder.kind is HolderKind.SLAB and event.caches:
        cache = max(event.caches, key=lambda one: one.total_bytes)
        name = f"{name} (the largest cache: {cache.name}, {format_bytes(cache.total_bytes)})"
    size = format_bytes(holder.bytes)
    if holder.most_bytes is not None:
        size = f"{size} with shared pages counted once"
    return f"{name}, {size}"


def _percent(holder: Holder) -> str:
    if holder.share is None:
        return "?"
    return "nearly all of it" if holder.capped else f"{holder.share:.0%}"


def _short(holder: Holder) -> str:
    if holder.kind is HolderKind.PROCESS:
        return f"{holder.name} (pid {holder.pid})"
    if holder.kind is HolderKind.PROCESSES:
        return f"{holder.count} processes {holder.name}"
    return holder.name


def _headline(
    event: Event,
    counted: Tally,
    out: RanOut,
    culprits: tuple[Holder, ...],
    ending: Ending,
    victims: tuple[Kill, ...],
) -> str:
    """One or two sentences: who held it, what the kernel did."""
    if event.kind is Kind.SNAPSHOT:
        return f"{_who(event, counted, out, culprits)} This is the dump's moment, not a shortage."
    if event.by_hand and event.panic:
        because = f" because of {by_setting(event)}" if by_setting(event) else ""
        return f"A person asked for a kill by SysRq, and the kernel panicked{because}."
    if event.kind is Kind.PANIC:
        if event.panic and event.panic.waiting:
            return "The kernel panicked while tasks waited for memory; nothing says who held it."
        did = _did(event, culprits, ending, victims)
        return f"Only the panic is in the log, not the report of memory before it. {did}"
    if event.by_hand:
        return f"A person had the kernel kill by SysRq; it took {_victims(victims)}."
    return f"{_who(event, counted, out, culprits)} {_did(event, culprits, ending, victims)}"


def _who(event: Event, counted: Tally, out: RanOut, culprits: tuple[Holder, ...]) -> str:
    if out.shortage is Shortage.FRAGMENTATION:
        return "Memory was not used up but fragmented: no adjacent pages as many as were asked for."
    where = {
        Shortage.ZONE: out.what.removesuffix(", while the host has memory left"),
        Shortage.CGROUP: f"cgroup {event.cgroup or '(unnamed)'}",
        Shortage.NODES: out.what.removeprefix("the memory of "),
    }.get(out.shortage, "the host")
    ran_out_in = _ran_out_in(event, out, where)
    if event.kind is Kind.KILL_LINE:
        part = "kill" if event.kills or event.chosen else "end"
        said = f" {ran_out_in}." if event.scope is not Scope.UNKNOWN else ""
        return f"Only the {part} is in the log, not the report before it.{said}"
    cut = not event.tasks and not (event.kills or event.chosen or event.panic)
    if cut and culprits and culprits[0].kind is HolderKind.UNLISTED:
        return f"{ran_out_in}; who held it was in lines that are missing here."
    if culprits and culprits[0].kind is HolderKind.UNLISTED:
        return f"{ran_out_in}; processes that the log does not list held most of it."
    if not culprits:
        return f"{ran_out_in}; who held it cannot be named for sure."
    # Blame needs a share, and so the whole is known.
    if out.shortage is Shortage.ZONE:
        return f"No process held it: {_short(culprits[0])} filled {where}."
    whole = format_bytes(counted.whole_bytes or 0)
    if where == "the host":
        swap = " and swap" if event.swap_used_bytes else ""
        whole = f"the host's {whole} of memory{swap}"
    else:
        whole = f"the {whole} of {where}"
    names = " and ".join(_short(one) for one in culprits)
    size = format_bytes(sum(one.bytes for one in culprits))
    if culprits[0].kind is HolderKind.HUGE_PAGES_USED:
        return f"{size} of {whole} was huge pages in use; by which process, the log does not say."
    if not culprits[0].kind.is_process:
        return f"No process held it: {size} of {whole} was {names}."
    if culprits[0].capped:
        return f"{names} held nearly all of {whole}."
    return f"{names} held {size} of {whole}."


def _ran_out_in(event: Event, out: RanOut, where: str) -> str:
    """What ran out, as a clause that says no more than is known."""
    if out.shortage is not Shortage.UNKNOWN or event.scope in (Scope.NODES, Scope.CGROUP):
        return f"Memory ran out in {where}"
    if event.kind is Kind.ALLOCATION_FAILURE:
        return "A request for memory was refused"
    if event.scope is Scope.UNKNOWN:
        return "Memory ran out in the host or a cgroup, which is not said"
    return "The host ran short of memory"


def _did(
    event: Event, culprits: tuple[Holder, ...], ending: Ending, victims: tuple[Kill, ...]
) -> str:
    match ending:
        case Ending.PANICKED:
            setting = by_setting(event)
            if setting is None and event.nothing_killable:
                return "The kernel found nobody it may kill, and panicked."
            if victims:
                because = f" because of {setting}" if setting else ""
                return f"The kernel killed {_victims(victims)}, and panicked later{because}."
            because = f" because of {setting}" if setting else ""
            return f"The kernel panicked instead of killing a process{because}."
        case Ending.KILLED:
            if any(one.was_hit(victims) for one in culprits):
                many = any(one.count > 1 for one in culprits)
                held = "one of those that held it" if many else "the one that held it"
                return f"The kernel killed {_victims(victims)}: {held}."
            if culprits and culprits[0].kind.is_process:
                return f"The kernel killed {_victims(victims)} instead, which held less."
            if culprits:
                return f"The kernel killed {_victims(victims)}, which did not hold it."
            return f"The kernel killed {_victims(victims)}."
        case Ending.REFUSED:
            return f"The kernel refused {event.invoker or 'someone'} memory and killed nobody."
        case Ending.NOBODY_KILLED:
            return "The kernel found nobody it may kill, and the request failed or waits."
        case _:
            chosen = f"; it had chosen {_victims(victims)}" if victims else ""
            return f"The log ends before it says what the kernel did{chosen}."


def _victims(victims: tuple[Kill, ...]) -> str:
    if not victims:
        return "nobody that the log names"
    shown = " and ".join(f"{kill.name} (pid {kill.pid})" for kill in victims[:2])
    more = len(victims) - 2
    return shown + (f" and {more} more" if more > 0 else "")


def _unknown(event: Event, counted: Tally, culprits: tuple[Holder, ...]) -> list[str]:
    """What the log does not carry, and so what is not said above."""
    if event.kind is Kind.KILL_LINE:
        return ["What ran out and who held it: the report before the kill is not in this input."]
    text = []
    if event.head_lost:
        text.append(f"Who asked for memory, and how much of which kind: {event.head_lost}.")
    if event.cut:
        text.append("How it ended: the input ends inside the report.")
    text += _unknown_tasks(event)
    if event.in_cgroup:
        text += _unknown_cgroup(event, counted)
    elif not counted.complete and event.kind is not Kind.PANIC:
        text.append("What slab, tmpfs, huge pages and other kernel memory held.")
    if not event.page_known and (event.tasks or event.counts):
        text.append("The size of a page: 4 KiB is assumed.")
    if hides_huge_pages(event, culprits):
        text.append("How much memory is reserved as huge pages: the report has no line of them.")
    if any(one.kind is HolderKind.SLAB for one in culprits) and not event.caches:
        text.append("Which slab cache it is: the kernel prints them since 4.15, and not always.")
    text += [f'Lines that the kernel left out here: "{line}".' for line in event.lost]
    if any(huge.total > huge.free for huge in event.huge_pages):
        text.append("Which process uses the huge pages: they are in no column of the table.")
    return text


def _unknown_tasks(event: Event) -> list[str]:
    if not event.tasks:
        if event.kind is not Kind.OOM or event.by_hand or event.nothing_killable:
            return []
        if event.tasks_header:
            why = "its head line is there, and no row: the log was filtered, or lines were lost"
            return [f"Which processes held memory: {why}."]
        off = tables_may_be_off(event)
        why = "vm.oom_dump_tasks=0, or the lines were lost" if off else "the lines are missing"
        return [f"Which processes held memory: there is no table of tasks ({why})."]
    text = []
    if not event.tasks_header:
        text.append("Swap and page tables of each process: the table's head line is missing.")
    elif all(task.swap_bytes is None for task in event.tasks):
        text.append("Swap and page tables of each process: this kernel does not print them.")
    if event.tasks_short:
        text.append(f"What {event.tasks_short} more processes held: their rows are cut.")
    elif event.tasks_header and not table_is_whole(event):
        text.append("Whether the table of tasks is whole: what follows it is not in the input.")
    return text


def _unknown_cgroup(event: Event, counted: Tally) -> list[str]:
    text = []
    if not counted.complete:
        text.append("What of the cgroup's memory is page cache, tmpfs or the kernel's.")
    if event.cgroup is None:
        text.append("Which cgroup it was.")
    if event.tasks:
        text.append(
            "The table shows what each process has mapped; pages of shared libraries and files in "
            "it may be charged to another cgroup."
        )
    return text

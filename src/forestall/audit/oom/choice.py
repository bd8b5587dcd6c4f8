"""Whom the kernel chose, and why: the arithmetic of oom_badness() in mm/oom_kill.c.

    points = resident + swapped out + page tables      (pages)
           + oom_score_adj * (memory + swap) / 1000     (of the cgroup's limit, or of the nodes)

The highest is killed; oom_score_adj -1000 never. Before 4.17 root's processes had a bonus of 3 %,
and before 5.1 a child of the chosen one died in its place.
"""

import re
from dataclasses import dataclass

from forestall.audit.oom.nouns import Constraint, Event, Kill, Task
from forestall.audit.oom.tally import ram_bytes, table_is_whole
from forestall.units import format_bytes

UNKILLABLE = -1000
ROOT_BONUS = 0.03
CLOSE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a process weighs, in pages; `per_mille` as old kernels print it."""

    task: Task
    points: int
    per_mille: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What a thousand points of oom_score_adj stand for, in pages; the least, if not `exact`.

    `by_score`: worked out from the score that the kernel printed, and so no check of it.
    """

    pages: int
    exact: bool
    by_score: bool = False


def total_pages(event: Event) -> Total | None:
    """By constrained_alloc() and mem_cgroup_get_max(); None where the log does not say."""
    page = event.page_bytes
    if event.in_cgroup:
        return _of_cgroup(event)
    swap = (event.swap_total_bytes or 0) // page
    if event.constraint in (Constraint.CPUSET, Constraint.MEMORY_POLICY):
        managed = [zone.present_bytes for zone in event.zones]
        if not managed or None in managed:
            return None
        return Total(pages=sum(size or 0 for size in managed) // page + swap, exact=True)
    ram = ram_bytes(event)
    if ram is None:
        return None
    return Total(pages=ram // page + swap, exact=event.swap_total_bytes is not None)


def _of_cgroup(event: Event) -> Total | None:
    """The limit and the swap that the cgroup may use: all of the host's, where nothing limits it,
    and how much that is a cgroup's report does not say. An old kernel's score gives it away.
    """
    gauges = event.pool.gauges if event.pool else {}
    memory, both, swap = (gauges.get(name) for name in ("memory", "memory+swap", "swap"))
    if memory is None or memory.limit_bytes is None:
        return None
    page = event.page_bytes
    pages = memory.limit_bytes // page
    no_swap = swap is not None and swap.limit_bytes == 0
    if no_swap or (both is not None and both.limit_bytes == memory.limit_bytes):
        return Total(pages=pages, exact=True)
    chosen = event.chosen or (event.kills[0] if event.kills else None)
    row = next((task for task in event.tasks if chosen and task.pid == chosen.pid), None)
    if chosen is not None and chosen.score is not None and row is not None:
        share = chosen.score - (row.oom_score_adjust or 0)
        if share > 0:
            derived = max(pages, row.held_bytes // page * 1000 // share)
            return Total(pages=derived, exact=True, by_score=True)
    return Total(pages=pages, exact=False)


def scores(event: Event) -> list[Score]:
    """Every killable process that the log lists, the heaviest first."""
    total = total_pages(event)
    thousandth = total.pages // 1000 if total else None
    found = []
    for task in event.tasks:
        adjust = task.oom_score_adjust
        if adjust is None or adjust <= UNKILLABLE or task.pid == 1:
            continue
        points = task.held_bytes // event.page_bytes
        if adjust:
            if thousandth is None:
                continue
            points += adjust * thousandth
        per_mille = points * 1000 // total.pages if total and total.exact and total.pages else None
        found.append(Score(task=task, points=points, per_mille=per_mille))
    return sorted(found, key=lambda one: -one.points)


def why_chosen(event: Event) -> list[str]:
    """Sentences on the choice; empty where nobody was chosen."""
    kill = event.kills[0] if event.kills else event.chosen
    if kill is None:
        return []
    if event.kills_who_asks:
        why = "vm.oom_kill_allocating_task is on, so what it holds did not count"
        return [f"{_named(kill)} was killed because it was the one who asked for memory: {why}."]
    text = []
    child = event.chosen is not None and event.kills and event.chosen.pid != kill.pid
    judged = event.chosen if child and event.chosen else kill
    if child and event.chosen:
        text.append(
            f"The kernel chose {_named(event.chosen)} and killed its child {_named(kill)} in its "
            "place, as kernels before 5.1 do to save the parent's work."
        )
    if len(event.kills) > 1 and any(one.group for one in event.kills):
        text.append("Its whole cgroup was killed with it: memory.oom.group is 1 there.")
    return text + _by_score(event, judged)


def _by_score(event: Event, kill: Kill) -> list[str]:
    ranked = scores(event)
    mine = next((one for one in ranked if one.task.pid == kill.pid), None)
    if mine is None:
        if not event.tasks:
            return ["Why it was chosen cannot be told: the table of tasks is not in the log."]
        if any(task.pid == kill.pid for task in event.tasks):
            missing = "how much memory and swap count, and so a point of oom_score_adj, is not said"
            return [f"Why it was chosen cannot be told: {missing}."]
        return ["Why it was chosen cannot be told: its row of the table is not in the log."]
    text = [_arithmetic(event, mine, ranked[0] is mine, kill)]
    above = [one for one in ranked if one.points > mine.points]
    if above:
        text.append(_passed_over(event, mine, above))
    spared = [task for task in event.tasks if task.oom_score_adjust == UNKILLABLE]
    heavier = [task for task in spared if task.held_bytes > mine.task.held_bytes]
    if heavier:
        most = max(heavier, key=lambda task: task.held_bytes)
        text.append(
            f"{most.name} (pid {most.pid}) holds more, {format_bytes(most.held_bytes)}, and may "
            "not be killed: its oom_score_adj is -1000."
        )
    return text


def _arithmetic(event: Event, mine: Score, first: bool, kill: Kill) -> str:
    task, page = mine.task, event.page_bytes
    pieces = [f"{task.rss_bytes // page} resident"]
    if task.swap_bytes is not None:
        pieces.append(f"{task.swap_bytes // page} swapped out")
    if task.page_table_bytes is not None:
        pieces.append(f"{task.page_table_bytes // page} of page tables")
    text = f"{_named(kill)} weighed {mine.points} pages: " + " + ".join(pieces)
    adjust = task.oom_score_adjust or 0
    total = total_pages(event)
    if adjust and total is not None:
        sign = "+" if adjust > 0 else "-"
        least = "" if total.exact else "at least "
        text += f" {sign} {least}{abs(adjust) * (total.pages // 1000)} for oom_score_adj {adjust}"
    if first:
        text += ", the highest of those that may be killed"
    if kill.score is not None and total is not None and total.by_score:
        size = format_bytes(total.pages * page)
        text += f" (the kernel's score of {kill.score} says that {size} of limit and swap count)"
    elif kill.score is not None and mine.per_mille is not None:
        text += f" (the kernel printed a score of {kill.score}; this is {mine.per_mille})"
    return text + "."


def _passed_over(event: Event, mine: Score, above: list[Score]) -> str:
    most = above[0]
    name = f"{most.task.name} (pid {most.task.pid})"
    margin = most.points - mine.points
    root = most.task.uid == 0 and mine.task.uid != 0
    total = total_pages(event)
    bonus = ROOT_BONUS * total.pages if total else 0
    if root and _has_root_bonus(event.kernel) and margin <= bonus:
        return (
            f"{name} weighs {margin} pages more; it is root's, which up to 4.16 had a bonus of 3 %."
        )
    if margin <= CLOSE * max(1, mine.points):
        return (
            f"{name} weighs {margin} pages more by the table, which is too close to call: the "
            "table was printed after the choice."
        )
    whole = "" if table_is_whole(event) else " The table is not whole here."
    return (
        f"By the table {name} weighs more, {most.points} pages; why it was passed over is not in "
        f"the log (a task that was already dying, or one that shares memory with init).{whole}"
    )


def _has_root_bonus(kernel: str | None) -> bool:
    found = re.match(r"(\d+)\.(\d+)", kernel or "")
    return found is not None and (int(found[1]), int(found[2])) < (4, 17)


def _named(kill: Kill) -> str:
    return f"{kill.name} (pid {kill.pid})"

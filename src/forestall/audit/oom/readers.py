"""Each line of the kernel's report, read into the Draft it belongs to."""

import dataclasses
import re
from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

from forestall.audit.oom import words
from forestall.audit.oom.draft import (
    CACHES_MAX,
    COLUMNS_ALWAYS,
    KILLS_MAX,
    STATS_MAX,
    TASKS_MAX,
    UNLIMITED_KIB,
    ZONES_MAX,
    Draft,
    RawTask,
    Section,
    Stage,
)
from forestall.audit.oom.nouns import Cache, Constraint, Gauge, HugePages, Kill, Zone
from forestall.units import KIB

OOM_KILL_CHARS_MAX = 4_096
NUMBER_CHARS_MAX = 19
# Only a cgroup's end goes through this function of the kernel.
IN_CGROUP = "mem_cgroup_out_of_memory"
CGROUP_WORDS, HOST_WORDS = "Memory cgroup out of memory", "Out of memory"

Found = re.Match[str]


class Reader(NamedTuple):
    """What a line looks like, who reads what was found in it (with the line's number), and the part
    of a report it stands in. `once`: a report has one such line.
    """

    pattern: re.Pattern[str]
    read: Callable[[Draft, Found, int], None]
    stage: Stage
    once: bool = False


class Part(NamedTuple):
    """A line that is part of a report."""

    found: Found
    reader: Reader

    @property
    def title(self) -> str:
        """What stands once in a report; of the gauges, one of each kind."""
        return self.found["what"] if self.found.re is words.GAUGE else self.found.re.pattern


def find(text: str, draft: Draft | None = None) -> Part | None:
    """What a line is; inside an event, more can be told of it."""
    # Its first character rules out most of them.
    readers = LETTER_READERS
    if text.startswith("["):
        readers = TABLE_READERS if draft is not None and draft.columns else BRACKET_READERS
    elif text[0].isdigit():
        readers = DIGIT_READERS
    section = Section.NONE if draft is None else draft.section
    for reader in chain(SECTION_READERS[section], readers):
        found = reader.pattern.match(text)
        if found is not None:
            return Part(found, reader)
    return None


def take(draft: Draft, part: Part, number: int) -> None:
    """Read the line into its event."""
    reader = part.reader
    reader.read(draft, part.found, number)
    draft.last_line = number
    draft.idle = 0
    # What comes after a kill may be about an older one.
    if draft.stage < reader.stage < Stage.AFTER:
        draft.stage = reader.stage
    if reader.once:
        draft.titles.add(part.title)


def _header(draft: Draft, found: Found, _line: int) -> None:
    columns = tuple(found["columns"].split())
    if columns[-1] == "name" and set(COLUMNS_ALWAYS) <= set(columns):
        draft.columns = columns[:-1]
        draft.section = Section.NONE


def _task(draft: Draft, found: Found, _line: int) -> None:
    columns = draft.columns or ()
    parts = found["rest"].split(None, len(columns))
    numbers = {}
    # Where the line was cut, half a number would be worse than none.
    if len(parts) > len(columns):
        try:
            numbers = {one: _number(part) for one, part in zip(columns, parts, strict=False)}
        except ValueError:
            pass
    _add_task(draft, found["pid"], parts[-1], numbers)


def _task_without_header(draft: Draft, found: Found, _line: int) -> None:
    values = found["values"].split()
    numbers = dict(zip(COLUMNS_ALWAYS, map(int, values), strict=False))
    _add_task(draft, found["pid"], found["name"], {**numbers, "oom_score_adj": int(values[-1])})


def _add_task(draft: Draft, pid: str, name: str, numbers: dict[str, int]) -> None:
    least = min(numbers.get(column, -1) for column in COLUMNS_ALWAYS)
    if len(draft.tasks) >= TASKS_MAX or least < 0:
        draft.tasks_short += 1
        return
    draft.section = Section.NONE
    draft.tasks.append(RawTask(pid=int(pid), name=name[:64], numbers=numbers))


def _number(text: str) -> int:
    if len(text) > NUMBER_CHARS_MAX:
        raise ValueError(text)
    return int(text)


def _zone(draft: Draft, found: Found, _line: int) -> None:
    text = found.string
    kilo = _sizes(words.KILO, text)
    if len(draft.zones) >= ZONES_MAX:
        return
    key = draft.last_zone = (_int(found["node"]), found["name"])
    draft.zones[key] = Zone(
        node=key[0],
        name=key[1],
        free_bytes=kilo["free"],
        min_bytes=kilo.get("min"),
        low_bytes=kilo.get("low"),
        high_bytes=kilo.get("high"),
        managed_bytes=kilo.get("managed"),
        present_bytes=kilo.get("present"),
        cma_bytes=kilo.get("free_cma", 0),
        highatomic_bytes=kilo.get("free_highatomic", kilo.get("reserved_highatomic", 0)),
        unreclaimable=_yes(text),
    )
    # Up to 4.7 the zones tell it, since then the nodes (and 4.8 to 5.9 the zones again).
    _add_stack(draft, kilo)
    # Some logs have both in one line: the kernel printed them without a level of their own.
    reserve = words.RESERVE.search(text)
    if reserve is not None:
        _reserve(draft, reserve, _line)


def _node(draft: Draft, found: Found, _line: int) -> None:
    _add_stack(draft, _sizes(words.KILO, found.string))


def _add_stack(draft: Draft, kilo: dict[str, int]) -> None:
    if "kernel_stack" in kilo:
        draft.kernel_stack = (draft.kernel_stack or 0) + kilo["kernel_stack"]


def _yes(text: str) -> bool | None:
    if "all_unreclaimable?" not in text:
        return None
    return "all_unreclaimable? yes" in text


def _reserve(draft: Draft, found: Found, _line: int) -> None:
    if draft.last_zone is not None:
        pages = tuple(int(word) for word in found["pages"].split())
        zone = draft.zones[draft.last_zone]
        draft.zones[draft.last_zone] = dataclasses.replace(zone, reserve_pages=pages)


def _buddy(draft: Draft, found: Found, _line: int) -> None:
    blocks = []
    for count, size, types in words.BLOCK.findall(found["rest"]):
        # Blocks of CMA alone (C) and those held for atomic requests (H) serve few requests.
        usable = not types or bool(set(types) - set("CHI"))
        blocks.append((int(size) * KIB, int(count) if usable else 0))
    if blocks:
        draft.block_bytes = blocks[0][0]
        key = (_int(found["node"]), found["name"])
        if key in draft.zones:
            draft.zones[key] = dataclasses.replace(draft.zones[key], free_blocks=tuple(blocks))


def _counts(draft: Draft, found: Found, _line: int) -> None:
    # The first letter was a capital up to 2.6.30.
    for name, value in words.COUNTER.findall(found.string.lower()):
        draft.counts.setdefault(name, int(value))


def _huge(draft: Draft, found: Found, _line: int) -> None:
    if len(draft.huge) < ZONES_MAX:
        draft.huge.append(
            HugePages(
                node=_int(found["node"]),
                size_bytes=int(found["size"]) * KIB,
                total=int(found["total"]),
                free=int(found["free"]),
            )
        )


def _swap(draft: Draft, found: Found, _line: int) -> None:
    draft.facts[f"swap_{found['which'].lower()}_bytes"] = int(found["size"]) * KIB


PAGE_FIELDS = {
    "pages RAM": "ram_pages",
    "pages reserved": "reserved_pages",
    "reserved pages": "reserved_pages",
}


def _pages(draft: Draft, found: Found, _line: int) -> None:
    name = PAGE_FIELDS.get(found["what"])
    if name is not None:
        draft.facts[name] = int(found["pages"])


def _slab_opens(draft: Draft, _found: Found, _line: int) -> None:
    draft.section = Section.SLAB


def _slab(draft: Draft, found: Found, _line: int) -> None:
    if len(draft.caches) < CACHES_MAX:
        draft.caches.append(
            Cache(
                name=found["name"],
                used_bytes=int(found["used"]) * KIB,
                total_bytes=int(found["total"]) * KIB,
            )
        )


def _gauge(draft: Draft, found: Found, _line: int) -> None:
    limit = int(found["limit"])
    draft.gauges[found["what"]] = Gauge(
        usage_bytes=int(found["usage"]) * KIB,
        limit_bytes=None if limit >= UNLIMITED_KIB else limit * KIB,
    )
    draft.facts.setdefault("constraint", Constraint.MEMCG)


def _stats_open(draft: Draft, found: Found, _line: int) -> None:
    # Up to 4.19 each cgroup below has a line of its own; the first is the one with the limit,
    # and does not count those below it. They are added up.
    old = words.STAT_OLD.findall(found["rest"])
    for name, value in old:
        draft.stats[name] = draft.stats.get(name, 0) + int(value) * KIB
    draft.section = Section.NONE if old else Section.STATS
    draft.pool_path = draft.pool_path or found["path"] or None


def _stat(draft: Draft, found: Found, _line: int) -> None:
    if len(draft.stats) < STATS_MAX:
        draft.stats.setdefault(found["name"], int(found["value"]))


def _limit(draft: Draft, found: Found, _line: int) -> None:
    draft.facts["constraint"] = Constraint.MEMCG
    draft.facts["victim_cgroup"] = found["victim"]
    draft.facts["limit_cgroup"] = found["limit"]


def _oom_kill(draft: Draft, found: Found, line: int) -> None:
    kinds = {one.name: one for one in Constraint}
    constraint = kinds.get(found["constraint"])
    if constraint is not None:
        draft.facts["constraint"] = constraint
    # printk cuts a line at 1,024; a longer one would only make the search slow.
    rest = words.OOM_KILL_REST.match(found["rest"][:OOM_KILL_CHARS_MAX])
    if rest is None:
        return
    draft.facts["cpuset"] = rest["cpuset"]
    draft.facts["mems_allowed"] = rest["mems"]
    draft.facts["victim_cgroup"] = rest["victim"]
    if rest["nodemask"] != "(null)":
        draft.facts["nodemask"] = rest["nodemask"]
    if rest["limit"] is not None:
        # 5.0 called a cgroup's end unconstrained at first; only a cgroup's has this word.
        draft.facts["constraint"] = Constraint.MEMCG
        draft.facts["limit_cgroup"] = rest["limit"]
    draft.chosen = Kill(pid=int(rest["pid"]), name=rest["name"], line=line, uid=int(rest["uid"]))


def _chosen(draft: Draft, found: Found, line: int) -> None:
    _why_killed(draft, found)
    draft.chosen = Kill(
        pid=int(found["pid"]), name=found["name"], line=line, score=int(found["score"])
    )


def _killed(draft: Draft, found: Found, line: int) -> None:
    _why_killed(draft, found)
    rest, pid = found["rest"], int(found["pid"])
    # With memory.oom.group the one that was chosen is named once more among its group.
    if any(one.pid == pid for one in draft.kills) or len(draft.kills) >= KILLS_MAX:
        return
    sizes = _sizes(words.KILLED_SIZE, rest)
    draft.kills.append(
        Kill(
            pid=pid,
            name=found["name"],
            line=line,
            score=draft.chosen.score if draft.chosen and draft.chosen.pid == pid else None,
            total_vm_bytes=sizes.get("total-vm", sizes.get("vsz")),
            anonymous_bytes=sizes.get("anon-rss"),
            file_bytes=sizes.get("file-rss"),
            shmem_bytes=sizes.get("shmem-rss"),
            page_table_bytes=sizes.get("pgtables"),
            uid=_int(found["uid_before"] or _first(words.KILLED_UID, rest)),
            oom_score_adjust=_int(_first(words.KILLED_ADJUST, rest)),
            group=draft.group,
        )
    )


def _why_killed(draft: Draft, found: Found) -> None:
    if found["what"] == CGROUP_WORDS:
        draft.facts["constraint"] = Constraint.MEMCG
    elif found["what"] == HOST_WORDS:
        draft.facts["host_wide"] = True
    if found["asks"]:
        draft.facts["kills_who_asks"] = True


def _reaped(draft: Draft, found: Found, line: int) -> None:
    reaped, pid = found["how"].startswith("reaped"), int(found["pid"])
    for index, kill in enumerate(draft.kills):
        if kill.pid == pid:
            draft.kills[index] = dataclasses.replace(kill, reaped=reaped)
    if not draft.kills and (draft.chosen or draft.head_lost):
        # The line of the kill itself is lost.
        draft.kills.append(Kill(pid=pid, name=found["name"], line=line, reaped=reaped))


def _nothing_killable(draft: Draft, _found: Found, _line: int) -> None:
    draft.facts["nothing_killable"] = True


def _group(draft: Draft, _found: Found, _line: int) -> None:
    draft.group = True
    draft.facts.setdefault("constraint", Constraint.MEMCG)


def _section_ends(draft: Draft, _found: Found, _line: int) -> None:
    draft.section = Section.NONE


def _nothing_new(draft: Draft, _found: Found, _line: int) -> None:
    """A line of the report that says nothing the others do not."""


def _cpuset(draft: Draft, found: Found, _line: int) -> None:
    draft.facts.setdefault("cpuset", found["cpuset"])
    draft.facts.setdefault("mems_allowed", found["mems"])


def _where(draft: Draft, found: Found, _line: int) -> None:
    draft.kernel = found["release"]
    if found["name"] == draft.facts.get("invoker"):
        draft.facts.setdefault("invoker_pid", int(found["pid"]))


def _frame(draft: Draft, found: Found, _line: int) -> None:
    # A frame with a question mark may be left over from another call.
    if found["what"] == IN_CGROUP and "?" not in found.string[: found.start("what")]:
        draft.facts.setdefault("constraint", Constraint.MEMCG)


def _sizes(pattern: re.Pattern[str], text: str) -> dict[str, int]:
    """Names to bytes, of a text that has names and kB."""
    return {name: int(value) * KIB for name, value in pattern.findall(text)}


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


BRACKET_READERS: tuple[Reader, ...] = (
    Reader(words.TASK_WITHOUT_HEADER, _task_without_header, Stage.TABLE),
    Reader(words.HEADER, _header, Stage.TABLE, once=True),
    Reader(words.FRAME, _frame, Stage.ANY),
)
TABLE_READERS: tuple[Reader, ...] = (
    Reader(words.TASK, _task, Stage.TABLE),
    Reader(words.HEADER, _header, Stage.TABLE, once=True),
    Reader(words.FRAME, _frame, Stage.ANY),
)
DIGIT_READERS: tuple[Reader, ...] = (Reader(words.PAGES, _pages, Stage.MEMORY),)
LETTER_READERS: tuple[Reader, ...] = (
    Reader(words.STATS, _stats_open, Stage.LIMIT),
    Reader(words.FRAME, _frame, Stage.ANY),
    Reader(words.COUNTS, _counts, Stage.MEMORY),
    Reader(words.ZONE, _zone, Stage.MEMORY),
    Reader(words.BUDDY, _buddy, Stage.MEMORY),
    Reader(words.RESERVE, _reserve, Stage.MEMORY),
    Reader(words.NODE, _node, Stage.MEMORY),
    Reader(words.HUGE, _huge, Stage.MEMORY),
    Reader(words.SWAP, _swap, Stage.MEMORY),
    Reader(words.SLAB_OPEN, _slab_opens, Stage.SLAB),
    Reader(words.GAUGE, _gauge, Stage.LIMIT, once=True),
    Reader(words.TASK_IN, _limit, Stage.LIMIT, once=True),
    Reader(words.OOM_KILL, _oom_kill, Stage.SUMMARY, once=True),
    Reader(words.CHOSEN, _chosen, Stage.CHOSEN),
    Reader(words.KILLED, _killed, Stage.KILLED),
    Reader(words.REAPED, _reaped, Stage.AFTER),
    Reader(words.NOTHING, _nothing_killable, Stage.KILLED),
    Reader(words.GROUP, _group, Stage.AFTER),
    Reader(words.TASKS_OPEN, _section_ends, Stage.TABLE, once=True),
    Reader(words.COUNTS_TITLE, _nothing_new, Stage.MEMORY, once=True),
    Reader(words.WHERE, _where, Stage.ANY),
    Reader(words.CPUSET, _cpuset, Stage.ANY),
)
SECTION_READERS: dict[Section, tuple[Reader, ...]] = {
    Section.NONE: (),
    Section.STATS: (Reader(words.STAT_NEW, _stat, Stage.LIMIT),),
    Section.SLAB: (
        Reader(words.SLAB_TITLE, _nothing_new, Stage.SLAB),
        Reader(words.SLAB, _slab, Stage.SLAB),
    ),
}
"""What a line can be only inside a part of the report that another line opened."""

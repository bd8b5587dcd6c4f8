"""Each line of the kernel's report, read into the Draft it belongs to."""

import dataclasses
import re
from collections.abc import Callable

from forestall.audit.oom import words
from forestall.audit.oom.draft import (
    CACHES_MAX,
    COLUMNS_ALWAYS,
    KIB,
    KILLS_MAX,
    STACK_MAX,
    STATS_MAX,
    TASKS_MAX,
    UNLIMITED_KIB,
    ZONES_MAX,
    Draft,
    RawTask,
)
from forestall.audit.oom.nouns import Cache, Constraint, Gauge, HugePages, Kill, Zone
from forestall.audit.oom.prefix import Said

OOM_KILL_CHARS_MAX = 4_096

Reader = Callable[[Draft, Said], bool]


def take(draft: Draft, said: Said) -> bool:
    """Whether the line belongs to the event; if so, it is in the draft."""
    text = said.text
    # Its first character rules out most of them.
    readers = LETTER_READERS
    if text.startswith("["):
        readers = BRACKET_READERS
    elif text[0].isdigit():
        readers = DIGIT_READERS
    for reader in readers:
        if reader(draft, said):
            draft.last_line = said.number
            draft.idle = 0
            return True
    draft.idle += 1
    return False


def _read_task(draft: Draft, said: Said) -> bool:
    row = words.TASK.match(said.text)
    if row is None:
        return False
    columns = draft.columns
    if columns is None:
        fields = re.match(r"((?:-?\d{1,18}\s+)+)(\S.*)$", row["rest"])
        values = fields[1].split() if fields else []
        if fields is None or len(values) < 6:
            return False
        numbers = dict(zip(COLUMNS_ALWAYS, map(int, values), strict=False))
        numbers["oom_score_adj"] = int(values[-1])
        name = fields[2]
    else:
        parts = row["rest"].split(None, len(columns))
        if len(parts) < len(columns) + 1:
            # The line was cut; half a number would be worse than none.
            draft.tasks_short += 1
            return True
        try:
            numbers = {column: _number(part) for column, part in zip(columns, parts, strict=False)}
        except ValueError:
            draft.tasks_short += 1
            return True
        name = parts[-1]
    if len(draft.tasks) >= TASKS_MAX or min(numbers[name] for name in COLUMNS_ALWAYS) < 0:
        draft.tasks_short += 1
        return True
    draft.in_stats = draft.in_slab = False
    draft.tasks.append(RawTask(pid=int(row["pid"]), name=name[:64], numbers=numbers))
    return True


def _number(text: str) -> int:
    if len(text) > 19:
        raise ValueError(text)
    return int(text)


def _read_header(draft: Draft, said: Said) -> bool:
    header = words.HEADER.match(said.text)
    if header is None:
        return False
    columns = tuple(header["columns"].split())
    if columns[-1] == "name" and set(COLUMNS_ALWAYS) <= set(columns):
        draft.columns = columns[:-1]
        draft.in_stats = draft.in_slab = False
    return True


def _read_zone(draft: Draft, said: Said) -> bool:
    text = said.text
    found = words.ZONE.match(text)
    if found is None:
        return False
    kilo = {name: int(value) * KIB for name, value in words.KILO.findall(text)}
    key = (_int(found["node"]), found["name"])
    if len(draft.zones) < ZONES_MAX:
        draft.zones[key] = Zone(
            node=key[0],
            name=key[1],
            free_bytes=kilo.get("free", int(found["free"]) * KIB),
            min_bytes=kilo.get("min"),
            low_bytes=kilo.get("low"),
            high_bytes=kilo.get("high"),
            managed_bytes=kilo.get("managed"),
            present_bytes=kilo.get("present"),
            cma_bytes=kilo.get("free_cma", 0),
            unreclaimable=_yes(text),
        )
        draft.last_zone = key
        # Up to 4.7 the zones tell it, since then the nodes (and 4.8 to 5.9 the zones again).
        if "kernel_stack" in kilo:
            draft.kernel_stack = (draft.kernel_stack or 0) + kilo["kernel_stack"]
        # Some logs have both in one line: the kernel printed them without a level of their own.
        if "lowmem_reserve" in text:
            _set_reserve(draft, text[text.index("lowmem_reserve") :])
    return True


def _read_node(draft: Draft, said: Said) -> bool:
    if words.NODE.match(said.text) is None:
        return False
    kilo = {name: int(value) * KIB for name, value in words.KILO.findall(said.text)}
    if "kernel_stack" in kilo:
        draft.kernel_stack = (draft.kernel_stack or 0) + kilo["kernel_stack"]
    return True


def _yes(text: str) -> bool | None:
    if "all_unreclaimable?" not in text:
        return None
    return "all_unreclaimable? yes" in text


def _read_reserve(draft: Draft, said: Said) -> bool:
    return _set_reserve(draft, said.text)


def _set_reserve(draft: Draft, text: str) -> bool:
    found = words.RESERVE.match(text)
    if found is None or draft.last_zone is None:
        return False
    pages = tuple(int(word) for word in found["pages"].split())
    zone = draft.zones[draft.last_zone]
    draft.zones[draft.last_zone] = dataclasses.replace(zone, reserve_pages=pages)
    return True


def _read_buddy(draft: Draft, said: Said) -> bool:
    found = words.BUDDY.match(said.text)
    if found is None:
        return False
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
    return True


def _read_counts(draft: Draft, said: Said) -> bool:
    if not said.text.startswith(words.COUNTS_OPEN):
        return False
    for name, value in words.COUNTER.findall(said.text):
        draft.counts.setdefault(name, int(value))
    return True


def _read_huge(draft: Draft, said: Said) -> bool:
    found = words.HUGE.match(said.text)
    if found is None:
        return False
    if len(draft.huge) < ZONES_MAX:
        draft.huge.append(
            HugePages(
                node=_int(found["node"]),
                size_bytes=int(found["size"]) * KIB,
                total=int(found["total"]),
                free=int(found["free"]),
            )
        )
    return True


def _read_swap(draft: Draft, said: Said) -> bool:
    found = words.SWAP.match(said.text)
    if found is None:
        return False
    draft.facts[f"swap_{found['which'].lower()}_bytes"] = int(found["size"]) * KIB
    return True


PAGE_FIELDS = {
    "pages RAM": "ram_pages",
    "pagecache pages": "page_cache_pages",
    "pages reserved": "reserved_pages",
    "reserved pages": "reserved_pages",
    "pages in swap cache": None,
}


def _read_pages(draft: Draft, said: Said) -> bool:
    found = words.PAGES.match(said.text)
    if found is None:
        return False
    name = PAGE_FIELDS[found["what"]]
    if name is not None:
        draft.facts[name] = int(found["pages"])
    return True


def _read_slab(draft: Draft, said: Said) -> bool:
    if said.text.startswith(words.SLAB_OPEN):
        draft.in_slab = True
        return True
    found = words.SLAB.match(said.text) if draft.in_slab else None
    if found is None:
        return draft.in_slab and said.text.startswith("Name ")
    if len(draft.caches) < CACHES_MAX:
        draft.caches.append(
            Cache(
                name=found["name"],
                used_bytes=int(found["used"]) * KIB,
                total_bytes=int(found["total"]) * KIB,
            )
        )
    return True


def _read_gauge(draft: Draft, said: Said) -> bool:
    found = words.GAUGE.match(said.text)
    if found is None:
        return False
    limit = int(found["limit"])
    draft.gauges[found["what"]] = Gauge(
        usage_bytes=int(found["usage"]) * KIB,
        limit_bytes=None if limit >= UNLIMITED_KIB else limit * KIB,
        failures=_int(found["failures"]),
    )
    draft.facts.setdefault("constraint", Constraint.MEMCG)
    return True


def _read_stats(draft: Draft, said: Said) -> bool:
    opened = words.STATS.match(said.text)
    if opened is not None:
        # Up to 4.19 each cgroup below has a line of its own; the first is the one with the limit,
        # and does not count those below it. They are added up.
        old = words.STAT_OLD.findall(opened["rest"])
        for name, value in old:
            draft.stats[name] = draft.stats.get(name, 0) + int(value) * KIB
        draft.in_stats = not old
        draft.pool_path = draft.pool_path or opened["path"] or None
        return True
    found = words.STAT_NEW.match(said.text) if draft.in_stats else None
    if found is None:
        return False
    if len(draft.stats) < STATS_MAX:
        draft.stats.setdefault(found["name"], int(found["value"]))
    return True


def _read_limit(draft: Draft, said: Said) -> bool:
    found = words.TASK_IN.match(said.text)
    if found is None:
        return False
    draft.facts["constraint"] = Constraint.MEMCG
    draft.facts["victim_cgroup"] = found["victim"]
    draft.facts["limit_cgroup"] = found["limit"]
    return True


def _read_oom_kill(draft: Draft, said: Said) -> bool:
    found = words.OOM_KILL.match(said.text)
    if found is None:
        return False
    kinds = {one.name: one for one in Constraint}
    constraint = kinds.get(found["constraint"])
    if constraint is not None:
        draft.facts["constraint"] = constraint
    # printk cuts a line at 1,024; a longer one would only make the search slow.
    rest = words.OOM_KILL_REST.match(found["rest"][:OOM_KILL_CHARS_MAX])
    if rest is not None:
        draft.facts["cpuset"] = rest["cpuset"]
        draft.facts["mems_allowed"] = rest["mems"]
        draft.facts["victim_cgroup"] = rest["victim"]
        if rest["nodemask"] != "(null)":
            draft.facts["nodemask"] = rest["nodemask"]
        if rest["limit"] is not None:
            draft.facts["limit_cgroup"] = rest["limit"]
        draft.chosen = Kill(
            pid=int(rest["pid"]), name=rest["name"], line=said.number, uid=int(rest["uid"])
        )
    return True


def _read_chosen(draft: Draft, said: Said) -> bool:
    found = words.CHOSEN.match(said.text)
    if found is None:
        return False
    if found["what"].startswith("Memory cgroup"):
        draft.facts["constraint"] = Constraint.MEMCG
    if found["asks"]:
        draft.facts["kills_who_asks"] = True
    draft.chosen = Kill(
        pid=int(found["pid"]), name=found["name"], line=said.number, score=int(found["score"])
    )
    return True


def _read_killed(draft: Draft, said: Said) -> bool:
    found = words.KILLED.match(said.text)
    if found is None:
        return False
    rest = found["rest"]
    sizes = {name: int(size) * KIB for name, size in words.KILLED_SIZE.findall(rest)}
    uid = found["uid_before"] or _first(words.KILLED_UID, rest)
    adjust = _first(words.KILLED_ADJUST, rest)
    if (found["what"] or "").startswith("Memory cgroup"):
        draft.facts["constraint"] = Constraint.MEMCG
    if found["asks"]:
        draft.facts["kills_who_asks"] = True
    kill = Kill(
        pid=int(found["pid"]),
        name=found["name"],
        line=said.number,
        score=draft.chosen.score
        if draft.chosen and draft.chosen.pid == int(found["pid"])
        else None,
        total_vm_bytes=sizes.get("total-vm", sizes.get("vsz")),
        anonymous_bytes=sizes.get("anon-rss"),
        file_bytes=sizes.get("file-rss"),
        shmem_bytes=sizes.get("shmem-rss"),
        page_table_bytes=sizes.get("pgtables"),
        uid=_int(uid),
        oom_score_adjust=_int(adjust),
        group=draft.group,
    )
    # With memory.oom.group the one that was chosen is named once more among its group.
    if all(one.pid != kill.pid for one in draft.kills) and len(draft.kills) < KILLS_MAX:
        draft.kills.append(kill)
    return True


def _read_reaped(draft: Draft, said: Said) -> bool:
    found = words.REAPED.match(said.text)
    if found is None:
        return False
    reaped = found["how"].startswith("reaped")
    for index, kill in enumerate(draft.kills):
        if kill.pid == int(found["pid"]):
            draft.kills[index] = dataclasses.replace(kill, reaped=reaped)
    return True


def _read_others(draft: Draft, said: Said) -> bool:
    text = said.text
    if text.startswith(words.NOTHING):
        draft.facts["nothing_killable"] = True
    elif text.startswith("Tasks in ") and words.GROUP.match(text):
        draft.group = True
    elif text.startswith("Tasks state (memory"):
        draft.in_stats = draft.in_slab = False
    elif text.startswith("Mem-Info:"):
        pass
    else:
        return False
    return True


def _read_cpuset(draft: Draft, said: Said) -> bool:
    found = words.CPUSET.match(said.text)
    if found is None:
        return False
    draft.facts.setdefault("cpuset", found["cpuset"])
    draft.facts.setdefault("mems_allowed", found["mems"])
    return True


def _read_where(draft: Draft, said: Said) -> bool:
    found = words.WHERE.match(said.text)
    if found is None:
        return False
    draft.kernel = found["release"]
    if found["name"] == draft.facts.get("invoker"):
        draft.facts.setdefault("invoker_pid", int(found["pid"]))
    return True


def _read_frame(draft: Draft, said: Said) -> bool:
    found = words.FRAME.match(said.text)
    if found is None:
        return False
    if not (found["doubt"] or found["doubt2"]) and len(draft.stack) < STACK_MAX:
        draft.stack.append(found["what"])
    return True


def _first(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1] if found else None


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


BRACKET_READERS: tuple[Reader, ...] = (_read_task, _read_header, _read_frame)
DIGIT_READERS: tuple[Reader, ...] = (_read_pages,)
LETTER_READERS: tuple[Reader, ...] = (
    _read_stats,
    _read_frame,
    _read_counts,
    _read_zone,
    _read_buddy,
    _read_reserve,
    _read_node,
    _read_huge,
    _read_swap,
    _read_slab,
    _read_gauge,
    _read_limit,
    _read_oom_kill,
    _read_chosen,
    _read_killed,
    _read_reaped,
    _read_others,
    _read_where,
    _read_cpuset,
)

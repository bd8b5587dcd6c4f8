"""A program: what drgn finds in a dump of a kernel's memory, as one JSON object on standard output.

    python -m forestall.audit.oom.vmcore_reader CORE [VMLINUX]

A process of its own, because a damaged dump may take drgn, and with it its process, down.
"""

import contextlib
import json
import sys
from typing import Any

TASKS_MAX = 65_536
CACHES_MAX = 2_048
LOG_CHARS_MAX = 8 * 1024 * 1024

# Names of the counters in a report, and of the kernel's enums, newest first.
COUNTERS = {
    "active_anon": ("NR_ACTIVE_ANON",),
    "inactive_anon": ("NR_INACTIVE_ANON",),
    "isolated_anon": ("NR_ISOLATED_ANON",),
    "active_file": ("NR_ACTIVE_FILE",),
    "inactive_file": ("NR_INACTIVE_FILE",),
    "isolated_file": ("NR_ISOLATED_FILE",),
    "unevictable": ("NR_UNEVICTABLE",),
    "slab_reclaimable": ("NR_SLAB_RECLAIMABLE_B", "NR_SLAB_RECLAIMABLE"),
    "slab_unreclaimable": ("NR_SLAB_UNRECLAIMABLE_B", "NR_SLAB_UNRECLAIMABLE"),
    "mapped": ("NR_FILE_MAPPED",),
    "shmem": ("NR_SHMEM",),
    "pagetables": ("NR_PAGETABLE",),
    "sec_pagetables": ("NR_SECONDARY_PAGETABLE",),
    "free": ("NR_FREE_PAGES",),
    "kernel_stack_kib": ("NR_KERNEL_STACK_KB",),
}


def read_core(core: str, vmlinux: str | None) -> dict[str, Any]:
    """Everything that is asked of a dump. Raises what drgn raises."""
    import drgn
    from drgn.helpers.linux.mm import totalram_pages

    program = drgn.Program()
    program.set_core_dump(core)
    if vmlinux is None:
        program.load_default_debug_info()
    else:
        program.load_debug_info([vmlinux])
    return {
        "release": program["UTS_RELEASE"].string_().decode("ascii", "replace"),
        "page_bytes": int(program["PAGE_SIZE"]),
        "ram_pages": int(totalram_pages(program)),
        "log": _log(program),
        "counts": _counts(program),
        "tasks": _tasks(program),
        "caches": _caches(program),
        "huge_pages": _huge_pages(program),
        **_swap(program),
        "panicked_in": _panicked_in(program),
    }


def _log(program: Any) -> str:
    from drgn.helpers.linux.printk import get_dmesg

    try:
        return str(get_dmesg(program).decode("utf-8", "replace"))[-LOG_CHARS_MAX:]
    except Exception as error:  # noqa: BLE001 - a dump may lack any part, and the rest still counts
        print(f"the kernel's log: {error}", file=sys.stderr)
        return ""


def _counts(program: Any) -> dict[str, int]:
    from drgn.helpers.linux.vmstat import global_node_page_state, global_zone_page_state

    found = {}
    for name, symbols in COUNTERS.items():
        for symbol in symbols:
            if name in found:
                break
            with contextlib.suppress(LookupError):
                item = program[symbol]
                # Up to 4.7 the counters were all of zones, and so are some up to today.
                of_node = "node_stat_item" in item.type_.type_name()
                state = global_node_page_state if of_node else global_zone_page_state
                found[name] = int(state(program, int(item)))
    return found


def _tasks(program: Any) -> list[dict[str, Any]]:
    from drgn.helpers.linux.mm import task_rss, task_vsize
    from drgn.helpers.linux.pid import for_each_task

    found: list[dict[str, Any]] = []
    for task in for_each_task(program):
        if len(found) >= TASKS_MAX:
            break
        if not task.mm or int(task.pid) != int(task.tgid):
            continue
        rss = task_rss(task)
        row = {
            "pid": int(task.pid),
            "name": task.comm.string_().decode("utf-8", "replace"),
            "uid": int(task.cred.uid.val),
            "total_vm_bytes": int(task_vsize(task)),
            "anonymous_pages": int(rss.anon),
            "file_pages": int(rss.file),
            "shmem_pages": int(rss.shmem),
            "swap_pages": int(rss.swap),
            "page_table_bytes": _page_tables(program, task),
            "oom_score_adj": int(task.signal.oom_score_adj),
            "cgroup": _cgroup(program, task),
        }
        found.append(row)
    return found


def _page_tables(program: Any, task: Any) -> int | None:
    """Bytes since 4.15; before, pages of the lowest two levels, each a counter where it exists."""
    with contextlib.suppress(AttributeError):
        return int(task.mm.pgtables_bytes.counter)
    pages = None
    for name in ("nr_ptes", "nr_pmds"):
        with contextlib.suppress(AttributeError):
            pages = (pages or 0) + int(getattr(task.mm, name).counter)
    return None if pages is None else pages * int(program["PAGE_SIZE"])


def _cgroup(program: Any, task: Any) -> str | None:
    from drgn.helpers.linux.cgroup import cgroup_path

    with contextlib.suppress(Exception):
        state = task.cgroups.subsys[int(program["memory_cgrp_id"])]
        return bytes(cgroup_path(state.cgroup)).decode("utf-8", "replace")
    return None


def _caches(program: Any) -> list[dict[str, Any]]:
    from drgn.helpers.linux.slab import (
        for_each_slab_cache,
        slab_cache_pages_per_slab,
        slab_cache_usage,
    )

    page = int(program["PAGE_SIZE"])
    found: list[dict[str, Any]] = []
    try:
        for cache in for_each_slab_cache(program):
            if len(found) >= CACHES_MAX:
                break
            with contextlib.suppress(Exception):
                usage = slab_cache_usage(cache)
                objects = int(usage.num_objs) - int(usage.free_objs)
                found.append(
                    {
                        "name": cache.name.string_().decode("utf-8", "replace"),
                        "used_bytes": objects * int(cache.size),
                        "total_bytes": int(usage.num_slabs)
                        * int(slab_cache_pages_per_slab(cache))
                        * page,
                    }
                )
    except Exception as error:  # noqa: BLE001 - see _log
        print(f"slab caches: {error}", file=sys.stderr)
    return found


def _huge_pages(program: Any) -> list[dict[str, int]]:
    from drgn.helpers.linux.hugetlb import for_each_hstate, huge_page_size

    try:
        return [
            {
                "size_bytes": int(huge_page_size(state)),
                "total": int(state.nr_huge_pages),
                "free": int(state.free_huge_pages),
            }
            for state in for_each_hstate(program)
        ]
    except Exception:  # noqa: BLE001 - a kernel without huge pages has no such symbols
        return []


def _swap(program: Any) -> dict[str, int | None]:
    page = int(program["PAGE_SIZE"])
    try:
        return {
            "swap_total_bytes": int(program["total_swap_pages"]) * page,
            "swap_free_bytes": max(0, int(program["nr_swap_pages"].counter)) * page,
        }
    except (LookupError, AttributeError):
        return {"swap_total_bytes": None, "swap_free_bytes": None}


def _panicked_in(program: Any) -> str | None:
    """Whose context the kernel panicked in; None in a live kernel."""
    from drgn.helpers.linux.panic import panic_task

    with contextlib.suppress(Exception):
        return str(panic_task(program).comm.string_().decode("utf-8", "replace"))
    return None


if __name__ == "__main__":
    json.dump(read_core(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None), sys.stdout)

"""The kernel's own words when memory runs out, as patterns; 2.6.32 to 6.x, with its source files.

mm/oom_kill.c (dump_header, dump_tasks, __oom_kill_process), mm/show_mem.c and before it
mm/page_alloc.c (show_free_areas, warn_alloc), mm/memcontrol.c (mem_cgroup_print_oom_meminfo),
mm/slab_common.c (dump_unreclaimable_slab), kernel/panic.c. A name may hold any byte, blanks and
brackets too, so each pattern leans on what stands after it.
"""

import re

NAME = r"(?P<name>.{1,64}?)"

# What a raw line must hold to begin an event. Everything else is passed over unread while none is
# open. Plain pieces, because to look for each is faster than one pattern of them all.
TRIGGERS = (
    b"invoked oom-killer",
    b" allocation failure",
    b"Kernel panic - not syncing",
    b"Killed process ",
    b"ut of memory",
    b"blocked for more than",
    b"Linux version ",
    b"anual OOM execution",
    # A report whose first lines are lost begins with one of these.
    b"Mem-Info:",
    b"as a result of limit of ",
    b"memory: usage ",
    b"tgid total_vm ",
    b"oom-kill:constraint",
    b"Show Memory",
)

# Where one of these stands in a log, memory ran out somewhere, whoever wrote the line.
TELLING = re.compile(
    rb"invoked oom-killer|[Oo]ut of memory: Kill(?:ed)? process|Memory cgroup out of memory"
    rb"|Out of memory and no killable|Killed process \d+|oom-kill:constraint="
    rb"|killed as a result of limit of|oom_reaper: reaped|(?:page|vmalloc:) allocation failure"
    # Who else kills for memory, and who is told of it.
    rb"|killed by the OOM killer|result 'oom-kill'|lowmemorykiller: Kill"
    rb"|Killed \S+ due to memory (?:used|pressure)|sending SIG(?:TERM|KILL) to process \d+"
)

INVOKED = re.compile(NAME + r" invoked oom-killer(?P<rest>:.*|$)")
REFUSED = re.compile(NAME + r": (?P<what>page|vmalloc:) allocation failure(?P<rest>[:.].*|$)")
GFP = re.compile(r"(?:gfp_mask=|mode:)(0x[0-9a-fA-F]{1,16})(?:\(([^)]{0,400})\)?)?")
ORDER = re.compile(r"order[=:](-?\d{1,3})")
NODEMASK = re.compile(r"nodemask=(\(null\)|[\d,\-]{1,200})")
CPUSET = re.compile(NAME + r" cpuset=(?P<cpuset>\S{1,4096}) mems_allowed=(?P<mems>[\d,\-]{0,200})")
CPUSET_IN = re.compile(r"cpuset=(?P<cpuset>[^,\s]{1,4096}),mems_allowed=(?P<mems>[\d,\-]{0,200})")

WHERE = re.compile(
    r"(?:CPU: \d+ (?:UID: \d+ )?PID: |Pid: )(?P<pid>\d{1,10}),? [Cc]omm: (?P<name>.{1,64}?) "
    r"(?:Kdump: \S+ )?(?:Not tainted|Tainted: ).*?(?P<release>\d\.\S{1,100}) #"
)
BOOT = re.compile(r"Linux version (?P<release>\S{1,100})")
FRAME = re.compile(
    r"(?:\? )?(?:\[<[0-9a-fA-F]*>\]\s+)?(?:\? )?"
    r"(?P<what>[A-Za-z_][\w.]{1,120})\+0x[0-9a-f]+/0x[0-9a-f]+"
)

COUNTER = re.compile(r"([a-z_]{3,40}(?:\((?:anon|file)\))?):(\d{1,18})(?=\s|$)")
COUNTS_TITLE = re.compile(r"Mem-Info:")
COUNTS = re.compile(
    r"(?:[Aa]ctive_anon|(?:in)?active_file|unevictable|slab_reclaimable|mapped|free|sec_pagetables|"
    r"kernel_misc_reclaimable|anon_thp|shmem|bounce):"
)
NODE = re.compile(r"Node (?P<node>\d{1,5}) active_anon:\d+kB")
_ZONE = r"(?:Node (?P<node>\d{1,5}) )?(?P<name>DMA|DMA32|Normal|HighMem|Movable|Device)"
ZONE = re.compile(_ZONE + r" free:\d{1,18}kB\b")
KILO = re.compile(r"([a-z_]{3,40}):(\d{1,18})[kK]B")
RESERVE = re.compile(r"lowmem_reserve\[\]:(?P<pages>(?: \d{1,18}){1,16})")
BUDDY = re.compile(_ZONE + r": (?P<rest>\d+\*.*)")
BLOCK = re.compile(r"(\d{1,12})\*(\d{1,9})kB(?: \(([A-Z]{1,8})\))?")
HUGE = re.compile(
    r"(?:Node (?P<node>\d{1,5}) )?hugepages_total=(?P<total>\d{1,12}) "
    r"hugepages_free=(?P<free>\d{1,12}) .*hugepages_size=(?P<size>\d{1,12})kB"
)
SWAP = re.compile(r"(?P<which>Free|Total) swap\s*= ?(?P<size>\d{1,18})kB")
PAGES = re.compile(
    r"(?P<pages>\d{1,15}) (?:total )?(?P<what>pages RAM|pagecache pages|pages reserved|"
    r"pages in swap cache|reserved pages)$"
)
SLAB_OPEN = re.compile(r"Unreclaimable slab info:")
SLAB_TITLE = re.compile(r"Name ")
SLAB = re.compile(r"(?P<name>\S{1,100})\s+(?P<used>\d{1,15})KB\s+(?P<total>\d{1,15})KB$")

TASK_IN = re.compile(
    r"Tasks? in (?P<victim>.{0,4096}?) killed as a result of limit of (?P<limit>.{0,4096})$"
)
GAUGE = re.compile(
    r"(?P<what>memory|memory\+swap|kmem|swap): usage (?P<usage>\d{1,18})kB, "
    r"limit (?P<limit>\d{1,18})kB"
)
STATS = re.compile(r"Memory cgroup stats(?: for (?P<path>.{0,4096}?))?:(?P<rest>\s.*|$)")
STAT_OLD = re.compile(r"([a-z_]{3,40}):(\d{1,18})KB")
STAT_NEW = re.compile(r"(?P<name>[a-z_0-9]{3,60}) (?P<value>\d{1,20})$")

TASKS_OPEN = re.compile(r"Tasks state \(memory")
HEADER = re.compile(r"\[\s*pid\s*\]\s+(?P<columns>uid\s.*)$")
TASK = re.compile(r"\[\s*(?P<pid>\d{1,10})\]\s+(?P<rest>-?\d{1,10}\s.*)$")
TASK_WITHOUT_HEADER = re.compile(
    r"\[\s*(?P<pid>\d{1,10})\]\s+(?P<values>(?:-?\d{1,18}\s+){6,})(?P<name>\S.*)$"
)

OOM_KILL = re.compile(r"oom-kill:constraint=CONSTRAINT_(?P<constraint>[A-Z_]{1,32})(?P<rest>.*)")
OOM_KILL_REST = re.compile(
    r",nodemask=(?P<nodemask>.*?),cpuset=(?P<cpuset>.*?),mems_allowed=(?P<mems>[\d,\-]*?)"
    r",(?:global_oom|oom_memcg=(?P<limit>.*?)),task_memcg=(?P<victim>.*?)"
    r",task=(?P<name>.{0,64}),pid=(?P<pid>\d{1,10}),uid=(?P<uid>-?\d{1,10})"
)
CHOSEN = re.compile(
    r"(?P<what>Memory cgroup out of memory|Out of memory)(?P<asks> \(oom_kill_allocating_task\))?: "
    r"[Kk]ill process (?P<pid>\d{1,10}) \((?P<name>.{0,64})\) score (?P<score>-?\d{1,12}) "
    r"or (?:sacrifice|a) child"
)
KILLED = re.compile(
    r"(?:(?P<what>Memory cgroup out of memory|Out of memory)"
    r"(?P<asks> \(oom_kill_allocating_task\))?: )?"
    r"Killed process (?P<pid>\d{1,10})(?:, UID (?P<uid_before>\d{1,10}),)? \((?P<name>.{0,64}?)\)"
    r"(?=,? (?:UID|total-vm|vsz)|,?$)(?P<rest>.*)"
)
KILLED_UID = re.compile(r"UID[: ](\d{1,10})")
KILLED_SIZE = re.compile(r"(total-vm|vsz|anon-rss|file-rss|shmem-rss|pgtables):(\d{1,18})kB")
KILLED_ADJUST = re.compile(r"oom_score_adj:(-?\d{1,5})")
REAPED = re.compile(
    r"oom_reaper: (?P<how>reaped process|unable to reap pid:)\s?(?P<pid>\d{1,10}) "
    r"\((?P<name>.{0,64})\)"
)
GROUP = re.compile(r"Tasks in (?P<path>.{1,4096}) are going to be killed due to memory\.oom\.group")
NOTHING = re.compile(r"Out of memory and no killable processes")
_SYSRQ = r"(?:sysrq: )?[Ss]ys[Rr]q ?: (?:\[[^\]]*\]\s)?"
BY_HAND = re.compile(_SYSRQ + "Manual OOM execution")
SHOWN_BY_HAND = re.compile(_SYSRQ + "Show Memory")
PANIC = re.compile(r"Kernel panic - not syncing: ?(?P<why>.*)$")
HUNG = re.compile(
    r"INFO: task (?P<name>.{1,64}):(?P<pid>\d{1,10}) blocked for more than \d+ seconds"
)
LOST = re.compile(
    r"(?:.{0,80}: )?(?:\*\* )?(?P<count>\d{1,12}) (?:printk )?"
    r"(?P<what>callbacks suppressed|messages dropped)"
)

# What waits for memory: a task that hangs in one of these hangs because memory ran out.
RECLAIM = frozenset(
    (
        "__alloc_pages_slowpath",
        "__alloc_pages_direct_reclaim",
        "try_to_free_pages",
        "do_try_to_free_pages",
        "shrink_zone",
        "shrink_zones",
        "shrink_node",
        "shrink_lruvec",
        "shrink_inactive_list",
        "shrink_page_list",
        "shrink_folio_list",
        "congestion_wait",
        "wait_iff_congested",
        "reclaim_throttle",
        "throttle_direct_reclaim",
        "try_charge",
        "try_charge_memcg",
        "mem_cgroup_do_charge",
        "mem_cgroup_oom_synchronize",
        "mem_cgroup_out_of_memory",
        "out_of_memory",
    )
)

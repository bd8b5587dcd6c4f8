"""Every place on a host that `sense.facts.read_facts` reads: files, names, links and commands.

The collector over SSH takes these and nothing else, a sosreport is searched for them, and a test
holds the readers to them. Paths are relative to the root of the host; `*` stands for any name, as
in a shell. What no glob can name (a PostgreSQL's own folders, a process's cgroup) is described
beside the names that are looked for there.
"""

from typing import NamedTuple

from forestall.sense.configured import ROOTS
from forestall.sense.kernel import DPKG_LIST, DPKGS, KERNELCARE, KSPLICE, RPMS
from forestall.sense.postgres import INCLUDES, SETTINGS
from forestall.sense.procfs import SYSCTLS
from forestall.sense.running import COMMAND_LINE_NAMES, POSTGRES_NAMES
from forestall.sense.storage import SPACE
from forestall.sense.systemd import SHOW_UNITS, SHOW_VERSION
from forestall.units import KIB, MIB

CONTENT = "content"
NAME = "name"
LINK = "link"


class Source(NamedTuple):
    """One place. `what` is taken: its content, that it is there (NAME), or what the link says.

    At most `limit_bytes` of it are read. `lines` is an extended regular expression (`grep -E`):
    no other line is needed, and none should leave the host. (The lines of an environ end in NUL.)
    """

    path: str
    what: str = CONTENT
    limit_bytes: int = 64 * KIB
    lines: str | None = None


POSTGRES_LINES = rf"^[[:space:]]*({'|'.join((*SETTINGS, *INCLUDES))})([[:space:]=]|$)"

"""Of any case (`grep -iE`), as PostgreSQL takes them."""

POSTGRES_FILES = ("postgresql.conf", "postgresql.auto.conf", "conf.d/*.conf")
"""Below each server's data directory and beside its config_file.

The data directory is the process's working directory (`proc/PID/cwd`), else its `-D`, else
PGDATA of its unit, written without a `/` at its end; `-c config_file=...` or `--config-file=...`
says where the settings are. What `include`, `include_if_exists` and `include_dir` name is followed
too.
"""

PROCESS = (
    Source("stat", limit_bytes=4096),
    Source("statm", limit_bytes=4096),
    Source("status", limit_bytes=4096, lines="^(Uid|VmRSS|RssAnon|VmSwap|Threads):"),
    Source("oom_score", limit_bytes=128),
    Source("oom_score_adj", limit_bytes=128),
    Source("cgroup", limit_bytes=16 * KIB),
)
"""Below proc/PID, of every process that has memory of its own (a kernel thread has none).

`oom_score_adj` and `cgroup` are read of the databases, the ten largest and the first victim.
"""

PROCESS_OF_THE_READER = (Source("io", limit_bytes=4096),)
"""Read where it is allowed (the same user); not worth a collector's time."""

COMMAND_LINE = Source("cmdline", limit_bytes=16 * KIB)
COMMAND_LINES = (*COMMAND_LINE_NAMES, "python*")
"""The names (proc/PID/comm) of the processes whose `cmdline` is read, and of no other.

For `python*` only the last parts of the first four words matter.
"""

WORKING_DIRECTORY = Source("cwd", LINK)
WORKING_DIRECTORIES = POSTGRES_NAMES
"""Of these the link proc/PID/cwd is read; it needs root or the same user."""

CGROUP_FILES = (
    "memory.current",
    "memory.max",
    "memory.high",
    "memory.swap.current",
    "memory.swap.max",
    "memory.events",
    "memory.pressure",
    "memory.usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.oom_control",
    "memory.stat",
)
"""In the reader's own memory cgroup and each above it; what matters inside a container.

Of each process's memory cgroup (`proc/PID/cgroup`, below the mount point in `proc/self/mountinfo`)
the folder is looked for: a recording names it with a `/` at its end, or its processes are told to
lie in the root.
"""

_DROP_INS = tuple(
    Source(path)
    for name in ("systemd/coredump.conf", "systemd/journald.conf", "systemd/zram-generator.conf")
    for root in ROOTS
    for path in (f"{root}/{name}", f"{root}/{name}.d/*.conf")
)

KERNEL = (
    Source("proc/sys/kernel/hostname", limit_bytes=256),
    Source("proc/sys/kernel/osrelease", limit_bytes=256),
    Source("proc/sys/kernel/arch", limit_bytes=64),
    Source("proc/sys/kernel/random/boot_id", limit_bytes=128),
    *(Source("proc/sys/" + name.replace(".", "/"), limit_bytes=4096) for name in SYSCTLS),
    Source("proc/cmdline", limit_bytes=16 * KIB),
    Source("proc/modules", limit_bytes=256 * KIB),
    Source("proc/stat", limit_bytes=MIB, lines="^(btime|processes) "),
    Source("proc/2/comm", limit_bytes=64),
    Source("sys/kernel/kexec_crash_loaded", limit_bytes=128),
    Source("sys/kernel/kexec_crash_size", limit_bytes=128),
    Source("boot/vmlinu[xz]-*", NAME),
    Source("boot/[Ii]mage-*", NAME),
    Source("lib/modules/*/kernel", NAME),
    Source("sys/kernel/livepatch/*/enabled", limit_bytes=128),
    Source("sys/kernel/kpatch/*/enabled", limit_bytes=128),
    Source("sys/kernel/kpatch/patches/*/enabled", limit_bytes=128),
    Source("sys/kernel/kgraft/*", NAME),
    Source("usr/bin/kcarectl", NAME),
    Source("usr/sbin/uptrack-uname", NAME),
)

MEMORY = (
    Source("proc/meminfo"),
    Source("proc/vmstat", lines="^(pgmajfault|pswpin|pswpout|oom_kill) "),
    Source("proc/pressure/memory"),
    Source("proc/swaps"),
    Source("proc/self/cgroup", limit_bytes=16 * KIB),
    Source("proc/self/mountinfo", limit_bytes=4 * MIB),
    Source("sys/fs/cgroup/cgroup.controllers"),
    Source("sys/fs/cgroup/unified/cgroup.controllers"),
    Source("sys/kernel/mm/transparent_hugepage/enabled", limit_bytes=128),
    Source("sys/devices/system/node/online", limit_bytes=128),
    Source("sys/module/zswap/parameters/enabled", limit_bytes=16),
)

SYSTEM = (
    Source("etc/os-release"),
    Source("usr/lib/os-release"),
    Source("etc/redhat-release", limit_bytes=256),
    Source("etc/SuSE-release", limit_bytes=1024),
    Source("run/systemd/system", NAME),
    Source("run/systemd/container", limit_bytes=256),
    Source("run/secrets/kubernetes.io", NAME),
    Source("run/.containerenv", NAME),
    Source(".dockerenv", NAME),
    Source("proc/vz", NAME),
    Source("proc/bc", NAME),
    Source("proc/1/environ", lines="^container="),
    Source("proc/1/stat", limit_bytes=4096),
    Source("proc/1/cgroup", limit_bytes=16 * KIB),
    Source("proc/self/ns/pid", LINK),
    Source("proc/cpuinfo", lines="^flags"),
    Source("sys/class/dmi/id/sys_vendor", limit_bytes=256),
    Source("sys/class/dmi/id/product_name", limit_bytes=256),
    Source("sys/hypervisor/type", limit_bytes=64),
    Source("var/lib/kubelet", NAME),
    Source("etc/yum.repos.d/*.repo", limit_bytes=512 * KIB, lines=r"^(\[|enabled[[:space:]]*=)"),
    Source("var/lib/ubuntu-advantage/status.json", limit_bytes=256 * KIB),
    Source("etc/products.d/*LTSS*.prod", NAME),
    Source("etc/apt/sources.list", lines="extended-lts"),
    Source("etc/apt/sources.list.d/*", lines="extended-lts"),
    Source("root/anaconda-ks.cfg", lines="content_profile_|^%|profile"),
    Source("root/original-ks.cfg", lines="content_profile_|^%|profile"),
    Source("etc/foreman_scap_client/config.yaml", lines="content_profile_"),
)

STORAGE = (
    # The options of other lines may hold the password of a share.
    Source("etc/fstab", lines="[[:space:]]swap([[:space:]]|$)"),
    Source("etc/systemd/system/*.swap"),
    Source("etc/systemd/system/*.wants/*.swap", NAME),
    Source("etc/systemd/system/*.requires/*.swap", NAME),
    *(
        Source(f"dev/disk/{by}/*", LINK)
        for by in ("by-uuid", "by-label", "by-partuuid", "by-partlabel", "by-id", "by-path")
    ),
    Source("dev/mapper/*", LINK),
    Source("sys/dev/block/*", LINK),
    Source("sys/class/block/*", LINK),
    Source("sys/class/block/*/dm/name", limit_bytes=256),
    Source("sys/class/block/*/partition", NAME),
    Source("sys/class/block/*/slaves/*", NAME),
    Source("sys/class/block/*/queue/rotational", limit_bytes=16),
)

CONFIGURED = (
    Source("etc/kdump.conf"),
    Source("etc/sysconfig/kdump"),
    Source("etc/default/kdump-tools"),
    *_DROP_INS,
    Source("etc/security/limits.conf"),
    Source("etc/security/limits.d/*.conf"),
)

SOURCES = (*KERNEL, *MEMORY, *SYSTEM, *STORAGE, *CONFIGURED)
"""All places but those below proc/PID, in a cgroup, and a PostgreSQL's."""

COMMANDS = (SHOW_VERSION, SHOW_UNITS, KERNELCARE, KSPLICE)
"""Asked on a live host too; the last two only where their program is there."""

RECORDED_COMMANDS = (SPACE, RPMS, DPKGS, DPKG_LIST)
"""Used where a recording holds the answer (by `recording.command_name`), never run by us.

SPACE gives the sizes of file systems; leave network ones out if it can be had without waiting for
them (`df -P -k -l`). Packages are asked only for kernels, where /boot cannot be listed.
"""

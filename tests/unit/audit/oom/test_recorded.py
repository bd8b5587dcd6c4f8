"""What real and written reports come to: who held it, what ran out, how it ended."""

import gzip
import json
import lzma
import sys
from pathlib import Path

import pytest
from tests.fakes import oom_logs

from forestall.audit.oom.account import Ending
from forestall.audit.oom.shortage import Shortage
from forestall.audit.oom.tally import HolderKind
from forestall.audit.oom.vmcore import report_of

DATA = Path(__file__).parents[3] / "data" / "oom"
PROCESS, SLAB, TMPFS = HolderKind.PROCESS, HolderKind.SLAB, HolderKind.TMPFS

# File, (who held most, its kind), who was killed, what ran out, how it ended.
GUEST = [
    ("leak_kill", ("inventory-sync", PROCESS), "inventory-sync", Shortage.HOST, Ending.KILLED),
    ("swapped", ("inventory-sync", PROCESS), "inventory-sync", Shortage.HOST, Ending.KILLED),
    ("allocating", ("inventory-sync", PROCESS), "cron-mail", Shortage.HOST, Ending.KILLED),
    ("no_tasks", ("inventory-sync", PROCESS), "inventory-sync", Shortage.HOST, Ending.KILLED),
    (
        "tmpfs",
        ("files in tmpfs, and shared memory", TMPFS),
        "backup-agent",
        Shortage.HOST,
        Ending.KILLED,
    ),
    ("slab", ("unreclaimable slab", SLAB), "app-worker", Shortage.HOST, Ending.KILLED),
    (
        "pipes",
        ("memory that no counter names", HolderKind.UNNAMED),
        "log-shipper",
        Shortage.HOST,
        Ending.KILLED,
    ),
    (
        "hugepages",
        ("huge pages that nobody uses", HolderKind.HUGE_PAGES),
        "app-worker",
        Shortage.HOST,
        Ending.KILLED,
    ),
    ("mempolicy", ("node-bound", PROCESS), "node-bound", Shortage.NODES, Ending.KILLED),
    ("memcg", ("inventory-sync", PROCESS), "inventory-sync", Shortage.CGROUP, Ending.KILLED),
    ("memcg_group", ("batch-worker", PROCESS), "batch-worker", Shortage.CGROUP, Ending.KILLED),
    ("memcg_unkillable", ("keeper", PROCESS), None, Shortage.CGROUP, Ending.NOBODY_KILLED),
    ("panic_global", ("inventory-sync", PROCESS), None, Shortage.HOST, Ending.PANICKED),
    ("panic_compulsory", ("inventory-sync", PROCESS), None, Shortage.CGROUP, Ending.PANICKED),
    ("panic_unkillable", ("inventory-sync", PROCESS), None, Shortage.HOST, Ending.PANICKED),
    ("sysrq", None, "inventory-sync", Shortage.NOTHING, Ending.KILLED),
]


@pytest.mark.parametrize(("name", "blamed", "victim", "shortage", "ending"), GUEST)
def test_a_real_kernel_that_ran_out(name, blamed, victim, shortage, ending):
    """Linux 6.1 in a guest that was brought there on purpose, so the truth is known."""
    report = oom_logs.explain((DATA / "guest-6.1" / f"{name}.console").read_bytes())
    account = oom_logs.chosen(report)
    culprits = [(one.name, one.kind) for one in account.culprits]
    assert culprits == ([blamed] if blamed else [])
    assert (account.victims[0].name if account.victims else None) == victim
    assert (account.ran_out.shortage, account.ending) == (shortage, ending)
    assert account.kernel == "6.1.0-56-cloud-amd64"


@pytest.mark.parametrize(
    ("name", "blamed", "victim", "shortage", "ending"),
    [row for row in GUEST if (DATA / "guest-6.12" / f"{row[0]}.console").exists()],
)
def test_a_newer_kernel_that_ran_out(name, blamed, victim, shortage, ending):
    """Linux 6.12 in the same guest, brought there in the same ways, comes to the same."""
    report = oom_logs.explain((DATA / "guest-6.12" / f"{name}.console").read_bytes())
    account = oom_logs.chosen(report)
    culprits = [(one.name, one.kind) for one in account.culprits]
    assert culprits == ([blamed] if blamed else [])
    assert (account.victims[0].name if account.victims else None) == victim
    assert (account.ran_out.shortage, account.ending) == (shortage, ending)
    assert account.kernel == "6.12.111+deb12-cloud-amd64"


def test_every_recorded_report_has_its_truth():
    """bench/audit_oom.py measures against it, so that no file may be left out of the count."""
    truth = json.loads((DATA / "truth.json").read_text(encoding="utf-8"))
    folders = ("guest-6.1", "guest-6.12", "host-6.18", "public", "written")
    files = {f"{folder}/{path.name}" for folder in folders for path in (DATA / folder).iterdir()}
    assert set(truth) == files - {"guest-6.1/core.json"}
    for name, holder in truth.items():
        account = oom_logs.chosen(oom_logs.explain((DATA / name).read_bytes()))
        named = [one.name for one in account.culprits if one.kind.is_process]
        # Its process was already dead in the second report, which ends with a panic.
        if not name.endswith("pagetables.console"):
            assert named[:1] == ([holder] if holder not in (None, "UNKNOWN") else []), name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("panic_global", "vm.panic_on_oom=1"),
        ("panic_compulsory", "vm.panic_on_oom=2"),
        ("panic_unkillable", "Nobody was left to kill"),
    ],
)
def test_why_it_panicked(name, words):
    """The setting behind a panic is named, or that there is none."""
    report = oom_logs.explain((DATA / "guest-6.1" / f"{name}.console").read_bytes())
    assert words in " ".join(oom_logs.chosen(report).why_panic)


def test_a_protected_leak_has_the_others_killed_first():
    """Four died for it before the kernel came to it; each time it was the one that held most."""
    report = oom_logs.explain((DATA / "guest-6.1" / "leak_protected.console").read_bytes())
    assert [one.culprits[0].name for one in report.accounts] == ["inventory-sync"] * 5
    victims = [one.victims[0].name for one in report.accounts]
    assert victims == ["report-cron", "postgres", "postgres", "postgres", "inventory-sync"]
    assert "36000 for oom_score_adj 300" in report.accounts[0].why_victim[0]
    assert [(row.count, row.victim) for row in report.series] == [
        (1, "report-cron"),
        (3, "postgres"),
        (1, "inventory-sync"),
    ]


def test_page_tables_belong_to_their_process():
    """6 MiB resident and 401 MiB of page tables: the process holds both."""
    report = oom_logs.explain((DATA / "guest-6.1" / "pagetables.console").read_bytes())
    first = report.accounts[0].culprits[0]
    assert (first.name, first.page_table_bytes) == ("sparse-index", 420327424)
    # After it was killed its page tables were still there, and no row of the table had them.
    assert report.accounts[1].culprits[0].kind is HolderKind.PAGE_TABLES


def test_the_slab_cache_is_named_where_the_kernel_names_it():
    """The kernel prints its caches where slab outweighs what processes hold."""
    report = oom_logs.explain((DATA / "guest-6.1" / "slab.console").read_bytes())
    account = oom_logs.chosen(report)
    assert account.caches[0].name.startswith("kmalloc")
    assert account.caches[0].name in account.culprit


def test_shared_memory_is_counted_once():
    """Six processes have touched the same 48 MiB: by RSS they hold 366 MiB, in truth some 100."""
    report = oom_logs.explain((DATA / "guest-6.1" / "panic_global.console").read_bytes())
    (database,) = [one for one in oom_logs.chosen(report).holders if one.name == "postgres"]
    assert database.count == 6
    assert database.most_bytes > 350 * 1024**2
    # Each has 3 MiB of its own, and some 9 MiB of Python; 54 MiB are mapped and shared.
    assert 60 * 1024**2 < database.bytes < 130 * 1024**2


@pytest.mark.parametrize(
    ("name", "blamed", "victim"),
    [("cgroup_v1_1", "stock-sync", 22655), ("cgroup_v1_2", "python3", 15433)],
)
def test_cgroup_v1_on_a_new_kernel(name, blamed, victim):
    """6.18 prints v1's memory.stat over many lines, where only `total_...` counts what is below."""
    report = oom_logs.explain((DATA / "host-6.18" / f"{name}.dmesg").read_bytes())
    account = oom_logs.chosen(report)
    assert [one.name for one in account.culprits] == [blamed]
    assert account.victims[0].pid == victim
    assert account.ran_out.shortage is Shortage.CGROUP
    anonymous = account.parts[0]
    assert anonymous.name == "process memory (anonymous)"
    assert anonymous.bytes > 0.6 * sum(part.bytes for part in account.parts)


def test_what_a_cgroup_has_reached_is_all_that_it_has():
    """The parts of a real cgroup come to its limit, and none is without a name."""
    report = oom_logs.explain((DATA / "host-6.18" / "cgroup_v1_2.dmesg").read_bytes())
    account = oom_logs.chosen(report)
    assert sum(part.bytes for part in account.parts) == pytest.approx(370512 * 1024, rel=0.02)
    assert all(part.name != "named by no counter" for part in account.parts)


WRITTEN = [
    ("rhel6-java.messages", "java", "java", Ending.KILLED),
    ("rhel6-panic.console", "java", None, Ending.PANICKED),
    ("rhel7-incident.vmcore-dmesg.txt", "inventory-sync", None, Ending.PANICKED),
    ("rhel7-incident.messages.gz", "inventory-sync", None, Ending.PANICKED),
    ("rhel7-hung-task.dmesg", "inventory-sync", "inventory-sync", Ending.PANICKED),
    ("rhel7-docker.dmesg-T", "worker", "worker", Ending.KILLED),
    ("rhel8-dirty-pod.messages", "page cache", "dd", Ending.KILLED),
    ("rhel8-arm64.dmesg-r", "inventory-sync", "inventory-sync", Ending.KILLED),
    ("rhel8-connections.export.xz", "postgres", "postgres", Ending.KILLED),
    ("el9-spared.journal.json", "feed-cache", "report-batch", Ending.KILLED),
    ("el9-slab.console", "unreclaimable slab", "app", Ending.KILLED),
    ("el9-huge.dmesg", "huge pages that nobody uses", "app", Ending.KILLED),
    ("el7-i686-lowmem.dmesg", "unreclaimable slab", "squid", Ending.KILLED),
    ("ubuntu-tmpfs.dmesg", "files in tmpfs, and shared memory", "exporter", Ending.KILLED),
    ("ubuntu-fragmented.dmesg", None, "exporter", Ending.KILLED),
    ("ubuntu-unnamed.dmesg", "memory that no counter names", "app", Ending.KILLED),
]


@pytest.mark.parametrize(("name", "blamed", "victim", "ending"), WRITTEN)
def test_other_generations(name, blamed, victim, ending):
    """2.6.32 to 6.8, in the forms that logs come in."""
    report = oom_logs.explain((DATA / "written" / name).read_bytes())
    assert report.events == 1
    account = report.accounts[0]
    assert [one.name for one in account.culprits] == ([blamed] if blamed else [])
    assert (account.victims[0].name if account.victims else None) == victim
    assert account.ending is ending


def test_the_seeds_panic_is_explained():
    """32 GB, 4 GB swap, panic_on_oom=1: who held it, whom the log opens with, why it panicked."""
    report = oom_logs.explain((DATA / "written" / "rhel7-incident.vmcore-dmesg.txt").read_bytes())
    account = report.accounts[0]
    assert account.kernel == "3.10.0-957.el7.x86_64"
    assert account.invoker == "postgres"
    assert account.headline == (
        "inventory-sync (pid 4711) held 32 GiB of the host's 35 GiB of memory and swap. The "
        "kernel panicked instead of killing a process because of vm.panic_on_oom=1."
    )
    assert "All 4.0 GiB of swap is used." in account.ran_out.because
    assert any("vm.panic_on_oom=0" in step for step in account.next_steps)


def test_a_hung_task_after_the_kill_is_tied_to_it():
    """The panic names no memory, yet the task that hung waited for it."""
    report = oom_logs.explain((DATA / "written" / "rhel7-hung-task.dmesg").read_bytes())
    told = " ".join(report.accounts[0].why_panic)
    assert "kernel.hung_task_panic=1" in told
    assert "jbd2/dm-0-8 (pid 612), in shrink_inactive_list, waited for memory" in told


def test_pages_of_64_kib_are_seen():
    """On arm64 of RHEL 8 the table counts pages of 64 KiB."""
    report = oom_logs.explain((DATA / "written" / "rhel8-arm64.dmesg-r").read_bytes())
    account = report.accounts[0]
    assert account.page_bytes == 65536
    assert account.culprits[0].bytes > 12 * 1024**3


def test_a_low_zone_and_a_fragmented_one_are_told_from_the_host():
    """Lowmem of a 32-bit kernel, and a request for four adjacent pages."""
    low = oom_logs.explain((DATA / "written" / "el7-i686-lowmem.dmesg").read_bytes()).accounts[0]
    assert low.ran_out.shortage is Shortage.ZONE
    assert "HighMem, where 5.0 GiB is free" in low.ran_out.because[0]
    pieces = oom_logs.explain((DATA / "written" / "ubuntu-fragmented.dmesg").read_bytes())
    assert pieces.accounts[0].ran_out.shortage is Shortage.FRAGMENTATION
    assert "16 KiB of adjacent memory" in pieces.accounts[0].ran_out.because[0]


def test_the_written_files_are_what_the_program_writes():
    """Nobody edited a fixture to please a test."""
    sys.path.insert(0, str(DATA))
    try:
        from write import written
    finally:
        sys.path.remove(str(DATA))
    files = written()
    assert {path.name for path in (DATA / "written").iterdir()} == set(files)
    for name, data in files.items():
        found = (DATA / "written" / name).read_bytes()
        unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(Path(name).suffix, bytes)
        assert unpack(found) == unpack(data), name


def test_a_dump_tells_the_same_and_more():
    """What drgn read from a real vmcore: the panic, cgroups, every cache."""
    found = json.loads((DATA / "guest-6.1" / "core.json").read_text(encoding="utf-8"))
    report = report_of(found, "vmcore")
    account = oom_logs.chosen(report)
    assert account.ending is Ending.PANICKED
    assert [one.name for one in account.culprits] == ["inventory-sync"]
    assert account.culprits[0].cgroup == "/inventory-sync"
    assert account.invoker == "postgres"
    assert account.caches[0].name == "inode_cache"
    assert not any("assumed" in text for text in account.unknown)

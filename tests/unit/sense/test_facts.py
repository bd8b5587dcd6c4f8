"""HostFacts, on hosts of plain files and on the recorded ones."""

from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import GIB, MIB, FakeHost, recorded_host

from forestall.model.codec import dumps, loads
from forestall.model.facts import HostFacts
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost, Recording

HOSTS = Path(__file__).parents[2] / "data" / "hosts"


def _facts(fake, **parameters):
    return read_facts(fake.host(**parameters), FakeClock(at=1_700_000_000.0))


def test_facts_are_those_of_the_tree(tmp_path):
    """Name, system, boot, memory and swap of the injected host, and of no other."""
    fake = FakeHost(tmp_path).sysctl("vm.panic_on_oom", 1).process(1, "systemd")
    facts = _facts(fake, machine="aarch64", effective_uid=1000)
    assert (facts.at, facts.hostname) == (1_700_000_000.0, "fake.example")
    assert (facts.os_id, facts.os_version_id, facts.os_name) == ("debian", "12", "Debian 12")
    assert (facts.kernel_release, facts.machine) == ("6.1.0-28-amd64", "aarch64")
    assert facts.booted_at == 1_699_990_000.0
    assert facts.memory.mem_total_bytes == 16 * GIB
    assert facts.swaps[0].name == "/dev/sda2"
    assert facts.sysctls["vm.panic_on_oom"] == "1"
    assert (facts.psi, facts.cgroup_version) == (True, 2)
    assert (facts.commit_limit_bytes, facts.committed_bytes) == (12 * GIB, 4 * GIB)
    assert (facts.effective_uid, facts.hidden_processes) == (1000, False)


def test_an_empty_host_is_all_absence_with_reasons(tmp_path):
    """Nothing readable is no error: None, and `unseen` says why in words."""
    for part in ("proc", "sys", "etc", "run"):
        (tmp_path / part).mkdir()
    facts = read_facts(recorded_host(tmp_path), FakeClock())
    assert facts.boot_id is None
    assert facts.memory.mem_total_bytes is None
    assert facts.swaps is None
    assert facts.holders == ()
    assert {"memory", "swaps", "own_cgroups", "units", "holders"} <= facts.unseen.keys()
    assert all(facts.unseen.values())


def test_damaged_files_end_in_unseen_and_spare_the_rest(tmp_path):
    """One file that cannot be understood does not take the other facts with it."""
    fake = FakeHost(tmp_path).process(1, "systemd").process(7, "worker")
    fake.write("proc/meminfo", "MemTotal: many kB\n")
    fake.write("proc/swaps", "Filename\n/dev/sda2\n")
    fake.write("proc/pressure/memory", "nonsense\n")
    fake.write("proc/self/mountinfo", "nonsense\n")
    fake.write("proc/stat", "btime soon\n")
    fake.write("proc/7/stat", "7 (cut")
    facts = _facts(fake)
    for field, path in [
        ("memory", "proc/meminfo line 1"),
        ("swaps", "proc/swaps line 2"),
        ("psi", "proc/pressure/memory line 1"),
        ("own_cgroups", "proc/self/mountinfo line 1"),
        ("booted_at", "proc/stat line 1"),
        ("holders", "proc/7/stat line 1"),
    ]:
        assert path in facts.unseen[field]
    assert facts.sysctls == {}
    assert [holder.process.key.pid for holder in facts.holders] == [1]


def test_holders_are_the_largest_by_memory_with_their_oom_score(tmp_path):
    """Swap counts, shared memory does not, and ten are enough."""
    fake = FakeHost(tmp_path).process(1, "systemd")
    for pid in range(10, 30):
        fake.process(pid, f"p{pid}", rss=pid * MIB, anon=pid * MIB)
    fake.process(30, "swapped", rss=MIB, anon=MIB, swap=GIB, oom_score_adj=-17)
    fake.process(31, "shared", rss=8 * GIB, anon=MIB)
    holders = _facts(fake).holders
    assert len(holders) == 10
    assert [h.process.name for h in holders[:3]] == ["swapped", "p29", "p28"]
    assert (holders[0].oom_score, holders[0].oom_score_adjust) == (666, -17)
    assert holders[0].process.swap_bytes == GIB


def test_kernel_threads_and_zombies_hold_nothing(tmp_path):
    """What has no memory is neither a holder nor counted."""
    fake = FakeHost(tmp_path).process(1, "systemd").process(2, "kthreadd", rss=0)
    facts = _facts(fake.process(3, "zombie", rss=0))
    assert facts.process_count == 1


def test_the_own_chain_of_cgroups_has_its_limits(tmp_path):
    """Nearest first, as the agent itself is bound by it."""
    fake = FakeHost(tmp_path).cgroup("/a/b", maximum=GIB, current=MIB).cgroup("/a", maximum=2 * GIB)
    fake.write("proc/self/cgroup", "0::/a/b\n")
    chain = _facts(fake).own_cgroups
    assert [(group.path, group.max_bytes) for group in chain] == [
        ("/a/b", GIB),
        ("/a", 2 * GIB),
        ("/", None),
    ]


def test_hidden_processes_are_said_and_leave_no_false_none_seen(tmp_path):
    """With hidepid, no guard seen does not mean that there is none; one seen is one."""
    fake = FakeHost(tmp_path).process(500, "python3")
    facts = _facts(fake)
    assert facts.hidden_processes is True
    assert (facts.guards, facts.databases) == (None, None)
    assert "hidepid" in facts.unseen["holders"]
    assert _facts(fake.process(501, "earlyoom")).guards == ("earlyoom",)


def test_without_psi_the_reason_tells_absent_from_off(tmp_path):
    """A kernel that has it switched off can be booted with it."""
    fake = FakeHost(tmp_path).write("proc/pressure/memory", "")
    facts = _facts(fake)
    assert facts.psi is False
    assert "psi=1" in facts.unseen["psi"]
    fake.remove("proc/pressure")
    assert _facts(fake).unseen["psi"] == "this kernel has no PSI"


def test_a_system_older_than_os_release_is_named(tmp_path):
    """redhat-release is the fallback, /usr/lib before it."""
    fake = FakeHost(tmp_path).remove("etc/os-release")
    fake.write("etc/redhat-release", "CentOS release 6.10 (Final)\n")
    assert _facts(fake).os_name == "CentOS release 6.10 (Final)"
    fake.write("usr/lib/os-release", "ID=alpine\n")
    assert _facts(fake).os_id == "alpine"


def test_a_crash_kernel_is_armed_or_not_or_not_to_be_told(tmp_path):
    """0 and 1 are answers; a kernel without the file has no crash kernel; no /sys, no answer."""
    fake = FakeHost(tmp_path)
    assert _facts(fake).crash_kernel_loaded is None
    fake.write("sys/kernel/mm/ksm/run", "0\n")
    assert _facts(fake).crash_kernel_loaded is False
    fake.write("sys/kernel/kexec_crash_loaded", "1\n")
    fake.write("sys/kernel/kexec_crash_size", "268435456\n")
    facts = _facts(fake)
    assert (facts.crash_kernel_loaded, facts.crash_kernel_bytes) == (True, 256 * MIB)


def test_databases_are_their_main_process(tmp_path):
    """A server's own children are not further servers; two servers are two."""
    fake = FakeHost(tmp_path).process(1, "systemd")
    fake.process(10, "postgres", oom_score_adj=-900).process(11, "postgres", parent=10)
    fake.process(12, "postgres", parent=11).process(20, "mysqld").process(21, "sqlite3")
    fake.process(30, "ora_pmon_ORCL").process(31, "ora_dbw0_ORCL")
    found = _facts(fake).databases
    assert sorted(d.process.key.pid for d in found) == [10, 20, 30]
    assert {d.process.name: d.oom_score_adjust for d in found}["postgres"] == -900


def test_huge_pages_and_zswap(tmp_path):
    """Reserved pages of the default size where the kernel has no sum; zswap on or off."""
    fake = FakeHost(tmp_path)
    fake.write("proc/meminfo", "MemTotal: 9 kB\nHugePages_Total: 4\nHugepagesize: 2048 kB\n")
    assert _facts(fake).hugetlb_bytes == 8 * MIB
    fake.write("proc/meminfo", "HugePages_Total: 4\nHugepagesize: 2048 kB\nHugetlb: 1024 kB\n")
    facts = _facts(fake)
    assert (facts.hugetlb_bytes, facts.zswap) == (MIB, None)
    assert _facts(fake.write("sys/module/zswap/parameters/enabled", "Y\n")).zswap is True


@pytest.mark.parametrize("tree", sorted(path.name for path in HOSTS.iterdir() if path.is_dir()))
def test_every_recorded_host_is_read_whole(tree):
    """No fact of a recorded host is damaged, and its document survives a round trip."""
    facts = read_facts(recorded_host(HOSTS / tree), FakeClock())
    assert facts.memory.mem_total_bytes
    assert facts.sysctls["vm.panic_on_oom"] in ("0", "1", "2")
    assert facts.own_cgroups
    assert facts.holders
    damaged = [reason for reason in facts.unseen.values() if " line " in reason]
    assert damaged == []
    assert loads(HostFacts, dumps(facts)) == facts


def test_the_rhel_7_host_says_what_happened_to_it():
    """A panic that stays down: no dump, no limit, a service the size of the host."""
    facts = read_facts(recorded_host(HOSTS / "rhel7-db"), FakeClock())
    assert (facts.os_id, facts.os_version_id, facts.systemd_version) == ("rhel", "7.6", 219)
    assert (facts.sysctls["vm.panic_on_oom"], facts.sysctls["kernel.panic"]) == ("1", "0")
    assert (facts.cgroup_version, facts.psi, facts.crash_kernel_loaded) == (1, False, False)
    assert facts.virtualization == "vmware"
    assert facts.memory.swap_total_bytes == 4_294_963_200
    first = facts.holders[0]
    assert (first.process.name, first.process.unit) == ("feed-sync", "feed-sync.service")
    feed = next(unit for unit in facts.units if unit.name == "feed-sync.service")
    assert (feed.memory_max_bytes, feed.limit_known, feed.restart) == (None, True, "no")
    assert [database.process.key.pid for database in facts.databases] == [2201]


def test_the_container_is_bound_by_its_own_cgroup():
    """Inside a cgroup namespace the root of the mount carries the limit."""
    facts = read_facts(recorded_host(HOSTS / "container-v2"), FakeClock())
    assert (facts.container, facts.cgroup_version) == ("docker", 2)
    (own,) = facts.own_cgroups
    assert (own.path, own.max_bytes, own.oom_kill_count) == ("/", 512 * MIB, 2)
    assert own.swap_max_bytes == 0
    assert facts.swaps == ()
    assert facts.units is None


def test_the_laptop_has_a_guard_and_swap_in_memory():
    """zram is not a disk, systemd-oomd is a guard, a browser's scope is a user's unit."""
    facts = read_facts(recorded_host(HOSTS / "laptop-zram"), FakeClock())
    assert [swap.kind for swap in facts.swaps] == ["zram"]
    assert facts.guards == ("systemd-oomd",)
    assert facts.holders[0].process.unit == "app-gnome-firefox-3001.scope"
    assert (facts.container, facts.virtualization) == (None, None)


def test_the_recorded_machine_is_no_container():
    """It was made from an image that left its mark, and is a machine all the same."""
    facts = read_facts(recorded_host(HOSTS / "vm-hybrid"), FakeClock())
    assert (facts.container, facts.virtualization) == (None, "unknown hypervisor")
    assert (facts.cgroup_version, facts.psi) == (1, True)
    assert facts.own_cgroups[0].max_bytes == 256 * MIB
    assert 0 < facts.own_cgroups[0].headroom_bytes < 256 * MIB


def test_the_rhel_7_host_tells_what_the_rules_ask_for():
    """Kernels, swap at boot, disks, the dump's place, limits and PostgreSQL's own settings."""
    facts = read_facts(recorded_host(HOSTS / "rhel7-db"), FakeClock())
    assert facts.unseen["psi"] == "this kernel has no PSI"
    # A copy cannot say of these that there is none.
    unsure = {"baseline", "extended_support", "sysctls", "installed_kernels"}
    assert set(facts.unseen) == {"psi", *unsure}
    assert facts.installed_kernels == (
        "0-rescue-3f8e2b6c0d5d4f0d9a3c7b1e5a6d8c90",
        "3.10.0-957.el7.x86_64",
    )
    assert (facts.livepatches, facts.effective_release, facts.extended_support) == ((), None, None)
    assert "crashkernel=auto" in facts.cmdline
    assert "vmxnet3" in facts.modules
    assert facts.fstab_swaps == (facts.swaps[0].name,) == ("/dev/dm-1",)
    root = next(mount for mount in facts.mounts if mount.path == "/")
    assert (root.size_bytes, root.free_bytes) == (104806400 * 1024, 43594056 * 1024)
    (disk,) = [device for device in facts.block_devices if device.answers_to(root.device)]
    assert (disk.name, disk.disks, disk.rotational) == ("dm-0", ("sda",), True)
    assert (facts.kdump.path, facts.kdump.filtered) == ("/var/crash", True)
    assert facts.transparent_hugepage == "never"
    assert (facts.numa_node_count, facts.cgroup_hybrid, facts.kubernetes) == (1, False, False)
    (server,) = facts.postgres
    assert server.complete
    assert (server.shared_buffers_bytes, server.work_mem_bytes) == (4 * GIB, 32 * MIB)
    assert server.data_directory == "/var/lib/pgsql/11/data"
    unit = next(unit for unit in facts.units if unit.name == "postgresql-11.service")
    assert (unit.oom_adjust_children, unit.start_limit_interval_seconds) == (0, 10.0)
    assert [found.name for found in facts.slices] == ["system.slice"]


def test_inside_a_container_the_hosts_own_things_are_not_told():
    """An image's fstab and /boot say nothing; the kernel's settings are the host's all the same."""
    facts = read_facts(recorded_host(HOSTS / "container-v2"), FakeClock())
    for field in ("installed_kernels", "fstab_swaps", "kdump", "block_devices"):
        assert getattr(facts, field) is None
        assert "container" in facts.unseen[field]
    assert facts.sysctls["vm.panic_on_oom"] == "0"


def test_a_recording_has_its_own_time_and_origin():
    """The facts are as old as the recording, by the host's own clock."""
    recording = Recording(files={}, origin="sosreport", collected_at=1_600_000_000.0)
    facts = read_facts(RecordedHost(recording), FakeClock(1_700_000_000.0))
    assert (facts.at, facts.origin) == (1_600_000_000.0, "sosreport")
    undated = read_facts(RecordedHost(Recording(files={})), FakeClock(1_700_000_000.0))
    assert undated.at == 1_700_000_000.0


def test_the_memory_controllers_of_a_hybrid(tmp_path):
    """v1 with a v2 hierarchy beside it is a hybrid; v2 alone is not."""
    assert read_facts(recorded_host(HOSTS / "vm-hybrid"), FakeClock()).cgroup_hybrid is True
    assert _facts(FakeHost(tmp_path)).cgroup_hybrid is False


def test_a_kubelet_makes_a_node(tmp_path):
    """By its process; hidden processes leave its folder as the sign, or nothing to be told."""
    fake = FakeHost(tmp_path).process(1, "systemd")
    assert _facts(fake).kubernetes is False
    assert _facts(fake.process(70, "kubelet")).kubernetes is True
    fake.remove("proc/70").remove("proc/1")
    assert _facts(fake).kubernetes is None
    assert _facts(fake.write("var/lib/kubelet/config.yaml", "")).kubernetes is True


def test_systems_older_than_os_release_are_named_in_its_words(tmp_path):
    """The rules ask for the id and version, wherever they stood."""
    fake = FakeHost(tmp_path).remove("etc/os-release")
    fake.write("etc/redhat-release", "Red Hat Enterprise Linux Server release 6.10 (Santiago)\n")
    facts = _facts(fake)
    assert (facts.os_id, facts.os_version_id) == ("rhel", "6.10")
    assert facts.sources["/os_id"] == "/etc/redhat-release"
    fake.remove("etc/redhat-release").write(
        "etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n"
    )
    facts = _facts(fake)
    assert (facts.os_id, facts.os_version_id) == ("sles", "11")


def test_a_database_in_a_container_keeps_its_files(tmp_path):
    """Its paths are another root's, so none of this host's is read for it."""
    fake = FakeHost(tmp_path).process(1, "systemd")
    fake.process(70, "postgres", cgroup="/docker/abc", cmdline=("postgres", "-D", "/data"))
    fake.write("data/postgresql.conf", "shared_buffers = 1GB\n")
    facts = _facts(fake)
    assert facts.postgres[0].shared_buffers_bytes is None
    assert not facts.postgres[0].complete
    assert "container" in facts.unseen["postgres"]


def test_pgdata_of_the_unit_finds_the_files(tmp_path):
    """A server that says nothing of its place is found by its service's environment."""
    fake = FakeHost(tmp_path).process(1, "systemd")
    fake.process(70, "postgres", cgroup="/system.slice/postgresql.service", cmdline=("postgres",))
    fake.write("run/systemd/system/x", "").command("systemctl --version", "systemd 252\n")
    fake.command("systemctl show", "Id=postgresql.service\nEnvironment=PGDATA=/pg\n")
    fake.write("pg/postgresql.conf", "shared_buffers = 1GB\n").write("pg/postgresql.auto.conf", "")
    (server,) = _facts(fake).postgres
    assert (server.data_directory, server.shared_buffers_bytes, server.complete) == (
        "/pg",
        GIB,
        True,
    )


def test_what_half_a_recording_lacks_is_unknown():
    """Of a few copied files nobody can say what else was there; of a complete one everybody can."""
    files = {"proc/meminfo": b"MemTotal: 9 kB\n", "proc/sys/kernel/osrelease": b"6.1.0-28-amd64\n"}
    half = read_facts(RecordedHost(Recording(files=files)), FakeClock())
    assert (half.psi, half.modules, half.livepatches, half.coredump) == (None, None, None, None)
    assert half.unseen["psi"] == "proc/pressure/memory was not recorded"
    assert half.unseen["kdump"] == "no settings of kdump were recorded"
    assert half.unseen["holders"] == "no process was recorded"
    whole = read_facts(RecordedHost(Recording(files=files, complete=True)), FakeClock())
    assert (whole.psi, whole.modules, whole.livepatches) == (False, (), ())
    assert whole.unseen["psi"] == "this kernel has no PSI"
    assert "not installed" in whole.unseen["kdump"]


def test_a_kernel_before_psi_has_none_whatever_was_recorded():
    """PSI came with 4.20 and, on RHEL, 4.18; nobody carried it back to 3.10."""
    files = {"proc/sys/kernel/osrelease": b"3.10.0-957.el7.x86_64\n"}
    facts = read_facts(RecordedHost(Recording(files=files)), FakeClock())
    assert (facts.psi, facts.unseen["psi"]) == (False, "this kernel has no PSI")


def test_an_answer_of_systemctl_shows_that_systemd_runs():
    """A sosreport has it and no /run/systemd/system."""
    recording = Recording(files={}, commands={"systemctl-show": b"Id=a.service\nMemoryMax=1\n"})
    (unit,) = read_facts(RecordedHost(recording), FakeClock()).units
    assert (unit.name, unit.memory_max_bytes) == ("a.service", 1)

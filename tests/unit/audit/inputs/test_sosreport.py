"""Sosreports: what is read of real layouts, and that a hostile archive does no harm."""

import dataclasses
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.archives import of_members, packed, special
from tests.fakes.clock import FakeClock
from tests.fakes.host import recorded_host

from forestall.audit.inputs.sosreport import read_sosreports
from forestall.audit.inputs.unpack import Limits
from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.sense.facts import read_facts

DATA = Path(__file__).parents[3] / "data"
RHEL7 = DATA / "sosreports" / "rhel7-db"
RHEL9 = DATA / "sosreports" / "rhel9-app"
MEMINFO = b"MemTotal: 1024 kB\n"
PS_OF_DEBIAN = b"""\
F   UID   PID  PPID PRI  NI    VSZ   RSS WCHAN  STAT TTY        TIME COMMAND
4     0     1     0  20   0 172000 17000 ep_pol Ss   ?          0:10 /sbin/init
4 105 900 1 20 0 172000 97000 poll_s Ss ? 0:10 /usr/lib/postgresql/15/bin/postgres\
 -D /var/lib/postgresql/15/main -c config_file=/etc/postgresql/15/main/postgresql.conf
4     0   950   901  20   0 155460  1888 -      R    ?          0:00 ps alxwww
"""
LISTED = """\
UNIT LOAD ACTIVE SUB DESCRIPTION
feed.service loaded active running Feed
● lost.service loaded failed failed Lost
gone.service not-found inactive dead gone
getty@tty1.service loaded active running Getty

4 loaded units listed.
""".encode()
SMALL = Limits(
    unpacked_bytes=64 * 1024 * 1024, ratio=100, ratio_from_bytes=1024 * 1024, seconds=20.0
)


def _read(*paths, limits=None):
    return list(read_sosreports([str(path) for path in paths], SystemClock(), limits))


def _one(tmp_path, data, name="sosreport-x.tar.xz", limits=None):
    path = tmp_path / name
    path.write_bytes(data)
    (seen,) = _read(path, limits=limits)
    return seen


def _outcomes(path):
    """(problem, whether there are facts) of each host, or of the one error."""
    try:
        return [(seen.problem, seen.facts is not None) for seen in _read(path, limits=SMALL)]
    except ForestallError as error:
        return [(error.message, False)]


def _problems(path):
    return [problem for problem, _ in _outcomes(path)]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("name", ["sosreport-db01-2024-11-15-abcdefg", ""])
def test_a_packed_report_says_what_the_unpacked_one_says(tmp_path, mode, name):
    """Neither the packing nor the folder inside changes a fact."""
    (unpacked,) = _read(RHEL7)
    seen = _one(tmp_path, packed(RHEL7, name, mode))
    assert seen == unpacked
    assert seen.problem is None
    assert seen.name == "db01.example"


def test_a_report_says_what_its_host_says():
    """The memory, swap, settings and units of the recorded host of the same name."""
    (seen,) = _read(RHEL7)
    host = read_facts(recorded_host(DATA / "hosts" / "rhel7-db"), FakeClock(at=1.0))
    facts = seen.facts
    same = ("memory", "swaps", "booted_at", "os_id", "os_version_id", "kernel_release")
    same += ("crash_kernel_loaded", "crash_kernel_bytes", "systemd_version", "cgroup_version")
    for field in same:
        assert getattr(facts, field) == getattr(host, field), field
    assert {name: facts.sysctls[name] for name in host.sysctls} == dict(host.sysctls)
    assert [unit.name for unit in facts.units] == [unit.name for unit in host.units]
    assert [unit.memory_max_bytes for unit in facts.units] == [None] * 5
    # ps shows the title that a PostgreSQL process gives itself, not the kernel's name of it.
    assert [h.process.name for h in facts.holders][:2] == ["feed-sync", "postgres"]
    assert [h.process.rss_bytes for h in facts.holders][:3] == [
        h.process.rss_bytes for h in host.holders
    ][:3]
    assert [h.process.unit for h in facts.holders][:2] == [
        "feed-sync.service",
        "postgresql-11.service",
    ]
    assert [h.process.name for h in facts.databases] == ["postmaster"]


def test_what_a_report_does_not_tell_is_not_made_up():
    """ps knows no anonymous memory and no OOM score: None, not 0. It knows the processor time."""
    (seen,) = _read(RHEL7)
    holder = seen.facts.holders[0]
    assert holder.process.anon_bytes is None
    assert holder.process.cpu_seconds == 183 * 60 + 32
    assert (holder.oom_score, holder.oom_score_adjust) == (None, None)
    assert seen.facts.slices is None


def test_a_new_report_tells_more():
    """sos 4: status files, cgroups of version 2 and slices, pressure, the date in UTC."""
    (seen,) = _read(RHEL9)
    facts = seen.facts
    assert facts.at == 1762171200.0
    assert (facts.cgroup_version, facts.psi) == (2, True)
    (first, *_) = facts.holders
    assert (first.process.name, first.process.unit) == ("feed-sync", "feed-sync.service")
    assert (first.process.anon_bytes, first.oom_score) == (2090000 * 1024, 720)
    limits = {unit.name: unit.memory_max_bytes for unit in facts.units}
    assert limits["feed-sync.service"] == 3 * 1024**3
    assert limits["sshd.service"] is None
    assert facts.guards == ("systemd-oomd",)


def test_values_say_where_they_come_from():
    """A setting out of sysctl -a names that file; one that sos copied itself does not."""
    (seen,) = _read(RHEL7)
    sources = seen.facts.sources
    assert sources["/sysctls/vm.panic_on_oom"] == "sos_commands/kernel/sysctl_-a"
    assert "/sysctls/kernel.panic" not in sources
    assert "/sysctls/kernel.osrelease" not in sources
    assert sources["/units"] == "sos_commands/systemd/systemctl_show_service_--all"


def test_half_a_report_is_used_and_said_to_be_half(tmp_path):
    """What was read before the end counts; the rest is missing, never a pass."""
    whole = packed(RHEL7, mode="w")
    seen = _one(tmp_path, whole[: len(whole) // 3])
    assert seen.facts is not None
    assert "not whole" in seen.problem
    assert seen.facts.units is None


def test_every_cut_ends_in_words(tmp_path):
    """Wherever a packed report is cut, something says so, unless every member was there."""
    whole = packed(RHEL9)
    (complete,) = _read(RHEL9)
    for size in range(0, len(whole), max(1, len(whole) // 40)):
        path = tmp_path / "sosreport-cut.tar.xz"
        path.write_bytes(whole[:size])
        (problem,) = _problems(path)
        if problem is None:
            assert _read(path) == [complete]
        else:
            assert "\n" not in problem


def test_an_archive_of_archives_holds_several_hosts(tmp_path):
    """sos collect packs reports into one archive; a damaged one does not hide the others."""
    inner = packed(RHEL7, "sosreport-a")
    other = packed(RHEL9, "sosreport-b", "w:gz")
    data = of_members(
        ("sos-collector-1/sos_logs/sos.log", b"text"),
        ("sos-collector-1/sosreport-a.tar.xz", inner),
        ("sos-collector-1/sosreport-bad.tar.xz", inner[:2000]),
        ("sos-collector-1/sosreport-b.tar.gz", other),
    )
    path = tmp_path / "sos-collector-1.tar"
    path.write_bytes(data)
    first, bad, last = _read(path)
    assert (first.name, first.problem) == ("db01.example", None)
    assert "ends in the middle" in bad.problem
    assert (last.name, last.problem) == ("app01.example", None)


def test_a_folder_of_reports(tmp_path):
    """Packed and unpacked ones side by side; a damaged one is a problem and stops no other."""
    (tmp_path / "one.tar.xz").write_bytes(packed(RHEL7))
    (tmp_path / "broken.tar.xz").write_bytes(b"\xfd7zXZ\x00 nothing")
    (tmp_path / "locked.tar.xz.gpg").write_bytes(b"secret")
    (tmp_path / "unpacked").symlink_to(RHEL9)
    os.rename(tmp_path / "unpacked", tmp_path / "link-is-not-followed")
    found = {seen.name: seen for seen in _read(tmp_path)}
    assert found["db01.example"].facts is not None
    assert found["broken.tar.xz"].facts is None
    assert "encrypted" in found["locked.tar.xz.gpg"].problem
    assert "app01.example" not in found


@pytest.mark.parametrize(
    ("member", "target"),
    [
        ("r/proc/meminfo", "/etc/shadow"),
        ("r/proc/meminfo", "../../../../../../etc/shadow"),
        ("r/etc/os-release", "../../../../../../etc/os-release"),
    ],
)
def test_a_link_leads_nowhere_outside(tmp_path, member, target):
    """Above the report's root is its root; the machine that reads it is never looked at."""
    seen = _one(
        tmp_path,
        of_members(
            special(member, tarfile.SYMTYPE, target),
            ("r/proc/swaps", b"Filename Type Size Used Priority\n"),
        ),
    )
    assert seen.facts.memory.mem_total_bytes is None
    assert seen.facts.os_id is None


def test_links_inside_are_followed_and_loops_end(tmp_path):
    """Relative, absolute for the host, through a folder, and in a circle."""
    seen = _one(
        tmp_path,
        of_members(
            special("r/proc/meminfo", tarfile.SYMTYPE, "../etc/a-release"),
            special("r/etc/os-release", tarfile.SYMTYPE, "/usr/lib/os-release"),
            special("r/proc/self", tarfile.SYMTYPE, "77"),
            special("r/etc/x-release", tarfile.SYMTYPE, "y-release"),
            special("r/etc/y-release", tarfile.SYMTYPE, "x-release"),
            ("r/etc/a-release", MEMINFO),
            ("r/usr/lib/os-release", b"ID=sles\n"),
            ("r/proc/77/mountinfo", b"1 0 0:1 / / rw - ext4 /dev/vda rw\n"),
        ),
    )
    assert seen.facts.memory.mem_total_bytes == 1024 * 1024
    assert seen.facts.os_id == "sles"
    assert "in a circle" in seen.problem


def test_a_report_of_debian(tmp_path):
    """dpkg, /etc/postgresql, the cluster's folder, unit names without a process list."""
    seen = _one(
        tmp_path,
        of_members(
            ("r/proc/meminfo", MEMINFO),
            ("r/sos_commands/dpkg/dpkg_-l", b"""\
Desired=Unknown/Install/Remove/Purge/Hold
||/ Name                        Version      Architecture Description
+++-===========================-============-============-===========
ii  linux-image-6.1.0-28-amd64  6.1.119-1    amd64        Linux 6.1
rc  linux-image-6.1.0-17-amd64  6.1.69-1     amd64        Linux 6.1
ii  linux-image-amd64           6.1.119-1    amd64        Linux for 64-bit PCs
ii  systemd                     252.31-1     amd64        system and service manager
"""),
            ("r/etc/postgresql/15/main/postgresql.conf",
             b"data_directory = '/var/lib/postgresql/15/main'\nshared_buffers = 4GB\n"),
            ("r/sos_commands/process/ps_alxwww", PS_OF_DEBIAN),
        ),
    )  # fmt: skip
    facts = seen.facts
    assert facts.installed_kernels == ("6.1.0-28-amd64",)
    assert facts.systemd_version is None
    assert facts.postgres[0].shared_buffers_bytes == 4 * 1024**3
    assert [h.process.name for h in facts.databases] == ["postgres"]
    assert facts.livepatches is None
    assert "livepatches" in facts.unseen


def test_units_of_an_old_report_are_those_of_their_files(tmp_path):
    """sos 3.2 asks systemd for no limits: unit files and drop-ins tell them, else nobody."""
    seen = _one(
        tmp_path,
        of_members(
            ("r/proc/meminfo", MEMINFO),
            ("r/sos_commands/systemd/systemctl_list-units_--all",
             LISTED),
            ("r/etc/systemd/system/feed.service",
             b"[Service]\nExecStart=/bin/feed\nMemoryLimit=2G\nRestart=always\nRestartSec=5\n"),
            ("r/etc/systemd/system/feed.service.d/90.conf", b"[Service]\nMemoryLimit=3G\n"),
            ("r/lib/systemd/system/getty@.service", b"[Service]\nRestart=always\n"),
        ),
    )  # fmt: skip
    found = {unit.name: unit for unit in seen.facts.units}
    assert list(found) == ["feed.service", "lost.service", "getty@tty1.service"]
    feed = found["feed.service"]
    assert (feed.memory_max_bytes, feed.limit_known) == (3 * 1024**3, True)
    assert (feed.restart, feed.restart_seconds, feed.active) == ("always", 5.0, True)
    assert (found["lost.service"].limit_known, found["lost.service"].active) == (False, False)
    assert found["getty@tty1.service"].memory_max_bytes is None
    assert found["getty@tty1.service"].limit_known
    assert seen.facts.sources["/units"] == "unit files"


def test_a_disk_that_rotates_is_known_by_its_device(tmp_path):
    """sos keeps /sys/block/sda as the link that it is, and the files below /sys/devices."""
    seen = _one(
        tmp_path,
        of_members(
            ("r/proc/meminfo", MEMINFO),
            special("r/sys/block/sda", tarfile.SYMTYPE, "../devices/pci0000:00/ata1/block/sda"),
            ("r/sys/devices/pci0000:00/ata1/block/sda/queue/rotational", b"1\n"),
            ("r/sos_commands/block/lsblk", b"NAME MAJ:MIN TYPE\nsda 8:0 0 9G 0 disk /\n"),
            ("r/proc/mounts", b"/dev/sda / xfs rw 0 0\n"),
        ),
    )  # fmt: skip
    (disk,) = seen.facts.block_devices
    assert (disk.name, disk.disks, disk.rotational) == ("sda", ("sda",), True)


def test_a_livepatch_is_known_by_its_module(tmp_path):
    """sos 3 keeps no /sys/kernel/livepatch, but lsmod names the module that patches."""
    lsmod = b"Module Size Used by\nkpatch_3_10_0_957_1 16384 1\nkcare 90112 0\n"
    seen = _one(tmp_path, of_members(("r/proc/meminfo", MEMINFO), ("r/lsmod", lsmod)))
    assert seen.facts.livepatches == ("kernelcare", "kpatch_3_10_0_957_1")
    none = _one(
        tmp_path, of_members(("r/proc/meminfo", MEMINFO), ("r/lsmod", lsmod[:20] + b"xfs 1 0\n"))
    )
    assert none.facts.livepatches == ()


def test_unsafe_names_devices_and_pipes_are_passed_over(tmp_path):
    """Absolute names, `..`, devices: said, not used; what is honest beside them is."""
    seen = _one(
        tmp_path,
        of_members(
            ("/proc/meminfo", b"MemTotal: 1 kB\n"),
            ("r/../../proc/meminfo", b"MemTotal: 2 kB\n"),
            special("r/proc/vmstat", tarfile.CHRTYPE),
            special("r/proc/cmdline", tarfile.FIFOTYPE),
            ("r/proc/1\x1b]0;x\x07/status", b"Name:\tx\n"),
            ("r/proc/meminfo", MEMINFO),
        ),
    )
    assert seen.facts.memory.mem_total_bytes == 1024 * 1024
    assert "3 members with unsafe names" in seen.problem
    assert seen.problem.isprintable()


def test_of_two_members_with_a_name_the_last_counts(tmp_path):
    """As for one who extracts them; a hard link is the file that it names."""
    seen = _one(
        tmp_path,
        of_members(
            ("r/proc/meminfo", b"MemTotal: 1 kB\n"),
            ("r/proc/meminfo", MEMINFO),
            ("r/etc/a-release", b"ID=debian\n"),
            special("r/etc/os-release", tarfile.LNKTYPE, "r/etc/a-release"),
        ),
    )
    assert seen.facts.memory.mem_total_bytes == 1024 * 1024
    assert seen.facts.os_id == "debian"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_bomb_is_stopped(tmp_path, pack):
    """Zeros without end cost at most the ratio that real reports have, and are named."""
    zeros = of_members(("r/proc/meminfo", MEMINFO), ("r/var/log/big", bytes(40 * 1024 * 1024)))
    seen = _one(tmp_path, pack(zeros), limits=SMALL)
    assert "more than 100 times its size" in seen.problem
    assert seen.facts.memory.mem_total_bytes == 1024 * 1024


def test_a_header_that_claims_much_takes_nothing(tmp_path):
    """A long name of 8 GiB, a file of a terabyte: passed over as far as there are bytes."""
    for kind, size in ((b"L", 8 * 1024**3), (b"x", 1 << 36), (b"0", 1 << 40)):
        info = tarfile.TarInfo("r/proc/cmdline")
        info.type, info.size = kind, size
        header = info.tobuf(tarfile.GNU_FORMAT)
        data = of_members(("r/proc/meminfo", MEMINFO))[:1024] + header + bytes(512 * 100)
        seen = _one(tmp_path, data)
        assert "ends in the middle" in seen.problem
        assert seen.facts.memory.mem_total_bytes == 1024 * 1024


def test_pax_and_long_names_are_read(tmp_path):
    """A report's long names are those of both formats."""
    deep = "r" * 120
    for format_ in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=format_) as tar:
            info = tarfile.TarInfo(f"{deep}/proc/meminfo")
            info.size = len(MEMINFO)
            tar.addfile(info, io.BytesIO(MEMINFO))
        assert _one(tmp_path, out.getvalue()).facts.memory.mem_total_bytes == 1024 * 1024


@pytest.mark.parametrize(
    ("release", "cmdline", "psi"),
    [
        ("3.10.0-957.el7.x86_64", "ro", False),
        ("4.18.0-553.el8_10.x86_64", "ro", False),
        ("5.14.0-427.el9.x86_64", "ro psi=1", True),
        ("6.1.0-28-amd64", "ro psi=0", False),
        ("6.1.0-28-amd64", "ro", None),
        ("", "ro", None),
    ],
)
def test_no_file_of_pressure_is_no_evidence_by_itself(tmp_path, release, cmdline, psi):
    """An older sos does not collect it; only the kernel tells whether there was any."""
    seen = _one(
        tmp_path,
        of_members(
            ("r/proc/meminfo", MEMINFO),
            ("r/proc/cmdline", cmdline.encode()),
            ("r/proc/sys/kernel/osrelease", release.encode()),
        ),
    )
    assert seen.facts.psi is psi
    assert (psi is None) == ("the sosreport has no" in seen.facts.unseen["psi"])


def test_a_report_without_processes_says_nothing_of_them(tmp_path):
    """No list of processes: no guard, no database, no kubelet is neither there nor not."""
    seen = _one(tmp_path, of_members(("r/proc/meminfo", MEMINFO)))
    facts = seen.facts
    assert (facts.guards, facts.databases, facts.kubernetes) == (None, None, None)
    assert (facts.process_count, facts.hidden_processes) == (None, None)
    assert "list of processes" in facts.unseen["holders"]


def test_a_large_file_is_cut_at_a_line_and_said(tmp_path):
    """A file over its limit is kept up to it."""
    filler = "".join(f"net.x{number} = 1\n" for number in range(400_000))
    text = "vm.swappiness = 7\n" + filler
    seen = _one(tmp_path, of_members(("r/sos_commands/kernel/sysctl_-a", text.encode())))
    assert seen.facts.sysctls["vm.swappiness"] == "7"
    assert "was cut" in seen.problem
    assert "was cut" in seen.facts.unseen["sysctls"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no tar archive"),
        (b"%PDF-1.4" + bytes(2000), "no tar archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "zstd"),
        (of_members(("photo/cat.jpg", b"x")), "nothing of one is in it"),
    ],
)
def test_what_is_no_report_is_one_clear_line(tmp_path, data, words):
    """Neither silence nor a traceback."""
    path = tmp_path / "sosreport-y.tar.xz"
    path.write_bytes(data)
    with pytest.raises(ForestallError, match=words) as raised:
        _read(path)
    assert str(path) in raised.value.message


def test_paths_that_cannot_be_read_are_named(tmp_path):
    """A missing path, an empty folder and a pipe are errors, not waiting."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path, tmp_path / "pipe"):
        with pytest.raises(ForestallError, match=str(path)):
            _read(path)


def test_localised_dates_leave_the_time_to_the_files(tmp_path):
    """A date in German, or in a zone that is only three letters, is not used; the mtime is."""
    info = tarfile.TarInfo("r/sos_commands/date/date")
    info.mtime = 1_700_000_000
    seen = _one(
        tmp_path, of_members((info, b"Fr 15. Nov 09:05:00 CET 2024\n"), ("r/proc/meminfo", MEMINFO))
    )
    assert seen.facts.at == 1_700_000_000.0


def test_a_report_that_does_not_say_when_is_as_old_as_its_newest_file(tmp_path):
    """Not as old as the archive's copy: by that a host seems to have run for a year more."""
    stat = tarfile.TarInfo("r/proc/stat")
    meminfo = tarfile.TarInfo("r/proc/meminfo")
    stat.mtime, meminfo.mtime = 1_700_000_000, 1_700_000_010
    seen = _one(tmp_path, of_members((stat, b"btime 1699900000\n"), (meminfo, MEMINFO)))
    assert seen.facts.at == 1_700_000_010.0


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_mutation_raises_anything_else(tmp_path_factory, data):
    """Bytes of a report changed, cut or doubled: facts, a problem, or one ForestallError."""
    mode = data.draw(st.sampled_from(["w", "w:gz", "w:bz2", "w:xz"]))
    whole = bytearray(_SMALL_PACKED[mode])
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        length = data.draw(st.integers(0, 64))
        whole[at : at + length] = data.draw(st.binary(max_size=64))
        if not whole:
            break
    path = tmp_path_factory.getbasetemp() / "mutated.tar"
    path.write_bytes(bytes(whole))
    # A damaged report that still has facts may have lost nothing that is looked for.
    assert all(problem or facts for problem, facts in _outcomes(path))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    names=st.lists(
        st.sampled_from(
            [
                "proc/meminfo",
                "proc/swaps",
                "proc/mounts",
                "proc/cmdline",
                "proc/1/status",
                "proc/self/mountinfo",
                "etc/fstab",
                "etc/os-release",
                "etc/kdump.conf",
                "sos_commands/kernel/sysctl_-a",
                "sos_commands/process/ps_auxwww",
                "sos_commands/process/ps_alxwww",
                "sos_commands/block/lsblk",
                "sos_commands/block/lsblk_-O_-P",
                "sos_commands/systemd/systemctl_status_--all",
                "sos_commands/systemd/systemctl_show_service_--all",
                "sos_commands/boot/ls_-lanR_.boot",
                "sos_commands/date/date",
                "installed-rpms",
                "sos_commands/filesys/df_-al",
                "sos_commands/dpkg/dpkg_-l",
                "sos_commands/process/ps_axo_pid_ppid_comm_cgroup",
                "sys/fs/cgroup/a.slice/memory.max",
            ]
        ),
        max_size=6,
        unique=True,
    ),
    content=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(str.encode),
        st.lists(
            st.sampled_from(
                [
                    "PID",
                    "PPID",
                    "RSS",
                    "COMMAND",
                    "CGROUP",
                    "7",
                    "-1",
                    "0::/x",
                    "vm.a = 1",
                    "\n",
                    ":",
                    "/boot:",
                    "-rw- 1 2 3 4 5 6 7 vmlinuz-1",
                    'KNAME="a"',
                    "CGroup: /a",
                    "├─1 x",
                    "Id=x",
                    "MainPID=99999999999999999999",
                    "MemTotal: 9",
                    "kB",
                    "8:0",
                    "disk",
                    "UTC",
                    "%",
                ]
            ),
            max_size=40,
        ).map(lambda words: " ".join(words).encode()),
    ),
)
def test_no_content_raises_anything_else(tmp_path_factory, names, content):
    """Whatever stands in the files of a report, its facts can be made."""
    data = of_members(*((f"r/{name}", content) for name in names), ("r/proc/meminfo", MEMINFO))
    path = tmp_path_factory.getbasetemp() / "content.tar"
    path.write_bytes(data)
    (seen,) = _read(path)
    assert dataclasses.is_dataclass(seen.facts)


_SMALL_PACKED = {
    mode: of_members(
        ("r/proc/meminfo", MEMINFO),
        ("r/sos_commands/kernel/sysctl_-a", b"vm.swappiness = 7\n"),
        special("r/etc/os-release", tarfile.SYMTYPE, "../usr/lib/os-release"),
        ("r/usr/lib/os-release", b"ID=debian\n"),
        mode=mode,
    )
    for mode in ("w", "w:gz", "w:bz2", "w:xz")
}

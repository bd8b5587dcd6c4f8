"""cgroup v1, v2 and the hybrid of both."""

import pytest
from tests.fakes.host import GIB, MIB, FakeHost

from forestall.errors import InputError
from forestall.model.sample import CgroupSample
from forestall.sense.cgroup import (
    Cgroups,
    Place,
    ancestors,
    binding,
    is_user_unit,
    parse_mountinfo,
    systemd_path,
    unit_of,
)

SERVICE = "/system.slice/feed-sync.service"
USER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        (SERVICE, "feed-sync.service"),
        ("/a.slice/a-b.slice/a-b-c.slice/x@1.service", "x@1.service"),
        (SERVICE + "/worker/7", "feed-sync.service"),
        (SERVICE + "/payload/system.slice/inner.service", "feed-sync.service"),
        (r"/system.slice/feed\x2dsync.service", r"feed\x2dsync.service"),
        ("/system.slice/_cpu.service", "cpu.service"),
        ("/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
        ("/system.slice/docker-3f1c.scope", "docker-3f1c.scope"),
        (USER + "/app.slice/x.service", "x.service"),
        (USER + "/app.slice/app-gnome.slice/vte-1.scope", "vte-1.scope"),
        (USER + "/init.scope", "user@1000.service"),
        (USER, "user@1000.service"),
        ("/init.scope", "init.scope"),
        ("/system.slice", None),
        ("/docker/3f1c", None),
        ("/", None),
        (None, None),
    ],
)
def test_the_unit_is_named_by_the_path(path, unit):
    """Slices are passed over, a delegated subtree belongs to its service, escapes stay."""
    assert unit_of(path) == unit


def test_a_users_unit_is_told_from_the_systems():
    """The system's manager must not be asked to restart what a user's manager runs."""
    assert is_user_unit(USER + "/app.slice/x.service")
    assert not is_user_unit(USER + "/init.scope")
    assert not is_user_unit(SERVICE + "/payload/inner.service")
    assert not is_user_unit(None)


def test_the_unit_comes_from_systemds_own_hierarchy():
    """On v1 a service that is not accounted for lies in the root of the memory hierarchy."""
    assert systemd_path({"memory": "/", "name=systemd": SERVICE, "": "/"}) == SERVICE
    assert systemd_path({"memory": "/", "": SERVICE}) == SERVICE
    assert systemd_path({"memory": SERVICE}) is None


def test_mountinfo_is_read_with_its_optional_fields_and_escapes():
    """Zero or more optional fields stand before the dash; a space in a path is octal."""
    data = (
        b"1 0 8:1 / /with\\040space rw - ext4 /dev/a rw\n"
        b"2 1 0:5 /docker/x /sys/fs/cgroup rw shared:1 master:2 - cgroup cgroup rw,memory\n"
    )
    first, second = parse_mountinfo(data)
    assert (first.point, first.kind) == ("/with space", "ext4")
    assert (second.root, second.kind) == ("/docker/x", "cgroup")
    assert second.options == {"rw", "memory"}


def test_a_damaged_mountinfo_names_its_line():
    """A line without its dash is an error that says where."""
    with pytest.raises(InputError, match="proc/self/mountinfo line 2"):
        list(parse_mountinfo(b"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:5 / /x rw shared:1\n"))


def test_ancestors_end_at_the_root():
    """Nearest first, and a path without an end is cut."""
    assert list(ancestors("/a/b")) == ["/a/b", "/a", "/"]
    assert list(ancestors("/")) == ["/"]
    assert len(list(ancestors("/x" * 500))) == 32


def _limited(path, maximum, current, file=0):
    return CgroupSample(
        path=path, max_bytes=maximum, current_bytes=current, file_bytes=file, anon_bytes=0
    )


def test_the_tightest_ancestor_binds_not_the_nearest():
    """A service below its own limit can still run into its slice's."""
    groups = [
        _limited("/a/b", GIB, 100 * MIB),
        _limited("/a", 2 * GIB, 2 * GIB - 50 * MIB),
        _limited("/", None, 4 * GIB),
        _limited("/other", 10 * MIB, 10 * MIB),
    ]
    assert binding("/a/b", groups).path == "/a"
    assert binding("/other", groups).path == "/other"


def test_of_equal_limits_the_nearer_binds():
    """The name a person can act on is the one closest to the process."""
    groups = [_limited("/", GIB, MIB), _limited("/a", GIB, MIB)]
    assert binding("/a", groups).path == "/a"


def test_nothing_binds_where_nothing_is_limited():
    """No limit on the way up, or no cgroup at all, is None."""
    assert binding("/a", [_limited("/a", None, MIB), _limited("/ab", GIB, MIB)]) is None
    assert binding(None, [_limited("/", GIB, MIB)]) is None


def test_page_cache_is_headroom():
    """What the kernel can drop does not count as used; tmpfs, not in file_bytes, does."""
    assert _limited("/a", 100 * MIB, 90 * MIB, file=60 * MIB).headroom_bytes == 70 * MIB
    assert _limited("/a", 100 * MIB, 120 * MIB).headroom_bytes == 0
    assert _limited("/a", None, MIB).headroom_bytes is None


@pytest.mark.parametrize("version", [1, 2])
def test_both_versions_give_the_same_sample(tmp_path, version):
    """Usage, limit, anonymous memory, cache, swap and kills come from different files alike."""
    fake = FakeHost(tmp_path, cgroup_version=version).cgroup(
        SERVICE, current=64 * MIB, maximum=GIB, anon=40 * MIB, file=20 * MIB, swap=MIB, oom_kill=3
    )
    cgroups = Cgroups(fake.host())
    assert cgroups.version == version
    found = cgroups.read(SERVICE)
    assert (found.current_bytes, found.max_bytes) == (64 * MIB, GIB)
    assert (found.anon_bytes, found.file_bytes, found.swap_bytes) == (40 * MIB, 20 * MIB, MIB)
    assert found.oom_kill_count == 3


@pytest.mark.parametrize("version", [1, 2])
def test_no_limit_is_none(tmp_path, version):
    """`max`, and v1's largest page count, are no limits."""
    fake = FakeHost(tmp_path, cgroup_version=version).cgroup(SERVICE)
    found = Cgroups(fake.host()).read(SERVICE)
    assert found.max_bytes is None
    assert found.high_bytes is None
    assert found.swap_max_bytes is None


@pytest.mark.parametrize(
    "text", ["9223372036854771712", "9223372036854775807", "9223372036854710272"]
)
def test_v1s_numbers_for_no_limit_are_none(tmp_path, text):
    """The number depends on the page size and the kernel's age."""
    fake = FakeHost(tmp_path, cgroup_version=1).cgroup("/a")
    fake.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", text + "\n")
    assert Cgroups(fake.host()).read("/a").max_bytes is None


def test_v1s_swap_limit_is_what_is_left_of_both(tmp_path):
    """memsw counts memory and swap together."""
    fake = FakeHost(tmp_path, cgroup_version=1).cgroup("/a", maximum=GIB)
    fake.write("sys/fs/cgroup/memory/a/memory.memsw.limit_in_bytes", f"{3 * GIB}\n")
    assert Cgroups(fake.host()).read("/a").swap_max_bytes == 2 * GIB


def test_an_old_kernels_oom_control_has_no_count(tmp_path):
    """Linux 3.10 does not say how often it killed: None, not zero."""
    fake = FakeHost(tmp_path, cgroup_version=1).cgroup("/a")
    fake.write("sys/fs/cgroup/memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n")
    assert Cgroups(fake.host()).read("/a").oom_kill_count is None


def test_v2_has_pressure_and_high(tmp_path):
    """A cgroup's own PSI file and its throttling point are read."""
    fake = FakeHost(tmp_path).cgroup("/a", high=GIB)
    fake.write("sys/fs/cgroup/a/memory.pressure", "some avg10=7.00 avg60=1.00 total=1000000\n")
    found = Cgroups(fake.host()).read("/a")
    assert found.high_bytes == GIB
    assert found.pressure.some_avg10 == 7.0


def test_the_hybrid_has_its_memory_on_v1(tmp_path):
    """A v2 hierarchy without the memory controller beside v1's is passed over."""
    fake = FakeHost(tmp_path, cgroup_version=1).cgroup("/a", current=5 * MIB)
    fake.write(
        "proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    )
    fake.write("sys/fs/cgroup/unified/cgroup.controllers", "\n")
    fake.write("proc/7/cgroup", "4:memory:/a\n1:name=systemd:/s.service\n0::/elsewhere\n")
    cgroups = Cgroups(fake.host())
    assert cgroups.version == 1
    assert cgroups.place_of(7) == Place("/a", "s.service")
    assert cgroups.read("/a").current_bytes == 5 * MIB


def test_no_memory_controller_is_said_in_words(tmp_path):
    """Without it there is no version, no sample and no path, and `problem` says why."""
    fake = FakeHost(tmp_path)
    fake.write("sys/fs/cgroup/cgroup.controllers", "cpu io pids\n")
    fake.write("proc/7/cgroup", "0::/system.slice/x.service\n")
    cgroups = Cgroups(fake.host())
    assert cgroups.version is None
    assert cgroups.problem == "the memory controller is not enabled in /sys/fs/cgroup"
    assert cgroups.read("/") is None
    assert cgroups.place_of(7) == Place(None, "x.service")


def test_a_host_without_cgroups_is_said_in_words(tmp_path):
    """No such mount, or no mountinfo at all."""
    fake = FakeHost(tmp_path).write("proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/a rw\n")
    assert Cgroups(fake.host()).problem == "no cgroup file system is mounted"
    fake.remove("proc/self/mountinfo")
    assert Cgroups(fake.host()).problem == "proc/self/mountinfo cannot be read"


def test_a_hidden_path_falls_back_to_what_is_visible(tmp_path):
    """In a container the path may be the host's, which the mount does not show."""
    fake = FakeHost(tmp_path).write("proc/7/cgroup", "0::/kubepods.slice/pod1/c1\n")
    assert Cgroups(fake.host()).place_of(7).cgroup == "/"
    fake.write("proc/7/cgroup", "0::/../../c2\n")
    assert Cgroups(fake.host()).place_of(7).cgroup == "/"


def test_a_mount_of_a_part_takes_the_part_off_the_path(tmp_path):
    """Without a cgroup namespace a container sees its own folder at the mount point."""
    fake = FakeHost(tmp_path, cgroup_version=1).cgroup("/inner", current=MIB)
    fake.write(
        "proc/self/mountinfo",
        "35 31 0:32 /docker/3f1c /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
    )
    fake.write("proc/7/cgroup", "4:memory:/docker/3f1c/inner\n")
    fake.write("proc/8/cgroup", "4:memory:/docker/3f1c\n")
    fake.write("proc/9/cgroup", "4:memory:/docker/3f1cff\n")
    fake.cgroup("ff")
    cgroups = Cgroups(fake.host())
    assert cgroups.place_of(7).cgroup == "/inner"
    assert cgroups.place_of(8).cgroup == "/"
    assert cgroups.place_of(9).cgroup == "/"


def test_the_chain_leaves_out_what_cannot_be_read(tmp_path):
    """Nearest first; a level without the controller is passed over."""
    fake = FakeHost(tmp_path).cgroup(SERVICE, maximum=GIB)
    chain = Cgroups(fake.host()).chain(SERVICE)
    assert [group.path for group in chain] == [SERVICE, "/"]
    assert Cgroups(fake.host()).chain(None) == ()


def test_a_process_that_is_gone_lies_nowhere(tmp_path):
    """Absence is a value."""
    assert Cgroups(FakeHost(tmp_path).host()).place_of(99) == Place(None, None)

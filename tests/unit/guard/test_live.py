"""The last look, through a /proc of plain files."""

import os

import pytest

from forestall.guard.live import HostProcesses, own_pids
from forestall.sense.host import Host

BOOT = "0d2fc730-a37c-4c2c-9df3-000000000000"


def stat_line(pid, name, *, state="S", parent=1, flags=0x400000, start=777):
    middle = " ".join(["0"] * 10)
    tail = " ".join(["0"] * 20)
    return f"{pid} ({name}) {state} {parent} 1 1 0 -1 {flags} {middle} 0 5 {start} {tail}\n"


@pytest.fixture
def tree(tmp_path):
    random = tmp_path / "proc" / "sys" / "kernel" / "random"
    random.mkdir(parents=True)
    (random / "boot_id").write_text(BOOT + "\n")
    return tmp_path


def put(tree, pid, name, *, cmdline=b"", cgroup="0::/\n", **stat):
    folder = tree / "proc" / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(stat_line(pid, name, **stat))
    (folder / "cmdline").write_bytes(cmdline)
    (folder / "cgroup").write_text(cgroup)


def processes(tree):
    return HostProcesses(Host.from_tree(str(tree)))


def test_a_process_is_seen_with_its_key_names_and_unit(tree):
    """Boot, pid and start time; every name; the unit of its cgroup, v2 and v1."""
    put(
        tree,
        40,
        "python3",
        cmdline=b"/usr/bin/python3\0/opt/feed.py\0",
        cgroup="0::/system.slice/feed-sync.service\n",
    )
    live = processes(tree).look(40)
    assert (live.key.boot_id, live.key.pid) == (BOOT, 40)
    assert live.names == ("python3", "/usr/bin/python3", "feed")
    assert live.unit == "feed-sync.service"
    assert not live.user_unit
    put(tree, 41, "x", cgroup="5:memory:/other\n1:name=systemd:/system.slice/a.service\n0::/no\n")
    assert processes(tree).look(41).unit == "a.service"


def test_a_unit_of_a_user_is_told_from_the_systems(tree):
    """A user's feed-sync.service is another one than the system's."""
    path = "0::/user.slice/user-5.slice/user@5.service/app.slice/feed-sync.service\n"
    put(tree, 40, "x", cgroup=path)
    live = processes(tree).look(40)
    assert (live.unit, live.user_unit) == ("feed-sync.service", True)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_what_only_waits_to_be_reaped_has_ended(tree, state):
    """A zombie holds no memory and needs no signal."""
    put(tree, 40, "x", state=state)
    assert processes(tree).look(40) is None
    assert list(processes(tree).all()) == []


@pytest.mark.parametrize(
    ("pid", "stat"),
    [(40, {"flags": 0x200000}), (40, {"parent": 2}), (2, {"parent": 0})],
)
def test_threads_of_the_kernel_are_known(tree, pid, stat):
    """By the kernel's own flag, or as a child of kthreadd, or as kthreadd."""
    put(tree, pid, "kworker/0:1", **stat)
    assert processes(tree).look(pid).kernel_thread


def test_what_is_no_process_is_none(tree):
    """Gone, or damaged: nobody that may be touched."""
    put(tree, 40, "x")
    (tree / "proc" / "40" / "stat").write_text("no process\n")
    assert processes(tree).look(40) is None
    assert processes(tree).look(41) is None


def test_the_same_service_is_known_by_unit_else_by_name_and_script(tree):
    """Any other python3 is no successor of this one."""
    put(tree, 40, "python3", cmdline=b"python3\0feed.py\0")
    put(tree, 41, "python3", cmdline=b"python3\0feed.py\0--fresh\0")
    put(tree, 42, "python3", cmdline=b"python3\0other.py\0")
    put(tree, 50, "a", cgroup="0::/system.slice/a.service\n")
    put(tree, 51, "b", cgroup="0::/system.slice/a.service\n")
    put(tree, 52, "a", cgroup="0::/system.slice/c.service\n")
    look = processes(tree).look
    assert look(40).same_service(look(41))
    assert not look(40).same_service(look(42))
    assert look(50).same_service(look(51))
    assert not look(50).same_service(look(52))


def test_own_pids_are_this_process_and_those_above_it(tree):
    """Up to init, which is protected anyway."""
    put(tree, os.getpid(), "forestall", parent=30)
    put(tree, 30, "sh", parent=20)
    put(tree, 20, "sshd", parent=1)
    assert own_pids(Host.from_tree(str(tree))) == {os.getpid(), 30, 20}

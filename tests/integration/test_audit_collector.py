"""The collector's script under every shell that is here, and on hosts made of plain files."""

import dataclasses
import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.fakes.host import FakeHost
from tests.integration.servers import postgresql, wait_for

from forestall.audit.collect.script import script
from forestall.audit.collect.stream import answer_of, read_answer
from forestall.clock import SystemClock
from forestall.errors import InputError
from forestall.sense import sources
from forestall.sense.facts import read_facts
from forestall.sense.host import Host
from forestall.sense.recording import RecordedHost, copied_host

MARK = "0123456789abcdef0123456789abcdef"
HOSTS = Path(__file__).parents[1] / "data" / "hosts"
SHELLS = (
    ["dash", "-s"],
    ["bash", "--posix", "-s"],
    ["busybox", "sh", "-s"],
    ["mksh", "-s"],
    ["lksh", "-s"],
    ["ksh93", "-s"],
    ["yash", "-s"],
    ["zsh", "--emulate", "sh", "-s"],
    # It reads from standard input too, but does not know the option.
    ["posh"],
)
BUSYBOX = "/bin/busybox"


def run(shell, text=None, **options):
    """The recording of this machine (or of a changed root) by `shell`."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    done = subprocess.run(
        shell,
        input=b"debug=yes\n" + (text or script(MARK)),
        capture_output=True,
        timeout=60,
        **options,
    )
    assert done.stderr == b""
    return read_answer(answer_of(done.stdout, MARK))


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_this_machine_as_it_sees_itself(shell):
    """Facts through the script are the facts read directly, but for what moves meanwhile."""
    recorded = read_facts(RecordedHost(run(shell)), SystemClock())
    live = read_facts(Host(), SystemClock())
    assert recorded.origin == "ssh"
    assert 0 <= live.at - recorded.at < 60
    moving = {
        "at": 0.0,
        "origin": "",
        "memory": live.memory,
        "committed_bytes": 0,
        "process_count": 0,
        "holders": (),
        "own_cgroups": (),
        "hugetlb_bytes": 0,
        "commit_limit_bytes": 0,
        "mounts": (),
        # Other tests' programs come and go beside this one.
        "databases": (),
        "postgres": (),
        "guards": (),
        "monitors": (),
        "unseen": {},
    }
    assert dataclasses.replace(recorded, **moving) == dataclasses.replace(live, **moving)
    assert recorded.memory.mem_total_bytes == live.memory.mem_total_bytes
    assert [found.path for found in recorded.own_cgroups] == [
        found.path for found in live.own_cgroups
    ]
    assert [(found.path, found.size_bytes) for found in recorded.mounts] == [
        (found.path, found.size_bytes) for found in live.mounts
    ]
    assert {found.process.key.pid for found in recorded.holders} & {
        found.process.key.pid for found in live.holders
    }


OTHER_TOOLS = {
    # Ubuntu's own since 25.10.
    "uutils": "/usr/lib/cargo/bin/coreutils/*",
    "original-awk": "/usr/bin/original-awk",
    "busybox": BUSYBOX,
}


@pytest.mark.parametrize("name", OTHER_TOOLS)
def test_other_tools_say_the_same(tmp_path, name):
    """GNU's coreutils and mawk are not the only ones: by others' the same is seen."""
    found = glob.glob(OTHER_TOOLS[name])
    if not found:
        pytest.skip(f"{name} is not installed")
    for path in found:
        names = [os.path.basename(path)] if name == "uutils" else ["awk"]
        if path == BUSYBOX:
            listed = subprocess.run([path, "--list"], capture_output=True, text=True, check=True)
            names = [one for one in listed.stdout.split() if one not in ("rpm", "dpkg")]
        for one in names:
            (tmp_path / one).symlink_to(path)
    first = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    theirs = run(SHELLS[0], env=first)
    usual = run(SHELLS[0])
    assert theirs.denied == usual.denied
    assert theirs.problems == usual.problems
    still = ("etc/", "usr/", "boot/", "lib/", "proc/sys/", "sys/class/")
    for kind in ("files", "links"):
        ours, other = getattr(usual, kind), getattr(theirs, kind)
        kept = {path for path in {*ours, *other} if path.startswith(still)}
        assert {path for path in kept if ours.get(path) != other.get(path)} == set()
    facts = read_facts(RecordedHost(theirs), SystemClock())
    assert facts.process_count > 1
    assert facts.mounts
    assert all(found.size_bytes for found in facts.mounts if found.path == "/")


def chroot(tree):
    """The words that run a program below `tree`, which holds busybox alone."""
    if not os.path.exists(BUSYBOX):
        pytest.skip("busybox is not installed")
    folder = tree / "bin"
    folder.mkdir(exist_ok=True)
    shutil.copy(BUSYBOX, folder / "busybox")
    names = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
    for name in names.split():
        if name not in ("busybox", "rpm", "dpkg", "systemctl"):
            (folder / name).symlink_to("busybox")
    (tree / "dev").mkdir(exist_ok=True)
    (tree / "dev" / "null").touch()
    (tree / "dev" / "null").chmod(0o666)
    words = ["chroot", str(tree), "/bin/sh", "-s"]
    if os.geteuid() != 0:
        words = ["unshare", "--map-root-user", *words]
    tried = subprocess.run([*words[:-1], "-c", ":"], capture_output=True, timeout=30)
    if tried.returncode != 0:
        pytest.skip("changing the root needs the right to")
    return words


def with_commands(tree):
    """systemctl, which says what was recorded of it."""
    path = tree / "bin" / "systemctl"
    path.write_text("#!/bin/sh\nn=$1; cat /commands/systemctl-${n#--}\n")
    path.chmod(0o755)


def without_sizes(facts):
    """busybox's shell runs its own df, which a plain file cannot stand in for."""
    mounts = [
        dataclasses.replace(found, size_bytes=None, free_bytes=None) for found in facts.mounts or ()
    ]
    return dataclasses.replace(facts, mounts=tuple(mounts))


def complete(tree):
    """What hosts made of files do not have: proc/PID/comm, the kernel's name in stat; and the
    modules, whose absence a script may take for a kernel that loads none."""
    (tree / "proc" / "modules").touch()
    for stat in tree.glob("proc/[0-9]*/stat"):
        name = stat.read_bytes()
        name = name[name.index(b"(") + 1 : name.rindex(b")")]
        (stat.parent / "comm").write_bytes(name + b"\n")


def same_as_read_directly(tree):
    words = chroot(tree)
    with_commands(tree)
    complete(tree)
    recorded = read_facts(RecordedHost(run(words)), SystemClock())
    host = copied_host(str(tree))
    host.complete, host.effective_uid = True, 0
    direct = read_facts(host, SystemClock())
    known = {name: getattr(recorded, name) for name in ("at", "effective_uid", "machine", "origin")}
    assert without_sizes(recorded) == without_sizes(dataclasses.replace(direct, **known))
    return recorded


@pytest.mark.parametrize("name", ["rhel7-db", "laptop-zram", "container-v2", "vm-hybrid"])
def test_recorded_hosts(tmp_path, name):
    """With busybox alone, of every recorded host the script takes all that is read of its files."""
    shutil.copytree(HOSTS / name, tmp_path, symlinks=True, dirs_exist_ok=True)
    facts = same_as_read_directly(tmp_path)
    assert facts.memory.mem_total_bytes
    assert facts.holders


def busy_host(folder):
    """A database host with what a script can trip over."""
    fake = FakeHost(folder)
    slow = "/system.slice/postgresql@15-main.service"
    fake.process(1, "systemd", rss=12 * 2**20, uid=0, cgroup="/init.scope", parent=0)
    fake.process(2, "kthreadd", rss=0, kernel_thread=True)
    words = ("/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/pg data/15", "-c")
    words = (
        *words,
        "config_file=/etc/postgresql/15/main/postgresql.conf",
        "-c",
        "work_mem=64MB",
        "-N300",
        "-B",
        "8GB",
    )
    fake.process(900, "postgres", rss=2**30, uid=26, cgroup=slow, cmdline=words)
    for pid in range(901, 930):
        fake.process(pid, "postgres", rss=2**24 + pid * 65536, uid=26, cgroup=slow, parent=900)
    (folder / "proc/900/cwd").symlink_to("/var/lib/pg data/15")
    fake.write("etc/postgresql/15/main/postgresql.conf", POSTGRESQL_CONF)
    fake.write("etc/postgresql/15/main/conf.d/10-size.conf", "max_connections = 200\n")
    fake.write("etc/postgresql/15/shared.conf", "shared_buffers = '1GB'\n# password\n")
    fake.write("var/lib/pg data/15/postgresql.auto.conf", "work_mem = '32MB'\n")
    fake.process(31, b"a\nb) S (c", rss=2**22)
    fake.process(32, b"x\\n\\0777%s", rss=2**22)
    fake.process(33, b"\xff\xfe \t", rss=2**22)
    secret = ("/usr/bin/python3", "-m", "forestall", "watch", "--token=hunter2", "hunter2")
    fake.process(34, "python3", rss=2**26, cmdline=secret)
    fake.process(35, "agent", rss=2**25, cmdline=("/opt/datadog-agent/bin/agent/agent", "run"))
    fake.process(36, "earlyoom", rss=2**20, cmdline=("earlyoom", "-s", "hunter2"))
    fake.cgroup("/").cgroup("/system.slice").cgroup(slow, maximum=2**33)
    fake.write("etc/fstab", "UUID=1 none swap sw 0 0")
    fake.write("etc/systemd/journald.conf", "")
    fake.write("boot/vmlinuz-6.1.0-28-amd64", "").write("boot/vmlinuz-6.1.0-27-amd64", "")
    for number in range(300):
        device = folder / f"sys/devices/sd{number}"
        fake.write(f"sys/devices/sd{number}/queue/rotational", f"{number % 2}\n")
        block = folder / "sys/class/block"
        block.mkdir(parents=True, exist_ok=True)
        (block / device.name).symlink_to(f"../../devices/{device.name}")
    fake.write("proc/swaps", "Filename Type Size Used Priority\n/dev/sd7 partition 4194300 0 -2\n")
    os.mkfifo(folder / "etc/systemd/coredump.conf")
    fake.write("run/systemd/system/x", "")
    fake.write("commands/systemctl-version", "systemd 252 (252.36)\n+PAM\n")
    fake.write("commands/systemctl-show", "\n".join(SHOWN.format(n=n) for n in range(4000)))
    for path in folder.glob("proc/*/io"):
        path.unlink()
    return fake


POSTGRESQL_CONF = """\
data_directory = '/var/lib/pg data/15'
primary_conninfo = 'password=hunter2'
maintenance_work_mem = 1GB # more
include '../shared.conf'
include_dir = 'conf.d'
include_if_exists 'none.conf'
"""

SHOWN = """\
Id=service{n}.service
ActiveState=active
MainPID={n}
MemoryMax=infinity
Environment=PASSWORD=hunter2 PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj \
PG_OOM_ADJUST_VALUE=7 "B=hunter2 PGDATA=x" "PGDATA=/var/lib/pg data" PGPASSWORD=hunter2
Restart=no
"""


def test_a_busy_host(tmp_path):
    """4,000 services, a PostgreSQL with includes, names with any bytes, a pipe in place of a file:
    the same facts as read directly, and every server's settings complete."""
    busy_host(tmp_path)
    facts = same_as_read_directly(tmp_path)
    assert facts.units is not None
    assert facts.units[7].oom_adjust_children == 7
    assert facts.postgres is not None
    server = facts.postgres[0]
    assert server.shared_buffers_bytes == 8 * 2**30
    assert server.max_connections == 300
    assert server.work_mem_bytes == 64 * 2**20
    assert server.complete
    assert facts.guards == ("earlyoom", "forestall")
    assert facts.monitors == ("datadog-agent", "forestall")
    assert [device.rotational for device in facts.block_devices] == [True]


def test_no_secret_leaves_the_host(tmp_path):
    """Passwords in command lines, in units' environments and in settings stay where they are."""
    busy_host(tmp_path)
    words = chroot(tmp_path)
    with_commands(tmp_path)
    done = subprocess.run(words, input=script(MARK), capture_output=True, timeout=60, check=True)
    answer = answer_of(done.stdout, MARK)
    assert b"forestall" in answer
    assert b"hunter2" not in answer


def test_a_host_without_a_tool_is_no_host_with_less(tmp_path):
    """Where what the answer is made with is not there, or broken, there are no facts at all."""
    awk = tmp_path / "awk"
    awk.write_text("#!/bin/sh\nexit 127\n")
    awk.chmod(0o755)
    first = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with pytest.raises(InputError, match="does not work"):
        run(SHELLS[0], env=first)
    text = script(MARK).replace(b"for tool in awk", b"for tool in nosuchtool awk")
    with pytest.raises(InputError, match="the host has no nosuchtool:"):
        run(SHELLS[0], text, env=first)


def test_a_command_that_hangs_is_ended(tmp_path):
    """The answer comes without it, says so, and leaves no process behind."""
    FakeHost(tmp_path).process(1, "init").write("run/systemd/system/x", "")
    words = chroot(tmp_path)
    path = tmp_path / "bin" / "systemctl"
    path.write_text("#!/bin/sh\necho $$ >>/asked; exec sleep 1000\n")
    path.chmod(0o755)
    text = script(MARK).replace(b"question 15 ", b"question 1 ")
    recording = run(words, text)
    assert "did not end in time" in recording.problems["systemctl-show"]
    assert "systemctl-show" not in recording.commands
    assert "proc/meminfo" in recording.files
    asked = (tmp_path / "asked").read_text().split()
    assert len(asked) == 2
    assert not [pid for pid in asked if os.path.exists(f"/proc/{pid}")]


def test_a_command_without_end_is_cut(tmp_path):
    """A flood is stopped at its limit, and is no answer."""
    FakeHost(tmp_path).process(1, "init").write("run/systemd/system/x", "")
    words = chroot(tmp_path)
    path = tmp_path / "bin" / "systemctl"
    path.write_text("#!/bin/sh\nexec yes\n")
    path.chmod(0o755)
    recording = run(words)
    assert "said too much" in recording.problems["systemctl-show"]
    assert "proc/meminfo" in recording.files


FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.fixture
def freezer():
    """A group of version 1 in which a process cannot be killed, as one that waits for a disk."""
    group = FREEZER / f"forestall-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("making a freezer cgroup of version 1 needs the right to")
    yield group
    (group / "freezer.state").write_text("THAWED")
    wait_for(lambda: not (group / "tasks").read_text(), "the end of what was frozen")
    group.rmdir()


@pytest.mark.parametrize("shell", SHELLS[:3], ids=lambda words: words[0])
def test_a_command_that_cannot_be_killed_is_left_behind(tmp_path, shell, freezer):
    """Not even kill -9 ends it, and it keeps its output open: all else of the answer comes."""
    asked = tmp_path / "asked"
    path = tmp_path / "kcarectl"
    path.write_text(f"#!/bin/sh\necho $$ >{asked}; while :; do :; done\n")
    path.chmod(0o755)
    child = subprocess.Popen(
        shell,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    child.stdin.write(script(MARK).replace(b"question 15 ", b"question 1 "))
    child.stdin.close()
    wait_for(lambda: asked.exists() and asked.read_text().endswith("\n"), "the question", child)
    (freezer / "tasks").write_text(asked.read_text())
    (freezer / "freezer.state").write_text("FROZEN")
    with child:
        answer = answer_of(child.stdout.read(), MARK)
        assert child.stderr.read() == b""
    recording = read_answer(answer)
    assert "did not end in time" in recording.problems["kcarectl-uname"]
    assert "proc/meminfo" in recording.files
    assert os.path.exists(f"/proc/{asked.read_text().strip()}")


def test_half_a_script_does_nothing():
    """However much of it arrives, without its last line it runs nothing."""
    text = script(MARK)
    for part in (1, 3, 5, 7, 9):
        half = text[: len(text) * part // 10]
        done = subprocess.run(["sh", "-s"], input=half, capture_output=True, timeout=60)
        assert MARK.encode() not in done.stdout
    done = subprocess.run(["sh", "-s"], input=text[:-20], capture_output=True, timeout=60)
    assert MARK.encode() not in done.stdout


def test_without_rights_it_says_what_root_would_add(tmp_path):
    """A plain user's answer names what was refused; nothing refused looks absent."""
    if os.geteuid() != 0:
        pytest.skip("becoming a plain user needs root")
    tmp_path.chmod(0o755)
    fake = FakeHost(tmp_path)
    fake.process(1, "init").write("boot/vmlinuz-6.1.0-28-amd64", "")
    fake.write("etc/fstab", "secret").write("etc/kdump.conf", "path /var/crash\n")
    fake.write("var/lib/kubelet/x", "")
    words = chroot(tmp_path)
    (tmp_path / "boot").chmod(0o700)
    (tmp_path / "etc/fstab").chmod(0o600)
    (tmp_path / "var/lib").chmod(0o700)
    words = ["chroot", "--userspec=65534:65534", *words[1:]]
    recording = run(words)
    assert recording.effective_uid == 65534
    assert {"boot", "etc/fstab", "var/lib/kubelet"} <= recording.denied
    assert "etc/fstab" not in recording.files
    assert recording.files["etc/kdump.conf"] == b"path /var/crash\n"


def test_every_place_of_the_table_is_taken(tmp_path):
    """On a host that has all of them, the recording has all of them, and what they hold."""
    fake = FakeHost(tmp_path).process(41, "postgres", cmdline=("postgres",)).process(1, "init")
    for pid in (1, 41):
        (tmp_path / f"proc/{pid}/cwd").symlink_to("/var/lib/pg")
    expected = {}
    for source in sources.SOURCES:
        path = re.sub(r"\[(.)[^]]*\]", r"\1", source.path).replace("*", "one")
        if (tmp_path / path).exists() or source.what == sources.LINK:
            continue
        expected[path] = matching(source.lines) if source.what == sources.CONTENT else None
        fake.write(path, expected[path] or "")
    links = [
        source.path.replace("*", "two") for source in sources.SOURCES if source.what == sources.LINK
    ]
    for path in links:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to("../somewhere")
    words = chroot(tmp_path)
    recording = run(words)
    assert {path for path in links if path not in recording.links} == set()
    assert {path for path in expected if path not in recording.files} == set()
    for path, text in expected.items():
        if text is not None:
            assert recording.files[path].rstrip(b"\0\n") == text.encode(), path
    for source in (*sources.PROCESS, sources.COMMAND_LINE):
        assert f"proc/41/{source.path}" in recording.files
    assert recording.links["proc/41/cwd"] == "/var/lib/pg"
    for name in ("memory.stat", "cgroup.controllers"):
        assert f"sys/fs/cgroup/{name}" in recording.files


def matching(lines):
    """A line that an expression of the table matches; anything where every line is wanted."""
    if lines is None:
        return "some text: of a file"
    for line in LINES:
        if re.search(lines.replace("[[:space:]]", r"\s").replace("[:space:]", r"\s"), line):
            return line
    raise AssertionError(f"no example line for {lines}")


LINES = (
    "btime 1700000000",
    "oom_kill 7",
    "UUID=1 none swap sw 0 0",
    "container=lxc",
    "flags : fpu hypervisor",
    "[rhel-7-server-eus-rpms]",
    "deb http://example.org extended-lts main",
    "content_profile_stig",
)


def test_a_real_postgresql(tmp_path):
    """Its settings come through the script as they are read directly: the command line over an
    included file, and that over the main one."""
    with postgresql(tmp_path / "pg"):
        data = tmp_path / "pg" / "data"
        (data / "more").mkdir()
        (data / "more" / "size.conf").write_text("work_mem = '7MB'\n")
        with open(data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write("work_mem = '5MB'\ninclude_dir 'more'\n")
        recorded = read_facts(RecordedHost(run(["dash", "-s"])), SystemClock()).postgres
        live = read_facts(Host(), SystemClock()).postgres
    (ours,) = (found for found in recorded if found.data_directory == str(data))
    assert ours in live
    assert ours.shared_buffers_bytes == 16 * 2**20
    assert ours.work_mem_bytes == 7 * 2**20
    assert ours.complete

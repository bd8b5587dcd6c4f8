"""Facts of any host: whatever its files hold, they are read without an error and bounded."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.clock import FakeClock

from forestall.model.codec import dumps, loads
from forestall.model.facts import HostFacts
from forestall.sense import sources
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost, Recording, command_name

PROCESSES = (1, 70, 71)

PATHS = [
    source.path.replace("*", "x").replace("[xz]", "z").replace("[Ii]", "I")
    for source in sources.SOURCES
]
PATHS += [
    f"proc/{pid}/{source.path}"
    for pid in PROCESSES
    for source in (*sources.PROCESS, *sources.PROCESS_OF_THE_READER, sources.COMMAND_LINE)
]
PATHS += ["pg/postgresql.conf", "pg/postgresql.auto.conf", "pg/conf.d/a.conf"]
PATHS += [f"sys/fs/cgroup/{name}" for name in sources.CGROUP_FILES]

COMMANDS = [command_name(words) for words in (*sources.COMMANDS, *sources.RECORDED_COMMANDS)]

BASE = {
    "proc/self/mountinfo": b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    b"2 1 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/cgroup.controllers": b"memory\n",
    "sys/fs/cgroup/memory.stat": b"anon 0\n",
    "proc/self/cgroup": b"0::/\n",
    "run/systemd/system/": b"",
    "sys/class/block/sda1/partition": b"1\n",
    "etc/fstab": b"UUID=1 none swap sw 0 0\n",
    **{f"proc/{pid}/statm": b"900 500 100 10 0 500 0\n" for pid in PROCESSES},
    **{
        f"proc/{pid}/stat": b"%d (postgres) S 0 1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 9 1 1\n"
        % pid
        for pid in PROCESSES
    },
    **{f"proc/{pid}/cmdline": b"postgres\0-D\0/pg\0" for pid in PROCESSES},
}
"""A sound host in small, so that what is damaged is reached."""

WORDS = st.sampled_from(
    [
        b"\n", b" ", b"=", b"[", b"]", b"-", b"0", b"1", b"9" * 30, b"9" * 5000, b"1e999", b"nan",
        b"inf", b"infinity", b"\xff", b"\0", b"/", b"..", b"swap", b"kB", b"%", b":", b",", b"'",
        b"include 'postgresql.conf'\n", b"include_dir '.'\n", b"work_mem=", b"Id=x.service\n",
        b"MemoryMax=", b"RestartUSec=", b"MemTotal: ", b"btime ", b"some avg10=", b" - ", b"proc",
        b"{", b'"services":', b"Environment=", b"[Coredump]\nMaxUse=", b"path ", b"UUID=", b"rw",
    ]
)  # fmt: skip
CONTENT = st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=30).map(b"".join))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    files=st.dictionaries(st.sampled_from(PATHS), CONTENT, max_size=12),
    links=st.dictionaries(
        st.sampled_from(
            ["dev/disk/by-uuid/1", "sys/class/block/sda1", "proc/70/cwd", "proc/self/ns/pid"]
        ),
        st.one_of(st.text(max_size=20), st.sampled_from(["/", "/pg", "../../..", ".", ""])),
    ),
    commands=st.dictionaries(st.sampled_from(COMMANDS), CONTENT),
    denied=st.frozensets(st.sampled_from(PATHS), max_size=5),
)
def test_no_content_of_any_file_is_an_error(files, links, commands, denied):
    """Whatever a few files and commands of a sound host hold; and the document reads back."""
    recording = Recording(
        files={**BASE, **files}, links=links, commands=commands, denied=denied, hostname="h"
    )
    facts = read_facts(RecordedHost(recording), FakeClock())
    assert loads(HostFacts, dumps(facts)) == facts
    assert all(len(reason) <= 600 for reason in facts.unseen.values())


@settings(max_examples=150, deadline=None)
@given(path=st.sampled_from(PATHS), content=CONTENT)
def test_one_damaged_file_leaves_the_others_facts(path, content):
    """Name, system and the memory of other files stay what they were."""
    sound = read_facts(RecordedHost(Recording(files=BASE, hostname="h")), FakeClock())
    facts = read_facts(
        RecordedHost(Recording(files={**BASE, path: content}, hostname="h")), FakeClock()
    )
    assert facts.hostname == sound.hostname == "h"
    if not path.startswith(("proc/", "sys/fs/cgroup", "run/", "sys/class")):
        assert (facts.holders, facts.own_cgroups) == (sound.holders, sound.own_cgroups)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(PATHS), st.sampled_from([b"\n", b"0", b"[x]\na=b\n", b"a b c d\n", b"\xff"]))
def test_a_huge_file_makes_no_huge_facts(path, piece):
    """Forty years of one line: what is kept of it stays below a megabyte."""
    content = piece * (4 * 1024 * 1024 // len(piece))
    recording = Recording(files={**BASE, path: content}, hostname="h")
    facts = read_facts(RecordedHost(recording), FakeClock())
    assert len(dumps(facts)) < 1024 * 1024

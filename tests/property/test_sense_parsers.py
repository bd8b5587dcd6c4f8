"""Hostile text: whatever stands in /proc, a reader answers with a value or an InputError."""

from hypothesis import given, settings
from hypothesis import strategies as st

from forestall.errors import InputError
from forestall.sense import procfs, psi
from forestall.sense.cgroup import NO_LIMIT_BYTES, parse_mountinfo, unit_of
from forestall.sense.host import decode
from forestall.sense.systemd import parse_show, unit_facts

PARSERS = (
    procfs.parse_meminfo,
    procfs.parse_vmstat,
    procfs.parse_stat,
    lambda data: procfs.parse_statm(data, 4096),
    procfs.parse_status,
    procfs.parse_io,
    procfs.parse_rollup,
    procfs.parse_words,
    procfs.parse_cgroup,
    procfs.parse_swaps,
    procfs.parse_boot_time,
    procfs.parse_os_release,
    psi.parse_pressure,
    lambda data: list(parse_mountinfo(data)),
    lambda data: [unit_facts(block) for block in parse_show(data)],
)

SOUND = (
    b"MemTotal:       16316 kB\nMemFree:         8 kB\nHugePages_Total:       0\n",
    b"pgmajfault 100\npswpin 0\noom_kill 2\n",
    b"7 (a) b) S 1 7 7 0 -1 4194560 100 0 5 0 150 50 0 0 20 0 3 0 98765 1000 250 18446744\n",
    b"900 300 100 1 0 2 0\n",
    b"Name:\tx\nUid:\t7\t8\t9\t9\nVmRSS:\t 12 kB\nRssAnon:\t 9 kB\nVmSwap:\t 0 kB\nThreads:\t2\n",
    b"rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n",
    b"55-7f ---p 00 00:00 0 [rollup]\nRss:  10 kB\nPss: 8 kB\n",
    b"4:cpu,memory:/a:b\n1:name=systemd:/x\n0::/y\n",
    b"Filename Type Size Used Priority\n/dev/zram0 partition 8 4 100\n",
    b"cpu 1 2\nbtime 1700000000\n",
    b'ID="x"\nVERSION_ID=7.6\n',
    b"some avg10=1.50 avg60=0.25 avg300=0.05 total=25\nfull avg10=0 avg60=0 avg300=0 total=1\n",
    b"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:1 - cgroup cgroup rw,memory\n",
    b"Id=a.service\nMemoryMax=infinity\nMainPID=7\n\nId=b.service\n",
)


@st.composite
def damaged(draw):
    """A sound file that was cut, or had some of its bytes changed, doubled or taken out."""
    data = bytearray(draw(st.sampled_from(SOUND)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        what = draw(st.sampled_from(("cut", "change", "insert", "take")))
        if what == "cut":
            del data[at:]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=6))
        elif what == "take":
            del data[at : at + draw(st.integers(1, 8))]
        elif at < len(data):
            data[at] = draw(st.integers(0, 255))
    return bytes(data)


def _refusal(parse, data):
    """Why `data` was refused, in valid text; None if it was not."""
    try:
        parse(data)
    except InputError as error:
        error.message.encode("utf-8")
        return error.message
    return None


@settings(max_examples=400, deadline=None)
@given(data=st.one_of(damaged(), st.binary(max_size=200), st.sampled_from(SOUND)))
def test_no_bytes_make_a_parser_fail_otherwise_than_by_saying_where(data):
    """Each parser on each file: a value, or an InputError that names a path; nothing else."""
    for parse in PARSERS:
        message = _refusal(parse, data)
        assert message is None or "proc/" in message


@settings(max_examples=200, deadline=None)
@given(
    name=st.binary(max_size=64),
    pid=st.integers(1, 2**22),
    start=st.integers(0, 2**63),
    ticks=st.integers(0, 2**40),
)
def test_no_name_can_change_the_fields_behind_it(name, pid, start, ticks):
    """A process may call itself anything, and is still the process it is."""
    rest = f" R 1 1 1 0 -1 0 0 0 0 0 {ticks} 1 0 0 20 0 4 0 {start} 1 1\n"
    stat = procfs.parse_stat(f"{pid} (".encode() + name + b")" + rest.encode())
    assert (stat.pid, stat.state, stat.cpu_ticks) == (pid, "R", ticks + 1)
    assert (stat.thread_count, stat.start_ticks) == (4, start)
    stat.name.encode("utf-8")


@given(st.binary(max_size=100))
def test_decoded_text_is_always_unicode_and_keeps_what_was_text(data):
    """Decoding never fails, and sound UTF-8 comes back unchanged."""
    text = decode(data)
    text.encode("utf-8")
    try:
        assert text == data.decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in text


@settings(max_examples=200, deadline=None)
@given(resident=st.integers(0, 2**40), shared=st.integers(0, 2**40))
def test_anonymous_memory_is_never_negative_nor_more_than_resident(resident, shared):
    """Whatever the two racing counters say."""
    data = f"{resident * 2} {resident} {shared} 0 0 0 0".encode()
    rss_bytes, anon_bytes = procfs.parse_statm(data, 4096)
    assert 0 <= anon_bytes <= rss_bytes == resident * 4096


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="/abc.@_-\\x2dservicescopeslice", max_size=60))
def test_a_unit_is_a_part_of_its_path(path):
    """Whatever the path, the unit named is one of its parts, or there is none."""
    unit = unit_of(path)
    parts = {part.removeprefix("_") for part in path.split("/")}
    assert unit is None or unit in parts


@given(st.dictionaries(st.sampled_from(("MemoryMax", "MemoryLimit")), st.integers(0, 2**64 - 1)))
def test_a_number_is_a_limit_unless_it_is_the_largest(values):
    """Only 2**64 - 1 means `no limit`; systemd never prints v1's rounded one."""
    block = {"Id": "a.service"} | {name: str(value) for name, value in values.items()}
    found = unit_facts(block).memory_max_bytes
    limits = [value for value in values.values() if value != 2**64 - 1]
    assert (found in limits) if limits else (found is None)
    assert NO_LIMIT_BYTES < 2**63

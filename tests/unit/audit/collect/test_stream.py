"""The script's answer, whole, cut, noisy and hostile."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forestall.audit.collect.stream import answer_of, read_answer
from forestall.errors import InputError

MARK = "0123456789abcdef"
HOST = ("host", b"at 1700000000\nuid 0\nmachine x86_64\npage_kib 64\nshell 77")


def answer(*sections, end=None):
    """An answer as the script makes it."""
    text = f"@{MARK} forestall 1 plain\n".encode()
    for header, body in sections:
        text += f"\n@{MARK} {header}\n".encode() + body
    count = len([header for header, _ in sections if not header.startswith("exit")])
    return text + f"\n@{MARK} end {count if end is None else end}\n".encode()


def read(*sections):
    return read_answer(answer(HOST, *sections))


def test_what_the_host_says_of_itself():
    """User, machine, page size and time of the host."""
    found = read()
    assert found.effective_uid == 0
    assert found.machine == "x86_64"
    assert found.page_bytes == 65536
    assert found.collected_at == 1_700_000_000
    assert found.origin == "ssh"


@given(st.binary().filter(lambda data: MARK.encode() not in data))
def test_a_file_keeps_its_bytes(data):
    """Whatever a file holds, and however it ends, it comes out as it was."""
    assert read(("file /etc/x y", data)).files["etc/x y"] == data


def test_lines_come_with_their_path():
    """Paths with colons, files without a matching line, and files of many lines."""
    body = b"/a:b/c:one:two\n/a:b/c:three\n/d:\n"
    found = read(("read", b"/a:b/c\n/d\n/none\n"), ("lines", body))
    assert found.files["a:b/c"] == b"one:two\nthree\n"
    assert found.files["d"] == b"\n"
    assert found.files["none"] == b""
    assert "a" not in found.files


def test_a_line_of_a_file_that_was_not_asked_for_is_passed_over():
    """A file cannot speak for another one."""
    found = read(("read", b"/a"), ("lines", b"/a:1\n/etc/os-release:ID=x\nrubbish\n"))
    assert "etc/os-release" not in found.files


def test_a_name_with_a_line_end_stays_one_process():
    """The kernel does not escape names in stat; each of its lines has the path."""
    body = b"/proc/5/stat:5 (a\n/proc/5/stat:/proc/6/stat:b) S 1\n/proc/5/statm:9 8 7"
    found = read(("processes", body))
    assert found.files["proc/5/stat"] == b"5 (a\n/proc/6/stat:b) S 1\n"
    assert "proc/6/stat" not in found.files


def test_the_collector_is_not_in_its_picture():
    """The shell and all it started are left out, and nobody else."""
    lines = [(77, 1), (80, 77), (81, 80), (90, 1), (770, 90)]
    body = b"".join(b"/proc/%d/stat:%d (sh) S %d 1\n" % (pid, pid, up) for pid, up in lines)
    found = read(("processes", body))
    assert {path.split("/")[1] for path in found.files if path.endswith("stat")} == {"90", "770"}


def test_links_names_and_refusals():
    """A link with spaces, a folder, and the words of GNU and busybox for what was refused."""
    links = b"lrwxrwxrwx 1 0 0 0 Nov 26 11:33 /dev/mapper/a b -> ../dm-0\ntotal 0\n"
    denied = (
        b"head: cannot open '/etc/a b' for reading: Permission denied\n"
        b"grep: /proc/sys/x: Permission denied\n"
        b"ls: cannot read symbolic link '/proc/1/cwd': Permission denied\n"
        b"ls: /proc/2/cwd: cannot read link: Permission denied\n"
        b"head: error reading '/proc/3/x': Operation not permitted\n"
        b"/boot: Permission denied\n"
        b"grep: /proc/7/stat: No such file or directory\n"
    )
    found = read(("links", links), ("names", b"/run/systemd/system/\n/x"), ("denied", denied))
    assert found.links == {"dev/mapper/a b": "../dm-0"}
    assert {"run/systemd/system/", "x"} <= set(found.files)
    assert found.denied == {
        "etc/a b",
        "proc/sys/x",
        "proc/1/cwd",
        "proc/2/cwd",
        "proc/3/x",
        "boot",
    }


def test_a_file_that_was_refused_is_not_an_empty_one():
    """Asked for and refused is no content; asked for and empty is."""
    found = read(("read", b"/a\n/b"), ("lines", b""), ("denied", b"grep: /a: Permission denied\n"))
    assert "a" not in found.files
    assert found.files["b"] == b""


def test_commands():
    """An answer with its end; a failure; one without an end; df, whose failures are partial."""
    found = read(
        ("command systemctl show", b"Id=x\n"),
        ("exit 0", b""),
        ("command rpm -qa", b"some"),
        ("exit 1", b""),
        ("command kcarectl --uname", b"half"),
        ("command df -P", b"Filesystem"),
        ("exit 1", b""),
    )
    assert found.commands == {"systemctl-show": b"Id=x\n", "df-P": b"Filesystem"}
    assert "exit code 1" in found.problems["rpm-qa"]
    assert "did not end in time" in found.problems["kcarectl-uname"]


def test_command_lines_have_their_own_ends():
    """A byte 31 stands for the NUL between words."""
    found = read(("words", b"/proc/9/cmdline:postgres\x1f-D\x1f/x\x1f\n"))
    assert found.files["proc/9/cmdline"] == b"postgres\0-D\0/x\0"


def test_a_path_cannot_leave_the_recording():
    """Neighbours are resolved; what climbs out stays below the root."""
    found = read(("file /etc/pg/../x.conf", b"1"), ("file /../../etc/y", b"2"), ("names", b"a\n"))
    assert found.files["etc/x.conf"] == b"1"
    assert found.files["etc/y"] == b"2"
    assert "a" not in found.files


def test_half_an_answer_is_none():
    """Cut at any place, or with a section missing, it raises; it never makes half the facts."""
    whole = answer(HOST, ("file /a", b"x" * 50), ("names", b"/b"))
    assert read_answer(whole)
    for size in range(len(whole) - len(f"@{MARK} end 3\n")):
        with pytest.raises(InputError):
            read_answer(whole[:size])
    with pytest.raises(InputError, match="of 3 sections 2 arrived"):
        read_answer(answer(HOST, ("names", b"/b"), end=3))


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(max_size=20))
def test_damage_is_an_input_error(noise, at, change):
    """Noise before, and any bytes changed: a recording or an InputError, nothing else."""
    whole = answer(HOST, ("file /a", b"x"), ("exit 0", b""), ("command a b", b"x"), ("read", b"/a"))
    packed = f"@{MARK} forestall 1 gzip\n".encode() + gzip.compress(whole.split(b"\n", 1)[1])
    for data in (whole, packed):
        data = noise + b"\n" + data[:at] + change + data[at + len(change) :]
        try:
            read_answer(answer_of(data, MARK))
        except InputError:
            continue


def test_noise_of_the_login_shell():
    """Words before the start, with or without a line's end, and after the end of gzip."""
    packed = f"@{MARK} forestall 1 gzip\n".encode()
    packed += gzip.compress(answer(HOST, ("file /a", b"1")).split(b"\n", 1)[1])
    for before in (b"", b"Welcome\n", b"\xff\x00prompt>\n"):
        text = answer_of(before + packed + b"logout\n", MARK)
        assert read_answer(text).files["a"] == b"1"


def test_a_bomb_is_refused():
    """Packed small and unpacked huge: an error before the memory is taken."""
    packed = f"@{MARK} forestall 1 gzip\n".encode() + gzip.compress(b"\0" * 1_000_000)
    with pytest.raises(InputError, match="larger"):
        answer_of(packed, MARK, limit=100_000)


@pytest.mark.parametrize("said", [b"", b"This account is locked.\n", b"@other forestall 1 plain\n"])
def test_no_answer(said):
    """What the host said instead is in the words."""
    with pytest.raises(InputError) as caught:
        answer_of(said, MARK)
    assert said.decode().strip() in caught.value.message


def test_another_version_is_refused():
    """An answer of a script that this program does not know is not guessed at."""
    with pytest.raises(InputError, match="version"):
        answer_of(f"@{MARK} forestall 2 gzip\n".encode(), MARK)

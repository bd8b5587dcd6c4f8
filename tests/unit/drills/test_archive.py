"""The first root file system of a guest, byte for byte."""

import stat
import subprocess

import pytest
from drills.panic.archive import Entry, console, file, folder, link, read_archive, write_archive
from drills.panic.packages import find
from hypothesis import given
from hypothesis import strategies as st

NAMES = st.text("abc/._-", min_size=1, max_size=30).filter(
    lambda name: not name.startswith("/") and "//" not in name and not name.endswith("/")
)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=40)), max_size=8, unique_by=lambda e: e[0]))
def test_what_was_written_is_read_again(members):
    """Any names and contents survive, each below folders that come before it."""
    archive = write_archive([file(name, data) for name, data in members])
    read = list(read_archive(archive))
    plain = {entry.name: entry.data for entry in read if stat.S_ISREG(entry.mode)}
    assert {name: data for name, data in members if name in plain} == plain
    seen: set[str] = set()
    for entry in read:
        above = entry.name.rpartition("/")[0]
        assert not above or above in seen
        seen.add(entry.name)


def test_archives_that_follow_each_other_are_read_as_one():
    """The kernel unpacks them in turn, so that a later file replaces an earlier one."""
    both = write_archive([file("etc/a", b"1")]) + write_archive([file("etc/a", b"2")])
    assert [entry.data for entry in read_archive(both) if entry.name == "etc/a"] == [b"1", b"2"]


def test_devices_links_and_modes_are_kept():
    """Without /dev/console the first process has no streams; without its bit /init does not run."""
    read = {entry.name: entry for entry in read_archive(write_archive(_some()))}
    assert read["dev/console"].device == (5, 1)
    assert stat.S_ISCHR(read["dev/console"].mode)
    assert read["bin/sh"].data == b"busybox"
    assert read["init"].mode & 0o111


def test_every_member_lies_at_a_multiple_of_four():
    """The kernel refuses an archive that is not padded."""
    archive = write_archive([file("odd", b"12345"), file("a", b"x")])
    at = archive.find(b"070701", 1)
    while at > 0:
        assert at % 4 == 0
        at = archive.find(b"070701", at + 1)
    assert len(archive) % 512 == 0


def test_busybox_unpacks_it(tmp_path):
    """Another implementation of the format reads what we write."""
    busybox = find("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed")
    archive = write_archive([entry for entry in _some() if entry.name != "dev/console"])
    subprocess.run([busybox, "cpio", "-i"], input=archive, cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / "etc/hostname").read_bytes() == b"db\n"
    assert (tmp_path / "bin/sh").readlink().name == "busybox"


@pytest.mark.parametrize("damage", [b"070702" + b"0" * 104, b"070701" + b"F" * 104, b"070701"])
def test_what_is_no_archive_is_refused(damage):
    """Damage is an error, never half a file system."""
    with pytest.raises(ValueError):
        list(read_archive(damage))


def _some() -> list[Entry]:
    return [
        folder("proc"),
        console(),
        link("bin/sh", "busybox"),
        file("etc/hostname", b"db\n"),
        file("init", b"#!/bin/sh\n", executable=True),
    ]

"""The journal on a disk that is full: what was acknowledged stays, and it goes on with space."""

import contextlib
import os
import subprocess
import sys
import textwrap

import pytest
from tests.integration.disks import fill, small_disk

from forestall.errors import JournalError
from forestall.journal import Journal, read

DISK_BYTES = 128 * 1024


@pytest.fixture
def disk(tmp_path):
    """A file system of 128 KiB, mounted for the test."""
    with small_disk(tmp_path / "disk", DISK_BYTES // 1024) as folder:
        yield folder


def append_until_refused(journal, record):
    """The numbers of what was acknowledged, and the refusal."""
    acknowledged = []
    for _ in range(1000):
        try:
            acknowledged.append(journal.append(record))
        except JournalError as error:
            return acknowledged, error
    raise AssertionError("the disk never filled")


def test_a_full_disk_costs_the_record_and_nothing_else(disk):
    """ENOSPC at many places in a page: acknowledged records stay, and appending goes on."""
    path = disk / "spool.journal"
    acknowledged = []
    refused_at = set()
    with Journal(path) as journal:
        for size in range(0, 4096, 61):
            filler = fill(disk)
            taken, refusal = append_until_refused(journal, {"text": "x" * size})
            assert "No space left" in refusal.message
            assert "free space" in refusal.help
            acknowledged += taken
            refused_at.add(path.stat().st_size % 4096)
            assert [record.sequence for record in read(path)] == acknowledged
            filler.unlink()
            acknowledged.append(journal.append({"n": "after"}))
            if path.stat().st_size > DISK_BYTES - 16 * 1024:
                break
    assert len(refused_at) > 20
    damaged = []
    assert [record.sequence for record in read(path, damaged=damaged)] == acknowledged
    assert damaged == []
    assert not (disk / "spool.journal.torn").exists()


def test_a_torn_tail_on_a_full_disk_is_not_cut_before_it_is_kept(disk):
    """Opening fails rather than throw away bytes that cannot be set aside; later it works."""
    path = disk / "spool.journal"
    with Journal(path) as journal:
        journal.append({"n": 1})
    with path.open("ab") as file:
        file.write(b"torn" * 2000)
    before = path.read_bytes()
    filler = fill(disk)
    with pytest.raises(JournalError, match="No space left"):
        Journal(path)
    assert path.read_bytes() == before
    filler.unlink()
    with Journal(path) as journal:
        assert journal.append({"n": 2}) == 3
    assert b"torn" * 2000 in (disk / "spool.journal.torn").read_bytes()


def test_rotation_on_a_full_disk_leaves_everything_as_it_was(disk):
    """Without an inode for a new segment the old one stays in place, and is rotated later."""
    path = disk / "spool.journal"
    with Journal(path, max_bytes=1000, keep_segments=3) as journal:
        last = journal.append_all([{"text": "x" * 50}] * 10)[-1]
        inodes = [disk / str(number) for number in range(16)]
        with contextlib.suppress(OSError):
            for inode in inodes:
                inode.touch()
        assert os.statvfs(disk).f_favail == 0
        for _ in range(2):
            with pytest.raises(JournalError, match="cannot start a new segment"):
                journal.append({"text": "x" * 500})
        assert journal.append({}) == last + 1
        for inode in inodes:
            inode.unlink(missing_ok=True)
        assert journal.append({"text": "x" * 500}) == last + 2
    assert [record.sequence for record in read(path)] == list(range(1, last + 3))
    assert len(list(disk.glob("spool.journal.0*"))) == 1


SHORT_WRITES = textwrap.dedent(
    """
    import os, resource, sys
    from forestall.errors import JournalError
    from forestall.journal import Journal, read

    path = sys.argv[1]
    record = {"text": "x" * 40}
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path) as journal:
        first = journal.append(record)
        length = os.path.getsize(path) + 1
        for room in range(length):
            limit = os.path.getsize(path) + room
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            try:
                journal.append({"text": "y" * 45})
            except JournalError as error:
                assert "ulimit -f" in error.help, error.help
            else:
                raise SystemExit(f"a record fitted into {room} bytes")
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert journal.append({"room": room}) == first + 1 + room
    damaged = []
    found = [record.data for record in read(path, damaged=damaged)]
    assert found == [record, *({"room": room} for room in range(length))], found
    assert damaged == []
    print("ok", length)
    """
)


def test_a_write_cut_short_at_any_byte_is_taken_back(tmp_path):
    """A file size limit stops the write after each possible number of bytes; needs no root."""
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WRITES, str(tmp_path / "short.journal")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("ok "), done.stderr

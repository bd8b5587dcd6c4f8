"""The journal's promises, one by one."""

import binascii
import os

import pytest
from tests.fakes.disk import FakeDisk

from forestall.errors import JournalError
from forestall.journal import (
    MAX_RECORD_BYTES,
    MAX_TORN_BYTES,
    Damage,
    Journal,
    Record,
    read,
    replace_file,
)

RECORDS = [{"n": 1, "text": "plain"}, {}, {"deep": {"list": [1, None, "é\n\udc80"]}}, {"n": 4}]


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "spool.journal")


@pytest.fixture
def written(path):
    """The bytes of a journal that holds RECORDS."""
    with Journal(path) as journal:
        for record in RECORDS:
            journal.append(record)
    with open(path, "rb") as file:
        return file.read()


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def contents(path):
    with open(path, "rb") as file:
        return file.read()


def line(sequence, text):
    crc = binascii.crc32(f"{sequence} {text}".encode())
    return f"{sequence} {crc:08x} {text}\n".encode()


def whole_lines(data):
    """How many records the first bytes of an undamaged journal hold."""
    return data.count(b"\n")


def test_a_record_is_one_line_that_tail_and_grep_can_read(path):
    """Sequence, checksum of the rest, compact ASCII JSON; nothing before, between or behind."""
    with Journal(path) as journal:
        journal.append({"text": "é\n", "n": 1})
        journal.append({})
    assert contents(path) == line(1, r'{"text":"\u00e9\n","n":1}') + line(2, "{}")


def test_records_come_back_in_order_with_their_numbers(path, written):
    """What was appended is read back, also after the journal was opened again."""
    with Journal(path) as journal:
        assert journal.append({"later": True}) == len(RECORDS) + 1
    expected = [*RECORDS, {"later": True}]
    assert list(read(path)) == [Record(i, data) for i, data in enumerate(expected, start=1)]


def test_append_returns_only_after_the_data_was_synced(path):
    """When append returns, a sync has seen the file with the whole record in it."""
    disk = FakeDisk()
    with Journal(path, sync=disk.sync) as journal:
        for count in range(1, 4):
            journal.append({"n": count})
            assert disk.sizes[-1] == os.path.getsize(path)
        assert disk.sync_count == 1 + 3


def test_opening_makes_the_names_durable_even_of_a_file_that_is_there(path, monkeypatch):
    """The process that created it may have died before its name was on disk."""
    synced = []

    def fsync(descriptor, real=os.fsync):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(2):
        synced.clear()
        Journal(path).close()
        assert os.path.dirname(path) in synced


def test_append_all_syncs_once_for_all_records(path):
    """Many records cost one sync, get successive numbers, and none costs nothing."""
    disk = FakeDisk()
    with Journal(path, sync=disk.sync) as journal:
        before = disk.sync_count
        assert journal.append_all({"n": n} for n in range(5)) == [1, 2, 3, 4, 5]
        assert disk.sync_count == before + 1
        assert journal.append_all([]) == []
        assert disk.sync_count == before + 1
    assert [record.data["n"] for record in read(path)] == [0, 1, 2, 3, 4]


def test_a_file_cut_at_any_byte_gives_every_record_before_the_cut(path, written):
    """A reader loses only the record that was cut, and says so as the tail."""
    for cut in range(len(written)):
        put(path, written[:cut])
        damaged = []
        kept = list(read(path, damaged=damaged))
        count = whole_lines(written[:cut])
        assert [record.data for record in kept] == RECORDS[:count]
        ends_whole = cut == 0 or written[:cut].endswith(b"\n")
        assert [damage.tail for damage in damaged] == ([] if ends_whole else [True])


def test_a_writer_opens_a_file_cut_at_any_byte_and_goes_on(path, written):
    """Recovery keeps whole records, sets the rest aside, and gives no number twice."""
    for cut in range(len(written)):
        put(path, written[:cut])
        count = whole_lines(written[:cut])
        torn = written[:cut].rpartition(b"\n")[2]
        with Journal(path, sync=FakeDisk().sync) as journal:
            assert (journal.recovered is not None) == bool(torn)
            assert journal.append({"after": cut}) == count + bool(torn) + 1
        assert [record.data for record in read(path)] == [*RECORDS[:count], {"after": cut}]
        if torn:
            assert contents(path + ".torn").endswith(torn + b"\n")


def test_any_flipped_bit_costs_only_the_record_it_is_in(path, written):
    """Every bit of the file in turn: the other records are read, and one damage is reported."""
    whole = [Record(i, data) for i, data in enumerate(RECORDS, start=1)]
    for offset in range(len(written)):
        for bit in range(8):
            data = bytearray(written)
            data[offset] ^= 1 << bit
            put(path, bytes(data))
            damaged = []
            hit = whole_lines(written[:offset])
            assert list(read(path, damaged=damaged)) == whole[:hit] + whole[hit + 1 :]
            assert len(damaged) == 1
            assert damaged[0].offset <= offset < damaged[0].offset + damaged[0].length


def test_a_writer_opens_a_file_with_any_byte_damaged_and_loses_no_other_record(path, written):
    """Every byte in turn: other records stay, and no number that was given is given again."""
    for offset in range(len(written)):
        data = bytearray(written)
        data[offset] ^= 0x10
        put(path, bytes(data))
        hit = whole_lines(written[:offset])
        with Journal(path, sync=FakeDisk().sync) as journal:
            assert journal.append({"after": offset}) == len(RECORDS) + 1
        others = RECORDS[:hit] + RECORDS[hit + 1 :]
        assert [record.data for record in read(path)] == [*others, {"after": offset}]


@pytest.mark.parametrize(
    "tail",
    [b"\0" * 5000, b"garbage", b"\n\n\n", b"5 00000000 {}\n", b"\xff" * 70_000 + b"\n"],
    ids=["zeros", "text", "newlines", "bad checksum", "long"],
)
def test_what_follows_the_last_whole_record_is_set_aside_not_thrown_away(path, written, tail):
    """After a power cut: the tail is cut, kept beside the journal, and told to the caller."""
    put(path, written + tail)
    with Journal(path) as journal:
        assert journal.recovered is not None
        assert journal.recovered[:3] == (path, len(written), len(tail))
    assert contents(path) == written
    kept = contents(path + ".torn")
    assert kept.startswith(f"# {path} offset {len(written)}: {len(tail)} bytes cut".encode())
    assert kept.endswith(tail + b"\n")


def test_what_is_set_aside_is_bounded(path, written):
    """Crash after crash, the kept tails stay below twice their limit."""
    for _ in range(4):
        put(path, written + b"x" * (MAX_TORN_BYTES + 1000))
        with Journal(path) as journal:
            assert f"{MAX_TORN_BYTES} bytes kept" in journal.recovered.reason
    assert MAX_TORN_BYTES < os.path.getsize(path + ".torn") <= 2 * MAX_TORN_BYTES


def test_a_large_file_that_is_no_journal_is_refused_and_left_alone(path):
    """A wrong path must not cost the file it names."""
    data = b"a line of another program\n" * (MAX_TORN_BYTES // 20)
    put(path, data)
    with pytest.raises(JournalError, match="no journal") as caught:
        Journal(path)
    assert caught.value.help
    assert contents(path) == data


def test_damage_in_the_middle_is_one_stretch_with_its_place(path):
    """Adjacent damaged lines are one Damage; whole records on both sides are read."""
    first, second = line(1, '{"n":1}'), line(2, '{"n":2}')
    ruin = b"\0\n" * 2000 + b"3 12345678 {}\n"
    put(path, first + ruin + second)
    damaged = []
    assert [record.sequence for record in read(path, damaged=damaged)] == [1, 2]
    assert damaged == [Damage(path, len(first), len(ruin), "no whole record", tail=False)]


def test_damage_longer_than_any_record_does_not_hide_what_follows(path):
    """Megabytes without a newline are skipped in bounded memory."""
    first, second = line(1, '{"n":1}'), line(2, '{"n":2}')
    ruin = b"x" * (3 * MAX_RECORD_BYTES)
    put(path, first + ruin + second + ruin + b"\n" + line(3, "{}"))
    damaged = []
    assert [record.sequence for record in read(path, damaged=damaged)] == [1, 2, 3]
    assert [damage.length for damage in damaged] == [len(ruin), len(ruin) + 1]
    assert damaged[0].offset == len(first)


def test_text_inside_a_damaged_record_never_poses_as_a_record(path):
    """A process can choose its name, but not what the journal says."""
    forged = line(7, '{"kind":"forged"}').decode().strip()
    # Right over the bytes that really end the line, closing quote and brace included.
    right = f"7 {binascii.crc32(b'7 {x' + bytes([34, 125])):08x} {{x"
    for text in (forged, forged + "} {}", right):
        with Journal(path) as journal:
            journal.append({"name": text})
            journal.append({"honest": True})
        data = contents(path)
        for offset in range(data.index(b"\n")):
            put(path, data[:offset] + b"\0" + data[offset + 1 :])
            damaged = []
            assert [record.data for record in read(path, damaged=damaged)] == [{"honest": True}]
            assert [damage.reason for damage in damaged] == ["no whole record"]
        os.unlink(path)


def test_a_record_twice_is_read_once(path, written):
    """A file joined with itself by hand gives each record once and reports the rest."""
    put(path, written + written)
    damaged = []
    assert [record.data for record in read(path, damaged=damaged)] == RECORDS
    assert {damage.reason for damage in damaged} == {"sequence goes back"}


def test_a_checked_line_that_is_no_json_object_is_reported(path):
    """A right checksum over wrong JSON is damage, not an exception."""
    put(path, line(1, '{"a"}') + line(2, '{"a":' + "[" * 100_000 + "}") + line(3, "{}"))
    damaged = []
    assert [record.sequence for record in read(path, damaged=damaged)] == [3]
    assert [damage.reason for damage in damaged] == ["no JSON object"] * 2


def test_a_record_being_written_is_no_record_yet(path, written):
    """A reader beside a writer sees the tail as unfinished and everything before it."""
    put(path, written + line(5, '{"n":5}')[:-3])
    damaged = []
    assert len(list(read(path, damaged=damaged))) == len(RECORDS)
    assert damaged[0].tail
    assert "unfinished" in damaged[0].reason


def test_a_journal_that_does_not_exist_has_no_records(tmp_path):
    """Absence is a value for readers, also when the folder is not there."""
    assert list(read(tmp_path / "none.journal")) == []
    assert list(read(tmp_path / "no" / "folder.journal")) == []


def test_a_failed_sync_is_final_until_the_journal_is_opened_again(path):
    """The record is not acknowledged nor left; no later sync is believed."""
    disk = FakeDisk()
    with Journal(path, sync=disk.sync) as journal:
        journal.append({"n": 1})
        disk.failures = 1
        with pytest.raises(JournalError, match="did not reach the disk"):
            journal.append({"n": 2})
        count = disk.sync_count
        with pytest.raises(JournalError, match="fsync failed earlier") as caught:
            journal.append({"n": 3})
        assert disk.sync_count == count
        assert "open the journal again" in caught.value.help
    assert [record.data["n"] for record in read(path)] == [1]
    with Journal(path, sync=disk.sync) as journal:
        assert journal.append({"n": 4}) == 2
    assert [record.data["n"] for record in read(path)] == [1, 4]


def test_a_sync_that_fails_while_opening_refuses_to_open(path, written):
    """What recovery found is durable before anything is built on it; the lock is free after."""
    disk = FakeDisk()
    disk.failures = 1
    with pytest.raises(JournalError, match="cannot open"):
        Journal(path, sync=disk.sync)
    Journal(path, sync=disk.sync).close()


def test_a_second_writer_is_refused_with_the_first_ones_pid(path):
    """The lock names file and process, and is free once the first is closed."""
    with Journal(path):
        with pytest.raises(JournalError) as caught:
            Journal(path)
        assert path in caught.value.message
        assert f"process {os.getpid()}" in caught.value.message
        assert caught.value.help
    Journal(path).close()


def test_a_closed_journal_takes_no_record(path):
    """Appending after close is an error, and closing twice is none."""
    journal = Journal(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.append({})


@pytest.mark.parametrize("harm", ["removed", "replaced", "cut", "longer"])
def test_a_file_that_others_touched_gets_no_further_record(path, written, harm):
    """A record would be acknowledged into a file that is gone, or not where the writer thinks."""
    with Journal(path) as journal:
        if harm in ("removed", "replaced"):
            os.rename(path, path + ".moved")
        if harm == "replaced":
            put(path, written)
        if harm == "cut":
            os.truncate(path, 10)
        if harm == "longer":
            put(path, written + b"more\n")
        with pytest.raises(JournalError, match="nothing more is acknowledged"):
            journal.append({"n": 9})
    assert all(record.data != {"n": 9} for record in read(path))


def test_a_full_journal_says_what_to_do(path):
    """At its limit append raises and keeps what there is; a smaller record still fits."""
    with Journal(path, max_bytes=100) as journal:
        journal.append({"text": "x" * 40})
        with pytest.raises(JournalError, match="limit of 100 bytes") as caught:
            journal.append({"text": "x" * 40})
        assert "move the file away" in caught.value.help
        assert journal.append({}) == 2
    assert os.path.getsize(path) <= 100


def test_segments_keep_the_newest_records_within_the_limit(path):
    """Old segments go, numbers go on, and reading crosses segments in order."""
    with Journal(path, max_bytes=200, keep_segments=2) as journal:
        for n in range(1, 101):
            assert journal.append({"n": n}) == n
    sequences = [record.sequence for record in read(path)]
    assert sequences == list(range(sequences[0], 101))
    folder = os.path.dirname(path)
    sizes = [os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)]
    assert 400 < sum(sizes) <= 3 * 200 + 20
    assert len(sizes) == 4


def test_numbers_go_on_after_a_crash_between_two_segments(path):
    """The file was set aside and the new one never came: nothing is lost, no number reused."""
    with Journal(path, max_bytes=200, keep_segments=2) as journal:
        for n in range(1, 8):
            journal.append({"n": n})
    os.rename(path, f"{path}.{1:019d}")
    put(path + ".new", b"")
    assert [record.sequence for record in read(path)] == list(range(1, 8))
    with Journal(path, max_bytes=200, keep_segments=2) as journal:
        assert journal.append({"n": 8}) == 8
    assert [record.sequence for record in read(path)] == list(range(1, 9))


def test_a_reader_that_opened_before_a_rotation_still_sees_its_records(path):
    """The segments are opened at once, so that none can be removed before it is read."""
    with Journal(path, max_bytes=200, keep_segments=1) as journal:
        for n in range(1, 12):
            journal.append({"n": n})
        reader = read(path)
        seen = [next(reader).sequence]
        for n in range(12, 60):
            journal.append({"n": n})
        seen += [record.sequence for record in reader]
    assert seen == list(range(seen[0], 12))


def test_a_record_over_the_limit_is_refused_before_it_is_written(path):
    """Large data belongs into a bundle; the journal stays as it was."""
    with Journal(path) as journal:
        journal.append({"n": 1})
        with pytest.raises(JournalError, match="limit") as caught:
            journal.append({"text": "x" * MAX_RECORD_BYTES})
        assert "bundle" in caught.value.help
        assert journal.append({"n": 2}) == 2
    assert len(list(read(path))) == 2


def test_the_longest_record_is_read_back(path):
    """A line of exactly the limit is a record, with others on both sides."""
    overhead = len(line(2, '{"t":""}'))
    text = "x" * (MAX_RECORD_BYTES - overhead)
    with Journal(path) as journal:
        journal.append_all([{"n": 1}, {"t": text}, {"n": 3}])
    assert [record.data for record in read(path)] == [{"n": 1}, {"t": text}, {"n": 3}]


@pytest.mark.parametrize("record", [{"n": float("nan")}, {"n": object()}])
def test_what_is_no_json_is_refused_before_it_is_written(path, record):
    """A programmer's error leaves the journal usable."""
    with Journal(path) as journal:
        with pytest.raises((TypeError, ValueError)):
            journal.append_all([{"n": 1}, record])
        assert journal.append({"n": 2}) == 1


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "below a file"])
def test_a_path_that_cannot_be_a_journal_is_one_clear_error(path, kind):
    """Folders, pipes, devices and impossible paths give a JournalError that names the path."""
    if kind == "folder":
        os.mkdir(path)
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "device":
        os.symlink("/dev/full", path)
    if kind == "below a file":
        put(path, b"")
        path = os.path.join(path, "x.journal")
    with pytest.raises(JournalError, match=r"spool\.journal"):
        Journal(path)


def test_reading_a_folder_is_one_clear_error(tmp_path):
    """What cannot be read raises JournalError, never OSError."""
    with pytest.raises(JournalError, match="cannot read the journal"):
        list(read(tmp_path))


def test_folders_are_made_and_nobody_else_may_read(tmp_path):
    """The state folder appears with the first journal; records are the owner's."""
    path = tmp_path / "a" / "b" / "x.journal"
    Journal(path).close()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_no_descriptor_stays_open(path, written):
    """Opening, failing to open, reading half and reading whole leave no descriptor behind."""
    before = len(os.listdir("/proc/self/fd"))
    with Journal(path, max_bytes=len(written) + 10, keep_segments=2) as journal:
        journal.append({"text": "a new segment"})
        with pytest.raises(JournalError):
            Journal(path)
    reader = read(path)
    next(reader)
    reader.close()
    list(read(path))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_where_a_folder_is_needed_is_said_with_a_way_out(tmp_path):
    """Even the rarest refusal of the system comes with what to do next."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError) as caught:
        list(read(tmp_path / "file" / "spool.journal"))
    assert "--state" in (caught.value.help or "")


def test_a_pipe_is_not_a_journal_without_records(tmp_path):
    """Reading what is no file is refused: an empty answer would say that nothing happened."""
    os.mkfifo(tmp_path / "spool.journal")
    with pytest.raises(JournalError, match="no regular file"):
        list(read(tmp_path / "spool.journal"))


def test_a_file_is_replaced_whole(tmp_path):
    """The new bytes, only for its owner, in a folder that holds nothing else."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    replace_file(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_that_cannot_be_replaced_stays(tmp_path):
    """A folder is in its place: an error, and nothing half-written is left beside it."""
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(str(tmp_path / "a"), b"new")
    assert os.listdir(tmp_path) == ["a"]

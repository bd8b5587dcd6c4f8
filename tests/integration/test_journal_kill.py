"""Writers killed at random moments; this process holds what they acknowledged."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forestall.journal import Damage, Journal, read

WRITER = Path(__file__).with_name("journal_writer.py")
KILLS = 50
LONGEST_LIFE_SECONDS = 0.06


def live_and_die(path, start, max_bytes, keep_segments, life_seconds):
    """One writer from start to SIGKILL; {sequence: number} of what it acknowledged."""
    arguments = [str(path), str(start), str(max_bytes), str(keep_segments)]
    process = subprocess.Popen(
        [sys.executable, str(WRITER), *arguments], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(life_seconds)
        os.kill(process.pid, signal.SIGKILL)
        said = process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    # A last line without its end was not fully said: the journal may hold more, never less.
    lines = [line for line in said.splitlines(keepends=True) if line.endswith("\n")]
    return {int(sequence): int(number) for sequence, number in map(str.split, lines)}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("max_bytes", "keep_segments"), [(2**30, 0), (300_000, 100_000)], ids=["one file", "segments"]
)
def test_no_acknowledged_record_is_lost_doubled_or_reordered(tmp_path, max_bytes, keep_segments):
    """After each of 50 kills of one journal's writers, every acknowledged record is read back."""
    path = tmp_path / "killed.journal"
    chance = random.Random(20241115)
    acknowledged: dict[int, int] = {}
    number = 0
    for _ in range(KILLS):
        life = chance.uniform(0, LONGEST_LIFE_SECONDS)
        said = live_and_die(path, number, max_bytes, keep_segments, life)
        assert not said.keys() & acknowledged.keys(), "a number was given twice"
        acknowledged |= said
        damaged: list[Damage] = []
        found = list(read(path, damaged=damaged))
        sequences = [record.sequence for record in found]
        assert sequences == sorted(set(sequences))
        held = {record.sequence: record.data["number"] for record in found}
        assert acknowledged.items() <= held.items()
        numbers = list(held.values())
        assert numbers == sorted(set(numbers)), "a record was doubled or is out of order"
        assert all(damage.tail for damage in damaged)
        number = max(numbers, default=-1) + 1
    assert len(acknowledged) > KILLS, "the writers lived too short to prove anything"
    if keep_segments:
        assert len(list(tmp_path.glob("killed.journal.0*"))) > 3


def test_a_killed_writer_leaves_the_lock_free(tmp_path):
    """The kernel releases the lock with the process; the next writer goes on at once."""
    path = tmp_path / "killed.journal"
    said = live_and_die(path, 0, 2**30, 0, 0.05)
    with Journal(path) as journal:
        assert journal.append({"number": -1}) > max(said, default=0)


def test_a_living_writer_in_another_process_is_named(tmp_path):
    """The refusal tells which process to look at."""
    path = tmp_path / "held.journal"
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(path), "0", str(2**30), "0"], stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout.readline() == b"ready\n"
        try:
            with pytest.raises(Exception, match=f"process {process.pid}"):
                Journal(path)
        finally:
            process.kill()


@pytest.mark.timeout(300)
def test_readers_beside_a_writer_see_whole_records_in_order(tmp_path):
    """Reading over and over while another process appends and rotates: no gap, no false damage."""
    path = tmp_path / "busy.journal"
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(path), "0", "200000", "3"], stdout=subprocess.DEVNULL
    )
    with process:
        try:
            most, lasts = 0, set()
            ends_at = time.monotonic() + 4
            while time.monotonic() < ends_at:
                damaged: list[Damage] = []
                sequences = [record.sequence for record in read(path, damaged=damaged)]
                assert all(damage.tail for damage in damaged)
                if sequences:
                    assert sequences == list(range(sequences[0], sequences[-1] + 1))
                    most = max(most, sequences[0])
                    lasts.add(sequences[-1])
            assert most > 1, "no rotation was seen"
            assert len(lasts) > 10
        finally:
            process.kill()

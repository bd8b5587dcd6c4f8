"""What the audit writes where it cannot: full disks, read-only ones, and an end in the middle."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest
from tests.fakes.facts import seed_like
from tests.integration.disks import fill, make_read_only, small_disk
from tests.integration.sshd import ssh_server

from forestall.audit.collect.kept import Kept
from forestall.audit.tables import STORED, load
from forestall.errors import ForestallError
from forestall.model.codec import dumps

OLD = "of yesterday"


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", kibibytes=4096, inodes=32) as folder:
        yield folder


@pytest.fixture
def facts(tmp_path):
    """So many hosts that a report is longer than what is written at once."""
    path = tmp_path / "facts.jsonl"
    hosts = [seed_like(hostname=f"h{number:03}", boot_id=f"b{number}") for number in range(20)]
    path.write_text("".join(f"{dumps(one)}\n" for one in hosts))
    return str(path)


def audit(*words):
    command = [sys.executable, "-m", "forestall", "audit", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def one_complaint(done, *parts):
    """Exit code 3, and a line with its advice that holds the parts."""
    assert done.returncode == 3, done.stderr
    # Where hosts are asked and it takes long, how far it came stands before.
    said = [line for line in done.stderr.splitlines() if " failed, " not in line]
    assert len(said) == 2, done.stderr
    assert all(part in said[0] for part in parts), done.stderr
    return said[1]


@pytest.mark.parametrize("name", ["html", "sarif", "junit", "textfile", "ansible"])
def test_a_report_on_a_full_disk(disk, facts, name):
    """ENOSPC at the start or in the middle: the old report stays whole, and nothing beside it."""
    report = disk / "report"
    report.write_text(OLD)
    filler = fill(disk)
    for room in (0, 8):
        os.truncate(filler, filler.stat().st_size - room * 1024)
        advice = one_complaint(
            audit("facts", facts, f"--{name}", report), str(report), "not written: No space left"
        )
        assert "free some space" in advice
        assert report.read_text() == OLD
        assert sorted(os.listdir(disk)) == ["filler", "report"]
    filler.unlink()
    assert audit("facts", facts, f"--{name}", report).returncode == 1
    assert "h019" in report.read_text()


def test_tables_on_a_full_disk(disk, tmp_path):
    """A refresh that cannot be kept changes nothing, nor does an export that cannot be written."""
    source = tmp_path / "rhel.json"
    life = {"cycle": "7", "releaseDate": "2014-06-10", "eol": "2024-06-30", "eoes": "2028-06-30"}
    source.write_text(json.dumps([life]))
    words = ["refresh", source, "--state", disk, "--as-of", "2026-08-30"]
    assert audit(*words).returncode == 0
    before = (disk / STORED).read_bytes()
    source.write_text(json.dumps([life | {"eoes": "2027-06-30"}]))
    filler = fill(disk)
    advice = one_complaint(audit(*words), str(disk / STORED), "not written: No space left")
    assert "free some space" in advice
    assert (disk / STORED).read_bytes() == before
    exported = audit("refresh", "--state", disk, "--export", disk / "out.json")
    one_complaint(exported, "out.json", "No space left")
    assert sorted(os.listdir(disk)) == sorted(["filler", STORED])
    filler.unlink()
    assert audit(*words).returncode == 0
    assert load(str(disk)).cycle("rhel", "7").extended_end == "2027-06-30"


def test_answers_on_a_full_disk(disk, tmp_path):
    """The run ends with one line; what was kept before is whole, and the rest is asked again."""
    kept = disk / "answers"
    with ssh_server(tmp_path) as server:
        words = ["--ssh-config", server.config, "--keep", kept, "--rule", "PAN-004", "--json"]
        assert audit("ssh", "host-1", *words).returncode == 0
        (first,) = os.listdir(kept)
        before = (kept / first).read_bytes()
        filler = fill(disk)
        done = audit("ssh", "host-1", "host-2", *words)
        advice = one_complaint(done, "cannot keep the answer of host-2", "No space left")
        assert "make room" in advice
        assert os.listdir(kept) == [first]
        filler.unlink()
        assert audit("ssh", "host-1", "host-2", *words).returncode == 0
    assert (kept / first).read_bytes() == before
    assert len(os.listdir(kept)) == 2


def test_a_read_only_disk(disk, facts, tmp_path):
    """One line for each of them; what is there stays and is read."""
    store = Kept(str(disk / "answers"), 3600.0)
    store.save("db01", b"answer")
    (disk / "report").write_text(OLD)
    make_read_only(disk)
    one_complaint(audit("facts", facts, "--html", disk / "report"), "Read-only file system")
    one_complaint(audit("refresh", "--state", disk, "--export", disk / "new"), "Read-only")
    with pytest.raises(ForestallError, match=r"cannot keep the answer of db02 .*: Read-only"):
        store.save("db02", b"answer")
    assert store.load("db01", os.stat(store.path("db01")).st_mtime) == b"answer"
    assert (disk / "report").read_text() == OLD


IN_THE_MIDDLE = """
import os, sys

def wait(_):
    print("written", flush=True)
    sys.stdin.read()

os.fsync = wait
from forestall.audit.collect.kept import Kept
from forestall.audit.report.writing import report_file
from forestall.audit.tables import load
from forestall.audit.tables.refresh import keep

what, folder = sys.argv[1:]
if what == "report":
    with report_file(folder + "/report") as file:
        file.write("x" * 100_000)
elif what == "answer":
    Kept(folder, 3600.0).save("db01", b"x" * 100_000)
else:
    keep(load(), folder)
"""


@pytest.mark.parametrize(
    ("what", "name"),
    [("report", "report"), ("answer", "db01.answer.gz"), ("tables", STORED)],
)
def test_an_end_in_the_middle_leaves_what_was_there(tmp_path, what, name):
    """Killed with everything written and nothing made safe: the old file is the one that counts."""
    tmp_path.chmod(0o700)
    (tmp_path / name).write_text(OLD)
    words = [sys.executable, "-c", IN_THE_MIDDLE, what, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"written\n"
        child.send_signal(signal.SIGKILL)
    assert (tmp_path / name).read_text() == OLD
    (left,) = (one for one in os.listdir(tmp_path) if one != name)
    # No reader of folders takes it: neither node_exporter (*.prom) nor `audit facts` (*.part).
    assert left.startswith(name)
    assert left.endswith(".part") or ".partial-" in left


def test_answers_of_a_folder_that_fails(tmp_path, monkeypatch):
    """It vanishes, its disk cannot sync, or a link lies where the answer goes: no half answer."""
    store = Kept(str(tmp_path / "answers"), 3600.0)
    (tmp_path / "elsewhere").write_text(OLD)
    os.symlink(tmp_path / "elsewhere", store.path("db01"))
    store.save("db01", b"answer")
    assert (tmp_path / "elsewhere").read_text() == OLD
    assert not os.path.islink(store.path("db01"))

    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(ForestallError, match="Input/output error"):
            store.save("db02", b"answer")
    assert os.listdir(store.folder) == [os.path.basename(store.path("db01"))]
    os.unlink(store.path("db01"))
    os.rmdir(store.folder)
    with pytest.raises(ForestallError, match="No such file"):
        store.save("db01", b"answer")

"""Bundles: whole or absent, and bounded."""

import hashlib
import os
import subprocess

import pytest
from tests.fakes.bundle import AT, change, files, sealed, writer

from forestall.errors import EvidenceError
from forestall.evidence.bundle import SMALLEST_BUNDLE_BYTES
from forestall.evidence.layout import free_bytes
from forestall.evidence.verify import verify
from forestall.model.bundle import Manifest
from forestall.model.codec import from_document, parse_json


def test_a_bundle_is_named_by_the_digest_of_its_sums(tmp_path):
    """The id is the sha256 of SHA256SUMS, which lists every other file, the manifest included."""
    bundle = sealed(tmp_path)
    found = files(bundle.path)
    assert os.path.basename(bundle.path) == bundle.id
    assert hashlib.sha256(found["SHA256SUMS"]).hexdigest() == bundle.id
    listed = dict(
        reversed(line.split("  ")) for line in found.pop("SHA256SUMS").decode().splitlines()
    )
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert set(found) == {"manifest.json", "process/status", "host/meminfo", "verdict.json"}


def test_all_of_a_bundle_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A power cut after seal loses nothing: each file and folder was synced, the name last."""
    synced = []

    def fsync(descriptor, real=os.fsync):
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    bundle = sealed(tmp_path / "evidence")
    partial = os.path.commonpath([path for path in synced if "/.partial-" in path])
    expected = {*files(bundle.path), "process", "host", "."}
    assert {os.path.relpath(path, partial) for path in synced if partial in path} == expected
    assert synced[-1] == str(tmp_path / "evidence")


def test_the_manifest_says_what_each_entry_is_and_what_is_missing(tmp_path):
    """Size, digest, source, time and what could not be kept are in manifest.json."""
    bundle = sealed(tmp_path)
    found = files(bundle.path)
    manifest = from_document(Manifest, parse_json(found["manifest.json"]))
    assert manifest == bundle.manifest
    assert manifest.missing == ("process/smaps_rollup: no right to read it",)
    entry = manifest.entries[0]
    assert (entry.name, entry.size_bytes, entry.source, entry.collected_at, entry.truncated) == (
        "process/status", 16, "/proc/7/status", AT, False,
    )  # fmt: skip
    assert entry.sha256 == hashlib.sha256(found["process/status"]).hexdigest()


def test_sha256sum_alone_verifies_a_bundle(tmp_path):
    """The receiver needs no forestall: coreutils checks every byte."""
    bundle = sealed(tmp_path)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(check, cwd=bundle.path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(": OK\n") == 4
    change(os.path.join(bundle.path, "process/status"), b"Name:\tanother\n")
    done = subprocess.run(check, cwd=bundle.path, capture_output=True, text=True, check=False)
    assert done.returncode == 1


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../x", "a/../b", "/etc/passwd", "a//b", "a/", "a\0b", "a\nb", "a\\b",
        "a b", "-rf", "a/-x", ".hidden", "é", "x" * 201, "a/b/c/d/e/f/g/h/i", "manifest.json",
        "SHA256SUMS", "a\x1b[31m",
    ],
)  # fmt: skip
def test_names_that_could_leave_the_folder_or_confuse_sha256sum_are_refused(tmp_path, name):
    """Nothing is written for such a name, and the bundle can go on."""
    with writer(tmp_path / "evidence") as bundle:
        with pytest.raises(EvidenceError, match="no name for an entry"):
            bundle.add(name, b"x", source="test")
        bundle.add("fine", b"x", source="test")
        assert verify(bundle.seal().path) == []
    assert sorted(os.listdir(tmp_path)) == ["evidence"]


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_two_entries_cannot_share_a_place(tmp_path, first, second):
    """A name is taken once, and a file is no folder."""
    with writer(tmp_path) as bundle:
        bundle.add(first, b"1", source="test")
        with pytest.raises(EvidenceError, match="in the way"):
            bundle.add(second, b"2", source="test")


def test_what_does_not_fit_is_cut_at_a_line_and_marked(tmp_path):
    """Text loses whole lines at its end; the bundle stays within its limit and verifies."""
    line = b"7f0000000000-7f0000001000 rw-p\n"
    with writer(tmp_path, max_bytes=20_000) as bundle:
        entry = bundle.add("process/maps", line * 10_000, source="/proc/7/maps")
        result = bundle.seal()
    assert entry.truncated
    assert entry.size_bytes % len(line) == 0
    found = files(result.path)
    assert len(found["process/maps"]) == entry.size_bytes > 10_000
    assert sum(map(len, found.values())) <= 20_000
    assert verify(result.path) == []


def test_json_that_does_not_fit_is_left_out_and_said(tmp_path):
    """Half a document would be no document."""
    with writer(tmp_path, max_bytes=20_000) as bundle:
        assert bundle.add_json("big.json", ["x" * 30_000], source="test") is None
        assert bundle.add("small", b"1", source="test") is not None
        manifest = bundle.seal().manifest
    assert [entry.name for entry in manifest.entries] == ["small"]
    assert "big.json" in manifest.missing[0]


def test_a_flood_of_sentences_is_counted_not_kept(tmp_path):
    """However many things are missing, the bundle keeps its limit and says how many more."""
    with writer(tmp_path, max_bytes=SMALLEST_BUNDLE_BYTES) as bundle:
        for number in range(5000):
            bundle.missing(f"{number}: " + "\N{GRINNING FACE}" * 600)
        result = bundle.seal()
    assert sum(map(len, files(result.path).values())) <= SMALLEST_BUNDLE_BYTES
    kept = len(result.manifest.missing) - 1
    assert result.manifest.missing[-1] == f"{5000 - kept} more could not be kept"


def test_space_is_checked_before_anything_is_written(tmp_path):
    """Below the reserve no bundle is begun; near it, the bundle is smaller and says so."""
    folder = tmp_path / "evidence"
    with pytest.raises(EvidenceError, match="no room for evidence") as caught:
        writer(folder, free=lambda _: 1000, reserve_bytes=900)
    assert caught.value.help
    assert os.listdir(folder) == []
    with writer(folder, free=lambda _: 100_000, reserve_bytes=50_000) as bundle:
        assert bundle.max_bytes == 50_000
        bundle.add("maps", b"x" * 200_000, source="test")
        result = bundle.seal()
    assert sum(map(len, files(result.path).values())) <= 50_000
    assert "bundle limited to 50000 bytes" in result.manifest.missing[0]


def test_free_bytes_is_what_the_kernel_says(tmp_path):
    """The default asks the file system of the folder."""
    status = os.statvfs(tmp_path)
    assert abs(free_bytes(str(tmp_path)) - status.f_bavail * status.f_frsize) < 2**30


def half_a_bundle(folder):
    with writer(folder) as bundle:
        bundle.add("process/status", b"x", source="test")
        assert len(os.listdir(folder)) == 1
        raise RuntimeError


def test_an_unsealed_bundle_leaves_nothing(tmp_path):
    """An error between entries removes what was collected."""
    with pytest.raises(RuntimeError):
        half_a_bundle(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_crash_leaves_only_what_the_next_writer_removes(tmp_path):
    """A folder that nobody holds goes; one whose writer is alive stays."""
    crashed = tmp_path / ".partial-1-dead"
    (crashed / "process").mkdir(parents=True)
    (crashed / "process" / "status").write_text("x")
    (crashed / "link").symlink_to("/etc")
    with writer(tmp_path) as first:
        first.add("kept", b"1", source="test")
        with writer(tmp_path) as second:
            assert not crashed.exists()
            second.add("other", b"2", source="test")
            second.seal()
        result = first.seal()
    assert verify(result.path) == []
    assert os.path.isdir("/etc")


def test_a_sealed_writer_takes_nothing_more(tmp_path):
    """After seal or discard every use is an error, discarding again is none."""
    with writer(tmp_path) as bundle:
        bundle.seal()
        with pytest.raises(EvidenceError, match="sealed or discarded"):
            bundle.add("late", b"x", source="test")
        with pytest.raises(EvidenceError, match="sealed or discarded"):
            bundle.seal()
    bundle.discard()


def test_the_same_evidence_twice_is_one_bundle(tmp_path):
    """Same bytes, same moment, same id; a damaged bundle in its place is not passed off as it."""
    first = sealed(tmp_path)
    assert sealed(tmp_path) == first
    assert os.listdir(tmp_path) == [first.id]
    change(os.path.join(first.path, "process/status"), b"x")
    with pytest.raises(EvidenceError, match="damaged bundle"):
        sealed(tmp_path)
    assert os.listdir(tmp_path) == [first.id]


def test_bundles_are_the_owners_and_read_only(tmp_path):
    """Evidence is not for every user of the host, and not changed by accident."""
    bundle = sealed(tmp_path / "evidence")
    assert os.stat(bundle.path).st_mode & 0o077 == 0
    for inside, _, names in os.walk(bundle.path):
        for name in names:
            assert os.stat(os.path.join(inside, name)).st_mode & 0o777 == 0o400


def test_an_evidence_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    """A file where the folder should be gives an EvidenceError with its path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(EvidenceError, match="file/evidence"):
        writer(tmp_path / "file" / "evidence")


def test_no_descriptor_stays_open(tmp_path):
    """Writing, sealing, discarding, verifying and finding damage leave none behind."""
    before = len(os.listdir("/proc/self/fd"))
    bundle = sealed(tmp_path)
    sealed(tmp_path)
    change(os.path.join(bundle.path, "process/status"), b"x")
    os.unlink(os.path.join(bundle.path, "SHA256SUMS"))
    os.mkdir(os.path.join(bundle.path, "SHA256SUMS"))
    verify(bundle.path)
    assert len(os.listdir("/proc/self/fd")) == before

"""Bundles: whole or absent, bounded, and every changed byte is found."""

import hashlib
import os
import shutil
import subprocess

import pytest
from tests.fakes.clock import FakeClock

from forestall.errors import EvidenceError
from forestall.evidence.bundle import (
    SMALLEST_BUNDLE_BYTES,
    BundleWriter,
    Problem,
    free_bytes,
    open_bundle,
    verify,
)
from forestall.model.bundle import Manifest
from forestall.model.codec import from_document, parse_json

AT = 1_700_000_000.0
PLENTY = 10**12


def writer(folder, **options):
    options = {"clock": FakeClock(AT), "free": lambda _: PLENTY, **options}
    return BundleWriter(folder, host="db1", subject="feed-sync.service", **options)


def sealed(folder, **options):
    """A bundle of three entries in two depths."""
    with writer(folder, **options) as bundle:
        bundle.add("process/status", b"Name:\tfeed-sync\n", source="/proc/7/status")
        bundle.add("host/meminfo", b"MemTotal: 1 kB\n", source="/proc/meminfo")
        bundle.add_json("verdict.json", {"kind": "leaking"}, source="forestall detect")
        bundle.missing("process/smaps_rollup: no right to read it")
        return bundle.seal()


def files(path):
    found = {}
    for inside, _, names in os.walk(path):
        for name in names:
            full = os.path.join(inside, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, path)] = file.read()
    return found


def change(path, data):
    os.chmod(path, 0o600)
    with open(path, "wb") as file:
        file.write(data)


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


def test_a_sealed_bundle_opens_and_verifies(tmp_path):
    """What seal returned is what a reader finds."""
    bundle = sealed(tmp_path)
    assert open_bundle(bundle.path) == bundle
    assert verify(bundle.path) == []


def test_every_single_changed_byte_is_found(tmp_path):
    """Each byte of each file in turn, SHA256SUMS and manifest included."""
    bundle = sealed(tmp_path)
    for name, data in files(bundle.path).items():
        path = os.path.join(bundle.path, name)
        for offset in range(len(data)):
            changed = bytearray(data)
            changed[offset] ^= 1
            change(path, bytes(changed))
            assert name in {problem.name for problem in verify(bundle.path)}, (name, offset)
        change(path, data)
    assert verify(bundle.path) == []


@pytest.mark.parametrize("name", ["manifest.json", "SHA256SUMS", "process/status"])
def test_a_missing_file_is_found(tmp_path, name):
    """Whichever file is gone, the others are still checked."""
    bundle = sealed(tmp_path)
    os.unlink(os.path.join(bundle.path, name))
    assert Problem(name, "missing") in verify(bundle.path)
    change(os.path.join(bundle.path, "verdict.json"), b"{}")
    assert "verdict.json" in {problem.name for problem in verify(bundle.path)}


def test_extra_files_folders_and_links_are_found(tmp_path):
    """Nothing may hide in a bundle, at any depth."""
    bundle = sealed(tmp_path)
    folder = os.path.join(bundle.path, "process")
    change_new = [os.path.join(folder, "extra"), os.path.join(bundle.path, ".hidden")]
    for path in change_new:
        with open(path, "w"):
            pass
    os.makedirs(os.path.join(bundle.path, "a", "b"))
    os.symlink("/etc", os.path.join(bundle.path, "link"))
    assert verify(bundle.path) == [
        Problem(".hidden", "extra"),
        Problem("a", "extra folder"),
        Problem("a/b", "extra folder"),
        Problem("link", "a link, not a folder"),
        Problem("process/extra", "extra"),
    ]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_an_entry_that_is_no_plain_file_is_found_and_not_followed(tmp_path, kind):
    """A link to the same bytes is no entry, and a pipe does not block the reader."""
    bundle = sealed(tmp_path)
    path = os.path.join(bundle.path, "process/status")
    shutil.copy(path, tmp_path / "same")
    os.unlink(path)
    if kind == "link":
        os.symlink(tmp_path / "same", path)
    if kind == "fifo":
        os.mkfifo(path)
    if kind == "folder":
        os.mkdir(path)
    found = {problem.name: problem.what for problem in verify(bundle.path)}
    assert found["process/status"] == {"link": "missing"}.get(kind, "no regular file")


def test_a_folder_with_another_name_is_not_the_bundle(tmp_path):
    """Sums that were made anew give another id, so the name has to be the id."""
    bundle = sealed(tmp_path)
    other = os.path.join(tmp_path, "0" * 64)
    os.rename(bundle.path, other)
    assert [problem.name for problem in verify(other)] == ["SHA256SUMS"]


def test_a_manifest_that_disagrees_with_the_sums_is_found(tmp_path):
    """Both lists made anew consistently for one file still contradict each other."""
    bundle = sealed(tmp_path)
    path = os.path.join(bundle.path, "process/status")
    change(path, b"Name:\tanother--\n")
    digest = hashlib.sha256(b"Name:\tanother--\n").hexdigest()
    sums = files(bundle.path)["SHA256SUMS"].decode()
    old = bundle.manifest.entries[0].sha256
    change(os.path.join(bundle.path, "SHA256SUMS"), sums.replace(old, digest).encode())
    assert Problem("process/status", "the manifest has another sha256 than SHA256SUMS") in verify(
        bundle.path
    )


@pytest.mark.parametrize("path", ["none", "."])
def test_what_is_no_bundle_cannot_be_looked_at(tmp_path, path):
    """No folder and a folder of something else are errors, not problems of a bundle."""
    for look in (verify, open_bundle):
        with pytest.raises(EvidenceError) as caught:
            look(tmp_path / path)
        assert caught.value.help


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

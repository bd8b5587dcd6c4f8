"""Whatever differs between a bundle and its own word is found."""

import hashlib
import os
import shutil

import pytest
from tests.fakes.bundle import change, files, sealed

from forestall.errors import EvidenceError
from forestall.evidence.verify import Problem, open_bundle, verify


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


def test_a_file_is_no_bundle(tmp_path):
    """What is no folder is said to be none, without advice about rights and space."""
    path = tmp_path / "bundle"
    path.write_text("x")
    with pytest.raises(EvidenceError, match="no such folder"):
        verify(path)

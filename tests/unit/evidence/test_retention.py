"""Retention: the oldest goes, the new one stays, and nothing is half removed."""

import os

import pytest
from tests.fakes.clock import FakeClock

from forestall.errors import EvidenceError
from forestall.evidence.bundle import BundleWriter
from forestall.evidence.retention import prune, stored
from forestall.evidence.verify import verify


def make(folder, at, size=1000):
    """The id of a bundle made at `at` seconds with one entry of `size` bytes."""
    clock = FakeClock(float(at))
    with BundleWriter(
        folder, host="db1", subject="s", clock=clock, free=lambda _: 10**12
    ) as bundle:
        bundle.add("maps", b"x" * size, source="test")
        return bundle.seal().id


def ids(bundles):
    return [bundle.id for bundle in bundles]


def test_bundles_are_listed_oldest_first_with_their_size(tmp_path):
    """Order is by the time in the manifest; the size is of all files."""
    made = {at: make(tmp_path, at, size=at) for at in (3000, 1000, 2000)}
    found = stored(tmp_path)
    assert ids(found) == [made[1000], made[2000], made[3000]]
    for bundle in found:
        sizes = [entry.stat().st_size for entry in os.scandir(bundle.path)]
        assert bundle.size_bytes == sum(sizes) > bundle.created_at


def test_other_files_in_the_folder_are_not_bundles(tmp_path):
    """Leftovers and a person's notes are neither listed nor removed."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".partial-1-x").mkdir()
    assert stored(tmp_path) == []
    assert prune(tmp_path, max_bytes=0, max_count=0).removed == ()
    assert (tmp_path / "notes.txt").exists()


def test_no_folder_is_no_evidence(tmp_path):
    """Before the first bundle there is nothing to list and nothing to prune."""
    assert stored(tmp_path / "none") == []
    assert prune(tmp_path / "none") == ((), ())


def test_the_oldest_go_until_the_count_holds(tmp_path):
    """What was removed is said, oldest first; the rest verifies."""
    made = [make(tmp_path, at) for at in range(5)]
    pruned = prune(tmp_path, max_count=2)
    assert ids(pruned.removed) == made[:3]
    assert ids(pruned.left) == made[3:] == ids(stored(tmp_path))
    assert all(verify(bundle.path) == [] for bundle in pruned.left)
    assert sorted(os.listdir(tmp_path)) == sorted(made[3:])


def test_the_oldest_go_until_the_size_holds(tmp_path):
    """No more is removed than the limit asks for."""
    made = [make(tmp_path, at, size=10_000) for at in range(5)]
    total = sum(bundle.size_bytes for bundle in stored(tmp_path))
    pruned = prune(tmp_path, max_bytes=total - 1)
    assert ids(pruned.removed) == made[:1]
    assert prune(tmp_path, max_bytes=total).removed == ()


def test_the_new_one_stays_whatever_the_limits(tmp_path):
    """The capture just made is not traded for space, whatever its clock said."""
    made = [make(tmp_path, at) for at in range(3)]
    pruned = prune(tmp_path, max_bytes=0, max_count=0, just_made=made[0])
    assert ids(pruned.removed) == made[1:]
    assert ids(pruned.left) == made[:1]


def test_a_bundle_whose_manifest_is_ruined_counts_and_can_go(tmp_path):
    """It is listed as unreadable, by the time of its folder, and is not kept for ever."""
    bundle_id = make(tmp_path, 1000)
    path = tmp_path / bundle_id
    (path / "manifest.json").chmod(0o600)
    (path / "manifest.json").write_text("{")
    os.utime(path, (5000, 5000))
    (found,) = stored(tmp_path)
    assert (found.bundle, found.created_at) == (None, 5000.0)
    assert ids(prune(tmp_path, max_count=0).removed) == [bundle_id]
    assert os.listdir(tmp_path) == []


def test_a_bundle_that_cannot_be_removed_is_one_clear_error(tmp_path):
    """Something in the way of the removal is said with its path."""
    bundle_id = make(tmp_path, 1000)
    blocker = tmp_path / f".partial-removed-{bundle_id}"
    blocker.mkdir()
    (blocker / "file").write_text("x")
    with pytest.raises(EvidenceError, match="cannot be removed") as caught:
        prune(tmp_path, max_count=0)
    assert caught.value.help
    assert verify(tmp_path / bundle_id) == []

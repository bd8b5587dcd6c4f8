"""`forestall evidence`: what it prints, and the code it ends with."""

import json
import os

import pytest
from tests.fakes.clock import FakeClock

from forestall.cli.main import main
from forestall.evidence.bundle import BundleWriter


def make(state, at=1_700_000_000.0, subject="feed-sync.service"):
    """A bundle below a state folder."""
    with BundleWriter(
        os.path.join(state, "evidence"),
        host="db1",
        subject=subject,
        clock=FakeClock(at),
        free=lambda _: 10**12,
    ) as bundle:
        bundle.add("process/status", b"Name:\tfeed-sync\n", source="/proc/7/status")
        bundle.missing("process/smaps_rollup: no right to read it")
        return bundle.seal()


def damage(bundle):
    path = os.path.join(bundle.path, "process/status")
    os.chmod(path, 0o600)
    with open(path, "w") as file:
        file.write("Name:\tanother\n")


def said(capsys, *words):
    """(exit code, standard output, standard error) of one command line."""
    code = main(["evidence", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_shows_each_bundle_on_a_line_oldest_first(tmp_path, capsys):
    """Time, short id, size, whose, and how much is missing."""
    later = make(tmp_path, at=1_700_000_060.0)
    first = make(tmp_path)
    code, out, _ = said(capsys, "list", "--state", str(tmp_path))
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("2 bundles, ")
    assert lines[1].startswith(f"2023-11-14 22:13:20 UTC  {first.id[:12]}")
    assert lines[1].endswith("feed-sync.service on db1, 1 entry, 1 missing")
    assert later.id[:12] in lines[2]


def test_list_as_json_has_every_entry(tmp_path, capsys):
    """The document holds what the manifests hold."""
    bundle = make(tmp_path)
    code, out, _ = said(capsys, "list", "--state", str(tmp_path), "--json")
    document = json.loads(out)
    assert code == 0
    assert document["schema"] == "forestall/evidence-list/1"
    (listed,) = document["bundles"]
    assert (listed["id"], listed["subject"], listed["host"]) == (
        bundle.id, "feed-sync.service", "db1",
    )  # fmt: skip
    assert listed["entries"][0]["sha256"] == bundle.manifest.entries[0].sha256
    assert listed["missing"] == ["process/smaps_rollup: no right to read it"]


def test_no_evidence_yet_is_no_error(tmp_path, capsys):
    """Before the first capture there is nothing to list."""
    code, out, _ = said(capsys, "list", "--state", str(tmp_path))
    assert (code, out) == (0, f"no bundles in {tmp_path}/evidence\n")


def test_a_bundle_that_cannot_be_read_is_something_to_look_at(tmp_path, capsys):
    """list shows it and ends with 1."""
    bundle = make(tmp_path)
    os.unlink(os.path.join(bundle.path, "manifest.json"))
    code, out, _ = said(capsys, "list", "--state", str(tmp_path))
    assert code == 1
    assert "cannot be read" in out


@pytest.mark.parametrize("by", ["id", "beginning", "path"])
def test_a_whole_bundle_verifies_by_id_beginning_or_path(tmp_path, capsys, by):
    """Exit 0, the full id, and what the bundle itself says is missing."""
    bundle = make(tmp_path)
    make(tmp_path, at=1_700_000_060.0)
    named = {"id": bundle.id, "beginning": bundle.id[:10], "path": bundle.path}[by]
    code, out, _ = said(capsys, "verify", named, "--state", str(tmp_path))
    assert code == 0
    assert out.startswith(f"{bundle.id}: whole\n")
    assert "not kept: process/smaps_rollup: no right to read it" in out


def test_a_changed_bundle_ends_with_one_and_names_the_file(tmp_path, capsys):
    """Text and JSON say which file, and what is wrong with it."""
    bundle = make(tmp_path)
    damage(bundle)
    code, out, _ = said(capsys, "verify", bundle.path)
    assert code == 1
    assert "process/status: changed: 14 bytes, the manifest says 16" in out
    code, out, _ = said(capsys, "verify", bundle.path, "--json")
    assert code == 1
    document = json.loads(out)
    assert document["whole"] is False
    assert [problem["name"] for problem in document["problems"]] == ["process/status"]


@pytest.mark.parametrize("named", ["0000", "/nowhere/at/all", "."])
def test_what_cannot_be_looked_at_ends_with_three(tmp_path, capsys, monkeypatch, named):
    """An unknown id, no folder, or a folder that is no bundle: one line and what to try."""
    monkeypatch.chdir(tmp_path)
    code, out, err = said(capsys, "verify", named, "--state", str(tmp_path))
    assert (code, out) == (3, "")
    assert err.startswith("forestall: ")
    assert len(err.splitlines()) == 2


def test_a_beginning_that_fits_two_bundles_is_refused(tmp_path, capsys):
    """Guessing which one was meant would prove the wrong bundle."""
    seen = {}
    for at in range(40):
        bundle = make(tmp_path, at=1_700_000_000.0 + at)
        if bundle.id[0] in seen:
            break
        seen[bundle.id[0]] = bundle
    code, _, err = said(capsys, "verify", bundle.id[0], "--state", str(tmp_path))
    assert code == 3
    assert "2 bundles begin with" in err


def test_hostile_names_cannot_write_to_the_terminal(tmp_path, capsys):
    """A subject with an escape sequence and a newline is shown as text on one line."""
    make(tmp_path, subject="x\x1b[31m\nforged")
    code, out, _ = said(capsys, "list", "--state", str(tmp_path))
    assert code == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


def test_usage_errors_end_with_two(capsys):
    """No sub-command is a usage error with a way on."""
    code, _, err = said(capsys)
    assert code == 2
    assert "--help" in err


def test_an_empty_name_is_not_the_only_bundle(tmp_path, capsys):
    """`verify "$UNSET"` proves nothing."""
    make(tmp_path)
    code, out, err = said(capsys, "verify", "", "--state", str(tmp_path))
    assert (code, out) == (3, "")
    assert "no such folder" in err

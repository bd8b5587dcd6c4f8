"""What an input opens, and what it refuses to wait for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock

from forestall.audit.collect.options import SshOptions
from forestall.audit.inputs import files
from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.inputs.files import open_file, read_named
from forestall.audit.inputs.inventory import read_inventory
from forestall.audit.policy import load_policy
from forestall.audit.tables import fetch
from forestall.cli import audit_check
from forestall.errors import ForestallError, InputError


def test_a_file_is_opened(tmp_path: Path) -> None:
    """A regular file is given as a stream of its bytes."""
    (tmp_path / "a").write_bytes(b"x")
    with open_file(str(tmp_path / "a")) as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("name", ["pipe", "folder", "missing", "nul\0"])
def test_all_else_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """A named pipe without a writer, a folder, and what is not there are one clear error."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot be read|neither a file nor a folder"):
        open_file(str(tmp_path / name))


def test_a_pipe_among_kept_answers_stops_no_other(tmp_path: Path) -> None:
    """A named pipe that is called like a kept answer is one problem, and is not waited for."""
    os.mkfifo(tmp_path / "db01.answer.gz")
    (tmp_path / "web01.json").write_text("{}")
    found = {seen.name: seen.problem for seen in read_facts_files([str(tmp_path)], FakeClock())}
    assert "neither a file nor a folder" in (found.pop("db01.answer.gz") or "")
    assert [name.partition(".")[0] for name in found] == ["web01"]


def test_what_a_user_names_is_read_whole_file_or_pipe(tmp_path: Path) -> None:
    """A file, and what a program writes into a pipe, as a shell's `<(program)` gives it."""
    (tmp_path / "a").write_bytes(b"said")
    reading, writing = os.pipe()
    os.write(writing, b"said")
    os.close(writing)
    assert read_named(str(tmp_path / "a"), 4) == b"said"
    assert read_named(f"/dev/fd/{reading}", 4) == b"said"
    os.close(reading)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pipe", "a pipe to which nobody wrote anything for 0 s"),
        ("folder", "a folder"),
        ("missing", "cannot be read: No such file or directory"),
        ("/dev/zero", "neither a file nor a pipe"),
        ("large", "larger than 4 B"),
    ],
)
def test_what_has_no_end_is_refused(
    tmp_path: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent pipe, a device, a folder and too large a file are one clear error each."""
    monkeypatch.setattr(files, "PIPE_WAIT_SECONDS", 0.0)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(InputError, match=said):
        read_named(str(tmp_path / name), 4)


def test_a_pipe_without_end_is_read_to_the_limit_alone() -> None:
    """A writer that never closes costs no more than the limit."""
    reading, writing = os.pipe()
    os.write(writing, b"12345")
    with pytest.raises(InputError, match="larger than 4 B"):
        read_named(f"/dev/fd/{reading}", 4)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    "read",
    [
        lambda path: load_policy(path, 0.0),
        lambda path: read_inventory(path),
        lambda path: list(fetch.read(path, 0.0)),
        lambda path: SshOptions(known_hosts=path),
        lambda path: SshOptions(config=path),
        lambda path: audit_check._expected(path),
    ],
)
def test_no_option_waits_for_a_pipe(
    tmp_path: Path, read: Callable[[str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever option names a pipe that nobody writes to: an error that names it."""
    monkeypatch.setattr(files, "PIPE_WAIT_SECONDS", 0.0)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ForestallError, match="/pipe: "):
        read(str(tmp_path / "pipe"))


def test_null_stands_for_no_file_of_ssh() -> None:
    """/dev/null in place of ssh's files is what people write, and nobody waits for it."""
    assert SshOptions(known_hosts="/dev/null", config="/dev/null").config == "/dev/null"

"""What an input opens, and what it refuses to wait for."""

import os
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock

from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.inputs.files import open_file
from forestall.errors import InputError


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

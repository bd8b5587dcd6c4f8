"""`forestall review parse | render | lint` as a person types it."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from forestall.cli.main import main

DATA = Path(__file__).parents[2] / "data" / "reviews"
LEAK = DATA / "thread-leak.md"
CLEAN = DATA / "price-cache.md"


def test_parse_and_render_give_the_same_bytes(tmp_path, capfdbinary):
    """parse --json, then render, is the document."""
    assert main(["review", "parse", str(LEAK), "--json"]) == 0
    record = tmp_path / "r.json"
    record.write_bytes(capfdbinary.readouterr().out)
    assert main(["review", "render", str(record)]) == 0
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == LEAK.read_bytes()


def test_render_does_not_replace_a_file_unasked(tmp_path, capsys):
    """-o writes a new file, refuses one that is there, and replaces it with --force."""
    record, target = tmp_path / "r.json", tmp_path / "r.md"
    main(["review", "parse", str(LEAK), "--json"])
    record.write_text(capsys.readouterr().out)
    assert main(["review", "render", str(record), "-o", str(target)]) == 0
    assert target.read_bytes() == LEAK.read_bytes()
    target.write_text("mine")
    assert main(["review", "render", str(record), "-o", str(target)]) == 2
    assert target.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["review", "render", str(record), "-o", str(target), "--force"]) == 0
    assert target.read_bytes() == LEAK.read_bytes()


def test_a_summary_without_json(capsys):
    """Without --json a person reads what was understood."""
    assert main(["review", "parse", str(LEAK)]) == 0
    out = capsys.readouterr().out
    assert "INC-20260312-003: Kernel Panic of the Booking Database" in out
    assert "66 leaves read, 0 lines kept" in out


def test_what_was_kept_is_said_with_its_line(tmp_path, capsys):
    """Residual is reported on standard error, and is no failure."""
    path = tmp_path / "r.md"
    path.write_text(
        CLEAN.read_text().replace("-   **Reported", "-   **Mood:** calm\n-   **Reported")
    )
    assert main(["review", "parse", str(path), "--json"]) == 0
    captured = capsys.readouterr()
    assert f"{path}:8: kept as it is: not a part of this section" in captured.err
    assert json.loads(captured.out)["residual"][0]["insert"] == ["-   **Mood:** calm"]


def test_a_refused_time_is_a_finding(tmp_path, capsys):
    """A time no zone explains: exit code 1, its line, and --zone, which then settles it."""
    path = tmp_path / "r.md"
    path.write_text(CLEAN.read_text().replace("(Chicago, IL)", "(Nowhere)"))
    assert main(["review", "parse", str(path), "--json"]) == 1
    captured = capsys.readouterr()
    assert f"{path}:19: " in captured.err
    assert "--zone" in captured.err
    assert "detected" not in json.loads(captured.out)["timeline"]
    assert main(["review", "parse", str(path), "--zone", "America/Chicago"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["parse", "/nonexistent.md"],
        ["render", "/nonexistent.json"],
        ["render", str(LEAK)],
        ["parse", str(LEAK), "--zone", "Mars/Olympus"],
    ],
)
def test_bad_input_is_one_clear_line(arguments, capsys):
    """What cannot be read exits 3 and says which file it was."""
    assert main(["review", *arguments]) == 3
    err = capsys.readouterr().err
    assert err.startswith("forestall: ")
    assert arguments[1] in err
    assert "Traceback" not in err


def test_standard_input(monkeypatch, capsys):
    """- reads the document from a pipe."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CLEAN.read_bytes())))
    assert main(["review", "lint", "-"]) == 0
    assert capsys.readouterr().out == "-: nothing to ask\n"


def test_lint_exits_with_its_findings(capsys):
    """Findings: exit code 1, rule and line in the text and in the JSON."""
    assert main(["review", "lint", str(LEAK)]) == 1
    out = capsys.readouterr().out
    assert f"{LEAK}:22: contradiction: stated downtime is 1 h 35 min" in out
    assert main(["review", "lint", str(LEAK), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "forestall/lint/1"
    downtime = next(one for one in document["findings"] if one["rule"] == "downtime")
    assert set(downtime) == {"rule", "severity", "line", "message", "question"}
    assert (downtime["line"], downtime["severity"]) == (22, "contradiction")


def test_a_pipe_that_nobody_writes_to_is_one_clear_line(tmp_path, capsys, monkeypatch):
    """No command waits for ever; one that is written to is read like a file."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    monkeypatch.setattr("forestall.cli.review_parse.PIPE_WAIT_SECONDS", 0.01)
    assert main(["review", "parse", str(path)]) == 3
    assert "a pipe that nobody writes to" in capsys.readouterr().err
    reader, writer = os.pipe()
    os.write(writer, LEAK.read_bytes())
    os.close(writer)
    assert main(["review", "parse", f"/dev/fd/{reader}"]) == 0
    os.close(reader)
    assert "66 leaves read" in capsys.readouterr().out


def test_what_cannot_be_read_is_named(capsys):
    """An error of the system in the middle of a file names the file."""
    assert main(["review", "parse", "/proc/self/mem"]) == 3
    assert "/proc/self/mem: Input/output error" in capsys.readouterr().err

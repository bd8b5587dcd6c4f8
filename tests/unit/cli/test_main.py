"""The command line's frame: help, unknown commands, errors in one line."""

import importlib
import os
import subprocess
import sys

import pytest

from forestall.cli import main as cli
from forestall.cli.options import state_folder


def run(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "forestall", *words], capture_output=True, text=True, **options
    )


def test_help_teaches_by_example_and_names_every_command():
    """`forestall` alone shows what there is and where to start."""
    shown = run()
    assert shown.returncode == 0
    for name, say in cli.COMMANDS:
        assert name in shown.stdout
        assert say in shown.stdout
    assert "forestall look" in shown.stdout


@pytest.mark.parametrize("name", [name for name, _ in cli.COMMANDS])
def test_every_command_exists_and_its_help_shows_an_example(name):
    """Each listed command is a module, and its --help holds a command line to try."""
    importlib.import_module(f"forestall.cli.{name}")
    shown = run(name, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"forestall {name}" in shown.stdout.split("\n", 1)[1]


def test_an_error_never_speaks_to_the_terminal(capsys):
    """What a message quotes, a name or a file's content, cannot move the cursor or forge a line."""
    assert cli.main(["x\x1b[2J\nforestall: fine\udcff"]) == 2
    assert capsys.readouterr().err == (
        "forestall: no such command: x\\x1b[2J\\nforestall: fine\\udcff\n  see `forestall --help`\n"
    )


def test_an_unknown_command_is_one_clear_line_and_exit_2():
    """A typing mistake never shows a traceback."""
    failed = run("loook")
    assert failed.returncode == 2
    assert failed.stderr.startswith("forestall: no such command: loook")
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("name", [name for name, _ in cli.COMMANDS])
def test_an_unknown_option_is_exit_2_and_points_to_help(name):
    """Each command refuses options it does not know, in the same way."""
    failed = run(name, "--no-such-option-at-all")
    assert failed.returncode == 2
    assert "--help" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_reader_that_goes_away_is_not_an_error():
    """`forestall ... | head -1` ends quietly, as by SIGPIPE: what was cut off is not "all fine"."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "forestall", "--help"],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write)
    assert "Traceback" not in process.stderr
    assert process.returncode == 141


@pytest.mark.parametrize(
    ("redirection", "words", "code"),
    [
        ("<&-", "review parse -", 0),
        (">&-", "review parse -", 0),
        (">&- 2>&- <&-", "review parse -", 0),
        ("2>&-", "review parse no-such-file", 3),
        ("2>/dev/full", "review parse no-such-file", 3),
        (">/dev/full", "--help", 3),
    ],
)
def test_streams_that_are_closed_or_full_never_end_in_a_traceback(redirection, words, code):
    """A cron job without standard streams gets the same exit codes as a person."""
    command = f"{sys.executable} -m forestall {words} {redirection}"
    ended = subprocess.run(command, shell=True, input="x", capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_what_the_terminal_cannot_show_is_escaped():
    """Help and names go through an ASCII terminal, too."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    shown = run("evidence", "--help", env=environment)
    assert shown.returncode == 0, shown.stderr
    assert "\\u2026" in shown.stdout


def test_an_error_of_the_system_says_where_and_what_next(tmp_path):
    """No error is only the system's word for it."""
    failed = run("review", "parse", str(tmp_path))
    assert failed.returncode == 3
    where, advice = failed.stderr.splitlines()
    assert str(tmp_path) in where
    assert advice == "  name a file, not a folder"


def test_an_empty_state_folder_is_refused():
    """`--state "$UNSET"` does not read or write another host's folder."""
    failed = run("incident", "list", "--state", "")
    assert failed.returncode == 2
    assert "--state" in failed.stderr


@pytest.mark.parametrize("base", ["", "relative"])
def test_a_state_home_that_is_not_absolute_is_ignored(base, tmp_path, monkeypatch):
    """What is kept does not depend on the folder one is in."""
    monkeypatch.delenv("FORESTALL_STATE", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder(None) == str(tmp_path / ".local/state/forestall")

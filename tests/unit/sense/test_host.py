"""The door to a host."""

import os
import sys

import pytest

from forestall.sense.host import DENIED_LIMIT, Host, decode, run_bounded


@pytest.fixture
def host(tmp_path):
    for part in ("proc", "sys", "etc", "run"):
        (tmp_path / part).mkdir()
    return Host.from_tree(str(tmp_path))


def test_each_root_is_replaced_by_its_own_folder(tmp_path):
    """The first part of a path picks the root, and any other path lies below the root folder."""
    for name in ("p", "s", "e", "r", "rest"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "name").write_text(name)
    host = Host(*(str(tmp_path / name) for name in "pser"), root=str(tmp_path / "rest"))
    found = [host.read_text(f"{part}/name") for part in ("proc", "sys", "etc", "run")]
    assert found == ["p", "s", "e", "r"]
    assert host.read_text("name") == "rest"


def test_a_read_is_bounded(host, tmp_path):
    """No more than the limit is read, however long the file is."""
    (tmp_path / "proc/long").write_bytes(b"x" * 10_000)
    assert host.read_bytes("proc/long", 100) == b"x" * 100
    assert host.read_record("proc/long", 100) == b"x" * 100


def test_a_file_that_comes_in_pieces_comes_whole(host, tmp_path):
    """Reading goes on until the end: the kernel's list of symbols answers a page at a time."""
    whole = Host().read_bytes("proc/kallsyms", 1_000_000)
    assert whole is not None
    assert len(whole) == 1_000_000
    (tmp_path / "proc/big").write_bytes(b"y" * 300_000)
    assert host.read_bytes("proc/big", 1_000_000) == b"y" * 300_000


@pytest.mark.parametrize("path", ["proc/none", "proc", "proc/nul\0byte", "proc/a/b/c"])
def test_what_cannot_be_read_is_none(host, path):
    """A missing file, a folder and an impossible name are values, not errors."""
    assert host.read_bytes(path) is None
    assert host.read_record(path) is None
    assert host.read_text(path) is None
    assert not host.was_denied(path)


def test_a_named_pipe_does_not_stop_the_reader(host, tmp_path):
    """A tree can hold anything; opening it never waits."""
    os.mkfifo(tmp_path / "proc/pipe")
    assert host.read_bytes("proc/pipe") in (None, b"")


def test_a_refused_open_is_remembered_as_such(host, tmp_path):
    """Absence and lack of rights both give None, and `was_denied` tells them apart."""
    _link_to_secrets(tmp_path, 1)
    assert host.read_bytes("proc/secret0") is None
    assert host.was_denied("proc/secret0")
    assert host.read_bytes("proc/absent") is None
    assert not host.was_denied("proc/absent")


def test_a_refusal_is_forgotten_once_it_can_be_read(host, tmp_path):
    """What `was_denied` says is about the last attempt."""
    _link_to_secrets(tmp_path, 1)
    host.read_bytes("proc/secret0")
    (tmp_path / "proc/secret0").unlink()
    (tmp_path / "proc/secret0").write_text("open")
    assert host.read_text("proc/secret0") == "open"
    assert not host.was_denied("proc/secret0")


def test_the_memory_of_refusals_is_bounded(host, tmp_path):
    """A thousand processes of other users do not make the record grow; the newest are kept."""
    _link_to_secrets(tmp_path, DENIED_LIMIT + 50)
    for number in range(DENIED_LIMIT + 50):
        host.read_bytes(f"proc/secret{number}")
    assert host.was_denied(f"proc/secret{DENIED_LIMIT + 49}")
    assert host.was_denied("proc/secret50")
    assert not host.was_denied("proc/secret49")


def _link_to_secrets(tmp_path, count):
    """Files that refuse to be opened for reading, to root as well: a setting that is write-only."""
    for number in range(count):
        (tmp_path / f"proc/secret{number}").symlink_to("/proc/sys/vm/drop_caches")


def test_bytes_that_are_not_utf8_become_valid_text():
    """Every name is valid Unicode afterwards, and says which bytes it had."""
    text = decode(b"caf\xe9 \xff")
    assert text == "caf\\xe9 \\xff"
    assert text.encode("utf-8")


def test_pids_are_the_numbers_among_the_names(host, tmp_path):
    """Only folders named by a decimal number are processes."""
    for name in ("1", "42", "self", "4x", "²"):
        (tmp_path / "proc" / name).mkdir()
    assert sorted(host.pids()) == [1, 42]


def test_the_hostname_is_the_kernels_unless_given(tmp_path):
    """A recorded host keeps its name, and a given name wins."""
    folder = tmp_path / "proc/sys/kernel"
    folder.mkdir(parents=True)
    (folder / "hostname").write_text("db01.example\n")
    assert Host.from_tree(str(tmp_path)).hostname == "db01.example"
    assert Host(proc=str(tmp_path / "proc"), hostname="other").hostname == "other"


def test_a_recorded_host_runs_no_command_of_this_one(host):
    """Facts of another host never come from this machine's programs."""
    answer = host.run_command(["true"], 1.0)
    assert answer.exit_code is None
    assert "recorded host" in answer.problem


def test_a_command_answers_with_code_and_output():
    """The exit code and the standard output come back; the locale is C."""
    answer = run_bounded([sys.executable, "-c", "import os; print(os.environ['LC_ALL'])"], 30.0)
    assert answer == (0, b"C\n", None)
    assert run_bounded([sys.executable, "-c", "raise SystemExit(3)"], 30.0).exit_code == 3


def test_a_command_that_is_not_there_is_a_problem_in_words():
    """No exception for a program that does not exist."""
    answer = run_bounded(["forestall-no-such-program"], 1.0)
    assert answer.exit_code is None
    assert answer.problem == "forestall-no-such-program: No such file or directory"


def test_a_command_that_does_not_end_is_killed():
    """The time limit holds even for a program that never answers."""
    answer = run_bounded([sys.executable, "-c", "import time; time.sleep(600)"], 0.2)
    assert answer.exit_code is None
    assert "in time" in answer.problem


def test_a_command_that_talks_without_end_is_cut():
    """The size limit holds as soon as it is passed, and what came before it is kept."""
    program = "print('x' * 60_000, flush=True); import time; time.sleep(600)"
    answer = run_bounded([sys.executable, "-c", program], 30.0, limit=50_000)
    assert answer.exit_code is None
    assert len(answer.stdout) == 50_000
    assert "more than 50000 bytes" in answer.problem

"""`forestall audit oom`: exit codes, output and bad input."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import explain

from forestall.audit.oom import vmcore
from forestall.audit.oom.account import OomReport
from forestall.cli import audit_oom
from forestall.cli.audit_oom_text import render
from forestall.cli.main import main
from forestall.cli.style import Style
from forestall.model.codec import from_document

INCIDENT = oom.report(
    oom_hosts.incident(), panic="Out of memory: system-wide panic_on_oom is enabled"
)


@pytest.fixture
def log(tmp_path):
    def write(lines, name="kernel.log"):
        path = tmp_path / name
        path.write_text(oom.stamped(lines), encoding="utf-8")
        return str(path)

    return write


def test_binary_data_without_an_event_is_no_all_clear(tmp_path, log, capsys):
    """Whatever is no text is refused; an event after a console's garbage is still read."""
    path = tmp_path / "image"
    path.write_bytes(bytes(range(256)) * 20)
    assert main(["audit", "oom", str(path)]) == 3
    assert "no log" in capsys.readouterr().err
    path.write_bytes(bytes(range(256)) * 20 + b"\n" + Path(log(INCIDENT)).read_bytes())
    assert main(["audit", "oom", str(path)]) == 1


def test_an_event_exits_with_1_and_the_headline_comes_first(log, capsys):
    """At 03:05 the first two lines are enough."""
    assert main(["audit", "oom", log(INCIDENT)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("inventory-sync (pid 4711) held 32 GiB of the host's 35 GiB")
    for title in ("WHAT RAN OUT", "WHERE THE MEMORY IS", "WHO HOLDS IT", "WHY IT PANICKED", "NEXT"):
        assert title in out
    assert " >  inventory-sync " in out
    assert "postgres x12" in out
    assert all(len(line) <= 80 for line in out.splitlines())


@pytest.mark.parametrize("width", [50, 60, 72, 100])
def test_it_fits_a_narrow_terminal(width):
    """Sentences and bars keep to the columns, and of the tables none is wider than it must be."""
    report = explain("\n".join(INCIDENT))
    for line in render(report, Style(width=width)).splitlines():
        # Five numbers of a zone and of a holder have a width of their own.
        assert len(line) <= max(width, 70 if "node" in line or "zone" in line else 62), line


def test_a_quiet_log_exits_with_0(log, capsys):
    """Nothing found is fine, and says how much was read."""
    assert main(["audit", "oom", log(["eth0: link up"])]) == 0
    # The path is of any length, and the line is wrapped.
    assert "no OOM kill" in " ".join(capsys.readouterr().out.split())


def test_a_log_that_ends_between_the_zones_blames_nobody(tmp_path, capsys):
    """Half of the zones are no host: neither hidden processes nor a setting are to blame."""
    whole = (Path(__file__).parents[2] / "data/oom/guest-6.1/leak_kill.console").read_text()
    end = whole.index("lowmem_reserve")
    path = tmp_path / "cut"
    path.write_text(whole[:end])
    assert main(["audit", "oom", str(path)]) == 1
    out = capsys.readouterr().out
    assert "who held it cannot be named for sure" in out
    assert "does not list" not in out
    assert "oom_dump_tasks=1" not in out
    assert "the input ends inside the report" in out


def test_json_is_one_document(log, capsys):
    """--json can be read back into the same nouns."""
    assert main(["audit", "oom", log(INCIDENT), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "forestall/oom/1"
    report = from_document(OomReport, document)
    assert report.accounts[0].culprits[0].name == "inventory-sync"


def test_standard_input(log, capsys, monkeypatch):
    """`dmesg | forestall audit oom -`."""
    stream = io.TextIOWrapper(io.BytesIO(oom.wall(INCIDENT).encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert main(["audit", "oom", "-"]) == 1
    assert "standard input: one event" in capsys.readouterr().out


def test_a_pipe_that_goes_silent_is_not_waited_for(capsys, monkeypatch):
    """What came until then is told, and that it ended so."""
    reader, writer = os.pipe()
    monkeypatch.setattr(audit_oom, "PIPE_WAIT_SECONDS", 0.2)
    try:
        os.write(writer, oom.stamped(INCIDENT).encode())
        with open(reader, encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            assert main(["audit", "oom", "-"]) == 1
    finally:
        os.close(writer)
    out = capsys.readouterr().out
    assert out.startswith("inventory-sync (pid 4711) held")
    assert "nothing more came within 0.2 s" in out


def test_a_named_pipe_without_a_writer_does_not_hang(tmp_path, capsys, monkeypatch):
    """An ordinary open of it would never come back."""
    monkeypatch.setattr(audit_oom, "PIPE_WAIT_SECONDS", 0.2)
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    assert main(["audit", "oom", path]) == 3
    assert "nobody writes to it" in capsys.readouterr().err


def test_nothing_to_read_is_not_taken_for_fine(tmp_path, capsys):
    """An empty file or a `dmesg` that was refused tells nothing."""
    path = tmp_path / "log"
    path.write_bytes(b"")
    assert main(["audit", "oom", str(path)]) == 3
    assert "may need root" in capsys.readouterr().err


def test_another_programs_log_is_not_taken_for_fine(tmp_path, capsys):
    """Exit 3 and one line, which names what would be understood; --json prints nothing."""
    path = tmp_path / "app.log"
    path.write_text("2026-11-26 10:00:00 INFO started\n" * 3)
    assert main(["audit", "oom", str(path), "--json"]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    first, second = shown.err.splitlines()
    assert first == f"forestall: {path}: no line in it looks like a kernel message"
    assert "dmesg, journalctl -k" in second


def test_a_quiet_log_says_how_far_it_reaches(tmp_path, capsys):
    """Whether the night in question is in it at all is for the reader to see."""
    path = tmp_path / "messages"
    said = "Mar  2 {at} db-01 kernel: eth0: link up\n"
    path.write_text(said.format(at="03:05:12") + said.format(at="03:09:40"))
    assert main(["audit", "oom", str(path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "The kernel's messages in it reach from Mar 2 03:05:12 to Mar 2 03:09:40" in out
    assert main(["audit", "oom", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kernel_until"] == "Mar  2 03:09:40"


def test_a_device_that_has_no_more_is_at_its_end(capsys, monkeypatch):
    """/dev/kmsg never ends: what it has is all that there is, and no log that was cut short."""
    monkeypatch.setattr(audit_oom, "DEVICE_WAIT_SECONDS", 0.2)
    writer, reader = os.openpty()
    try:
        os.write(writer, b"6,1,4711250010,-;eth0: link up\n")
        assert main(["audit", "oom", os.ttyname(reader)]) == 0
    finally:
        os.close(writer)
        os.close(reader)
    assert "no OOM kill" in " ".join(capsys.readouterr().out.split())


def test_another_event_can_be_asked_for(log, capsys):
    """The list of all events has their numbers."""
    path = log([*oom_hosts.docker_el7(), *INCIDENT])
    assert main(["audit", "oom", path]) == 1
    assert "this is number 2 (the last that took" in " ".join(capsys.readouterr().out.split())
    assert main(["audit", "oom", path, "--event", "1"]) == 1
    assert capsys.readouterr().out.startswith("worker (pid 20155) held")
    assert main(["audit", "oom", path, "--event", "9"]) == 2


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["/nowhere/at/all"], 3, "No such file"),
        (["/"], 3, "a folder"),
        (["{log}", "--limit", "0"], 2, "reads nothing"),
        (["{log}", "--limit", "much"], 2, "not a size"),
        (["{log}", "--vmlinux", "/vmlinux"], 2, "dumps of memory"),
        ([], 2, "FILE"),
    ],
)
def test_bad_input_is_one_line(log, capsys, words, code, says):
    """No traceback, an exit code, and what to do."""
    path = log(INCIDENT)
    assert main(["audit", "oom", *[word.format(log=path) for word in words]]) == code
    assert says in capsys.readouterr().err


def test_who_died_for_a_protected_leak_is_told(capsys):
    """The last kill alone would hide that four others went first."""
    path = Path(__file__).parents[2] / "data" / "oom" / "guest-6.1" / "leak_protected.console"
    assert main(["audit", "oom", str(path)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "it had killed 4 others (report-cron, postgres) while inventory-sync held most." in out


def test_names_cannot_reach_the_terminal(log, capsys):
    """A process may call itself anything, escapes included."""
    lines = [line.replace("inventory-sync", "a\x07\u202eb") for line in INCIDENT]
    assert main(["audit", "oom", log(lines)]) == 1
    out = capsys.readouterr().out
    assert "\x07" not in out
    assert "\u202e" not in out
    assert r"a\x07\u202eb (pid 4711)" in out


def test_a_dump_without_drgn_says_what_to_install(tmp_path, capsys, monkeypatch):
    """One line, not an ImportError."""
    path = tmp_path / "vmcore"
    path.write_bytes(b"\x7fELF" + bytes(100))
    monkeypatch.setattr(vmcore.importlib.util, "find_spec", lambda name: None)
    assert main(["audit", "oom", str(path)]) == 3
    assert "pip install 'forestall[audit]'" in capsys.readouterr().err


def test_a_dump_of_another_moment_is_no_event(capsys, tmp_path, monkeypatch):
    """A live kernel, or a dump taken by hand, shows who holds memory; that is no shortage."""
    core = Path(__file__).parents[2] / "data" / "oom" / "guest-6.1" / "core.json"
    found = json.loads(core.read_text(encoding="utf-8"))
    found["log"] = "[    0.000000] Linux version 6.1.0\n"
    monkeypatch.setattr(vmcore, "ask", lambda core, vmlinux: found)
    path = tmp_path / "vmcore"
    path.write_bytes(b"\x7fELF" + bytes(100))
    assert main(["audit", "oom", str(path)]) == 0
    out = capsys.readouterr().out
    assert "This is the dump's moment, not a shortage." in " ".join(out.split())
    assert "inventory-sync" in out

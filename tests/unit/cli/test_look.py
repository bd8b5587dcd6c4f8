"""The command: exit codes, JSON, copied trees, and one clear line where there is no /proc."""

import json

import pytest
from tests.fakes.host import GIB, FakeHost

from forestall.cli.main import main
from forestall.model.codec import from_document
from forestall.model.finding import Look, Outcome

SHOW = """\
Id=feed-sync.service
ActiveState=active
MainPID=900
MemoryMax=infinity
Restart=no
FragmentPath=/etc/systemd/system/feed-sync.service
"""


@pytest.fixture
def tree(tmp_path):
    """A calm host as plain files."""
    fake = FakeHost(tmp_path)
    for name, value in (
        ("vm.panic_on_oom", 0),
        ("vm.overcommit_memory", 0),
        ("vm.oom_kill_allocating_task", 0),
        ("kernel.panic", 10),
    ):
        fake.sysctl(name, value)
    fake.process(1, "systemd").process(900, "feed-sync", rss=2 * GIB)
    fake.write("commands/ls-proc", "1\n900\n")
    mounts = (fake.folder / "proc/self/mountinfo").read_text()
    fake.write("proc/self/mountinfo", f"{mounts}1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    return fake


def look(tree, *words):
    return main(["look", "--root", str(tree.folder), *words])


def test_exit_0_where_nothing_is_graver_than_a_note(tree, capsys):
    """A calm host ends with 0."""
    assert look(tree) == 0
    assert "The kernel kills ONE process and the host goes on" in capsys.readouterr().out


def test_exit_1_for_a_finding(tree, capsys):
    """A host that panics ends with 1."""
    tree.sysctl("vm.panic_on_oom", 1)
    assert look(tree) == 1
    assert "PANIC, not an OOM kill: vm.panic_on_oom=1" in capsys.readouterr().out


def test_json_is_the_look_document(tree, capsys):
    """--json prints one document that reads back, with the same exit code."""
    tree.sysctl("vm.panic_on_oom", 2)
    assert look(tree, "--json") == 1
    seen = from_document(Look, json.loads(capsys.readouterr().out))
    assert seen.exhaustion.outcome is Outcome.PANIC
    assert seen.findings[0].rule == "PAN-001"
    assert seen.facts.sysctls["vm.panic_on_oom"] == "2"


def test_exit_3_without_proc(tmp_path, capsys):
    """Where there is no /proc, one line says where it was looked for, and what to do."""
    assert main(["look", "--root", str(tmp_path)]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"forestall: cannot read {tmp_path}/proc/meminfo")
    assert "Traceback" not in error


def test_unread_settings_are_unknown_and_deserve_a_look(tree, capsys):
    """A tree without vm/panic_on_oom is not taken for one that is fine."""
    tree.remove("proc/sys/vm/panic_on_oom")
    assert look(tree) == 1
    assert "UNKNOWN, a panic or an OOM kill" in capsys.readouterr().out


def test_recorded_answers_of_systemctl(tree, capsys):
    """What systemctl said on the other host is read from commands/ beside the files."""
    tree.write("run/systemd/system/.keep", "").write("commands/systemctl-show", SHOW)
    tree.write("commands/systemctl-version", "systemd 252 (252.1)\n")
    look(tree, "--json")
    seen = json.loads(capsys.readouterr().out)
    assert [service["name"] for service in seen["services"]] == ["feed-sync.service"]
    assert seen["services"][0]["limited"] is False
    assert seen["facts"]["systemd_version"] == 252


def test_answers_that_were_not_recorded_are_named(tree, capsys):
    """Without the file the report says which answer is missing."""
    tree.write("run/systemd/system/.keep", "")
    look(tree)
    assert "systemctl show was not recorded" in capsys.readouterr().out


def test_no_colour_in_a_pipe(tree, capsys):
    """What is not a terminal gets plain text."""
    look(tree)
    assert "\x1b" not in capsys.readouterr().out

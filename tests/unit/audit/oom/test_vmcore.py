"""A dump of memory: what drgn said of a real one, and what stands in the way of asking it."""

import copy
import importlib.util
import json
from pathlib import Path

import pytest

from forestall.audit.oom import vmcore
from forestall.audit.oom.nouns import Constraint, Event, Kind, Pool
from forestall.audit.oom.vmcore import ask, report_of, with_memory
from forestall.errors import ForestallError, InputError

CORE = Path(__file__).parents[3] / "data" / "oom" / "guest-6.1" / "core.json"
FOUND = json.loads(CORE.read_text(encoding="utf-8"))


def test_what_the_dump_holds_replaces_what_was_printed():
    """Exact pages of each process, all caches, and the page size, in place of the log's table."""
    event = Event(kind=Kind.OOM, line=1, last_line=2)
    whole = with_memory(event, FOUND)
    (leak,) = [task for task in whole.tasks if task.name == "inventory-sync"]
    assert leak.anonymous_bytes == 96_230 * 4096
    assert leak.rss_bytes == leak.anonymous_bytes + leak.file_bytes + leak.shmem_bytes
    assert leak.cgroup == "/inventory-sync"
    assert all(task.pid != 1 for task in whole.tasks)
    assert len(whole.caches) == 12
    assert whole.page_known


def test_in_a_cgroup_only_its_processes_count():
    """The dump has all of the host; a cgroup's limit concerns those below it."""
    event = Event(
        kind=Kind.OOM,
        line=1,
        last_line=2,
        constraint=Constraint.MEMCG,
        limit_cgroup="/database",
        pool=Pool(path="/database"),
    )
    names = {task.name for task in with_memory(event, FOUND).tasks}
    assert names == {"postgres"}


def test_kernel_stacks_are_no_pages():
    """The kernel counts them in KiB."""
    whole = with_memory(Event(kind=Kind.OOM, line=1, last_line=2), FOUND)
    assert whole.kernel_stack_bytes == FOUND["counts"]["kernel_stack_kib"] * 1024
    assert "kernel_stack_kib" not in whole.counts


def test_a_slab_leak_is_named_by_its_cache():
    """With a dump every cache is known, not only where the kernel chose to print them."""
    found = copy.deepcopy(FOUND)
    found["counts"]["slab_unreclaimable"] = 80_000
    found["counts"]["inactive_anon"] -= 78_000
    for row in found["tasks"]:
        row["anonymous_pages"] = min(row["anonymous_pages"], 5_000)
    found["caches"].append(
        {"name": "kmalloc-2k", "used_bytes": 300 << 20, "total_bytes": 305 << 20}
    )
    report = report_of(found, "vmcore")
    assert "kmalloc-2k, 305 MiB" in report.accounts[0].culprit


def test_notes_say_whose_lines_are_numbered():
    """There is no file with these lines; they are in the dump's own log."""
    report = report_of(FOUND, "vmcore")
    assert report.notes[0] == "Line numbers are those of the kernel's log inside the dump."
    assert any("postgres ran when the kernel panicked" in note for note in report.notes)


def test_without_drgn_there_is_advice(monkeypatch):
    """drgn is optional."""
    monkeypatch.setattr(vmcore.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ForestallError, match="not installed") as caught:
        ask("vmcore", None)
    assert "vmcore-dmesg.txt" in str(caught.value.help)


def test_a_damaged_dump_is_one_line(tmp_path, monkeypatch):
    """Whatever ends the process that reads it, the reason is passed on in a line."""
    path = tmp_path / "vmcore"
    path.write_bytes(b"\x7fELF" + bytes(60))
    monkeypatch.setattr(vmcore.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="drgn cannot read it") as caught:
        ask(str(path), None)
    assert "--vmlinux" in str(caught.value.help)
    if importlib.util.find_spec("drgn"):
        assert "\n" not in caught.value.message


def test_symbols_that_are_not_there(tmp_path, monkeypatch):
    """A mistyped --vmlinux is named before anything is read."""
    monkeypatch.setattr(vmcore.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="no such file"):
        ask(str(tmp_path / "vmcore"), str(tmp_path / "vmlinux"))

"""The table of places: nothing else is read, and what it names is enough."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost, recorded_host
from tests.fakes.recorder import TracingHost, collect, covered

from forestall.sense import sources
from forestall.sense.facts import read_facts
from forestall.sense.recording import RecordedHost, command_name

HOSTS = Path(__file__).parents[2] / "data" / "hosts"
TREES = sorted(path.parent.name for path in HOSTS.glob("*/PROVENANCE"))


def _traced(tree, run_command=None):
    roots = [str(tree / part) for part in ("proc", "sys", "etc", "run")]
    host = TracingHost(*roots, root=str(tree), run_command=run_command)
    read_facts(host, FakeClock())
    return host


def _not_in_the_table(host):
    postgres = ("var/lib/pgsql/", "pg/")
    return [
        (how, path)
        for how, path in dict.fromkeys(host.traced)
        if not covered(how, path) and not path.startswith(postgres)
    ]


@pytest.mark.parametrize("tree", TREES)
def test_nothing_is_read_that_the_table_does_not_name(tree):
    """Every file, link and folder that the readers ask a recorded host for."""
    host = _traced(HOSTS / tree, recorded_host(HOSTS / tree).run_command)
    assert len(host.traced) > 100
    assert _not_in_the_table(host) == []


def test_nor_on_a_host_with_everything(tmp_path):
    """Fallbacks, drop-ins, containers' signs and live patches are in the table too."""
    fake = FakeHost(tmp_path).process(1, "systemd").process(9, "postgres", cmdline=("p", "-D/pg"))
    paths = [
        source.path.replace("*", "x").replace("[xz]", "z").replace("[Ii]", "I")
        for source in sources.SOURCES
    ]
    for path in paths:
        folder = any(other.startswith(path + "/") for other in paths)
        if not folder and not (tmp_path / path).exists():
            fake.write(path, "x\n")
    fake.remove("etc/os-release").write("usr/lib/os-release", "")
    fake.write("etc/fstab", "UUID=1 none swap sw 0 0\n/dev/vg/a none swap sw 0 0\n")
    fake.write("proc/self/mountinfo", "40 0 253:0 / / rw - xfs /dev/root rw\n")
    fake.process(1, "systemd")
    assert _not_in_the_table(_traced(tmp_path)) == []


@pytest.mark.parametrize("tree", TREES)
def test_what_the_table_names_gives_the_same_facts(tree):
    """A host collected by the table is read as the host itself is."""
    host = recorded_host(HOSTS / tree)
    seen = read_facts(host, FakeClock(at=1_731_661_500.0))
    recording = collect(host, origin="facts", collected_at=1_731_661_500.0)
    again = read_facts(RecordedHost(recording), FakeClock())
    assert replace(again, unseen=seen.unseen) == seen
    assert again.unseen.keys() == seen.unseen.keys()


def test_every_command_has_a_name_of_its_own():
    """A recording keeps answers by the first two words."""
    words = (*sources.COMMANDS, *sources.RECORDED_COMMANDS)
    assert len({command_name(command) for command in words}) == len(words)


def test_only_the_lines_that_are_read_need_to_leave_a_host(tmp_path):
    """`lines` is enough: a file cut down by it gives the same facts."""
    import re

    tree = HOSTS / "rhel7-db"
    recording = collect(recorded_host(tree), origin="local", collected_at=1.0)
    files = dict(recording.files)
    for source in sources.SOURCES:
        if source.lines is not None and source.path in files:
            wanted = re.compile(source.lines.replace("[:space:]", r"\s"))
            lines = files[source.path].decode().splitlines(keepends=True)
            files[source.path] = "".join(line for line in lines if wanted.search(line)).encode()
    for path in [path for path in files if "/pgsql/" in path]:
        wanted = re.compile(sources.POSTGRES_LINES.replace("[:space:]", r"\s"))
        lines = files[path].decode().splitlines(keepends=True)
        files[path] = "".join(line for line in lines if wanted.search(line)).encode()
    cut = RecordedHost(replace(recording, files=files))
    assert len(b"".join(files.values())) < len(b"".join(recording.files.values()))
    assert read_facts(cut, FakeClock()) == read_facts(RecordedHost(recording), FakeClock())

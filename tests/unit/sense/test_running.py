"""Who runs on a host: guards, monitors, databases, and whose command lines are read."""

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.host import FakeHost

from forestall.sense.facts import read_facts
from forestall.sense.running import COMMAND_LINE_NAMES, GUARD_NAMES, guard_name


def _facts(fake):
    return read_facts(fake.host(), FakeClock())


@pytest.mark.parametrize(
    ("name", "words", "guard"),
    [
        ("earlyoom", (), "earlyoom"),
        ("systemd-oomd", ("/usr/lib/systemd/systemd-oomd",), "systemd-oomd"),
        ("python3", ("python3", "/usr/bin/nohang", "--monitor"), "nohang"),
        ("python3.11", ("python3.11", "/opt/bin/forestall", "watch"), "forestall"),
        ("python3", ("python3", "-m", "forestall", "watch", "--mode", "act"), "forestall"),
        ("forestall", ("forestall", "watch"), "forestall"),
        ("forestall", ("forestall", "look"), None),
        ("forestall", ("forestall", "watch", "--once"), None),
        ("python3", ("python3", "report.py", "earlyoom"), None),
        ("python3", (), None),
        ("nginx", ("nginx",), None),
    ],
)
def test_a_guard_is_told_from_what_only_sounds_like_one(name, words, guard):
    """A script has its interpreter's name, and only the agent's loop is a guard of ours."""
    assert guard_name(name, words) == guard
    assert guard is None or guard in GUARD_NAMES


@pytest.mark.parametrize(
    ("name", "words", "monitor"),
    [
        ("node_exporter", (), "node_exporter"),
        ("prometheus-node", (), "node_exporter"),
        ("agent", ("/opt/datadog-agent/bin/agent/agent", "run"), "datadog-agent"),
        ("agent", ("/opt/other/agent",), None),
        ("otelcol-contrib", (), "otelcol"),
        ("otelopscol", (), "google-cloud-ops-agent"),
        ("splunkd", (), "splunk"),
        ("pmm-agent", (), "pmm-agent"),
        ("python3", ("python3", "-m", "forestall", "watch"), "forestall"),
        ("nginx", (), None),
    ],
)
def test_a_monitor_is_known_by_the_kernels_name_of_it(tmp_path, name, words, monitor):
    """Names are cut at 15 bytes; an `agent` is one only by its path."""
    fake = FakeHost(tmp_path).process(1, "systemd").process(70, name, cmdline=words)
    assert _facts(fake).monitors == (() if monitor is None else (monitor,))


def test_with_hidden_processes_no_monitor_is_not_none(tmp_path):
    """One that is seen counts; that none is seen says nothing."""
    fake = FakeHost(tmp_path).process(70, "bash")
    assert _facts(fake).monitors is None
    assert _facts(fake.process(71, "pmcd")).monitors == ("pmcd",)


def test_only_the_named_processes_command_lines_are_read(tmp_path):
    """A command line may hold secrets, so no other is opened."""
    from tests.fakes.recorder import TracingHost

    fake = FakeHost(tmp_path).process(1, "systemd").process(2, "mysqld", cmdline=("-psecret",))
    fake.process(3, "postgres", cmdline=("postgres", "-D", "/d")).process(4, "python3.9")
    roots = [str(tmp_path / part) for part in ("proc", "sys", "etc", "run")]
    host = TracingHost(*roots, root=str(tmp_path))
    read_facts(host, FakeClock())
    asked = {path for _, path in host.traced if path.endswith("/cmdline")}
    assert asked == {"proc/cmdline", "proc/3/cmdline", "proc/4/cmdline"}
    assert "mysqld" not in COMMAND_LINE_NAMES


def test_a_damaged_file_of_a_holder_leaves_out_only_itself(tmp_path):
    """The process stays in the picture, without its cgroup, and the reason is said."""
    fake = FakeHost(tmp_path).process(1, "systemd").process(7, "postgres")
    fake.write("proc/7/cgroup", "nonsense\n").write("proc/7/io", "read_bytes: x\n")
    facts = _facts(fake)
    assert [held.process.key.pid for held in facts.databases] == [7]
    assert facts.databases[0].process.cgroup is None
    assert "proc/7/cgroup line 1" in facts.unseen["holders"]

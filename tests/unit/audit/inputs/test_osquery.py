"""osquery's results log: its three formats, many hosts in one file, and damage."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forestall.audit.inputs.osquery import read_osquery
from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.sense.procfs import SYSCTLS

PACK = Path(__file__).parents[4] / "deploy" / "osquery" / "forestall.conf"
GIB = 1024**3


def _line(query, rows, host="db01", at=1_700_000_000, **more):
    entry = {"name": f"pack_forestall_{query}", "hostIdentifier": host, "unixTime": at}
    return {**entry, "action": "snapshot", "snapshot": rows, **more}


LOG = [
    _line("os", [{"name": "Rocky Linux", "version": "9.4", "major": "9", "minor": "4",
                  "platform": "rocky", "arch": "x86_64"}]),
    _line("kernel", [{"version": "5.14.0-427.el9.x86_64", "arguments": "ro crashkernel=256M"}]),
    _line("system", [{"hostname": "db01.example", "cpu_type": "x86_64"}]),
    _line("uptime", [{"total_seconds": "1000"}], at=1_700_000_500),
    _line("memory", [{"memory_total": str(32 * GIB), "memory_available": str(9 * GIB),
                      "swap_total": str(4 * GIB), "swap_free": str(2 * GIB)}]),
    _line("settings", [{"name": "vm.panic_on_oom", "current_value": "1"},
                       {"name": "net.ipv4.ip_forward", "current_value": "1"}]),
    _line("modules", [{"name": "ipmi_si"}, {"name": "xfs"}]),
    _line("packages", [{"version": "5.14.0", "release": "427.el9", "arch": "x86_64"},
                       {"version": "5.14.0", "release": "427.13.1.el9_4", "arch": "x86_64"}]),
    _line("mounts", [{"device": "/dev/sda1", "path": "/", "type": "xfs", "flags": "rw",
                      "blocks_size": "4096", "blocks": "1000", "blocks_available": "10"}]),
    _line("processes", [
        {"pid": "9", "name": "sh", "resident_size": "4096", "uid": "0", "threads": "1"},
        {"pid": "7", "name": "postgres", "resident_size": str(GIB), "uid": "26", "threads": "1",
         "cgroup_path": "/system.slice/postgresql.service"}]),
    _line("units", [{"id": "earlyoom.service", "active_state": "active"},
                    {"id": "kubelet.service", "active_state": "inactive"}]),
]  # fmt: skip


def _read(tmp_path, lines, raw=b""):
    path = tmp_path / "osqueryd.results.log"
    path.write_bytes("\n".join(json.dumps(line) for line in lines).encode() + b"\n" + raw)
    return list(read_osquery([str(path)], SystemClock()))


def test_snapshots(tmp_path):
    """What the pack asks for becomes facts, each with its table."""
    (seen,) = _read(tmp_path, LOG)
    facts = seen.facts
    assert (seen.name, facts.hostname, facts.origin) == ("db01", "db01.example", "osquery")
    assert (facts.at, facts.booted_at) == (1_700_000_500.0, 1_699_999_500.0)
    assert (facts.os_id, facts.os_version_id, facts.machine) == ("rocky", "9.4", "x86_64")
    assert facts.memory.swap_free_bytes == 2 * GIB
    assert facts.sysctls == {"vm.panic_on_oom": "1"}
    assert facts.modules == ("ipmi_si", "xfs")
    assert facts.installed_kernels == (
        "5.14.0-427.13.1.el9_4.x86_64",
        "5.14.0-427.el9.x86_64",
    )
    assert (facts.mounts[0].size_bytes, facts.mounts[0].free_bytes) == (4_096_000, 40_960)
    assert [h.process.name for h in facts.holders] == ["postgres", "sh"]
    assert facts.holders[0].process.unit == "postgresql.service"
    assert (facts.guards, facts.kubernetes) == (("earlyoom",), False)
    assert (facts.units, facts.psi) == (None, None)
    assert facts.sources["/memory/swap_total_bytes"] == "memory_info.swap_total"


def test_events_and_batches_leave_the_last_state(tmp_path):
    """A row that was removed is gone; of two snapshots the later counts."""
    added = {"name": "pack/forestall/modules", "hostIdentifier": "db01", "unixTime": "1700000001"}
    lines = [
        *LOG,
        {**added, "action": "added", "columns": {"name": "vhost_net"}},
        {**added, "action": "removed", "columns": {"name": "ipmi_si"}},
        {**added, "name": "pack_forestall_packages",
         "diffResults": {"removed": [{"version": "5.14.0", "release": "427.el9", "arch": "x86_64"}],
                         "added": [{"version": "5.14.0", "release": "503.el9", "arch": "x86_64"}]}},
        _line("units", [], at=1_700_000_600),
    ]  # fmt: skip
    (seen,) = _read(tmp_path, lines)
    assert seen.facts.modules == ("xfs", "vhost_net")
    assert "5.14.0-503.el9.x86_64" in seen.facts.installed_kernels
    assert "5.14.0-427.el9.x86_64" not in seen.facts.installed_kernels
    assert seen.facts.guards == ()


def test_many_hosts_in_one_file(tmp_path):
    """A collector's log has them mixed; what was not asked of one is unknown there."""
    other = _line("memory", [{"memory_total": "1024", "swap_total": "0"}], host="web1")
    first, second = _read(tmp_path, [LOG[0], other, LOG[4]])
    assert (first.name, second.name) == ("db01", "web1")
    assert (second.facts.os_id, second.facts.guards) == (None, None)
    assert second.facts.swaps == ()


def test_damaged_lines_are_counted_and_cost_no_host(tmp_path):
    """Half a line at the end of a log that was rotated."""
    *_, last = _read(tmp_path, LOG, raw=b'{"name": "pack_fore\n[1]\n')
    assert "2 lines are no results" in last.problem


def test_a_log_without_our_pack_is_an_error(tmp_path):
    """It would look like a fleet without findings."""
    with pytest.raises(ForestallError, match="no result of the forestall pack"):
        _read(tmp_path, [{"name": "pack_other_os", "hostIdentifier": "x", "snapshot": []}])
    with pytest.raises(ForestallError, match="cannot be read"):
        list(read_osquery([str(tmp_path / "missing")], SystemClock()))


def test_the_pack_asks_what_is_read():
    """Each query of the pack is one that the reader knows, and each setting one that it keeps."""
    pack = json.loads(PACK.read_text())
    names = {line["name"].removeprefix("pack_forestall_") for line in LOG}
    assert set(pack["queries"]) == names | {"debs"}
    settings_query = pack["queries"]["settings"]["query"]
    asked = [part for part in settings_query.split("'") if part.startswith(("vm.", "kernel."))]
    assert len(asked) >= 12
    assert set(asked) <= set(SYSCTLS)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    index=st.integers(0, len(LOG) - 1),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["version", "pid", "name", "resident_size"]), inner)
        ),
        max_leaves=6,
    ),
    key=st.sampled_from(["snapshot", "columns", "diffResults", "unixTime", "action"]),
)
def test_no_entry_raises_anything_else(tmp_path_factory, index, value, key):
    """Whatever a log holds in the place of rows and times."""
    lines = [{**line, key: value} if number == index else line for number, line in enumerate(LOG)]
    for seen in _read(tmp_path_factory.getbasetemp(), lines):
        assert seen.facts is not None or seen.problem

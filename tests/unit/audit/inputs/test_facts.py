"""Facts from documents: one host, a fleet on lines, Ansible's cache, copied trees, and damage."""

import gzip
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.facts import GIB, healthy, seed_like

from forestall.audit.inputs import ansible
from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.look import look
from forestall.clock import SystemClock
from forestall.errors import ForestallError, InputError
from forestall.model.codec import dumps

HOSTS = Path(__file__).parents[3] / "data" / "hosts"

SETUP = {
    "ansible_nodename": "db01.example",
    "ansible_kernel": "3.10.0-957.el7.x86_64",
    "ansible_architecture": "x86_64",
    "ansible_distribution": "RedHat",
    "ansible_distribution_version": "7.6",
    "ansible_memtotal_mb": 32012,
    "ansible_memory_mb": {"nocache": {"free": 9000, "used": 23012}},
    "ansible_swaptotal_mb": 4095,
    "ansible_swapfree_mb": 4000,
    "ansible_uptime_seconds": 1000,
    "ansible_date_time": {"epoch": "1731661500"},
    "ansible_proc_cmdline": {"ro": True, "crashkernel": "auto", "rd.lvm.lv": ["rhel/a", "rhel/b"]},
    "ansible_virtualization_role": "guest",
    "ansible_virtualization_type": "kvm",
    "ansible_mounts": [
        {"mount": "/", "device": "/dev/sda1", "fstype": "xfs", "options": "rw,noatime",
         "size_total": 1000, "size_available": 400},
        {"mount": None},
    ],
    "ansible_devices": {"sda": {"rotational": "1", "partitions": {"sda1": {}}}},
    "ansible_local": {
        "forestall": {
            "/proc/sys/vm/panic_on_oom": "1",
            "/proc/swaps": "Filename Type Size Used Priority\n/dev/dm-1 partition 4194300 0 -2",
            "/sys/kernel/kexec_crash_loaded": "0",
            "/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
            "pressure": "no",
        }
    },
}  # fmt: skip


def _read(*paths):
    return list(read_facts_files([str(path) for path in paths], SystemClock()))


def test_a_document_and_a_look_are_the_same_facts(tmp_path):
    """What `look --json` embeds, and the bundle's host-facts.json, are read as they were."""
    facts = seed_like()
    (tmp_path / "a.json").write_text(dumps(facts))
    (tmp_path / "b.json").write_text(json.dumps(json.loads(dumps(look(facts))), indent=2))
    assert [seen.facts for seen in _read(tmp_path)] == [facts, facts]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_fleet_stands_on_lines(tmp_path, pack):
    """One host a line, packed or not; a damaged line costs its own host only."""
    hosts = [replace(healthy(), hostname=f"app{number:03}") for number in range(300)]
    lines = [dumps(facts) for facts in hosts]
    lines[7] = lines[7][:100]
    lines[9] = lines[9].replace('"hostname":"app009"', '"hostname":9')
    path = tmp_path / "fleet.jsonl"
    path.write_bytes(pack("\n".join(lines).encode()))
    found = _read(path)
    assert [seen.facts for seen in found if seen.facts] == hosts[:7] + hosts[8:9] + hosts[10:]
    assert [seen.name for seen in found if seen.problem] == [
        "fleet.jsonl line 8",
        "fleet.jsonl line 10",
    ]
    assert "/hostname" in found[9].problem


@pytest.mark.parametrize("first", ['{"schema": "forestall/ho', '{"hostname": "app000"}', "{"])
def test_a_damaged_first_line_costs_its_own_host_only(tmp_path, first):
    """Neither the whole fleet, as if it were one document, nor the host on the second line."""
    hosts = [replace(healthy(), hostname=f"app{number:03}") for number in range(1, 4)]
    path = tmp_path / "fleet.jsonl"
    path.write_text("\n".join([first, *(dumps(facts) for facts in hosts)]))
    found = list(read_facts_files([str(path)], SystemClock()))
    assert [seen.name for seen in found] == ["fleet.jsonl line 1", "app001", "app002", "app003"]
    assert found[0].problem


def test_ansible_facts_are_told_by_where_they_came_from(tmp_path):
    """A cache file is a host by the inventory's name; sizes, kernel, mounts and our own fact."""
    (tmp_path / "db01").write_text(json.dumps(SETUP, indent=4))
    (tmp_path / "db02").write_text(json.dumps({"ansible_facts": SETUP, "changed": False}))
    first, second = _read(tmp_path)
    assert (first.name, second.name) == ("db01", "db02")
    assert first.facts == second.facts
    facts = first.facts
    assert (facts.hostname, facts.os_id, facts.os_version_id) == ("db01.example", "rhel", "7.6")
    assert (facts.at, facts.booted_at) == (1731661500.0, 1731660500.0)
    assert facts.memory.swap_total_bytes == 4095 * 1024**2
    assert facts.cmdline == "ro crashkernel=auto rd.lvm.lv=rhel/a rd.lvm.lv=rhel/b"
    assert (facts.container, facts.virtualization, facts.origin) == (None, "kvm", "ansible")
    assert [mount.path for mount in facts.mounts] == ["/"]
    assert [device.name for device in facts.block_devices] == ["sda", "sda1"]
    assert (facts.sysctls, facts.psi) == ({"vm.panic_on_oom": "1"}, False)
    assert facts.swaps[0].size_bytes == 4194300 * 1024
    assert (facts.crash_kernel_loaded, facts.transparent_hugepage) == (False, "never")
    assert facts.sources["/memory/swap_total_bytes"] == "ansible_swaptotal_mb"
    assert facts.units is None
    assert "units" in facts.unseen


def test_default_facts_of_ansible_tell_no_settings():
    """Without our own fact nothing is said of sysctls, kdump or pressure."""
    facts = ansible.facts_of({k: v for k, v in SETUP.items() if k != "ansible_local"}, 5.0)
    assert (dict(facts.sysctls), facts.crash_kernel_loaded, facts.psi) == ({}, None, None)
    assert facts.swaps is None
    without_swap = ansible.facts_of({**SETUP, "ansible_swaptotal_mb": 0, "ansible_local": {}}, 5.0)
    assert without_swap.swaps == ()


def test_our_own_fact_is_what_its_script_prints():
    """deploy/ansible/forestall.fact, run here: JSON of this machine's own settings."""
    script = Path(__file__).parents[4] / "deploy" / "ansible" / "forestall.fact"
    done = subprocess.run(["sh", str(script)], capture_output=True, check=True, timeout=30)
    fact = json.loads(done.stdout)
    facts = ansible.facts_of({**SETUP, "ansible_local": {"forestall": fact}}, 5.0)
    for name in ("vm.panic_on_oom", "kernel.panic", "kernel.core_pattern"):
        path = Path("/proc/sys") / name.replace(".", "/")
        assert facts.sysctls[name] == path.read_text().strip(), name
    assert facts.psi == Path("/proc/pressure/memory").exists()
    assert facts.swaps is not None


def test_debian_is_known_by_its_whole_number():
    """Ansible says 12.11 where os-release, and every table of life cycles, says 12."""
    debian = {**SETUP, "ansible_distribution": "Debian", "ansible_distribution_version": "12.11"}
    facts = ansible.facts_of({**debian, "ansible_distribution_major_version": "12"}, 5.0)
    assert (facts.os_id, facts.os_version_id) == ("debian", "12")


def test_facts_without_a_date_are_as_old_as_their_file(tmp_path):
    """An age is told even where Ansible gathered no date."""
    path = tmp_path / "db01"
    path.write_text(json.dumps({k: v for k, v in SETUP.items() if k != "ansible_date_time"}))
    os.utime(path, (1_600_000_000, 1_600_000_000))
    (seen,) = _read(path)
    assert (seen.facts.at, seen.facts.booted_at) == (1_600_000_000.0, None)


def test_a_copied_tree_is_a_host(tmp_path):
    """A folder with proc/meminfo is read like the host that it was copied from."""
    (tmp_path / "trees").mkdir()
    (tmp_path / "trees" / "db").symlink_to(HOSTS / "rhel7-db")
    assert _read(HOSTS / "rhel7-db")[0].name == "db01.example"
    assert {seen.name for seen in _read(HOSTS)} >= {"db01.example"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no JSON object"),
        (b"[1]", "no JSON object"),
        (b"{", "no JSON"),
        (b'{"schema": "forestall/verdict/1"}', "holds no host's facts"),
        (b'{"name": "left-pad"}', "neither our facts nor Ansible's"),
        (b'{"schema": "forestall/host-facts/1", "at": 1}', "missing field /hostname"),
        (b"\xff\xfe{", "no JSON"),
        (b"{" * 100_000, "no JSON"),
    ],
)
def test_what_holds_no_facts_is_one_clear_line(tmp_path, content, words):
    """Named alone it is an error, in a folder a problem beside the hosts that are fine."""
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(ForestallError, match=words) as raised:
        _read(path)
    assert str(path) in raised.value.message
    (tmp_path / "good.json").write_text(dumps(healthy()))
    found = {seen.name: seen for seen in _read(tmp_path)}
    assert found["app01.example"].facts.memory.mem_total_bytes == 16 * GIB
    assert words in next(seen.problem for seen in found.values() if seen.problem)


def test_a_folder_without_facts_is_an_error(tmp_path):
    """Silence would look like a fleet without findings."""
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(InputError, match="no facts in"):
        _read(tmp_path)
    with pytest.raises(ForestallError, match="cannot be read"):
        _read(tmp_path / "missing")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(st.sampled_from(sorted(SETUP)), JSON, max_size=4))
def test_ansible_facts_of_other_types_raise_nothing_else(changes):
    """A plug-in's fact may be anything: facts or an InputError, never another."""
    document = json.loads(json.dumps({**SETUP, **changes}, default=str))
    try:
        facts = ansible.facts_of(document, 5.0)
    except InputError:
        return
    dumps(facts)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_raise_nothing_else(tmp_path_factory, content):
    """Whatever is in the file: hosts, problems, or one ForestallError."""
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    try:
        found = _read(path)
    except ForestallError:
        return
    assert found


@pytest.mark.parametrize(
    ("name", "why"), [("", "name is empty"), (" ", "name is empty"), ("x" * 256, "256 characters")]
)
def test_a_name_that_is_none_is_a_line_of_its_own(tmp_path, name, why):
    """The other hosts of the file are read; the problem does not repeat the name."""
    sound = seed_like(hostname="db01")
    lines = [dumps(sound), dumps(replace(sound, hostname=name)), dumps(sound)]
    (tmp_path / "fleet.jsonl").write_text("\n".join(lines))
    first, second, third = _read(tmp_path / "fleet.jsonl")
    assert (first.name, third.name) == ("db01", "db01")
    assert second.facts is None
    assert second.name == "fleet.jsonl line 2"
    assert why in second.problem


@pytest.mark.parametrize("before", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_byte_order_mark_is_passed_over(tmp_path, before):
    """As PowerShell and editors of Windows write it before the first line."""
    (tmp_path / "a.json").write_bytes(before + dumps(seed_like()).encode())
    (seen,) = _read(tmp_path / "a.json")
    assert seen.facts == seed_like()


def test_a_key_that_stands_twice_is_refused(tmp_path):
    """Two documents glued into one are no host's facts."""
    text = dumps(seed_like())
    (tmp_path / "a.json").write_text(text[:-1] + ',"sysctls":{"vm.panic_on_oom":"0"}}')
    with pytest.raises(InputError, match="'sysctls' stands twice"):
        _read(tmp_path / "a.json")

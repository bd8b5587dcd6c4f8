"""A report that sos really makes of this machine says what this machine says."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.integration.servers import program

from forestall.audit.inputs.sosreport import read_sosreports
from forestall.clock import SystemClock
from forestall.sense.facts import read_facts
from forestall.sense.host import Host

PLUGINS = "memory,kernel,process,filesys,block,date,host,release,hardware"


@pytest.mark.timeout(300)
def test_a_real_report(tmp_path):
    """Packed as sos packs it, and unpacked: the facts of this host, and twice the same ones."""
    if os.geteuid() != 0:
        pytest.skip("sos reports as root alone")
    words = [program("sos"), "report", "--batch", "-z", "xz", "--tmp-dir", str(tmp_path)]
    subprocess.run(
        [*words, "-o", PLUGINS], check=True, capture_output=True, timeout=240, cwd=tmp_path
    )
    (archive,) = tmp_path.glob("*.tar.xz")
    (seen,) = read_sosreports([str(archive)], SystemClock())
    facts, here = seen.facts, read_facts(Host(), SystemClock())
    assert seen.problem is None
    for name in ("hostname", "kernel_release", "machine", "os_id", "os_version_id", "cmdline"):
        assert getattr(facts, name) == getattr(here, name), name
    assert facts.memory.mem_total_bytes == here.memory.mem_total_bytes
    assert facts.boot_id == here.boot_id
    assert [swap.name for swap in facts.swaps] == [swap.name for swap in here.swaps]
    for name in ("vm.panic_on_oom", "vm.overcommit_memory", "kernel.panic", "vm.swappiness"):
        assert facts.sysctls[name] == here.sysctls[name], name
    assert abs(facts.at - here.at) < 300
    assert facts.process_count > 0
    root = {mount.path: mount for mount in facts.mounts}["/"]
    assert root.size_bytes == {mount.path: mount for mount in here.mounts}["/"].size_bytes
    (tmp_path / "unpacked").mkdir()
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter=_as_it_is)
    (folder,) = Path(tmp_path / "unpacked").iterdir()
    (again,) = read_sosreports([str(folder)], SystemClock())
    assert again.facts == facts


def _as_it_is(member, _path):
    """Our own report of a moment ago, with the links and times that sos wrote; no device."""
    return member if member.isreg() or member.isdir() or member.issym() else None

"""The play, read by Ansible itself; bench/audit_play.py runs one for real, in a guest."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.fakes.facts import seed_like, unit
from tests.unit.audit.report.test_reports import HOSTILE, told

from forestall.audit.inputs.source import Seen
from forestall.audit.report.ansible import Ansible


def ansible_playbook(folder, *words):
    """What it says; `folder` is its home."""
    beside = os.path.dirname(sys.executable)
    program = shutil.which("ansible-playbook", path=os.pathsep.join((beside, os.defpath)))
    if program is None:
        pytest.skip("ansible-core is not installed")
    return subprocess.run(
        [program, *words],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "HOME": str(folder), "ANSIBLE_NOCOLOR": "1"},
    )


@pytest.mark.timeout(120)
def test_what_a_hostile_host_says_is_only_shown(tmp_path):
    """Templates, quotes and line ends in names and texts: no lookup runs, and no play is added."""
    touched = tmp_path / "touched"
    strange = HOSTILE + "{{ lookup('pipe', 'touch " + str(touched) + "') }}{% raw %}"
    found = replace(
        seed_like(os_name=strange, kernel_release=strange),
        units=(
            unit(strange, main_pid=7, restart="no", fragment_path="/etc/systemd/system/x.service"),
        ),
    )
    play = tmp_path / "audit.yml"
    play.write_text(told(Ansible, [Seen(name="db01", facts=found)]))
    local = ("-i", "db01,", "-c", "local", "-e", "ansible_become=false")
    # The messages alone: the other tasks are for the host's own /etc.
    ran = ansible_playbook(tmp_path, *local, "--tags", "manual", str(play))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("PLAY [") == 1
    assert "{{ 7*7 }}" in ran.stdout
    assert "{% raw %}" in ran.stdout
    assert not touched.exists()

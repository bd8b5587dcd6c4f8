"""Paid maintenance and hardening profiles, by what the host itself shows."""

import json

import pytest
from tests.fakes.host import FakeHost

from forestall.sense import standing
from forestall.sense.notes import Notes

ESM = {"services": [{"name": "esm-apps"}, {"name": "esm-infra", "status": "enabled"}]}


def _repository(name, enabled="enabled = 1"):
    return f"[rhel-7-server-rpms]\nenabled = 1\n[{name}]\nname = x\n{enabled}\n"


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("etc/yum.repos.d/redhat.repo", _repository("rhel-7-server-els-rpms"), "els"),
        ("etc/yum.repos.d/redhat.repo", _repository("rhel-7-server-els-rpms", "enabled=0"), None),
        ("etc/yum.repos.d/redhat.repo", _repository("rhel-7-server-eus-rpms"), "eus"),
        ("etc/yum.repos.d/redhat.repo", _repository("rhel-8-for-x86_64-baseos-e4s-rpms"), "e4s"),
        ("etc/yum.repos.d/redhat.repo", _repository("rhel-8-for-x86_64-baseos-rpms"), None),
        ("etc/yum.repos.d/els.repo", "[centos7els]\nname=x\n", "tuxcare-els"),
        ("etc/yum.repos.d/els.repo.bak", _repository("rhel-7-server-els-rpms"), None),
        ("var/lib/ubuntu-advantage/status.json", json.dumps(ESM), "esm-infra"),
        ("var/lib/ubuntu-advantage/status.json", '{"services": [1]}', None),
        ("var/lib/ubuntu-advantage/status.json", "[" * 60_000, None),
        ("etc/products.d/SLES-LTSS.prod", "", "ltss"),
        ("etc/products.d/SLES.prod", "", None),
        ("etc/apt/sources.list.d/elts.list", "deb http://x/extended-lts b main\n", "elts"),
        ("etc/apt/sources.list", "# deb http://x/extended-lts b main\n", None),
    ],
)
def test_an_extension_counts_where_it_is_switched_on(tmp_path, path, text, found):
    """Each vendor has a place of its own, and a subscription that is off is none."""
    host = FakeHost(tmp_path).write(path, text).host()
    assert standing.read_extended_support(host, Notes({}, {})) == found


def test_of_several_extensions_the_longest_is_told(tmp_path):
    """ELS goes on where EUS ended."""
    text = _repository("rhel-7-server-eus-rpms") + "[rhel-7-server-els-rpms]\n"
    host = FakeHost(tmp_path).write("etc/yum.repos.d/redhat.repo", text).host()
    assert standing.read_extended_support(host, Notes({}, {})) == "els"


@pytest.mark.parametrize(
    ("path", "text", "profile"),
    [
        (
            "root/anaconda-ks.cfg",
            "%addon org_fedora_oscap\n  profile = xccdf_org.ssgproject.content_profile_stig\n%end",
            "stig",
        ),
        ("root/original-ks.cfg", "%addon com_redhat_oscap\n  profile = 'ospp'\n%end\n", "ospp"),
        ("root/anaconda-ks.cfg", "authselect select sssd profile = x\n", None),
        (
            "etc/foreman_scap_client/config.yaml",
            ":profile: 'xccdf_org.ssgproject.content_profile_cis_server_l1'\n",
            "cis_server_l1",
        ),
        ("etc/issue", "You are accessing a U.S. Government (USG) Information System\n", None),
    ],
)
def test_a_profile_counts_where_a_tool_recorded_it(tmp_path, path, text, profile):
    """The installer's and the scanner's own records do; a login banner proves nothing."""
    notes = Notes({}, {})
    host = FakeHost(tmp_path).write(path, text).host()
    assert standing.read_baseline(host, notes) == profile
    assert notes.sources == ({} if profile is None else {"/baseline": f"/{path}"})

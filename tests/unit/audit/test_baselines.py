"""Which baselines order what, by whichever name they go."""

import pytest

from forestall.audit import baselines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stig", "DISA STIG"),
        ("xccdf_org.ssgproject.content_profile_stig_gui", "DISA STIG"),
        ("DISA STIG for RHEL 9", "DISA STIG"),
        ("DISA", "DISA STIG"),
        ("xccdf_org.ssgproject.content_profile_cis_server_l1", "CIS Benchmark"),
        ("anssi_bp28_high", "ANSSI BP-028"),
        ("BP-028", "ANSSI BP-028"),
        ("bp028", "ANSSI BP-028"),
        ("ospp", "OSPP"),
        ("HIPAA", "HIPAA"),
        ("our own", None),
        ("", None),
        (None, None),
    ],
)
def test_names(text, expected):
    """Profile ids, titles and short names are one baseline; others are none that is known."""
    found = baselines.named(text)
    assert (found.name if found else None) == expected


def test_stig_and_cis_differ_about_kdump():
    """STIG orders kdump off, CIS only cores."""
    stig, cis = baselines.named("DISA STIG"), baselines.named("cis")
    assert baselines.KDUMP_OFF in stig.orders
    assert baselines.KDUMP_OFF not in cis.orders
    assert baselines.CORES_NOT_STORED in cis.orders

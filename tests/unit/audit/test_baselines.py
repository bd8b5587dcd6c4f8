"""Which baselines order what, by whichever name they go."""

import pytest

from forestall.audit import baselines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stig", "stig"),
        ("xccdf_org.ssgproject.content_profile_stig_gui", "stig"),
        ("DISA STIG for RHEL 9", "stig"),
        ("DISA", "stig"),
        ("xccdf_org.ssgproject.content_profile_cis_server_l1", "cis"),
        ("anssi_bp28_high", "anssi"),
        ("BP-028", "anssi"),
        ("ospp", "ospp"),
        ("HIPAA", "hipaa"),
        ("our own", None),
        ("", None),
        (None, None),
    ],
)
def test_names(text, expected):
    """Profile ids, titles and short names are one baseline; others are none that is known."""
    found = baselines.named(text)
    assert (found.id if found else None) == expected


def test_stig_and_cis_differ_about_kdump():
    """STIG orders kdump off, CIS only cores."""
    stig, cis = baselines.named("stig"), baselines.named("cis")
    assert baselines.KDUMP_OFF in stig.orders
    assert baselines.KDUMP_OFF not in cis.orders
    assert baselines.CORES_NOT_STORED in cis.orders

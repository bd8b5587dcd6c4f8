"""Which baselines order what, by whichever name they go."""

import pytest

from forestall.audit import baselines
from forestall.audit.rules import RULES


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


def test_four_families_each_ordered_by_somebody():
    """The table holds the four demands, every one of which some baseline gives."""
    assert len(baselines.ORDERS) == 4
    given = frozenset().union(*(one.orders for one in baselines.BASELINES))
    assert given == set(baselines.ORDERS)


def test_stig_and_cis_differ_about_kdump():
    """STIG orders kdump off, CIS only cores."""
    stig, cis = baselines.named("stig"), baselines.named("cis")
    assert stig.demands(baselines.KDUMP_OFF)
    assert not cis.demands(baselines.KDUMP_OFF)
    assert cis.demands(baselines.CORES_NOT_STORED)


def test_orders_name_rules_that_exist():
    """Each rule that an order touches is in the catalogue, those of cores once they are here."""
    known = {rule.id for rule in RULES} | {"COR-001"}
    for order in baselines.ORDERS.values():
        assert set(order.rules) <= known

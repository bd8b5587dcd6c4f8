"""Hosts of an inventory keep the names that the inventory gives them."""

from tests.fakes.facts import healthy

from forestall.audit.inputs.inventory import InventoryHost
from forestall.audit.inputs.source import Seen
from forestall.cli.audit_inputs import by_inventory, reachable


def test_a_host_is_told_under_its_name_in_the_inventory():
    """Roles, waivers and the play go by `db01`, wherever ansible_host points."""
    listed = [
        InventoryHost(name="db01", address="10.0.0.5", port=2222, user="deploy"),
        InventoryHost(name="web01"),
    ]
    found = [
        Seen(name="10.0.0.5:2222", facts=healthy()),
        Seen(name="web01", problem="timed out"),
        Seen(name="other", facts=healthy()),
    ]
    told = list(by_inventory(iter(found), listed))
    assert [seen.name for seen in told] == ["db01", "web01", "other"]
    assert [seen.facts is None for seen in told] == [False, True, False]


def test_an_address_that_is_none_stops_nobody_else():
    """It is a problem beside the name of its host."""
    sound = InventoryHost(name="web01")
    evil = InventoryHost(name="db01", address="-oProxyCommand=touch x")
    listed, refused = reachable([evil, sound])
    assert listed == [sound]
    assert [(seen.name, seen.facts) for seen in refused] == [("db01", None)]
    assert "not a host" in refused[0].problem


def test_an_address_under_several_names_is_told_under_each():
    """None of them vanishes; with several users it stays under its address."""
    listed = [InventoryHost(name=name, address="10.0.0.5") for name in ("a", "b")]
    told = by_inventory(iter([Seen(name="10.0.0.5", facts=healthy())]), listed)
    assert [seen.name for seen in told] == ["a", "b"]
    users = [InventoryHost(name=name, address="10.0.0.5", user=name) for name in ("a", "b")]
    told = by_inventory(iter([Seen(name="10.0.0.5", facts=healthy())] * 2), users)
    assert [seen.name for seen in told] == ["10.0.0.5"] * 2

"""Hosts of an inventory keep the names that the inventory gives them."""

import argparse
import os
import subprocess

import pytest
from tests.fakes.facts import healthy

from forestall.audit.collect.kept import Kept
from forestall.audit.collect.script import script as script_of
from forestall.audit.collect.stream import answer_of
from forestall.audit.inputs.facts import read_facts_files
from forestall.audit.inputs.inventory import InventoryHost
from forestall.audit.inputs.source import Seen
from forestall.cli import audit_inputs
from forestall.cli.audit_inputs import by_inventory, names_by_label, reachable
from forestall.clock import SystemClock


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
    told = list(by_inventory(iter(found), names_by_label(listed)))
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
    told = by_inventory(iter([Seen(name="10.0.0.5", facts=healthy())]), names_by_label(listed))
    assert [seen.name for seen in told] == ["a", "b"]
    users = [InventoryHost(name=name, address="10.0.0.5", user=name) for name in ("a", "b")]
    told = by_inventory(iter([Seen(name="10.0.0.5", facts=healthy())] * 2), names_by_label(users))
    assert [seen.name for seen in told] == ["10.0.0.5"] * 2


def test_a_port_that_is_none_stops_nobody_else():
    """The host is told with its problem, and not asked at another port."""
    bad = InventoryHost(name="lonely", problem="not a port")
    listed, refused = reachable([bad, InventoryHost(name="web01")])
    assert [host.name for host in listed] == ["web01"]
    assert [(seen.name, seen.problem) for seen in refused] == [("lonely", "not a port")]


def test_kept_answers_go_by_the_inventorys_names(tmp_path):
    """What `--inventory --keep` told under db01 is db01 in `facts KEPT/` as well."""
    script = subprocess.run(["sh", "-s"], input=script_of("0123456789abcdef"), capture_output=True)
    answer = answer_of(script.stdout, "0123456789abcdef")
    listed = [InventoryHost(name=name, address="10.0.0.5") for name in ("db01", "db02")]
    folder = Kept(str(tmp_path / "answers"), 60.0)
    folder.save("10.0.0.5", answer, names_by_label(listed)["10.0.0.5"])
    folder.save("10.0.0.6", answer)
    told = list(read_facts_files([folder.folder], SystemClock()))
    own = os.uname().nodename
    assert sorted(seen.name for seen in told) == sorted(["db01", "db02", own])
    assert {seen.facts.hostname for seen in told} == {own}


@pytest.mark.parametrize(("words", "told"), [(["facts", "x"], True), (["ssh", "x"], False)])
def test_what_is_read_is_counted_for_a_person(monkeypatch, words, told):
    """Every input says how many hosts there were so far; ssh has a line of its own."""
    said = []

    class Shown:
        def __init__(self, _stream, words):
            said.append(words)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    found = [Seen(name="a", facts=healthy()), Seen(name="b", problem="damaged")]
    monkeypatch.setattr(audit_inputs, "Waiting", Shown)
    monkeypatch.setattr(audit_inputs, "hosts", lambda _args, _clock: iter(found))
    args = argparse.Namespace(inputs=words, inventory=None)
    with audit_inputs.reading(args, SystemClock()) as seen:
        assert list(seen) == found
    assert [words(3.0) for words in said] == ["2 hosts, 1 not read, 3 s so far"] * told

"""Several inputs of one host: what is known of it, from whom, how old, and who is who."""

import tracemalloc
from dataclasses import fields, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.any_facts import noun
from tests.fakes.facts import GIB, healthy, holder, seed_like

from forestall.audit.inputs.merge import merge_seen, merged
from forestall.audit.inputs.source import Seen
from forestall.model.codec import dumps, loads
from forestall.model.facts import HostFacts, UnitFacts
from forestall.model.sample import HostSample

NOW = 1_731_661_500.0


def _little(origin, at=NOW, **changes):
    """Facts of an input that tells almost nothing but the host's name."""
    return HostFacts(at=at, hostname="db01.example", origin=origin, **changes)


def test_each_field_is_the_newest_that_is_known():
    """Units from the report, swap from the metrics, and each says from whom."""
    report = replace(seed_like(), at=NOW - 7200, origin="sosreport")
    metrics = _little(
        "prometheus",
        memory=HostSample(swap_total_bytes=16 * GIB),
        scraped_at=NOW,
        sources={"/memory/swap_total_bytes": "node_memory_SwapTotal_bytes"},
    )
    found = merged([report, metrics])
    assert found.memory.swap_total_bytes == 16 * GIB
    assert found.memory.mem_total_bytes == 32 * GIB
    assert found.units == report.units
    assert found.scraped_at == NOW
    assert found.sources["/memory/swap_total_bytes"] == "node_memory_SwapTotal_bytes"
    assert found.sources["/units"] == "sosreport, 2 h older"
    assert found.at == NOW - 7200


def test_of_one_time_the_richer_input_wins():
    """Ansible's rounded sizes do not replace exact ones of the same hour."""
    exact = _little("ssh", NOW - 60, memory=HostSample(mem_total_bytes=33_566_650_368))
    rounded = _little("ansible", NOW - 30, memory=HostSample(mem_total_bytes=33_566_000_000))
    assert merged([rounded, exact]).memory.mem_total_bytes == 33_566_650_368


def test_settings_are_merged_one_by_one():
    """A setting that only one input has is taken, with where it was read."""
    one = _little("prometheus", sysctls={"vm.swappiness": "10"})
    two = _little(
        "sosreport",
        NOW - 7200,
        sysctls={"vm.swappiness": "60", "kernel.panic": "0"},
        sources={"/sysctls/kernel.panic": "sos_commands/kernel/sysctl_-a"},
    )
    found = merged([two, one])
    assert found.sysctls == {"vm.swappiness": "10", "kernel.panic": "0"}
    assert found.sources["/sysctls/kernel.panic"].startswith("sosreport: sos_commands/kernel")


def test_before_a_reboot_only_what_stands_counts():
    """Modules, settings and processes of another boot are not this one's; the system is."""
    old = replace(
        seed_like(), at=NOW - 86_400, boot_id=None, booted_at=NOW - 9e6, modules=("ipmi_si",)
    )
    new = _little("prometheus", booted_at=NOW - 3600, unseen={"units": "not told"})
    found = merged([old, new])
    assert (found.os_id, found.os_version_id) == ("rhel", "7.6")
    assert (found.modules, found.units, dict(found.sysctls)) == (None, None, {})
    assert found.holders == ()
    assert found.unseen == {"units": "not told"}


def test_what_adds_nothing_changes_nothing():
    """An older document that knows no more does not make the newer one old."""
    new = replace(healthy(), at=NOW)
    assert merged([new, replace(new, at=NOW - 86_400)]) == new


def test_processes_are_taken_whole():
    """The holders of one time are not completed with those of another."""
    one = _little("ssh", holders=(holder("postgres", 1),), process_count=1)
    two = _little("sosreport", NOW - 7200, holders=(holder("java", 2),), process_count=2)
    found = merged([one, two])
    assert [h.process.name for h in found.holders] == ["postgres"]
    assert found.process_count == 1


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(range(4)))
def test_the_order_of_inputs_does_not_matter(order):
    """The command line's order is not evidence."""
    told = [
        replace(seed_like(), at=NOW - 7200, origin="sosreport", boot_id=None),
        _little("prometheus", memory=HostSample(swap_total_bytes=GIB), scraped_at=NOW),
        _little("ansible", NOW - 60, os_id="rhel", sysctls={"vm.x": "1"}),
        _little("osquery", NOW - 90_000, modules=("ipmi_si",)),
    ]
    expected = merged(told)
    assert merged([told[index] for index in order]) == expected


@settings(max_examples=60, deadline=None)
@given(known=st.lists(st.sampled_from([f.name for f in fields(HostFacts)]), max_size=30))
def test_nothing_that_was_known_is_lost(known):
    """Whatever the newer input knows stays as it told it."""
    whole = replace(seed_like(), at=NOW, psi=True)
    blank = _little("facts", NOW)
    keep = [n for n in known if n not in ("at", "hostname", "origin", "sources", "unseen")]
    newer = replace(blank, **{name: getattr(whole, name) for name in keep})
    found = merged([newer, replace(whole, at=NOW - 7200)])
    for name in keep:
        value = getattr(newer, name)
        if value not in (None, (), HostSample()) and name not in ("sysctls", "memory"):
            assert getattr(found, name) == value, name


def _seen(name, hostname=None, **changes):
    facts = None if hostname is None else replace(healthy(), hostname=hostname, **changes)
    return Seen(name=name, facts=facts)


def test_a_host_is_known_by_its_short_and_its_whole_name():
    """db01, DB01.example and the one of that name in a report are one; the order stays."""
    found = merge_seen(
        [
            _seen("web", "web", boot_id=None),
            _seen("db01", "db01", boot_id=None),
            _seen("DB01.example.", "db01.example", boot_id=None),
        ]
    )
    assert [one.name for one in found] == ["web", "DB01.example."]


def test_a_short_name_that_two_hosts_share_is_neither():
    """db01 cannot be told to be db01.paris or db01.rome."""
    names = ["db01", "db01.paris", "db01.rome"]
    found = merge_seen(_seen(name, name, boot_id=None) for name in names)
    assert [one.name for one in found] == names


def test_names_that_machines_come_with_tell_nothing():
    """Two hosts called localhost are two hosts, unless they are one boot."""
    two = [_seen("10.0.0.1", "localhost", boot_id="a"), _seen("10.0.0.2", "localhost", boot_id="b")]
    assert len(list(merge_seen(two))) == 2
    one = [_seen("10.0.0.1", "localhost", boot_id="a"), _seen("x", "localhost", boot_id="a")]
    assert len(list(merge_seen(one))) == 1


@settings(max_examples=40, deadline=None)
@given(noun(HostFacts))
def test_what_waits_for_the_last_input_comes_back_as_it_was(facts):
    """Packed and unpacked, whatever the facts hold."""
    one = Seen(name="x\udc80", facts=facts, problem="half a report")
    (found,) = merge_seen([one])
    assert found == one
    assert type(found.facts.sysctls) is type(facts.sysctls)


def test_a_fleet_waits_in_little_memory():
    """Merging takes a fifth of what the facts themselves do, or less."""
    rich = dumps(replace(healthy(), boot_id=None, units=tuple(_unit(n) for n in range(40))))

    def hosts():
        for number in range(200):
            facts = loads(HostFacts, rich)
            yield Seen(name=f"h{number}", facts=replace(facts, hostname=f"h{number}"))

    def held(make):
        tracemalloc.start()
        kept = make()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert kept is not None
        return size

    def first_of_merged():
        merging = merge_seen(hosts())
        next(merging)
        return merging

    assert held(first_of_merged) < held(lambda: list(hosts())) / 5


def _unit(number):
    return UnitFacts(name=f"service-{number}.service", active=True, restart="on-failure")


def test_a_problem_of_one_input_stays_said():
    """A host that cannot be reached over SSH, and has a report."""
    found = merge_seen(
        [Seen(name="app01.example", problem="no route to host"), _seen("r", "app01.example")]
    )
    (one,) = found
    assert one.facts is not None
    assert one.problem == "no route to host"

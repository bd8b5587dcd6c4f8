"""The host rules over fleets: silent about compliant hosts, never content without evidence."""

import dataclasses
from dataclasses import fields, replace

import pytest
from bench.audit_hosts import host, hosts
from hypothesis import given, settings
from hypothesis import strategies as st

from forestall.audit.findings import finding
from forestall.audit.posture import Posture
from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.model.facts import (
    BlockDevice,
    HostFacts,
    KdumpFacts,
    MountFacts,
    PostgresFacts,
    SwapDevice,
)
from forestall.model.finding import FindingState
from forestall.model.sample import HostSample

FAMILIES = ("SWP", "SWA", "OVC", "PAN", "KDP", "MIN", "THP", "HUG", "NUM", "TMP", "JRN")
HERE = tuple(rule for rule in RULES if rule.id.startswith(FAMILIES))
FLEET = 1000
GIB = 1024**3
KEPT = ("at", "hostname", "unseen", "sources", "origin")


def judged(facts, terms=None):
    """Rule id to state, every finding read out in full."""
    posture = Posture(facts, terms)
    return {rule.id: finding(posture, rule, rule.judge(posture)).state for rule in HERE}


def test_all_of_the_host_rules_are_registered():
    """27 rules in eleven families; a lost registration would make this file say nothing."""
    assert len(HERE) == 27
    assert len({rule.id for rule in HERE}) == len(HERE)


def test_compliant_hosts_are_left_alone():
    """Of 1,000 hosts run as their vendors say, fewer than 1 % have any finding."""
    accused = {
        facts.hostname: found
        for facts in hosts(FLEET)
        if (found := [name for name, said in judged(facts).items() if said is FindingState.FAIL])
    }
    assert len(accused) < FLEET // 100, accused


def test_the_fleet_is_worth_judging():
    """Each rule passes some of these hosts, so that its silence is not mere inapplicability.

    KDP-004 is the exception: hosts under a baseline in conflict are not among them.
    """
    passing = {rule.id: 0 for rule in HERE}
    for facts in hosts(FLEET):
        for name, said in judged(facts).items():
            passing[name] += said is FindingState.PASS
    assert {name for name, count in passing.items() if count < 20} == {"KDP-004"}


@given(seed=st.integers(0, 2**32))
@settings(max_examples=200)
def test_no_host_is_accused_of_the_graver_things(seed):
    """Whatever compliant host is drawn, nothing is found on it."""
    assert FindingState.FAIL not in judged(host(seed)).values()


def test_nothing_known_is_nothing_passed():
    """A host of which only the name is known passes no rule at all."""
    said = judged(HostFacts(at=0.0, hostname="h"))
    assert FindingState.PASS not in said.values(), said
    assert FindingState.FAIL not in said.values(), said


BROKEN = {
    "vm.panic_on_oom": "1",
    "vm.oom_kill_allocating_task": "1",
    "vm.overcommit_memory": "1",
    "vm.zone_reclaim_mode": "1",
    "vm.swappiness": "100",
    "vm.min_free_kbytes": "64",
    "kernel.hung_task_panic": "1",
    "kernel.panic": "0",
}


def broken(seed):
    """A host of the fleet on which whatever these rules look at is wrong."""
    facts = host(seed)
    zram = SwapDevice(name="/dev/zram0", kind="zram", size_bytes=GIB, used_bytes=0)
    hidden = SwapDevice(name="/dev/sdz1", kind="partition", size_bytes=GIB, used_bytes=GIB)
    return replace(
        facts,
        container=None,
        virtualization=None,
        kubernetes=False,
        baseline="stig",
        crash_kernel_loaded=bool(seed % 2),
        crash_kernel_bytes=32 * 1024**2,
        kdump=KdumpFacts(path="/dev/shm", filtered=True, final_action="halt"),
        sysctls={**facts.sysctls, **BROKEN},
        memory=replace(
            facts.memory, swap_total_bytes=2 * GIB, swap_free_bytes=0, mem_available_bytes=GIB // 9
        ),
        swaps=(zram, hidden),
        zswap=True,
        transparent_hugepage="madvise" if seed % 3 else "always",
        hugepages_total=1000,
        hugepages_free=1000,
        hugepages_reserved=0,
        numa_node_count=2,
        anonymous_growth_bytes_per_second=1e9,
        growth_window_seconds=7200.0,
        journal_runtime_max_bytes=1024 * GIB,
    )


def test_broken_hosts_are_found():
    """The same fleet with everything wrong: every rule but one speaks up somewhere.

    OVC-001 has nothing to say here, as the mode is set to 1, which is OVC-003's; OVC-002 needs 2.
    """
    found = set()
    for seed in range(60):
        found |= {name for name, said in judged(broken(seed)).items() if said is FindingState.FAIL}
    silent = {rule.id for rule in HERE} - found
    assert silent <= {"OVC-001", "OVC-002", "HUG-001", "SWP-005", "SWP-007", "TMP-001"}, silent


TOLD_OTHERWISE = {
    # Not set is systemd's default, and `unseen` tells it from not read.
    ("JRN-001", "journal_runtime_max_bytes"),
    # What was asked for is what was set aside, where one is armed; this host contradicts itself.
    ("KDP-002", "crash_kernel_bytes"),
}


@pytest.mark.parametrize(
    "field",
    # own_cgroups and holders have no "not read": they are always looked for.
    [one for one in fields(HostFacts) if one.name not in KEPT and one.default != ()],
    ids=lambda one: one.name,
)
def test_taking_evidence_away_never_makes_a_finding_pass(field):
    """A field that is not read may make a FAIL unknown or not applicable, never fine."""
    missing = field.default is dataclasses.MISSING
    unread = {"memory": HostSample(), "sysctls": {}}.get(field.name) if missing else field.default
    turned = set()
    for seed in range(24):
        facts = broken(seed)
        before, after = judged(facts), judged(replace(facts, **{field.name: unread}))
        turned |= {
            (rule, field.name)
            for rule, said in before.items()
            if said is FindingState.FAIL and after[rule] is FindingState.PASS
        }
    assert turned <= TOLD_OTHERWISE


sizes = st.none() | st.just(0) | st.integers(0, 2**42)
flags = st.none() | st.booleans()
words = st.none() | st.sampled_from(["", "x", "/", "/dev/dm-1", "UUID=1", "always", "0", "stig"])
numbers = st.sampled_from(["", "-1", "0", "1", "2", "60", "9" * 30, "rubbish", "1.5"])
memory = st.builds(
    HostSample,
    mem_total_bytes=sizes,
    mem_available_bytes=sizes,
    swap_total_bytes=sizes,
    swap_free_bytes=sizes,
)
swaps = st.builds(
    SwapDevice,
    name=st.sampled_from(["/dev/dm-1", "/swapfile", "/dev/zram0", "", "x"]),
    kind=st.sampled_from(["partition", "file", "zram", ""]),
    size_bytes=st.integers(0, 2**42),
    used_bytes=st.just(0),
)
mounts = st.builds(
    MountFacts,
    device=st.sampled_from(["/dev/dm-1", "tmpfs", ""]),
    path=st.sampled_from(["/", "/var", "/var/crash", "", "relative", "/tmp"]),
    kind=st.sampled_from(["xfs", "tmpfs", "nfs4", ""]),
    size_bytes=sizes,
    free_bytes=sizes,
)
devices = st.builds(
    BlockDevice,
    name=st.sampled_from(["dm-1", "sda", ""]),
    disks=st.sampled_from([(), ("sda",)]),
    rotational=flags,
)
servers = st.builds(
    PostgresFacts,
    data_directory=words,
    shared_buffers_bytes=sizes,
    huge_pages=words,
    complete=st.booleans(),
)


def several(one):
    return st.none() | st.lists(one, max_size=3).map(tuple)


anything = st.builds(
    lambda base, **changes: replace(base, **changes),
    st.integers(0, 300).map(host),
    memory=memory,
    swaps=several(swaps),
    fstab_swaps=several(st.sampled_from(["/dev/dm-1", "UUID=1", "", "/swapfile", "LABEL=a"])),
    mounts=several(mounts),
    block_devices=several(devices),
    postgres=several(servers),
    sysctls=st.dictionaries(st.sampled_from(sorted(BROKEN)), numbers),
    cmdline=st.none() | st.text(max_size=40).map(lambda text: f"crashkernel={text}"),
    crash_kernel_bytes=sizes,
    crash_kernel_loaded=flags,
    kdump=st.none() | st.builds(KdumpFacts, target=words, address=words, path=words),
    os_version_id=words,
    baseline=words,
    hugepages_total=sizes,
    hugepages_free=sizes,
    hugepages_reserved=sizes,
    hugepage_bytes=sizes,
    numa_node_count=st.none() | st.integers(0, 8),
    transparent_hugepage=words,
    kubernetes=flags,
    commit_limit_bytes=sizes,
    committed_bytes=sizes,
    hugetlb_bytes=sizes,
    anonymous_growth_bytes_per_second=st.none() | st.floats(-1e12, 1e12),
    growth_window_seconds=st.none() | st.floats(0, 1e7),
    journal_runtime_max_bytes=sizes,
    container=st.none() | st.just("docker"),
)
roles = st.none() | st.sampled_from([frozenset(), frozenset({"db"}), frozenset({"k8s"})])


@given(facts=anything, roles=roles)
@settings(max_examples=300)
def test_any_host_is_judged_and_every_pointer_leads_somewhere(facts, roles):
    """Whatever a host says of itself, each rule answers, and points at places that exist."""
    posture = Posture(facts, Terms(roles=roles))
    for rule in HERE:
        one = finding(posture, rule, rule.judge(posture))
        assert one.state in FindingState
        assert one.text or one.state is FindingState.PASS
        assert all(fact.source for fact in one.observed), one.observed
        if one.state is FindingState.FAIL:
            assert one.expected
            assert one.remedy
            assert one.undo
            assert one.reference


@pytest.mark.parametrize("rule", HERE, ids=lambda rule: rule.id)
def test_each_rule_says_why_in_two_to_seven_sentences(rule):
    """The module's docstring is the reference page: a headline, and the reason below it."""
    module = __import__(rule.judge.__module__, fromlist=["__doc__"])
    headline, _, reason = module.__doc__.partition("\n\n")
    assert headline.endswith(".")
    assert 2 <= reason.count(". ") + reason.count(".\n") + reason.count(": ") <= 9
    assert rule.remedy
    assert rule.undo
    assert rule.reference

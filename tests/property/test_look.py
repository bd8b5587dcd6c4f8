"""Whatever a host says of itself, look answers, points at what it says, and stays plain text."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.facts import GIB

from forestall.audit.look import look
from forestall.cli.look_text import render
from forestall.cli.style import Style
from forestall.model.codec import from_document, to_document
from forestall.model.facts import HolderFacts, HostFacts, SwapDevice, UnitFacts
from forestall.model.finding import Look, Outcome
from forestall.model.sample import CgroupSample, HostSample, ProcessKey, ProcessSample

sizes = st.one_of(st.just(0), st.integers(0, 64 * GIB))
maybe_size = st.none() | sizes
names = st.text(max_size=16)
maybe_name = st.none() | names
setting = st.sampled_from(["0", "1", "2", "-1", "10", "", "rubbish"])

processes = st.builds(
    ProcessSample,
    key=st.builds(
        ProcessKey, boot_id=st.just("b"), pid=st.integers(1, 4_000_000), start_ticks=st.just(1)
    ),
    name=names,
    rss_bytes=sizes,
    swap_bytes=maybe_size,
    cgroup=maybe_name,
    unit=maybe_name,
)
holders = st.builds(
    HolderFacts,
    process=processes,
    oom_score=st.none() | st.integers(0, 2000),
    oom_score_adjust=st.none() | st.sampled_from([-1000, -900, 0, 300]),
)
units = st.builds(
    UnitFacts,
    name=names,
    active=st.none() | st.booleans(),
    main_pid=st.none() | st.integers(1, 99),
    memory_max_bytes=maybe_size,
    memory_current_bytes=maybe_size,
    limit_known=st.booleans(),
    restart=st.none() | st.sampled_from(["no", "always", "on-failure"]),
    fragment_path=st.none() | st.sampled_from(["/etc/systemd/system/x", "/usr/lib/systemd/x"]),
)
swaps = st.builds(
    SwapDevice,
    name=names,
    kind=st.sampled_from(["partition", "file", "zram"]),
    size_bytes=sizes,
    used_bytes=sizes,
)
cgroups = st.builds(
    CgroupSample,
    path=names,
    current_bytes=maybe_size,
    max_bytes=maybe_size,
    file_bytes=maybe_size,
    swap_max_bytes=maybe_size,
)


def tuples(of, size=4):
    return st.lists(of, max_size=size).map(tuple)


hosts = st.builds(
    HostFacts,
    at=st.floats(0, 4e9),
    hostname=names,
    kernel_release=maybe_name,
    os_id=st.none() | st.sampled_from(["rhel", "debian", "x"]),
    os_version_id=st.none() | st.sampled_from(["7.6", "12", "x"]),
    os_name=maybe_name,
    booted_at=st.none() | st.floats(0, 4e9),
    container=st.none() | st.just("docker"),
    effective_uid=st.none() | st.sampled_from([0, 1000]),
    memory=st.builds(
        HostSample,
        mem_total_bytes=maybe_size,
        mem_available_bytes=maybe_size,
        swap_total_bytes=maybe_size,
        swap_free_bytes=maybe_size,
    ),
    swaps=st.none() | tuples(swaps),
    sysctls=st.dictionaries(
        st.sampled_from(
            [
                "vm.panic_on_oom",
                "kernel.panic",
                "vm.overcommit_memory",
                "vm.oom_kill_allocating_task",
                "kernel.panic_on_oops",
            ]
        ),
        setting,
    ),
    cgroup_version=st.none() | st.sampled_from([1, 2]),
    own_cgroups=tuples(cgroups, 3),
    psi=st.none() | st.booleans(),
    crash_kernel_loaded=st.none() | st.booleans(),
    systemd_version=st.none() | st.sampled_from([219, 252]),
    units=st.none() | tuples(units),
    holders=tuples(holders, 6),
    process_count=st.none() | st.integers(0, 9999),
    hidden_processes=st.none() | st.booleans(),
    guards=st.none() | tuples(st.sampled_from(["earlyoom", "systemd-oomd", "forestall"])),
    databases=st.none() | tuples(holders, 3),
    commit_limit_bytes=maybe_size,
    committed_bytes=maybe_size,
    unseen=st.dictionaries(st.sampled_from(["units", "psi", "sysctls", "memory"]), names),
)


def all_facts(seen):
    """Every fact that any sentence of a Look stands on."""
    groups = (
        *(reason.facts for reason in seen.exhaustion.because),
        *(point.facts for point in (*seen.between, *seen.abilities)),
        *(finding.observed for finding in seen.findings),
        seen.headroom.facts,
    )
    return [fact for group in groups for fact in group]


@settings(max_examples=300, deadline=None)
@given(hosts)
def test_any_host(facts):
    """It answers, reads back, and each fact is where its pointer says, with the value it says."""
    seen = look(facts)
    document = to_document(seen)
    assert from_document(Look, document) == seen
    for fact in all_facts(seen):
        value = document["facts"]
        for step in fact.pointer.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            value = value[int(key)] if isinstance(value, list) else value.get(key)
            if value is None:
                break
        assert value == fact.value


@settings(max_examples=200, deadline=None)
@given(hosts, st.sampled_from([72, 80, 100]), st.sampled_from(["ascii", "utf-8"]))
def test_any_report_is_plain_text_in_its_columns(facts, width, encoding):
    """No name of a process, unit, host or system can break out of the report."""
    text = render(look(facts), Style(width=width, encoding=encoding))
    text.encode(encoding)
    for line in text.split("\n"):
        assert line.isprintable()
        assert len(line) <= width


@settings(max_examples=200, deadline=None)
@given(hosts)
def test_a_panic_is_never_missed_and_never_invented(facts):
    """The host's outcome is a panic exactly where panic_on_oom says so, else where none is left."""
    value = facts.sysctls.get("vm.panic_on_oom", "")
    outcome = look(facts).exhaustion.host_outcome
    if value in ("1", "2", "10"):
        assert outcome is Outcome.PANIC
    elif value == "0":
        assert outcome not in (Outcome.PANIC, Outcome.UNKNOWN)
    elif value in ("", "rubbish"):
        assert outcome is Outcome.UNKNOWN


@settings(max_examples=100, deadline=None)
@given(hosts)
def test_knowing_less_never_makes_a_host_look_better(facts):
    """Taking vm.panic_on_oom away from a host turns its outcome to UNKNOWN, never to a kill."""
    without = {name: value for name, value in facts.sysctls.items() if name != "vm.panic_on_oom"}
    seen = look(replace(facts, sysctls=without))
    assert seen.exhaustion.host_outcome is Outcome.UNKNOWN
    assert "PAN-001" in [finding.rule for finding in seen.findings]

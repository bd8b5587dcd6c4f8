"""LIM: limits beside a database, what they promise, and what they leave to the database."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, unit
from tests.fakes.seed import MIB, repaired, seed_host

from forestall.audit.posture import Posture
from forestall.audit.rules import (
    lim001_unlimited_beside_database as lim001,
)
from forestall.audit.rules import (
    lim002_promised_too_much as lim002,
)
from forestall.audit.rules import (
    lim003_no_soft_limit as lim003,
)
from forestall.audit.rules import (
    lim004_database_limit_below_need as lim004,
)
from forestall.audit.rules import (
    oom002_as_protected_as_database as oom002,
)
from forestall.audit.rules import (
    svc001_stays_dead as svc001,
)
from forestall.audit.rules.shared import budget
from forestall.audit.terms import Terms
from forestall.model.facts import PostgresFacts
from forestall.model.finding import Cost, FindingState, Severity
from forestall.model.sample import HostSample
from forestall.units import format_bytes

OWN = "/etc/systemd/system/x.service"
DISTRIBUTION = "/usr/lib/systemd/system/x.service"
DB = Terms(roles=frozenset(("db",)))
WEB = Terms(roles=frozenset(("web",)))
FAIL, UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN
PASS, NOT_APPLICABLE = FindingState.PASS, FindingState.NOT_APPLICABLE

SMALL = (PostgresFacts(complete=True),)


def own(name="x.service", **fields):
    """A running service of the site's own."""
    return unit(name, **{"main_pid": 1, "fragment_path": OWN, **fields})


def beside(*units, **changes):
    """The seed's database, and these units in place of its own; nothing else holds much."""
    return seed_host(units=units, holders=seed_host().holders[:1], **changes)


def judged(rule, facts, terms=None):
    return rule.RULE.judge(Posture(facts, terms))


def test_unlimited_beside_a_database():
    """The site's own service without a limit is found, with the setting this systemd knows."""
    found = judged(lim001, seed_host())
    assert (found.state, found.severity) == (FAIL, Severity.CRITICAL)
    assert found.text.startswith("feed-sync.service may take all the memory")
    assert "feed-sync.service MemoryLimit=SIZE" in found.remedy
    assert found.reads == ("/units/1/memory_max_bytes",)
    assert found.remedy.startswith("systemctl set-property feed-sync.service ")
    assert found.undo == "systemctl set-property feed-sync.service MemoryLimit=infinity"


@pytest.mark.parametrize(
    ("version", "setting"), [(230, "MemoryLimit"), (231, "MemoryMax"), (None, "MemoryMax")]
)
def test_the_setting_that_this_systemd_knows(version, setting):
    """MemoryMax= came with 231; one that was not told is taken for a newer one."""
    assert f"{setting}=SIZE" in judged(lim001, seed_host(systemd_version=version)).remedy


@pytest.mark.parametrize(
    "units",
    [
        (own(memory_max_bytes=GIB),),
        (own(fragment_path=DISTRIBUTION),),
        (own(name="postgresql-12.service"),),
        (own(active=False),),
        (),
    ],
    ids=["limited", "distribution's", "the database itself", "stopped", "none"],
)
def test_not_unlimited_beside_a_database(units):
    """Each of these is no danger that a limit on a service of the site would avert."""
    assert judged(lim001, beside(*units)).state is PASS


@pytest.mark.parametrize(("version", "state"), [(1, FAIL), (2, PASS)])
def test_memory_high_alone(version, state):
    """It throttles on cgroup version 2, and does nothing at all on version 1."""
    units = (own(memory_high_bytes=GIB),)
    assert judged(lim001, beside(*units, cgroup_version=version)).state is state


@pytest.mark.parametrize(
    ("limited", "database", "state"),
    [
        ("work.slice", "system.slice", PASS),
        ("work-feeds.slice", "system.slice", PASS),
        ("other.slice", "system.slice", FAIL),
        ("work.slice", "work-pg.slice", FAIL),
    ],
    ids=["its parent", "itself", "another", "shared with the database"],
)
def test_limit_of_a_slice(limited, database, state):
    """What a slice above limits is limited, unless the database lives under the same limit."""
    facts = beside(
        replace(seed_host().units[0], slice=database),
        own(slice="work-feeds.slice"),
        slices=(unit(limited, memory_max_bytes=GIB), unit("system.slice")),
    )
    assert judged(lim001, facts).state is state


def small_beside(facts):
    """The same host with a database that holds little: what holds much is what it is there for."""
    small = holder("postgres", 800, GIB // 2, unit="postgresql-12.service")
    units = tuple(replace(one, memory_current_bytes=None) for one in facts.units)
    holders = (small, *facts.holders[1:])
    little = (replace(facts.postgres[0], shared_buffers_bytes=128 * MIB),)
    return replace(facts, databases=(small,), holders=holders, units=units, postgres=little)


def packed(rss, **fields):
    """The seed's database and a distribution's service beside it that holds `rss`."""
    inside = holder("java", 77, rss)
    process = replace(inside.process, unit="tomcat.service", cgroup="/system.slice/tomcat.service")
    tomcat = own("tomcat.service", fragment_path=DISTRIBUTION, **fields)
    return seed_host(
        units=(seed_host().units[0], tomcat),
        holders=(*seed_host().holders[:1], replace(inside, process=process)),
    )


@pytest.mark.parametrize("main_pid", [77, None], ids=["systemd's own", "a script's"])
def test_a_packed_service_that_holds_much(main_pid):
    """A leak is a leak, whoever packed it and however it was started."""
    found = judged(lim001, packed(12 * GIB, main_pid=main_pid))
    assert found.state is FAIL
    assert found.text.startswith("tomcat.service may take all")
    assert found.reads == ("/units/1/memory_max_bytes",)
    assert judged(lim001, packed(12 * GIB, memory_max_bytes=14 * GIB)).state is PASS
    assert judged(lim001, packed(12 * GIB, limit_known=False)).state is UNKNOWN
    assert judged(lim001, packed(GIB)).state is PASS
    assert judged(lim001, small_beside(packed(12 * GIB))).state is PASS


def test_a_limit_above_the_memory_is_none():
    """What 32 GiB cannot hold, a limit of 64 GiB does not keep; the undo sets it again."""
    found = judged(lim001, beside(own(memory_max_bytes=64 * GIB)))
    assert found.state is FAIL
    assert "no limit below the host's memory (at most 64 GiB is set)" in found.text
    assert found.undo.endswith(f"MemoryMax={64 * GIB}") or "MemoryLimit" in found.undo
    nothing_known = beside(own(memory_max_bytes=64 * GIB), memory=HostSample())
    assert judged(lim001, nothing_known).state is PASS
    high = judged(lim001, beside(own(memory_high_bytes=64 * GIB), cgroup_version=2))
    assert high.state is FAIL


@pytest.mark.parametrize(
    ("cmdline", "state"),
    [
        ("ro cgroup_disable=memory quiet", FAIL),
        ("cgroup_disable=cpu,memory", FAIL),
        ("cgroup_disable=memory cgroup_enable=memory", PASS),
        ("cgroup_disable=cpu", PASS),
    ],
)
def test_a_kernel_that_keeps_no_limit(cmdline, state):
    """Without the memory controller a limit is only written down."""
    found = judged(lim001, beside(own(memory_max_bytes=GIB), cmdline=cmdline))
    assert found.state is state
    if state is FAIL:
        assert found.reads == ("/cmdline",)
        assert found.cost is Cost.REBOOT


@pytest.mark.parametrize("rule", [lim001, oom002, svc001])
def test_a_service_of_unknown_origin(rule):
    """Whose unit it is decides whether it counts; not told is not fine."""
    strange = own(fragment_path=None, restart="no", oom_score_adjust=-900)
    assert judged(rule, beside(strange)).state is UNKNOWN
    assert "x.service" in judged(rule, beside(strange)).text
    fine = replace(strange, memory_max_bytes=GIB, restart="always")
    assert judged(rule, beside(fine)).state is PASS


@pytest.mark.parametrize("rule", [lim002, lim003])
def test_a_limit_that_was_not_told_is_not_within(rule):
    """A promise that nobody read may be too much, and a wall that nobody read may be one."""
    healthy_budget = seed_host(cgroup_version=2, systemd_version=252)
    assert judged(rule, healthy_budget).state is PASS
    untold = own(limit_known=False)
    facts = replace(healthy_budget, units=(*healthy_budget.units, untold))
    assert judged(rule, facts).state is UNKNOWN


def test_a_slice_that_holds_the_database_by_its_cgroup():
    """The database's place is taken from its processes too, whatever unit started it."""
    database = seed_host().databases[0]
    process = replace(database.process, unit=None, cgroup="/work.slice/pg.scope")
    facts = seed_host(
        databases=(replace(database, process=process),),
        units=(own(slice="work.slice"),),
        slices=(unit("work.slice", memory_max_bytes=GIB),),
    )
    assert judged(lim001, facts).state is FAIL


def test_slices_that_were_not_read():
    """In a slice of the site's own whose limit nobody read, a service is not called unlimited."""
    facts = seed_host(units=(own(slice="work.slice"),), slices=None)
    assert judged(lim001, facts).state is UNKNOWN
    assert judged(lim001, seed_host(slices=None)).state is FAIL


@pytest.mark.parametrize("units", [None, (own(limit_known=False),)])
def test_limits_not_told_are_unknown(units):
    """No systemd, or one that names no limit: unknown with its reason."""
    facts = seed_host(units=units, unseen={"units": "systemd does not run here"})
    found = judged(lim001, facts)
    assert found.state is UNKNOWN
    assert "x.service" in found.text or "systemd does not run here" in found.text


@pytest.mark.parametrize(
    ("cgroup", "size", "state"),
    [
        ("/docker/0123abcd", 4 * GIB, UNKNOWN),
        ("/system.slice/docker-0123abcd.scope", 4 * GIB, UNKNOWN),
        ("/machine.slice/libpod-0123abcd.scope", 4 * GIB, UNKNOWN),
        ("/kubepods.slice/kubepods-burstable.slice/x", 4 * GIB, UNKNOWN),
        ("/docker/0123abcd", GIB, PASS),
        ("/docker/0123abcd", 32 * GIB // 20 + 1, UNKNOWN),
        ("/lxc/x", 4 * GIB, UNKNOWN),
        ("/system.slice/crio-0123abcd.scope", 4 * GIB, UNKNOWN),
        ("/system.slice/cri-containerd-0123abcd.scope", 4 * GIB, UNKNOWN),
        ("/user.slice/user-0.slice/session-3.scope", 4 * GIB, UNKNOWN),
        ("/user.slice/user-0.slice/session-3.scope", GIB, PASS),
        ("/work.slice/work-feeds.slice/run-u7.scope", 4 * GIB, PASS),
        ("/user.slice/user-7.slice/x.service/app.slice/java.scope", 4 * GIB, PASS),
        (None, 4 * GIB, UNKNOWN),
    ],
)
def test_outside_of_every_service(cgroup, size, state):
    """What a large process in a container or a login may take is unknown; a slice may limit it."""
    inside = holder("java", 77, size)
    inside = replace(inside, process=replace(inside.process, cgroup=cgroup))
    facts = seed_host(
        units=(own(memory_max_bytes=GIB),),
        holders=(*seed_host().holders[:1], inside),
        slices=(unit("work.slice", memory_max_bytes=8 * GIB),),
    )
    found = judged(lim001, facts)
    assert found.state is state
    contained = cgroup is not None and "session" not in cgroup
    words = "runs in a container" if contained else "which is no service"
    assert state is PASS or ("java (pid 77)" in found.text and words in found.text)


def test_a_database_in_a_container_is_no_danger_to_itself():
    """Only what runs beside it counts."""
    database = seed_host().databases[0]
    process = replace(database.process, cgroup="/docker/0123abcd")
    inside = replace(database, process=process)
    facts = seed_host(databases=(inside,), holders=(inside,), units=())
    assert judged(lim001, facts).state is PASS


def test_which_hosts_it_is_about():
    """Database hosts by role or by what runs; not where there is none, nor where a role says so."""
    assert judged(lim001, seed_host(databases=())).state is NOT_APPLICABLE
    assert judged(lim001, seed_host(), WEB).state is NOT_APPLICABLE
    assert judged(lim001, seed_host(databases=()), DB).state is UNKNOWN
    assert judged(lim001, seed_host(databases=None)).state is UNKNOWN


def test_a_small_database_is_less_grave():
    """A database that holds little today makes no alarm of a developer's machine."""
    small = holder("postgres", 800, GIB // 2, unit="postgresql-12.service")
    found = judged(lim001, seed_host(databases=(small,), holders=(small,), postgres=SMALL))
    assert (found.state, found.severity) == (FAIL, Severity.MEDIUM)


def test_what_is_unknown_beside_a_small_database_is_less_grave_too():
    """Else a host with a tiny etcd, without systemd, would never get past --fail-on high."""
    small = holder("etcd", 800, 30 * 1024**2)
    found = judged(lim001, seed_host(databases=(small,), holders=(small,), units=None))
    assert (found.state, found.severity) == (UNKNOWN, Severity.MEDIUM)
    large = judged(lim001, seed_host(units=None))
    assert (large.state, large.severity) == (UNKNOWN, Severity.CRITICAL)
    unseen = judged(lim001, seed_host(databases=None))
    assert (unseen.state, unseen.severity) == (UNKNOWN, None)


def test_four_thousand_services_are_named_by_three():
    """The text and the evidence stay short however many there are."""
    units = tuple(own(name=f"s{n}.service", main_pid=n + 1) for n in range(4_000))
    found = judged(lim001, seed_host(units=units))
    assert "s0.service, s1.service, s2.service and 3997 more" in found.text
    assert len(found.reads) == 3


def test_the_budget_is_read_out():
    """What is promised is named part by part, with what it comes to."""
    facts = seed_host(
        units=(seed_host().units[0], own(memory_max_bytes=24 * GIB)),
    )
    found = judged(lim002, facts)
    assert (found.state, found.severity) == (FAIL, Severity.HIGH)
    assert found.text == (
        "Up to 35 GiB is promised on a host with 32 GiB of memory (108%): x.service 24 GiB; "
        "shared_buffers 6.0 GiB; 200 connections x work_mem 16 MiB = 3.1 GiB; "
        "3 autovacuum workers x 512 MiB = 1.5 GiB."
    )
    assert "/units/1/memory_max_bytes" in found.reads


def test_the_worst_case_of_sessions_weighs_less():
    """Limits and shared buffers fit; that every session sorts at once is no alarm."""
    server = replace(seed_host().postgres[0], work_mem_bytes=128 * MIB)
    found = judged(lim002, seed_host(postgres=(server,)))
    assert (found.state, found.severity) == (FAIL, Severity.MEDIUM)


@pytest.mark.parametrize(
    ("limit", "inner", "promised"),
    [
        (8, [6, 6, 6], ["work.slice 8.0 GiB"]),
        (8, [2, 2], ["x0.service 2.0 GiB", "x1.service 2.0 GiB"]),
        (8, [2, None], ["work.slice 8.0 GiB"]),
        (None, [6, 6], ["x0.service 6.0 GiB", "x1.service 6.0 GiB"]),
    ],
    ids=["less than its units", "more than its units", "a unit without", "no limit"],
)
def test_a_slice_promises_once(limit, inner, promised):
    """Below a limited slice no more is promised than the slice's limit, nor than its units'."""
    units = [
        own(f"x{at}.service", slice="work-feeds.slice", memory_max_bytes=size and size * GIB)
        for at, size in enumerate(inner)
    ]
    slices = (
        unit("work.slice", memory_max_bytes=limit and limit * GIB),
        unit("work-feeds.slice", memory_max_bytes=30 * GIB) if limit else unit("work-feeds.slice"),
    )
    found = budget.promised(seed_host(units=(seed_host().units[0], *units), slices=slices))
    assert sorted(f"{one.name} {format_bytes(one.size_bytes)}" for one in found) == promised
    places = {one.pointer.split("/")[1] for one in found}
    assert places == {"slices" if promised[0].startswith("work.slice") else "units"}


def test_the_budget_fits():
    """Below nine tenths of memory it is fine, the database's own limit not counted twice."""
    assert judged(lim002, seed_host()).state is PASS
    limited = replace(seed_host().units[0], memory_max_bytes=31 * GIB)
    assert judged(lim002, seed_host(units=(limited, seed_host().units[1]))).state is PASS


def test_defaults_of_what_is_not_set():
    """Files that set nothing mean PostgreSQL's defaults; files half read mean nothing."""
    assert judged(lim002, seed_host(postgres=(PostgresFacts(complete=True),))).state is PASS
    assert judged(lim002, seed_host(postgres=(PostgresFacts(complete=False),))).state is UNKNOWN


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"postgres": None}, UNKNOWN),
        ({"units": None}, UNKNOWN),
        ({"postgres": ()}, NOT_APPLICABLE),
        ({"postgres": None, "databases": (holder("mysqld", 9, 8 * GIB),)}, NOT_APPLICABLE),
        ({"databases": ()}, NOT_APPLICABLE),
        ({"databases": None}, UNKNOWN),
    ],
)
def test_budget_without_evidence(changes, state):
    """Settings that were not read are unknown; another database's settings are not understood."""
    assert judged(lim002, seed_host(**changes)).state is state


def bare(shared, work=0, **changes):
    """A PostgreSQL that may take so much on a host of 10 GiB, and one connection's worth."""
    server = PostgresFacts(
        complete=True,
        shared_buffers_bytes=shared,
        max_connections=1,
        work_mem_bytes=work,
        autovacuum_max_workers=0,
    )
    facts = seed_host(postgres=(server,), **changes)
    return replace(facts, memory=replace(facts.memory, mem_total_bytes=10 * GIB))


def test_the_budget_to_the_byte():
    """Nine tenths may be promised; what is certain weighs more than what is not."""
    assert judged(lim002, bare(9 * GIB)).state is PASS
    over = judged(lim002, bare(9 * GIB + 1))
    assert (over.state, over.severity) == (FAIL, Severity.HIGH)
    assert over.expected == "at most 9.0 GiB promised"
    assert "/postgres/0/shared_buffers_bytes" in over.reads
    worst = judged(lim002, bare(9 * GIB, work=1))
    assert (worst.state, worst.severity) == (FAIL, Severity.MEDIUM)
    facts = bare(9 * GIB + 1)
    assert judged(lim002, replace(facts, memory=HostSample())).state is UNKNOWN


def test_the_budget_of_a_host_whose_processes_were_not_seen():
    """A role says that there is a database; whether it is PostgreSQL nobody knows."""
    blind = seed_host(databases=None, postgres=None)
    assert judged(lim002, blind, DB).state is UNKNOWN
    old = seed_host(databases=(holder("postmaster", 9, 8 * GIB),), postgres=None)
    assert judged(lim002, old).state is UNKNOWN


def test_a_long_budget_is_cut():
    """Three limits and the sum of the rest, and ten lines at most with the servers' own."""
    units = tuple(own(f"s{n}.service", memory_max_bytes=(9 - n) * GIB) for n in range(5))
    table = judged(lim002, seed_host(units=units, postgres=seed_host().postgres * 3)).text
    assert "s2.service 7.0 GiB; 2 more limits 11 GiB; shared_buffers" in table
    assert table.count(";") == 9


def test_autovacuum_takes_maintenance_work_mem():
    """-1, the default, stands for maintenance_work_mem; its own value goes before it."""
    server = seed_host().postgres[0]
    for value, expected in ((None, "3 autovacuum workers x 20 GiB"), (-1, "x 20 GiB")):
        changed = replace(
            server, maintenance_work_mem_bytes=20 * GIB, autovacuum_work_mem_bytes=value
        )
        assert expected in judged(lim002, seed_host(postgres=(changed,))).text
    changed = replace(server, maintenance_work_mem_bytes=20 * GIB, autovacuum_work_mem_bytes=MIB)
    assert judged(lim002, seed_host(postgres=(changed,))).state is PASS


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"units": (own(memory_max_bytes=GIB),)}, FAIL),
        ({"units": (own(memory_max_bytes=GIB, memory_high_bytes=GIB // 2),)}, PASS),
        ({"units": (own(),)}, PASS),
        ({"units": (own(memory_max_bytes=GIB),), "cgroup_version": 1}, NOT_APPLICABLE),
        ({"units": (own(memory_max_bytes=GIB),), "systemd_version": 230}, NOT_APPLICABLE),
        ({"units": (own(memory_max_bytes=GIB),), "systemd_version": 231}, FAIL),
        ({"units": (own(memory_max_bytes=GIB),), "systemd_version": None}, UNKNOWN),
        ({"units": (own(memory_max_bytes=GIB),), "cgroup_version": None}, UNKNOWN),
        ({"units": None}, UNKNOWN),
        ({"units": None, "container": "docker"}, NOT_APPLICABLE),
    ],
)
def test_no_soft_limit(changes, state):
    """A hard limit alone, where this host knows a soft one."""
    assert judged(lim003, healthy(**changes)).state is state


def test_swap_behind_the_wall_is_said():
    """What is over the limit goes to swap where there is any and nothing limits it."""
    walled = own(memory_max_bytes=GIB)
    assert "no MemorySwapMax=" in judged(lim003, healthy(units=(walled,))).text
    bounded = replace(walled, swap_max_bytes=0)
    assert "MemorySwapMax" not in judged(lim003, healthy(units=(bounded,))).text
    assert "MemorySwapMax" in judged(lim003, healthy(units=(bounded, walled))).text
    swapless = healthy(units=(walled,))
    swapless = replace(swapless, memory=replace(swapless.memory, swap_total_bytes=0))
    assert "MemorySwapMax" not in judged(lim003, swapless).text


def test_walls_are_named():
    """One has, two have; the remedy is for the first."""
    one = judged(lim003, healthy(units=(own(memory_max_bytes=GIB),)))
    assert one.text.startswith("x.service has a hard limit")
    units = (own("b.service", memory_max_bytes=GIB), own("a.service", memory_max_bytes=GIB))
    two = judged(lim003, healthy(units=units))
    assert two.text.startswith("b.service, a.service have a hard limit")
    assert "set-property b.service MemoryHigh=SIZE" in two.remedy
    assert two.undo == "systemctl set-property b.service MemoryHigh=infinity"


def limited_database(limit, **changes):
    """The incident's host with a limit on PostgreSQL's unit."""
    database, service = seed_host().units
    return seed_host(units=(replace(database, memory_max_bytes=limit), service), **changes)


@pytest.mark.parametrize(
    ("limit", "state", "severity"),
    [
        (6 * GIB, FAIL, Severity.HIGH),
        (9 * GIB, FAIL, Severity.LOW),
        (12 * GIB, PASS, None),
        (None, NOT_APPLICABLE, None),
    ],
)
def test_database_limit_below_its_settings(limit, state, severity):
    """Shared buffers of 6 GiB do not fit into 6; that all sessions sort at once is a note."""
    found = judged(lim004, limited_database(limit))
    assert (found.state, found.severity) == (state, severity)


def test_a_database_limit_to_the_byte():
    """Shared buffers within nine tenths of the limit are a note, above that an alarm."""

    def limited(limit, shared):
        facts = bare(shared, work=GIB)
        return replace(facts, units=(replace(facts.units[0], memory_max_bytes=limit),))

    assert judged(lim004, limited(10 * GIB, 9 * GIB)).state is PASS
    assert judged(lim004, limited(10 * GIB - 10, 9 * GIB - 9)).severity is Severity.LOW
    high = judged(lim004, limited(10 * GIB - 10, 9 * GIB - 8))
    assert high.severity is Severity.HIGH
    assert high.undo.endswith(f"postgresql-12.service MemoryMax={10 * GIB - 10}")
    assert high.reads[0] == "/units/0/memory_max_bytes"


def test_database_limit_without_evidence():
    """Unknown settings, and two servers whose settings cannot be told apart."""
    assert judged(lim004, limited_database(GIB, postgres=None)).state is UNKNOWN
    assert judged(lim004, seed_host(units=None)).state is UNKNOWN
    two = seed_host().postgres * 2
    assert judged(lim004, limited_database(GIB, postgres=two)).state is NOT_APPLICABLE
    assert judged(lim004, healthy()).state is NOT_APPLICABLE
    assert judged(lim004, healthy(databases=None, units=None)).state is UNKNOWN
    assert judged(lim004, healthy(databases=(), units=None)).state is NOT_APPLICABLE
    half = replace(seed_host().postgres[0], complete=False)
    assert judged(lim004, limited_database(GIB, postgres=(half,))).state is UNKNOWN
    idle = replace(limited_database(None), units=(own("other.service", memory_max_bytes=GIB),))
    assert judged(lim004, idle).state is NOT_APPLICABLE


def test_what_the_audit_asks_for_is_enough():
    """The remedies of these rules make them pass."""
    facts = repaired(seed_host())
    assert judged(lim001, facts).state is PASS
    assert judged(lim002, facts).state is PASS

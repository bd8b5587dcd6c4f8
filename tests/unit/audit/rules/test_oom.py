"""OOM: whom the OOM killer takes, the database, what runs beside it, or nobody."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, unit, with_sysctls
from tests.fakes.seed import repaired, seed_host

from forestall.audit.posture import Posture
from forestall.audit.rules import oom001_database_unprotected as oom001
from forestall.audit.rules import oom002_as_protected_as_database as oom002
from forestall.audit.rules import oom003_unkillable as oom003
from forestall.audit.terms import Terms
from forestall.model.facts import PostgresFacts
from forestall.model.finding import FindingState, Severity

FAIL, UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN
PASS, NOT_APPLICABLE = FindingState.PASS, FindingState.NOT_APPLICABLE
OWN = "/etc/systemd/system/x.service"

SMALL = (PostgresFacts(complete=True),)


def judged(rule, facts, terms=None):
    return rule.RULE.judge(Posture(facts, terms))


def database_host(adjust, **changes):
    """A host whose OOM killer judges a database with `adjust`."""
    main = holder("postgres", 800, GIB, 700, adjust, "postgresql.service")
    return healthy(**{"databases": (main,), "holders": (main,), **changes})


@pytest.mark.parametrize(
    ("adjust", "state"),
    [(0, FAIL), (-499, FAIL), (None, UNKNOWN), (-500, PASS), (-900, PASS), (-1000, PASS)],
)
def test_database_protected(adjust, state):
    """From -500 down it is protected; judged like any other, or not known, is said."""
    found = judged(oom001, database_host(adjust))
    assert found.state is state
    assert state is PASS or found.reads == ("/databases/0/oom_score_adjust",)
    assert state is PASS or found.severity is Severity.HIGH


def test_a_panic_hides_nothing():
    """Where the host panics today, the database is named as the one that is taken after that."""
    found = judged(oom001, with_sysctls(database_host(0), vm__panic_on_oom="1"))
    assert (found.state, found.severity) == (FAIL, Severity.HIGH)
    assert found.text.startswith("Once this host no longer panics on OOM, the OOM killer judges")
    calm = judged(oom001, database_host(0))
    assert calm.text == (
        "The OOM killer judges postgres (pid 800, 1.0 GiB) like any other process: oom_score_adj 0."
    )


def test_sessions_that_inherit_the_exemption():
    """-1000 on the sessions too means that one that runs away is never killed."""
    main = holder("postgres", 800, GIB, 0, -1000, "postgresql.service")
    session = holder("postgres", 801, 2 * GIB, 0, -1000, "postgresql.service")
    found = judged(oom001, healthy(databases=(main,), holders=(main, session)))
    assert (found.state, found.severity) == (FAIL, Severity.MEDIUM)
    assert found.reads == ("/holders/1/oom_score_adjust",)
    many = [holder("postgres", 801 + n, GIB, 0, -1000, "postgresql.service") for n in range(5)]
    several = judged(oom001, healthy(databases=(main,), holders=(main, *many)))
    assert several.reads == tuple(f"/holders/{n}/oom_score_adjust" for n in (1, 2, 3))
    nearly = replace(main, oom_score_adjust=-999)
    assert judged(oom001, healthy(databases=(nearly,), holders=(nearly, *many))).state is PASS
    killable = replace(session, oom_score_adjust=0)
    assert judged(oom001, healthy(databases=(main,), holders=(main, killable))).state is PASS


@pytest.mark.parametrize("rule", [oom001, oom002])
@pytest.mark.parametrize(
    ("facts", "terms", "state"),
    [
        (healthy(), None, NOT_APPLICABLE),
        (healthy(databases=None), None, UNKNOWN),
        (healthy(databases=None), Terms(roles=frozenset(("web",))), NOT_APPLICABLE),
        (seed_host(container="docker"), None, NOT_APPLICABLE),
        (seed_host(), Terms(roles=frozenset(("web",))), NOT_APPLICABLE),
        (healthy(), Terms(roles=frozenset(("db",))), UNKNOWN),
        (healthy(databases=(), unseen={"databases": "hidden"}), None, UNKNOWN),
        (healthy(databases=None), Terms(roles=frozenset(("db",))), UNKNOWN),
    ],
)
def test_where_there_is_a_database(rule, facts, terms, state):
    """About hosts with a database; whether there is one may be unknown."""
    assert judged(rule, facts, terms).state is state


@pytest.mark.parametrize("rule", [oom001, oom002])
def test_a_small_database_is_less_grave(rule):
    """An idle database on a developer's machine is no alarm."""
    small = holder("postgres", 800, GIB // 2, unit="postgresql-12.service")
    found = judged(rule, seed_host(databases=(small,), holders=(small,), postgres=SMALL))
    assert (found.state, found.severity) == (FAIL, Severity.MEDIUM)


def beside(service, database=-500, **unit_fields):
    """A database with one score, and a service beside it whose main process has another."""
    main = holder("postgres", 800, 4 * GIB, 100, database, "postgresql.service")
    feed = holder("python", 900, GIB, 100, service, "x.service")
    own = unit("x.service", **{"main_pid": 900, "fragment_path": OWN, **unit_fields})
    return healthy(databases=(main,), holders=(main, feed), units=(own,))


@pytest.mark.parametrize(
    ("service", "database", "state"),
    [
        (0, 0, FAIL),
        (-900, -900, FAIL),
        (-1000, -900, FAIL),
        (0, -900, PASS),
        (500, 0, PASS),
        (500, None, UNKNOWN),
        (None, -900, UNKNOWN),
    ],
)
def test_as_protected_as_the_database(service, database, state):
    """Found where the service's score is not above the database's."""
    assert judged(oom002, beside(service, database)).state is state


def test_a_service_with_a_limit_is_left_out():
    """It is killed inside its own cgroup, before it is compared with anybody."""
    assert judged(oom002, beside(0, 0, memory_max_bytes=GIB)).state is PASS


def test_a_service_whose_limit_is_not_told():
    """It may be killed inside a limit of its own; that is not known, and not blamed."""
    assert judged(oom002, beside(0, 0, limit_known=False)).state is UNKNOWN
    assert judged(oom002, beside(500, 0, limit_known=False)).state is PASS


def test_the_unit_stands_in_for_a_process_that_is_not_seen():
    """A small service has no process in the facts; its unit says how it was started."""
    facts = beside(0, -900, main_pid=901, oom_score_adjust=-900)
    found = judged(oom002, facts)
    assert found.state is FAIL
    assert "/units/0/oom_score_adjust" in found.reads
    assert found.text == (
        "x.service has no higher oom_score_adj than postgres, so the larger of them would be "
        "killed, whichever leaks."
    )


def test_services_not_told_are_unknown():
    """Without systemd nobody knows what runs beside the database."""
    facts = seed_host(units=None, unseen={"units": "systemd does not run here"})
    found = judged(oom002, facts)
    assert (found.state, found.severity) == (UNKNOWN, Severity.HIGH)
    assert "systemd does not run here" in found.text


def test_no_service_beside_the_database():
    """A database alone has nobody to be compared with."""
    assert judged(oom002, seed_host(units=seed_host().units[:1])).state is PASS


def test_services_as_protected_are_named():
    """Three of them with their places, and the remedy for the first."""
    main = holder("postgres", 800, 4 * GIB, 100, 0, "postgresql.service")
    units = tuple(
        unit(f"s{n}.service", main_pid=900 + n, fragment_path=OWN, oom_score_adjust=0)
        for n in range(4)
    )
    found = judged(oom002, healthy(databases=(main,), holders=(main,), units=units))
    assert found.text.startswith("s0.service, s1.service, s2.service and 1 more have no higher")
    assert found.reads == (
        "/databases/0/oom_score_adjust",
        *(f"/units/{n}/oom_score_adjust" for n in range(3)),
    )
    assert "systemctl edit s0.service" in found.remedy
    assert "systemctl edit s0.service" in found.undo
    two = judged(oom002, healthy(databases=(main,), holders=(main,), units=units[:2]))
    assert two.severity is Severity.HIGH
    mixed = (units[0], replace(units[1], limit_known=False))
    told = judged(oom002, healthy(databases=(main,), holders=(main,), units=mixed))
    assert told.text.startswith("s0.service has no higher")


def test_a_process_without_a_score_is_judged_by_its_unit():
    """What the unit says counts where the process itself was not read."""
    facts = beside(None, 0, oom_score_adjust=0)
    found = judged(oom002, facts)
    assert found.reads == ("/databases/0/oom_score_adjust", "/units/0/oom_score_adjust")
    untold = judged(oom002, beside(None, 0))
    assert untold.text == "The oom_score_adj of x.service is not seen."
    limits = judged(oom002, beside(0, 0, limit_known=False))
    assert limits.text == "Whether x.service has a memory limit is not told."
    assert judged(oom002, beside(0, None)).reads == ("/databases/0/oom_score_adjust",)


def test_unkillable_holder():
    """A large exempt process makes the rest die for it; a small one does not matter."""
    large = holder("java", 5, 4 * GIB, 0, -1000)
    other = holder("python", 6, 4 * GIB, 400, 0)
    found = judged(oom003, healthy(holders=(large, other)))
    assert (found.state, found.severity) == (FAIL, None)
    assert "4.0 GiB is held by processes the kernel may not kill (java, pid 5)" in found.text
    small = replace(large, process=replace(large.process, rss_bytes=GIB // 4))
    assert judged(oom003, healthy(holders=(small, other))).state is PASS


def test_nobody_left_to_kill():
    """Where what is exempt leaves less than a quarter of memory, the end is a panic."""
    large = holder("java", 5, 13 * GIB, 0, -1000)
    found = judged(oom003, healthy(holders=(large, holder("python", 6, 2 * GIB))))
    assert (found.state, found.severity) == (FAIL, Severity.CRITICAL)
    assert "the kernel panics" in found.text


def test_a_quarter_is_left_to_kill():
    """Exactly a quarter of memory is enough, a page less is not."""
    other = holder("python", 6, 2 * GIB)
    for size, severity in ((12 * GIB, None), (12 * GIB + 4096, Severity.CRITICAL)):
        large = holder("java", 5, size, 0, -1000)
        assert judged(oom003, healthy(holders=(large, other))).severity is severity


def test_nobody_large_is_left():
    """Half of memory exempt, and no other process of weight: the next leak is its own killer's."""
    small = holder("python", 6, GIB // 4)
    for size, severity in ((8 * GIB, Severity.CRITICAL), (8 * GIB - 4096, None)):
        large = holder("java", 5, size, 0, -1000)
        assert judged(oom003, healthy(holders=(large, small))).severity is severity


def test_who_is_named_among_the_exempt():
    """Not the database, unless nobody else would be left; the largest, and three as evidence."""
    main = holder("postgres", 800, 4 * GIB, 0, -1000)
    java = [holder("java", 5 + n, (1 + n) * GIB, 0, -1000) for n in range(2)]
    other = holder("python", 60, 4 * GIB, 400, 0)
    facts = healthy(databases=(main,), holders=(main, *java, other))
    found = judged(oom003, facts)
    assert found.severity is None
    assert found.text == (
        "3.0 GiB is held by processes the kernel may not kill (java, pid 6, ...): if one of them "
        "leaks, the rest dies first."
    )
    assert found.reads == ("/holders/1/oom_score_adjust", "/holders/2/oom_score_adjust")
    huge = replace(facts, holders=(main, *java, holder("java", 9, 7 * GIB, 0, -1000), other))
    last = judged(oom003, huge)
    assert last.severity is Severity.CRITICAL
    assert last.text.startswith("14 GiB is held")
    assert len(last.reads) == 3
    one = judged(oom003, healthy(holders=(java[0], other)))
    assert "(java, pid 5): if" in one.text


def test_an_unknown_size_of_memory():
    """Without it nobody knows what is large."""
    facts = healthy(holders=(holder("java", 5, 4 * GIB, 0, -1000),))
    facts = replace(facts, memory=replace(facts.memory, mem_total_bytes=None))
    assert judged(oom003, facts).state is UNKNOWN


def test_a_database_may_exempt_its_main_process():
    """PostgreSQL's own documentation asks for it, so it is no finding until it is too much."""
    main = holder("postgres", 800, 4 * GIB, 0, -1000)
    other = holder("python", 6, 4 * GIB, 400, 0)
    assert judged(oom003, healthy(databases=(main,), holders=(main, other))).state is PASS
    huge = holder("postgres", 800, 13 * GIB, 0, -1000)
    found = judged(oom003, healthy(databases=(huge,), holders=(huge,)))
    assert (found.state, found.severity) == (FAIL, Severity.CRITICAL)
    session = holder("postgres", 801, 2 * GIB, 0, -1000)
    both = judged(oom003, healthy(databases=(huge,), holders=(session, huge)))
    assert both.text.startswith("13 GiB is held")


def test_shared_memory_of_a_database_counts_once():
    """Ten exempt processes with the same 4 GiB of shared buffers hold 4 GiB, not 40."""
    main = holder("postgres", 800, 4 * GIB, 0, -1000)
    more = [holder("postgres", 801 + n, 4 * GIB, 0, -1000) for n in range(9)]
    other = holder("python", 6, 4 * GIB, 400, 0)
    facts = healthy(databases=(main,), holders=(main, *more, other))
    assert judged(oom003, facts).state is PASS


def test_scores_that_were_not_read():
    """No holder, or none with a score, is unknown; a container's killer is its host's."""
    assert judged(oom003, healthy(holders=())).state is UNKNOWN
    unread = holder("x", 5, GIB, None, None)
    assert judged(oom003, healthy(holders=(unread,))).state is UNKNOWN
    assert judged(oom003, healthy(holders=(unread, holder("y", 6)))).state is UNKNOWN
    small = holder("x", 5, GIB // 2, None, None)
    assert judged(oom003, healthy(holders=(small, holder("y", 6)))).state is PASS
    seen = healthy(holders=(holder("y", 6),))
    assert judged(oom003, replace(seen, hidden_processes=True)).state is UNKNOWN
    assert judged(oom003, replace(seen, unseen={"holders": "half a list"})).state is UNKNOWN


@pytest.mark.parametrize(
    ("adjust", "database", "state"),
    [(-900, 0, FAIL), (-900, -900, PASS), (-100, 0, PASS), (-900, -1000, PASS)],
)
def test_the_database_is_killed_before_it(adjust, database, state):
    """20 of 32 GiB at -900 and all that is left weigh less than a database of 8 GiB at 0."""
    base = seed_host(kubernetes=False)
    facts = replace(
        base,
        holders=(
            holder("splunkd", 44, 20 * GIB, 0, adjust),
            holder("postgres", 800, 8 * GIB, 0, database),
        ),
        databases=(holder("postgres", 800, 8 * GIB, 0, database),),
        memory=replace(base.memory, mem_available_bytes=4 * GIB, swap_free_bytes=4 * GIB),
    )
    found = judged(oom003, facts)
    assert found.state is state
    assert state is not FAIL or "postgres is killed before it" in found.text
    assert judged(oom003, replace(facts, kubernetes=True)).state is PASS


def test_hardly_killable_is_as_good_as_exempt():
    """-999 weighs nothing until it holds all of the host; it may still be outweighed, so MEDIUM."""
    facts = healthy(holders=(holder("splunkd", 44, 8 * GIB, 0, -999),))
    told = judged(oom003, facts)
    assert (told.state, told.severity) == (FAIL, Severity.MEDIUM)
    assert "until it holds 99.9 % of memory and swap" in told.text
    assert judged(oom003, replace(facts, kubernetes=True)).state is PASS
    assert judged(oom003, healthy(holders=(holder("x", 44, 8 * GIB, 0, -900),))).state is PASS
    assert judged(oom003, healthy(holders=(holder("x", 44, GIB // 2, 0, -999),))).state is PASS
    assert judged(oom003, healthy(container="docker")).state is NOT_APPLICABLE


def test_what_the_audit_asks_for_is_enough():
    """The remedies of these rules make them pass."""
    for rule in (oom001, oom002, oom003):
        assert judged(rule, repaired(seed_host())).state is PASS


def test_a_database_in_java_is_said_not_to_be_known():
    """Elasticsearch and its kin have java's name; the words say so, and what helps."""
    found = judged(oom001, healthy(holders=(holder("java", 900, GIB, 700, 0, "es.service"),)))
    assert found.state is NOT_APPLICABLE
    assert "Elasticsearch" in found.text
    assert "--role db=" in found.text
    assert "java" not in judged(oom001, healthy()).text

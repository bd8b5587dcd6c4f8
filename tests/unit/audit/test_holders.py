"""Who is taken first, and what the OOM killer weighs."""

from dataclasses import replace

from tests.fakes.facts import GIB, healthy, holder, seed_like, unit

from forestall.audit import holders as held


def test_largest_first_whatever_the_order_they_were_read_in():
    """A reader sees the largest holder at the top."""
    facts = healthy(holders=(holder("a", 1, GIB), holder("b", 2, 3 * GIB), holder("c", 3, 2 * GIB)))
    assert [found.name for found in held.holders(facts)] == ["b", "c", "a"]


def test_swap_counts_as_held():
    """A process that was swapped out still holds what it holds."""
    facts = healthy(holders=(holder("a", 1, GIB, swap=4 * GIB), holder("b", 2, 3 * GIB)))
    first = held.holders(facts)[0]
    assert (first.name, first.memory_bytes) == ("a", 5 * GIB)
    assert first.share == 5 / 16


def test_of_equal_scores_the_larger_is_taken():
    """/proc/PID/oom_score is coarse: many share one, and the kernel's own points decide."""
    facts = healthy(holders=(holder("small", 2, GIB, 666), holder("big", 3, 2 * GIB, 666)))
    assert held.first_pick_index(facts) == 1


def test_init_of_a_container_is_a_process_like_any_other():
    """PID 1 is spared on a host only; in a container it is usually the service itself."""
    alone = (holder("gunicorn", 1, GIB, 800),)
    assert held.first_pick_index(healthy(holders=alone)) is None
    assert held.first_pick_index(healthy(holders=alone, container="docker")) == 0


def test_an_unread_score_is_nobody():
    """Without a score nobody is named."""
    assert held.first_pick_index(healthy(holders=(holder("a", 2, GIB, None),))) is None


def test_every_process_of_the_database_is_the_database():
    """By name, and by the unit it runs in."""
    facts = seed_like(
        holders=(
            holder("postgres", 801, GIB, unit=None),
            holder("wal-g", 802, GIB, unit="postgresql.service"),
            holder("python", 900, GIB, unit="feed-sync.service"),
        )
    )
    found = {entry.name: entry.database for entry in held.holders(facts)}
    assert found == {"postgres": True, "wal-g": True, "python": False}


def test_the_main_database_is_the_one_that_holds_most():
    """Beside a small etcd, the PostgreSQL is the database this is about."""
    facts = seed_like(databases=(holder("etcd", 5, GIB), holder("postgres", 6, 2 * GIB)))
    assert held.main_database(facts) == 1
    assert held.main_database(seed_like(databases=())) is None
    assert held.main_database(seed_like(databases=None)) is None


def test_systemd_knows_better_what_a_database_holds():
    """Where systemd accounts the unit's memory, that is what the database holds."""
    facts = seed_like()
    database = facts.databases[0]
    assert held.database_bytes(facts, database) == 9 * GIB
    accounted = unit("postgresql.service", memory_current_bytes=11 * GIB)
    assert held.database_bytes(replace(facts, units=(accounted,)), database) == 11 * GIB


def test_an_exempt_main_process_leaves_its_sessions_killable():
    """PostgreSQL's own advice exempts the postmaster only, so a session is the heaviest."""
    main = holder("postgres", 800, GIB, 0, -1000)
    session = holder("postgres", 801, 4 * GIB, 700, 0)
    facts = seed_like(databases=(main,), holders=(main, session))
    assert held.heaviest_killable(facts, main) is session
    assert held.heaviest_killable(replace(facts, holders=(main,)), main) is None


def test_weight_is_memory_moved_by_the_adjustment():
    """A thousandth of memory and swap for each point: -500 of 32 GiB is 16 GiB less."""
    facts = healthy()
    assert held.weight_bytes(facts, holder("a", 5, 2 * GIB, adjust=-500)) == -14 * GIB
    assert held.weight_bytes(facts, holder("a", 5, 2 * GIB, adjust=None)) is None


def test_who_stands_out():
    """A large process, or one that volunteers; against a small limit, smaller ones too."""
    facts = healthy(
        holders=(
            holder("large", 2, GIB),
            holder("small", 3, GIB // 8),
            holder("volunteer", 4, GIB // 8, adjust=300),
        )
    )
    assert [held.stands_out(facts, index) for index in range(3)] == [True, False, True]
    assert held.stands_out(facts, 1, total_bytes=GIB)


def test_a_databases_sessions_under_another_name_count():
    """`postmaster` with sessions called `postgres` holds what its largest session holds."""
    main = holder("postmaster", 800, 400 * 1024**2, 0, 0, "postgresql-11.service")
    session = holder("postgres", 801, 4 * 1024**3, 0, 0, "postgresql-11.service")
    other = holder("postgres", 900, 9 * 1024**3, 0, 0, "other.service")
    facts = healthy(holders=(other, session, main), databases=(main,))
    assert held.database_bytes(facts, main) == 4 * 1024**3

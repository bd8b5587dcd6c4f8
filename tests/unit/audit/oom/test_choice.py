"""The kernel's arithmetic of a choice, done again."""

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import explain

from forestall.audit.oom.choice import scores, total_pages, why_chosen
from forestall.audit.oom.nouns import Constraint, Event, Gauge, Kill, Kind, Pool, Task

PAGE = 4096


def task(pid: int, name: str, pages: int, adjust: int = 0, uid: int = 1000) -> Task:
    return Task(
        pid=pid,
        name=name,
        tgid=pid,
        uid=uid,
        total_vm_bytes=pages * PAGE,
        rss_bytes=pages * PAGE,
        swap_bytes=0,
        page_table_bytes=0,
        oom_score_adjust=adjust,
    )


def event(*tasks: Task, **more: object) -> Event:
    fields: dict[str, object] = {
        "kind": Kind.OOM,
        "line": 1,
        "last_line": 9,
        "ram_pages": 1_000_000,
        "reserved_pages": 0,
        "tasks": tasks,
        "tasks_header": True,
        **more,
    }
    return Event(**fields)  # type: ignore[arg-type]


def test_the_formula():
    """Pages held, plus a thousandth of memory and swap for each point of oom_score_adj."""
    found = event(
        task(1, "init", 900_000),
        task(10, "big", 500_000),
        task(11, "asked-for", 100_000, adjust=500),
        task(12, "spared", 800_000, adjust=-1000),
        task(13, "shy", 600_000, adjust=-200),
        swap_total_bytes=1_000_000 * PAGE,
        swap_free_bytes=0,
    )
    total = total_pages(found)
    assert total is not None
    assert (total.pages, total.exact) == (2_000_000, True)
    assert [(one.task.name, one.points) for one in scores(found)] == [
        ("asked-for", 1_100_000),
        ("big", 500_000),
        ("shy", 200_000),
    ]


@pytest.mark.parametrize("era", oom.ERAS[1:])
def test_the_victim_of_every_generation_is_the_heaviest(era):
    """Whom the table says is heaviest is whom the report says was killed."""
    machine = oom.filled(
        oom.Machine(
            era=era,
            zones=oom_hosts.X86_16_GIB,
            procs=(
                *oom_hosts.small(era),
                oom.Proc(50, "leak", 900_000, adjust=-300),
                oom.Proc(51, "job", 200_000, adjust=200),
            ),
        ),
        "leak",
    )
    account = explain(oom.stamped(oom.report(machine))).accounts[0]
    assert account.victims[0].pid == machine.victim().pid
    assert "the highest of those that may be killed" in account.why_victim[0]


def test_old_kernels_print_the_score_and_it_agrees():
    """score 796 of 1000 in the log is what the table comes to."""
    account = explain(oom.stamped(oom.report(oom_hosts.incident()))).accounts[0]
    score = account.victims[0].score
    assert f"(the kernel printed a score of {score}; this is {score})" in account.why_victim[0]


def test_a_child_in_place_of_its_parent():
    """Before 5.1 the chosen one's child dies."""
    found = event(
        task(10, "httpd", 500_000),
        task(11, "cgi", 1_000),
        chosen=Kill(pid=10, name="httpd", line=7),
        kills=(Kill(pid=11, name="cgi", line=8),),
    )
    told = why_chosen(found)
    assert told[0].startswith("The kernel chose httpd (pid 10) and killed its child cgi (pid 11)")
    assert told[1].startswith("httpd (pid 10) weighed 500000 pages")


def test_who_asks_is_killed():
    """vm.oom_kill_allocating_task makes the arithmetic moot."""
    kill = (Kill(pid=10, name="cron", line=8),)
    told = why_chosen(event(task(10, "cron", 10), kills=kill, kills_who_asks=True))
    assert "vm.oom_kill_allocating_task" in told[0]


def test_roots_bonus_of_old_kernels():
    """Up to 4.16 a process of root's weighs 3 % less."""
    kill = (Kill(pid=11, name="app", line=8),)
    tasks = (task(10, "rootd", 510_000, uid=0), task(11, "app", 500_000))
    assert "it is root's" in why_chosen(event(*tasks, kills=kill, kernel="3.10.0-957.el7"))[1]
    assert "too close to call" in why_chosen(event(*tasks, kills=kill, kernel="5.14.0"))[1]


def test_what_the_log_does_not_explain_is_said():
    """A heavier process that was passed over is named, not explained away."""
    kill = (Kill(pid=11, name="app", line=8),)
    told = why_chosen(event(task(10, "dying", 900_000), task(11, "app", 1_000), kills=kill))
    assert "why it was passed over is not in the log" in told[1]


def test_a_victim_that_may_not_be_weighed():
    """Without its row of the table nothing is said of its weight."""
    kill = (Kill(pid=11, name="app", line=8),)
    assert "cannot be told" in why_chosen(event(kills=kill))[0]
    assert "cannot be told" in why_chosen(event(task(10, "x", 5), kills=kill))[0]


def test_whoever_holds_more_and_is_spared_is_named():
    """oom_score_adj -1000 keeps the largest alive."""
    kill = (Kill(pid=11, name="app", line=8),)
    tasks = (task(10, "db", 900_000, adjust=-1000), task(11, "app", 1_000))
    assert "db (pid 10) holds more" in why_chosen(event(*tasks, kills=kill))[-1]


def cgroup(*tasks: Task, score: int | None = None, **gauges: Gauge) -> Event:
    kill = Kill(pid=tasks[0].pid, name=tasks[0].name, line=8, score=score)
    names = {"both": "memory+swap"}
    pool = Pool(path="/a", gauges={names.get(name, name): one for name, one in gauges.items()})
    return event(*tasks, constraint=Constraint.MEMCG, pool=pool, chosen=kill, kills=(kill,))


LIMIT = Gauge(usage_bytes=100_000 * PAGE, limit_bytes=100_000 * PAGE)
UNLIMITED = Gauge(usage_bytes=0, limit_bytes=None)


@pytest.mark.parametrize(
    ("gauges", "score", "pages", "exact"),
    [
        ({"memory": LIMIT, "both": LIMIT}, None, 100_000, True),
        ({"memory": LIMIT, "swap": Gauge(usage_bytes=0, limit_bytes=0)}, None, 100_000, True),
        # The host's swap counts, and a cgroup's report does not tell it.
        ({"memory": LIMIT, "both": UNLIMITED}, None, 100_000, False),
        ({"memory": LIMIT, "swap": UNLIMITED}, None, 100_000, False),
        # 80,000 pages weigh 100 of 1,000 beside an oom_score_adj of 600: of 800,000 pages.
        ({"memory": LIMIT, "both": UNLIMITED}, 700, 800_000, True),
    ],
)
def test_what_a_point_is_worth_in_a_cgroup(gauges, score, pages, exact):
    """The limit, and all the swap that the cgroup may use."""
    found = cgroup(task(10, "grep", 80_000, adjust=600), score=score, **gauges)
    total = total_pages(found)
    assert total is not None
    assert (total.pages, total.exact) == (pages, exact)


def test_what_a_point_is_worth_at_least_is_said():
    """Where the host's swap is not known, the sum is a lower bound."""
    found = cgroup(task(10, "grep", 80_000, adjust=600), memory=LIMIT, swap=UNLIMITED)
    assert "+ at least 60000 for oom_score_adj 600" in why_chosen(found)[0]


def test_a_score_printed_by_a_real_kernel():
    """3.10 in a cgroup of 512 MiB on a host with 4 GiB of swap printed 710 for these numbers."""
    found = cgroup(
        task(25892, "grep", 130_523 + 268, adjust=600),
        score=710,
        memory=Gauge(usage_bytes=131_072 * PAGE, limit_bytes=131_072 * PAGE),
        both=UNLIMITED,
    )
    total = total_pages(found)
    assert total is not None
    assert total.pages == pytest.approx(131_072 + 1_048_576, rel=0.02)

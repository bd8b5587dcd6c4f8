"""The pure parts of the replay: the seed's times, the price of its outage, the table."""

import math
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

pytest.importorskip("cims", reason="cims is not installed")

from drills.replay import flow, guards, report
from drills.replay.agent import SeedClock
from drills.replay.figures import Row
from drills.replay.timeline import OUTAGE_SECONDS, PANIC, Timeline

from cims.penalty import SEED_POLICY, PricedOrder, penalty_cents
from cims.scenario import Flow, cost_cents

TIMELINE = Timeline(scale=60, leak_seconds=3 * 3600, tail_seconds=1600)


def row(**changes) -> Row:
    """A run without trouble, but for `changes`."""
    base = Row(
        guard="forestall",
        longest_write_gap_seconds=2.9,
        longest_write_gap_of_seed_seconds=174.0,
        orders_acknowledged=6000,
        orders_failed=0,
        orders_lost=0,
        sync_delay_seconds=4.0,
        sync_delay_by_region={"USA": 4.0},
        penalties_usd=0.0,
        late_orders=0,
        evidence="ab" * 32,
        culprit_named_seconds=60.0,
        panicked_seconds=None,
        least_available_bytes=1 << 27,
        stock_sync_starts=2,
        violations=0,
        load_average=1.0,
        problem=None,
    )
    return replace(base, **changes)


def test_the_seeds_times():
    """The leak is meant to fill the machine at 03:05, and people have it working at 05:45."""
    assert TIMELINE.at(TIMELINE.panic_wall) == PANIC
    assert f"{PANIC:%H:%M %Z}" == "03:05 CST"
    resolved = TIMELINE.at(TIMELINE.panic_wall + TIMELINE.wall(OUTAGE_SECONDS))
    assert f"{resolved:%H:%M}" == "05:45"
    assert TIMELINE.end_wall > TIMELINE.panic_wall + TIMELINE.wall(OUTAGE_SECONDS)


@pytest.mark.parametrize("scale", [1, 60, 120])
def test_a_scale_changes_the_clock_and_not_the_story(scale):
    """Whatever the scale, the same seconds of the seed pass, and wall time is that much shorter."""
    timeline = replace(TIMELINE, scale=scale)
    assert timeline.seed(timeline.wall(OUTAGE_SECONDS)) == pytest.approx(OUTAGE_SECONDS)
    assert timeline.end_wall * scale == pytest.approx(TIMELINE.end_wall * 60)


def test_the_leak_is_paced_to_the_panic():
    """The pace fills what is free in just the time until the seed's panic."""
    pace = TIMELINE.leak_bytes_per_second(360 << 20)
    assert pace * TIMELINE.panic_wall == pytest.approx(360 << 20)


def test_the_seeds_outage_costs_the_seeds_dollars():
    """At the flow that was set, 2 h 40 min of outage cost $25,000 by cims's own price."""
    orders, policy = flow.calibrated(), SEED_POLICY
    total = 0.0
    step = 60.0
    ends = PANIC + timedelta(seconds=OUTAGE_SECONDS)
    # Told anew from single orders, one every minute: those waiting to be shipped, those waiting
    # to be taken.
    asked = PANIC - timedelta(seconds=flow.PICK_SECONDS) + timedelta(seconds=step / 2)
    while asked < ends:
        given_up = asked + timedelta(seconds=flow.GIVE_UP_SECONDS) < ends
        if asked < PANIC:
            closed = ends
        elif given_up:
            closed = None
        else:
            closed = ends + timedelta(seconds=flow.PICK_SECONDS)
        if closed is not None:
            promise = asked + timedelta(seconds=policy.promise_seconds)
            priced = PricedOrder(region="USA", promise_at=promise, closed_at=closed)
            total += penalty_cents(priced, policy, closed) * orders * step / 60
        asked += timedelta(seconds=step)
    assert total == pytest.approx(flow.SEED_CENTS, rel=0.02)


def test_where_nobody_gives_up_the_flow_is_that_of_cims():
    """The sum is cims's own: its scenario, whose clients never give up, costs the same by both."""
    ours = flow.outage_cents(
        Flow().orders_per_minute, OUTAGE_SECONDS, SEED_POLICY, give_up_seconds=math.inf
    )
    assert ours == pytest.approx(cost_cents(Flow(), SEED_POLICY, OUTAGE_SECONDS), rel=0.01)


@pytest.mark.parametrize("gap_seconds", [0, 60, 180, 540])
def test_a_short_gap_costs_nothing(gap_seconds):
    """Promise and grace leave ten minutes beyond the shipping: a switchover is not charged."""
    assert flow.outage_cents(18.0, gap_seconds, SEED_POLICY) == 0


def test_a_longer_outage_costs_more():
    """The price rises with the outage, and the flow."""
    costs = [flow.outage_cents(18.0, hours * 3600, SEED_POLICY) for hours in (1, 2, 3)]
    assert costs == sorted(costs)
    assert 0 < costs[0] < costs[2]
    assert flow.outage_cents(36.0, 3600, SEED_POLICY) == pytest.approx(2 * costs[0])


@pytest.mark.parametrize("late_seconds", [1, 599, 601, 3600, 9600])
def test_the_scaled_policy_has_the_same_price(late_seconds):
    """An order late by an hour of the seed costs the same cents when its clock runs faster."""
    scaled = flow.scaled_policy(TIMELINE)
    asked = datetime(2024, 11, 15, 9, 0, tzinfo=PANIC.tzinfo)

    def cents(policy, seconds):
        promise = asked + timedelta(seconds=policy.promise_seconds)
        closed = promise + timedelta(seconds=seconds)
        return penalty_cents(
            PricedOrder(region="USA", promise_at=promise, closed_at=closed), policy, closed
        )

    assert cents(scaled, late_seconds / 60) == cents(SEED_POLICY, late_seconds)
    assert scaled.version > SEED_POLICY.version


def test_the_seeds_clock():
    """It shows the seed's time at the start, and a minute for each second at scale 60."""
    import time

    since = time.monotonic() - 2.0
    clock = SeedClock(60.0, since, 1000.0)
    assert clock.now() >= 1000.0 + 120.0
    assert clock.monotonic() >= 120.0


def test_json_has_the_fields_that_were_promised():
    """Each guard's record holds at least the agreed fields, by their names."""
    told = row().to_json()
    assert {
        "guard",
        "longest_write_gap_seconds",
        "orders_acknowledged",
        "orders_failed",
        "orders_lost",
        "sync_delay_seconds",
        "penalties_usd",
        "evidence",
        "culprit_named_seconds",
    } <= told.keys()


def test_the_table_shows_what_is_not_known_as_a_dash():
    """A guard that kept nothing and named nobody has `none` and a dash, and never a zero."""
    bare = row(guard="none", evidence=None, culprit_named_seconds=None, panicked_seconds=180.0)
    lines = report.table([bare]).splitlines()
    found = {re.split(r"\s{2,}", line)[0]: line.rsplit(" ", 1)[-1] for line in lines}
    assert found["evidence"] == "none"
    assert found["culprit named after"] == "-"
    assert found["panic"] == "yes"


def test_the_tables_columns_line_up():
    """Every line of the table is as wide as the first."""
    lines = report.table([row(), row(guard="none", penalties_usd=25000.0)]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_rivals_are_shown_where_they_do_as_well():
    """A rival that failed no order is named beside forestall, from the figures alone."""
    rows = [
        row(),
        row(guard="earlyoom", evidence=None),
        row(guard="none", evidence=None, orders_failed=9),
    ]
    said = "\n".join(report.fairness(rows))
    assert "No order failed or lost: forestall, earlyoom." in said
    assert "Kept evidence that verifies: forestall." in said


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        (
            "earlyoom",
            'sending SIGTERM to process 77 uid 0 "stock-sync": badness 900, VmRSS 300 MiB\n',
        ),
        ("nohang", "  [ OK ] Sending SIGTERM to stock-sync: 1\n"),
    ],
)
def test_whom_a_rival_names(guard, said):
    """The line in which earlyoom 1.7 and nohang 0.2 say whom they end is understood."""
    assert guards.named_in(guards.RIVALS[guard], f"start\n{said}end\n") == ["stock-sync"]


def test_times_of_the_seed_in_words():
    """Minutes and hours as the seed writes them."""
    assert report.of_seed(9600) == "2 h 40 min"
    assert report.of_seed(174) == "3 min"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--guard", "earlyoom,magic"], "--guard earlyoom,magic"),
        (["--guard", "none,none"], "each once"),
        (["--guard", ""], "each once"),
        (["--scale", "7"], "--scale 7"),
        (["--scale", "300"], "--scale 300"),
        (["--lead", "0"], "--lead 0"),
        (["--memory", "64"], "--memory 64"),
        (["--leak", "rust"], "--leak rust"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(words, said, capsys):
    """Nothing is started, and the line names what was wrong with which option."""
    from drills.replay.command import main

    assert main(words) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


def test_the_review_is_told_what_was_measured():
    """The site file with the run's figures is one that forestall reads, to the last figure."""
    from drills.replay.review import SITE, measured

    from forestall.incident.site import parse

    site = parse((SITE.read_text() + measured(row(penalties_usd=12.5))).encode())
    assert site.measured is not None
    assert (site.measured.orders_acknowledged, site.measured.penalties) == (6000, 12.5)


def test_the_agents_configuration_is_read_and_changes_no_threshold(tmp_path):
    """What the drill gives the agent is a configuration of forestall without a policy."""
    from types import SimpleNamespace

    from drills.cluster.settings import choose_ports
    from drills.replay.agent_files import configuration

    from forestall.agent.config import read_config
    from forestall.guard.policy import Policy, policy_from
    from forestall.model.action import Mode

    ports = choose_ports(range(20000, 20100), 2)
    nodes = [SimpleNamespace(name=each.name, ports=each) for each in ports.nodes]
    cluster = SimpleNamespace(nodes=nodes, ports=ports)
    for name in ("rest", "console"):
        (tmp_path / name).write_text("secret")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "forestall.toml"
    path.write_text(configuration(cluster, "n1", 60.0, tmp_path))
    config = read_config(str(path))
    assert config.mode is Mode.ACT
    assert policy_from(config.policy) == Policy()
    assert [service.allow for service in config.services] == [True]
    assert config.database is not None
    assert config.database.own == "n1"
    assert "secret" not in path.read_text()

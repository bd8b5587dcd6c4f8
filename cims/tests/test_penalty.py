"""The price of lateness: nothing on time, never less with time, the same in Python and SQL."""

import uuid
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cims.orders import OrderRequest
from cims.penalty import (
    SEED_POLICY,
    Policy,
    PricedOrder,
    by_region_and_day,
    late_seconds,
    penalty_cents,
)
from cims.scenario import OUTAGE_SECONDS, Flow, cost_cents

START = datetime(2024, 11, 15, 9, 5, tzinfo=UTC)
instants = st.integers(-(10**12), 10**12).map(lambda us: START + timedelta(microseconds=us))
cents = st.integers(0, 10**9)
policies = st.builds(
    Policy,
    version=st.just(1),
    name=st.just("any"),
    promise_seconds=st.integers(1, 10**6),
    grace_seconds=st.integers(0, 10**6),
    flat_cents=cents,
    per_hour_cents=cents,
    cap_cents=cents,
)
orders = st.builds(
    PricedOrder,
    region=st.sampled_from(["USA", "EMEA", "APAC"]),
    promise_at=instants,
    closed_at=st.none() | instants,
)
ZONES = {"USA": "America/Chicago", "EMEA": "Europe/Berlin", "APAC": "Asia/Singapore"}


@given(orders, policies, instants, instants)
def test_time_never_makes_it_cheaper(order, policy, one, other):
    """A later moment costs as much or more, and never more than the cap."""
    earlier, later = sorted([one, other])
    first, second = (penalty_cents(order, policy, at) for at in (earlier, later))
    assert 0 <= first <= second <= policy.cap_cents


@given(orders, policies, instants)
def test_on_time_costs_nothing(order, policy, at):
    """Free until promise and grace are over; then at least the flat price, up to the cap."""
    due = order.promise_at + timedelta(seconds=policy.grace_seconds)
    until = at if order.closed_at is None else min(order.closed_at, at)
    price = penalty_cents(order, policy, at)
    if until <= due:
        assert (price, late_seconds(order, policy, at)) == (0, 0)
    else:
        assert price >= min(policy.flat_cents, policy.cap_cents)
        assert late_seconds(order, policy, at) > 0


@given(orders, policies, instants)
def test_a_closed_order_costs_the_same_for_ever(order, policy, at):
    """Once shipped, what it costs is settled."""
    if order.closed_at is not None:
        settled = penalty_cents(order, policy, order.closed_at)
        assert penalty_cents(order, policy, max(at, order.closed_at)) == settled


@given(orders, policies, instants, st.sampled_from(list(ZONES.values())))
def test_the_zone_an_instant_is_written_in_does_not_matter(order, policy, at, zone):
    """Prices follow instants, not wall clocks: also across a change to summer time."""
    moved = PricedOrder(
        region=order.region,
        promise_at=order.promise_at.astimezone(ZoneInfo(zone)),
        closed_at=order.closed_at and order.closed_at.astimezone(ZoneInfo(zone)),
    )
    assert penalty_cents(moved, policy, at) == penalty_cents(order, policy, at)


@given(st.lists(orders, max_size=30), policies, instants)
def test_regions_and_days_add_up(found, policy, at):
    """The report is the sum of its orders, each in one region and day."""
    report = by_region_and_day(found, policy, at, ZONES)
    assert sum(total for _, total in report.values()) == sum(
        penalty_cents(order, policy, at) for order in found
    )
    assert all(late > 0 and total > 0 for late, total in report.values())


def test_the_seeds_outage_costs_what_the_seed_says():
    """2 h 40 min without a write costs $25,000 on the flow, within a hundredth of a percent."""
    assert abs(cost_cents(Flow(), SEED_POLICY, OUTAGE_SECONDS) - 2_500_000) <= 250


@pytest.mark.parametrize("seconds", [0, 4, 60, 600])
def test_a_short_outage_is_free(seconds):
    """Up to the slack between handling and promise plus grace nobody pays."""
    assert cost_cents(Flow(), SEED_POLICY, seconds) == 0


def test_a_longer_outage_costs_more():
    """Ten minutes more always cost more, once the slack is used up."""
    costs = [cost_cents(Flow(), SEED_POLICY, 60 * minutes) for minutes in range(30, 301, 10)]
    assert costs == sorted(set(costs))


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(orders, policies, instants)
def test_sql_says_the_same(connection, order, policy, at):
    """The stored accrual and this function cannot differ: same cents for the same instants."""
    row = connection.execute(
        "SELECT penalty_cents(%s, %s, %s, %s, %s, %s, %s)",
        (
            order.promise_at,
            order.closed_at,
            at,
            policy.grace_seconds,
            policy.flat_cents,
            policy.per_hour_cents,
            policy.cap_cents,
        ),
    ).fetchone()
    assert row == (penalty_cents(order, policy, at),)


@pytest.fixture
def connection(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def _placed(store, number, region_warehouse, asked):
    key = uuid.uuid5(uuid.NAMESPACE_OID, str(number))
    store.place_once(
        OrderRequest(key=key, warehouse_id=region_warehouse, lines={1: 1}, requested_at=asked)
    )
    return key


def _stored(store):
    return store.call(
        "SELECT order_id, late_from, late_until, amount_cents FROM penalty ORDER BY order_id"
    )


def _accrue(store, at):
    return store.call("SELECT accrue_penalties(1, %s) AS n", (at,))[0]["n"]


def test_the_accrual_is_the_function_stored(store, connection):
    """Each stored row equals the price at its moment; done twice nothing changes; a moment that is
    past does not undo a later one; an order that ships is settled at its shipment."""
    keys = [_placed(store, n, 1 + n, START + timedelta(minutes=n)) for n in range(6)]
    store.call(
        "SELECT ship(gen_random_uuid(), %s, NULL, NULL, 'ups', %s)",
        (keys[0], START + timedelta(minutes=5)),
    )
    store.call(
        "SELECT cancel_order(gen_random_uuid(), %s, %s)", (keys[1], START + timedelta(minutes=90))
    )
    store.place_once(OrderRequest(key=uuid.uuid4(), warehouse_id=1, lines={2: 999}))
    first = START + timedelta(hours=2)
    assert _accrue(store, first) == 5
    assert _accrue(store, first) == 0
    _holds(store, first)
    later = START + timedelta(hours=5)
    store.call("SELECT ship(gen_random_uuid(), %s, NULL, NULL, 'ups', %s)", (keys[2], first))
    assert _accrue(store, later) == 3
    _holds(store, later)
    before = _stored(store)
    assert _accrue(store, first) == 0
    assert _stored(store) == before
    total = sum(row["amount_cents"] for row in before)
    (report,) = store.call("SELECT sum(amount_cents) AS n FROM penalties_by_day(1, %s)", (later,))
    assert report["n"] == total > 0


def _holds(store, at):
    placed = store.call(
        "SELECT id, promise_at, closed_at FROM sales_order WHERE outcome = 'accepted' ORDER BY id"
    )
    expected = {}
    for row in placed:
        order = PricedOrder(region="any", promise_at=row["promise_at"], closed_at=row["closed_at"])
        if price := penalty_cents(order, SEED_POLICY, at):
            expected[row["id"]] = price
    assert {row["order_id"]: row["amount_cents"] for row in _stored(store)} == expected


def test_the_report_in_sql_is_the_report_in_python(store):
    """Region and local day agree: an order due after midnight in Singapore is of that day there."""
    late_evening = datetime(2024, 11, 15, 15, 50, tzinfo=UTC)
    for number in range(6):
        _placed(store, number, 1 + number, late_evening + timedelta(minutes=number))
    at = late_evening + timedelta(days=1)
    rows = store.call("SELECT * FROM penalties_by_day(1, %s)", (at,))
    orders = [
        PricedOrder(region=row["region"], promise_at=row["promise_at"], closed_at=None)
        for row in store.call(
            "SELECT w.region, o.promise_at FROM sales_order o JOIN warehouse w"
            " ON w.id = o.warehouse_id"
        )
    ]
    assert {(r["region"], r["day"]): (r["late_orders"], r["amount_cents"]) for r in rows} == (
        by_region_and_day(orders, SEED_POLICY, at, ZONES)
    )
    assert {r["day"].day for r in rows if r["region"] == "APAC"} == {16}

"""The price of lateness: a pure function of orders, shipments, a policy version and a moment.

An order is late from `promise_at` plus the policy's grace until it was closed (all of it shipped,
or cancelled), or until the moment that is asked about. The promise counts from when the customer
asked (`requested_at`), so an outage costs in two ways: orders accepted before it that could not be
shipped, and orders asked for during it that were taken late. An order never taken has no promise to
break; a client that gave up is a lost order, which is counted elsewhere and has no penalty here.

`sql/v1/penalties.sql` says the same in SQL for the stored accrual; a test holds the two equal.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

MICROSECONDS_PER_HOUR = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of what was promised and what breaking it costs; never changed, only followed."""

    version: int
    name: str
    promise_seconds: int
    grace_seconds: int
    flat_cents: int
    per_hour_cents: int
    cap_cents: int


# Set once so that the seed's outage, 2 h 40 min without a write, costs the seed's $25,000 on the
# scenario's order flow: see cims.scenario, and docs/reference/cims.md for the sum.
SEED_POLICY = Policy(
    version=1,
    name="dispatch-within-30-minutes",
    promise_seconds=1800,
    grace_seconds=600,
    flat_cents=509,
    per_hour_cents=614,
    cap_cents=5000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedOrder:
    """What a price depends on. `closed_at` is None while goods are still to be shipped."""

    region: str
    promise_at: datetime
    closed_at: datetime | None


def late_seconds(order: PricedOrder, policy: Policy, at: datetime) -> float:
    """How late the order is at `at`; 0 when it is not."""
    return max(0, _late_microseconds(order, policy, at)) / 1e6


def penalty_cents(order: PricedOrder, policy: Policy, at: datetime) -> int:
    """The order's price at `at`: 0 on time, else flat plus per hour in whole cents, to the cap."""
    late = _late_microseconds(order, policy, at)
    if late <= 0:
        return 0
    hourly = policy.per_hour_cents * late // MICROSECONDS_PER_HOUR
    return min(policy.cap_cents, policy.flat_cents + hourly)


def by_region_and_day(
    orders: Iterable[PricedOrder], policy: Policy, at: datetime, zones: dict[str, str]
) -> dict[tuple[str, date], tuple[int, int]]:
    """Late orders and cents by region and the local day they were due."""
    found: dict[tuple[str, date], tuple[int, int]] = {}
    for order in orders:
        cents = penalty_cents(order, policy, at)
        if cents > 0:
            day = order.promise_at.astimezone(ZoneInfo(zones[order.region])).date()
            late, total = found.get((order.region, day), (0, 0))
            found[order.region, day] = (late + 1, total + cents)
    return dict(sorted(found.items()))


def _late_microseconds(order: PricedOrder, policy: Policy, at: datetime) -> int:
    until = at if order.closed_at is None else min(order.closed_at, at)
    due = order.promise_at + timedelta(seconds=policy.grace_seconds)
    # Exact whole microseconds: the two zones may differ, the instants do not.
    return (until.astimezone(UTC) - due.astimezone(UTC)) // timedelta(microseconds=1)

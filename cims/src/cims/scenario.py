"""The order flow of the seed's night, as arithmetic: what an outage costs before anything is run.

Orders come evenly, each region in turn, and are shipped a fixed time after they are taken. During
an outage nothing is taken and nothing shipped; at its end everything that waited is done at once.
The policy `cims.penalty.SEED_POLICY` was set on this flow so that 2 h 40 min cost $25,000.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cims.penalty import Policy, PricedOrder, penalty_cents

OUTAGE_SECONDS = 2 * 3600 + 40 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Orders per minute over all regions, and how long the warehouse needs to ship one."""

    orders_per_minute: float = 12.0
    handling_seconds: float = 1200.0
    regions: tuple[str, ...] = ("USA", "EMEA", "APAC")


def order_log(
    flow: Flow,
    policy: Policy,
    *,
    begins: datetime,
    seconds: float,
    outages: list[tuple[float, float]],
) -> Iterator[PricedOrder]:
    """The log of `seconds` of the flow; an outage is (start, end) in seconds after `begins`."""
    every = 60.0 / flow.orders_per_minute
    for index in range(int(seconds / every)):
        asked = index * every
        taken = _after(outages, asked)
        shipped = _after(outages, taken + flow.handling_seconds)
        yield PricedOrder(
            region=flow.regions[index % len(flow.regions)],
            promise_at=begins + timedelta(seconds=asked + policy.promise_seconds),
            closed_at=begins + timedelta(seconds=shipped),
        )


def cost_cents(flow: Flow, policy: Policy, outage_seconds: float) -> int:
    """What one outage costs on this flow, once everything is shipped."""
    begins = datetime.fromisoformat("2024-11-15T03:05:00-06:00") - timedelta(hours=1)
    total = 2 * 3600 + outage_seconds
    log = order_log(
        flow, policy, begins=begins, seconds=total, outages=[(3600, 3600 + outage_seconds)]
    )
    at = begins + timedelta(days=7)
    return sum(penalty_cents(order, policy, at) for order in log)


def _after(outages: list[tuple[float, float]], moment: float) -> float:
    for start, end in outages:
        if start <= moment < end:
            return end
    return moment

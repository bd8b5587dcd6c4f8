"""The flow of orders, how the clients and the warehouse behave, and what lateness costs.

The policy is cims's own (`cims.penalty.SEED_POLICY`); only its clock is the drill's: a promise of
30 minutes is kept in 30 seconds of wall time at scale 60, and an hour late is late by a minute.

One free number is left, the flow of orders, and it is set once, here: so many orders a minute that
the seed's outage, 2 h 40 min, costs the seed's $25,000 by `outage_cents`. It is arithmetic about
an outage; no run changes it.
"""

from __future__ import annotations

from dataclasses import replace

from cims.load.client import Rule
from cims.penalty import SEED_POLICY, Policy
from cims.scenario import Flow
from drills.replay.timeline import OUTAGE_SECONDS, Timeline

SEED_CENTS = 25_000_00
PICK_SECONDS = Flow().handling_seconds
"""A warehouse ships an order so long after it was taken, of the seed's clock."""
GIVE_UP_SECONDS = 120 * 60.0
"""A client sends its order again for so long, of the seed's clock; then it is a lost sale."""
ATTEMPT_WALL_SECONDS = 5.0
CLIENTS = 16
STEP_SECONDS = 15.0


def outage_cents(
    orders_per_minute: float,
    outage_seconds: float,
    policy: Policy,
    *,
    give_up_seconds: float = GIVE_UP_SECONDS,
) -> float:
    """What an outage of writes costs at a flow, when everything else goes as it should.

    Orders taken less than PICK_SECONDS before it wait to be shipped until its end. Orders asked
    for during it are taken at its end, unless their client gave up, and shipped PICK_SECONDS
    later. An order a client gave up has no promise, so it costs nothing here: it is a failed
    order of the table.
    """
    total = 0.0
    # Sums of short steps in place of integrals: the cap and the grace make those long to write.
    age = STEP_SECONDS / 2
    while age < PICK_SECONDS:
        total += _cents(age + outage_seconds, policy)
        age += STEP_SECONDS
    waited = STEP_SECONDS / 2
    while waited < min(outage_seconds, give_up_seconds):
        total += _cents(waited + PICK_SECONDS, policy)
        waited += STEP_SECONDS
    return total * orders_per_minute * STEP_SECONDS / 60.0


def calibrated(policy: Policy = SEED_POLICY) -> float:
    """Orders a minute (of the seed's clock) for which the seed's outage costs SEED_CENTS."""
    return SEED_CENTS / outage_cents(1.0, OUTAGE_SECONDS, policy)


def _cents(took_seconds: float, policy: Policy) -> float:
    late = took_seconds - policy.promise_seconds - policy.grace_seconds
    if late <= 0:
        return 0.0
    return min(policy.cap_cents, policy.flat_cents + policy.per_hour_cents * late / 3600.0)


def scaled_policy(timeline: Timeline, policy: Policy = SEED_POLICY) -> Policy:
    """The same policy on the drill's clock, as the next version after it."""
    return replace(
        policy,
        version=policy.version + 1,
        name=f"{policy.name}, a clock {timeline.scale:g} times as fast",
        promise_seconds=round(timeline.wall(policy.promise_seconds)),
        grace_seconds=round(timeline.wall(policy.grace_seconds)),
        per_hour_cents=round(timeline.seed(policy.per_hour_cents)),
    )


def orders_per_wall_second(timeline: Timeline) -> float:
    """The flow, as the load client is told it."""
    return calibrated() / 60.0 * timeline.scale


def rule(timeline: Timeline) -> Rule:
    """When a client asks again and gives up, on the host's clock."""
    return Rule(
        attempt_seconds=ATTEMPT_WALL_SECONDS, give_up_seconds=timeline.wall(GIVE_UP_SECONDS)
    )

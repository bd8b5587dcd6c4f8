"""Letting clients go by links that are made up; moves on a real cluster are in tests/cluster."""

from types import SimpleNamespace

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.guard import verdict_of

from forestall.errors import ForestallError
from forestall.guard.actions.switchover import SwitchoverHandler
from forestall.guard.database import DatabaseAccess
from forestall.guard.handler import Step
from forestall.guard.wire.endpoint import WireError
from forestall.model.action import Action, ActionKind, Mode, Plan
from forestall.model.verdict import Subject

ANSWER_SECONDS = 3.0


class FakePooler:
    """A pooler with one database that is paused; it answers only after `hangs` questions."""

    def __init__(self, name, clock, *, hangs=0):
        self.name, self._clock, self._hangs = name, clock, hangs
        self.resumed_at = None
        self.releasing = self

    def paused(self):
        if self._hangs > 0:
            self._hangs -= 1
            self._clock.sleep(ANSWER_SECONDS)
            raise WireError(f"{self.name}: timed out")
        return () if self.resumed_at is not None else ("orders",)

    def resume(self, database):
        assert database == "orders"
        self.resumed_at = self._clock.monotonic()


def step_of(timeout=30.0):
    subject = Subject(host="n1", name="feed-sync")
    action = Action(
        id="2-switchover",
        kind=ActionKind.SWITCHOVER,
        subject=subject,
        timeout_seconds=timeout,
        parameters={
            "leader": "n1",
            "candidate": "n2",
            "peer_url": "http://n2",
            "via": "pgbouncer",
        },
    )
    plan = Plan(
        id="p", at=1.0, mode=Mode.ACT, verdict=verdict_of(subject), actions=(action,), because=()
    )
    return Step(plan=plan, action=action)


def handler(clock, *poolers):
    links = SimpleNamespace(poolers=poolers, proxies=())
    return SwitchoverHandler(DatabaseAccess(scope="orders"), clock=clock, links=links)


def test_a_pooler_that_hangs_does_not_keep_the_clients_of_another():
    """They are tried in turn, so the others wait for one time-out at most."""
    clock = FakeClock()
    start = clock.monotonic()
    sick, well = FakePooler("a", clock, hangs=99), FakePooler("b", clock)
    with pytest.raises(ForestallError, match="still held: a: timed out") as caught:
        handler(clock, sick, well).undo(step_of())
    assert well.resumed_at - start <= ANSWER_SECONDS
    assert clock.monotonic() - start <= 30.0
    assert "b:" not in caught.value.message


def test_a_pooler_that_answers_again_is_let_go():
    """Tried until the time is up, and what was done is said once each."""
    clock = FakeClock()
    poolers = FakePooler("a", clock, hangs=3), FakePooler("b", clock)
    said = handler(clock, *poolers).undo(step_of())
    assert said == "RESUME of orders on b. RESUME of orders on a."
    assert handler(clock, *poolers).undo(step_of()) is None

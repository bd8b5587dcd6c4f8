"""The demo's result, and that nothing but its clock is special."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from forestall.demo import story
from forestall.demo.limit import Cage
from forestall.demo.pair import Orders
from forestall.demo.story import LIMIT_BYTES, Play, Result, was_caught
from forestall.demo.supervisor import Service
from forestall.demo.view import PlainView
from forestall.detect.rules import RULES
from forestall.errors import ForestallError
from forestall.guard.policy import Policy
from forestall.model.action import ActionKind, Outcome, OutcomeState
from forestall.model.verdict import Subject
from forestall.units import HOUR, MIB

GOOD = Result(
    caught=True,
    headroom_bytes=1,
    limit_bytes=2,
    seconds=3.0,
    verdict="LEAKING",
    review="review.md",
    bundle="bundle",
    incident="INC-20260302-001",
    control_touched=False,
)
ORDERS = Orders(
    primary_before="n1",
    primary_after="n2",
    acknowledged=100,
    refused=3,
    unknown=1,
    lost=0,
    longest_gap_seconds=2.0,
)


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (GOOD, True),
        (replace(GOOD, caught=False), False),
        (replace(GOOD, control_touched=True), False),
        (replace(GOOD, database=ORDERS), True),
        (replace(GOOD, database=replace(ORDERS, lost=1)), False),
        (replace(GOOD, database=replace(ORDERS, primary_after="n1")), False),
        (replace(GOOD, database=replace(ORDERS, primary_after=None)), False),
    ],
)
def test_the_demo_fails_when_the_leak_escapes_or_the_control_is_touched(result, passed):
    """The exit code can be relied on: a false action is as bad as a missed leak."""
    assert result.passed is passed


def _outcome(kind, state):
    return Outcome(
        plan_id="p",
        action_id=kind.value,
        kind=kind,
        subject=Subject(host="h", name="feed-sync"),
        state=state,
        at=0.0,
        took_seconds=0.0,
        detail="",
    )


@pytest.mark.parametrize(
    ("capture", "restart", "caught"),
    [("done", "done", True), ("failed", "done", False), ("done", "failed", False)],
)
def test_caught_means_evidence_and_restart(capture, restart, caught):
    """A restart without its evidence, or evidence without a restart, is not the whole story."""
    outcomes = [
        _outcome(ActionKind.CAPTURE, OutcomeState(capture)),
        _outcome(ActionKind.RESTART, OutcomeState(restart)),
    ]
    assert was_caught(outcomes) is caught


def test_json_has_the_promised_keys():
    """What scripts read is there by name."""
    promised = {"caught", "headroom_bytes", "seconds", "verdict", "review", "bundle", "incident"}
    promised |= {"control_touched", "database", "no_database"}
    assert promised <= set(GOOD.to_json())
    orders = replace(GOOD, database=ORDERS).to_json()["database"]
    assert orders["lost"] == 0
    assert orders["longest_gap_seconds"] == 2.0


@pytest.mark.parametrize("folder", ["/sys/fs/cgroup/x", None])
def test_the_demo_watches_with_the_shipped_rules_and_policy(tmp_path, folder):
    """Save for the time that evidence takes; the control may be acted on like the leaky one."""
    cage = Cage(limit_bytes=LIMIT_BYTES, folder=folder)
    play = Play(str(tmp_path), PlainView(lambda line: None))
    services = [Service(name, 1.0, fixed=False, cage=cage) for name in ("a", "b")]
    watch = play.agent(*services, cage)
    assert watch.rules == RULES
    assert watch.policy == replace(Policy(), act_alone_within_seconds=2 * HOUR)
    assert watch.config.policy == {}
    assert all(service.allow for service in watch.config.services)
    stated = {service.limit_bytes for service in watch.config.services}
    assert stated == {None if folder else LIMIT_BYTES}
    watch.collector.close()


def test_a_folder_without_room_for_evidence_is_refused_at_once(tmp_path, monkeypatch):
    """Guard would leave the service alone, and the demo would call that a defect."""
    monkeypatch.setattr(story, "free_bytes", lambda folder: 16 * MIB)
    with pytest.raises(ForestallError, match="16 MiB free, 288 MiB needed"):
        Play(str(tmp_path), PlainView(lambda line: None)).run()


@pytest.mark.parametrize(("scale", "rate"), [(60.0, 100.0), (6.0, 10.0)])
def test_another_scale_tells_the_same_story(tmp_path, monkeypatch, scale, rate):
    """On a slower clock the service leaks as much less, or its limit came before any verdict."""
    rates = []

    def service(name, requests_per_second, **_):
        rates.append(requests_per_second)
        raise ForestallError("that is all there is to know")

    monkeypatch.setattr(story, "Service", service)
    monkeypatch.setattr(story, "beside", lambda cage, progress: nullcontext("not here"))
    with pytest.raises(ForestallError, match="all there is"):
        Play(str(tmp_path), PlainView(lambda line: None), scale=scale).run()
    assert rates == [rate]

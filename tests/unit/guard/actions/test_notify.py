"""What people are told, and what happens when they cannot be told."""

import threading

import pytest
from tests.fakes.guard import ALLOWED, Stage, state_of, verdict_of

from forestall.errors import ForestallError
from forestall.guard.actions.notify import NotifyHandler, _still_limited, notice_of
from forestall.guard.containment import Containment, ContainMethod, to_parameters
from forestall.guard.decision import decide
from forestall.guard.handler import Step
from forestall.guard.history import History
from forestall.model.action import Action, ActionKind, Mode
from forestall.model.notice import Urgency
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject


class Told:
    """Keeps what it was told, or raises."""

    def __init__(self, name="told", fault=None):
        self.name = name
        self.fault = fault
        self.notices = []

    def send(self, notice):
        if self.fault is not None:
            raise self.fault
        self.notices.append(notice)


class Hanging:
    """Never comes back until the test lets it."""

    name = "hanging"

    def __init__(self):
        self.let_go = threading.Event()

    def send(self, notice):
        self.let_go.wait(30)


def step_after(mode=Mode.ACT, failing=None, low=2400.0, **options):
    """The notify step of a plan, after all its other actions."""
    stage = Stage()
    subject = stage.service()
    if failing is not None:
        stage.handlers[failing].fault = ForestallError("it failed")
    plan = decide(verdict_of(subject, low=low), state_of(mode=mode, **options), ALLOWED, History())
    outcomes = stage.executor.execute(plan)
    return Step(plan=plan, action=plan.actions[-1], before=outcomes[:-1])


@pytest.mark.parametrize(
    ("step", "urgency", "title"),
    [
        (
            step_after(),
            Urgency.INFORM,
            "feed-sync on db1 was LEAKING and has been restarted.",
        ),
        (
            step_after(Mode.ADVISE),
            Urgency.PAGE,
            "feed-sync on db1 is LEAKING and would have been restarted; the mode is advise.",
        ),
        (
            step_after(failing=ActionKind.CAPTURE),
            Urgency.PAGE,
            "feed-sync on db1 is LEAKING and was not restarted: capture failed.",
        ),
        (
            step_after(failing=ActionKind.RESTART),
            Urgency.PAGE,
            "feed-sync on db1 is LEAKING and was not restarted: restart failed.",
        ),
        (
            step_after(failing=ActionKind.CAPTURE, low=300.0),
            Urgency.PAGE,
            "feed-sync on db1 was LEAKING and has been restarted, but capture failed.",
        ),
        (
            step_after(recipe=None),
            Urgency.PAGE,
            (
                "feed-sync on db1 is LEAKING and needs a person: No way to restart: feed-sync is "
                "no systemd service, and no command or supervisor was given for it."
            ),
        ),
    ],
    ids=["acted", "advised", "no evidence", "failed", "without evidence", "refused"],
)
def test_a_notice_says_in_its_title_what_a_person_must_know(step, urgency, title):
    """Somebody is paged unless all went well."""
    notice = notice_of(step, 1.0)
    assert (notice.urgency, notice.title) == (urgency, title)
    assert set(step.plan.because) <= set(notice.lines)
    assert set(step.plan.refusals) <= set(notice.lines)
    assert len(notice.lines) == len(step.plan.because) + len(step.plan.refusals) + len(step.before)


@pytest.mark.parametrize(
    ("method", "version", "words"),
    [
        (
            ContainMethod.SYSTEMD,
            2,
            (
                "The limit on feed.service stays until guard has recycled the service, or a person "
                "sets it back (memory.high was none and memory.max was 8192)."
            ),
        ),
        (
            ContainMethod.CGROUP,
            1,
            "sets it back (memory.limit_in_bytes was 8192).",
        ),
        (
            ContainMethod.OWN_CGROUP,
            2,
            (
                "The limit on the cgroup /cron/forestall-contain-77 stays until guard has recycled "
                "the service, or a person moves its processes back to /cron/feed and removes it."
            ),
        ),
    ],
)
def test_a_limit_that_stays_is_named_where_it_is(method, version, words):
    """Whoever is paged takes it off by hand: the cgroup and its limits must be the right ones."""
    containment = Containment(
        method=method,
        unit="feed.service",
        cgroup="/cron/feed",
        version=version,
        high_bytes=4096 if version == 2 else None,
        max_bytes=8192,
        before_max_bytes=8192,
    )
    key = ProcessKey(boot_id="b", pid=77, start_ticks=1)
    action = Action(
        id="1-contain",
        kind=ActionKind.CONTAIN,
        subject=Subject(host="db1", name="feed-sync", process=key),
        timeout_seconds=5.0,
        parameters=to_parameters(containment),
    )
    assert words in _still_limited(action)


def test_every_notifier_is_told_once():
    """Through all of them, in one plan."""
    first, second = Told("log"), Told("webhook")
    done = NotifyHandler((first, second), clock=Stage().clock).do(step_after())
    assert done.detail == "Told through log, webhook."
    assert len(first.notices) == len(second.notices) == 1
    assert first.notices[0].evidence == ("b" * 64,)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ForestallError("broken: no answer"), "broken: no answer. Told through log."),
        (OSError(113, "No route to host"), "broken: No route to host. Told through log."),
    ],
)
def test_one_notifier_that_fails_fails_no_other(fault, words):
    """The failure is raised for the record, after all the others were told."""
    other = Told("log")
    handler = NotifyHandler((Told("broken", fault), other), clock=Stage().clock)
    with pytest.raises(ForestallError) as caught:
        handler.do(step_after())
    assert caught.value.message == words
    assert len(other.notices) == 1


def test_a_notifier_that_hangs_is_left_behind():
    """It costs its share of the timeout, and the others are told."""
    hanging, other = Hanging(), Told("log")
    step = step_after()
    action = type(step.action)(
        id="3-notify", kind=ActionKind.NOTIFY, subject=step.action.subject, timeout_seconds=0.2
    )
    handler = NotifyHandler((hanging, other), clock=Stage().clock)
    try:
        with pytest.raises(ForestallError, match=r"hanging did not end within 0.1 s\. Told"):
            handler.do(Step(plan=step.plan, action=action, before=step.before))
    finally:
        hanging.let_go.set()
    assert len(other.notices) == 1


def test_nobody_to_tell_is_said():
    """Without a notifier the action is refused, not counted as done."""
    reason = NotifyHandler((), clock=Stage().clock).precondition(step_after())
    assert reason == "Nobody to tell: no notifier is configured."

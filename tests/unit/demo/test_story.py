"""The demo's result, and that nothing but its clock is special."""

from dataclasses import replace

import pytest

from forestall.demo.limit import Cage
from forestall.demo.story import LIMIT_BYTES, Play, Result
from forestall.demo.supervisor import Service
from forestall.demo.view import PlainView
from forestall.detect.rules import RULES
from forestall.guard.policy import Policy

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


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (GOOD, True),
        (replace(GOOD, caught=False), False),
        (replace(GOOD, control_touched=True), False),
    ],
)
def test_the_demo_fails_when_the_leak_escapes_or_the_control_is_touched(result, passed):
    """The exit code can be relied on: a false action is as bad as a missed leak."""
    assert result.passed is passed


def test_json_has_the_promised_keys():
    """What scripts read is there by name."""
    promised = {"caught", "headroom_bytes", "seconds", "verdict", "review", "bundle", "incident"}
    assert promised | {"control_touched"} <= set(GOOD.to_json())


@pytest.mark.parametrize("folder", ["/sys/fs/cgroup/x", None])
def test_the_demo_watches_with_the_shipped_rules_and_policy(tmp_path, folder):
    """No threshold is made easier for the demo; the control may be acted on like the leaky one."""
    cage = Cage(limit_bytes=LIMIT_BYTES, folder=folder)
    play = Play(str(tmp_path), PlainView(lambda line: None))
    services = [Service(name, 1.0, fixed=False, cage=cage) for name in ("a", "b")]
    watch = play.agent(*services, cage)
    assert watch.rules == RULES
    assert watch.policy == Policy()
    assert watch.config.policy == {}
    assert all(service.allow for service in watch.config.services)
    stated = {service.limit_bytes for service in watch.config.services}
    assert stated == {None if folder else LIMIT_BYTES}
    watch.collector.close()

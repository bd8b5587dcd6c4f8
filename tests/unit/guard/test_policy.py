"""The thresholds: what may be configured, and which values contradict each other."""

import pytest
from tests.fakes.guard import BOOT_ID, verdict_of

from forestall.errors import UsageError
from forestall.guard.policy import (
    Allowance,
    Policy,
    Remedy,
    allowance_of,
    policy_from,
    remedy_of,
    used_share,
)
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject
from forestall.units import MIB

SUBJECT = Subject(
    host="db1",
    name="feed-sync",
    process=ProcessKey(boot_id=BOOT_ID, pid=40, start_ticks=1),
    unit="feed-sync.service",
)


def test_settings_take_units_or_plain_numbers():
    """`"3h"`, `10800` and `"64M"` are what they say."""
    policy = policy_from(
        {
            "act_within_seconds": "3h",
            "cooldown_seconds": 300,
            "evidence_bytes_min": "64M",
            "used_share_max": 0.5,
            "service_actions_max": 1,
            "remedy": "stop",
        }
    )
    assert policy.act_within_seconds == 3 * 3600
    assert policy.cooldown_seconds == 300.0
    assert policy.evidence_bytes_min == 64 * MIB
    assert policy.used_share_max == 0.5
    assert policy.service_actions_max == 1
    assert policy.remedy is Remedy.STOP
    assert policy_from({}) == Policy()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"act_within": "3h"}, "no such setting: act_within"),
        ({"allow": []}, "no such setting: allow"),
        ({"act_within_seconds": "soon"}, "act_within_seconds: not a duration"),
        ({"act_within_seconds": True}, "act_within_seconds is a number, not True"),
        ({"act_within_seconds": 0}, "act_within_seconds is above 0"),
        ({"act_within_seconds": float("nan")}, "act_within_seconds is above 0"),
        ({"service_actions_max": 1.5}, "service_actions_max is a whole number, not 1.5"),
        ({"service_actions_max": 0}, "service_actions_max is at least 1"),
        ({"host_actions_max": 0}, "host_actions_max is at least 1"),
        ({"used_share_max": 85}, "used_share_max is above 0 and at most 1"),
        ({"act_alone_within_seconds": 0}, "act_alone_within_seconds is above 0"),
        ({"persistence_seconds": -1}, "persistence_seconds"),
        ({"cooldown_seconds": "2h"}, "cooldown_seconds does not exceed window_seconds"),
        ({"cooldown_seconds": "20m"}, "without_evidence_within_seconds exceeds"),
        ({"stop_grace_seconds": 60}, "stop_grace_seconds is below"),
        ({"remedy": "reboot"}, "remedy: 'reboot'"),
        ({"evidence_bytes_min": "lots"}, "evidence_bytes_min: not a size"),
        ({"evidence_bytes_min": -1}, "evidence_bytes_min is not negative"),
    ],
)
def test_a_setting_that_cannot_hold_is_refused_by_name(values, words):
    """One clear line that names the setting."""
    with pytest.raises(UsageError, match="guard's policy: ") as caught:
        policy_from(values)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("feed-sync", True),
        ("feed-sync.service", True),
        ("feed-*", True),
        ("*", True),
        ("Feed-sync", False),
        ("sync", False),
    ],
)
def test_a_service_is_allowed_by_its_unit_or_its_name(pattern, allowed):
    """Shell-style patterns, matched whole and by case."""
    policy = Policy(allow=(Allowance(service=pattern, remedy=Remedy.STOP),))
    assert (allowance_of(SUBJECT, policy) is not None) == allowed
    assert remedy_of(SUBJECT, policy) is (Remedy.STOP if allowed else Remedy.RESTART)


def test_the_first_allowance_that_fits_decides():
    """Order is the owner's way to make exceptions."""
    policy = Policy(
        allow=(
            Allowance(service="feed-sync", remedy=Remedy.STOP),
            Allowance(service="*", remedy=Remedy.RESTART),
        )
    )
    assert remedy_of(SUBJECT, policy) is Remedy.STOP


def test_an_allowance_without_a_remedy_leaves_it_to_the_policy():
    """Being allowed to act says nothing of how: a policy of stopping stops the allowed too."""
    policy = Policy(allow=(Allowance(service="feed-sync"),), remedy=Remedy.STOP)
    assert remedy_of(SUBJECT, policy) is Remedy.STOP


def test_the_used_share_is_of_the_limit():
    """Three quarters used of a limit with a quarter left; none without a limit."""
    assert used_share(verdict_of(SUBJECT, headroom=256 * MIB, limit=1024 * MIB)) == 0.75
    assert used_share(verdict_of(SUBJECT, headroom=0, limit=0)) is None

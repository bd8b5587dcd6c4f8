import pytest

from forestall.agent.config import ServiceConfig
from forestall.agent.situation import policy_for, recipe_of, room_for_evidence
from forestall.evidence.layout import RESERVE_BYTES
from forestall.guard.policy import Policy, allowance_of
from forestall.guard.recipe import Method
from forestall.model.verdict import Subject


def subject(unit=None, cgroup=None) -> Subject:
    return Subject(host="h", name="feed", unit=unit, cgroup=cgroup)


def service(restart) -> ServiceConfig:
    return ServiceConfig(name="feed", process="feed", restart=restart)


def test_a_systemd_service_needs_no_word_of_its_owner():
    """Without configuration a service of the system's manager is restarted by systemd."""
    recipe = recipe_of(subject("feed.service", "/system.slice/feed.service"), None)
    assert recipe is not None
    assert (recipe.method, recipe.unit) == (Method.SYSTEMD, "feed.service")


def test_the_owners_word_comes_first():
    """A command or a signal that was asked for is taken, also for a systemd service."""
    unit = subject("feed.service")
    by_signal = recipe_of(unit, service("signal"))
    by_command = recipe_of(unit, service(("/usr/bin/supervisorctl", "restart", "feed")))
    assert by_signal is not None
    assert by_signal.method is Method.SIGNAL
    assert by_command is not None
    assert by_command.command == ("/usr/bin/supervisorctl", "restart", "feed")


@pytest.mark.parametrize(
    "where",
    [
        subject(),
        subject("session-3.scope", "/user.slice/user-0.slice/session-3.scope"),
        subject("app.service", "/user.slice/user-1.slice/user@1.service/app.slice/app.service"),
    ],
)
def test_without_a_known_way_there_is_none(where):
    """No unit, a scope, and a user's own unit cannot be restarted by the system's manager."""
    assert recipe_of(where, None) is None


def named(name: str) -> Subject:
    return Subject(host="h", name=name)


@pytest.mark.parametrize("said", [None, ServiceConfig(name="feed", process="feed", allow=False)])
def test_without_the_owners_word_nothing_is_allowed(said):
    """No configuration, and one that does not say `allow = true`, allow nothing."""
    policy = policy_for(Policy(), named("feed"), said)
    assert allowance_of(named("feed"), policy) is None


def test_the_owners_word_is_about_this_service_literally():
    """A process cannot widen it by a name that reads like a pattern."""
    allowed = ServiceConfig(name="feed", cgroup="/batch", allow=True)
    policy = policy_for(Policy(), named("f*[ab]?"), allowed)
    assert allowance_of(named("f*[ab]?"), policy) is not None
    assert allowance_of(named("feed"), policy) is None
    assert allowance_of(named("fxxa1"), policy) is None
    assert Policy().allow == ()


@pytest.mark.parametrize(
    ("free", "room"),
    [(RESERVE_BYTES + 5, 5), (RESERVE_BYTES, 0), (RESERVE_BYTES - 1, 0)],
)
def test_the_room_for_evidence_leaves_the_reserve_to_the_services(free, room):
    """A plan is not made on room that the bundle's writer would refuse to take."""
    assert room_for_evidence("/anywhere", lambda folder: free) == room


def test_unknown_room_for_evidence_is_none(tmp_path):
    """A folder that is not there yet tells nothing, which is not zero."""
    assert room_for_evidence(str(tmp_path / "absent")) is None
    assert room_for_evidence(None) is None

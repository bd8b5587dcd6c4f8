"""What forestall can see and do, and what would let it do more."""

import pytest
from tests.fakes.facts import healthy

from forestall.audit.abilities import abilities
from forestall.model.finding import Answer

UNSEEN = {
    "units": "systemd does not run here",
    "psi": "this kernel has PSI switched off (boot it with psi=1)",
}


def answers(facts):
    return {point.name: point.answer for point in abilities(facts)}


def test_root_on_a_current_host_can_do_everything():
    """Nothing is missing, and nothing is asked for."""
    points = abilities(healthy())
    assert {point.answer for point in points} == {Answer.YES}
    assert all(point.remedy is None for point in points)


@pytest.mark.parametrize(
    ("changes", "name", "answer", "remedy"),
    [
        ({"effective_uid": 1000}, "stop, restart", Answer.NO, "as root"),
        ({"effective_uid": 1000}, "keep evidence", Answer.NO, "as root"),
        ({"effective_uid": None}, "stop, restart", Answer.UNKNOWN, None),
        ({"hidden_processes": True}, "see processes", Answer.NO, "as root"),
        ({"process_count": None}, "see processes", Answer.UNKNOWN, None),
        ({"units": None, "unseen": UNSEEN}, "see services", Answer.NO, None),
        ({"psi": False, "unseen": UNSEEN}, "see pressure", Answer.NO, "psi=1"),
        ({"psi": False}, "see pressure", Answer.NO, None),
        ({"cgroup_version": None}, "see cgroups", Answer.NO, None),
    ],
)
def test_what_is_missing_and_how_to_get_it(changes, name, answer, remedy):
    """Each missing ability says so, with a remedy only where there is one."""
    facts = healthy(**changes)
    found = next(point for point in abilities(facts) if point.name == name)
    assert found.answer is answer
    assert (remedy in found.remedy) if remedy else (found.remedy is None)


def test_without_systemd_signals_remain():
    """Root may still signal; restarting then needs a command."""
    found = answers(healthy(units=None))
    assert found["stop, restart"] is Answer.YES

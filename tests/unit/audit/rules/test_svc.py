"""SVC: what becomes of a service that the kernel killed, or killed a part of."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, healthy, holder, unit
from tests.fakes.seed import repaired, seed_host

from forestall.audit.posture import Posture
from forestall.audit.rules import svc001_stays_dead as svc001
from forestall.audit.rules import svc002_goes_on_maimed as svc002
from forestall.model.finding import FindingState

FAIL, UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN
PASS, NOT_APPLICABLE = FindingState.PASS, FindingState.NOT_APPLICABLE
OWN = "/etc/systemd/system/x.service"
DISTRIBUTION = "/usr/lib/systemd/system/x.service"


def own(name="x.service", **fields):
    """A running service of the site's own that is started again."""
    return unit(name, **{"main_pid": 1, "fragment_path": OWN, "restart": "always", **fields})


def judged(rule, *units, **changes):
    return rule.RULE.judge(Posture(healthy(**{"units": units, **changes})))


def test_stays_dead():
    """Restart=no of the site's own service, but not that of the database."""
    found = svc001.RULE.judge(Posture(seed_host()))
    assert found.state is FAIL
    assert found.text == "feed-sync.service is not started again after a kill: Restart=no."
    assert found.reads == ("/units/1/restart",)


@pytest.mark.parametrize(
    ("restart", "state"),
    [
        ("no", FAIL),
        ("on-success", FAIL),
        ("on-watchdog", FAIL),
        ("on-failure", PASS),
        ("on-abnormal", PASS),
        ("always", PASS),
        (None, UNKNOWN),
    ],
)
def test_what_answers_to_a_kill(restart, state):
    """A SIGKILL is no clean end and no watchdog's."""
    assert judged(svc001, own(restart=restart)).state is state


@pytest.mark.parametrize(
    "fields",
    [
        {"fragment_path": DISTRIBUTION},
        {"active": False},
        {"service_type": "oneshot"},
        {"triggered": True},
    ],
    ids=["the distribution's", "stopped", "a job that ends", "a timer's"],
)
def test_not_meant_to_be_started_again(fields):
    """A job of a timer that happens to run has no restart policy, and needs none."""
    assert judged(svc001, own(restart="no", **fields)).state is PASS


def test_what_pacemaker_may_manage():
    """Pacemaker wants Restart=no of what it starts; a loop is a loop under it too."""
    pacemaker = unit("pacemaker.service", fragment_path=DISTRIBUTION)
    found = judged(svc001, own(restart="no"), pacemaker)
    assert found.state is UNKNOWN
    assert "x.service may be Pacemaker's" in found.text
    stopped = replace(pacemaker, active=False)
    assert judged(svc001, own(restart="no"), stopped).state is FAIL
    loop = own("y.service", restart_seconds=0.1, start_limit_burst=0)
    assert judged(svc001, own(restart="no"), loop, pacemaker).state is FAIL


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"start_limit_burst": 0, "restart_seconds": 0.1}, FAIL),
        ({"start_limit_interval_seconds": 0.0, "restart_seconds": 0.1}, FAIL),
        ({"start_limit_burst": 0, "restart_seconds": 0.99}, FAIL),
        ({"start_limit_burst": 0, "restart_seconds": 1.0}, PASS),
        ({"start_limit_burst": 0, "restart_seconds": 10.0}, PASS),
        ({"start_limit_burst": 5, "restart_seconds": 0.1}, PASS),
        ({"start_limit_burst": 0, "restart_seconds": None}, PASS),
        ({"start_limit_burst": 0, "restart_seconds": 0.1, "restart": "no"}, FAIL),
    ],
)
def test_started_again_without_end(fields, state):
    """No start limit is a loop only without a pause; with one it is a policy."""
    assert judged(svc001, own(**fields)).state is state


def test_both_at_once():
    """Services that stay dead and services that loop are one finding, with a cure for each."""
    found = judged(
        svc001,
        own(name="dead.service", restart="no"),
        own(name="loop.service", start_limit_burst=0, restart_seconds=0.1),
    )
    assert "dead.service is not started again" in found.text
    assert "loop.service is started again at once and without end" in found.text
    assert "StartLimitBurst=" in found.remedy
    assert found.reads == (
        "/units/0/restart",
        "/units/1/start_limit_burst",
        "/units/1/restart_seconds",
    )


def test_several_of_each_are_named():
    """In the plural, with each setting once, and the remedy for the first."""
    dead = [own(name=f"d{n}.service", restart=how) for n, how in enumerate(("no", "on-success"))]
    loops = [own(name=f"l{n}.service", start_limit_burst=0, restart_seconds=0) for n in range(2)]
    found = judged(svc001, *dead, *loops)
    assert found.text == (
        "d0.service, d1.service are not started again after a kill: Restart=no or "
        "Restart=on-success. l0.service, l1.service are started again at once and without end: "
        "no start limit."
    )
    assert "systemctl edit d0.service" in found.remedy
    assert found.remedy.endswith("for l0.service")
    one = judged(svc001, loops[0])
    assert one.text == "l0.service is started again at once and without end: no start limit."
    assert "drop-in" not in one.remedy
    untold = judged(svc001, own(restart=None), own(name="y.service"))
    assert untold.text == "Whether x.service is to be started again was not told."


@pytest.mark.parametrize("rule", [svc001, svc002])
def test_without_systemd(rule):
    """Unknown with its reason; a container's fate is decided outside."""
    facts = healthy(units=None, unseen={"units": "systemd does not run here"})
    found = rule.RULE.judge(Posture(facts))
    assert found.state is UNKNOWN
    assert "systemd does not run here" in found.text
    inside = replace(facts, container="docker")
    assert rule.RULE.judge(Posture(inside)).state is NOT_APPLICABLE


TWO = (holder("python", 1, GIB, unit="x.service"), holder("python", 2, GIB, unit="x.service"))
ONE = TWO[:1]


@pytest.mark.parametrize(
    ("fields", "holders", "state"),
    [
        ({"oom_policy": "continue"}, TWO, FAIL),
        ({"oom_policy": "continue", "task_count": 1}, ONE, PASS),
        ({"oom_policy": "continue", "task_count": 8}, ONE, UNKNOWN),
        ({"oom_policy": "continue"}, ONE, UNKNOWN),
        ({"oom_policy": "stop"}, TWO, PASS),
        ({"oom_policy": None}, TWO, PASS),
    ],
)
def test_goes_on_maimed(fields, holders, state):
    """Several processes must be seen, because systemd counts threads along with them."""
    assert judged(svc002, own(**fields), holders=holders).state is state


@pytest.mark.parametrize(
    ("version", "state"),
    [(219, NOT_APPLICABLE), (242, NOT_APPLICABLE), (243, FAIL), (None, UNKNOWN)],
)
def test_an_old_systemd_has_no_such_policy(version, state):
    """Before 243 the question does not arise."""
    unit = own(oom_policy="continue")
    assert judged(svc002, unit, holders=TWO, systemd_version=version).state is state


def test_whose_processes_are_counted():
    """Those of the service alone, its main process among them whether it is seen or not."""
    unit = own(oom_policy="continue")
    stranger = holder("python", 3, GIB, unit="y.service")
    assert judged(svc002, unit, holders=(*ONE, stranger)).state is UNKNOWN
    worker = holder("python", 2, GIB, unit="x.service")
    assert judged(svc002, unit, holders=(worker,)).state is FAIL
    headless = replace(unit, main_pid=None, memory_current_bytes=GIB)
    assert judged(svc002, headless, holders=(worker,)).state is UNKNOWN


def test_who_goes_on_is_named():
    """One goes, two go; what is not seen is named too."""
    units = (own(oom_policy="continue"), own(name="z.service", main_pid=5, oom_policy="continue"))
    three = (*TWO, holder("python", 5, unit="z.service"), holder("python", 6, unit="z.service"))
    both = judged(svc002, *units, holders=three)
    assert both.text.startswith("x.service, z.service go on when")
    assert both.reads == ("/units/0/oom_policy", "/units/1/oom_policy")
    one = judged(svc002, *units, holders=TWO)
    assert one.text.startswith("x.service goes on when")
    assert "systemctl edit x.service" in one.remedy
    unseen = judged(svc002, replace(units[0], task_count=1), units[1], holders=())
    assert unseen.text.startswith("z.service has OOMPolicy=continue, and whether")


def test_what_the_audit_asks_for_is_enough():
    """Restart=always with a pause passes."""
    assert svc001.RULE.judge(Posture(repaired(seed_host()))).state is PASS

"""The stages of a plan: which are in it, in which order, and why one is left out."""

import dataclasses
import itertools

import pytest
from tests.fakes.fleet import containment_of, host_verdict
from tests.fakes.guard import ALLOWED, BOOT_ID, state_of, verdict_of

from forestall.guard.containment import ContainMethod
from forestall.guard.containment import from_parameters as contained_by
from forestall.guard.decision import decide
from forestall.guard.history import History, fold
from forestall.guard.live import Live
from forestall.guard.ownership import Ownership
from forestall.model.action import Mode, Outcome, OutcomeState
from forestall.model.database import Database, Member, Role
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject, VerdictKind
from forestall.units import DAY, HOUR, MIB, MINUTE

AT = 1_700_000_000.0
EMPTY = History()
KEY = ProcessKey(boot_id=BOOT_ID, pid=4711, start_ticks=100)
SUBJECT = Subject(host="db1", name="feed-sync", process=KEY)
OWNS = Ownership(
    alone=False, window_seconds=600.0, growth_bytes=90, whole_growth_bytes=100, baseline_bytes=0
)
CONTAINMENT = containment_of(Live(key=KEY, name="feed-sync", names=("feed-sync",)))


def member(name, role=Role.REPLICA, **options):
    options.setdefault("lag_bytes", 0)
    options.setdefault("timeline", 3)
    options.setdefault("healthy", True)
    options.setdefault("state", "streaming")
    return Member(name=name, role=role, url=f"http://{name}:8008", **options)


def cluster(*peers, **options):
    own = member("db1", Role.PRIMARY, lag_bytes=None)
    return Database(scope="inventory", own="db1", at=AT, members=(own, *peers), **options)


def plan(low=40 * MINUTE, history=EMPTY, at=AT, kind=VerdictKind.LEAKING, **options):
    options.setdefault("ownership", OWNS)
    options.setdefault("containment", CONTAINMENT)
    options.setdefault("database", cluster(member("db2")))
    options.setdefault("troubled_since", AT - HOUR)
    verdict = options.pop("verdict", None) or host_verdict(SUBJECT, kind, at=at, low=low)
    return decide(verdict, state_of(at, **options), ALLOWED, history)


def kinds(made):
    return [action.kind.value for action in made.actions]


def test_the_order_is_contain_move_keep_recycle_tell():
    """Everything at once: each stage in its place, with what it needs to be undone."""
    made = plan(via="pgbouncer")
    assert kinds(made) == ["contain", "switchover", "capture", "restart", "notify"]
    assert contained_by(made.actions[0].parameters) == CONTAINMENT
    assert made.actions[1].parameters == {
        "scope": "inventory",
        "leader": "db1",
        "candidate": "db2",
        "peer_url": "http://db2:8008",
        "via": "pgbouncer",
        "pause_timeout_seconds": "5",
    }
    assert made.left_out == ()


def test_every_mode_prints_the_same_plan():
    """Observe shows what act does, down to the sentences and what is left out."""
    act = plan(fleet=True)
    for mode in (Mode.OBSERVE, Mode.ADVISE):
        shown = plan(fleet=True, mode=mode)
        assert dataclasses.replace(shown, mode=Mode.ACT, id=act.id) == act


@pytest.mark.parametrize(
    ("database", "words"),
    [
        (cluster(member("db2", healthy=False, state="stopped")), "db2 is not healthy (stopped)"),
        (cluster(member("db2", lag_bytes=64 * MIB)), "db2 lags by 64 MiB"),
        (cluster(member("db2", lag_bytes=None)), "db2 does not tell its lag"),
        (cluster(member("db2", exhaustion_seconds=HOUR, forecast_known=True)), "run out of memory"),
        (cluster(member("db2", timeline=2)), "db2 is on timeline 2, the primary on 3"),
        (cluster(member("db2"), synchronous=True), "db2 is no synchronous standby"),
        (cluster(member("db2"), paused=True), "inventory is paused"),
        (cluster(member("db2"), switchover_pending=True), "under way already"),
        (cluster(), "db1 is the only member"),
        (
            Database(scope="inventory", own="db1", at=AT, fault="no answer."),
            "is not known: no answer.",
        ),
    ],
)
def test_a_switchover_that_is_not_safe_is_refused_and_the_rest_goes_on(database, words):
    """Never the last healthy one, never to one that lags or runs out itself; recycling goes on."""
    made = plan(database=database)
    assert kinds(made) == ["contain", "capture", "restart", "notify"]
    (sentence,) = made.left_out
    assert sentence.startswith("Switchover: ")
    assert words in sentence


def test_the_best_candidate_is_synchronous_known_to_last_and_close():
    """Of those that may take over: who loses nothing, who does not run out, who lags least."""
    peers = (
        member("db2", lag_bytes=10),
        member("db3", lag_bytes=20, exhaustion_seconds=30 * DAY, forecast_known=True),
        member("db4", Role.SYNC_STANDBY, lag_bytes=30),
    )
    for count, name in ((3, "db4"), (2, "db3"), (1, "db2")):
        made = plan(database=cluster(*peers[:count]))
        assert made.actions[1].parameters["candidate"] == name
    assert "Whether db2 may itself run out is not known." in made.because


def test_nothing_is_moved_from_a_host_that_is_not_the_primary():
    """A replica's host has no traffic to move, and nothing is said of it."""
    elsewhere = dataclasses.replace(cluster(member("db2", Role.PRIMARY)), own="db3")
    own = dataclasses.replace(elsewhere, members=(*elsewhere.members[1:], member("db3")))
    made = plan(database=own)
    assert kinds(made) == ["contain", "capture", "restart", "notify"]
    assert made.left_out == ()


def test_a_limit_of_the_service_alone_endangers_nobody_else():
    """Its own cgroup runs out: nothing to contain, and the database stays where it is."""
    made = plan(verdict=verdict_of(SUBJECT), ownership=Ownership(alone=True))
    assert kinds(made) == ["capture", "restart", "notify"]
    assert made.left_out == (
        "Switchover: what runs out is the service's own, so the database is not in danger.",
    )


def test_a_primary_that_was_just_moved_is_not_moved_again():
    """Two switchovers never follow each other within the cooldown."""
    first = plan()
    moved = Outcome(
        plan_id=first.id,
        action_id="2-switchover",
        kind=first.actions[1].kind,
        subject=SUBJECT,
        state=OutcomeState.DONE,
        at=AT,
        took_seconds=3.0,
        detail="Moved.",
    )
    other = dataclasses.replace(SUBJECT, name="feed-sync-2")
    verdict = host_verdict(other, VerdictKind.LEAKING, at=AT + 60, low=HOUR)
    made = plan(history=fold([first, moved]), at=AT + 60, verdict=verdict)
    assert "switchover" not in kinds(made)
    assert "was moved 1 min ago" in made.left_out[0]


@pytest.mark.parametrize(
    ("low", "containment", "wanted"),
    [
        (16.0, CONTAINMENT, ["contain", "switchover", "capture", "restart", "notify"]),
        (3.0, CONTAINMENT, ["contain", "switchover", "capture", "restart", "notify"]),
        (3.0, None, ["switchover", "restart", "notify"]),
    ],
)
def test_time_leaves_out_evidence_and_nothing_else(low, containment, wanted):
    """Three seconds left: evidence only where containing stretches them; traffic moves always."""
    made = plan(low=low, kind=VerdictKind.EXHAUSTING, containment=containment)
    assert kinds(made) == wanted
    if low == 3.0 and containment is not None:
        assert made.actions[2].parameters == {"only_contained": "yes"}
        assert any("Once it is contained the host no longer runs out" in s for s in made.because)
    if containment is None:
        assert made.left_out == ("Capture: the forecast leaves no time for evidence.",)
        assert made.actions[1].parameters["no_capture"]
        assert made.actions[1].parameters["grace_seconds"] == "1"


def test_a_contained_service_without_a_throttle_has_as_long_as_its_limit():
    """cgroup v1 only has a hard limit: what does not fit before it is left out too."""
    hard = dataclasses.replace(CONTAINMENT, version=1, high_bytes=None, max_bytes=601 * MIB)
    made = plan(low=3.0, kind=VerdictKind.EXHAUSTING, containment=hard)
    assert kinds(made) == ["contain", "switchover", "restart", "notify"]


@pytest.mark.parametrize("cgroup", ["/", "/system.slice"])
def test_what_holds_others_is_never_contained(cgroup):
    """Neither the root nor a slice, whatever was found."""
    made = plan(containment=dataclasses.replace(CONTAINMENT, cgroup=cgroup))
    assert "contain" not in kinds(made)
    assert made.left_out[0].startswith("Contain: Protected: ")
    own = dataclasses.replace(CONTAINMENT, cgroup=cgroup, method=ContainMethod.OWN_CGROUP)
    assert kinds(plan(containment=own))[0] == "contain"


def test_the_third_time_it_is_contained_and_drained_and_people_are_paged():
    """Restart, restart, then hold: nothing is taken down, and the limit stays."""
    records = []
    for index in range(3):
        subject = dataclasses.replace(
            SUBJECT, process=dataclasses.replace(KEY, start_ticks=200 + index)
        )
        at = AT + index * 20 * MINUTE
        verdict = host_verdict(subject, VerdictKind.LEAKING, at=at, low=HOUR)
        made = plan(history=fold(records), at=at, verdict=verdict, troubled_since=at - 60)
        records.append(made)
        records += [
            Outcome(
                plan_id=made.id,
                action_id=action.id,
                kind=action.kind,
                subject=subject,
                state=OutcomeState.REFUSED
                if action.kind.value == "switchover"
                else OutcomeState.DONE,
                at=at,
                took_seconds=0.0,
                detail="So it was.",
            )
            for action in made.actions
        ]
    assert kinds(made) == ["contain", "switchover", "capture", "notify"]
    assert made.hold is not None
    assert made.hold.startswith("Hold and page: ")
    held = fold(records)
    # Within the window it is not said again, and the refused switchover is tried again.
    again = plan(history=held, at=at + 5 * MINUTE, verdict=verdict, troubled_since=at - 60)
    assert kinds(again) == ["contain", "switchover", "capture", "notify"]
    assert again.attempt == 2
    # After the window it is still held, because it stands contained.
    later = plan(history=held, at=at + 7 * HOUR, verdict=verdict, troubled_since=at - 60)
    assert later.hold is not None


def test_without_a_way_to_restart_it_is_still_contained_and_drained():
    """What cannot be taken down can be kept from taking the host down."""
    made = plan(recipe=None)
    assert kinds(made) == ["contain", "switchover", "capture", "notify"]
    assert made.hold is not None
    assert made.hold.startswith("No way to restart: ")
    assert made.refusals == ()


@pytest.mark.parametrize(
    ("ownership", "kind"),
    [
        (None, "Owner not known"),
        (Ownership(alone=False), "Owner not known"),
        (dataclasses.replace(OWNS, growth_bytes=50), "Not the owner"),
        (dataclasses.replace(OWNS, growth_bytes=-5), "Not the owner"),
        (dataclasses.replace(OWNS, baseline_bytes=600 * MIB), "Not above its baseline"),
    ],
)
def test_who_does_not_own_the_growth_is_left_alone(ownership, kind):
    """More than half of what the host lost, above its own baseline, and known to be so."""
    made = plan(ownership=ownership)
    assert kinds(made) == ["notify"]
    assert made.refusals[0].startswith(kind)


def test_a_refused_attempt_is_retried_in_doubling_steps_and_then_held():
    """A lease that another host has is no reason to wait for the whole cooldown."""
    records, at, waits = [], AT, []
    for _ in range(8):
        made = plan(history=fold(records), at=at)
        while made.idle:
            at += 10.0
            made = plan(history=fold(records), at=at)
        waits.append(at)
        if made.hold:
            break
        records.append(made)
        records += [
            Outcome(
                plan_id=made.id,
                action_id=action.id,
                kind=action.kind,
                subject=SUBJECT,
                state=OutcomeState.REFUSED,
                at=at,
                took_seconds=0.0,
                detail="No lease.",
            )
            for action in made.actions
        ]
    steps = [b - a for a, b in itertools.pairwise(waits)]
    assert steps == [70.0, 130.0, 250.0, 490.0, 610.0, 610.0]
    assert made.hold is not None
    assert "6 attempts" in made.hold

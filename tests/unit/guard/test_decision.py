"""decide: when it plans, when it waits, when it refuses; a playbook of verdicts and plans."""

import dataclasses

import pytest
from tests.fakes.fleet import containment_of, host_verdict
from tests.fakes.guard import ALLOWED, BOOT_ID, HASTY, OWN_PID, state_of, verdict_of

from forestall.guard.decision import decide
from forestall.guard.history import History, Past, fold
from forestall.guard.live import Live
from forestall.guard.ownership import Ownership
from forestall.guard.policy import Allowance, Policy, Remedy
from forestall.guard.recipe import Method, Recipe
from forestall.guard.refusals import kind_of
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject, VerdictKind
from forestall.units import HOUR, KIB, MIB, MINUTE

AT = 1_700_000_000.0
EMPTY = History()


def subject_of(name="feed-sync", pid=4711, ticks=100, unit=None):
    key = ProcessKey(boot_id=BOOT_ID, pid=pid, start_ticks=ticks)
    return Subject(host="db1", name=name, process=key, unit=unit)


def leak(**options):
    return verdict_of(options.pop("subject", None) or subject_of(), **options)


def kinds(plan):
    return [action.kind.value for action in plan.actions]


def answered(plan, state=OutcomeState.DONE):
    """A history in which each action of `plan` came to `state`."""
    outcomes = [
        Outcome(
            plan_id=plan.id,
            action_id=action.id,
            kind=action.kind,
            subject=action.subject,
            state=state,
            at=plan.at,
            took_seconds=0.0,
            detail="So it was.",
        )
        for action in plan.actions
    ]
    return [plan, *outcomes]


def test_a_leak_that_ends_soon_is_captured_restarted_and_told():
    """The order is evidence, then the restart, then people."""
    plan = decide(leak(), state_of(), ALLOWED, EMPTY)
    assert kinds(plan) == ["capture", "restart", "notify"]
    assert plan.refusals == ()
    assert plan.because == (
        (
            "feed-sync is LEAKING and holds 624 MiB, growing by 400 MiB per hour: exhaustion in "
            "40 min to 2 h, with 400 MiB left of 1.0 GiB (/system.slice/feed-sync memory.max)."
        ),
        "Exhaustion may come within the 2 h in which guard acts where feed-sync alone runs out.",
        (
            "The plan: keep its evidence, restart it by SIGTERM, then SIGKILL, expecting its "
            "supervisor to start it again, tell people."
        ),
        "Time: 40 min at the soonest; the evidence 5 s, recycling 5 s: all of it fits.",
    )


@pytest.mark.parametrize("kind", [VerdictKind.STEADY, VerdictKind.GROWING, VerdictKind.UNDECIDED])
def test_what_does_not_leak_is_left_alone(kind):
    """Only LEAKING and EXHAUSTING call for action, however near the limit is."""
    plan = decide(leak(kind=kind, low=1.0), state_of(), ALLOWED, EMPTY)
    assert plan.idle
    assert plan.because == (f"feed-sync is {kind.value}, which calls for no action.",)


@pytest.mark.parametrize(
    ("low", "headroom", "acts"),
    [
        (2 * HOUR, 400 * MIB, True),
        (2 * HOUR + 1, 400 * MIB, False),
        (None, 400 * MIB, False),
        (None, 153 * MIB, True),
        (None, 154 * MIB, False),
    ],
)
def test_a_leak_is_acted_on_within_the_horizon_or_over_the_share(low, headroom, acts):
    """Two hours to the soonest exhaustion, or 85% of the limit used, as this owner says."""
    plan = decide(leak(low=low, headroom=headroom), state_of(), ALLOWED, EMPTY)
    assert bool(plan.actions) == acts


SHIPPED = Policy(allow=(Allowance(service="feed-sync"),))
ALONE = Ownership(alone=True)
AMONG_OTHERS = Ownership(
    alone=False, window_seconds=HOUR, growth_bytes=9 * MIB, whole_growth_bytes=10 * MIB
)


@pytest.mark.parametrize("kind", [VerdictKind.LEAKING, VerdictKind.EXHAUSTING])
@pytest.mark.parametrize(
    ("low", "headroom", "acts"),
    [
        (2 * MINUTE, 400 * MIB, True),
        (2 * MINUTE + 1, 400 * MIB, False),
        (None, 153 * MIB, True),
        (None, 154 * MIB, False),
    ],
)
def test_what_runs_out_alone_is_given_the_time_there_is(kind, low, headroom, acts):
    """Two minutes, or 85% used, whatever the verdict: then evidence and restart just fit."""
    verdict = leak(kind=kind, low=low, headroom=headroom)
    plan = decide(verdict, state_of(ownership=ALONE), SHIPPED, EMPTY)
    assert kinds(plan) == (["capture", "restart", "notify"] if acts else [])
    if not acts:
        assert plan.because[-1] == (
            "Guard acts when exhaustion may come within 2 min where feed-sync alone runs out, or "
            "85% is used."
        )


@pytest.mark.parametrize("kind", [VerdictKind.LEAKING, VerdictKind.EXHAUSTING])
@pytest.mark.parametrize(
    "around", [{"ownership": AMONG_OTHERS}, {"ownership": ALONE, "any_oom_panics": True}]
)
def test_what_takes_others_down_too_is_acted_on_early(kind, around):
    """In a cgroup with others, or where any OOM panics the host: two hours, or 85% used."""
    for options in ({"low": 2 * HOUR}, {"low": None, "headroom": 153 * MIB}):
        plan = decide(leak(kind=kind, **options), state_of(**around), SHIPPED, EMPTY)
        assert "restart" in kinds(plan)


@pytest.mark.parametrize("kind", [VerdictKind.LEAKING, VerdictKind.EXHAUSTING])
def test_what_is_not_foretold_to_run_out_is_left_alone(kind):
    """A verdict that is only held has no forecast any more: the batch job is over."""
    verdict = dataclasses.replace(leak(kind=kind), forecast=None)
    plan = decide(verdict, state_of(), ALLOWED, EMPTY)
    assert plan.idle
    assert plan.because[-1] == "No exhaustion is foretold now, and guard acts on nothing else."


def test_guard_waits_until_the_trouble_has_lasted():
    """A minute of persistence, unless exhaustion is within a quarter of an hour."""
    young = state_of(troubled_since=AT - 59)
    plan = decide(leak(), young, ALLOWED, EMPTY)
    assert plan.idle
    assert plan.because[-1] == "It has lasted 59 s, and guard waits for 1 min."
    assert decide(leak(), state_of(troubled_since=AT - 60), ALLOWED, EMPTY).actions
    assert decide(leak(low=15 * MINUTE), young, ALLOWED, EMPTY).actions
    assert decide(leak(low=15 * MINUTE + 1), young, ALLOWED, EMPTY).idle


def test_one_trouble_is_planned_for_once():
    """Called again and again while a plan cools down, decide stays silent."""
    plan = decide(leak(), state_of(), ALLOWED, EMPTY)
    history = fold(answered(plan))
    for after in (0, 1, 9 * MINUTE, 10 * MINUTE):
        again = decide(leak(), state_of(AT + after), ALLOWED, history)
        assert again.idle
    assert again.because[-1] == (
        "Guard planned for feed-sync 10 min ago, and lets 10 min pass between two plans."
    )
    assert decide(leak(), state_of(AT + 10 * MINUTE + 1), ALLOWED, history).actions


def test_the_cooldown_is_of_the_service_not_of_the_process():
    """A restarted service that leaks at once has another process, and still cools down."""
    history = fold(answered(decide(leak(), state_of(), ALLOWED, EMPTY)))
    fresh = leak(subject=subject_of(pid=4712, ticks=200))
    assert decide(fresh, state_of(AT + MINUTE), ALLOWED, history).idle
    other = leak(subject=subject_of("feed-sync-2", pid=4713))
    assert decide(other, state_of(AT + MINUTE), ALLOWED, history).actions


def test_what_would_be_over_within_the_cooldown_goes_on_up_the_ladder_at_once():
    """A leak of minutes comes back in minutes: the pause ends flapping, and not the host."""
    records = []
    for index in range(5):
        subject, at = subject_of(pid=4711 + index), AT + index * MINUTE
        verdict = host_verdict(subject, VerdictKind.EXHAUSTING, at=at, low=30.0)
        assert subject.process is not None
        contained = containment_of(Live(key=subject.process, name="feed-sync", names=()))
        state = state_of(
            at,
            ownership=Ownership(
                alone=False, window_seconds=600.0, growth_bytes=9, whole_growth_bytes=10
            ),
            containment=contained if index < 3 else None,
            no_containment=None if index < 3 else "It is contained already.",
        )
        plan = decide(verdict, state, ALLOWED, fold(records))
        records += answered(plan)
        if index < 2:
            assert kinds(plan) == ["contain", "capture", "restart", "notify"]
        elif index == 2:
            assert kinds(plan) == ["contain", "capture", "notify"]
            assert plan.hold is not None
        else:
            # Its supervisor starts it again under the limit: people know already.
            assert plan.idle
            assert "is held since" in plan.because[-1]


def test_after_the_second_restart_guard_holds_and_pages():
    """What did not help twice within an hour is not tried a third time, and a person is told."""
    records = []
    for index in range(2):
        verdict = leak(subject=subject_of(pid=4711 + index))
        at = AT + index * 20 * MINUTE
        plan = decide(verdict, state_of(at), ALLOWED, fold(records))
        assert kinds(plan) == ["capture", "restart", "notify"]
        records += answered(plan)
    third = leak(subject=subject_of(pid=4713))
    plan = decide(third, state_of(AT + 40 * MINUTE), ALLOWED, fold(records))
    assert kinds(plan) == ["capture", "notify"]
    assert plan.hold == (
        "Hold and page: guard planned for feed-sync 2 times within 1 h (2 carried out), "
        "and the trouble is back; once more would not help."
    )
    said = fold([*records, *answered(plan)])
    assert decide(third, state_of(AT + 41 * MINUTE), ALLOWED, said).idle
    after = decide(third, state_of(AT + 61 * MINUTE), ALLOWED, said)
    assert kinds(after) == ["capture", "restart", "notify"]


def test_the_host_has_a_limit_of_its_own():
    """Four plans in an hour over all services, and the fifth service is held."""
    policy = dataclasses.replace(HASTY, allow=(Allowance(service="*"),))
    records = []
    for index in range(5):
        verdict = leak(subject=subject_of(f"svc-{index}", pid=100 + index))
        plan = decide(verdict, state_of(AT + index * MINUTE), policy, fold(records))
        records += answered(plan)
    assert kinds(plan) == ["capture", "notify"]
    assert plan.hold is not None
    assert kind_of(plan.hold) == "Hold and page"
    assert "4 times on this host" in plan.hold


@pytest.mark.parametrize(
    ("subject", "options", "kind"),
    [
        (subject_of("postgres"), {}, "Protected"),
        (subject_of("ora_pmon_INV"), {}, "Protected"),
        (subject_of("worker", unit="postgresql@15-main.service"), {}, "Protected"),
        (subject_of("feed-sync", pid=1), {}, "Protected"),
        (subject_of("feed-sync", pid=OWN_PID), {}, "Protected"),
        (subject_of("ledger-db"), {"protected": ("ledger-*",)}, "Protected"),
        (Subject(host="db1", name="host"), {}, "No process"),
        (subject_of("billing"), {}, "Not allowed"),
        (subject_of(), {"recipe": None}, "No way to restart"),
        (
            subject_of(),
            {"recipe": Recipe(method=Method.SYSTEMD, unit="user@1000.service")},
            "Protected",
        ),
        (subject_of(), {"evidence_free_bytes": 15 * MIB}, "No room for evidence"),
    ],
)
def test_a_refusal_says_why_and_only_tells_people(subject, options, kind):
    """A plan with refusals has no action other than notify."""
    plan = decide(leak(subject=subject), state_of(**options), ALLOWED, EMPTY)
    assert kinds(plan) == ["notify"]
    assert kind in [kind_of(sentence) for sentence in plan.refusals]
    assert all(sentence.endswith(".") for sentence in (*plan.refusals, *plan.because))


def test_a_refusal_is_not_repeated_until_it_changes():
    """Said once for a process; again when the verdict worsens, a new reason joins, or after 6 h."""
    state = state_of(recipe=None)
    plan = decide(leak(), state, ALLOWED, EMPTY)
    history = fold(answered(plan))
    later = state_of(AT + HOUR, recipe=None)
    assert decide(leak(), later, ALLOWED, history).idle
    assert decide(leak(kind=VerdictKind.EXHAUSTING), later, ALLOWED, history).refusals
    worse = state_of(AT + HOUR, recipe=None, evidence_free_bytes=0)
    assert decide(leak(), worse, ALLOWED, history).refusals
    late = state_of(AT + 6 * HOUR + 1, recipe=None)
    assert decide(leak(), late, ALLOWED, history).refusals
    assert decide(leak(), state_of(AT + HOUR), ALLOWED, history).actions


def test_when_exhaustion_is_imminent_neither_room_nor_a_failed_capture_holds_it_back():
    """The plan itself records that it goes on without evidence, and why."""
    state = state_of(evidence_free_bytes=0)
    plan = decide(leak(low=10 * MINUTE), state, ALLOWED, EMPTY)
    assert kinds(plan) == ["capture", "restart", "notify"]
    assert plan.actions[1].parameters["without_evidence"] == "exhaustion may come within 15 min"
    assert plan.because[-1] == (
        "Should the evidence fail, it is not waited for, because exhaustion may come within 15 min."
    )
    patient = decide(leak(low=16 * MINUTE), state_of(), ALLOWED, EMPTY)
    assert "without_evidence" not in patient.actions[1].parameters


@pytest.mark.parametrize(("low", "timeout"), [(HOUR, 20.0), (40.0, 10.0), (11.0, 2.75)])
def test_evidence_may_use_a_quarter_of_the_time_left(low, timeout):
    """A capture never costs more than a quarter of what is left, and always has two seconds."""
    plan = decide(leak(low=low), state_of(), ALLOWED, EMPTY)
    assert plan.actions[0].timeout_seconds == timeout


def test_observe_plans_what_act_would_do():
    """The same actions and reasons in every mode, so that the ledger earns trust."""
    act = decide(leak(), state_of(mode=Mode.ACT), ALLOWED, EMPTY)
    for mode in (Mode.OBSERVE, Mode.ADVISE):
        plan = decide(leak(), state_of(mode=mode), ALLOWED, EMPTY)
        assert dataclasses.replace(plan, mode=Mode.ACT, id=act.id) == act


def test_observe_shows_also_services_that_nobody_allowed_yet():
    """Who has not decided yet sees what would happen, and what act mode would still need."""
    plan = decide(leak(), state_of(mode=Mode.OBSERVE), HASTY, EMPTY)
    assert kinds(plan) == ["capture", "restart", "notify"]
    assert plan.because[-1] == "Act mode would also need feed-sync among the allowed services."
    assert decide(leak(), state_of(mode=Mode.ACT), HASTY, EMPTY).refusals


def test_a_would_have_is_said_once_for_a_process():
    """An untouched process leaks on for hours; the ledger has it once, and once more if worse."""
    observe = state_of(mode=Mode.OBSERVE)
    history = fold(answered(decide(leak(), observe, ALLOWED, EMPTY), OutcomeState.WOULD))
    for after in (11 * MINUTE, 3 * HOUR):
        later = state_of(AT + after, mode=Mode.OBSERVE)
        assert decide(leak(), later, ALLOWED, history).idle
    worse = leak(kind=VerdictKind.EXHAUSTING)
    later = state_of(AT + 3 * HOUR, mode=Mode.OBSERVE)
    assert decide(worse, later, ALLOWED, history).actions


def test_what_was_only_journaled_does_not_hold_act_mode_back():
    """An owner who switches from observe to act is not made to wait for would-haves."""
    observe = state_of(mode=Mode.OBSERVE)
    history = fold(answered(decide(leak(), observe, ALLOWED, EMPTY), OutcomeState.WOULD))
    assert decide(leak(), state_of(AT + 1), ALLOWED, history).actions


def test_a_service_can_be_allowed_to_be_stopped_only():
    """Stop needs no recipe, for nothing is brought back."""
    policy = dataclasses.replace(HASTY, allow=(Allowance(service="feed-sync", remedy=Remedy.STOP),))
    plan = decide(leak(), state_of(recipe=None), policy, EMPTY)
    assert kinds(plan) == ["capture", "stop", "notify"]
    assert plan.actions[1].parameters == {"grace_seconds": "10"}


def test_a_clock_that_was_wrong_by_years_does_not_hold_guard_back():
    """A plan from the far future is no recent one; one from the near future still counts."""
    plan = decide(leak(), state_of(AT + 365 * 24 * HOUR), ALLOWED, EMPTY)
    assert decide(leak(), state_of(), ALLOWED, fold(answered(plan))).actions
    near = decide(leak(), state_of(AT + 5 * MINUTE), ALLOWED, EMPTY)
    assert decide(leak(), state_of(), ALLOWED, fold(answered(near))).idle


def test_a_plan_has_one_id_for_one_trouble_and_attempt():
    """Whenever it is decided, the same attempt at the same trouble is the same plan; another
    process, another trouble of it, another mode and another attempt are others."""
    since = {"troubled_since": AT - HOUR}
    first = decide(leak(), state_of(**since), ALLOWED, EMPTY)
    assert decide(leak(), state_of(AT + MINUTE, **since), ALLOWED, EMPTY).id == first.id
    others = [
        decide(leak(subject=subject_of(ticks=101)), state_of(**since), ALLOWED, EMPTY),
        decide(leak(), state_of(troubled_since=AT - HOUR + 5), ALLOWED, EMPTY),
        decide(leak(), state_of(mode=Mode.OBSERVE, **since), ALLOWED, EMPTY),
    ]
    again = decide(
        leak(),
        state_of(AT + 2 * MINUTE, **since),
        ALLOWED,
        fold(answered(first, OutcomeState.REFUSED)),
    )
    assert (first.attempt, again.attempt) == (1, 2)
    assert again.incident == first.incident
    assert len({plan.id for plan in (first, again, *others)}) == 5


def test_the_limits_survive_a_flood_of_refusals():
    """However many refusals there are, what counts against a limit is not forgotten."""
    records = answered(decide(leak(), state_of(), ALLOWED, EMPTY))
    for index in range(600):
        verdict = leak(subject=subject_of("postgres", pid=1000 + index))
        records += answered(decide(verdict, state_of(AT + 1), ALLOWED, EMPTY))
    history = fold(records)
    assert len(history.past) <= 256
    assert any(isinstance(past, Past) and past.disruptive for past in history.past)
    assert decide(leak(), state_of(AT + 2), ALLOWED, history).idle


def test_a_tiny_limit_and_none_used_do_not_break_the_sentences():
    """A limit of zero bytes has no share; the sentence is still one."""
    verdict = leak(limit=0, headroom=0, low=None)
    assert decide(verdict, state_of(), ALLOWED, EMPTY).idle
    small = leak(limit=4 * KIB, headroom=0, low=1.0)
    assert decide(small, state_of(), ALLOWED, EMPTY).actions[0].kind is ActionKind.RESTART

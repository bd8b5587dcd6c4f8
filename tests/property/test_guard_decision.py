"""decide over generated histories: limits, order and silence hold, whatever happened before."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.guard import BOOT_ID, HASTY, OWN_PID, state_of, verdict_of

from forestall.guard.decision import decide
from forestall.guard.history import DISRUPTIVE, fold
from forestall.guard.policy import Allowance, imminent
from forestall.guard.protect import protected_by_name
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Subject, VerdictKind
from forestall.units import HOUR, MIB, MINUTE

AT = 1_700_000_000.0
POLICY = replace(HASTY, allow=(Allowance(service="feed-*"), Allowance(service="billing")))

SUBJECTS = st.builds(
    lambda name, pid, ticks: Subject(
        host="db1",
        name=name,
        process=ProcessKey(boot_id=BOOT_ID, pid=pid, start_ticks=ticks),
    ),
    st.sampled_from((*["feed-sync"] * 3, "feed-in", "billing", "stranger", "postgres")),
    st.sampled_from((40, 41, 42, 43, 44, 45, OWN_PID, 1)),
    st.integers(1, 2),
)
VERDICTS = st.builds(
    verdict_of,
    SUBJECTS,
    st.sampled_from((VerdictKind.LEAKING, VerdictKind.EXHAUSTING) * 3 + tuple(VerdictKind)),
    low=st.sampled_from((HOUR, 20 * MINUTE, 60.0, 3 * HOUR, None)),
    headroom=st.sampled_from((0, 100 * MIB, 700 * MIB)),
)


@st.composite
def pasts(draw):
    """A ledger of up to twelve plans, made by decide itself or by hand, with any outcomes."""
    records = []
    for _ in range(draw(st.integers(0, 12))):
        at = AT - draw(st.floats(0, 7 * HOUR))
        state = state_of(at, draw(st.sampled_from(Mode)))
        plan = decide(draw(VERDICTS), state, POLICY, fold(records))
        records.append(plan)
        count = draw(st.integers(0, len(plan.actions)))
        for action in plan.actions[:count]:
            state = draw(st.sampled_from(OutcomeState))
            records.append(
                Outcome(
                    plan_id=plan.id,
                    action_id=action.id,
                    kind=action.kind,
                    subject=action.subject,
                    state=state,
                    at=at,
                    took_seconds=0.0,
                    detail="So it was.",
                )
            )
    return fold(records)


STATES = st.builds(
    state_of,
    st.just(AT),
    st.sampled_from(Mode),
    troubled_since=st.sampled_from((AT - HOUR, AT - HOUR, AT - 30, AT)),
    recipe=st.sampled_from(
        (Recipe(method=Method.SIGNAL), Recipe(method=Method.COMMAND, command=("/bin/true",)), None)
    ),
    evidence_free_bytes=st.sampled_from((None, 64 * MIB, 0)),
)


def test_no_history_makes_decide_break_its_limits():
    """Never protected, never over a limit, evidence always first; and never within the cooldown,
    unless the end is so near that waiting is no choice.

    The generated histories hold acts, refusals and half-failures.
    """
    seen = Counter()

    @settings(max_examples=400, deadline=None)
    @given(VERDICTS, STATES, pasts())
    def check(verdict, state, history):
        plan = decide(verdict, state, POLICY, history)
        assert plan == decide(verdict, state, POLICY, history)
        if any(entry.disruptive and half_failed(entry) for entry in history.past):
            seen["half-failure"] += 1
        kinds = [action.kind for action in plan.actions]
        assert all(action.subject == verdict.subject for action in plan.actions)
        if plan.refusals:
            seen["refusal"] += 1
            assert kinds == [ActionKind.NOTIFY]
            return
        if not kinds:
            seen["idle"] += 1
            return
        if plan.hold:
            seen["hold"] += 1
            assert not set(kinds) & set(DISRUPTIVE)
            assert kinds[-1] is ActionKind.NOTIFY
            return
        seen["act"] += 1
        assert kinds[0] is ActionKind.CAPTURE
        assert kinds[1] in DISRUPTIVE
        assert kinds[2:] == [ActionKind.NOTIFY]
        assert verdict.kind in (VerdictKind.LEAKING, VerdictKind.EXHAUSTING)
        assert protected_by_name((verdict.subject.name,)) is None
        assert verdict.subject.process.pid not in (1, OWN_PID)
        assert state.recipe is not None
        if state.mode is Mode.ACT:
            assert verdict.subject.name != "stranger"
        past = [
            entry
            for entry in history.past
            # An attempt that is over and took nothing down is retried, and counts for no limit.
            if entry.disruptive
            and not entry.stopped_short
            and (state.mode is not Mode.ACT or entry.plan.mode is Mode.ACT)
        ]
        own = [entry for entry in past if entry.plan.subject.service == plan.subject.service]
        if imminent(verdict, POLICY):
            seen["imminent"] += 1
        else:
            assert not [e for e in own if AT - e.plan.at <= POLICY.cooldown_seconds]
        recent = [entry for entry in past if AT - entry.plan.at <= POLICY.window_seconds]
        assert len([e for e in recent if e in own]) < POLICY.service_actions_max
        assert len(recent) < POLICY.host_actions_max
        if history.past:
            seen["act with a past"] += 1

    def half_failed(entry):
        states = [outcome.state for outcome in entry.outcomes]
        return bool(entry.unanswered) or OutcomeState.FAILED in states

    check()
    assert min(seen[what] for what in ("act", "refusal", "idle", "half-failure")) > 0, seen

"""Verdicts, plans and outcomes -> the events of a trouble, from its onset to its end.

Pure bookkeeping: nouns in, TimelineEvents out. The events of a spool fold back into the same
state, which is how the agent goes on where a killed one stopped.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forestall.errors import InputError
from forestall.guard.recipe import without_secrets
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.codec import Json, Noun, from_document, to_document
from forestall.model.event import EventKind, TimelineEvent
from forestall.model.sample import ProcessKey, ProcessSample
from forestall.model.verdict import Subject, Verdict, VerdictKind
from forestall.units import MINUTE, format_bytes, format_duration

SOURCE = "agent"
TROUBLES_MAX = 256
SUCCESSOR_SECONDS = 5 * MINUTE
CONFIRM_SECONDS = 30 * MINUTE

BAD = (VerdictKind.LEAKING, VerdictKind.EXHAUSTING)
_TAKES_DOWN = (ActionKind.STOP, ActionKind.RESTART)


@dataclass(slots=True, kw_only=True)
class Trouble:
    """One process that leaks. `bad_since` is None while its verdict is milder again.

    `key` stays as it was at detection, also when the process takes another name. `asked` is the
    verdict that guard was asked about last. `restored` = an earlier agent told of it, and this
    one's judge has not come to see it yet; `judged_from` is when that judge began. `armed` = the
    last stage was told what it may have to contain.
    """

    key: str
    verdict: Verdict
    bad_since: float | None
    acted: bool = False
    gone_at: float | None = None
    asked: Verdict | None = None
    restored: bool = False
    judged_from: float | None = None
    armed: bool = False

    @property
    def subject(self) -> Subject:
        return self.verdict.subject

    @property
    def actionable(self) -> bool:
        """Whether guard is to be asked: it is bad now, by this agent's own judgement, and there."""
        return self.bad_since is not None and self.gone_at is None and not self.restored


class Troubles:
    """The open troubles of this host, at most TROUBLES_MAX."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._open: dict[ProcessKey, Trouble] = {}

    def of(self, process: ProcessKey) -> Trouble | None:
        """The open trouble of a process."""
        return self._open.get(process)

    def open(self) -> tuple[Trouble, ...]:
        return tuple(self._open.values())

    def judged(self, verdict: Verdict) -> list[TimelineEvent]:
        """What a verdict adds: the onset and detection, a change of kind, or the recovery."""
        process = verdict.subject.process
        assert process is not None, "only processes are judged here"
        trouble = self._open.get(process)
        if trouble is None:
            if verdict.kind not in BAD or len(self._open) >= TROUBLES_MAX:
                return []
            key = self._key(verdict.subject)
            self._open[process] = Trouble(key=key, verdict=verdict, bad_since=verdict.at)
            return self._detected(key, verdict)
        if trouble.restored and not _confirmed(trouble, verdict):
            return []
        before, trouble.verdict = trouble.verdict, verdict
        if verdict.kind not in BAD:
            trouble.bad_since = None
        elif trouble.bad_since is None:
            trouble.bad_since = verdict.at
        if verdict.kind == before.kind:
            return []
        if verdict.kind is VerdictKind.STEADY:
            text = f"{_name(verdict)} is steady again at {format_bytes(verdict.memory_bytes)}."
            return self._end(trouble, verdict.at, text)
        said = f"{_name(verdict)} is judged {verdict.kind}, after {before.kind}. {_why(verdict)}"
        return [self._event(EventKind.VERDICT, verdict.at, trouble.key, verdict, said.rstrip())]

    def vanished(
        self, process: ProcessKey, at: float, *, oom_kills: int | None
    ) -> list[TimelineEvent]:
        """A process in trouble is gone; `oom_kills` were counted since it was last seen."""
        trouble = self._open.get(process)
        if trouble is None or trouble.gone_at is not None:
            return []
        trouble.gone_at = at
        verdict = trouble.verdict
        if trouble.acted:
            return []
        if oom_kills:
            text = (
                f"{_name(verdict)} is gone, and the kernel counted {oom_kills} out-of-memory "
                f"kill{'s' if oom_kills > 1 else ''} since it was last seen."
            )
            return [self._event(EventKind.EXHAUSTED, at, trouble.key, verdict, text)]
        known = "no out-of-memory kill was counted" if oom_kills == 0 else "nobody saw why"
        return self._end(trouble, at, f"{_name(verdict)} is gone and its memory with it; {known}.")

    def seen(self, processes: Iterable[ProcessSample], at: float) -> list[TimelineEvent]:
        """Look for the successors of processes that are gone; call when there are some.

        A service that does not come back within SUCCESSOR_SECONDS leaves its trouble without a
        recovery: that is for a person to close.
        """
        gone = [trouble for trouble in self._open.values() if trouble.gone_at is not None]
        events: list[TimelineEvent] = []
        for trouble in gone:
            successor = next((p for p in processes if _succeeds(p, trouble.subject)), None)
            if successor is not None:
                text = (
                    f"{trouble.subject.service} runs again as process {successor.key.pid} with "
                    f"{format_bytes(successor.memory_bytes)}, after "
                    f"{format_bytes(trouble.verdict.memory_bytes)}."
                )
                events += self._end(trouble, at, text)
            elif at - (trouble.gone_at or at) > SUCCESSOR_SECONDS:
                assert trouble.subject.process is not None
                del self._open[trouble.subject.process]
        return events

    @property
    def waiting(self) -> bool:
        """Whether some process is gone and its successor not seen yet."""
        return any(trouble.gone_at is not None for trouble in self._open.values())

    def planned(self, plan: Plan) -> TimelineEvent:
        """The event of a plan; its id follows from the plan's, so that twice changes nothing."""
        service = plan.subject.service
        does = ", ".join(action.kind for action in plan.actions)
        if plan.refusals:
            text = f"Guard holds back from {service}: {' '.join(plan.refusals)}"
        elif plan.hold is not None and plan.mode is Mode.ACT:
            text = f"Guard holds {service} and takes nothing down ({does}). {plan.hold}"
        elif plan.mode is Mode.ACT:
            text = f"Guard acts on {service} ({does}). {' '.join(plan.because)}"
        else:
            text = (
                f"In act mode guard would now act on {service} ({does}); the mode is {plan.mode}."
            )
        return TimelineEvent(
            id=f"event-{plan.id}",
            at=plan.at,
            kind=EventKind.PLAN,
            key=self._key_of(plan.subject),
            source=SOURCE,
            text=" ".join((text, *plan.left_out)),
            data=to_document(without_secrets(plan)),
        )

    def ended(self, outcome: Outcome) -> TimelineEvent:
        """The event of one action's outcome."""
        process = outcome.subject.process
        # Also a restart that failed may have taken the process down: its end is no recovery.
        tried = outcome.state in (OutcomeState.DONE, OutcomeState.FAILED)
        if outcome.kind in _TAKES_DOWN and tried and process is not None:
            trouble = self._open.get(process)
            if trouble is not None:
                trouble.acted = True
        return TimelineEvent(
            id=f"event-{outcome.plan_id}-{outcome.action_id}",
            at=outcome.at,
            kind=EventKind.OUTCOME,
            key=self._key_of(outcome.subject),
            source=SOURCE,
            text=f"{outcome.kind} {outcome.state}: {outcome.detail}",
            data=to_document(outcome),
            evidence=(outcome.evidence,) if outcome.evidence else (),
        )

    def restore(self, event: TimelineEvent) -> None:
        """Take an event of the spool into account, oldest first. Foreign ones are passed over."""
        if event.kind is EventKind.OUTCOME:
            outcome = _noun(Outcome, event.data)
            if outcome is not None:
                self.ended(outcome)
            return
        verdict = _noun(Verdict, event.data)
        if verdict is None or verdict.subject.process is None:
            return
        process = verdict.subject.process
        if event.kind is EventKind.RECOVERED:
            self._open.pop(process, None)
        elif event.kind in (EventKind.DETECTED, EventKind.VERDICT):
            trouble = self._open.get(process)
            bad_since = event.at if verdict.kind in BAD else None
            if trouble is None and event.kind is EventKind.DETECTED:
                if len(self._open) >= TROUBLES_MAX:
                    del self._open[next(iter(self._open))]
                self._open[process] = Trouble(
                    key=event.key, verdict=verdict, bad_since=bad_since, restored=True
                )
            elif trouble is not None:
                keeps = trouble.bad_since is not None and bad_since is not None
                trouble.bad_since = trouble.bad_since if keeps else bad_since
                trouble.verdict = verdict
        elif event.kind is EventKind.EXHAUSTED and process in self._open:
            self._open[process].gone_at = event.at

    def _detected(self, key: str, verdict: Verdict) -> list[TimelineEvent]:
        events = []
        if verdict.onset_at is not None:
            text = f"Memory of {_name(verdict)} began to grow and has not come back since."
            events.append(self._event(EventKind.ONSET, verdict.onset_at, key, verdict, text))
        text = f"{_name(verdict)} is judged {verdict.kind}. {_why(verdict)}".rstrip()
        events.append(self._event(EventKind.DETECTED, verdict.at, key, verdict, text))
        return events

    def _end(self, trouble: Trouble, at: float, text: str) -> list[TimelineEvent]:
        assert trouble.subject.process is not None
        del self._open[trouble.subject.process]
        if any(other.key == trouble.key for other in self._open.values()):
            # Another process of the same service still leaks: its incident stays open.
            return []
        return [self._event(EventKind.RECOVERED, at, trouble.key, trouble.verdict, text)]

    def _key(self, subject: Subject) -> str:
        return f"{self._host}/{subject.service}"

    def _key_of(self, subject: Subject) -> str:
        trouble = self._open.get(subject.process) if subject.process else None
        return trouble.key if trouble else self._key(subject)

    def _event(
        self, kind: EventKind, at: float, key: str, verdict: Verdict, text: str
    ) -> TimelineEvent:
        process = verdict.subject.process
        assert process is not None
        # Unique for ever, and the same for the same event: a process is (boot, pid, start).
        place = f"{self._host}-{process.boot_id}-{process.pid}-{process.start_ticks}"
        return TimelineEvent(
            id=f"{kind}-{place}-{round(at * 1000)}",
            at=at,
            kind=kind,
            key=key,
            source=SOURCE,
            text=text,
            data=to_document(verdict),
        )


def _confirmed(trouble: Trouble, verdict: Verdict) -> bool:
    """Whether a judge that had to start afresh may speak about a trouble of before.

    It begins with a part of the history and therefore mildly: that is no recovery. Once it sees
    the leak again, or has looked for CONFIRM_SECONDS, it is believed whatever it says.
    """
    if trouble.judged_from is None:
        trouble.judged_from = verdict.at
    waited = verdict.at - trouble.judged_from
    trouble.restored = verdict.kind not in BAD and waited < CONFIRM_SECONDS
    return not trouble.restored


def _name(verdict: Verdict) -> str:
    process = verdict.subject.process
    assert process is not None
    return f"{verdict.subject.service} (process {process.pid})"


def _why(verdict: Verdict) -> str:
    soonest = verdict.forecast.exhaustion_low_seconds if verdict.forecast else None
    if soonest is None:
        return " ".join(verdict.reasons)
    return f"{' '.join(verdict.reasons)} Soonest exhaustion in {format_duration(soonest)}."


def _succeeds(process: ProcessSample, subject: Subject) -> bool:
    """Whether `process` is the service of `subject`, started after it."""
    before = subject.process
    assert before is not None
    if process.key.boot_id == before.boot_id and process.key.start_ticks <= before.start_ticks:
        return False
    if subject.unit is not None:
        return process.unit == subject.unit
    return process.name == subject.name


def _noun(cls: type[Noun], data: Mapping[str, Json]) -> Noun | None:
    try:
        return from_document(cls, dict(data))
    except InputError:
        return None

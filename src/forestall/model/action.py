"""What guard means to do, why, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from forestall.model.verdict import Subject, Verdict


class Mode(StrEnum):
    """observe: journal only. advise: journal and notify. act: do it."""

    OBSERVE = "observe"
    ADVISE = "advise"
    ACT = "act"


class ActionKind(StrEnum):
    """What guard can do, in the order of a plan.

    contain: a limit on the service alone. switchover: the database's primary moves to a healthy
    peer. capture: evidence. stop, restart: the judged process is taken down, or recycled.
    """

    CONTAIN = "contain"
    SWITCHOVER = "switchover"
    CAPTURE = "capture"
    STOP = "stop"
    RESTART = "restart"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step of a plan. `id` is unique within the plan; `parameters` are the action's own."""

    id: str
    kind: ActionKind
    subject: Subject
    timeout_seconds: float
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What policy answers to a verdict. `actions` in order; empty when `refusals` say why not.

    incident  names the trouble: one of one process, however often it is planned for
    attempt   counts the plans for this incident, from 1
    left_out  steps that are not in the plan, each with its reason (`Switchover: ...`)
    hold      why the service is contained and kept instead of taken down; None = it is not
    """

    SCHEMA = "forestall/plan/1"

    id: str
    at: float
    mode: Mode
    verdict: Verdict
    actions: tuple[Action, ...]
    because: tuple[str, ...]
    refusals: tuple[str, ...] = ()
    incident: str = ""
    attempt: int = 1
    left_out: tuple[str, ...] = ()
    hold: str | None = None

    @property
    def subject(self) -> Subject:
        return self.verdict.subject

    @property
    def idle(self) -> bool:
        """Nothing to do and nothing to refuse: not worth a record."""
        return not self.actions and not self.refusals


class OutcomeState(StrEnum):
    """would: not done because of the mode. skipped: an earlier step failed.

    undone: taken back, or found to need no taking back; of a further outcome of the same action.
    """

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    SKIPPED = "skipped"
    WOULD = "would"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one action. `detail` is a sentence; `evidence` the id of a bundle it made."""

    SCHEMA = "forestall/outcome/1"

    plan_id: str
    action_id: str
    kind: ActionKind
    subject: Subject
    state: OutcomeState
    at: float
    took_seconds: float
    detail: str
    evidence: str | None = None

"""What a rule is, and what it may say: Posture -> Judgement.

A rule is a module of `audit.rules` with one `RULE`; its docstring gives the reason, from which
the page docs/reference/audit-rules.md is made. A judgement names the places of the facts that it
stands on by pointer and leaves reading them out to the report, because a fleet is judged far more
often than it is told about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from forestall.audit.posture import Posture
from forestall.model.finding import Cost, FindingState, Severity


@dataclass(slots=True, unsafe_hash=True)
class Judgement:
    """What a rule says of one host. None = as the rule has it.

    Many hosts share one and nobody changes it; it is not frozen because making a frozen one takes
    three times as long, and judging a fleet makes millions.

    `reads` are pointers (RFC 6901) into the HostFacts document. `text` says for FAIL what was
    found, for UNKNOWN and NOT_APPLICABLE why; PASS needs none.
    """

    state: FindingState
    text: str = ""
    reads: tuple[str, ...] | None = None
    severity: Severity | None = None
    expected: str | None = None
    remedy: str | None = None
    undo: str | None = None
    cost: Cost | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: what it is about, how grave, what to do about it, and who judges.

    `title` is a short noun phrase of what is wrong. `reads` are the pointers that it always
    looks at. `remedy` is what to do and `undo` how to take it back, each with the very command
    where there is one; `cost` is what carrying it out interrupts. `reference` is the threshold's
    source. An `optional` rule runs only when it is asked for.
    """

    id: str
    title: str
    severity: Severity
    reads: tuple[str, ...]
    expected: str
    remedy: str
    undo: str
    cost: Cost
    reference: str
    judge: Callable[[Posture], Judgement]
    optional: bool = False


PASS = Judgement(FindingState.PASS)

# On Python 3.11 looking a member up in its enumeration is a slow call.
_FAIL, _UNKNOWN = FindingState.FAIL, FindingState.UNKNOWN


def fail(
    text: str,
    *reads: str,
    severity: Severity | None = None,
    expected: str | None = None,
    remedy: str | None = None,
    undo: str | None = None,
    cost: Cost | None = None,
    reference: str | None = None,
) -> Judgement:
    """The rule is broken here; `reads` where they differ from the rule's own."""
    # By position, because that takes half the time.
    return Judgement(_FAIL, text, reads or None, severity, expected, remedy, undo, cost, reference)


def unknown(text: str, *reads: str, remedy: str | None = None) -> Judgement:
    """The evidence is missing; `remedy` is how to get it."""
    return Judgement(_UNKNOWN, text, reads or None, None, None, remedy)


@lru_cache(maxsize=512)
def not_applicable(text: str) -> Judgement:
    """The rule is not about hosts like this one."""
    return Judgement(FindingState.NOT_APPLICABLE, text)

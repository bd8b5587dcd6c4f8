"""Predicate and hosts -> answer, in Kleene's three-valued logic: None is unknown.

What was not seen never makes anything true: a host that was expected and did not answer, facts
that are too old, and a value that was not read are unknown, and so is a question about no host.
"""

import fnmatch
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from forestall.audit import kernels
from forestall.audit.fleet import HostAudit, judge_host
from forestall.audit.inputs.source import Seen, no_older
from forestall.audit.policy import Policy
from forestall.audit.posture import Posture
from forestall.audit.predicates.grammar import (
    Both,
    Compare,
    Expression,
    Kind,
    Literal,
    Name,
    Not,
    Predicate,
    Quantifier,
)
from forestall.audit.predicates.parsing import ORDER, version
from forestall.audit.reading import fact
from forestall.audit.rule import Rule
from forestall.audit.rules import RULES
from forestall.audit.terms import DATABASE
from forestall.model.facts import HostFacts
from forestall.model.finding import Answer, FindingState
from forestall.units import format_bytes, format_duration

NAMED_LIMIT = 1000
"""Hosts that an answer names; further ones are counted."""

_RULES = {rule.id: rule for rule in RULES}
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LIMITS = ("memory_max_bytes", "memory_high_bytes", "swap_max_bytes")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one host does not hold, or cannot be told to."""

    host: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The answer, with the hosts that made it so.

    `matched` hosts are surely meant, of `seen` ones. `failing` are the hosts against it, `unknown`
    those that left it open; each list names at most `NAMED_LIMIT`, the counts are of all.
    """

    answer: Answer
    text: str
    seen: int = 0
    matched: int = 0
    failing: tuple[Reason, ...] = ()
    failing_count: int = 0
    unknown: tuple[Reason, ...] = ()
    unknown_count: int = 0


@dataclass(slots=True)
class _Host:
    """One host as a predicate sees it; `why` it is unknown where `facts` is None."""

    name: str
    facts: HostFacts | None
    why: str
    at: float
    policy: Policy
    _posture: Posture | None = None
    _judged: dict[str, FindingState] = field(default_factory=dict)

    def has_role(self, role: str) -> bool | None:
        """By the site's word; else, for a database, by what runs there; None = nobody tells."""
        stated = self.policy.terms_of(self.name).roles
        if stated is not None:
            return role in stated
        if self.facts is None or role != DATABASE:
            return None
        self._posture = self._posture or Posture(self.facts, self.policy.terms_of(self.name))
        return self._posture.is_database_host

    def roles(self) -> frozenset[str] | None:
        """The roles in so far as they are known, for a sentence."""
        stated = self.policy.terms_of(self.name).roles
        if stated is None and self.has_role(DATABASE):
            return frozenset((DATABASE,))
        return stated

    def rule_state(self, name: str) -> FindingState:
        """What one rule says, waivers counted."""
        if name not in self._judged:
            rule: tuple[Rule, ...] = (_RULES[name],)
            seen = Seen(name=self.name, facts=self.facts)
            audit: HostAudit = judge_host(seen, self.policy, rule, self.at)
            self._judged[name] = audit.state(0)
        return self._judged[name]


def evaluate(
    predicate: Predicate,
    hosts: Iterable[Seen],
    at: float,
    *,
    policy: Policy | None = None,
    expected: Iterable[str] = (),
    max_age_seconds: float | None = None,
) -> Checked:
    """The answer at one moment. `expected` hosts that do not come are unknown, not absent.

    `hosts` is read once, and nothing of a host is kept but why it stands against the answer.
    """
    policy = policy or Policy()
    tally = _Tally(predicate)
    missing = dict.fromkeys(expected)
    for seen in hosts:
        missing.pop(seen.name, None)
        young = no_older(seen, at, max_age_seconds)
        why = young.problem or "it was not seen"
        tally.add(_Host(seen.name, young.facts, why, at, policy))
    for name in missing:
        tally.add(_Host(name, None, "it was expected and not seen", at, policy))
    return tally.checked()


class _Tally:
    """What the hosts so far said."""

    def __init__(self, predicate: Predicate) -> None:
        self._predicate = predicate
        self._seen = self._matched = self._true = 0
        self._failing: list[Reason] = []
        self._unknown: list[Reason] = []
        self._failing_count = self._unknown_count = 0

    def add(self, host: _Host) -> None:
        """Decide one host."""
        asked = self._predicate
        self._seen += 1
        where = True if asked.where is None else _decide(asked.where, host)
        holds = True if asked.holds is None else _decide(asked.holds, host)
        self._matched += where is True
        both = _both((where, holds))
        if asked.quantifier is Quantifier.ALL:
            value = _either((_not(where), holds))
        elif asked.quantifier is Quantifier.NO:
            value = _not(both)
        else:
            value = both
        self._true += value is True
        if value is None:
            self._unknown_count += 1
            if len(self._unknown) < NAMED_LIMIT:
                self._unknown.append(Reason(host.name, self._why(host, unknown=True)))
        elif value is False and asked.quantifier in (Quantifier.ALL, Quantifier.NO):
            self._failing_count += 1
            if len(self._failing) < NAMED_LIMIT:
                self._failing.append(Reason(host.name, self._why(host, unknown=False)))

    def _why(self, host: _Host, *, unknown: bool) -> str:
        if unknown and host.facts is None:
            return host.why
        parts = [one for one in (self._predicate.where, self._predicate.holds) if one is not None]
        if not unknown:
            parts = parts[-1:]
        told = [_told(one, host) for part in parts for one in _comparisons(part)]
        if unknown:
            missing = [text for value, text in told if value is None]
            return "; ".join(dict.fromkeys(missing)) or "it cannot be decided"
        return "; ".join(dict.fromkeys(text for _, text in told))

    def checked(self) -> Checked:
        """The answer over all hosts."""
        answer, text = self._answer()
        return Checked(
            answer=answer,
            text=text,
            seen=self._seen,
            matched=self._matched,
            failing=tuple(self._failing),
            failing_count=self._failing_count,
            unknown=tuple(self._unknown),
            unknown_count=self._unknown_count,
        )

    def _answer(self) -> tuple[Answer, str]:
        asked, unknown = self._predicate, self._unknown_count
        if not self._seen:
            return Answer.UNKNOWN, "no host was seen"
        if asked.holds is not None and not self._matched and not unknown:
            return Answer.UNKNOWN, f"none of {_hosts(self._seen)} is meant, so nothing was checked"
        if asked.quantifier is Quantifier.COUNT:
            return self._counted()
        if asked.quantifier is Quantifier.ANY:
            if self._true:
                return Answer.YES, f"{_hosts(self._true)} of {self._seen:,}"
            if unknown:
                return Answer.UNKNOWN, f"none so far, and {_hosts(unknown)} cannot be decided"
            return Answer.NO, f"none of {_hosts(self._seen)}"
        if self._failing_count:
            return Answer.NO, f"not so on {_hosts(self._failing_count)} of {self._seen:,}"
        if unknown:
            return Answer.UNKNOWN, f"{_hosts(unknown)} cannot be decided"
        return Answer.YES, f"so on {_hosts(self._matched or self._seen)}"

    def _counted(self) -> tuple[Answer, str]:
        """Unknown hosts may or may not count, so the answer stands only if both ways agree."""
        least, most = self._true, self._true + self._unknown_count
        op, number = self._predicate.op, self._predicate.number
        results = {
            _ORDER[op](count, number)
            for count in {
                least,
                most,
                *(n for n in (number - 1, number, number + 1) if least <= n <= most),
            }
        }
        said = f"{least:,}" if least == most else f"between {least:,} and {most:,}"
        text = f"{said} of {_hosts(self._seen)}, asked for {op} {number:,}"
        if len(results) > 1:
            return Answer.UNKNOWN, text
        return (Answer.YES if results.pop() else Answer.NO), text


def _hosts(count: int) -> str:
    return f"{count:,} host" + ("" if count == 1 else "s")


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _both(values: Iterable[bool | None]) -> bool | None:
    found = tuple(values)
    return False if False in found else None if None in found else True


def _either(values: Iterable[bool | None]) -> bool | None:
    found = tuple(values)
    return True if True in found else None if None in found else False


def _decide(expression: Expression, host: _Host) -> bool | None:
    if isinstance(expression, Compare):
        return _compare(expression, host)
    if isinstance(expression, Not):
        return _not(_decide(expression.inner, host))
    parts = [_decide(part, host) for part in expression.parts]
    return _both(parts) if isinstance(expression, Both) else _either(parts)


def _comparisons(expression: Expression) -> Iterable[Compare]:
    if isinstance(expression, Compare):
        yield expression
    elif isinstance(expression, Not):
        yield from _comparisons(expression.inner)
    else:
        for part in expression.parts:
            yield from _comparisons(part)


def _told(one: Compare, host: _Host) -> tuple[bool | None, str]:
    """What a comparison came to, and in words what was seen."""
    value, seen = _compare(one, host), _value(one.left, host)
    if one.left.text == "role" and value is not None:
        return value, f"role is {_shown(one.left, seen or frozenset())}"
    if seen is None:
        why = "is unknown there" if one.left.rule and host.facts is not None else "was not read"
        return value, f"{one.left.text} {why}"
    if value is None:
        return None, f"{one.left.text} is {_shown(one.left, seen)}, which cannot be compared"
    return value, f"{one.left.text} is {_shown(one.left, seen)}"


def _shown(name: Name, value: object) -> str:
    if value == math.inf:
        return "unlimited"
    if isinstance(value, float | int) and not isinstance(value, bool):
        if name.kind is Kind.SIZE:
            return format_bytes(value)
        if name.kind is Kind.DURATION:
            return format_duration(value)
        return f"{value:g}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | frozenset):
        if name.kind is Kind.VERSION:
            return ".".join(map(str, value))
        return ", ".join(sorted(map(str, value))) or "none"
    return str(value)[:200]


def _compare(one: Compare, host: _Host) -> bool | None:
    if one.left.text == "role" and isinstance(one.right, Literal):
        has = host.has_role(one.right.text)
        return _not(has) if one.op == "!=" else has
    left = _value(one.left, host)
    right = _value(one.right, host) if isinstance(one.right, Name) else one.right.value
    if left is None or right is None:
        return None
    if one.left.kind is Kind.LIST:
        assert isinstance(left, tuple | frozenset)
        if isinstance(right, tuple | frozenset):
            return (set(left) == set(right)) is (one.op == "=")
        return (right in left) is (one.op != "!=")
    if one.op in ("~", "!~") or one.left.text == "host":
        matches = fnmatch.fnmatchcase(str(left), str(right))
        return matches is (one.op in ("~", "="))
    if one.left.kind is Kind.KERNEL and one.op in ORDER:
        keys = kernels.keys(str(left), str(right), host.facts.os_id if host.facts else None)
        return None if keys is None else _ORDER[one.op](*keys)
    return _ordered(one, left, right)


def _ordered(one: Compare, left: object, right: object) -> bool | None:
    """Two values by the operator; None where one of them has no such order."""
    if one.left.kind is Kind.ANY and isinstance(left, str | int) and isinstance(right, str | float):
        # A sysctl is text; where both are numbers they are compared as numbers.
        numbers = _as_number(left), _as_number(right)
        if None not in numbers:
            left, right = numbers
        elif one.op not in ("=", "!="):
            return None
    try:
        return _ORDER[one.op](left, right)
    except TypeError:
        return None


def _as_number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _value(name: Name, host: _Host) -> object:
    """A name's value on one host; None where it was not read."""
    if name.text == "host":
        return host.name
    if name.text == "role":
        return host.roles()
    facts = host.facts
    if facts is None:
        return None
    if name.rule:
        state = host.rule_state(name.rule)
        return None if state is FindingState.UNKNOWN else state.value
    if name.text == "age_seconds":
        return max(0.0, host.at - facts.at)
    if name.sysctl:
        return facts.sysctls.get(name.sysctl)
    if name.unit:
        return _of_unit(name, facts)
    return _at_pointer(name, facts)


def _of_unit(name: Name, facts: HostFacts) -> object:
    """A field of a service; what has no limit and was asked is unlimited, not unknown."""
    for unit in facts.units or ():
        if unit.name == name.unit:
            value: object = getattr(unit, name.field)
            if value is None and name.field in _LIMITS and unit.limit_known:
                return math.inf
            return value
    return None


def _at_pointer(name: Name, facts: HostFacts) -> object:
    try:
        value: object = fact(facts, name.pointer).value
    except (AssertionError, AttributeError, LookupError, ValueError):
        return None
    if name.kind is Kind.VERSION and value is not None:
        return version(str(value))
    if isinstance(value, list | Mapping):
        if name.pointer.split("/")[1] in facts.unseen:
            # What is not in a list that was cut may be in the rest of it.
            return None
        # A list by its short name can be asked for what it has; a whole document for nothing.
        return tuple(value) if name.kind is Kind.LIST else None
    return value


__all__ = ["Checked", "Reason", "evaluate"]

"""Many hosts, a few at a time: Seen -> HostAudit -> Fleet, in bounded memory.

Of a host that has been judged only its row is kept (a byte per rule) and, of the worst, the whole
audit; reports that need every finding write them as they come. 100,000 hosts take a few tens of
megabytes so.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice, repeat

from forestall.audit.doubt import settled
from forestall.audit.findings import finding
from forestall.audit.inputs.source import AHEAD_SECONDS, Seen
from forestall.audit.policy import Policy
from forestall.audit.posture import Posture
from forestall.audit.reading import told
from forestall.audit.rule import Judgement, Rule, unknown
from forestall.audit.rules import RULES
from forestall.audit.tables import Tables
from forestall.audit.tables_used import Used
from forestall.audit.waivers import Waiver, Waivers
from forestall.model.finding import Finding, FindingState, Severity

SEVERITIES = tuple(Severity)
STATES = tuple(FindingState)
RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
"""0 is the gravest."""

TEXT_LIMIT = 2000

_STATE_CODE = {state: code << 2 for code, state in enumerate(STATES)}
_OPEN = (FindingState.FAIL, FindingState.UNKNOWN)
_FAIL_CODE = _STATE_CODE[FindingState.FAIL]
_UNKNOWN_CODE = _STATE_CODE[FindingState.UNKNOWN]
_WAIVED_CODE = _STATE_CODE[FindingState.WAIVED]
_ABSENT_CODE = _STATE_CODE[FindingState.NOT_APPLICABLE]


@dataclass(slots=True)
class HostAudit:
    """What every rule said of one host. `judged` is in the order of `rules`.

    Nobody changes one; as with `Judgement`, making a frozen one takes three times as long.

    `waived` and `expired` are the waivers that hold, or no longer do, by position in `rules`.
    `posture` is None where the host could not be read, and `problem` says why.
    """

    name: str
    rules: tuple[Rule, ...]
    judged: tuple[Judgement, ...]
    at: float
    posture: Posture | None = None
    problem: str | None = None
    waived: dict[int, Waiver] | None = None
    expired: dict[int, Waiver] | None = None

    def state(self, index: int) -> FindingState:
        """The state of one rule, waivers counted."""
        if self.waived and index in self.waived:
            return FindingState.WAIVED
        return self.judged[index].state

    def severity(self, index: int) -> Severity:
        """How grave that rule is on this host."""
        return self.judged[index].severity or self.rules[index].severity

    @property
    def age_seconds(self) -> float | None:
        """How old the facts are at the moment of judgement."""
        return None if self.posture is None else max(0.0, self.at - self.posture.facts.at)

    @property
    def origin(self) -> str:
        """Which input the facts came from."""
        return "" if self.posture is None else self.posture.facts.origin

    def finding(self, index: int) -> Finding:
        """One rule's finding with everything a report tells of it."""
        rule, judged = self.rules[index], _bounded(self.judged[index])
        waiver = (self.waived or {}).get(index)
        ended = (self.expired or {}).get(index)
        said = waiver.text() if waiver else None
        if ended:
            said = f"expired on {ended.expires:%Y-%m-%d} ({ended.owner}: {ended.reason})"
        return finding(
            self.posture,
            rule,
            judged,
            host=self.name,
            state=self.state(index),
            waiver=said,
            tell=told,
        )

    def findings(self, *states: FindingState) -> Iterator[Finding]:
        """The findings in one of `states` (all where none is named), in the rules' order."""
        for index in range(len(self.rules)):
            if not states or self.state(index) in states:
                yield self.finding(index)


def _bounded(judged: Judgement) -> Judgement:
    """A sentence that quotes a host's strange value stays one that can be read."""
    if len(judged.text) <= TEXT_LIMIT and len(judged.remedy or "") <= TEXT_LIMIT:
        return judged
    remedy = None if judged.remedy is None else judged.remedy[:TEXT_LIMIT]
    return replace(judged, text=f"{judged.text[:TEXT_LIMIT]}...", remedy=remedy)


@dataclass(slots=True)
class HostRow:
    """What is kept of every host, and not changed: a code per rule, its place among the worst."""

    name: str
    codes: bytes
    weight: tuple[int, ...]
    origin: str
    age_seconds: float | None
    problem: str | None

    def state(self, index: int) -> FindingState:
        """The state of one rule."""
        return STATES[self.codes[index] >> 2]

    def severity(self, index: int) -> Severity:
        """How grave it is."""
        return SEVERITIES[self.codes[index] & 3]

    @property
    def coverage(self) -> float:
        """Share of the rules that are about this host and could be decided."""
        about = [code & ~3 for code in self.codes if code & ~3 != _ABSENT_CODE]
        return 1 - about.count(_UNKNOWN_CODE) / len(about) if about else 1.0


def chosen_rules(
    only: Iterable[str] = (),
    skipped: Iterable[str] = (),
    optional: Iterable[str] = (),
    *,
    every: bool = False,
) -> tuple[Rule, ...]:
    """The rules of a run: `only` these; else all but the optional ones, unless `every`."""
    wanted, without, more = set(only), set(skipped), set(optional)
    return tuple(
        rule
        for rule in RULES
        if (rule.id in wanted if wanted else every or not rule.optional or rule.id in more)
        and rule.id not in without
    )


def judge_host(seen: Seen, policy: Policy, rules: tuple[Rule, ...], at: float) -> HostAudit:
    """One host judged on the site's terms. A host that could not be read is UNKNOWN throughout."""
    return next(judge_hosts((seen,), policy, rules, at))


def judge_hosts(
    found: Iterable[Seen], policy: Policy, rules: tuple[Rule, ...], at: float
) -> Iterator[HostAudit]:
    """Each host as `judge_host` judges it and in the order of `found`, but TOGETHER at a time.

    A rule that judges some hosts in a row is still in the processor's cache for the second: that
    saves a sixth of the time, and more where little is found. The price is that the first host is
    told of once the last of its group has come.
    """
    hosts = iter(found)
    while group := list(islice(hosts, TOGETHER)):
        yield from _together(group, policy, rules, at)
        # Before the next are read, so that no two groups are in memory at once.
        group.clear()


def _together(
    group: list[Seen], policy: Policy, rules: tuple[Rule, ...], at: float
) -> Iterator[HostAudit]:
    postures = [
        Posture(seen.facts, policy.terms_of(seen.name)) for seen in group if seen.facts is not None
    ]
    columns = [_column(rule, postures) for rule in rules]
    rows = zip(*columns, strict=True) if rules else repeat(())
    known = zip(postures, rows, strict=False)
    for seen in group:
        posture, judged = (None, _unread(seen, rules)) if seen.facts is None else next(known)
        if posture is not None:
            judged = tuple(settled(posture, rules, judged, _judged))
        waived, expired = _waive(seen.name, rules, judged, policy.waivers, at)
        yield HostAudit(seen.name, rules, judged, at, posture, seen.problem, waived, expired)


TOGETHER = 16
"""Enough to gain by, and few enough for memory: a host's facts can be some megabytes."""


def _unread(seen: Seen, rules: tuple[Rule, ...]) -> tuple[Judgement, ...]:
    """A host that could not be read is UNKNOWN throughout."""
    why = seen.problem or "it was not read"
    said = unknown(f"The host could not be read: {why}.", remedy="read the host again")
    return (said,) * len(rules)


def _column(rule: Rule, postures: list[Posture]) -> list[Judgement]:
    """What one rule says of each of some hosts."""
    try:
        return [rule.judge(posture) for posture in postures]
    except _STUMBLED:
        return [_judged(rule, posture) for posture in postures]


_STUMBLED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a rule may raise over strange facts: it knows nothing then, and the fleet goes on."""


def _judged(rule: Rule, posture: Posture) -> Judgement:
    try:
        return rule.judge(posture)
    except _STUMBLED as error:
        return unknown(
            f"{rule.id} could not judge these facts: {type(error).__name__}: {error}.",
            remedy="please report it, with this host's facts",
        )


def _waive(
    name: str, rules: tuple[Rule, ...], judged: tuple[Judgement, ...], waivers: Waivers, at: float
) -> tuple[dict[int, Waiver] | None, dict[int, Waiver] | None]:
    mine = waivers.of_host(name) if waivers.listed else {}
    if not mine:
        return None, None
    waived: dict[int, Waiver] = {}
    expired: dict[int, Waiver] = {}
    for index, rule in enumerate(rules):
        if rule.id in mine and judged[index].state in _OPEN:
            waiver, holds = waivers.pick(mine[rule.id], at)
            if waiver is not None:
                (waived if holds else expired)[index] = waiver
    return waived, expired


class Fleet:
    """What is known of all hosts so far. `keep` = of how many of the worst everything is kept."""

    def __init__(self, rules: tuple[Rule, ...], keep: int = 0) -> None:
        self.rules = rules
        self.keep = keep
        self.rows: list[HostRow] = []
        self._every = bytearray()
        self._columns: list[bytes] = []
        self._ranks = [RANK[rule.severity] for rule in rules]
        self._worst: list[tuple[tuple[int, ...], int, HostAudit]] = []
        self._used = Used(rules)
        self.denied_databases: list[str] = []
        """Hosts that run a large database and whose roles do not say so."""
        self.ahead = 0
        """Hosts whose facts are of a later moment than that of judgement: a clock is wrong."""

    def add(self, audit: HostAudit) -> HostRow:
        """Count one host in."""
        codes = self._codes(audit)
        count = codes.count
        weight = (
            count(_FAIL_CODE),
            count(_FAIL_CODE | 1),
            # A host that nobody could read comes before those with only medium findings.
            int(audit.posture is None),
            count(_FAIL_CODE | 2),
            count(_FAIL_CODE | 3),
            count(_UNKNOWN_CODE),
            count(_UNKNOWN_CODE | 1),
            count(_UNKNOWN_CODE | 2),
            count(_UNKNOWN_CODE | 3),
        )
        row = HostRow(audit.name, codes, weight, audit.origin, audit.age_seconds, audit.problem)
        self.rows.append(row)
        self._every += codes
        self._columns = []
        host = audit.posture
        self._used.add(host)
        self.ahead += host is not None and host.facts.at - audit.at > AHEAD_SECONDS
        denied = host is not None and host.terms.roles is not None and not host.is_database_host
        if denied and host is not None and host.holds_database:
            self.denied_databases.append(audit.name)
        if self.keep:
            entry = (weight, -len(self.rows), audit)
            if len(self._worst) < self.keep:
                heapq.heappush(self._worst, entry)
            elif entry[:2] > self._worst[0][:2]:
                heapq.heapreplace(self._worst, entry)
        return row

    def stale(self, tables: Tables, at: float) -> tuple[str, ...]:
        """Which tables that these hosts were judged by are too old, a sentence each."""
        return tables.stale(at, self._used.products, self._used.majors)

    def _codes(self, audit: HostAudit) -> bytes:
        codes = [
            _STATE_CODE[judged.state] | (rank if judged.severity is None else RANK[judged.severity])
            for judged, rank in zip(audit.judged, self._ranks, strict=True)
        ]
        for index in audit.waived or ():
            codes[index] = codes[index] & 3 | _WAIVED_CODE
        return bytes(codes)

    @property
    def worst(self) -> list[HostAudit]:
        """The worst hosts with all that was found, the worst first."""
        return [audit for _, _, audit in sorted(self._worst, key=lambda one: one[:2], reverse=True)]

    def worst_rows(self, limit: int | None = None) -> list[HostRow]:
        """The rows, the worst first; of equals the one that came first."""
        found = heapq.nlargest(
            len(self.rows) if limit is None else limit,
            enumerate(self.rows),
            key=lambda one: (one[1].weight, -one[0]),
        )
        return [row for _, row in found]

    def count(self, index: int, state: FindingState, severity: Severity | None = None) -> int:
        """How many hosts have this rule in this state (with this severity)."""
        base = _STATE_CODE[state]
        ranks = range(4) if severity is None else (RANK[severity],)
        if not self._columns:
            step = len(self.rules)
            self._columns = [bytes(self._every[first::step]) for first in range(step)]
        return sum(self._columns[index].count(base | rank) for rank in ranks)

    def total(self, state: FindingState, at_least: Severity | None = None) -> int:
        """How many findings are in a state, over all hosts, as grave as `at_least` or graver."""
        base = _STATE_CODE[state]
        ranks = range(4) if at_least is None else range(RANK[at_least] + 1)
        return sum(self._every.count(base | rank) for rank in ranks)

    @property
    def unread(self) -> int:
        """How many hosts could not be read."""
        return sum(row.age_seconds is None for row in self.rows)

    @property
    def coverage(self) -> float:
        """Share of all rule and host pairs that apply and could be decided."""
        every = len(self.rows) * len(self.rules) - self.total(FindingState.NOT_APPLICABLE)
        return 1 - self.total(FindingState.UNKNOWN) / every if every else 1.0


def exit_code(fleet: Fleet, fail_on: Severity | None) -> int:
    """1 for a finding as grave as `fail_on`, else 3 where evidence is missing, else 0.

    Missing are a host that could not be read, and what is UNKNOWN of a rule as grave as
    `fail_on`. A finding goes before: it stands whatever else was not seen.
    """
    if fail_on is not None and fleet.total(FindingState.FAIL, fail_on):
        return 1
    if fleet.unread or (fail_on is not None and fleet.total(FindingState.UNKNOWN, fail_on)):
        return 3
    return 0

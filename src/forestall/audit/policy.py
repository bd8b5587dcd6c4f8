"""What the site says of its hosts: the audit file (TOML), read strictly.

A key that nobody knows is an error, because a misspelt waiver or role would otherwise change what
is found without a word. docs/reference/audit.md describes the file.
"""

import fnmatch
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from forestall.audit.rules import RULES
from forestall.audit.terms import Terms
from forestall.audit.waivers import LONGEST_DAYS, Waiver, Waivers, too_long
from forestall.errors import UsageError
from forestall.units import DAY, parse_duration

FILE_LIMIT_BYTES = 4 * 1024**2
LIST_LIMIT = 10_000
KNOWN = {rule.id for rule in RULES}
Read = TypeVar("Read")
ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTerms:
    """What holds for the hosts that a pattern matches; None = says nothing about it."""

    match: str
    roles: frozenset[str] | None = None
    baseline: str | None = None
    extended_support_until: float | None = None
    time_to_act_seconds: float | None = None
    uptime_limit_days: float | None = None


@dataclass(slots=True)
class Policy:
    """The site's audit file, or what stands in for one.

    Of several `hosts` entries that match, a later one goes before an earlier, and roles add up.
    `named_roles` are those of single hosts, such as an inventory's groups give.
    """

    hosts: tuple[HostTerms, ...] = ()
    named_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    waivers: Waivers = field(default_factory=Waivers)
    terms: Terms = field(default_factory=Terms)
    skipped: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    _patterns: tuple[re.Pattern[str], ...] = ()
    _made: dict[tuple[tuple[int, ...], frozenset[str] | None], Terms] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._patterns = tuple(re.compile(fnmatch.translate(one.match)) for one in self.hosts)

    def terms_of(self, name: str) -> Terms:
        """The terms that a host of this name is judged on."""
        matching = tuple([i for i, pattern in enumerate(self._patterns) if pattern.match(name)])
        roles = self.named_roles.get(name) if self.named_roles else None
        terms = self._made.get((matching, roles))
        if terms is None:
            terms = self._combined(matching)
            if roles is not None:
                terms = replace(terms, roles=(terms.roles or frozenset()) | roles)
            self._made[matching, roles] = terms
        return terms

    def _combined(self, matching: Iterable[int]) -> Terms:
        terms = self.terms
        for index in matching:
            one = self.hosts[index]
            if one.roles is not None:
                terms = replace(terms, roles=(terms.roles or frozenset()) | one.roles)
            changed = {
                name: value
                for name, _ in READ_TERMS.values()
                if name != "roles" and (value := getattr(one, name)) is not None
            }
            terms = replace(terms, **changed)
        return terms


def load_policy(path: str, at: float) -> Policy:
    """The audit file at `path`. Raises UsageError that names the line where it can."""
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}", help="name the audit file") from None
    if len(data) > FILE_LIMIT_BYTES:
        raise UsageError(f"{path}: larger than {FILE_LIMIT_BYTES} bytes", help="is it this file?")
    try:
        text = data.decode("utf-8")
        return parse_policy(tomllib.loads(text), at)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: no TOML: {error}", help=_HELP) from None
    except RecursionError:
        raise UsageError(f"{path}: no TOML: nested too deeply", help=_HELP) from None
    except _WrongError as wrong:
        line = wrong.line(text)
        where = f"{path}:{line}" if line else path
        raise UsageError(f"{where}: {wrong.said}", help=wrong.advice or _HELP) from None


_HELP = "docs/reference/audit.md shows an audit file"


class _WrongError(Exception):
    """What is wrong, and in which table; `line` looks it up in the text."""

    def __init__(self, said: str, table: str = "", index: int = 0, advice: str = "") -> None:
        super().__init__(said)
        self.said = f"{table} {index + 1}: {said}" if table else said
        self.table, self.index, self.advice = table, index, advice

    def line(self, text: str) -> int | None:
        """The line of the table's head, 1 for the first; None where that cannot be told."""
        if not self.table:
            return None
        head = re.compile(rf"\s*\[\[\s*{re.escape(self.table)}\s*\]\]")
        heads = [i for i, line in enumerate(text.splitlines(), 1) if head.match(line)]
        return heads[self.index] if self.index < len(heads) else None


def parse_policy(data: Mapping[str, Any], at: float) -> Policy:
    """The policy that a TOML document says."""
    _only(data, ("time_to_act", "uptime_limit_days", "roles", "host", "waiver", "rules"))
    terms = replace(Terms(at=at), **_said(data, ("time_to_act", "uptime_limit_days")))
    hosts = [
        HostTerms(match=pattern, roles=frozenset((_role(role),)))
        for role, patterns in _table(data, "roles").items()
        for pattern in _texts(patterns, f"roles.{role}")
    ]
    hosts += _each(data, "host", _host)
    rules = _table(data, "rules")
    _only(rules, ("skip", "optional"))
    waivers = _each(data, "waiver", lambda one: _waiver(one, at))
    return Policy(
        hosts=tuple(hosts),
        waivers=Waivers(tuple(waivers)),
        terms=terms,
        skipped=frozenset(_rule(one) for one in _texts(rules.get("skip", []), "rules.skip")),
        optional=frozenset(
            _rule(one) for one in _texts(rules.get("optional", []), "rules.optional")
        ),
    )


def role_of(option: str) -> HostTerms:
    """`--role db=db*`: hosts by pattern. Raises UsageError."""
    role, equals, pattern = option.partition("=")
    if not equals or not pattern or not ROLE.fullmatch(role):
        raise UsageError(f"not a role: {option!r}", help="write for example --role 'db=db*'")
    return HostTerms(match=pattern, roles=frozenset((role,)))


def _each(data: Mapping[str, Any], table: str, read: Callable[[Any], Read]) -> list[Read]:
    """What is read of each table [[`table`]]; an error says which of them is wrong."""
    found = []
    for index, one in enumerate(_list(data, table)):
        if not isinstance(one, dict):
            raise _WrongError(f"{table} has to be a list of tables, [[{table}]]")
        try:
            found.append(read(one))
        except _WrongError as wrong:
            raise _WrongError(wrong.said, table, index, wrong.advice) from None
    return found


def _host(one: Mapping[str, Any]) -> HostTerms:
    """What one [[host]] says; a key that is not there says nothing."""
    _only(one, ("match", *READ_TERMS))
    if "match" not in one:
        raise _WrongError("no `match`", advice='add for example match = "db*"')
    return HostTerms(match=_text(one["match"], "match"), **_said(one, READ_TERMS))


def _said(data: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The fields of HostTerms, or Terms, that those of `keys` say which are there."""
    return {READ_TERMS[key][0]: READ_TERMS[key][1](data[key]) for key in keys if key in data}


def _waiver(one: Mapping[str, Any], at: float) -> Waiver:
    keys = ("host", "rule", "owner", "reason", "expires")
    _only(one, keys)
    missing = [key for key in keys if key not in one]
    if missing:
        raise _WrongError(
            f"no `{missing[0]}`", advice="a waiver needs host, rule, owner, reason and expires"
        )
    expires = _day(one["expires"])
    if too_long(expires, at):
        raise _WrongError(
            f"expires {expires:%Y-%m-%d} is more than {LONGEST_DAYS} days away",
            advice="what lasts longer is no exception: skip the rule, or set a nearer day",
        )
    return Waiver(
        host=_text(one["host"], "host"),
        rule=_rule(_text(one["rule"], "rule")),
        owner=_text(one["owner"], "owner"),
        reason=_text(one["reason"], "reason"),
        expires=expires,
    )


def _only(data: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in data:
        if key not in known:
            advice = f"known: {', '.join(sorted(known))}"
            raise _WrongError(f"unknown key `{key}`", advice=advice)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise _WrongError(f"`{key}` has to be a table, [{key}]")
    return value


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    value = data.get(key, [])
    if not isinstance(value, list) or len(value) > LIST_LIMIT:
        raise _WrongError(f"`{key}` has to be a list of tables, [[{key}]], at most {LIST_LIMIT}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 1000:
        raise _WrongError(f"`{what}` has to be text of 1 to 1000 characters")
    return value


def _texts(value: Any, what: str) -> list[str]:
    many = value if isinstance(value, list) else [value]
    return [_text(one, what) for one in many]


def _role(value: str) -> str:
    if not ROLE.fullmatch(value):
        raise _WrongError(f"not a role: {value!r}", advice="a role is a short word, such as db")
    return value


def _rule(value: str) -> str:
    name = value.upper()
    if name not in KNOWN:
        raise _WrongError(f"no such rule: {value}", advice="forestall audit rules lists them")
    return name


def _day(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise _WrongError(f"not a day: {value!r}", advice="write for example 2027-03-31") from None


def _end_of(value: Any) -> float:
    """The last second that still belongs to a day, UTC."""
    day = _day(value)
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() + DAY


def _duration(value: Any) -> float:
    try:
        return parse_duration(value if isinstance(value, str) else str(int(value)))
    except (UsageError, TypeError, ValueError):
        raise _WrongError(f"not a duration: {value!r}", advice="write for example 45m") from None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise _WrongError(f"not a positive number: {value!r}")
    return float(value)


READ_TERMS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "roles": ("roles", lambda value: frozenset(map(_role, _texts(value, "roles")))),
    "baseline": ("baseline", lambda value: _text(value, "baseline").lower()),
    "extended_support_until": ("extended_support_until", _end_of),
    "time_to_act": ("time_to_act_seconds", _duration),
    "uptime_limit_days": ("uptime_limit_days", _number),
}
"""Keys of a [[host]]: the field of HostTerms, and how it is read."""

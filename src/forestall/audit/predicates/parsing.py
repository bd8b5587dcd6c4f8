"""Text -> Predicate, by recursive descent; an error names the column and what is expected there.

predicate  = ("all" | "any" | "no") hosts | "count" "(" hosts ")" order number
hosts      = "host" ["where" expression] [":" expression]
expression = conjunction {"or" conjunction}
conjunction = negation {"and" negation}
negation   = "not" negation | "(" expression ")" | comparison
comparison = name [operator value]
name       = short name | sysctl | pointer | "unit" "(" text ")" "." field | "rule" ID
operator   = "=" "!=" "<" "<=" ">" ">=" "~" (pattern) "!~" "has"
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from forestall.audit.kernels import kernel_of
from forestall.audit.predicates.grammar import (
    Both,
    Compare,
    Either,
    Expression,
    Kind,
    Literal,
    Name,
    Not,
    Predicate,
    Quantifier,
)
from forestall.audit.predicates.names import SETTINGS, names, unit_fields
from forestall.audit.rules import RULES
from forestall.errors import UsageError
from forestall.model.finding import FindingState
from forestall.units import parse_bytes, parse_duration

TEXT_LIMIT = 4000
DEPTH_LIMIT = 40
ORDER = ("<", "<=", ">", ">=")
SAME = ("=", "!=")
OPERATORS = {
    Kind.SIZE: ORDER + SAME,
    Kind.DURATION: ORDER + SAME,
    Kind.NUMBER: ORDER + SAME,
    Kind.VERSION: ORDER + SAME,
    Kind.KERNEL: (*ORDER, *SAME, "~", "!~"),
    Kind.TEXT: (*SAME, "~", "!~"),
    Kind.FLAG: SAME,
    Kind.LIST: (*SAME, "has"),
    Kind.RULE: SAME,
    Kind.ANY: (*ORDER, *SAME, "~", "!~"),
}
STATES = tuple(one.value for one in FindingState if one is not FindingState.UNKNOWN)
FLAGS = {"true": True, "yes": True, "false": False, "no": False}

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    | (?P<string>"[^"]*"|'[^']*')
    | (?P<operator><=|>=|!=|!~|==|=|<|>|~|\(|\)|:)
    | (?P<pointer>/[^\s()<>=!:]*)
    | (?P<number>-?\d[\w.*?-]*)
    | (?P<word>[A-Za-z_*?][\w.*?@/-]*|\.\w+)""",
    re.VERBOSE,
)


class PredicateError(UsageError):
    """The predicate cannot be read; `column` (from 1) is where."""

    def __init__(self, message: str, column: int, *, help: str | None = None) -> None:
        super().__init__(f"column {column}: {message}", help=help)
        self.column = column


@dataclass(frozen=True, slots=True)
class Token:
    """One word: its kind, its text, and the column it begins at."""

    kind: str
    text: str
    column: int


def parse(text: str) -> Predicate:
    """The predicate that `text` says. Raises PredicateError."""
    if len(text) > TEXT_LIMIT:
        raise PredicateError(f"longer than {TEXT_LIMIT} characters", TEXT_LIMIT + 1)
    return _Parser(text).predicate()


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            what = "a quotation that does not end" if text[position] in "\"'" else "not understood"
            raise PredicateError(f"{what}: {text[position : position + 20]!r}", position + 1)
        kind = match.lastgroup or ""
        if kind != "space":
            yield Token(kind, match[0], position + 1)
        position = match.end()
    yield Token("end", "", len(text) + 1)


class _Parser:
    """The tokens of one predicate and how far they are read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    @property
    def _here(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> Token | None:
        """The next token if it is one of these words, else None."""
        token = self._here
        if token.kind in ("word", "operator") and token.text in texts:
            self._next += 1
            return token
        return None

    def _need(self, text: str, example: str) -> Token:
        token = self._take(text)
        if token is None:
            raise self._wrong(f"expected {text!r}", help=f"for example: {example}")
        return token

    def _wrong(
        self, said: str, token: Token | None = None, help: str | None = None
    ) -> PredicateError:
        token = token or self._here
        found = f", found {token.text!r}" if token.text else ", but it ends here"
        return PredicateError(said + found, token.column, help=help)

    def predicate(self) -> Predicate:
        example = "all host where role=db: swap_total_bytes >= 16GiB"
        word = self._take(*(one.value for one in Quantifier))
        if word is None:
            raise self._wrong("expected all, any, no or count", help=f"for example: {example}")
        quantifier = Quantifier(word.text)
        op, number = "", 0
        if quantifier is Quantifier.COUNT:
            example = "count(host where role=db: vm.swappiness > 10) <= 3"
            self._need("(", example)
            where, holds = self._hosts(example)
            self._need(")", example)
            order = self._take(*ORDER, *SAME, "==")
            if order is None:
                raise self._wrong("expected an order such as <=", help=f"for example: {example}")
            op = "=" if order.text == "==" else order.text
            count = self._here
            if count.kind != "number" or not count.text.isascii() or not count.text.isdigit():
                raise self._wrong("expected a whole number", help=f"for example: {example}")
            number = int(count.text[:18])
            self._next += 1
        else:
            where, holds = self._hosts(example)
            if holds is None and (quantifier is Quantifier.ALL or where is None):
                raise self._wrong("expected ':' and what holds", help=f"for example: {example}")
        if self._here.kind != "end":
            raise self._wrong("expected the end, `and` or `or`")
        return Predicate(self._text, quantifier, where, holds, op, number)

    def _hosts(self, example: str) -> tuple[Expression | None, Expression | None]:
        self._need("host", example)
        where = self._expression() if self._take("where") else None
        holds = self._expression() if self._take(":") else None
        return where, holds

    def _expression(self) -> Expression:
        parts = [self._conjunction()]
        while self._take("or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self) -> Expression:
        parts = [self._negation()]
        while self._take("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _negation(self) -> Expression:
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise PredicateError(f"nested deeper than {DEPTH_LIMIT}", self._here.column)
        try:
            if self._take("not"):
                return Not(self._negation())
            if self._take("("):
                inner = self._expression()
                if self._take(")") is None:
                    raise self._wrong("expected `)`, `and` or `or`")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Expression:
        token = self._here
        left = self._name()
        word = self._take(*ORDER, *SAME, "==", "~", "!~", "has")
        if word is None:
            if left.kind is Kind.FLAG:
                return Compare(left, "=", Literal("true", True))
            raise self._wrong(f"expected an operator after {left.text}")
        op = "=" if word.text == "==" else word.text
        if op not in OPERATORS[left.kind]:
            raise PredicateError(
                f"{left.text} is a {left.kind.value}, which has no {op}",
                word.column,
                help=f"there is {' '.join(OPERATORS[left.kind])}",
            )
        return Compare(left, op, self._value(left, op, token))

    def _name(self) -> Name:
        token = self._here
        if token.kind not in ("word", "pointer"):
            raise self._wrong("expected the name of a fact", help=_SEE)
        self._next += 1
        text = token.text
        if token.kind == "pointer":
            return Name(text, Kind.ANY, pointer=text)
        if text == "rule":
            return self._rule()
        if text == "unit":
            return self._unit()
        found = self._known(text)
        if found is None:
            near = difflib.get_close_matches(text, names(), 3)
            advice = f"did you mean {' or '.join(near)}?" if near else _SEE
            raise PredicateError(f"no such fact: {text}", token.column, help=advice)
        return found

    def _known(self, text: str) -> Name | None:
        if text in names():
            kind, pointer = names()[text]
            return Name(text, kind, pointer=pointer)
        first, dot, _ = text.partition(".")
        if dot and first in SETTINGS and re.fullmatch(r"[\w.-]+", text):
            return Name(text, Kind.ANY, sysctl=text)
        return None

    def _rule(self) -> Name:
        token = self._here
        known = {rule.id for rule in RULES}
        if token.kind != "word" or token.text.upper() not in known:
            near = difflib.get_close_matches(token.text.upper(), known, 3)
            advice = f"did you mean {' or '.join(near)}?" if near else "forestall audit rules"
            raise self._wrong("expected a rule's id", help=advice)
        self._next += 1
        name = token.text.upper()
        return Name(f"rule {name}", Kind.RULE, rule=name)

    def _unit(self) -> Name:
        example = 'unit("feed-sync.service").memory_max_bytes <= 2GiB'
        self._need("(", example)
        token = self._here
        if token.kind not in ("word", "string", "number"):
            raise self._wrong("expected the name of a service", help=f"for example: {example}")
        self._next += 1
        name = token.text.strip("\"'")
        self._need(")", example)
        field = self._here
        kind = unit_fields().get(field.text[1:])
        if kind is None or not field.text.startswith("."):
            near = difflib.get_close_matches(field.text[1:], unit_fields(), 3)
            advice = f"did you mean .{' or .'.join(near)}?" if near else f"for example: {example}"
            raise self._wrong("expected a field of a service", help=advice)
        self._next += 1
        return Name(f"unit({name}){field.text}", kind, unit=name, field=field.text[1:])

    def _value(self, left: Name, op: str, before: Token) -> Literal | Name:
        token = self._here
        if token.kind == "word" and left.kind not in (Kind.RULE, Kind.FLAG):
            other = self._known(token.text)
            if other is not None and op in ORDER + SAME and _comparable(left.kind, other.kind):
                self._next += 1
                return other
        if token.kind not in ("word", "number", "string", "pointer"):
            raise self._wrong(f"expected a {left.kind.value} after {before.text} {op}")
        self._next += 1
        text = token.text[1:-1] if token.kind == "string" else token.text
        return Literal(text, _literal(left.kind, op, text, token.column))


_SEE = "docs/reference/audit-check.md lists the names; `forestall audit check --names` too"


def _comparable(one: Kind, other: Kind) -> bool:
    return one is other or Kind.ANY in (one, other)


def _literal(kind: Kind, op: str, text: str, column: int) -> str | float | bool | tuple[int, ...]:
    """The value of a literal as its name's kind has it."""
    try:
        if kind is Kind.SIZE:
            return float(parse_bytes(text))
        if kind is Kind.DURATION:
            return parse_duration(text)
        if kind is Kind.NUMBER:
            return _number(text)
    except UsageError as error:
        raise PredicateError(error.message, column, help=error.help) from None
    if kind is Kind.VERSION:
        return _version(text, column)
    if kind is Kind.FLAG:
        if text not in FLAGS:
            raise PredicateError(f"expected true or false, found {text!r}", column)
        return FLAGS[text]
    if kind is Kind.RULE and text not in STATES:
        advice = "what is unknown makes the answer unknown by itself" if text == "unknown" else None
        raise PredicateError(f"expected {', '.join(STATES)}, found {text!r}", column, help=advice)
    if kind is Kind.KERNEL and op in ORDER and kernel_of(text, None) is None:
        advice = "write for example 4.18 or 3.10.0-1160, or a whole release as `uname -r` has it"
        raise PredicateError(f"no kernel release: {text[:80]!r}", column, help=advice)
    if kind is Kind.ANY and op in ORDER:
        try:
            return _number(text)
        except UsageError as error:
            raise PredicateError(error.message, column, help=error.help) from None
    return text


def _number(text: str) -> float:
    """A plain number, or a size such as 64MiB for a setting that counts bytes."""
    try:
        return float(text)
    except ValueError:
        return float(parse_bytes(text))


def _version(text: str, column: int) -> tuple[int, ...]:
    found = version(text)
    if found is None:
        raise PredicateError(f"no version: {text!r}", column, help="write for example 8.6")
    return found


def version(text: str) -> tuple[int, ...] | None:
    """`8.6` -> (8, 6), without zeros at the end; None for anything else."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9}){0,5}", text, re.ASCII):
        return None
    numbers = [int(part) for part in text.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)

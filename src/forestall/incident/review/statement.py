"""A sentence and its slots: every number, time of day, `code` and list of names is a leaf.

`read` finds the slots of a sentence and `show` puts them back; for any one-line text
`text(show(read(sentence)))` is that sentence. The grammar is the set of shapes in the
docstring of `forestall.model.review.Statement`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from forestall.errors import InputError
from forestall.model.codec import Json


class Piece(NamedTuple):
    """A run of text in the document, and the JSON pointers of the leaves it shows."""

    text: str
    leaves: tuple[str, ...] = ()


Pieces = list[Piece]
KnowsTime = Callable[[str, str], bool]
"""Whether an abbreviation is in force at a time of day (`03:05`), as far as the document says."""

CURRENCY_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_CURRENCY_CODES = "AUD|BRL|CAD|CHF|CNY|CZK|DKK|HKD|HUF|KRW|MXN|NOK|NZD|PLN|SEK|SGD|TRY|ZAR"
_SIZE_UNITS = "KB|MB|GB|TB|KiB|MiB|GiB|TiB"
# A byte that was no UTF-8 is kept as a lone surrogate; neither it nor a control belongs in a leaf.
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_AMOUNT = r"\d[\d,]*(?:\.\d+)?"
_NAME = r"[A-Z][\w.&/-]*(?: [\w.&/-]+)*"
# A sentence with more facts than this is no sentence; the rest of it stays text.
SLOTS_MAX = 100
_MAY_HOLD_SLOT = re.compile(r"[\d`({}]")
_SLOT = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\b(?P<time>(?:0[1-9]|1[0-2]):[0-5]\d [AP]M (?:[A-Z]{2,5}|[+-]\d\d(?:\d\d)?))(?!\w)"
    rf"|(?P<money>[$€£¥₹]{_AMOUNT}|\b(?:{_CURRENCY_CODES}) {_AMOUNT})(?![\w,])"
    rf"|\((?P<names>{_NAME}(?:, {_NAME}){{1,{SLOTS_MAX}}})\)"
    rf"|(?<![\w.,:/-])(?P<size>\d+(?:\.\d+)?(?:{_SIZE_UNITS}))\b"
    r"|(?<![\w.,:/#@-])(?P<number>\d\w*(?:[.,:/-]\w+)*)"
)
_TEMPLATE = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")
_WORD_BEFORE = re.compile(r"\b([a-z]{1,30}) \($")
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z`\"(])")
_HOUR_MINUTE = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def text(pieces: Iterable[Piece]) -> str:
    """The pieces as they stand in the document."""
    return "".join(piece.text for piece in pieces)


def fit(value: Json, where: str) -> str:
    """`value` if it is a leaf that one line can show. Raises InputError otherwise."""
    if not isinstance(value, str):
        raise InputError(f"expected text at {where}")
    if not value:
        raise InputError(f"empty text at {where}", help="remove the field instead")
    unfit = _UNFIT.search(value)
    if unfit:
        what = {"\n": "a newline", "\r": "a carriage return"}.get(unfit[0], "a control character")
        raise InputError(f"{what} in the text at {where}", help="a leaf is one line")
    return value


def is_fit(line: str) -> bool:
    """Whether a line of a document can be read into leaves at all."""
    return _UNFIT.search(line) is None


def split(paragraph: str) -> list[str]:
    """The sentences of a paragraph; one blank stands between each two."""
    return _SENTENCE_END.split(paragraph)


def read(sentence: str, knows_time: KnowsTime) -> Json:
    """A sentence as the JSON of a Statement. A time that nobody can place stays plain text."""
    if not _MAY_HOLD_SLOT.search(sentence):
        return {"text": sentence, "values": {}}
    values: dict[str, Json] = {}
    counts: Counter[str] = Counter()
    template: list[str] = []
    end = 0
    for match in _SLOT.finditer(sentence):
        kind = str(match.lastgroup)
        value = _read_value(kind, match[kind], knows_time)
        if value is None:
            continue
        template.append(_escaped(sentence[end : match.start(kind)]))
        base = "quantity" if isinstance(value, int) else _base_name(kind, template[-1])
        counts[base] += 1
        # Letters alone make a base, so `quantity_2` is never one.
        name = base if counts[base] == 1 else f"{base}_{counts[base]}"
        values[name] = value
        template.append(f"{{{name}}}")
        end = match.end(kind)
        if len(values) == SLOTS_MAX:
            break
    template.append(_escaped(sentence[end:]))
    return {"text": "".join(template), "values": values}


def show(statement: Mapping[str, Json], where: str) -> Pieces:
    """The pieces of a Statement's JSON. Raises InputError with the pointer of what is wrong."""
    template = fit(statement["text"], f"{where}/text")
    values = statement["values"]
    leaf = (f"{where}/text",)
    pieces: Pieces = []
    used: set[str] = set()
    literal: list[str] = []
    end = 0
    for match in _TEMPLATE.finditer(template):
        literal.append(template[end : match.start()])
        end = match.end()
        name = match[1]
        if match[0] in ("{{", "}}"):
            literal.append(match[0][0])
        elif name is None:
            raise InputError(f"a lone {match[0]} at {where}/text", help="write it twice")
        elif name in used or name not in values:
            wrong = "stands twice" if name in used else "has no value"
            raise InputError(f"the slot {{{name}}} {wrong} at {where}/text")
        else:
            used.add(name)
            pieces.append(Piece("".join(literal), leaf))
            pieces.extend(_show_value(values[name], f"{where}/values/{name}"))
            literal.clear()
    for name in values:
        if name not in used:
            raise InputError(f"no slot {{{name}}} in {where}/text for {where}/values/{name}")
    pieces.append(Piece("".join([*literal, template[end:]]), leaf))
    return [piece for piece in pieces if piece.text]


def plain(template: str, values: Mapping[str, Json]) -> str:
    """The sentence a Statement shows."""
    return text(show({"text": template, "values": values}, ""))


def show_time_of_day(local: str) -> str:
    """`15:05` or `15:05:30` as `03:05 PM`, `03:05:30 PM`."""
    hour = int(local[:2])
    return f"{(hour + 11) % 12 + 1:02d}{local[2:]} {'AM' if hour < 12 else 'PM'}"


def read_time_of_day(shown: str) -> str:
    """Inverse of `show_time_of_day`."""
    clock, half = shown.split(" ")
    return f"{int(clock[:2]) % 12 + (12 if half == 'PM' else 0):02d}{clock[2:]}"


def _base_name(kind: str, before: str) -> str:
    word = _WORD_BEFORE.search(before) if kind == "names" else None
    return word[1] if word else kind


def _read_value(kind: str, shown: str, knows_time: KnowsTime) -> Json | None:
    value: Json = shown
    if kind == "names":
        value = shown.split(", ")
    elif kind == "time":
        clock, _, abbreviation = shown.rpartition(" ")
        value = {"local": read_time_of_day(clock), "abbreviation": abbreviation}
        if not knows_time(value["local"], abbreviation):
            return None
    elif kind == "money":
        signs = {sign: code for code, sign in CURRENCY_SIGNS.items()}
        code, amount = (signs[shown[0]], shown[1:]) if shown[0] in signs else (shown[:3], shown[4:])
        value = {"amount": amount.replace(",", ""), "currency": code}
    elif kind == "size":
        amount = shown.rstrip("KMGTiB")
        value = {"amount": amount, "unit": shown[len(amount) :]}
    elif kind == "number" and re.fullmatch(r"[\d,]{1,20}", shown, re.ASCII):
        count = int(shown.replace(",", ""))
        value = count if f"{count:,}" == shown else shown
    return value if text(_show_value(value, "")) == shown else None


def _show_value(value: Json, where: str) -> Pieces:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return [Piece(f"{value:,}", (where,))]
    if isinstance(value, str):
        return [Piece(fit(value, where), (where,))]
    if isinstance(value, list) and value:
        pieces: Pieces = []
        for index, item in enumerate(value):
            pieces.append(Piece(", " if index else ""))
            pieces.append(Piece(fit(item, f"{where}/{index}"), (f"{where}/{index}",)))
        return pieces
    if isinstance(value, dict):
        for keys, shower in _SHAPES:
            if set(value) == keys:
                return shower({key: fit(value[key], f"{where}/{key}") for key in value}, where)
    raise InputError(
        f"a value of no known shape at {where}",
        help="a whole number, text, a list of texts, or an object with amount and currency, "
        "amount and unit, or local and abbreviation",
    )


def _show_money(value: Mapping[str, str], where: str) -> Pieces:
    code = value["currency"]
    whole, point, cents = value["amount"].partition(".")
    if not re.fullmatch(r"\d{1,30}(\.\d{1,10})?", value["amount"], re.ASCII):
        raise InputError(f"no amount of money at {where}/amount: write for example 25000")
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise InputError(f"no currency code at {where}/currency: write for example USD")
    return [
        Piece(CURRENCY_SIGNS.get(code, f"{code} "), (f"{where}/currency",)),
        Piece(f"{int(whole):,}{point}{cents}", (f"{where}/amount",)),
    ]


def _show_size(value: Mapping[str, str], where: str) -> Pieces:
    return [
        Piece(value["amount"], (f"{where}/amount",)),
        Piece(value["unit"], (f"{where}/unit",)),
    ]


def _show_time(value: Mapping[str, str], where: str) -> Pieces:
    if not _HOUR_MINUTE.fullmatch(value["local"]):
        raise InputError(f"no time of day at {where}/local: write for example 03:05")
    return [
        Piece(show_time_of_day(value["local"]), (f"{where}/local",)),
        Piece(" "),
        Piece(value["abbreviation"], (f"{where}/abbreviation",)),
    ]


_SHAPES: tuple[tuple[set[str], Callable[[Mapping[str, str], str], Pieces]], ...] = (
    ({"amount", "currency"}, _show_money),
    ({"amount", "unit"}, _show_size),
    ({"local", "abbreviation"}, _show_time),
)


def _escaped(literal: str) -> str:
    return literal.replace("{", "{{").replace("}", "}}")

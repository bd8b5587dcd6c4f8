"""Does a review survive its record? `python tools/check_seed.py REVIEW.md` prints one line.

Checks that parse and render give the same bytes, that the residual is empty, that there are at
least 60 leaves and none of them holds a section, and that each leaf of the JSON, changed to
another valid value, changes the document inside its own place and nowhere else. Reading the
changed document gives the changed JSON again. Exit code 1 if any of this fails.
"""

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from forestall.incident.review import document
from forestall.incident.review.parse import parse
from forestall.incident.review.render import places, render

LEAVES_MIN = 60
# Leaves that the place of the incident contradicts once they change, so reading refuses them.
READ_BACK_REFUSED = ("zone", "abbreviation")
# The template of a sentence: what follows a slot, or a letter outside of one.
_LETTER_OUTSIDE_SLOTS = re.compile(r"(?<![{a-z0-9_])[A-Za-z](?![a-z0-9_]*\})")


class Failure(Exception):  # noqa: N818 - what the check found, in one line
    """Why the document does not survive."""


def main(arguments: list[str]) -> int:
    """Check the one document named; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python tools/check_seed.py REVIEW.md", file=sys.stderr)
        return 2
    with open(arguments[0], "rb") as file:
        data = file.read()
    try:
        leaves = check(data)
    except Failure as failure:
        print(f"FAILED {arguments[0]}: {failure}")
        return 1
    print(
        f"ok {arguments[0]}: {len(data):,} bytes come back, empty residual, {leaves} leaves, "
        "each changes its own place only"
    )
    return 0


def check(data: bytes, *, leaves_min: int = LEAVES_MIN) -> int:
    """The number of leaves. Raises Failure for whatever is not as the module promises."""
    parsed = parse(data)
    if parsed.review.residual:
        first = parsed.remarks[0]
        raise Failure(f"residual, first at line {first.line}: {first.why}")
    record = json.loads(document.dump(parsed.review))
    if _render(record) != data:
        raise Failure("rendering the record gives other bytes")
    leaves = [(pointer, value) for pointer, value in each_leaf(record) if pointer != "/schema"]
    if len(leaves) < leaves_min:
        raise Failure(f"{len(leaves)} leaves, fewer than {leaves_min}")
    where = places(parsed.review)
    if set(where) != {pointer for pointer, _ in leaves if not pointer.startswith("/layout")}:
        raise Failure("not every leaf has a place, or a place no leaf")
    _check_sections(data, where)
    for pointer, value in leaves:
        if not pointer.startswith("/layout"):
            _check_leaf(data, record, pointer, value, where[pointer])
    return len(leaves)


def each_leaf(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every text and number of a JSON value, with its pointer."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from each_leaf(item, f"{pointer}/{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from each_leaf(item, f"{pointer}/{index}")
    else:
        yield pointer, value


def other_values(pointer: str, value: Any) -> tuple[Any, ...]:
    """Valid values of the leaf at `pointer` that are not `value`."""
    if isinstance(value, int):
        return (value + 1, value + 86_400)
    name = pointer.rsplit("/", 1)[1]
    if name in _OTHERS and "/values/" + name not in pointer:
        return _OTHERS[name](value)
    if re.fullmatch(r"\d+(\.\d+)*", value):
        return (f"{value}.1",)
    return (f"{value}x", f"Q{value}", "Quorum")


def _later(at: str, **step: float) -> str:
    return (datetime.fromisoformat(at) + timedelta(**step)).isoformat()


def _other_day(day: str) -> tuple[str, ...]:
    return ((date.fromisoformat(day) + timedelta(days=17)).isoformat(),)


_OTHERS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "at": lambda at: (_later(at, minutes=1), _later(at, days=1, hours=9)),
    "zone": lambda _: ("Asia/Tokyo",),
    "date": _other_day,
    "deadline": _other_day,
    "local": lambda clock: (f"{(int(clock[:2]) + 1) % 24:02d}{clock[2:]}",),
    "abbreviation": lambda _: ("JST",),
    "amount": lambda amount: (f"{int(float(amount)) + 1}",),
    "unit": lambda unit: ("TiB" if unit != "TiB" else "KB",),
    "currency": lambda code: ("EUR" if code != "EUR" else "USD",),
    "place": lambda place: (f"Hall 2, {place}",),
    "text": lambda template: (_with_another_letter(template),),
}


def _check_leaf(
    data: bytes, record: Any, pointer: str, value: Any, spans: list[tuple[int, int]]
) -> None:
    for other in other_values(pointer, value):
        changed = copy.deepcopy(record)
        _put(changed, pointer, other)
        rendered = _render(changed)
        inside = (spans[0][0], spans[-1][1])
        if not _differs_only_inside(data, rendered, inside):
            raise Failure(f"{pointer} = {other!r} changes bytes outside its place, or none")
        # A sentence stands around its slots: the edit is of one letter, so it is in one run.
        if pointer.endswith("/text") and not any(
            _differs_only_inside(data, rendered, span) for span in spans
        ):
            raise Failure(f"{pointer} = {other!r} changes more than one run of its text")
        if pointer.rsplit("/", 1)[1] in READ_BACK_REFUSED:
            continue
        again = json.loads(document.dump(parse(rendered).review))
        if again != changed:
            raise Failure(f"{pointer} = {other!r} is read back as something else")


def _differs_only_inside(old: bytes, new: bytes, span: tuple[int, int]) -> bool:
    start, end = span
    tail = len(old) - end
    return (
        old != new
        and old[:start] == new[:start]
        and len(new) - tail >= start
        and old[end:] == new[len(new) - tail :]
    )


def _check_sections(data: bytes, where: dict[str, list[tuple[int, int]]]) -> None:
    """Each section of more than one line has several leaves, so none of them holds it whole."""
    headings = [match.start() for match in re.finditer(rb"^#+ ", data, re.MULTILINE)]
    for start, end in zip(headings, [*headings[1:], len(data)], strict=True):
        body = data[start:end].splitlines()[1:]
        if sum(bool(re.search(rb"[A-Za-z]", line)) for line in body) < 2:
            continue
        inside = [
            pointer
            for pointer, spans in where.items()
            if start <= spans[0][0] and spans[-1][1] <= end
        ]
        if len(inside) < 2:
            line = data[:start].count(b"\n") + 1
            raise Failure(f"the section at line {line} has {len(inside)} leaves")


def _with_another_letter(template: str) -> str:
    match = _LETTER_OUTSIDE_SLOTS.search(template)
    if match is None:
        raise Failure(f"a sentence without words: {template!r}")
    other = "Z" if match[0].isupper() else "z"
    other = other if other != match[0] else ("Y" if other == "Z" else "y")
    return template[: match.start()] + other + template[match.end() :]


def _put(record: Any, pointer: str, value: Any) -> None:
    *steps, last = pointer.split("/")[1:]
    for step in steps:
        record = record[int(step) if isinstance(record, list) else step]
    record[int(last) if isinstance(record, list) else last] = value


def _render(record: Any) -> bytes:
    return render(document.load(json.dumps(record).encode()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the profile does not say about a document, as patches to the lines it does say.

`document == apply(labels, compare(...))` for any document whatever, and the residual is empty
only when the profile alone gives the document. Comparing is one pass: the parser knows which
line each leaf came from, and between two such lines only a few constant ones are searched for.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from forestall.errors import InputError
from forestall.model.review import Patch


def compare(
    rendered: Sequence[tuple[str, str]],
    original: Sequence[str],
    taken: Mapping[str, int],
    why: Mapping[int, str],
) -> tuple[Patch, ...]:
    """The patches from `rendered` (label and text of each line) to `original`.

    `taken` gives the index in `original` from which a label was read, and `why` the reason for
    which a line was not understood.
    """
    matches = _match(rendered, original, taken)
    patches: list[Patch] = []
    for (row, at), (next_row, next_at) in pairwise(
        [(-1, -1), *matches, (len(rendered), len(original))]
    ):
        after = rendered[row][0] if row >= 0 else ""
        drop = tuple(label for label, _ in rendered[row + 1 : next_row])
        patches.extend(_patches(after, drop, original, range(at + 1, next_at), why))
    return tuple(patches)


def apply(labels: Sequence[str], patches: Sequence[Patch]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The document: (label, ()) for a line of the profile, ("", lines) for lines put in.

    Raises InputError for a patch whose line is no longer there.
    """
    inserts: dict[str, list[tuple[str, ...]]] = {}
    dropped: set[str] = set()
    known = {"", *labels}
    for index, patch in enumerate(patches):
        missing = next((label for label in (patch.after, *patch.drop) if label not in known), None)
        if missing is not None:
            raise InputError(
                f"/residual/{index} names the line {missing!r}, which the record no longer gives",
                help="restore what was removed, or remove this patch",
            )
        if any("\n" in line for line in patch.insert):
            raise InputError(f"a newline in a line at /residual/{index}/insert")
        inserts.setdefault(patch.after, []).append(patch.insert)
        dropped.update(patch.drop)
    for label in ("", *labels):
        if label and label not in dropped:
            yield label, ()
        for lines in inserts.get(label, ()):
            yield "", lines


def _match(
    rendered: Sequence[tuple[str, str]], original: Sequence[str], taken: Mapping[str, int]
) -> list[tuple[int, int]]:
    """Pairs of equal lines, both sides ascending."""
    fixed = _fixed(rendered, original, taken)
    matches: list[tuple[int, int]] = []
    for (row, at), (next_row, next_at) in pairwise(
        [(-1, -1), *fixed, (len(rendered), len(original))]
    ):
        if row >= 0:
            matches.append((row, at))
        position = at + 1
        for between in range(row + 1, next_row):
            wanted = rendered[between][1]
            found = next((i for i in range(position, next_at) if original[i] == wanted), None)
            if found is not None:
                matches.append((between, found))
                position = found + 1
    return matches


def _fixed(
    rendered: Sequence[tuple[str, str]], original: Sequence[str], taken: Mapping[str, int]
) -> list[tuple[int, int]]:
    """The lines that were read, as far as they stand in the order of the profile."""
    fixed: list[tuple[int, int]] = []
    last = -1
    for row, (label, text) in enumerate(rendered):
        at = taken.get(label, -1)
        if at > last and original[at] == text:
            fixed.append((row, at))
            last = at
    return fixed


def _patches(
    after: str,
    drop: tuple[str, ...],
    original: Sequence[str],
    span: range,
    why: Mapping[int, str],
) -> Iterator[Patch]:
    """One patch for what stands between two matched lines; more where the reasons differ."""
    start = span.start
    for index in span:
        if index + 1 == span.stop or why.get(index + 1) != why.get(index):
            yield Patch(
                after=after,
                drop=drop,
                insert=tuple(original[start : index + 1]),
                line=start + 1,
                why=why.get(index),
            )
            start, drop = index + 1, ()
    if drop:
        yield Patch(after=after, drop=drop, line=span.start + 1)

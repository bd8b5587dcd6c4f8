"""A tar archive read forwards: each member's name, kind and bytes, as far as they are asked for.

The standard library's reader takes whatever length a header claims for a long name or an extended
header into memory, so a hostile archive decides how much; this one has limits. It knows the
formats that tar(5) names: v7, ustar, GNU (long names, sparse files) and pax.
"""

from collections.abc import Iterator
from typing import NamedTuple

from forestall.audit.inputs.unpack import Inflow
from forestall.errors import InputError

BLOCK_BYTES = 512
MEMBER_LIMIT = 2_000_000
NAME_LIMIT_BYTES = 4096
EXTENDED_LIMIT_BYTES = 1024 * 1024
SPARSE_BLOCK_LIMIT = 100_000
TIME_LIMIT = 1 << 34

_KINDS = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hard", b"2": "link", b"5": "folder"}


class Member(NamedTuple):
    """One member. `kind` is file, hard (a hard link), link, folder or other (a device, ...).

    `name` and `target` are as the archive says them: nothing here makes them safe to use.
    """

    name: str
    kind: str
    size: int
    target: str
    modified_at: float


class Body:
    """The bytes of the member that was named last; what is left of them is passed over later."""

    def __init__(self, inflow: Inflow, size: int) -> None:
        self._inflow = inflow
        self.left = size

    def read(self, size: int) -> bytes:
        """At most `size` further bytes. Raises InputError where the archive ends before them."""
        wanted = min(size, self.left)
        data = self._inflow.read(wanted)
        self.left -= len(data)
        if len(data) < wanted:
            raise InputError("it ends in the middle of a member")
        return data

    def pass_over(self, padding: int) -> None:
        wanted = self.left + padding
        if self._inflow.skip(wanted) < wanted:
            raise InputError("it ends in the middle of a member")
        self.left = 0


class _Extended:
    """What extended headers say of the next member."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}
        self.too_long = False


def members(inflow: Inflow) -> Iterator[tuple[Member, Body]]:
    """Each member with its bytes, which are to be read before the next one is asked for.

    Raises InputError where this is no tar, or a damaged or a cut one, after the whole members.
    """
    extended = _Extended()
    defaults: dict[str, str] = {}
    count = 0
    while (header := _next_header(inflow, first=count == 0)) is not None:
        count += 1
        if count > MEMBER_LIMIT:
            raise InputError(f"it has more than {MEMBER_LIMIT} members")
        kind = header[156:157]
        size = _number(header[124:136])
        if kind in (b"x", b"g", b"L", b"K", b"X"):
            _extend(extended, defaults, kind, _extended_body(inflow, size))
            continue
        if kind == b"S":
            _pass_sparse_map(inflow, header)
        records = {**defaults, **extended.records}
        size = _size(records, size)
        member = _member(header, records, kind, size)
        # Only a file has bytes behind its header, whatever the size of a link or folder says; a
        # kind that is not known is passed over as a file (tar(5)).
        has_bytes = member.kind in ("file", "other") and kind not in (b"3", b"4", b"6")
        body = Body(inflow, size if has_bytes else 0)
        padding = -body.left % BLOCK_BYTES
        if not extended.too_long:
            yield member, body
        extended = _Extended()
        body.pass_over(padding)


def _next_header(inflow: Inflow, *, first: bool) -> bytes | None:
    """The next header; None at the mark of the end. Raises InputError where it is none."""
    block = inflow.read(BLOCK_BYTES)
    if len(block) < BLOCK_BYTES:
        raise InputError("it is no tar archive" if first else "it ends without its end mark")
    if block == bytes(BLOCK_BYTES):
        return None
    stated = _number(block[148:156])
    unsigned = sum(block) - sum(block[148:156]) + 8 * 32
    if stated != unsigned and stated != unsigned - 256 * sum(
        byte > 127 for byte in block[:148] + block[156:]
    ):
        raise InputError(
            "it is no tar archive" if first else "it is damaged: a header is no header"
        )
    return block


def _number(field: bytes) -> int:
    """An octal number, or one of GNU's in base 256."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0", 1)[0].strip()
    try:
        value = int(text or b"0", 8)
    except ValueError:
        raise InputError(f"it is damaged: no number in {field!r}") from None
    if value < 0:
        raise InputError("it is damaged: a negative size")
    return value


def _extended_body(inflow: Inflow, size: int) -> bytes | None:
    """An extended header's bytes; None where there are too many of them to be one."""
    padded = size + -size % BLOCK_BYTES
    if size <= EXTENDED_LIMIT_BYTES:
        data = inflow.read(padded)
        if len(data) < padded:
            raise InputError("it ends in the middle of a header")
        return data[:size]
    if inflow.skip(padded) < padded:
        raise InputError("it ends in the middle of a header")
    return None


def _extend(extended: _Extended, defaults: dict[str, str], kind: bytes, body: bytes | None) -> None:
    if body is None:
        extended.too_long = True
    elif kind in (b"L", b"K"):
        text = body.split(b"\0", 1)[0]
        extended.too_long = extended.too_long or len(text) > NAME_LIMIT_BYTES
        extended.records["path" if kind == b"L" else "linkpath"] = _text(text)
    else:
        (defaults if kind == b"g" else extended.records).update(_pax_records(body))


def _pax_records(body: bytes) -> dict[str, str]:
    """`LENGTH KEY=VALUE\\n` records; of the keys only those that are used."""
    found = {}
    at = 0
    while at < len(body):
        blank = body.find(b" ", at, at + 20)
        try:
            length = int(body[at:blank])
        except ValueError:
            break
        if blank < 0 or length <= blank - at or at + length > len(body):
            break
        key, _, value = body[blank + 1 : at + length - 1].partition(b"=")
        if key in (b"path", b"linkpath", b"size", b"mtime", b"GNU.sparse.name"):
            found[key.decode("ascii")] = _text(value)
        at += length
    return found


def _pass_sparse_map(inflow: Inflow, header: bytes) -> None:
    """The blocks of an old GNU sparse file's map, which are not counted in its size."""
    more = header[482:483] == b"\1"
    for _ in range(SPARSE_BLOCK_LIMIT):
        if not more:
            return
        block = inflow.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            raise InputError("it ends in the middle of a header")
        more = block[504:505] == b"\1"
    raise InputError("it is damaged: a sparse file's map has no end")


def _size(records: dict[str, str], size: int) -> int:
    text = records.get("size")
    if text is None:
        return size
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise InputError(f"it is damaged: no size in {text!r}")
    return int(text)


def _member(header: bytes, records: dict[str, str], kind: bytes, size: int) -> Member:
    name = records.get("GNU.sparse.name") or records.get("path")
    if name is None:
        name = _text(header[:100].split(b"\0", 1)[0])
        # In GNU's own format other fields lie where ustar has the front of a long name.
        prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
        if prefix:
            name = f"{_text(prefix)}/{name}"
    known = _KINDS.get(kind, "other")
    if known == "file" and name.endswith("/"):
        known = "folder"
    if "GNU.sparse.name" in records:
        # Its bytes begin with a map of their own.
        known = "other"
    target = records.get("linkpath")
    if target is None:
        target = _text(header[157:257].split(b"\0", 1)[0])
    return Member(name, known, size, target, _time(records, header))


def _time(records: dict[str, str], header: bytes) -> float:
    """Seconds since the epoch; 0 where it is nothing of the kind."""
    try:
        stated = float(records["mtime"]) if "mtime" in records else _number(header[136:148])
    except (ValueError, InputError):
        return 0.0
    return float(stated) if 0 <= stated < TIME_LIMIT else 0.0


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")

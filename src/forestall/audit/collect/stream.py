"""The script's answer: bytes of a host, among them whatever its shell said, to a `Recording`.

A stream has an end that says how many sections there were; half a stream makes no facts, because
what is missing in it would look like what a host does not have.
"""

import posixpath
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from forestall.errors import InputError
from forestall.sense.host import decode
from forestall.sense.recording import Recording, command_name
from forestall.units import KIB, MIB, format_bytes

STREAM_LIMIT_BYTES = 128 * MIB
"""Of the uncompressed answer: six times what a host with 30,000 processes says."""

OWN_DEPTH_LIMIT = 8
PATH_LIMIT_BYTES = 4 * KIB
SAID_LIMIT_BYTES = 200
VERSION = b"1"
MODULES = "proc/modules"

_DENIED = re.compile(
    rb"(?: for reading|: cannot read link)?: (?:[Pp]ermission denied|[Oo]peration not permitted)"
)
_DENIED_PATH = re.compile(rb"(?:^|[ '`\"])(/.*)")
_LINK = re.compile(rb"l\S* +(?:\S+ +){7}(/.*?) -> (.*)")
_PROCESS_LINE = re.compile(
    rb"(/proc/[0-9]+/(?:stat|statm|status|oom_score|oom_score_adj|cgroup|cmdline)):(.*)", re.DOTALL
)


@dataclass(slots=True)
class _Parts:
    """A recording in the making."""

    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    commands: dict[str, bytes] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    host: dict[str, str] = field(default_factory=dict)
    batch: frozenset[bytes] = frozenset()
    asked: tuple[str, bytes] | None = None
    ended: int | None = None


def find_start(data: bytes, mark: str) -> int:
    """Where the answer begins after what the host's shell said first; -1 where it does not."""
    at = data.find(b"@" + mark.encode() + b" forestall ")
    return at if at == 0 or data[at - 1 : at] == b"\n" else -1


def first_mark(data: bytes) -> str:
    """The mark of an answer whose script was made elsewhere. Raises InputError for none."""
    found = re.search(rb"^@([0-9A-Za-z]{8,64}) forestall ", data, re.MULTILINE)
    if found is None:
        raise InputError("no answer of the collector's script")
    return found[1].decode()


def answer_of(data: bytes, mark: str, limit: int = STREAM_LIMIT_BYTES) -> bytes:
    """The uncompressed answer, from its first line on. Raises InputError where there is none."""
    start = find_start(data, mark)
    if start < 0:
        said = decode(data[:SAID_LIMIT_BYTES].strip())
        raise InputError(
            f"no shell answered; the host said {said!r}" if said else "the host said nothing"
        )
    line, _, rest = data[start:].partition(b"\n")
    words = line.split()
    if words[2:3] != [VERSION] or words[3:4] not in ([b"gzip"], [b"plain"]):
        raise InputError(f"not an answer of this version: {decode(line[:SAID_LIMIT_BYTES])!r}")
    return line + b"\n" + (_unpacked(rest, limit) if words[3] == b"gzip" else rest)


def _unpacked(data: bytes, limit: int) -> bytes:
    """As far as it goes: of half a stream, half."""
    unpack = zlib.decompressobj(wbits=31)
    try:
        text = unpack.decompress(data, limit)
    except zlib.error as error:
        raise InputError(f"the answer is damaged: {error}") from None
    if unpack.unconsumed_tail:
        raise InputError(f"the answer is larger than {format_bytes(limit)}")
    return text


def read_answer(answer: bytes, origin: str = "ssh") -> Recording:
    """The recording in an uncompressed answer, which names its own mark in its first line.

    Raises InputError for half an answer, and for what is none.
    """
    first = answer.partition(b"\n")[0].split()
    if len(first) < 2 or first[1] != b"forestall" or not first[0].startswith(b"@"):
        raise InputError("not an answer of the collector")
    sections = answer.split(b"\n" + first[0] + b" ")[1:]
    parts = _Parts()
    for section in sections:
        header, _, body = section.partition(b"\n")
        word, _, rest = header.partition(b" ")
        take = _SECTIONS.get(word)
        if take is not None:
            take(parts, decode(rest), body)
    if parts.ended is None:
        raise InputError(f"the answer broke off after {len(sections)} sections")
    # The end is none of those it counts, and the lines `exit` are made where nothing counts.
    arrived = sum(not section.startswith((b"exit ", b"end ")) for section in sections)
    if parts.ended != arrived:
        raise InputError(f"of {parts.ended} sections {arrived} arrived")
    return _recording(parts, origin)


def _recording(parts: _Parts, origin: str) -> Recording:
    if parts.asked is not None:
        _unanswered(parts)
    for path in parts.denied:
        if not parts.files.get(path, b"x"):
            del parts.files[path]
    if MODULES not in parts.denied:
        # A kernel that loads no modules has no such file, and says by this that none is loaded.
        parts.files.setdefault(MODULES, b"")
    _leave_out_collector(parts)
    page_kib = _whole(parts.host.get("page_kib"))
    return Recording(
        files=parts.files,
        links=parts.links,
        commands=parts.commands,
        problems=parts.problems,
        denied=frozenset(parts.denied),
        machine=parts.host.get("machine") or None,
        effective_uid=_whole(parts.host.get("uid")),
        page_bytes=page_kib * KIB if page_kib else None,
        collected_at=_whole(parts.host.get("at")),
        origin=origin,
        complete=True,
    )


def _leave_out_collector(parts: _Parts) -> None:
    """The script's own processes are gone by now, and would stand in their own picture."""
    parents: dict[int, int] = {}
    for path, data in parts.files.items():
        if path.endswith("/stat") and path.startswith("proc/"):
            pid = _whole(path.split("/")[1])
            words = data[data.rfind(b")") + 1 :].split(None, 2)
            if pid is not None and len(words) > 1:
                parents[pid] = _whole(decode(words[1])) or 0
    ours = {_whole(parts.host.get("shell")) or -1}
    # Children have mostly higher numbers than their parents, but numbers start anew.
    for _ in range(OWN_DEPTH_LIMIT):
        more = {pid for pid, parent in parents.items() if parent in ours} - ours
        if not more:
            break
        ours |= more
    gone = tuple(f"proc/{pid}/" for pid in ours)
    for path in [path for path in parts.files if path.startswith(gone)]:
        del parts.files[path]


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _path(path: bytes) -> str | None:
    """Relative to the root; None for what is no path of a file system."""
    if not path.startswith(b"/") or len(path) > PATH_LIMIT_BYTES or b"\0" in path:
        return None
    # An included file may be named by way of its neighbours (../shared.conf).
    name = posixpath.normpath(decode(path)).lstrip("/")
    return name + "/" if name and path.endswith(b"/") else name or None


def _host(parts: _Parts, _rest: str, body: bytes) -> None:
    for line in decode(body).splitlines():
        name, _, value = line.partition(" ")
        parts.host[name] = value


def _file(parts: _Parts, rest: str, body: bytes) -> None:
    path = _path(rest.encode())
    if path is not None:
        parts.files[path] = body


def _names(parts: _Parts, _rest: str, body: bytes) -> None:
    """A folder's name ends in a slash, which makes it one in the recording."""
    for line in body.split(b"\n"):
        path = _path(line)
        if path is not None:
            parts.files.setdefault(path, b"")


def _read(parts: _Parts, rest: str, body: bytes) -> None:
    """What the lines that follow are of: every file of it was opened, whatever it held."""
    parts.batch = frozenset(body.split(b"\n")) - {b""}
    _names(parts, rest, body)


def _lines(parts: _Parts, _rest: str, body: bytes) -> None:
    found: dict[bytes, list[bytes]] = {}
    for line in body.split(b"\n"):
        # A path may hold a colon: it is the one that was asked for.
        colon = line.find(b":")
        while colon >= 0 and line[:colon] not in parts.batch:
            colon = line.find(b":", colon + 1)
        if colon > 0:
            found.setdefault(line[:colon], []).append(line[colon + 1 :])
    for name, lines in found.items():
        path = _path(name)
        if path is not None:
            parts.files[path] = b"\n".join(lines) + b"\n"


def _processes(parts: _Parts, _rest: str, body: bytes) -> None:
    """Lines of proc/PID files; where a process's name holds a line's end, so does its file."""
    found: dict[bytes, list[bytes]] = {}
    for line in body.split(b"\n"):
        match = _PROCESS_LINE.fullmatch(line)
        if match is not None:
            found.setdefault(match[1], []).append(match[2])
    for name, lines in found.items():
        # Of the first process more was read than of others, and before.
        parts.files.setdefault(decode(name[1:]), b"\n".join(lines) + b"\n")


def _words(parts: _Parts, _rest: str, body: bytes) -> None:
    """Command lines: a word ends in a byte 31 here, and in NUL in the file."""
    for line in body.split(b"\n"):
        match = _PROCESS_LINE.fullmatch(line)
        if match is not None:
            parts.files[decode(match[1][1:])] = match[2].replace(b"\x1f", b"\0")


def _links(parts: _Parts, _rest: str, body: bytes) -> None:
    for line in body.split(b"\n"):
        match = _LINK.fullmatch(line)
        path = _path(match[1]) if match else None
        if match is not None and path is not None:
            parts.links[path] = decode(match[2])


def _refused(parts: _Parts, _rest: str, body: bytes) -> None:
    for line in body.split(b"\n"):
        said = _DENIED.search(line)
        match = _DENIED_PATH.search(line[: said.start()]) if said else None
        path = _path(_unquoted(match[1])) if match else None
        if path is not None:
            parts.denied.add(path)


def _unquoted(path: bytes) -> bytes:
    """A path as commands complain of it, without the quote and the slash at its end."""
    return (path[:-1] if path.endswith((b"'", b'"')) else path).removesuffix(b"/")


def _command(parts: _Parts, rest: str, body: bytes) -> None:
    if parts.asked is not None:
        _unanswered(parts)
    parts.asked = (rest, body)


def _exit(parts: _Parts, rest: str, _body: bytes) -> None:
    if parts.asked is None:
        return
    words, output = parts.asked
    parts.asked = None
    name = command_name(words.split())
    # df counts a single file system that it could not ask as a failure of all.
    if rest == "0" or (name.startswith("df") and output):
        parts.commands[name] = output
    else:
        parts.problems[name] = f"{words} ended with exit code {rest}"


def _unanswered(parts: _Parts) -> None:
    assert parts.asked is not None
    words = parts.asked[0]
    parts.asked = None
    parts.problems[command_name(words.split())] = f"{words} did not end in time, or said too much"


def _lacks(_parts: _Parts, rest: str, _body: bytes) -> None:
    """The host's own tools are not there, or are not what they are called."""
    if re.fullmatch("[a-z ]{1,99}", rest):
        raise InputError(f"the host has no {', no '.join(rest.split())}: the script needs it")
    raise InputError("the host's awk, grep, sed, sort, tr, xargs or head does not work as POSIX's")


def _end(parts: _Parts, rest: str, _body: bytes) -> None:
    parts.ended = _whole(rest)


_SECTIONS: dict[bytes, Callable[[_Parts, str, bytes], None]] = {
    b"host": _host,
    b"file": _file,
    b"names": _names,
    b"read": _read,
    b"lines": _lines,
    b"processes": _processes,
    b"words": _words,
    b"links": _links,
    b"denied": _refused,
    b"command": _command,
    b"exit": _exit,
    b"lacks": _lacks,
    b"end": _end,
}

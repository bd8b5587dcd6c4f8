"""From a line of a log to what the kernel said: stamps, levels, host names and noise taken off.

Understands dmesg (plain, -T, -x, -r, -H, -d, --time-format iso), journalctl -k (short, short-iso,
short-monotonic), syslog as rsyslog and syslog-ng write it (RFC 3164 and 5424), vmcore-dmesg.txt
and serial consoles. A line that another program logged is not the kernel's, whatever it quotes.
"""

import re
from typing import NamedTuple

PIECES_MAX = 64

# CSI and OSC sequences, other escapes, and NUL, which a console that loses power leaves.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|\x00"
)
_KERNEL_STAMP = re.compile(
    r"(?:<\d{1,3}>)?\[\s{0,12}(?P<seconds>\d{1,10}\.\d{6})(?: <[\s\d.]{1,24}>)?\]"
    r"(?:\[\s{0,8}[TC]\d{1,10}\])?\s?"
)
_WALL_STAMP = re.compile(
    r"\[(?P<at>[^\[\]<]{0,40}\d\d:\d\d(?::\d\d)?[^\[\]<]{0,16}?)(?: <[\s\d.]{1,24}>)?\]\s?"
)
# dmesg -H and -d: since the line before, which is no time of its own.
_DELTA_STAMP = re.compile(r"\[(?:\s{0,12}\+|<\s{0,12})\d{1,10}\.\d{6}>?\]\s?")
_ISO_STAMP = re.compile(r"(?P<at>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S{0,16}) ")
_DECODED = re.compile(r"(?:kern|user|daemon|syslog)\s*:(?:\w{3,6})\s*: ")
# /dev/kmsg: level, number, microseconds, flags; text.
_KMSG = re.compile(r"\d{1,3},\d{1,20},(?P<micro>\d{1,16}),[-c+][^;]{0,200};")
_LEVEL = re.compile(r"<\d{1,3}>")
# The tag is a program's name with its number in brackets; the kernel has no number. dmesg's own
# ISO stamps have a comma, and what follows them is the kernel's.
_SYSLOG = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?P<at>[^\W\d]\S{1,8} [ \d]?\d \d\d:\d\d:\d\d(?:\.\d+)?"
    r"|(?:[^\W\d]\S{1,8} )?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?!,)\S{0,16}(?: [A-Z]{2,5})?"
    r"|\d{9,11}\.\d{3,6})\s+"
    r"(?:(?P<host>[^\s:\[\]]{1,255})\s+)?"
    r"(?:[a-z0-9]{1,8}\.[a-z]{1,8}\s+)?"
    r"(?P<tag>[^\s:\[\]]{1,64})(?P<number>\[\d+\])?:\s?"
)
_RFC5424 = re.compile(
    r"<\d{1,3}>1 (?P<at>\S{1,40}) \S{1,255} (?P<tag>\S{1,48}) \S+ \S+ (?:-|\[.*?\]) "
)
_HOST_KERNEL = re.compile(r"[^\s:\[\]]{1,255} kernel: ")


class Said(NamedTuple):
    """What the kernel said in one line, `at` as the log has it, `seconds` since the start."""

    number: int
    text: str
    at: str | None = None
    seconds: float | None = None


def split(number: int, line: str, at: str | None = None) -> list[Said]:
    """The kernel's words of one line; more than one where a console lost the line ends."""
    if "\x1b" in line or "\x00" in line:
        line = _ESCAPES.sub("", line)
    if "\r" not in line:
        return _split_part(number, line, at)
    parts = line.split("\r")[:PIECES_MAX]
    return [said for part in parts for said in _split_part(number, part, at)]


def _split_part(number: int, part: str, at: str | None) -> list[Said]:
    structured = _RFC5424.match(part)
    syslog = structured or _SYSLOG.match(part)
    if syslog is not None:
        if syslog["tag"] != "kernel":
            return []
        at, part = syslog["at"], part[syslog.end() :]
    else:
        for pattern in (_DECODED, _WALL_STAMP, _DELTA_STAMP, _ISO_STAMP):
            stamp = pattern.match(part)
            if stamp is not None:
                at = stamp.groupdict().get("at") or at
                part = part[stamp.end() :]
    kmsg = _KMSG.match(part)
    if kmsg is not None:
        return _unfold(number, part[kmsg.end() :], at, int(kmsg["micro"]) / 1e6)
    stamps = list(_KERNEL_STAMP.finditer(part))[:PIECES_MAX]
    if not stamps:
        level = _LEVEL.match(part)
        return _unfold(number, part[level.end() :] if level else part, at, None)
    found: list[Said] = []
    # What stands before the first stamp is a login prompt or another program's output.
    for index, one in enumerate(stamps):
        end = stamps[index + 1].start() if index + 1 < len(stamps) else len(part)
        text = part[one.end() : end]
        named = _HOST_KERNEL.match(text)
        if named is not None:
            text = text[named.end() :]
        found += _unfold(number, text, at, float(one["seconds"]))
    return found


def _unfold(number: int, text: str, at: str | None, seconds: float | None) -> list[Said]:
    """rsyslog writes the line ends inside a message as #012 and its tabs as #011."""
    if "#01" not in text:
        text = text.strip()
        return [Said(number, text, at, seconds)] if text else []
    parts = (part.replace("#011", "\t").strip() for part in text.split("#012")[:PIECES_MAX])
    return [Said(number, part, at, seconds) for part in parts if part]

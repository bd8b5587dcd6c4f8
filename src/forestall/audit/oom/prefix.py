"""From a line of a log to what the kernel said: stamps, levels, host names and noise taken off.

Understands dmesg (plain, -T, -x, -r, -H, -d, --time-format iso), journalctl -k (short, short-iso,
short-monotonic), syslog as rsyslog and syslog-ng write it (RFC 3164 and 5424), vmcore-dmesg.txt
and serial consoles, with what grep, mail, web pages and tables put around it. A line that another
program logged is not the kernel's, whatever it quotes.
"""

import html
import re
from typing import NamedTuple

PIECES_MAX = 64
# What grep, a mail or a table puts before a line is no longer than this.
LEAD_CHARS_MAX = 300

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
    r"\s*(?:<\d{1,3}>)?"
    r"(?P<at>\d{0,2}[^\W\d]{1,9}\.? [ \d]?\d \d\d:\d\d:\d\d(?:\.\d+)?"
    r"|(?:[^\W\d]\S{1,8} )?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?!,)\S{0,16}(?: [A-Z]{2,5})?"
    r"|\d{9,11}\.\d{3,6})\s+(?:\d{4}\s+)?"
    r"(?:(?P<host>(?!kern\.[a-z]{3,7}\s)[^\s:\[\]]{1,255})\s+)?"
    r"(?:[a-z0-9]{1,8}\.[a-z]{1,8}\s+)?"
    r"(?P<tag>[^\s:\[\]]{1,64})(?P<number>\[(?:\d+|n/a)\])?:\s?"
)
_RFC5424 = re.compile(
    r"<\d{1,3}>1 (?P<at>\S{1,40}) (?P<host>\S{1,255}) (?P<tag>\S{1,48}) \S+ \S+ "
    r"(?:-|\[.*?\]) \ufeff?"
)
_HOST_KERNEL = re.compile(r"(?P<host>[^\s:\[\]]{1,255}) kernel(?:\[n/a\])?: ")
# Where a syslog line may begin behind something else.
_DATE = re.compile(
    r"(?<!\w)(?:\d{0,2}[^\W\d]{1,9}\.? [ \d]?\d \d\d:|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:)"
)
_TAG = re.compile(r"(?:^|(?<=[\s:\"|>]))kernel(?:\[n/a\])?: ")
# What the kernel's own lines begin with, where a syslog has no tag or a program's form of line is
# not known. These first words have a colon and would pass for a tag.
_OWN_TAGS = frozenset(
    ("Mem-Info", "memory", "memory+swap", "kmem", "swap", "oom-kill", "oom_reaper")
)
_OWN_WORDS = re.compile(
    r"(?<![\w.])(?:Mem-Info:|Node \d{1,5} |(?:Memory cgroup o|O)ut of memory: [Kk]ill"
    r"|Killed process \d|Tasks? in /\S* killed as|(?:memory(?:\+swap)?|kmem|swap): usage \d"
    r"|Memory cgroup stats|\[ *pid *\] +uid|\[ *\d+\] +\d+ +\d+ +\d+ +\d|oom-kill:constraint="
    r"|oom_reaper: |lowmem_reserve\[\]:|(?:Free|Total) swap |\d+ (?:total pagecache|pages) "
    r"|Tasks state \(|active_(?:anon|file):\d|Kernel panic - not)"
)
_STAMPS = (_KERNEL_STAMP, _WALL_STAMP, _DELTA_STAMP, _ISO_STAMP, _DECODED, _KMSG)
_MARKUP = re.compile(r"</?(?:br|pre|p|code|div|span|li|td|tr|font)\b[^<>]{0,200}>")
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|nbsp|#\d{1,5}|#x[0-9a-fA-F]{1,5});")
_QUOTED = re.compile(r'((?:[^"]|"")*)"')


class Said(NamedTuple):
    """What the kernel said in one line, `at` as the log has it, `seconds` since the start.

    `host` and `boot`: whose kernel, and from which start on, where the log tells.
    """

    number: int
    text: str
    at: str | None = None
    seconds: float | None = None
    host: str | None = None
    boot: str | None = None


def split(number: int, line: str, at: str | None = None, host: str | None = None) -> list[Said]:
    """The kernel's words of one line; more than one where a console lost the line ends."""
    if "\x1b" in line or "\x00" in line:
        line = _ESCAPES.sub("", line)
    if "<" in line:
        line = _MARKUP.sub("", line)
    if "&" in line and _ENTITY.search(line):
        line = html.unescape(line)
    if "\r" not in line:
        return _split_part(number, line, at, host)
    parts = line.split("\r")[:PIECES_MAX]
    return [said for part in parts for said in _split_part(number, part, at, host)]


def _split_part(number: int, part: str, at: str | None, host: str | None) -> list[Said]:
    syslog = (_RFC5424.match(part) if part.startswith("<") else None) or _SYSLOG.match(part)
    if syslog is None and not any(stamp.match(part) for stamp in _STAMPS):
        part = _without_lead(part)
        syslog = _SYSLOG.match(part)
    if syslog is not None:
        at, host = syslog["at"], syslog["host"] or host
        if syslog["tag"] == "kernel":
            part = part[syslog.end() :]
        elif syslog["tag"] in _OWN_TAGS and not syslog["number"]:
            part = part[syslog.start("tag") :]
        else:
            return []
    else:
        for pattern in (_DECODED, _WALL_STAMP, _DELTA_STAMP, _ISO_STAMP):
            stamp = pattern.match(part)
            if stamp is not None:
                at = stamp.groupdict().get("at") or at
                part = part[stamp.end() :]
    kmsg = _KMSG.match(part)
    if kmsg is not None:
        return _unfold(number, part[kmsg.end() :], at, int(kmsg["micro"]) / 1e6, host)
    stamps = list(_KERNEL_STAMP.finditer(part))[:PIECES_MAX]
    if not stamps:
        level = _LEVEL.match(part)
        return _unfold(number, part[level.end() :] if level else part, at, None, host)
    found: list[Said] = []
    # What stands before the first stamp is a login prompt or another program's output.
    for index, one in enumerate(stamps):
        end = stamps[index + 1].start() if index + 1 < len(stamps) else len(part)
        text = part[one.end() : end]
        named = _HOST_KERNEL.match(text)
        if named is not None:
            text, host = text[named.end() :], named["host"]
        found += _unfold(number, text, at, float(one["seconds"]), host)
    return found


def _without_lead(part: str) -> str:
    """A line without what stands before its own beginning: a file's name by grep, a mail's mark of
    a quote, a column of a table.
    """
    lead = part[:LEAD_CHARS_MAX]
    dated = [one.search(lead) for one in (_KERNEL_STAMP, _WALL_STAMP, _DATE)]
    begins = min((one for one in dated if one), key=re.Match.start, default=None)
    begins = begins or _TAG.search(lead) or _OWN_WORDS.search(lead)
    if begins is None:
        return part.lstrip("> \t")
    start = begins.end() if begins.re is _TAG else begins.start()
    if lead[:start].count('"') % 2:
        # A field in quotes: it ends at the next quote, and two stand for one.
        closed = _QUOTED.match(part, start)
        if closed is not None:
            return closed[1].replace('""', '"')
    return part[start:]


def _unfold(
    number: int, text: str, at: str | None, seconds: float | None, host: str | None
) -> list[Said]:
    """rsyslog writes the line ends inside a message as #012 and its tabs as #011."""
    if "#01" not in text:
        text = text.strip()
        return [Said(number, text, at, seconds, host)] if text else []
    parts = (part.replace("#011", "\t").strip() for part in text.split("#012")[:PIECES_MAX])
    return [Said(number, part, at, seconds, host) for part in parts if part]

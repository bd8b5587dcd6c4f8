"""Whether a log is the kernel's at all, and from when to when its lines reach.

That no shortage of memory stands in a file tells something only if the kernel's messages do. A line
counts as the kernel's by its form; without a stamp, a level or a name (`dmesg -t`, RHEL 6) by the
words that it begins with.
"""

import re
from collections.abc import Callable, Iterable

from forestall.audit.oom.prefix import Said

FORMS = (
    "dmesg, journalctl -k (text, -o export, -o json), syslog, serial consoles, vmcore-dmesg.txt "
    "and /dev/kmsg"
)
BLOCK_BYTES = 32 * 1024

TEXT = re.compile(
    rb"^(?:[\r\x00]|\x1b\[[\d;?]{0,12}[A-Za-z])*(?:"
    # dmesg, a console, vmcore-dmesg.txt; `HOST NAME[7]: ` after it is another program's line in
    # `journalctl -o short-monotonic`.
    rb"(?:kern {0,2}:\w{3,6} {0,2}: )?(?:<\d{1,3}>)?"
    rb"\[ {0,12}\d{1,10}\.\d{6}(?: < {0,12}[\d.]{1,20}>)?\](?! [^\s:\[\]]+ [^\s:\[\]]+\[\d+\]: )"
    # dmesg -H, and -T in any language; a level in brackets after it is a web server's.
    rb"|\[ {0,12}\+\d{1,10}\.\d{6}\] |\[[^\d\[\]\n]{2,12}\d{1,2} \d\d:\d\d\] "
    rb"|(?:kern {0,2}:\w{3,6} {0,2}: )?"
    rb"\[[^\[\]\n]{3,40}\d\d:\d\d:\d\d \d{4}[^\[\]\n]{0,24}\] (?!\[)"
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{6}[+-]\d\d"
    # /dev/kmsg, and levels alone.
    rb"|\d{1,3},\d{1,20},\d{1,16},[-c+]"
    rb"|<[0-7]>(?!\d )[^<\s]"
    # syslog and the journal's text; what looks ahead spares most lines the slow way.
    rb"|(?=[^\n]{9,140} kernel[: ])"
    rb"[^\n,]{0,40}?(?:\d\d:\d\d:\d\d|\d{9,11}\.\d{3,6})[^\n,]{0,100}? kernel(?::| - )"
    # No mark at all.
    rb"|Linux version \d|Command line: |BIOS-e820: |ACPI: [A-Z]|pci \d{4}:|usb \d+-\d|sd \d+:\d"
    rb"|ata\d+\.?\d*: |scsi ?\d+ ?: |(?:e1000e?|igb|ixgbe|bnx2x?|tg3|vmxnet3|virtio_net) "
    rb"|EXT[234]-fs |XFS \(|NET: Registered|IPv[46]: |ADDRCONF\(|device \S+ (?:entered|left) prom"
    rb"|type=\d{4} audit\(|audit: type=|SELinux: |NMI watchdog: |perf: interrupt|INFO: task "
    rb"|BUG: |Call Trace:|Code: (?:[0-9a-f]{2} ){4}|RIP: [0-9a-f]{4}:|Mem-Info:|EDAC |mce: \["
    rb"|device-mapper: |nf_conntrack|\S+: (?:renamed from|Link is |link (?:up|down|becomes))"
    rb")",
    re.MULTILINE,
)
JSON = re.compile(rb'^.*"(?:_TRANSPORT|SYSLOG_IDENTIFIER)" ?: ?"kernel"', re.MULTILINE)

SYSLOG = re.compile(rb" kernel(?::| - )")

Read = Callable[[bytes], Iterable[Said]]


class Reach:
    """The first and the last line that are surely the kernel's; None = there is no such line."""

    def __init__(self) -> None:
        self.first: Said | None = None
        self.last: Said | None = None
        self._syslog = False

    def add(self, said: Said) -> None:
        """One more of the kernel's, later than those before it."""
        self.first = self.first or said
        self.last = said

    def look(self, buffer: bytes, at: int, end: int, marks: re.Pattern[bytes], read: Read) -> None:
        """The whole lines from `at` to `end`: those that `marks` finds, and `read` does not deny.

        What lies between the first and the last is not looked at, for logs are long.
        """
        while self.first is None and at < end:
            found = marks.search(buffer, at, end)
            if found is None:
                return
            stop = _line_end(buffer, found.start(), end)
            line, at = buffer[found.start() : stop], stop
            self.first = self.last = _said(line, read)
            self._syslog = SYSLOG.search(line) is not None
        if self._syslog and SYSLOG.search(buffer, at, end) is None:
            # A kernel that is silent in a long syslog costs no more than a search.
            return
        while end > at:
            begin = buffer.rfind(b"\n", at, max(at, end - BLOCK_BYTES)) + 1 or at
            for found in reversed(list(marks.finditer(buffer, begin, end))):
                line = buffer[found.start() : _line_end(buffer, found.start(), end)]
                said = _said(line, read)
                if said is not None:
                    self.last = said
                    return
            end = begin

    def told(self) -> tuple[str | None, str | None]:
        """From when to when, as the log has it."""
        return _when(self.first), _when(self.last)


def _line_end(buffer: bytes, at: int, end: int) -> int:
    stop = buffer.find(b"\n", at, end)
    return end if stop < 0 else stop


def _said(line: bytes, read: Read) -> Said | None:
    return next(iter(read(line)), None)


def _when(said: Said | None) -> str | None:
    if said is None or (said.at is None and said.seconds is None):
        return None
    return said.at or f"{said.seconds:.6f} s after the kernel's start"

"""Files, packed files, journals, endless lines and broken ends."""

import bz2
import gzip
import lzma

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import chosen, explain

from forestall.audit.oom.source import LINE_BYTES_MAX
from forestall.errors import InputError

LINES = oom.report(oom_hosts.incident())
FORMS = {
    "stamped": oom.stamped(LINES).encode(),
    "raw": oom.raw(LINES).encode(),
    "wall": oom.wall(LINES).encode(),
    "syslog": oom.syslog(LINES).encode(),
    "syslog with stamps": oom.syslog(LINES, kernel_stamp=True).encode(),
    "json": oom.journal_json(LINES).encode(),
    "export": oom.journal_export(LINES),
    "console": oom.console(LINES).encode(),
    "gzip": gzip.compress(oom.syslog(LINES).encode()),
    "xz": lzma.compress(oom.journal_export(LINES)),
    "UTF-16": oom.stamped(LINES).encode("utf-16"),
    "UTF-16 of the other order": b"\xfe\xff" + oom.stamped(LINES).encode("utf-16-be"),
    "bzip2": bz2.compress(oom.journal_json(LINES).encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_the_same(form):
    """The same report in another form names the same holders, victim and sizes."""
    plain = chosen(explain("\n".join(LINES)))
    report = explain(FORMS[form])
    account = chosen(report)
    assert report.events == 1
    assert account.headline == plain.headline
    assert account.holders == plain.holders
    assert account.victims[0].pid == plain.victims[0].pid == 4711


def test_a_journal_entry_of_another_transport_is_not_the_kernels():
    """journald's _TRANSPORT cannot be forged; SYSLOG_IDENTIFIER can."""
    forged = oom.journal_json(LINES).replace('"_TRANSPORT": "kernel"', '"_TRANSPORT": "syslog"')
    exported = oom.journal_export(LINES).replace(b"_TRANSPORT=kernel", b"_TRANSPORT=stdout")
    for data in (forged, exported):
        with pytest.raises(InputError, match="no report of the kernel that would explain it"):
            explain(data)


def test_a_packed_file_that_is_cut_is_read_as_far_as_it_goes():
    """A rotated log whose end is missing still tells its events, and says so."""
    text = (oom.syslog(LINES) + oom.syslog(["eth0: link up"] * 30_000)).encode()
    packed = gzip.compress(text)
    report = explain(packed[: len(packed) * 2 // 3])
    assert chosen(report).culprits[0].name == "inventory-sync"
    assert "damaged or cut short" in report.notes[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x1f\x8bnot gzip at all", "cannot be unpacked"),
        (b"\xfd7zXZ\x00rubbish", "cannot be unpacked"),
        (b"\x28\xb5\x2f\xfd....", "zstd"),
        (b"LPKSHHRH........", "a journal as systemd keeps it"),
        (b"\x7fELF............", "a dump of memory"),
        (b"KDUMP   ........", "a dump of memory"),
        (b'{\n\t"MESSAGE" : "a invoked oom-killer: order=0",\n}\n', "no report of the kernel"),
    ],
)
def test_what_is_no_log_is_refused_with_advice(data, words):
    """One line that says what it is, and what to give instead."""
    with pytest.raises(InputError, match=words) as caught:
        explain(data)
    assert caught.value.help


def test_no_more_is_read_than_allowed():
    """The limit is on unpacked bytes, so a small file that unpacks to much is harmless."""
    bomb = oom.stamped(LINES).encode() + b"x" * (64 * 1024 * 1024)
    report = explain(gzip.compress(bomb), limit=1024 * 1024)
    assert report.bytes_read == 1024 * 1024
    assert "only the first 1.0 MiB were read" in report.notes[0]


def test_what_was_not_read_is_no_all_clear():
    """A limit, or a packed file that breaks off, before any event: the rest may hold one."""
    stamp = "Mar  2 03:05:12 db-01 kernel: "
    quiet = "".join(f"{stamp}eth{number}: link up\n" for number in range(60_000)).encode()
    packed = gzip.compress(quiet)
    assert explain(packed).events == 0
    with pytest.raises(InputError, match="no OOM in the part that was read: the packed file is"):
        explain(packed[: len(packed) * 2 // 3])
    with pytest.raises(InputError, match=r"only the first 1.0 MiB were read"):
        explain(packed, limit=1024 * 1024)


def test_a_line_without_end_costs_one_line():
    """What follows an endless line is read as usual."""
    text = b"x" * (LINE_BYTES_MAX * 40) + b"\n" + oom.stamped(LINES).encode()
    report = explain(text)
    assert report.accounts[0].line == 2
    assert report.accounts[0].culprits[0].name == "inventory-sync"


def test_a_binary_field_of_absurd_length_is_passed_over():
    """A length of 2**63 in an export ends the input, not the program."""
    entry = b"__CURSOR=1\nMESSAGE\n" + (1 << 63).to_bytes(8, "little") + b"short"
    assert explain(oom.journal_export(LINES) + entry).events == 1


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    [
        b"1*4kB ",
        b"[ 1] 1 ",
        b" killed as a result of limit of ",
        b"Killed process 1 (",
        b",nodemask=,cpuset=,mems_allowed=1,task_memcg=,task=",
        b"\x1b[",
        b"[    1.000001] ",
    ],
)
def test_a_line_made_to_be_slow_is_cut_short(piece):
    """A pattern that tries every way to match would take minutes on this."""
    opening = b"x invoked oom-killer: gfp_mask=0x1, order=0\n"
    starts = (b"", b"Node 0 DMA: ", b"Task in ", b"oom-kill:constraint=CONSTRAINT_MEMCG", b"[ 1] ")
    lines = [start + piece * (LINE_BYTES_MAX // len(piece)) + b"\n" for start in starts]
    assert explain(opening + b"".join(lines * 12)).events >= 1

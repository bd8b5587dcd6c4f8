import io
import os

from tests.fakes.clock import FakeClock

from forestall.agent.log import Log, is_journal, one_line


def test_a_line_for_a_person_has_time_and_level():
    """Without a journal each line starts with UTC time and a word."""
    stream = io.StringIO()
    Log(stream, FakeClock(1_700_000_000.0), journald=False).warning("x grows")
    assert stream.getvalue() == "2023-11-14T22:13:20Z warning x grows\n"


def test_a_line_for_the_journal_has_its_priority():
    """With a journal each line starts with <N> and nothing else is added."""
    stream = io.StringIO()
    log = Log(stream, FakeClock(), journald=True)
    log.info("a")
    log.warning("b")
    log.error("c")
    assert stream.getvalue() == "<6>a\n<4>b\n<3>c\n"


def test_a_hostile_name_stays_on_one_printable_line():
    """Newlines, escape sequences and bytes that are not UTF-8 are written as escapes."""
    name = b"evil\n<0>forged \x1b[31m\xff \xc2\x85".decode("utf-8", "surrogateescape")
    assert one_line(name) == "evil\\x0a<0>forged \\x1b[31m\\xff \\x85"
    assert one_line("line\u2028separator") == "line\\u2028separator"


def test_a_line_is_bounded():
    """A name of a megabyte does not become a line of a megabyte."""
    assert len(one_line("x" * 1_000_000)) == 2003


def test_a_broken_stream_is_counted_not_fatal():
    """Writing to a stream that is gone loses the line, and says how many were lost."""
    stream = io.StringIO()
    log = Log(stream, FakeClock(), journald=True)
    stream.close()
    log.info("nobody hears this")
    assert log.lost_count == 1


def test_the_journal_is_known_by_its_inode_not_by_the_variable_alone():
    """A child of a service that writes to a terminal inherits the variable, and is no journal."""
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        status = os.fstat(writer)
        assert is_journal(stream, f"{status.st_dev}:{status.st_ino}")
        assert not is_journal(stream, f"{status.st_dev}:{status.st_ino + 1}")
        assert not is_journal(stream, None)
    assert not is_journal(io.StringIO(), "1:2")

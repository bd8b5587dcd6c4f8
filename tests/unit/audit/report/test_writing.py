"""A report's file is whole or as it was before, and for whom it is meant."""

import errno
import os
import shutil

import pytest

from forestall.audit.report.writing import CLOSED, OPEN, report_file
from forestall.errors import InputError


def test_it_replaces_the_file_at_the_end(tmp_path):
    """Until then the old text stands; afterwards nothing else is left in the folder."""
    path = tmp_path / "a.prom"
    path.write_text("old")
    with report_file(str(path)) as out:
        out.write("new")
        out.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.prom"]


@pytest.fixture(params=[0, 0o022, 0o027, 0o077, 0o777], ids=oct)
def umask(request, tmp_path):
    assert tmp_path, "made before, as a folder that its owner may enter"
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_who_may_read_a_new_file_is_stated(tmp_path):
    """Whatever the umask: nobody else, or, where another user's program must, everybody."""
    for mode, kept in ((CLOSED, 0o600), (OPEN, 0o644)):
        path = tmp_path / oct(mode)
        with report_file(str(path), mode=mode) as out:
            out.write("new")
        assert path.stat().st_mode & 0o7777 == kept


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o444, 0o6755])
def test_who_may_read_a_file_that_is_replaced_stays_as_it_was(tmp_path, mode):
    """`chmod` once opens a report for good, or closes it; what could run with rights cannot."""
    path = tmp_path / "a.html"
    path.touch()
    os.chmod(path, mode)
    with report_file(str(path), mode=OPEN) as out:
        out.write("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o7777 == mode & 0o777


def test_the_owner_and_group_of_a_file_that_is_replaced_stay(tmp_path, monkeypatch):
    """A report that root writes anew is still the web server's; else the group gets no more."""
    path = tmp_path / "a.html"
    path.touch(mode=0o640)
    asked = []
    monkeypatch.setattr(os, "fchown", lambda _, owner, group: asked.append((owner, group)))
    with report_file(str(path)) as out:
        out.write("new")
    assert asked == [(os.geteuid(), path.stat().st_gid)]

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    for mode, kept in ((0o640, 0o600), (0o664, 0o644)):
        path.chmod(mode)
        with report_file(str(path)) as out:
            out.write("newer")
        assert path.stat().st_mode & 0o777 == kept


def test_a_file_system_without_modes_takes_it(tmp_path, monkeypatch):
    """vfat refuses every chmod; the mode is its mount's."""

    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "fchmod", refuse)
    with report_file(str(tmp_path / "a")) as out:
        out.write("new")
    assert (tmp_path / "a").read_text() == "new"


def test_a_failed_sync_leaves_what_was_there(tmp_path, monkeypatch):
    """EIO: the new text may not be on the disk, so the old one stays."""
    path = tmp_path / "a.html"
    path.write_text("old")

    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match="not written: Input/output error") as told:
        write_to(path)
    assert "the disk has an error" in told.value.help
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.html"]


def write_to(path, text="new"):
    with report_file(str(path)) as out:
        out.write(text)


def test_a_folder_that_vanishes_is_told(tmp_path):
    """Removed while the report was written: one line, and nothing is made anew."""
    folder = tmp_path / "gone"
    folder.mkdir()

    def write():
        with report_file(str(folder / "a")) as out:
            out.write("new")
            shutil.rmtree(folder)

    with pytest.raises(InputError, match="not written: No such file"):
        write()
    assert os.listdir(tmp_path) == []


def test_of_several_reports_the_one_that_failed_is_named(tmp_path):
    """Each is written as hosts come, and the error of one ends all."""
    other = tmp_path / "fine"

    def write():
        with report_file(str(other)) as fine, report_file(str(tmp_path / "full")) as full:
            os.dup2(os.open("/dev/full", os.O_WRONLY), full.fileno())
            fine.write("x")
            full.write("x" * 100_000)

    with pytest.raises(InputError, match="full: not written: No space left") as told:
        write()
    assert "free some space" in told.value.help
    assert os.listdir(tmp_path) == []


def test_an_error_leaves_what_was_there(tmp_path):
    """Half a report is none."""
    path = tmp_path / "a.html"
    path.write_text("old")

    def half():
        with report_file(str(path)) as out:
            out.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.html"]


def test_a_link_keeps_leading_to_the_file(tmp_path):
    """What a link leads to is replaced, not the link."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with report_file(str(tmp_path / "link")) as out:
        out.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_link_that_leads_nowhere(tmp_path):
    """To a file that is not there yet: it is made there. To itself: one line."""
    (tmp_path / "link").symlink_to("real")
    write_to(tmp_path / "link")
    assert (tmp_path / "real").read_text() == "new"
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop/a: not written"):
        write_to(tmp_path / "loop" / "a")


def test_where_it_cannot_be_written(tmp_path):
    """A folder, a device and a folder that is not there are one clear line each."""
    for path, said in (
        (tmp_path, "is a folder"),
        ("/dev/null", "no ordinary file"),
        (tmp_path / "no" / "a", "No such file"),
    ):
        with pytest.raises(InputError, match=said), report_file(str(path)):
            pass


def test_names_that_are_no_text_are_written(tmp_path):
    """A lone surrogate of a file name does not stop a report."""
    with report_file(str(tmp_path / "a")) as out:
        out.write("x\udc80")
    assert (tmp_path / "a").read_bytes() == b"x\\udc80"

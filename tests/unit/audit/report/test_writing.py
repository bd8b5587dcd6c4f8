"""A report's file is whole or as it was before."""

import os

import pytest

from forestall.audit.report.writing import report_file
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
    assert path.stat().st_mode & 0o077 == 0o044 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_private_report_stays_private(tmp_path):
    """Whoever could not read the old report cannot read the new one."""
    path = tmp_path / "a.html"
    path.write_text("old")
    path.chmod(0o600)
    with report_file(str(path)) as out:
        out.write("new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


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

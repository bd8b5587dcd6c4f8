"""A PostgreSQL's own settings: files, includes, overrides, units."""

import os

import pytest
from tests.fakes.host import GIB, KIB, MIB, FakeHost

from forestall.sense import postgres
from forestall.sense.notes import Notes
from forestall.sense.recording import RecordedHost, Recording

PID = 70


def _server(fake, *words, notes=None, unit_directory=None):
    return postgres.read_server(
        fake.host(), notes or Notes({}, {}), PID, ("postgres", *words), unit_directory
    )


def _data(tmp_path, text="", auto=""):
    fake = FakeHost(tmp_path).write("data/postgresql.conf", text)
    return fake.write("data/postgresql.auto.conf", auto)


def test_the_file_then_alter_system_then_the_command_line(tmp_path):
    """The later over the earlier, as the server itself takes them."""
    fake = _data(
        tmp_path,
        "shared_buffers = 128MB\nwork_mem=4MB # each\nmax_connections 100\nhuge_pages = 'try'\n"
        "Work_Mem = '8 MB'\n#maintenance_work_mem = 1GB\nautovacuum_work_mem = -1\n",
        "max_connections = '300'\nprimary_conninfo = 'user=r password=hunter2'\n",
    )
    found = _server(fake, "-D", "/data", "-c", "shared_buffers=2GB", "--huge-pages=on")
    assert found.complete
    assert (found.data_directory, found.config_path) == ("/data", "/data/postgresql.conf")
    assert (found.shared_buffers_bytes, found.work_mem_bytes) == (2 * GIB, 8 * MIB)
    assert (found.max_connections, found.huge_pages) == (300, "on")
    assert (found.maintenance_work_mem_bytes, found.autovacuum_work_mem_bytes) == (None, None)
    assert "hunter2" not in repr(found)


def test_debians_file_lies_elsewhere_and_says_where_the_data_is(tmp_path):
    """config_file leads to /etc, its data_directory to what ALTER SYSTEM set, conf.d included."""
    fake = _data(tmp_path, auto="work_mem = '32MB'\n")
    fake.write(
        "etc/postgresql/15/main/postgresql.conf",
        "data_directory = '/data'\ninclude_dir = 'conf.d'\nshared_buffers = 1GB\n",
    )
    fake.write("etc/postgresql/15/main/conf.d/20-b.conf", "max_connections = 50\n")
    fake.write("etc/postgresql/15/main/conf.d/10-a.conf", "max_connections = 20\n")
    fake.write("etc/postgresql/15/main/conf.d/.hidden.conf", "max_connections = 1\n")
    fake.write("etc/postgresql/15/main/conf.d/readme", "max_connections = 2\n")
    found = _server(fake, "-c", "config_file=/etc/postgresql/15/main/postgresql.conf")
    assert (found.data_directory, found.complete) == ("/data", True)
    assert (found.shared_buffers_bytes, found.work_mem_bytes) == (GIB, 32 * MIB)
    assert found.max_connections == 50


def test_the_working_directory_is_the_data_directory(tmp_path):
    """Root and the server's own user need no `-D` to find it."""
    fake = _data(tmp_path, "shared_buffers = 1GB\n").process(PID, "postgres")
    os.symlink("/data", tmp_path / f"proc/{PID}/cwd")
    assert _server(fake).shared_buffers_bytes == GIB


def test_pgdata_of_the_unit_is_the_last_resort(tmp_path):
    """And with none of them nothing is known, with the reason."""
    fake = _data(tmp_path, "shared_buffers = 1GB\n")
    assert _server(fake, unit_directory="/data").shared_buffers_bytes == GIB
    notes = Notes({}, {})
    nowhere = _server(fake, notes=notes)
    assert not nowhere.complete
    assert "needs root" in notes.unseen["postgres"]


def test_a_file_that_is_missing_makes_it_incomplete(tmp_path):
    """An optional include may be absent, no other file may."""
    fake = _data(tmp_path, "include_if_exists 'local.conf'\n")
    assert _server(fake, "-D", "/data").complete
    fake.write("data/postgresql.conf", "include 'local.conf'\nwork_mem = 1MB\n")
    notes = Notes({}, {})
    found = _server(fake, "-D", "/data", notes=notes)
    assert (found.complete, found.work_mem_bytes) == (False, MIB)
    assert notes.unseen["postgres"] == "/data/local.conf is not there"
    fake.write("data/postgresql.conf", "").remove("data/postgresql.auto.conf")
    assert not _server(fake, "-D", "/data").complete


def test_without_the_right_to_read_it_says_so():
    """The data directory belongs to the server's user alone."""
    notes = Notes({}, {})
    denied = frozenset({"data/postgresql.conf", "data/postgresql.auto.conf"})
    host = RecordedHost(Recording(files={}, denied=denied))
    found = postgres.read_server(host, notes, PID, ("postgres", "-D", "/data", "-N", "20"), None)
    assert (found.complete, found.data_directory, found.max_connections) == (False, "/data", 20)
    assert notes.unseen["postgres"] == "/data/postgresql.conf: permission denied: needs root"


def test_includes_that_loop_end(tmp_path):
    """A file that includes itself is followed as deep as PostgreSQL would, and no deeper."""
    fake = _data(tmp_path, "include 'postgresql.conf'\nwork_mem = 2MB\n")
    found = _server(fake, "-D", "/data")
    assert (found.complete, found.work_mem_bytes) == (False, 2 * MIB)


def test_includes_that_multiply_end(tmp_path):
    """Two that include both, ten deep, would be a thousand files."""
    text = "include 'a.conf'\ninclude 'b.conf'\n"
    fake = _data(tmp_path, text).write("data/a.conf", text).write("data/b.conf", text)
    notes = Notes({}, {})
    assert not _server(fake, "-D", "/data", notes=notes).complete
    assert "deeper or wider" in notes.unseen["postgres"]


@pytest.mark.parametrize(
    ("text", "unit", "size"),
    [
        ("128MB", 8 * KIB, 128 * MIB),
        ("16384", 8 * KIB, 128 * MIB),
        ("4096", KIB, 4 * MIB),
        ("1.5GB", KIB, 3 * GIB // 2),
        ("64kB", KIB, 64 * KIB),
        ("512B", KIB, 512),
        ("1TB", KIB, 1024 * GIB),
        ("8 MB", KIB, 8 * MIB),
        ("-1", KIB, None),
        ("128mb", KIB, None),
        ("", KIB, None),
        (None, KIB, None),
    ],
)
def test_sizes_in_postgresqls_units(text, unit, size):
    """A bare number counts in the setting's own unit, and units are written exactly so."""
    assert postgres.parse_memory(text, unit) == size


@pytest.mark.parametrize(
    ("words", "folder", "config", "overrides"),
    [
        (("-D", "/d"), "/d", None, {}),
        (("-D/d", "-N", "50", "-B", "1000"), "/d", None, {"max_connections": "50"}),
        (("--config-file=/c", "--data_directory=/d"), "/d", "/c", {}),
        (("-i", "-p", "5433", "-c", "work_mem=1MB"), None, None, {"work_mem": "1MB"}),
        (("-c", "port=5433", "-c"), None, None, {}),
        ((), None, None, {}),
    ],
)
def test_command_lines(words, folder, config, overrides):
    """Options with their value beside or behind them, and names with either dash."""
    found = postgres.from_command_line(("postgres", *words))
    assert (found.data_directory, found.config_path) == (folder, config)
    assert overrides.items() <= found.overrides.items()


def test_lines_as_postgresql_reads_them():
    """Equals or a space, quotes doubled or escaped, comments, and nothing that is not asked for."""
    text = (
        b"  data_directory 'it''s'\nwork_mem = 4MB# c\n"
        b"primary_conninfo = 'password=x'\n=5\nwork_mem =\ninclude_dir = 'a\\'b'\n"
    )
    assert list(postgres.parse(text)) == [
        ("data_directory", "it's"),
        ("work_mem", "4MB"),
        ("include_dir", "a'b"),
    ]

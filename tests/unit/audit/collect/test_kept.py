"""Answers in a folder: whole or not at all, and for their owner alone."""

import os
import stat

import pytest

from forestall.audit.collect.kept import Kept
from forestall.audit.collect.options import SshOptions
from forestall.errors import ForestallError, UsageError

NOW = 1_800_000_000.0


def kept(tmp_path, age=86400.0):
    return Kept(str(tmp_path / "answers"), age)


def touch(store, name, at):
    os.utime(store.path(name), (at, at))


def test_what_was_saved_is_loaded_while_it_is_young(tmp_path):
    """Within the age it is the same bytes, past it there is nothing."""
    store = kept(tmp_path, 3600.0)
    store.save("db01", b"answer\n" * 1000)
    touch(store, "db01", NOW)
    assert store.load("db01", NOW + 3599) == b"answer\n" * 1000
    assert store.load("db01", NOW + 3601) is None
    assert store.load("db02", NOW) is None


def test_an_answer_from_the_future_does_not_stay_young_for_ever(tmp_path):
    """A clock that was wrong once costs one more collection."""
    store = kept(tmp_path)
    store.save("db01", b"answer")
    touch(store, "db01", NOW + 86400)
    assert store.load("db01", NOW) is None


def test_nobody_else_may_read(tmp_path):
    """The folder has mode 0700, the files 0600, and nothing else is left beside."""
    store = kept(tmp_path)
    old = os.umask(0)
    try:
        store.save("db01", b"answer")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(store.folder).st_mode) & 0o077 == 0
    assert stat.S_IMODE(os.stat(store.path("db01")).st_mode) == 0o600
    assert os.listdir(store.folder) == [os.path.basename(store.path("db01"))]


def test_a_folder_that_others_can_write_to_is_refused(tmp_path):
    """Somebody else's answer would be taken for the host's."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(UsageError):
        Kept(str(folder), 1.0)


def test_a_damaged_answer_is_asked_for_again(tmp_path):
    """Cut, empty, foreign or not a file: as if it were not there."""
    store = kept(tmp_path)
    store.save("db01", b"answer" * 1000)
    with open(store.path("db01"), "r+b") as file:
        file.truncate(20)
    touch(store, "db01", NOW)
    assert store.load("db01", NOW) is None
    with open(store.path("db01"), "wb") as file:
        file.write(b"no gzip")
    touch(store, "db01", NOW)
    assert store.load("db01", NOW) is None
    os.unlink(store.path("db01"))
    os.symlink("/etc/passwd", store.path("db01"))
    assert store.load("db01", NOW) is None


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "root@[2001:db8::1]:22",
        ".",
        "..",
        "a/b",
        "x" * 400,
        "%2F" * 90,
        "A" * 199,
    ],
)
def test_a_name_stays_in_the_folder(tmp_path, name):
    """Whatever a host is called, its file lies in the folder and is its own."""
    store = kept(tmp_path)
    assert os.path.dirname(store.path(name)) == store.folder
    store.save(name, name.encode())
    touch(store, name, NOW)
    assert store.load(name, NOW) == name.encode()
    assert store.path(name) != store.path(name + "x")
    assert os.listdir(store.folder) == [os.path.basename(store.path(name))]


NAMES = [
    *("db01", "DB01", "Db01", "db01:22", "db01:2222", "root@db01", "Root@db01", "deploy@db01"),
    *("db01.example", "10.0.0.5", "[10.0.0.5]:22", "db01%2f", "db01/", "x" * 300, "x" * 301),
]


def test_no_two_hosts_share_a_file(tmp_path):
    """Other user, port or spelling, also where capital letters do not count; by other ways too."""
    ways = [(), ("ProxyJump=gate-a",), ("ProxyJump=gate-b",), ("config /etc/ssh/a",)]
    stores = [Kept(str(tmp_path / "answers"), 60.0, way) for way in ways]
    files = [store.path(name).lower() for store in stores for name in NAMES]
    assert len(set(files)) == len(NAMES) * len(ways)
    # A name cannot pose as another one with its digest.
    digest = os.path.basename(stores[1].path("db01")).removesuffix(".answer.gz")
    assert stores[0].path(digest) != stores[1].path("db01")


def test_an_answer_is_found_by_the_way_it_came_alone(tmp_path):
    """10.0.0.5 behind one customer's jump host is not the 10.0.0.5 behind another's."""
    folder = str(tmp_path / "answers")
    first = SshOptions(keep=folder, ssh_options=("ProxyJump=gate-a",))
    second = SshOptions(keep=folder, ssh_options=("ProxyJump=gate-b",))
    Kept(folder, 60.0, first.way).save("10.0.0.5", b"of a")
    stored = Kept(folder, 60.0, first.way).path("10.0.0.5")
    os.utime(stored, (NOW, NOW))
    assert Kept(folder, 60.0, first.way).load("10.0.0.5", NOW) == b"of a"
    for other in (second, SshOptions(), SshOptions(config="a"), SshOptions(known_hosts="a")):
        assert Kept(folder, 60.0, other.way).load("10.0.0.5", NOW) is None


def test_what_does_not_change_who_answers_is_no_other_way(tmp_path, monkeypatch):
    """A run that goes on with more time, or from another folder, finds what was kept."""
    monkeypatch.chdir(tmp_path)
    here = SshOptions(config="config", parallel=3, deadline_seconds=9.0, sudo=True)
    assert here.way == SshOptions(config=str(tmp_path / "config")).way
    assert SshOptions(sudo=True, parallel=1).way == ()


def test_a_disk_that_does_not_take_it_is_told(tmp_path):
    """It says which host, where, and why; a part that was written does not stay."""
    store = kept(tmp_path)
    os.mkdir(store.path("db01"))
    with pytest.raises(ForestallError, match="db01"):
        store.save("db01", b"answer")
    assert os.listdir(store.folder) == [os.path.basename(store.path("db01"))]

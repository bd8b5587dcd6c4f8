"""The admin console, against a real pgbouncer before a real PostgreSQL."""

import pytest
from tests.integration import servers

from forestall.guard.database import Pooler
from forestall.guard.links import PoolerLink
from forestall.guard.wire.endpoint import Endpoint, RefusedError, WireError
from forestall.guard.wire.pgbouncer import Pgbouncer
from forestall.guard.wire.postgres import Postgres
from forestall.guard.wire.scram import Scram, prepared

PASSWORD = "se\u00adcret\u2126\u00a0!"
"""SASLprep drops the soft hyphen, makes the ohm sign an omega and the blank a plain one."""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    with servers.postgresql(tmp_path_factory.mktemp("postgres") / "pg") as port:
        yield port


@pytest.fixture
def opened():
    made = servers.Opened()
    yield made
    made.close()


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text(PASSWORD + "\n")
    return str(path)


@pytest.mark.parametrize("auth", ["trust", "plain", "md5", "scram-sha-256"])
def test_the_console_lets_the_known_in(auth, database, tmp_path, opened, secret):
    """By each kind of login, through socket and network; another password is refused unseen."""
    users = [("guard", PASSWORD), ("other", "x")]
    wrong = tmp_path / "wrong"
    wrong.write_text("hunter2")
    with servers.pgbouncer(tmp_path / "b", database, auth=auth, users=users) as (port, path):
        for endpoint in (Endpoint(path=path), Endpoint(host="127.0.0.1", port=port)):
            client = opened(Pgbouncer(endpoint, user="guard", password_file=secret))
            client.connect()
            assert "1." in client.ping()
            assert client.pool_mode() == "transaction"
            names = [row["name"] for row in client.databases()]
            assert names == ["app", "other", "pgbouncer"]
        if auth != "trust":
            for more, words in (
                ({"password_file": str(wrong)}, "authentication failed"),
                ({}, "it asks for a password"),
            ):
                stranger = opened(Pgbouncer(endpoint, user="guard", **more))
                with pytest.raises(WireError, match=words) as caught:
                    stranger.connect()
                assert caught.value.help
                assert "hunter2" not in caught.value.message
        with pytest.raises(WireError, match="no login as other") as caught:
            opened(
                Pgbouncer(
                    endpoint, user="other", password_file=secret if auth == "trust" else wrong
                )
            ).connect()
        assert "admin_users" in caught.value.help


def test_pause_holds_and_resume_lets_go(database, tmp_path, opened):
    """One database or all; said twice it is no fault; an unknown one is."""
    with servers.pgbouncer(tmp_path / "b", database) as (_, path):
        link = PoolerLink(Pooler(address=path, user="guard"), 2.0)
        for client in (link.holding, link.releasing):
            opened(client)
        named = PoolerLink(Pooler(address=path, user="guard", databases=("app", "gone")), 2.0)
        opened(named.releasing)
        assert link.problem() is None
        assert named.problem().endswith("has no database gone.")
        for _ in range(2):
            link.holding.pause("app", seconds=2)
        assert link.paused() == ("app",)
        assert link.problem().endswith("app is paused already, and not by this plan.")
        for _ in range(2):
            link.releasing.resume("app")
        link.releasing.resume(None)
        assert link.paused() == ()
        with pytest.raises(RefusedError, match="no such database"):
            link.holding.pause("gone", seconds=2)
        with pytest.raises(WireError, match="not a database"):
            link.holding.pause('app"; SHUTDOWN', seconds=2)


def test_pause_waits_for_open_transactions_and_can_be_given_up(database, tmp_path, opened):
    """An open transaction holds PAUSE; RESUME on the second session lets everybody go on."""
    with servers.pgbouncer(tmp_path / "b", database) as (_, path):
        link = PoolerLink(Pooler(address=path, user="guard", databases=("app",)), 2.0)
        opened(link.holding)
        opened(link.releasing)
        link.releasing.connect()
        client, later = (
            opened(Postgres(Endpoint(path=path), "client", database="app", user="postgres"))
            for _ in range(2)
        )
        client.query("BEGIN")
        client.query("CREATE TABLE t (n int)")
        with pytest.raises(WireError, match="timed out"):
            link.holding.pause("app", seconds=0.5)
        with pytest.raises(WireError, match="timed out"):
            later.query("SELECT 1", seconds=0.5)
        assert link.paused() == ("app",)
        link.releasing.resume("app")
        assert link.paused() == ()
        client.query("INSERT INTO t VALUES (7)")
        client.query("COMMIT")
        assert later.query("SELECT n FROM t") == ({"n": "7"},)
        later.query("DROP TABLE t")
        link.holding.pause("app", seconds=2)
        link.releasing.resume("app")


def test_sessions_are_not_waited_for(database, tmp_path, opened):
    """With session pooling PAUSE would wait until every client has left: refused beforehand."""
    with servers.pgbouncer(tmp_path / "b", database, pool_mode="session") as (_, path):
        link = PoolerLink(Pooler(address=path, user="guard"), 2.0)
        opened(link.releasing)
        assert "app pools sessions" in link.problem()


def test_a_session_that_the_pooler_closed_is_opened_again(database, tmp_path, opened):
    """A console session opened ahead survives a restart of pgbouncer on the same port."""
    with servers.pgbouncer(tmp_path / "b", database) as (port, path):
        client = opened(Pgbouncer(Endpoint(path=path), user="guard"))
        client.connect()
    config = tmp_path / "b" / "pgbouncer.ini"
    words = [servers.program("pgbouncer"), str(config)]
    user = servers.unprivileged()
    with servers.running(
        words, tmp_path / "b", "again", as_user=user, ready=lambda: servers.listens(port)
    ):
        assert "1." in client.ping()


def test_values_and_errors_of_a_real_server(database, opened):
    """NULL is None, text is text, an error is the server's own sentence, and the session lives."""
    session = opened(
        Postgres(
            Endpoint(host="127.0.0.1", port=database),
            "PostgreSQL",
            database="postgres",
            user="postgres",
        )
    )
    rows = session.query("SELECT NULL AS a, 'ü' AS b, '' AS c UNION ALL SELECT 'x', 'y', 'z'")
    assert rows == ({"a": None, "b": "ü", "c": ""}, {"a": "x", "b": "y", "c": "z"})
    with pytest.raises(RefusedError, match="division by zero"):
        session.query("SELECT 1/0")
    assert session.query("") == ()
    with pytest.raises(WireError, match="more than 10000 rows"):
        session.query("SELECT generate_series(1, 20000)")
    assert session.query("SELECT 2 AS n") == ({"n": "2"},)


def test_the_example_of_the_standard():
    """RFC 7677 section 3: its password, nonces and messages."""
    login = Scram("pencil", b"rOprNGfwEbeRWgbNEkqO")
    login._bare = lambda: b"n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert login.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    final = login.final(b"r=" + nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final == b"c=biws,r=" + nonce + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    with pytest.raises(ValueError, match="its signature"):
        login.check(b"v=AAAA")
    login.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert login.proven


def test_passwords_are_prepared_as_the_standard_says():
    """RFC 4013 section 3, as far as PostgreSQL keeps to it."""
    assert prepared("I\u00adX") == b"IX"
    assert prepared("\u00aa") == b"a"
    assert prepared("\u2168") == b"IX"
    assert prepared("a\u00a0b") == b"a b"
    assert prepared("USER") == b"USER"

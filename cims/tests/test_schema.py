"""The schema: up from nothing, down to nothing, and up again; the seed; the command line."""

import dataclasses
import os
import subprocess
import sys

import psycopg
import pytest

from cims.cli import main
from cims.penalty import SEED_POLICY
from cims.schema import migrate, schema_version, seed, seed_policy

OURS = """
    SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname <> ALL ('{alembic_version,alembic_version_pkc}')"""
FUNCTIONS = "SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace"


@pytest.fixture
def empty(server):
    server.run("CREATE DATABASE empty")
    yield server.dsn("empty")
    server.run("DROP DATABASE empty WITH (FORCE)")


def _count(dsn, sql):
    with psycopg.connect(dsn) as connection:
        return connection.execute(sql).fetchone()[0]


def test_up_down_and_up_again(empty):
    """From empty to the newest and back leaves no table, function or setting behind."""
    before = _count(empty, FUNCTIONS)
    assert schema_version(empty) is None
    for _ in range(2):
        assert migrate(empty) == "v1"
        assert migrate(empty) == "v1"
        assert _count(empty, OURS) > 20
        assert _count(empty, "SELECT current_setting('lock_timeout')") == "5s"
        assert migrate(empty, revision="base") == "base"
        assert (_count(empty, OURS), _count(empty, FUNCTIONS)) == (0, before)
        assert _count(empty, "SELECT current_setting('lock_timeout')") == "0"


def test_seeding_twice_is_seeding_once(empty):
    """Every unit of the seed is in the ledger, once."""
    migrate(empty)
    for _ in range(2):
        assert seed(empty, skus=30, units=7) == 180
    assert _count(empty, "SELECT sum(available) FROM stock") == 180 * 7
    assert _count(empty, "SELECT sum(qty) FROM movement") == 180 * 7


def test_seeding_otherwise_is_one_clear_line(dsn, capsys):
    """A database that holds another seed is left as it was, and that is said plainly."""
    with psycopg.connect(dsn) as connection:
        before = connection.execute("SELECT count(*), sum(available) FROM stock").fetchone()
    assert main(["seed", "--dsn", dsn, "--skus", "41", "--units", "7"]) == 3
    assert "seeded with other" in capsys.readouterr().err
    with psycopg.connect(dsn) as connection:
        after = connection.execute("SELECT count(*), sum(available) FROM stock").fetchone()
        assert connection.execute("SELECT count(*) FROM sku").fetchone() == (40,)
    assert after == before


def test_a_policy_is_followed_and_never_changed(dsn):
    """The same version with other prices leaves the first as it is."""
    with psycopg.connect(dsn) as connection:
        seed_policy(connection, dataclasses.replace(SEED_POLICY, flat_cents=1))
    assert _count(dsn, "SELECT flat_cents FROM sla_policy WHERE version = 1") == 509


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([], 0, ""),
        (["nonsense"], 2, "no command"),
        (["migrate"], 2, "CIMS_DSN"),
        (["migrate", "--dsn", "host=127.0.0.1 port=1"], 3, "refused"),
        (["seed", "--dsn", "host=127.0.0.1 port=1"], 3, "refused"),
        (["seed", "--dsn", "x=1", "--skus", "0"], 2, "1 to 1000000"),
        (["penalties", "--dsn", "nonsense secret"], 2, "not a libpq"),
        (["penalties", "--at", "soon", "--dsn", "host=x"], 2, "--at"),
        (["penalties", "--at", "2026-01-01", "--dsn", "host=x"], 2, "zone"),
        (["penalties", "--outage-minutes", "-1"], 2, "0 to 10080"),
        (["penalties", "--outage-minutes", "nan"], 2, "0 to 10080"),
        (["serve", "--dsn", "host=x"], 2, "no token"),
        (["serve", "--dsn", "host=x", "--no-token", "--host", "0.0.0.0"], 2, "loopback"),
        (["serve", "--dsn", "host=x", "--token-hashes", "/nonexistent"], 3, "/nonexistent"),
        (["migrate", "--dsn", "host=x", "--down-to-empty"], 2, "--yes"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(words, code, says, capsys, monkeypatch):
    """What, where, what next; the exit code says whose fault; no traceback, no secret."""
    monkeypatch.delenv("CIMS_DSN", raising=False)
    monkeypatch.delenv("CIMS_TOKEN_HASHES", raising=False)
    assert main(words) == code
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
    assert "secret" not in said
    assert len(said.splitlines()) <= 3


@pytest.mark.parametrize("command", ["penalties", "check"])
def test_a_database_without_schema_says_what_to_run(empty, capsys, command):
    """A command before `cims migrate` names the missing step."""
    assert main([command, "--dsn", empty]) == 3
    assert "cims migrate" in capsys.readouterr().err


def test_the_commands_in_order(empty):
    """migrate, seed, penalties as a person runs them, in processes of their own."""
    environment = {**os.environ, "CIMS_DSN": empty}
    for words, says in (
        (["migrate", "--show"], "schema: none"),
        (["migrate"], "schema: v1"),
        (["seed", "--skus", "5"], "30 stock rows"),
        (["penalties", "--accrue"], "$0.00 by policy 1"),
        (["penalties", "--json", "--at", "2026-01-01T00:00:00Z"], '"total_cents": 0'),
        (["penalties", "--outage-minutes", "160"], "$24,99"),
        (["serve", "--new-token"], "hash:"),
        (["migrate", "--down-to-empty", "--yes"], "schema: base"),
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "cims", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        assert says in ran.stdout

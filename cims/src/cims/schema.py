"""The schema's versions, up and down, and the seed of regions, warehouses, SKUs and stock."""

import dataclasses
import importlib.resources
from collections.abc import Callable
from pathlib import Path

import alembic.command
import alembic.config
import psycopg
import sqlalchemy
from alembic import op

from cims.errors import CimsError
from cims.penalty import SEED_POLICY, Policy

# Region, time zone, currency; then its warehouses, each with the local cutoff of its day.
REGIONS = (
    ("USA", "America/Chicago", "USD"),
    ("EMEA", "Europe/Berlin", "EUR"),
    ("APAC", "Asia/Singapore", "SGD"),
)
WAREHOUSES = (
    (1, "USA-1", "USA", 1),
    (2, "USA-2", "USA", 2),
    (3, "EMEA-1", "EMEA", 1),
    (4, "EMEA-2", "EMEA", 2),
    (5, "APAC-1", "APAC", 1),
    (6, "APAC-2", "APAC", 2),
)
SKUS = 12_000


def run_sql(name: str) -> None:
    """Run one of our SQL files in the running migration; called by revisions only."""
    text = importlib.resources.files("cims").joinpath("sql", *name.split("/")).read_text("utf-8")
    # Below SQLAlchemy, where a percent sign is one, and a text may hold many statements.
    op.get_bind().connection.cursor().execute(text)


def migrate(dsn: str, *, revision: str = "head") -> str:
    """Bring the database to `revision` ("base" = empty); returns the revision it is at."""
    target = "downgrade" if revision == "base" else "upgrade"
    command: Callable[..., None] = getattr(alembic.command, target)
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, connect_timeout=10),
        poolclass=sqlalchemy.NullPool,
    )
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command(config, revision)
            connection.commit()
        return schema_version(dsn) or "base"
    except sqlalchemy.exc.DBAPIError as error:
        raise CimsError(f"migration: {' '.join(str(error.orig).split())}") from error
    finally:
        engine.dispose()


def schema_version(dsn: str) -> str | None:
    """The revision the database is at; None when it holds no schema of ours."""
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        known = connection.execute("SELECT to_regclass('alembic_version')").fetchone()
        if known is None or known[0] is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row[0])


def seed(dsn: str, *, skus: int = SKUS, units: int = 1000, cutoff: str | None = None) -> int:
    """Fill an empty database; returns how many stock rows it has. Done twice, nothing changes.

    Each SKU gets `units` in each warehouse, received from the supplier, so that the ledger explains
    every balance from the first row. `cutoff` is the local time "HH:MM" of each warehouse, None for
    warehouses that work around the clock.
    """
    with psycopg.connect(dsn, connect_timeout=10) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(3141592)")
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO region VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", REGIONS)
        cursor.executemany(
            "INSERT INTO warehouse VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(*warehouse, cutoff) for warehouse in WAREHOUSES],
        )
        cursor.execute(
            "INSERT INTO sku (id, code, name, reorder_point, unit_price_cents)"
            " SELECT n, 'SKU-' || lpad(n::text, 5, '0'), 'Item ' || n, 20 + n %% 30,"
            " 199 + n %% 5000"
            " FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            (skus,),
        )
        if units > 0:
            cursor.execute(
                "SELECT receive(md5('seed-' || w.id || '-' || k.part)::uuid, w.id, k.ids,"
                " array_fill(%s::int, ARRAY[cardinality(k.ids)]), 'seed')"
                " FROM warehouse w CROSS JOIN (SELECT (id - 1) / 1000 AS part,"
                " array_agg(id ORDER BY id) AS ids FROM sku WHERE id <= %s GROUP BY 1) k"
                " ORDER BY w.id, k.part",
                (units, skus),
            )
        seed_policy(connection)
        row = cursor.execute("SELECT count(*) FROM stock").fetchone()
    # Without statistics the first minutes of orders run on wrong plans.
    with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
        connection.execute("ANALYZE")
    return int(row[0]) if row else 0


def seed_policy(connection: psycopg.Connection, policy: Policy = SEED_POLICY) -> None:
    """Store a policy version; one that exists is left as it is."""
    connection.execute(
        "INSERT INTO sla_policy (version, name, promise_seconds, grace_seconds, flat_cents,"
        " per_hour_cents, cap_cents) VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        dataclasses.astuple(policy),
    )

"""One PostgreSQL per test process, one database per test."""

import itertools

import pytest

import throwaway_postgres
from cims.schema import migrate, seed
from cims.store import Store

SKUS = 40
UNITS = 100
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    if throwaway_postgres.binaries() is None:
        pytest.skip("no PostgreSQL server is installed (initdb, postgres)")
    with throwaway_postgres.running() as running:
        running.run("CREATE DATABASE seeded")
        migrate(running.dsn("seeded"))
        seed(running.dsn("seeded"), skus=SKUS, units=UNITS)
        yield running


@pytest.fixture
def dsn(server):
    """A database of its own with 40 SKUs, 100 units of each in each of 6 warehouses."""
    name = f"test_{next(_numbers)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE seeded")
    yield server.dsn(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(dsn):
    with Store(dsn) as store:
        yield store

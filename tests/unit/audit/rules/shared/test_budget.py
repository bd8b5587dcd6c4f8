"""What services and PostgreSQL may take at worst."""

from dataclasses import replace

import pytest
from tests.fakes.facts import GIB, MIB, healthy, holder, unit

from forestall.audit.rules.shared.budget import (
    Needs,
    needs,
    promised,
    promised_table,
    settings_read,
)
from forestall.model.facts import PostgresFacts


def test_what_is_not_set_is_the_default():
    """PostgreSQL's own, of each setting."""
    assert needs(PostgresFacts(complete=True)) == Needs(
        shared_bytes=128 * MIB,
        connections=100,
        work_bytes=4 * MIB,
        workers=3,
        vacuum_bytes=64 * MIB,
    )
    assert needs(PostgresFacts(complete=False)) is None


@pytest.mark.parametrize(
    ("own", "general", "expected"),
    [(None, 1, 1), (-1, 1, 1), (0, 1, 1), (2, 1, 2), (-1, 0, 0), (-1, -1, 64 * MIB)],
)
def test_memory_of_an_autovacuum_worker(own, general, expected):
    """Its own setting, else maintenance_work_mem, else the default of that."""
    server = PostgresFacts(
        complete=True, autovacuum_work_mem_bytes=own, maintenance_work_mem_bytes=general
    )
    assert needs(server).vacuum_bytes == expected


def test_all_at_once():
    """Shared buffers, one operation a connection, and each worker at its largest."""
    budget = Needs(shared_bytes=1, connections=10, work_bytes=20, workers=300, vacuum_bytes=4000)
    assert budget.most_bytes == 1 + 10 * 20 + 300 * 4000


def test_limits_of_running_services_are_promised():
    """The largest first; not of what does not run, has none, or is the database."""
    units = (
        unit("a.service", main_pid=1, memory_max_bytes=GIB),
        unit("b.service", main_pid=2, memory_max_bytes=2 * GIB),
        unit("off.service", active=False, memory_max_bytes=GIB),
        unit("free.service", main_pid=3),
        unit("pg.service", main_pid=4, memory_max_bytes=8 * GIB),
    )
    facts = healthy(units=units, databases=(holder("postgres", 4, unit="pg.service"),))
    found = promised(facts)
    b, a = "/units/1/memory_max_bytes", "/units/0/memory_max_bytes"
    assert found == [(2 * GIB, "b.service", b), (GIB, "a.service", a)]
    assert promised_table(found) == ("b.service 2.0 GiB", "a.service 1.0 GiB")
    assert promised_table(found * 2)[2:] == ("b.service 2.0 GiB", "1 more limits 1.0 GiB")
    assert len(promised_table([*found, found[0]])) == 3
    assert promised(replace(facts, units=None)) == []


def test_settings_that_weigh_most():
    """Of the server that is meant."""
    assert settings_read(1) == (
        "/postgres/1/shared_buffers_bytes",
        "/postgres/1/max_connections",
        "/postgres/1/work_mem_bytes",
    )

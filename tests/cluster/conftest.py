"""One real cluster for the tests of this folder, which run one after another."""

import os

import pytest
from drills.cluster import programs


@pytest.fixture(scope="session")
def cluster():
    """A healthy cluster with the writer's table; a test leaves it healthy."""
    missing = programs.missing_here()
    if missing:
        pytest.skip(missing)
    from drills.cluster.cluster import Cluster
    from drills.cluster.writer import make_table

    with Cluster(disk_bytes=1 << 30 if os.geteuid() == 0 else None) as made:
        make_table(made.dsn())
        yield made

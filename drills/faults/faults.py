"""The faults. Each is put in, held, and taken out again; health is waited for by the caller.

A fault says what it did in a few words. All of them hit the primary, where the orders are, and
choose their variant and their times from the random numbers that they are given.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import psycopg

from drills.cluster.cluster import Cluster, ClusterError
from drills.cluster.node import Node
from drills.faults.guarded import kill_guard

Fault = Callable[[Cluster, random.Random], str]
TTL_MARGIN_SECONDS = 28.0
"""Longer than the lease lives: a node that is away for so long has been replaced."""
IN_COMMIT_SECONDS = 10.0


def kill_primary(cluster: Cluster, chance: random.Random) -> str:
    """Power cut of the primary's host; it comes back before or after it was replaced."""
    node = cluster.primary()
    node.kill()
    if chance.random() < 0.5:
        away = chance.uniform(0.0, 5.0)
        time.sleep(away)
        node.start()
        return f"{node.name} was away for {away:.1f} s"
    heir = cluster.wait_primary(not_node=node)
    node.start()
    return f"{node.name} was replaced by {heir.name} before it came back"


def die_alone(cluster: Cluster, chance: random.Random) -> str:
    """The replica is unplugged for a moment and the primary dies in it, with what it wrote since.
    A synchronous pair acknowledged none of that; an asynchronous one did, and loses it."""
    primary, replica = cluster.primary(), cluster.replica()
    seconds = chance.uniform(0.5, 2.5)
    replica.cut()
    try:
        time.sleep(seconds)
        primary.kill()
        # What is on its way to the replica is lost with its network card.
        replica.unplug_hard()
        replica.start_card()
    finally:
        replica.mend()
    heir = cluster.wait_primary(not_node=primary)
    primary.start()
    return f"{primary.name} after {seconds:.1f} s without a replica; {heir.name} took over"


def kill_postmaster(cluster: Cluster, chance: random.Random) -> str:
    """Kill -9 of the primary's database server; Patroni lives."""
    del chance
    node = cluster.primary()
    node.kill_postmaster()
    time.sleep(1.0)
    return f"the postmaster of {node.name}"


def freeze_primary(cluster: Cluster, chance: random.Random) -> str:
    """Every process of the primary stands still, for less or for longer than its lease lives."""
    node = cluster.primary()
    seconds = _away(chance)
    node.freeze()
    try:
        time.sleep(seconds)
    finally:
        node.thaw()
    return f"{node.name} for {seconds:.1f} s"


def cut_network(cluster: Cluster, chance: random.Random) -> str:
    """The primary's network is unplugged, for less or for longer than its lease lives."""
    node = cluster.primary()
    seconds = _away(chance)
    node.cut()
    try:
        time.sleep(seconds)
    finally:
        node.mend()
    return f"{node.name} for {seconds:.1f} s"


def cancel_in_commit(cluster: Cluster, chance: random.Random) -> str:
    """Commits that wait for the replica are cancelled: they answer as if all were well, with a
    warning. In half of the cases the primary then dies with those rows, which nobody else has."""
    primary, replica = cluster.primary(), cluster.replica()
    dies = chance.random() < 0.5
    replica.cut()
    try:
        cancelled = _cancel_waiting(cluster, primary)
        if dies:
            primary.kill()
            # What is on its way to the replica is lost with its network card.
            replica.unplug_hard()
            replica.start_card()
    finally:
        replica.mend()
    if not dies:
        return f"{cancelled} commits on {primary.name}"
    heir = cluster.wait_primary(not_node=primary)
    primary.start()
    return f"{cancelled} commits on {primary.name}, which then died; {heir.name} took over"


def disk_full(cluster: Cluster, chance: random.Random) -> str:
    """The primary's disk is filled to the last byte for a while."""
    node = cluster.primary()
    seconds = chance.uniform(1.0, 8.0)
    size = node.fill_disk()
    try:
        time.sleep(seconds)
    finally:
        node.empty_disk()
    return f"{node.name}, {size >> 20} MiB for {seconds:.1f} s"


FAULTS: dict[str, Fault] = {
    "kill primary": kill_primary,
    "die alone": die_alone,
    "kill postmaster": kill_postmaster,
    "freeze primary": freeze_primary,
    "cut network": cut_network,
    "cancel in commit": cancel_in_commit,
    "disk full": disk_full,
    "kill guard": kill_guard,
}


def heal(cluster: Cluster) -> None:
    """Take out whatever may still be in: after it only the cluster itself has work to do."""
    for node in cluster.nodes:
        node.thaw()
        node.mend()
        node.empty_disk()
        node.start()


def wait_healthy(cluster: Cluster, seconds: float = 60.0) -> str | None:
    """Wait for health. A replica that cannot follow by itself is copied anew, as an operator would
    do it, and then the words say so; ClusterError when that does not help either."""
    try:
        cluster.wait_healthy(seconds)
    except ClusterError:
        leader = cluster.find_primary()
        stuck = [node for node in cluster.nodes if node is not leader]
        for node in stuck:
            node.start()
            if leader is not None:
                node.ask("/reinitialize", {"force": True})
        cluster.wait_healthy(90.0)
        return f"{', '.join(node.name for node in stuck)} had to be copied anew"
    return None


def _away(chance: random.Random) -> float:
    """Mostly short: a long absence costs the time of a lease."""
    if chance.random() < 0.6:
        return chance.uniform(0.5, 8.0)
    return TTL_MARGIN_SECONDS


def _cancel_waiting(cluster: Cluster, primary: Node) -> int:
    """Cancel every commit that waits for the replica; how many there were (some, or it fails)."""
    until = time.monotonic() + IN_COMMIT_SECONDS
    with psycopg.connect(cluster.superuser_dsn(primary), autocommit=True) as connection:
        while time.monotonic() < until:
            row = connection.execute(
                "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
                " WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"
            ).fetchone()
            if row is not None and row[0]:
                return int(row[0])
            time.sleep(0.02)
    raise ClusterError("no commit waited for the replica: nothing could be cancelled")

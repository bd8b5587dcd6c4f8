"""`forestall drill cluster`: the cluster to look at, until Ctrl-C; or --check, which proves it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from drills.cluster import programs

if TYPE_CHECKING:
    from drills.cluster.cluster import Cluster

ENDPOINTS = "endpoints.json"


def main(argv: list[str] | None = None) -> int:
    """Run the drill; its exit code (0 fine, 1 the check failed, 3 it could not start)."""
    parser = argparse.ArgumentParser(
        prog="forestall drill cluster",
        description="A database cluster with failover on loopback: etcd, two Patroni nodes in"
        " synchronous mode, HAProxy, pgbouncer.",
    )
    parser.add_argument(
        "--check", action="store_true", help="a switchover and a node death under load, and down"
    )
    parser.add_argument("--json", action="store_true", help="figures of --check as JSON")
    parser.add_argument("--nodes", type=int, default=2, choices=(2, 3), help="Patroni nodes")
    parser.add_argument("--keep", action="store_true", help="keep the folder afterwards")
    options = parser.parse_args(argv)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", file=sys.stderr, flush=True)

    # `kill` ends the block as an error would, so that everything in it is cleaned up.
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if (reason := programs.missing_here()) is not None:
            raise programs.MissingError(reason)
        return _run(options, say)
    except programs.MissingError as error:
        print(f"forestall: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        say("down")
        return 0
    finally:
        signal.signal(signal.SIGTERM, before)


def _run(options: argparse.Namespace, say: Any) -> int:
    from drills.cluster.cluster import Cluster, ClusterError

    try:
        with Cluster(nodes=options.nodes, keep=options.keep, progress=say) as cluster:
            if not options.check:
                _show(cluster)
                while True:
                    signal.pause()
            figures = _check(cluster, say)
    except ClusterError as error:
        print(f"forestall: {error}", file=sys.stderr)
        return 3
    say("down")
    if options.json:
        print(json.dumps(figures))
    return 1 if figures["lost"] else 0


def _show(cluster: Cluster) -> None:
    """Where everything is. Passwords are in a file that only its owner reads."""
    path = cluster.folder / ENDPOINTS
    whole = {
        "pgbouncer": cluster.dsn(),
        "haproxy": cluster.dsn("haproxy"),
        "replica": cluster.dsn("replica"),
        "nodes": {node.name: cluster.superuser_dsn(node) for node in cluster.nodes},
        "rest": {node.name: f"http://127.0.0.1:{node.ports.rest}" for node in cluster.nodes},
        "rest_password": cluster.secrets.rest,
        "pgbouncer_admin_password": cluster.secrets.forestall,
        "etcd": f"http://127.0.0.1:{cluster.ports.etcd}",
        "haproxy_socket": str(cluster.haproxy_socket),
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(whole, file, indent=1)
    ports = cluster.ports
    print(f"up in     {cluster.started_seconds:.1f} s, primary is {cluster.primary().name}")
    print(f"orders    127.0.0.1:{ports.pooler} (pgbouncer), database and user `orders`")
    print(f"primary   127.0.0.1:{ports.primary} (HAProxy), replica 127.0.0.1:{ports.replica}")
    for node in cluster.nodes:
        print(
            f"{node.name:9} 127.0.0.1:{node.ports.database}, Patroni"
            f" http://127.0.0.1:{node.ports.rest}, log {node.folder / 'patroni.log'}"
        )
    print(f"etcd      http://127.0.0.1:{ports.etcd}")
    print(f"passwords {path}")
    print("Ctrl-C ends it and removes everything", flush=True)


def _check(cluster: Cluster, say: Any) -> dict[str, Any]:
    """A planned switchover and a node death under load; what the clients saw of each."""
    from drills.cluster.writer import Writer, make_table

    make_table(cluster.dsn())
    steps = []
    with Writer(cluster.dsn()) as writer:
        for name in ("switchover", "node death"):
            time.sleep(2.0)
            since = time.monotonic()
            if name == "switchover":
                cluster.switchover()
            else:
                dead = cluster.primary()
                dead.kill()
                cluster.wait_primary(not_node=dead)
                dead.start()
            healthy_seconds = time.monotonic() - since + cluster.wait_healthy()
            time.sleep(1.0)
            seen = writer.figures(since)
            steps.append(
                {"step": name, "healthy_seconds": round(healthy_seconds, 1)} | asdict(seen)
            )
            say(
                f"{name}: longest write gap {seen.longest_gap_seconds} s,"
                f" {seen.acknowledged} rows acknowledged, {seen.refused} errors;"
                f" healthy after {healthy_seconds:.1f} s"
            )
    lost = len(writer.lost(cluster.dsn("haproxy")))
    say(f"of {len(writer.acknowledged)} acknowledged rows {lost} are lost")
    return {
        "started_seconds": round(cluster.started_seconds, 1),
        "acknowledged": len(writer.acknowledged),
        "lost": lost,
        "steps": steps,
    }


if __name__ == "__main__":
    sys.exit(main())

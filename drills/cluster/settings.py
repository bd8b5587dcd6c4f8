"""The configuration files of a cluster, as text: pure functions of ports, names and secrets."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
SCOPE = "orders"
DATABASE = "orders"
TTL_SECONDS = 20
LOOP_WAIT_SECONDS = 1
RETRY_TIMEOUT_SECONDS = 5
"""Patroni's smallest ttl is 20, and loop_wait + 2 * retry_timeout must not be more than ttl.

A switchover that a peer is asked for is seen by the leader in its next loop: with Patroni's default
of 10 that would be up to 10 s of waiting, so the loop is as short as Patroni allows."""


def secret() -> str:
    """A password that lives as long as the cluster."""
    return secrets.token_urlsafe(18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The passwords of one cluster."""

    superuser: str = field(default_factory=secret, repr=False)
    replicator: str = field(default_factory=secret, repr=False)
    rewind: str = field(default_factory=secret, repr=False)
    orders: str = field(default_factory=secret, repr=False)
    forestall: str = field(default_factory=secret, repr=False)
    rest: str = field(default_factory=secret, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """Where a node listens, and where its network card (a relay) does."""

    name: str
    database: int
    rest: int
    card_database: int
    """What the others connect to; the relay passes it on to `database`."""
    card_rest: int
    card_etcd: int
    """What the node takes for etcd."""
    card_out: tuple[int, ...] = ()
    """One per node: where replication leaves this node's card for that node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPorts:
    """Every port of a cluster."""

    etcd: int
    etcd_peer: int
    primary: int
    replica: int
    pooler: int
    nodes: tuple[NodePorts, ...]


def etcd_command(program: str, ports: ClusterPorts, data: Path) -> list[str]:
    """One member: a drill's. Production has three (deploy/)."""
    client, peer = f"http://{LOOPBACK}:{ports.etcd}", f"http://{LOOPBACK}:{ports.etcd_peer}"
    return [
        program,
        *("--name", "etcd1", "--data-dir", str(data), "--log-level", "warn"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"etcd1={peer}"),
    ]


def patroni_yml(
    node: NodePorts,
    *,
    folder: Path,
    data: Path,
    postgres: Path,
    words: Secrets,
    synchronous: bool,
    strict: bool,
    parameters: dict[str, Any],
    ttl_seconds: int = TTL_SECONDS,
    store: Mapping[str, Any] | None = None,
) -> str:
    """Patroni's configuration. JSON is YAML, and quotes itself.

    `store` says where the leader's lease lies, by Patroni's own key; None: in the cluster's etcd.
    """
    # use_proxies: what the node knows as etcd is its own card, and must stay so.
    etcd = {"etcd3": {"host": f"{LOOPBACK}:{node.card_etcd}", "use_proxies": True}}
    plain = {"sslmode": "disable", "gssencmode": "disable"}
    initdb: list[Any] = ["no-sync", {"encoding": "UTF8"}, {"locale": "C.UTF-8"}]
    basebackup: list[Any] = [{"checkpoint": "fast"}, "no-sync"]
    whole = {
        "scope": SCOPE,
        "name": node.name,
        "restapi": {
            "listen": f"{LOOPBACK}:{node.rest}",
            "connect_address": f"{LOOPBACK}:{node.card_rest}",
            "authentication": {"username": "forestall", "password": words.rest},
        },
        **(etcd if store is None else store),
        "bootstrap": {
            "dcs": {
                "ttl": ttl_seconds,
                "loop_wait": LOOP_WAIT_SECONDS,
                "retry_timeout": RETRY_TIMEOUT_SECONDS,
                "maximum_lag_on_failover": 1048576,
                "synchronous_mode": synchronous,
                "synchronous_mode_strict": strict,
                "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": parameters},
            },
            "initdb": initdb,
        },
        "postgresql": {
            "listen": f"{LOOPBACK}:{node.database}",
            "connect_address": f"{LOOPBACK}:{node.card_database}",
            "data_dir": str(data),
            "bin_dir": str(postgres),
            "pgpass": str(folder / "pgpass"),
            "authentication": {
                "superuser": {"username": "postgres", "password": words.superuser, **plain},
                "replication": {"username": "replicator", "password": words.replicator, **plain},
                "rewind": {"username": "rewind", "password": words.rewind, **plain},
            },
            "parameters": {"unix_socket_directories": "", "password_encryption": "scram-sha-256"},
            "pg_hba": [
                f"host all all {LOOPBACK}/32 scram-sha-256",
                f"host replication replicator {LOOPBACK}/32 scram-sha-256",
            ],
            "basebackup": basebackup,
        },
        "watchdog": {"mode": "off"},
    }
    return json.dumps(whole, indent=1)


def small_parameters() -> dict[str, Any]:
    """PostgreSQL for a small machine that is thrown away afterwards."""
    return {
        "shared_buffers": "32MB",
        "max_connections": 100,
        "max_wal_size": "256MB",
        "min_wal_size": "64MB",
        "wal_keep_size": "128MB",
        "max_worker_processes": 4,
        "max_wal_senders": 6,
        "max_replication_slots": 6,
        "autovacuum_max_workers": 1,
        "wal_sender_timeout": "10s",
        "wal_receiver_timeout": "10s",
        "wal_receiver_status_interval": "2s",
        # In files of the data folder: nothing is left in /dev/shm when a node is killed.
        "dynamic_shared_memory_type": "mmap",
        "huge_pages": "off",
        "log_line_prefix": "%m [%p] ",
    }


def front_cfg(ports: ClusterPorts, socket: Path) -> str:
    """HAProxy before the nodes: it asks Patroni four times a second who is the primary."""
    lines = [
        "global",
        f"    stats socket {socket} mode 600 level admin",
        "    nbthread 1",
        "    maxconn 500",
        "defaults",
        "    mode tcp",
        "    timeout connect 2s",
        "    timeout client 24h",
        "    timeout server 24h",
        "    timeout check 2s",
    ]
    for name, port in (("primary", ports.primary), ("replica", ports.replica)):
        lines += [
            f"listen {name}",
            f"    bind {LOOPBACK}:{port}",
            f"    option httpchk GET /{name}",
            "    http-check expect status 200",
            "    default-server inter 250ms fall 2 rise 1 on-marked-down shutdown-sessions",
            *(
                f"    server {n.name} {LOOPBACK}:{n.card_database} check port {n.card_rest}"
                for n in ports.nodes
            ),
        ]
    return "\n".join(lines) + "\n"


def card_cfg(node: NodePorts, ports: ClusterPorts) -> str:
    """A node's network card: everything that comes in, and what leaves for etcd and replication.

    Replication of another node comes in with its name in the first packet (`application_name`); it
    is sent through that node's card, so that stopping either card stops the stream.
    """
    index = ports.nodes.index(node)
    lines = [
        "global",
        "    nbthread 1",
        "    maxconn 500",
        "defaults",
        "    mode tcp",
        "    timeout connect 2s",
        "    timeout client 24h",
        "    timeout server 24h",
        f"listen etcd\n    bind {LOOPBACK}:{node.card_etcd}",
        f"    server etcd {LOOPBACK}:{ports.etcd}",
        f"listen rest\n    bind {LOOPBACK}:{node.card_rest}",
        f"    server rest {LOOPBACK}:{node.rest}",
        f"frontend database\n    bind {LOOPBACK}:{node.card_database}",
        "    tcp-request inspect-delay 3s",
        "    tcp-request content accept if { req.len gt 8 }",
        "    default_backend database",
    ]
    others = [other for other in ports.nodes if other is not node]
    for other in others:
        mark = f"application_name\0{other.name}\0".encode().hex().upper()
        lines.append(
            f"    use_backend from_{other.name} if {{ req.payload(0,0),hex -m sub {mark} }}"
        )
    lines.append(f"backend database\n    server database {LOOPBACK}:{node.database}")
    for other in others:
        lines.append(
            f"backend from_{other.name}\n    server card {LOOPBACK}:{other.card_out[index]}"
        )
    for target, port in zip(ports.nodes, node.card_out, strict=True):
        if target is not node:
            lines.append(
                f"listen to_{target.name}\n    bind {LOOPBACK}:{port}\n"
                f"    server database {LOOPBACK}:{target.database}"
            )
    return "\n".join(lines) + "\n"


def pooler_ini(ports: ClusterPorts, folder: Path) -> str:
    """Pgbouncer before HAProxy: one place where writes can be held for the time of a switchover."""
    return f"""[databases]
{DATABASE} = host={LOOPBACK} port={ports.primary} dbname={DATABASE}
[pgbouncer]
listen_addr = {LOOPBACK}
listen_port = {ports.pooler}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder / "users.txt"}
admin_users = forestall
pool_mode = transaction
max_client_conn = 400
default_pool_size = 40
server_login_retry = 1
server_check_delay = 5
query_wait_timeout = 60
server_connect_timeout = 5
logfile = {folder / "pgbouncer.log"}
pidfile = {folder / "pgbouncer.pid"}
"""


def pooler_users(words: Secrets) -> str:
    """Plain words, as pgbouncer needs them to log in to PostgreSQL by SCRAM; the file is 0600."""
    users = {"orders": words.orders, "forestall": words.forestall}
    return "".join(f'"{name}" "{word}"\n' for name, word in users.items())


def choose_ports(free: Sequence[int], nodes: int) -> ClusterPorts:
    """Give each listener one of the free ports (there must be enough)."""
    given = iter(free)
    return ClusterPorts(
        etcd=next(given),
        etcd_peer=next(given),
        primary=next(given),
        replica=next(given),
        pooler=next(given),
        nodes=tuple(
            NodePorts(
                name=f"n{number + 1}",
                database=next(given),
                rest=next(given),
                card_database=next(given),
                card_rest=next(given),
                card_etcd=next(given),
                card_out=tuple(next(given) for _ in range(nodes)),
            )
            for number in range(nodes)
        ),
    )

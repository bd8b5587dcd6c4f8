"""Seconds of `cims check` over a database of N orders and their history, beside a sequential read.

The orders are placed inside the server, and their history is written as clients would have. The
rival is the least any check must do: read the four large tables and the history once.

usage: python bench/cims_check.py [--json] [--orders N]
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg

sys.path[0] = str(Path(__file__).parents[1] / "cims" / "tests")

import throwaway_postgres  # noqa: E402
from cims.check.look import Question, look  # noqa: E402
from cims.schema import migrate, seed  # noqa: E402

PLACE = """
    SELECT count(*) FROM (
        SELECT place_order(gen_random_uuid(), 1 + n %% 6,
            ARRAY[1 + n * 7 %% 4000, 4001 + n * 11 %% 4000, 8001 + n * 13 %% 4000],
            ARRAY[1, 2, 1], now()) FROM generate_series(%s::int, %s::int) n) x
"""
PLACED = """
    SELECT o.idem_key::text, o.id, o.outcome, o.short_sku, o.warehouse_id,
        extract(epoch FROM o.requested_at)::float8, o.id * 7 %% 4000, l.lines
    FROM sales_order o LEFT JOIN (SELECT order_id, json_agg(json_build_array(sku_id, qty)
        ORDER BY sku_id) AS lines FROM order_line GROUP BY 1) l ON l.order_id = o.id
"""
TABLES = ("sales_order", "order_line", "movement", "stock")


def place(dsn: str, orders: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for first in range(1, orders + 1, 5000):
            connection.execute(PLACE, (first, min(orders, first + 4999)))
        connection.execute("VACUUM ANALYZE")


def write_history(dsn: str, path: str) -> None:
    """What clients would have written; all orders are accepted, for there is enough."""
    with psycopg.connect(dsn) as connection, open(path, "w", encoding="utf-8") as file:
        for key, number, outcome, short, warehouse, at, _, lines in connection.execute(PLACED, ()):
            same = {"client": 1, "mono": at, "wall": at, "key": key}
            asked = {"warehouse": warehouse, "lines": lines, "requested_at": at}
            told = {"order_id": number, "outcome": outcome, "replayed": False, "short_sku": short}
            file.write(json.dumps({"type": "invoke", **same, **asked}) + "\n")
            file.write(json.dumps({"type": "ok", **same, **told}) + "\n")


def read_all(dsn: str, path: str) -> float:
    began = time.perf_counter()
    with psycopg.connect(dsn) as connection:
        for table in TABLES:
            with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                for _ in copy:
                    pass
    with open(path, encoding="utf-8") as file:
        for line in file:
            json.loads(line)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--orders", type=int, default=100_000)
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with throwaway_postgres.running(fsync="off") as server, tempfile.TemporaryDirectory() as folder:
        server.run("CREATE DATABASE orders")
        dsn, path = server.dsn("orders"), os.path.join(folder, "history.jsonl")
        migrate(dsn)
        seed(dsn, units=100_000)
        place(dsn, args.orders)
        write_history(dsn, path)
        reading = read_all(dsn, path)
        proof = look(Question(dsn=dsn, histories=(path,)))
    result = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load_1m": round(load, 1),
        "held": proof.held,
        "orders": proof.orders,
        "movements": proof.movements,
        "check_seconds": round(proof.seconds, 2),
        "read_seconds": round(reading, 2),
    }
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{result['date']}: cores {result['cores']}, load_1m {result['load_1m']}")
    print(
        f"{proof.orders} orders, {proof.movements} movements: {proof.summary()}\n"
        f"cims check {result['check_seconds']} s, reading everything once "
        f"{result['read_seconds']} s"
    )


if __name__ == "__main__":
    main()

"""`forestall drill faults`: random faults while orders are taken; nothing acknowledged may be lost.

Fault number N of a seed is always the same one, so a run can be continued (--from N) and a finding
repeated. What happened stands in OUT/faults.jsonl, one line a fault, beside the clients' histories.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from drills.cluster import programs

if TYPE_CHECKING:
    from drills.cluster.cluster import Cluster
    from drills.faults.load import Load, Proof

PROVE_EVERY = 20
DISK_BYTES = 1 << 30


def main(argv: list[str] | None = None) -> int:
    """Run the drill; its exit code (0 all holds, 1 something is violated, 3 it could not run)."""
    options = _options(argv)
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        if (reason := programs.missing_here()) is not None:
            raise programs.MissingError(reason)
        return _run(options)
    except programs.MissingError as error:
        print(f"forestall: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="forestall drill faults",
        description="Random faults against a database cluster while orders are taken.",
    )
    parser.add_argument(
        "--faults", type=int, default=8, help="how many (200 take about 75 minutes)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="first", type=int, default=1, help="begin with this number")
    parser.add_argument("--only", action="append", default=[], help="this kind alone; repeatable")
    parser.add_argument(
        "--load", choices=("orders", "rows"), help="default: orders if cims is here"
    )
    parser.add_argument(
        "--asynchronous",
        action="store_true",
        help="a cluster that does lose acknowledged writes, to see that it is found",
    )
    parser.add_argument("--out", type=Path, default=Path("out/faults"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.faults < 1 or options.first < 1:
        parser.error("--faults and --from: 1 or more")
    return options


def say(line: str) -> None:
    """One line of what happens, at once."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> int:
    from drills.cluster.cluster import Cluster, ClusterError
    from drills.faults.faults import FAULTS
    from drills.faults.load import has_orders

    kinds = [name for name in FAULTS if not options.only or name in options.only]
    if unknown := set(options.only) - set(FAULTS):
        print(f"forestall: no fault is called {min(unknown)}: {', '.join(FAULTS)}", file=sys.stderr)
        return 2
    disk_bytes = DISK_BYTES if os.geteuid() == 0 else None
    if disk_bytes is None and "disk full" in kinds:
        kinds.remove("disk full")
        say("no `disk full`: a small disk of its own needs root")
    orders = has_orders() if options.load is None else options.load == "orders"
    say(f"load: {'orders of cims' if orders else 'plain rows'}; faults: {', '.join(kinds)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for old in options.out.glob("orders-*"):
        old.unlink()
    began = time.monotonic()
    records: list[dict[str, Any]] = []
    try:
        with Cluster(
            synchronous=not options.asynchronous, disk_bytes=disk_bytes, progress=say
        ) as cluster:
            proof = _storm(cluster, options, kinds, records, orders=orders)
    except ClusterError as error:
        print(f"forestall: after {len(records)} faults: {error}", file=sys.stderr)
        return 3
    return _tell(options, records, proof, time.monotonic() - began)


def _storm(
    cluster: Cluster,
    options: argparse.Namespace,
    kinds: list[str],
    records: list[dict[str, Any]],
    *,
    orders: bool,
) -> Proof:
    """Fault after fault, with a proof after every few and at Ctrl-C; ends at a violation."""
    from drills.faults.faults import wait_healthy
    from drills.faults.load import make_load

    numbers = list(range(options.first, options.first + options.faults))
    while True:
        part, numbers = numbers[:PROVE_EVERY], numbers[PROVE_EVERY:]
        load = make_load(cluster, options.out, part[0], orders=orders)
        with load:
            time.sleep(2.0)
            try:
                for number in part:
                    record = _one(cluster, load, number, options.seed, kinds)
                    records.append(record)
                    _note(options, record)
            except KeyboardInterrupt:
                say("ended here; what was until now is proved")
                wait_healthy(cluster)
                numbers = []
        proof = load.prove()
        say(
            f"after {len(records)} faults: {proof.acknowledged} acknowledged, "
            + (f"VIOLATED {proof.violations}" if proof.violations else "all holds")
        )
        if proof.violations or not numbers:
            return proof


def _note(options: argparse.Namespace, record: dict[str, Any]) -> None:
    """One line for the file, one for whoever looks on."""
    with (options.out / "faults.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"seed": options.seed} | record) + "\n")
    say(
        f"{record['number']:4} {record['fault']}: {record['detail']};"
        f" no write for {record['longest_gap_seconds']} s,"
        f" healthy after {record['healthy_seconds']} s"
    )


def _one(cluster: Cluster, load: Load, number: int, seed: int, kinds: list[str]) -> dict[str, Any]:
    """One fault: in, out, healthy again."""
    from drills.faults import faults
    from drills.faults.guarded import HalfDoneError

    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable, not secret
    name = chance.choice(kinds)
    chance = random.Random(f"{seed}/{number}/{name}")  # noqa: S311
    # A moment between faults, so that they do not all hit at the same point of a loop.
    time.sleep(chance.uniform(0.2, 1.5))
    before, since = cluster.primary(), time.monotonic()
    half_done = False
    try:
        detail = faults.FAULTS[name](cluster, chance)
    except HalfDoneError as error:
        detail, half_done = f"HALF DONE: {error}", True
        cluster.pooler.resume()
    finally:
        faults.heal(cluster)
    if (more := faults.wait_healthy(cluster)) is not None:
        detail = f"{detail}; {more}"
    until = time.monotonic()
    return {
        "number": number,
        "fault": name,
        "detail": detail,
        "healthy_seconds": round(until - since, 1),
        "longest_gap_seconds": round(load.longest_gap_seconds(since - 1.0, until), 1),
        "half_done": half_done,
        "moved": cluster.primary() is not before,
        "load_average": os.getloadavg()[0],
    }


def _tell(
    options: argparse.Namespace, records: list[dict[str, Any]], proof: Proof, seconds: float
) -> int:
    by_kind = Counter(record["fault"] for record in records)
    whole = {
        "seed": options.seed,
        "first": options.first,
        "faults": len(records),
        "by_kind": dict(by_kind),
        "failovers": sum(record["moved"] for record in records),
        "copied_anew": sum("copied anew" in record["detail"] for record in records),
        "half_done_without_record": sum(record["half_done"] for record in records),
        "acknowledged": proof.acknowledged,
        "violations": proof.violations,
        "seconds": round(seconds, 1),
    }
    if options.json:
        print(json.dumps(whole))
    else:
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(by_kind.items()))
        print(f"{len(records)} faults in {seconds:.0f} s: {kinds}; {whole['failovers']} failovers")
        print(
            f"{proof.acknowledged} acknowledged; violations: {proof.violations or 'none'};"
            f" plans half done without a record: {whole['half_done_without_record']}"
        )
    return 1 if proof.violations or whole["half_done_without_record"] else 0


if __name__ == "__main__":
    sys.exit(main())

"""The figures of a history: a pure function of its lines, so that anyone can compute them again."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from cims.load.history import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What clients went through. Times are seconds; `None` when nothing was acknowledged.

    `failed` never got an answer or a refusal; `unknown_resolved` were in doubt and then answered;
    `unknown_left` were sent and nobody knows. The longest gap runs from the first line of the
    histories to their last, so an outage that never ends counts.
    """

    invoked: int
    acknowledged: int
    accepted: int
    rejected: int
    replayed: int
    failed: int
    unknown_resolved: int
    unknown_left: int
    seconds: float
    acknowledged_per_second: float
    longest_gap_seconds: float
    latency_p50_seconds: float | None
    latency_p99_seconds: float | None
    latency_most_seconds: float | None

    def as_json(self) -> dict[str, Any]:
        """A record for `--json`."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def figures(records: Iterable[Record]) -> Figures:
    """Compute the figures of one or more histories of one host, in any order."""
    invoked: dict[str, float] = {}
    doubted: set[str] = set()
    answered: dict[str, Record] = {}
    failed: set[str] = set()
    times: list[float] = []
    for record in records:
        times.append(record.mono)
        if record.kind == "invoke":
            invoked[record.key] = float(record.data["requested_at"])
        elif record.kind == "info":
            doubted.add(record.key)
        elif record.kind == "ok":
            answered.setdefault(record.key, record)
        elif record.kind == "fail":
            failed.add(record.key)
    began, ended = (min(times), max(times)) if times else (0.0, 0.0)
    acks = sorted(record.mono for record in answered.values())
    # From when the customer asked, not from when a client got round to it.
    latencies = sorted(
        record.wall - invoked[key] for key, record in answered.items() if key in invoked
    )
    outcomes = [record.data["outcome"] for record in answered.values()]
    left = invoked.keys() - answered.keys() - failed
    marks = [began, *acks, ended]
    return Figures(
        invoked=len(invoked),
        acknowledged=len(answered),
        accepted=outcomes.count("accepted"),
        rejected=outcomes.count("rejected"),
        replayed=sum(bool(record.data["replayed"]) for record in answered.values()),
        failed=len(failed - answered.keys()) + len(left),
        unknown_resolved=len(doubted & answered.keys()),
        unknown_left=len(left),
        seconds=ended - began,
        acknowledged_per_second=len(acks) / (ended - began) if ended > began else 0.0,
        longest_gap_seconds=max(b - a for a, b in pairwise(marks)),
        latency_p50_seconds=_at(latencies, 0.50),
        latency_p99_seconds=_at(latencies, 0.99),
        latency_most_seconds=latencies[-1] if latencies else None,
    )


def _at(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

"""What a check finds: an invariant that holds, is violated, or could not be looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

MOST_KEPT = 1000
"""Violations kept of one invariant; the count goes on."""

SAYS = {
    "I1": "every acknowledged order is stored once, as it was acknowledged",
    "I2": "no order is stored that nobody placed",
    "I3": "one key has one order, over all answers",
    "I4": "an order's lines are the lines that were asked for; a rejected one has none",
    "I5": "movements equal the lines they stand for",
    "I6": "the ledger's sum equals the balance, by warehouse, SKU and bucket",
    "I7": "no bucket is or may become negative",
    "I8": "pieces of a SKU are neither made nor lost, with supplier, customer and loss",
    "I9": "an order was rejected only if its SKU was short at some moment while it was placed",
    "I10": "orders, shipments and transfers are in a legal state, and reserved is what they hold",
    "I11": "penalties equal what lateness costs, computed again",
    "I12": "each feed's batches are applied once and without a gap",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that is wrong. `about` names it (`order KEY`, `sku 17 at warehouse 2`)."""

    about: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What came of one invariant. `checked` is how many things were looked at.

    `skipped` says why nothing could be looked at; then there are no violations either.
    """

    invariant: str
    checked: int = 0
    violations: tuple[Violation, ...] = ()
    count: int = 0
    skipped: str | None = None

    @property
    def held(self) -> bool:
        """True unless a violation was found."""
        return self.count == 0

    def as_json(self) -> dict[str, Any]:
        """A record for `--json`."""
        return {
            "invariant": self.invariant,
            "says": SAYS[self.invariant],
            "held": self.held,
            "checked": self.checked,
            "violations": self.count,
            "shown": [{"about": found.about, "says": found.says} for found in self.violations],
            "skipped": self.skipped,
        }


def found(invariant: str, checked: int, violations: Iterable[Violation]) -> Finding:
    """The finding of an invariant that was looked at."""
    remaining = iter(violations)
    kept = tuple(islice(remaining, MOST_KEPT))
    count = len(kept) + sum(1 for _ in remaining)
    return Finding(invariant=invariant, checked=checked, violations=kept, count=count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """All findings of one look. `at` is seconds since 1970, of the database's clock."""

    at: float
    seconds: float
    orders: int
    movements: int
    acknowledged: int
    histories: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def held(self) -> bool:
        """True if no invariant is violated."""
        return all(finding.held for finding in self.findings)

    def summary(self) -> str:
        """A line or a few for the dashboard, at most 2000 characters."""
        looked = [finding for finding in self.findings if finding.skipped is None]
        broken = [finding for finding in self.findings if not finding.held]
        told = (
            f"{self.orders} orders, {self.movements} movements, "
            f"{self.acknowledged} acknowledged by {len(self.histories)} histories: "
            f"{len(looked)} of {len(self.findings)} invariants looked at"
        )
        if not broken:
            return f"{told}, all hold"
        worst = "; ".join(
            f"{finding.invariant} {finding.count}x ({finding.violations[0].about}: "
            f"{finding.violations[0].says})"
            for finding in broken
        )
        return f"{told}, violated: {worst}"[:2000]

    def as_json(self) -> dict[str, Any]:
        """A record for `--json`."""
        return {
            "schema": "cims/proof/1",
            "held": self.held,
            "at": self.at,
            "seconds": round(self.seconds, 3),
            "orders": self.orders,
            "movements": self.movements,
            "acknowledged": self.acknowledged,
            "histories": list(self.histories),
            "invariants": [finding.as_json() for finding in self.findings],
        }

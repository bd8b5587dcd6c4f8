"""What Prometheus reads: this process's counts and times, the database's lag and penalties."""

import threading
import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cims.orders import Outcome, Reply
from cims.reads import Reads
from cims.store import NotAvailable, Refused

# The penalty report reads every order; a scrape each few seconds must not.
KEEP_SECONDS = 15.0
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The registry of one application."""

    def __init__(self, reads: Reads) -> None:
        self.registry = CollectorRegistry()
        self.orders = Counter(
            "cims_orders", "Orders answered, by outcome", ["outcome"], registry=self.registry
        )
        for outcome in (*Outcome, "replayed"):
            self.orders.labels(str(outcome))
        self.latency = Histogram(
            "cims_order_latency_seconds",
            "From the request to its answer, with all attempts",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.in_doubt = Counter(
            "cims_in_doubt", "Attempts that may have been committed", registry=self.registry
        )
        self.registry.register(_Database(reads))

    def attempted(self, reply: Reply) -> None:
        """Count one attempt."""
        if reply.outcome is Outcome.UNKNOWN:
            self.in_doubt.inc()

    def answered(self, reply: Reply, seconds: float) -> None:
        """Count one answer."""
        self.orders.labels("replayed" if reply.replayed else str(reply.outcome)).inc()
        self.latency.observe(seconds)

    def exposition(self) -> bytes:
        """The text Prometheus scrapes."""
        return generate_latest(self.registry)


class _Database(Collector):
    """Lag and penalties by region. A database that does not answer is a 0, and no old figure."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._lock = threading.Lock()
        self._at = -KEEP_SECONDS
        self._last: list[GaugeMetricFamily] = []

    def describe(self) -> list[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._lock:
            if time.monotonic() - self._at >= KEEP_SECONDS:
                self._last = self._read()
                self._at = time.monotonic()
            yield from self._last

    def _read(self) -> list[GaugeMetricFamily]:
        up = GaugeMetricFamily("cims_database_up", "1 when the database answered")
        lag = GaugeMetricFamily(
            "cims_sync_lag_seconds", "How far a region's stock is behind", labels=["region"]
        )
        owed = GaugeMetricFamily(
            "cims_penalty_dollars", "What lateness costs by the newest policy", labels=["region"]
        )
        try:
            for row in self._reads.delays():
                if row["lag_seconds"] is not None:
                    lag.add_metric([row["region"]], row["lag_seconds"])
            policy = self._reads.policy()
            cents = {row["region"]: 0 for row in self._reads.regions()}
            for row in self._reads.penalties(policy["version"]) if policy else ():
                cents[row["region"]] += row["amount_cents"]
        except (NotAvailable, Refused):
            up.add_metric([], 0)
            return [up]
        for region, owes in cents.items():
            owed.add_metric([region], owes / 100)
        up.add_metric([], 1)
        return [up, lag, owed]

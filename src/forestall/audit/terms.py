"""The terms a host is judged on: what no host can tell of itself."""

from dataclasses import dataclass

from forestall.audit.tables import Tables

DATABASE = "db"
KUBERNETES = frozenset(("k8s", "kubernetes"))
"""The roles of a host, by name, that the rules know."""

DAYS_PER_YEAR = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the site says of one host; the defaults are those of a site that said nothing.

    `at` is the moment of judgement (epoch seconds), None = when the facts were read. `roles` None
    = go by what runs there. `extended_support_until` is the end of a paid extension (epoch
    seconds). `baseline` is the hardening profile it must follow (stig, cis, ospp, ...).
    `time_to_act_seconds` is how long the site needs from an alert to a repair.
    `tables` are the life cycles and advisories to judge by, None = those that ship.
    """

    at: float | None = None
    roles: frozenset[str] | None = None
    extended_support_until: float | None = None
    baseline: str | None = None
    time_to_act_seconds: float = 3600.0
    uptime_limit_days: float = DAYS_PER_YEAR
    tables: Tables | None = None

"""The rules, one module each; this list is the only register.

A module's docstring says why its rule exists; docs/reference/audit-rules.md is made from them.
"""

from forestall.audit.rule import Rule
from forestall.audit.rules import (
    kdp001_not_armed,
    krn001_past_maintenance,
    krn002_not_last_minor,
    lim001_unlimited_beside_database,
    mem001_little_left,
    oom001_database_unprotected,
    oom003_unkillable,
    ovc002_commit_limit,
    ovc003_always_overcommit,
    pan001_panic_on_oom,
    pan002_stays_down,
    pan003_other_panics,
    pan004_allocating_task,
    svc001_stays_dead,
    swp002_database_table,
    swp004_nearly_full,
    swp005_nothing_before_kernel,
)

RULES: tuple[Rule, ...] = (
    kdp001_not_armed.RULE,
    krn001_past_maintenance.RULE,
    krn002_not_last_minor.RULE,
    lim001_unlimited_beside_database.RULE,
    mem001_little_left.RULE,
    oom001_database_unprotected.RULE,
    oom003_unkillable.RULE,
    ovc002_commit_limit.RULE,
    ovc003_always_overcommit.RULE,
    pan001_panic_on_oom.RULE,
    pan002_stays_down.RULE,
    pan003_other_panics.RULE,
    pan004_allocating_task.RULE,
    svc001_stays_dead.RULE,
    swp002_database_table.RULE,
    swp004_nearly_full.RULE,
    swp005_nothing_before_kernel.RULE,
)
"""By id. Which come first in a report is the report's business."""

"""The rules, one module each; this list is the only register.

A module's docstring says why its rule exists; docs/reference/audit-rules.md is made from them.
"""

from forestall.audit.rule import Rule
from forestall.audit.rules import (
    cgr001_limits_ignored,
    cor001_cores_lost,
    kdp001_not_armed,
    krn001_past_maintenance,
    krn002_not_last_minor,
    lim001_unlimited_beside_database,
    lim002_promised_too_much,
    lim003_no_soft_limit,
    lim004_database_limit_below_need,
    lmt001_login_limits,
    mem001_little_left,
    obs001_unobserved,
    oom001_database_unprotected,
    oom002_as_protected_as_database,
    oom003_unkillable,
    ovc002_commit_limit,
    ovc003_always_overcommit,
    pan001_panic_on_oom,
    pan002_stays_down,
    pan003_other_panics,
    pan004_allocating_task,
    svc001_stays_dead,
    svc002_goes_on_maimed,
    swp002_database_table,
    swp004_nearly_full,
    swp005_nothing_before_kernel,
)

RULES: tuple[Rule, ...] = (
    cgr001_limits_ignored.RULE,
    cor001_cores_lost.RULE,
    kdp001_not_armed.RULE,
    krn001_past_maintenance.RULE,
    krn002_not_last_minor.RULE,
    lim001_unlimited_beside_database.RULE,
    lim002_promised_too_much.RULE,
    lim003_no_soft_limit.RULE,
    lim004_database_limit_below_need.RULE,
    lmt001_login_limits.RULE,
    mem001_little_left.RULE,
    obs001_unobserved.RULE,
    oom001_database_unprotected.RULE,
    oom002_as_protected_as_database.RULE,
    oom003_unkillable.RULE,
    ovc002_commit_limit.RULE,
    ovc003_always_overcommit.RULE,
    pan001_panic_on_oom.RULE,
    pan002_stays_down.RULE,
    pan003_other_panics.RULE,
    pan004_allocating_task.RULE,
    svc001_stays_dead.RULE,
    svc002_goes_on_maimed.RULE,
    swp002_database_table.RULE,
    swp004_nearly_full.RULE,
    swp005_nothing_before_kernel.RULE,
)
"""By id. Which come first in a report is the report's business."""

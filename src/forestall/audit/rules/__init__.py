"""The rules, one module each; this list is the only register.

A module's docstring says why its rule exists; docs/reference/audit-rules.md is made from them.
What several rules work out alike is in `shared/`.
"""

import sys

from forestall.audit.rule import Rule
from forestall.audit.rules.cgr001_limits_ignored import RULE as CGR_001
from forestall.audit.rules.cor001_cores_lost import RULE as COR_001
from forestall.audit.rules.hug001_no_huge_pages import RULE as HUG_001
from forestall.audit.rules.hug002_idle_huge_pages import RULE as HUG_002
from forestall.audit.rules.jrn001_journal_in_memory import RULE as JRN_001
from forestall.audit.rules.kdp001_not_armed import RULE as KDP_001
from forestall.audit.rules.kdp002_crash_kernel_small import RULE as KDP_002
from forestall.audit.rules.kdp003_no_room import RULE as KDP_003
from forestall.audit.rules.kdp004_baseline_conflict import RULE as KDP_004
from forestall.audit.rules.krn001_past_maintenance import RULE as KRN_001
from forestall.audit.rules.krn002_not_last_minor import RULE as KRN_002
from forestall.audit.rules.krn003_missed_updates import RULE as KRN_003
from forestall.audit.rules.krn004_newer_not_booted import RULE as KRN_004
from forestall.audit.rules.krn005_open_faults import RULE as KRN_005
from forestall.audit.rules.krn006_never_rebooted import RULE as KRN_006
from forestall.audit.rules.krn007_foreign_kernel import RULE as KRN_007
from forestall.audit.rules.lim001_unlimited_beside_database import RULE as LIM_001
from forestall.audit.rules.lim002_promised_too_much import RULE as LIM_002
from forestall.audit.rules.lim003_no_soft_limit import RULE as LIM_003
from forestall.audit.rules.lim004_database_limit_below_need import RULE as LIM_004
from forestall.audit.rules.lmt001_login_limits import RULE as LMT_001
from forestall.audit.rules.mem001_little_left import RULE as MEM_001
from forestall.audit.rules.min001_min_free import RULE as MIN_001
from forestall.audit.rules.num001_zone_reclaim import RULE as NUM_001
from forestall.audit.rules.obs001_unobserved import RULE as OBS_001
from forestall.audit.rules.oom001_database_unprotected import RULE as OOM_001
from forestall.audit.rules.oom002_as_protected_as_database import RULE as OOM_002
from forestall.audit.rules.oom003_unkillable import RULE as OOM_003
from forestall.audit.rules.ovc001_heuristic import RULE as OVC_001
from forestall.audit.rules.ovc002_commit_limit import RULE as OVC_002
from forestall.audit.rules.ovc003_always_overcommit import RULE as OVC_003
from forestall.audit.rules.pan001_panic_on_oom import RULE as PAN_001
from forestall.audit.rules.pan002_stays_down import RULE as PAN_002
from forestall.audit.rules.pan003_other_panics import RULE as PAN_003
from forestall.audit.rules.pan004_allocating_task import RULE as PAN_004
from forestall.audit.rules.svc001_stays_dead import RULE as SVC_001
from forestall.audit.rules.svc002_goes_on_maimed import RULE as SVC_002
from forestall.audit.rules.swa001_swappiness import RULE as SWA_001
from forestall.audit.rules.swp001_vendor_table import RULE as SWP_001
from forestall.audit.rules.swp002_database_table import RULE as SWP_002
from forestall.audit.rules.swp003_runway import RULE as SWP_003
from forestall.audit.rules.swp004_nearly_full import RULE as SWP_004
from forestall.audit.rules.swp005_nothing_before_kernel import RULE as SWP_005
from forestall.audit.rules.swp006_not_after_boot import RULE as SWP_006
from forestall.audit.rules.swp007_beside_data import RULE as SWP_007
from forestall.audit.rules.swp008_compressed_twice import RULE as SWP_008
from forestall.audit.rules.thp001_huge_pages import RULE as THP_001
from forestall.audit.rules.tmp001_tmpfs import RULE as TMP_001

RULES: tuple[Rule, ...] = (
    CGR_001, COR_001, HUG_001, HUG_002, JRN_001, KDP_001, KDP_002, KDP_003, KDP_004,
    KRN_001, KRN_002, KRN_003, KRN_004, KRN_005, KRN_006, KRN_007,
    LIM_001, LIM_002, LIM_003, LIM_004, LMT_001, MEM_001, MIN_001, NUM_001, OBS_001,
    OOM_001, OOM_002, OOM_003, OVC_001, OVC_002, OVC_003, PAN_001, PAN_002, PAN_003, PAN_004,
    SVC_001, SVC_002, SWA_001,
    SWP_001, SWP_002, SWP_003, SWP_004, SWP_005, SWP_006, SWP_007, SWP_008, THP_001, TMP_001,
)  # fmt: skip
"""By id. Which come first in a report is the report's business."""


def reason(rule: Rule) -> str:
    """Why a rule exists, its module's docstring: the first line says what is wrong."""
    return (sys.modules[rule.judge.__module__].__doc__ or rule.title).strip()

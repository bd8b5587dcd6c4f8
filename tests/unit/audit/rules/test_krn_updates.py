"""KRN-003, 004, 005: updates missed, installed and not booted, and the faults they repair."""

from dataclasses import replace

import pytest
from tests.fakes.facts import healthy, unit
from tests.fakes.kernels import DECIDABLE, FRESH, alma, rhel7

from forestall.audit.exposure import exposure
from forestall.audit.fault_needs import reached
from forestall.audit.kernels import kernel_of
from forestall.audit.posture import Posture
from forestall.audit.rules import (
    krn003_missed_updates,
    krn004_newer_not_booted,
    krn005_open_faults,
)
from forestall.audit.tables import shipped
from forestall.audit.tables.nouns import day
from forestall.audit.terms import Terms
from forestall.model.facts import MountFacts, SwapDevice
from forestall.model.finding import FindingState, Severity
from forestall.units import DAY

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = (
    FindingState.PASS,
    FindingState.FAIL,
    FindingState.UNKNOWN,
    FindingState.NOT_APPLICABLE,
)
OLD = "5.14.0-427.13.1.el9_4.x86_64"


def missed(facts, **terms):
    return krn003_missed_updates.judge(Posture(facts, Terms(**terms)))


def booted(facts):
    return krn004_newer_not_booted.judge(Posture(facts))


def faults(facts, **terms):
    return krn005_open_faults.judge(Posture(facts, Terms(**terms)))


ELSEWHERE = [
    (healthy(), NOT_APPLICABLE),
    (healthy(os_id="ubuntu", kernel_release="6.8.0-31-generic"), NOT_APPLICABLE),
    (healthy(os_id="sles", kernel_release="5.14.21-150500.55.7-default"), NOT_APPLICABLE),
    (alma(container="docker"), NOT_APPLICABLE),
    (alma(kernel_release=None), UNKNOWN),
    (alma(kernel_release="6.9.3"), UNKNOWN),
    (alma(kernel_release="6.8.9-1.el9.elrepo.x86_64"), UNKNOWN),
    (alma(os_id="ol", kernel_release="5.15.0-205.149.5.1.el9uek.x86_64"), UNKNOWN),
    (rhel7("4.14.0-115.7.1.el7a.aarch64"), UNKNOWN),
    (rhel7("2.6.32-754.35.1.el6.x86_64"), NOT_APPLICABLE),
]


@pytest.mark.parametrize(("facts", "state"), ELSEWHERE)
def test_kernels_the_table_says_nothing_about(facts, state):
    """Another distribution's: not looked up. A foreign kernel on Enterprise Linux: unknown."""
    judged = faults(facts)
    assert judged.state is state
    assert judged.text
    if facts.kernel_release != "4.14.0-115.7.1.el7a.aarch64":
        assert missed(facts).state is state


# KRN-003


def test_a_quarter_of_a_year():
    """ALSA-2026:59723 (687.42.1) is of 2026-08-26: missed from the ninety-first day on."""
    kernel = "5.14.0-687.41.1.el9_8.x86_64"
    out = day("2026-08-26")
    assert missed(alma(kernel_release=kernel, at=out + 90 * DAY)).state is PASS
    judged = missed(alma(kernel_release=kernel, at=out + 91 * DAY))
    assert judged.state is FAIL
    assert judged.text.startswith("A kernel update out for more than 90 days")
    assert "ALSA-2026:59723 of 2026-08-26" in judged.text
    assert judged.expected == "kernel 5.14.0-687.42.1.el9_8 or newer"


def test_the_very_package_is_not_missed():
    """687.42.1 itself runs: it is not missed, however long ago it came out."""
    facts = alma(kernel_release="5.14.0-687.42.1.el9_8.x86_64", at=day("2026-11-26"))
    assert missed(facts).state is PASS
    one_before = alma(kernel_release="5.14.0-687.41.1.el9_8.x86_64", at=facts.at)
    assert missed(one_before).state is FAIL


def test_an_update_that_does_not_bear_on_memory_counts():
    """ALSA-2026:66000 (553.160.1) repairs nothing of memory; who lacks it has missed an update."""
    facts = alma(os_version_id="8.10", at=day("2026-12-09"))
    before, at = (
        missed(replace(facts, kernel_release=f"4.18.0-553.{number}.1.el8_10.x86_64"))
        for number in (159, 160)
    )
    assert before.state is FAIL
    assert "ALSA-2026:66000" in before.text
    assert at.state is PASS


def test_some_updates_accuse_and_do_not_acquit():
    """Of the spring the table knows those about memory alone: there may be one that is missed."""
    facts = alma(at=day("2026-08-25"))
    assert missed(facts).state is PASS, "a kernel of this week missed nothing of the spring"
    unlisted = replace(facts, kernel_release="5.14.0-687.25.2.el9_8.x86_64")
    judged = missed(unlisted)
    assert judged.state is UNKNOWN
    assert "the table has only some" in judged.text
    old = missed(replace(facts, kernel_release=OLD))
    assert old.state is FAIL
    assert old.text.startswith("At least ")
    first = alma(kernel_release="5.14.0-687.40.1.el9_8.x86_64", at=day("2026-11-26"))
    assert missed(first).text.startswith("At least 2 kernel updates")
    between = alma(kernel_release="5.14.0-687.46.1.el9_8.x86_64", at=day("2026-12-24"))
    assert missed(between).text.startswith("At least 2 kernel updates")


def test_an_old_table_still_accuses_and_no_longer_acquits():
    """What is missed stays missed; that nothing is, needs a table of the last ninety days."""
    later = DECIDABLE + 200 * DAY
    assert missed(alma(at=DECIDABLE)).state is PASS
    assert missed(alma(at=later, kernel_release=OLD)).state is FAIL
    assert (
        "The advisories known end on 2026-09-14" in missed(alma(at=later, kernel_release=OLD)).text
    )
    assert "advisories known" not in missed(alma(kernel_release=OLD)).text
    fresh_kernel = alma(at=later, kernel_release="5.14.0-900.1.1.el9_8.x86_64")
    judged = missed(fresh_kernel)
    assert judged.state is UNKNOWN
    assert "older than 90 days" in judged.text


def test_enterprise_linux_7_is_not_counted():
    """Its updates are not all in the table."""
    assert missed(rhel7()).state is NOT_APPLICABLE


def test_a_paid_stream_has_numbers_of_its_own():
    """RHEL 9.4 with an EUS kernel: undecided while EUS lasts, missed once it is over."""
    facts = alma(os_id="rhel", os_version_id="9.4", kernel_release="5.14.0-427.99.1.el9_4.x86_64")
    assert missed(replace(facts, at=day("2026-03-01"))).state is UNKNOWN
    assert missed(replace(facts, at=day("2028-06-01"))).state is FAIL
    same_numbers = replace(facts, os_id="almalinux", at=day("2026-03-01"))
    assert missed(same_numbers).state is FAIL


def test_livepatched_kernels():
    """By what they amount to, where that is shown; else undecided, never accused."""
    patched = alma(kernel_release=OLD, livepatches=("kpatch_5_14_0_427_13_1_1_7",))
    assert missed(patched).state is UNKNOWN
    assert faults(replace(patched, transparent_hugepage="always")).state is UNKNOWN
    effective = replace(patched, effective_release="5.14.0-687.47.1.el9_8.x86_64")
    assert missed(replace(effective, at=DECIDABLE)).state is PASS
    assert faults(effective).state is PASS
    behind = replace(patched, effective_release="5.14.0-503.31.1.el9_5.x86_64")
    assert missed(behind).state is FAIL
    assert missed(behind).reads == ("/kernel_release", "/effective_release")


# KRN-004


def test_newer_of_the_same_flavour():
    """The newest one is named, by its place among the installed ones."""
    judged = booted(
        alma(
            kernel_release=OLD,
            installed_kernels=(OLD, "5.14.0-503.31.1.el9_5.x86_64", "5.14.0-570.12.1.el9_6.x86_64"),
        )
    )
    assert judged.state is FAIL
    assert judged.reads == ("/kernel_release", "/installed_kernels/2")
    assert "5.14.0-570.12.1.el9_6.x86_64 is installed" in judged.text


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, PASS),
        ({"installed_kernels": ()}, PASS),
        ({"installed_kernels": None}, UNKNOWN),
        ({"kernel_release": None}, UNKNOWN),
        ({"container": "docker"}, NOT_APPLICABLE),
        ({"kernel_release": OLD, "livepatches": ("kpatch",)}, PASS),
        ({"installed_kernels": ("5.14.0-999.1.1.el9_8.x86_64+debug",)}, PASS),
        ({"installed_kernels": ("5.14.0-999.1.1.el9_8.x86_64+rt",)}, PASS),
        ({"installed_kernels": ("6.8.9-1.el9.elrepo.x86_64",)}, PASS),
        ({"installed_kernels": ("5.14.0-999.1.1.el9_8.x86_64",)}, FAIL),
    ],
)
def test_what_counts_as_newer(changes, state):
    """Not debug, rt or another maker's; and not while the kernel is livepatched."""
    assert booted(alma(**changes)).state is state


# KRN-005


def test_the_host_of_the_incident():
    """7.6 GA can be taken down from the network: critical, whatever is loaded."""
    judged = faults(rhel7())
    assert judged.state is FAIL
    assert judged.severity is Severity.CRITICAL
    assert "28 known memory or panic faults" in judged.text
    assert "CVE-2019-11477" in judged.text
    assert judged.expected == "kernel 3.10.0-1160.88.1.el7 or newer"
    assert "RHSA-2019:1481" in judged.reference
    assert "advisories known end on 2020-09-29" in judged.text


def test_only_what_can_be_reached_counts():
    """vfio, vhost_net, ipmi and DAX faults appear with the module or the mount, not before."""
    bare = rhel7("3.10.0-957.21.3.el7.x86_64", os_id="centos")

    before = reachable(bare)
    assert faults(bare).severity is Severity.HIGH
    assert reachable(replace(bare, modules=("vhost_net",))) - before == {"CVE-2019-3900"}
    more = reachable(replace(bare, modules=("vhost_net", "vfio_pci", "ipmi_si")))
    assert more - before == {"CVE-2019-3900", "CVE-2019-3882", "CVE-2019-19046"}
    assert f"{len(before)} of them reachable here" in faults(bare).text
    dax = MountFacts(device="/dev/pmem0", path="/data", kind="xfs", options=("rw", "dax"))
    assert reachable(replace(bare, mounts=(dax,))) - before == {"CVE-2020-10757"}
    evidence = faults(replace(bare, modules=("xfs", "vhost_net"))).reads
    assert "/modules/1" in evidence


def test_unseen_needs_are_counted_and_never_fine():
    """Without modules and mounts, what they would decide stays open in words."""
    judged = faults(rhel7(modules=None, mounts=None))
    assert judged.state is FAIL
    assert "more could not be decided" in judged.text
    nothing_else = alma(
        kernel_release="6.12.0-211.18.1.el10_2.x86_64",
        os_version_id="10.2",
        transparent_hugepage=None,
    )
    # Later than this package: shmem (everywhere), slab debugging and KSM.
    assert faults(nothing_else).state is FAIL
    only_zswap = alma(
        os_version_id="8.10", kernel_release="4.18.0-553.82.1.el8_10.x86_64", zswap=None
    )
    assert faults(only_zswap).state is UNKNOWN
    assert faults(replace(only_zswap, zswap=False)).state is PASS
    assert faults(replace(only_zswap, zswap=True)).state is FAIL


def test_faults_that_came_later_are_not_in_older_kernels():
    """DAX and mremap (CVE-2020-10757) begin with build 862: 693 does not have that one."""
    dax = (MountFacts(device="/dev/pmem0", path="/data", kind="xfs", options=("dax",)),)
    new = faults(rhel7("3.10.0-862.el7.x86_64", os_id="centos", mounts=dax)).text
    old = faults(rhel7("3.10.0-693.el7.x86_64", os_id="centos", mounts=dax)).text
    assert "28 known memory" in new
    assert "27 known memory" in old


def test_the_fixes_of_a_paid_stream():
    """7.6 EUS repaired mincore in 957.35.1: RHEL with 957.36 has it, and 957.34 does not."""
    assert "25 known" in faults(rhel7("3.10.0-957.21.3.el7.x86_64")).text
    before, at, after = (
        faults(rhel7(f"3.10.0-957.{number}.1.el7.x86_64")) for number in ("34", "35", "36")
    )
    assert "CVE-2019-5489" in before.text
    assert "CVE-2019-5489" not in at.text
    assert "CVE-2019-5489" not in after.text
    centos = faults(rhel7("3.10.0-957.21.3.el7.x86_64", os_id="centos"))
    assert centos.expected == "kernel 3.10.0-1160.88.1.el7 or newer"
    # What the table has no EUS package for may be repaired there all the same.
    assert "CVE-2018-16885" not in after.text


def test_a_paid_stream_that_is_not_in_the_table():
    """RHEL 9.4 EUS: its packages are unknown here, so open is not said, and neither is fine."""
    facts = alma(
        os_id="rhel",
        os_version_id="9.4",
        kernel_release="5.14.0-427.99.1.el9_4.x86_64",
        transparent_hugepage="always",
    )
    judged = faults(facts)
    assert judged.state is UNKNOWN
    assert "stream" in judged.text
    assert faults(replace(facts, os_id="rocky")).state is FAIL


def test_kernels_that_somebody_else_rebuilds():
    """TuxCare's carry fixes under numbers of their own: nothing is open for sure."""
    name = "3.10.0-957.el7{}.x86_64"
    rebuilt = faults(rhel7(name.format(".tuxcare.els5"), os_id="centos"))
    assert rebuilt.state is UNKNOWN
    assert faults(rhel7(name.format(""), os_id="centos")).state is FAIL


def test_after_the_last_fix_of_the_table():
    """1160.88.1 lacks none that are known of 7, which are not all: undecided. A fresh table
    acquits."""
    assert faults(rhel7("3.10.0-1160.87.1.el7.x86_64")).state is FAIL
    assert faults(rhel7("3.10.0-1160.88.1.el7.x86_64")).state is UNKNOWN
    assert faults(alma()).state is PASS
    assert faults(alma(at=FRESH + 60 * DAY)).state is UNKNOWN


def test_only_what_was_out_by_then():
    """A host of early 2025 is not blamed for an advisory of 2026."""
    facts = alma(
        os_version_id="9.5",
        kernel_release="5.14.0-503.31.1.el9_5.x86_64",
        at=day("2025-03-20"),
        transparent_hugepage="always",
    )
    assert faults(facts).state is PASS
    assert faults(facts, at=FRESH).state is FAIL


@pytest.mark.parametrize(
    ("changes", "cve"),
    [
        ({"zswap": True}, "CVE-2025-21693"),
        ({"modules": ("zram",)}, "CVE-2025-21671"),
        (
            {"swaps": (SwapDevice(name="/dev/zram0", kind="zram", size_bytes=1, used_bytes=0),)},
            "CVE-2025-21671",
        ),
        ({"hugepages_total": 512}, "CVE-2025-38084"),
        ({"numa_node_count": 2}, "CVE-2024-26783"),
        ({"units": (unit("a.service", memory_max_bytes=1),)}, "CVE-2022-0480"),
        ({"kubernetes": True}, "CVE-2022-0480"),
        ({"cmdline": "ro slub_debug=FZP"}, "CVE-2025-39843"),
        ({"transparent_hugepage": "madvise"}, "CVE-2025-37958"),
    ],
)
def test_each_need(changes, cve):
    """What a fault needs, seen on the host, brings it up; without it the fault is not reached."""
    facts = alma(kernel_release="5.14.0-362.8.1.el9_3.x86_64")
    assert cve not in reachable(facts)
    assert cve in reachable(replace(facts, **changes))


def reachable(facts):
    """The CVEs that are open in the host's kernel and reached on it."""
    tables = shipped()
    found = exposure(kernel_of(facts.kernel_release, facts.os_id), facts.os_id, tables, facts.at)
    return {fix.flaw.cve for fix in found.open if reached(fix.flaw.needs, facts)}

"""KRN-001, 002, 006, 007: whether this system and its kernel still get fixes, and from whom."""

import pytest
from tests.fakes.facts import healthy
from tests.fakes.kernels import FRESH, alma, rhel7

from forestall.audit.posture import Posture
from forestall.audit.rules import (
    krn001_past_maintenance,
    krn002_not_last_minor,
    krn003_missed_updates,
    krn005_open_faults,
    krn006_never_rebooted,
    krn007_foreign_kernel,
)
from forestall.audit.tables.nouns import day
from forestall.audit.terms import Terms
from forestall.model.finding import FindingState, Severity
from forestall.units import DAY

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = (
    FindingState.PASS,
    FindingState.FAIL,
    FindingState.UNKNOWN,
    FindingState.NOT_APPLICABLE,
)


def past(facts, **terms):
    return krn001_past_maintenance.judge(Posture(facts, Terms(**terms)))


def minor(facts, **terms):
    return krn002_not_last_minor.judge(Posture(facts, Terms(**terms)))


def uptime(facts, **terms):
    return krn006_never_rebooted.judge(Posture(facts, Terms(**terms)))


def foreign(facts):
    return krn007_foreign_kernel.judge(Posture(facts))


# KRN-001


def test_the_day_after_the_end():
    """RHEL 7's maintenance ended on 2024-06-30: that day is the last fine one."""
    last = day("2024-06-30") + DAY
    assert past(rhel7(at=last - 1)).state is PASS
    judged = past(rhel7(at=last))
    assert judged.state is FAIL
    assert judged.severity is Severity.CRITICAL
    assert "since 2024-06-30" in judged.text
    assert "ELS was not seen" in judged.text


@pytest.mark.parametrize(
    ("os_id", "version", "last_day"),
    [
        ("rhel", "8.10", "2029-05-31"),
        ("centos", "7", "2024-06-30"),
        ("almalinux", "9.4", "2032-05-31"),
        ("rocky", "8.9", "2029-05-31"),
        ("ol", "7.9", "2024-12-31"),
        ("debian", "12", "2028-06-30"),
        ("debian", "11", "2026-08-31"),
        ("ubuntu", "20.04", "2025-05-31"),
        ("ubuntu", "22.04", "2027-04-01"),
        ("sles", "15.5", "2024-12-31"),
        ("sles", "12.5", "2024-10-31"),
        ("amzn", "2", "2026-06-30"),
        ("amzn", "2023", "2029-06-30"),
        ("alpine", "3.19.1", "2025-11-01"),
    ],
)
def test_the_last_day_of_each_distribution(os_id, version, last_day):
    """The end is that of ordinary maintenance (for Debian of LTS), and falls on that day."""
    facts = healthy(os_id=os_id, os_version_id=version, os_name=None)
    assert past(facts, at=day(last_day) + DAY - 1).state is PASS
    assert past(facts, at=day(last_day) + DAY).state is FAIL


def test_a_paid_extension_makes_it_medium():
    """By what the site says or the host shows, for as long as that lasts."""
    facts = rhel7()
    said = past(facts, extended_support_until=day("2026-01-01"))
    shown = past(rhel7(extended_support="els"))
    assert (said.state, said.severity) == (FAIL, Severity.MEDIUM)
    assert "until 2026-01-01" in said.text
    assert (shown.state, shown.severity) == (FAIL, Severity.MEDIUM)
    assert "els goes on until 2029-05-31" in shown.text
    over = past(facts, extended_support_until=day("2024-10-01"))
    assert over.severity is Severity.CRITICAL
    ended = past(rhel7(at=day("2029-06-01"), extended_support="els"))
    assert ended.severity is Severity.CRITICAL
    assert "ELS has ended too" in ended.text


def test_an_interim_release_has_no_paid_extension():
    """Ubuntu Pro is for the long releases alone."""
    facts = healthy(os_id="ubuntu", os_version_id="24.10", os_name="Ubuntu 24.10")
    judged = past(facts, at=day("2026-08-01"))
    assert judged.state is FAIL
    assert "no Ubuntu Pro is known for it" in judged.text


def test_a_stream_for_a_minor_does_not_extend_the_major():
    """EUS keeps a minor release alive; RHEL 7 ends all the same."""
    assert past(rhel7(extended_support="eus")).severity is Severity.CRITICAL


def test_centos_stream_is_another_product():
    """CentOS Linux 8 ended in 2021, Stream 8 in 2024."""
    stream = healthy(os_id="centos", os_version_id="8", os_name="CentOS Stream 8")
    linux = healthy(os_id="centos", os_version_id="8", os_name="CentOS Linux 8")
    at = day("2023-01-01")
    assert past(stream, at=at).state is PASS
    assert past(linux, at=at).state is FAIL


def test_without_os_release():
    """Enterprise Linux 6 has only the line of /etc/redhat-release."""
    facts = healthy(
        os_id=None,
        os_version_id=None,
        os_name="Red Hat Enterprise Linux Server release 6.10 (Santiago)",
    )
    judged = past(facts, at=day("2021-01-01"))
    assert judged.state is FAIL
    assert "2020-11-30" in judged.text


def test_what_is_not_in_the_table_is_unknown():
    """An unknown system is neither fine nor accused."""
    assert past(healthy(os_id="tinycore", os_version_id="15", os_name=None)).state is UNKNOWN
    assert past(healthy(os_id=None, os_version_id=None, os_name=None)).state is UNKNOWN
    newer = past(healthy(os_id="ubuntu", os_version_id="38.04", os_name="Ubuntu 38.04"))
    assert newer.state is UNKNOWN
    assert newer.severity is Severity.MEDIUM
    assert "refresh" in newer.remedy


def test_a_debian_whose_version_was_not_read_is_unknown():
    """It is not taken for testing, which has no version to read."""
    release = healthy(os_id="debian", os_version_id=None, os_name="Debian GNU/Linux 12 (bookworm)")
    assert past(release).state is UNKNOWN
    assert past(healthy(os_id="debian", os_version_id=None, os_name=None)).state is UNKNOWN


def test_rolling_distributions_have_no_end():
    """Arch, and Debian's testing, which names no version."""
    assert past(healthy(os_id="arch", os_version_id=None)).state is NOT_APPLICABLE
    testing = healthy(os_id="debian", os_version_id=None, os_name="Debian GNU/Linux forky/sid")
    assert past(testing).state is NOT_APPLICABLE


def test_old_dates_say_so():
    """A finding by a table older than half a year tells its age."""
    judged = past(rhel7(at=day("2028-08-22")))
    assert "dates 731 days old" in judged.text
    assert "days old" not in past(rhel7()).text
    fine = past(alma(at=FRESH + 200 * DAY))
    assert fine.state is PASS
    assert "dates 227 days old" in fine.text


# KRN-002


def test_older_minor():
    """Build 957 is 7.6; 1160 is the last, and a z-stream of it stays the last."""
    judged = minor(rhel7())
    assert judged.state is FAIL
    assert "7.6" in judged.text
    assert "7.9" in judged.text
    assert minor(rhel7("3.10.0-957.21.3.el7.x86_64")).state is FAIL
    assert minor(rhel7("3.10.0-1160.el7.x86_64")).state is PASS
    assert minor(rhel7("3.10.0-1160.119.1.el7.x86_64")).state is PASS


def test_an_open_major_and_its_newest_minor():
    """The newest that was out at the time, with a quarter of a year to follow."""
    kernel = "5.14.0-611.20.1.el9_7.x86_64"
    assert minor(alma()).state is PASS
    assert minor(alma(kernel_release=kernel, at=day("2026-03-01"))).state is PASS
    assert minor(alma(kernel_release=kernel, at=day("2026-06-15"))).state is PASS
    judged = minor(alma(kernel_release=kernel, at=day("2026-09-15")))
    assert judged.state is FAIL
    assert "so far is 9.8" in judged.text


def test_an_old_map_no_longer_acquits():
    """After half a year there may be a newer minor release; of a closed major there is none."""
    late = FRESH + 200 * DAY
    judged = minor(alma(at=late))
    assert judged.state is UNKNOWN
    assert "older than 180 days" in judged.text
    assert minor(rhel7("3.10.0-1160.el7.x86_64", at=late)).state is PASS


def test_eus_is_red_hats_alone():
    """RHEL 9.6 has fixes until 2027-05-31; AlmaLinux 9.6 had them until 9.7 came."""
    facts = alma(kernel_release="5.14.0-570.35.1.el9_6.x86_64")
    rhel = alma(kernel_release="5.14.0-570.35.1.el9_6.x86_64", os_id="rhel", os_version_id="9.6")
    assert minor(facts).state is FAIL
    assert minor(rhel).state is PASS
    unnamed = alma(kernel_release="5.14.0-570.35.1.el9_6.x86_64", os_id=None, os_name=None)
    assert minor(unnamed).state is UNKNOWN
    assert minor(unnamed, at=day("2027-06-02")).state is FAIL
    over = minor(rhel, at=day("2027-06-02"))
    assert over.state is FAIL
    assert "EUS ended on 2027-05-31" in over.text


def test_e4s_counts_where_it_is_shown():
    """SAP's four years are paid for separately, and the host must show them."""
    kernel = "4.18.0-477.10.1.el8_8.x86_64"
    at = day("2026-01-01")
    plain = alma(kernel_release=kernel, os_id="rhel", os_version_id="8.8", at=at)
    paid = alma(
        kernel_release=kernel, os_id="rhel", os_version_id="8.8", at=at, extended_support="e4s"
    )
    assert minor(plain).state is FAIL
    assert minor(paid).state is PASS


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (healthy(), NOT_APPLICABLE),
        (rhel7("5.4.278-1.el7.elrepo.x86_64"), NOT_APPLICABLE),
        (rhel7(container="docker"), NOT_APPLICABLE),
        (rhel7(None), UNKNOWN),
        (rhel7("3.10.0-99999.el7.x86_64"), UNKNOWN),
        (
            alma(kernel_release="5.14.0-480.el9.x86_64", os_id="centos", os_name="CentOS Stream 9"),
            NOT_APPLICABLE,
        ),
    ],
)
def test_kernels_without_a_minor_release(facts, state):
    """Another maker's has none; one that is not in the map is not known."""
    assert minor(facts).state is state


def test_a_clusters_kernel_is_its_versions():
    """Red Hat CoreOS runs a stream of its own: the tables of RHEL accuse it of nothing."""
    facts = alma(os_id="rhcos", os_version_id="4.16", os_name="Red Hat Enterprise Linux CoreOS")
    for rule in (krn002_not_last_minor, krn003_missed_updates, krn005_open_faults):
        judged = rule.RULE.judge(Posture(facts, Terms(at=day("2026-08-01"))))
        assert judged.state is UNKNOWN
        assert "cluster's version" in judged.text


# KRN-006


def test_uptime():
    """A year by default, what the site says otherwise; as of when the facts were read."""
    at = day("2024-11-15")
    old = rhel7(booted_at=at - 366 * DAY)
    assert uptime(rhel7(booted_at=at - 365 * DAY)).state is PASS
    judged = uptime(old)
    assert judged.state is FAIL
    assert "366 days" in judged.text
    assert uptime(old, uptime_limit_days=400).state is PASS
    assert uptime(rhel7(booted_at=at - 10 * DAY), at=at + 900 * DAY).state is PASS


def test_uptime_of_what_is_not_ours_or_not_known():
    """A container sees the host's boot; a livepatched kernel is fixed while it runs."""
    long = {"booted_at": day("2020-01-01")}
    assert uptime(rhel7(container="lxc", **long)).state is NOT_APPLICABLE
    assert uptime(rhel7(booted_at=None)).state is UNKNOWN
    assert uptime(rhel7(livepatches=("kpatch_957",), **long)).state is PASS
    assert uptime(rhel7(booted_at=10.0)).state is UNKNOWN
    assert uptime(rhel7(booted_at=day("2000-01-01"))).state is UNKNOWN
    assert uptime(rhel7(booted_at=day("2006-01-01"))).state is FAIL


# KRN-007


@pytest.mark.parametrize(
    ("os_id", "release", "state"),
    [
        ("rhel", "3.10.0-957.el7.x86_64", PASS),
        ("rhel", "5.14.0-427.13.1.el9_4.x86_64+rt", PASS),
        ("centos", "3.10.0-957.el7.centos.plus.x86_64", PASS),
        ("rhel", "6.8.9-1.el9.elrepo.x86_64", FAIL),
        ("rocky", "6.9.3", FAIL),
        ("ol", "5.4.17-2136.307.3.1.el8uek.x86_64", FAIL),
        ("ol", "4.18.0-553.8.1.el8_10.x86_64", PASS),
        ("debian", "6.1.0-28-amd64", PASS),
        ("debian", "6.8.4-2-pve", PASS),
        ("debian", "6.9.3", FAIL),
        ("ubuntu", "6.8.0-1008-aws", PASS),
        ("ubuntu", "6.8.0-060800-generic", FAIL),
        ("sles", "5.14.21-150500.55.7-default", PASS),
        ("amzn", "6.1.79-99.164.amzn2023.x86_64", PASS),
        ("alpine", "6.6.31-0-lts", PASS),
        ("arch", "6.8.9-zen1-1-zen", PASS),
        ("gentoo", "6.6.30-gentoo", NOT_APPLICABLE),
        ("rhel", None, UNKNOWN),
        ("debian", "6.12.9-amd64", PASS),
        ("debian", "6.13~rc7-cloud-amd64", PASS),
        ("debian", "6.12.9-mine", FAIL),
        ("ubuntu", "6.12.9-amd64", FAIL),
        ("ubuntu", "5.15.167.4-microsoft-standard-WSL2", NOT_APPLICABLE),
    ],
)
def test_whose_kernel(os_id, release, state):
    """The distribution's flavours are its own; another maker's kernel is not."""
    assert foreign(healthy(os_id=os_id, os_name=None, kernel_release=release)).state is state


def test_a_container_runs_somebody_elses_kernel():
    """A Debian container on Enterprise Linux is no Debian with a foreign kernel."""
    facts = healthy(container="podman", kernel_release="5.14.0-427.13.1.el9_4.x86_64")
    assert foreign(facts).state is NOT_APPLICABLE


def test_uek_is_maintained():
    """Oracle's second kernel is no stranger, only not in the table."""
    facts = alma(os_id="ol", os_version_id="9.4", kernel_release="5.15.0-205.el9uek.x86_64")
    judged = foreign(facts)
    assert judged.state is FAIL
    assert "maintained" in judged.text
    assert krn007_foreign_kernel.RULE.severity is Severity.LOW


def test_fresh_hosts_pass():
    """An up-to-date host has none of these findings."""
    facts = alma()
    assert facts.at == FRESH
    assert [rule(facts).state for rule in (past, minor, uptime, foreign)] == [PASS] * 4

"""Every advisory of the shipped table against kernels one older, the same, and one newer."""

import re

import pytest

from forestall.audit.exposure import exposure
from forestall.audit.kernels import kernel_of
from forestall.audit.tables import shipped
from forestall.audit.tables.nouns import day

LATER = day("2026-10-01")

ROWS = [
    (one, cve) for one in shipped().advisories.advisories for cve in one.cves if one.stream is None
]


def neighbours(fixed):
    """The package before and after: the number before `.elX`, one less and one more."""
    match = re.fullmatch(r"(.*-(?:.*\.)?)(\d+)(\.el\d.*)", fixed)
    number = int(match[2])
    return [f"{match[1]}{number + step}{match[3]}" for step in (-1, 0, 1)]


def lacks(package, cve, system="centos"):
    """Whether a kernel of this package lacks the fix; but for Red Hat's, no paid streams count."""
    kernel = kernel_of(f"{package}.x86_64", system)
    found = exposure(kernel, system, shipped(), LATER)
    return cve in {fix.flaw.cve for fix in (*found.open, *found.undecided)}


@pytest.mark.parametrize(("advisory", "cve"), ROWS, ids=lambda one: getattr(one, "id", one))
def test_before_at_and_after_the_fix(advisory, cve):
    """The kernel before lacks the fix, the fixed one and the one after have it."""
    first = min(
        (one for one in shipped().fixes(advisory.el, advisory.base)[cve] if one.minor is None),
        key=lambda fix: fix.key,
    )
    before, at, after = neighbours(first.advisory.fixed)
    assert [lacks(package, cve) for package in (before, at, after)] == [True, False, False]


UPDATES = [one for one in shipped().advisories.advisories if one.stream is None]
PAID = [
    (one, cve)
    for one in shipped().advisories.advisories
    for cve in one.cves
    if one.stream is not None
]


@pytest.mark.parametrize("advisory", UPDATES, ids=lambda one: one.id)
def test_before_at_and_after_an_update(advisory):
    """The kernel before misses the update, the updated one and the one after do not."""
    packages = {
        id(kernel): exposure(kernel, "centos", shipped(), LATER)
        for kernel in (kernel_of(f"{one}.x86_64", "centos") for one in neighbours(advisory.fixed))
    }
    missed = [
        advisory.fixed
        in {update.advisory.fixed for update in (*found.missed, *found.missed_undecided)}
        for found in packages.values()
    ]
    assert missed == [True, False, False]


@pytest.mark.parametrize(("advisory", "cve"), PAID, ids=lambda one: getattr(one, "id", one))
def test_before_at_and_after_the_fix_of_a_paid_stream(advisory, cve):
    """Within the stream of its minor release, on Red Hat's own system, it is the same."""
    first = min(
        (
            fix
            for fix in shipped().fixes(advisory.el, advisory.base)[cve]
            if fix.advisory.stream == advisory.stream
        ),
        key=lambda fix: fix.key,
    )
    before, at, after = neighbours(first.advisory.fixed)
    assert [lacks(package, cve, "rhel") for package in (before, at, after)] == [True, False, False]


def test_one_package_is_one_update():
    """RHSA-2023:2951 and ALSA-2023:2951 are the same kernel: missing it is missing one update."""
    fixed = [one.advisory.fixed for one in shipped().updates(8, "4.18.0")]
    assert "4.18.0-477.10.1.el8_8" in fixed
    assert len(fixed) == len(set(fixed))


def test_how_many():
    """Fixes of Enterprise Linux 8 to 10 by AlmaLinux, faults of 7 by hand, and updates alone."""
    alma = [(one, cve) for one, cve in ROWS if one.id.startswith("ALSA-")]
    seven = {cve for one, cve in ROWS if one.el == 7}
    assert len(alma) == 66
    assert len(seven) == 28
    assert len([one for one in UPDATES if not one.cves]) == 12


@pytest.mark.parametrize("el", [8, 9, 10])
def test_every_update_is_there_where_the_table_says_so(el):
    """From the first day of that on, the packages are of one minor release, each a later one."""
    tables = shipped()
    since, until = tables.complete_since(el), tables.covered_until(el)
    base = {8: "4.18.0", 9: "5.14.0", 10: "6.12.0"}[el]
    there = [one for one in tables.updates(el, base) if since <= one.at <= until]
    assert there[0].at == since
    assert there[-1].at == until
    assert [one.at for one in there] == sorted(one.at for one in there)
    assert len({one.advisory.fixed.rpartition(".el")[2] for one in there}) == 1


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("3.10.0-957.21.3.el7.x86_64", "7.6"),
        ("3.10.0-1160.119.1.el7.x86_64", "7.9"),
        ("2.6.32-754.35.1.el6.x86_64", "6.10"),
        ("4.18.0-80.4.2.el8_0.x86_64", "8.0"),
        ("4.18.0-553.157.1.el8_10.x86_64", "8.10"),
        ("5.14.0-687.38.1.el9_8.x86_64", "9.8"),
        ("6.12.0-211.46.1.el10_2.x86_64", "10.2"),
        ("5.14.0-480.el9.x86_64", None),
    ],
)
def test_the_map_of_minor_releases(release, name):
    """Build and suffix lead to the minor release, for each major."""
    minor = shipped().minor_of(kernel_of(release, None))
    assert (minor.name if minor else None) == name


def test_every_advisory_has_its_place_in_the_map():
    """The suffix elX_Y of each package agrees with the build of the map."""
    tables = shipped()
    for one in tables.advisories.advisories:
        minor = tables.minor_of(kernel_of(f"{one.fixed}.x86_64", None))
        assert minor is not None, one.fixed
        if one.stream is not None:
            assert minor.name == one.stream

"""Every advisory of the shipped table against kernels one older, the same, and one newer."""

import re

import pytest

from forestall.audit.exposure import exposure
from forestall.audit.kernels import kernel_of
from forestall.audit.tables import shipped
from forestall.audit.tables.nouns import day

LATER = day("2026-08-25")

ROWS = [
    (one, cve) for one in shipped().advisories.advisories for cve in one.cves if one.stream is None
]


def neighbours(fixed):
    """The package before and after: the number before `.elX`, one less and one more."""
    match = re.fullmatch(r"(.*-(?:.*\.)?)(\d+)(\.el\d.*)", fixed)
    number = int(match[2])
    return [f"{match[1]}{number + step}{match[3]}" for step in (-1, 0, 1)]


def lacks(package, cve):
    """Whether a kernel of this package, of a system without paid streams, lacks the fix."""
    kernel = kernel_of(f"{package}.x86_64", "centos")
    found = exposure(kernel, "centos", shipped(), LATER)
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


def test_how_many():
    """52 fixes of Enterprise Linux 8 to 10 by AlmaLinux, and the 22 faults of 7 by hand."""
    alma = [(one, cve) for one, cve in ROWS if one.id.startswith("ALSA-")]
    seven = {cve for one, cve in ROWS if one.el == 7}
    assert len(alma) == 52
    assert len(seven) == 22


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

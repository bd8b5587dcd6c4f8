"""What other tools' users reported as false findings about kernels, each as a host: none here.

The issues are public; the hosts are made after them.
"""

import pytest
from tests.fakes.facts import healthy
from tests.fakes.kernels import alma, rhel7

from forestall.audit.findings import audit
from forestall.audit.versions import compare_rpm
from forestall.model.finding import FindingState

QUIET = {"livepatches": ()}


def failing(facts):
    return {one.rule for one in audit(facts) if one.state is FindingState.FAIL}


CASES = {
    "lynis 999: a rescue image is no newer kernel": alma(
        installed_kernels=(
            "5.14.0-687.38.1.el9_8.x86_64",
            "0-rescue-8a6b1f0c2d3e4f5a6b7c8d9e0f1a2b3c",
            "vmlinuz-0-rescue-8a6b1f0c2d3e4f5a6b7c8d9e0f1a2b3c",
        )
    ),
    "lynis 1259: an older kernel that was kept": healthy(
        kernel_release="6.1.0-28-amd64",
        installed_kernels=("6.1.0-28-amd64", "6.1.0-9-amd64", "6.1.0-27-amd64"),
        **QUIET,
    ),
    "lynis 1700: linux-zen beside linux-hardened": healthy(
        os_id="arch",
        os_version_id=None,
        kernel_release="6.8.9-zen1-1-zen",
        installed_kernels=("6.8.9-zen1-1-zen", "6.9.1-hardened1-1-hardened", "6.9.1-arch1-1"),
        **QUIET,
    ),
    "needrestart 49: an initial RAM disk is no kernel": healthy(
        kernel_release="6.1.0-28-amd64",
        installed_kernels=("6.1.0-28-amd64", "initrd.img-6.1.0-29-amd64"),
        **QUIET,
    ),
    "needrestart 57: a grsecurity kernel by its own string": healthy(
        os_id="gentoo",
        os_version_id=None,
        kernel_release="4.9.24-grsec",
        installed_kernels=("4.9.24-grsec", "4.9.20-grsec", "4.14.1"),
        **QUIET,
    ),
    "needrestart 111: two flavours are installed": healthy(
        kernel_release="6.1.0-28-amd64",
        installed_kernels=("6.1.0-28-amd64", "6.1.0-30-cloud-amd64", "6.1.0-30-rt-amd64"),
        **QUIET,
    ),
    "PatchMon 558: 6.8.0-31 is older than 6.8.0-100": healthy(
        os_id="ubuntu",
        os_version_id="24.04",
        kernel_release="6.8.0-100-generic",
        installed_kernels=("6.8.0-31-generic", "6.8.0-100-generic"),
        **QUIET,
    ),
    "PatchMon 562: a meta-package is no kernel": healthy(
        os_id="ubuntu",
        os_version_id="24.04",
        kernel_release="6.8.0-31-generic",
        installed_kernels=("6.8.0-31-generic", "virtual", "linux-image-virtual", "generic-hwe"),
        **QUIET,
    ),
    "addon_securityadvisor 82: KernelCare patches the running kernel": alma(
        kernel_release="5.14.0-427.13.1.el9_4.x86_64",
        effective_release="5.14.0-687.38.1.el9_8.x86_64",
        livepatches=("kcare",),
    ),
}


@pytest.mark.parametrize("facts", CASES.values(), ids=CASES)
def test_no_false_finding(facts):
    """None of the rules about what runs and what is installed accuses this host."""
    found = failing(facts) & {"KRN-003", "KRN-004", "KRN-005", "KRN-006", "KRN-007"}
    assert found == set()


@pytest.mark.parametrize(
    ("running", "installed", "system"),
    [
        ("6.8.0-31-generic", "6.8.0-100-generic", "ubuntu"),
        ("3.10.0-957.el7.x86_64", "3.10.0-957.21.3.el7.x86_64", "rhel"),
        ("6.8.9-zen1-1-zen", "6.9.1-zen1-1-zen", "arch"),
        ("4.9.24-grsec", "4.9.100-grsec", "gentoo"),
    ],
)
def test_and_no_true_one_is_lost(running, installed, system):
    """The same shapes with a kernel that is newer are found: silence is not the method."""
    facts = healthy(
        os_id=system, kernel_release=running, installed_kernels=(running, installed), **QUIET
    )
    assert "KRN-004" in failing(facts)


def test_risu_z_streams():
    """957.21.3 is newer than 957, and 553.157 than 553.27: nothing is cut off."""
    assert compare_rpm("3.10.0-957.21.3.el7", "3.10.0-957.el7") == 1
    assert compare_rpm("4.18.0-553.157.1.el8_10", "4.18.0-553.27.1.el8_10") == 1
    bare, patched = (
        {one.rule: one for one in audit(rhel7(f"3.10.0-957{z}.el7.x86_64", os_id="centos"))}
        for z in ("", ".21.3")
    )
    assert "CVE-2019-11477" in bare["KRN-005"].text
    assert "CVE-2019-11477" not in patched["KRN-005"].text

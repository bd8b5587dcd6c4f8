"""Hosts for the kernel rules: Enterprise Linux of several makers, kept up to date unless said."""

from forestall.audit.tables.nouns import day
from forestall.units import DAY
from tests.fakes.facts import healthy

FRESH = day("2026-09-18")
"""A few days after the day that the shipped advisories of Enterprise Linux 9 reach to."""

DECIDABLE = day("2026-12-01")
"""A day whose ninety before it lie where the shipped tables know every update of 9."""


def alma(**changes):
    """An AlmaLinux 9.8 host that runs the newest kernel there was and uses nothing special."""
    return healthy(
        **{
            "at": FRESH,
            "hostname": "db02.example",
            "os_id": "almalinux",
            "os_version_id": "9.8",
            "os_name": "AlmaLinux 9.8 (Moss Jungle Cat)",
            "kernel_release": "5.14.0-687.47.1.el9_8.x86_64",
            "installed_kernels": (
                "5.14.0-687.47.1.el9_8.x86_64",
                "5.14.0-687.12.1.el9_8.x86_64",
                "0-rescue-8a6b1f0c2d3e4f5a6b7c8d9e0f1a2b3c",
            ),
            "livepatches": (),
            "booted_at": FRESH - 10 * DAY,
            "units": (),
            "slices": (),
            "modules": ("xfs", "nf_tables", "virtio_net"),
            "mounts": (),
            "zswap": False,
            "transparent_hugepage": "never",
            "hugepages_total": 0,
            "numa_node_count": 1,
            "cmdline": "root=/dev/sda2 ro",
            "sysctls": {
                "kernel.core_pattern": "|/usr/lib/systemd/systemd-coredump %P",
                "user.max_user_namespaces": "0",
                "vm.unprivileged_userfaultfd": "0",
            },
            **changes,
        }
    )


def rhel7(release="3.10.0-957.el7.x86_64", **changes):
    """A RHEL 7 host in 2024, whose other facts are those of `alma`."""
    return alma(
        **{
            "at": day("2024-11-15"),
            "os_id": "rhel",
            "os_version_id": "7.6",
            "os_name": "Red Hat Enterprise Linux Server 7.6 (Maipo)",
            "kernel_release": release,
            "installed_kernels": (release,),
            "booted_at": day("2024-11-15") - 10 * DAY,
            **changes,
        }
    )

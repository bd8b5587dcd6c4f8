"""Needs of a fault: each is met, not met, or not known, and nothing else is a need."""

from dataclasses import replace

import pytest
from tests.fakes.facts import healthy, unit
from tests.fakes.kernels import alma

from forestall.audit.fault_needs import DECIDE, met, places, reached
from forestall.audit.tables.nouns import NEEDS
from forestall.model.facts import MountFacts, SwapDevice
from forestall.model.sample import HostSample

ZRAM = SwapDevice(name="/dev/zram0", kind="zram", size_bytes=1, used_bytes=0)
PMEM = MountFacts(device="/dev/pmem0", path="/data", kind="xfs", options=("rw", "dax=always"))

MET = {
    "module:kvm": {"modules": ("kvm",)},
    "dax": {"mounts": (PMEM,)},
    "zswap": {"zswap": True},
    "zram": {"modules": ("zram",)},
    "zram-swap": {"swaps": (ZRAM,)},
    "memory-limits": {"units": (unit("docker.service"),)},
    "huge-pages": {"sysctls": {"vm.nr_overcommit_hugepages": "64"}},
    "transparent-huge-pages": {"transparent_hugepage": "madvise"},
    "numa": {"numa_node_count": 2},
    "ksm": {"units": (unit("ksmtuned.service"),)},
    "userfaultfd": {"sysctls": {"vm.unprivileged_userfaultfd": "1"}},
    "user-namespaces": {"sysctls": {"user.max_user_namespaces": "15000"}},
    "cores": {"sysctls": {"kernel.core_pattern": "core"}},
    "slab-debug": {"cmdline": "ro slub_debug=P"},
    "16-tib": {"memory": HostSample(mem_total_bytes=2**44)},
}

NOTHING = healthy(
    memory=HostSample(),
    swaps=None,
    units=None,
    slices=None,
    sysctls={},
    modules=None,
    mounts=None,
    zswap=None,
    cmdline=None,
    transparent_hugepage=None,
    numa_node_count=None,
    hugepages_total=None,
    hugetlb_bytes=None,
)


def test_the_vocabulary_is_closed():
    """Each word that a table may use is decided, and each that is decided may be used."""
    assert set(DECIDE) == set(NEEDS)
    assert {need for need in MET if not need.startswith("module:")} == set(NEEDS)


@pytest.mark.parametrize("need", MET)
def test_met_not_met_not_known(need):
    """Seen: yes. Looked for and not there: no. Not looked for: not known, which is not no."""
    bare = alma(
        sysctls={
            "kernel.core_pattern": "|/bin/false",
            "user.max_user_namespaces": "0",
            "vm.nr_overcommit_hugepages": "0",
            "vm.unprivileged_userfaultfd": "0",
        },
        swaps=(),
    )
    assert met(need, replace(bare, **MET[need])) is True
    assert met(need, bare) is False
    assert met(need, NOTHING) is None


def settings(**values):
    """The change of facts that sets these sysctls alone."""
    return {"sysctls": {name.replace("__", "."): value for name, value in values.items()}}


RUNTIMES = ("docker", "containerd", "crio", "kubelet", "podman")


@pytest.mark.parametrize(
    ("need", "changes", "expected"),
    [
        *(("memory-limits", {"units": (unit(f"{name}.service"),)}, True) for name in RUNTIMES),
        ("memory-limits", {"units": (unit("docker.service", active=False),)}, False),
        ("memory-limits", {"units": (unit("x.service", memory_max_bytes=1),)}, True),
        ("memory-limits", {"units": (), "slices": (unit("x", memory_high_bytes=1),)}, True),
        ("memory-limits", {"units": None, "kubernetes": True}, True),
        ("dax", {"mounts": (replace(PMEM, options=("dax",)),)}, True),
        ("zram", {"modules": (), "swaps": (ZRAM,)}, True),
        ("zram", {"modules": None, "swaps": ()}, None),
        ("zram", {"modules": (), "swaps": None}, None),
        ("huge-pages", {"hugepages_total": 1}, True),
        ("huge-pages", {"hugetlb_bytes": 1}, True),
        ("huge-pages", {"hugepages_total": 0, "hugetlb_bytes": None}, None),
        ("huge-pages", {"hugepages_total": None, "hugetlb_bytes": None}, None),
        ("transparent-huge-pages", {"transparent_hugepage": "never"}, False),
        ("numa", {"numa_node_count": 1}, False),
        ("ksm", {"units": (unit("ksm.service"),)}, True),
        ("ksm", {"units": (unit("ksm.service", active=False),)}, False),
        ("cores", settings(kernel__core_pattern=""), False),
        ("cores", settings(kernel__core_pattern="/dev/null"), False),
        ("cores", settings(kernel__core_pattern="|/bin/false\n"), False),
        ("slab-debug", {"cmdline": "slab_debug=P"}, True),
        ("16-tib", {"memory": HostSample(mem_total_bytes=2**44 - 1)}, False),
    ],
)
def test_each_way_to_meet_a_need(need, changes, expected):
    """And each that only looks like one."""
    bare = alma(swaps=(), kubernetes=False, sysctls={})
    assert met(need, replace(bare, **changes)) is expected


def test_any_of_several():
    """One that is met is enough; none met and one unknown is unknown; no needs is everywhere."""
    facts = replace(NOTHING, modules=("kvm",))
    assert reached(("zswap", "module:kvm"), facts) is True
    assert reached(("module:xfs", "zswap"), facts) is None
    assert reached(("module:xfs", "module:vfio"), facts) is False
    assert reached((), NOTHING) is True


def test_evidence_is_what_was_met():
    """A pointer for each met need that stands on one fact, each once."""
    facts = alma(modules=("xfs", "vhost_net"), zswap=True)
    needs = ("module:vhost_net", "module:kvm", "zswap", "zswap", "numa")
    assert places(needs, facts) == ("/modules/1", "/zswap")
    assert places(("module:xfs", "dax"), replace(facts, modules=None, mounts=(PMEM,))) == ()

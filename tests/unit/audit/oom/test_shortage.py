"""What ran out: by the kernel's own test of its watermarks."""

import dataclasses

import pytest
from tests.fakes import oom, oom_hosts
from tests.fakes.oom_logs import explain

from forestall.audit.oom.nouns import Constraint, Event, Gauge, Kind, Pool, Zone
from forestall.audit.oom.shortage import Shortage, gives, ran_out, reachable

KIB = 1024


def zone(name: str, free_kib: int, **more: object) -> Zone:
    fields: dict[str, object] = {
        "name": name,
        "node": 0,
        "free_bytes": free_kib * KIB,
        "min_bytes": 100 * KIB,
        "reserve_pages": (0, 0, 0, 0),
        "free_blocks": ((4096, free_kib // 4),),
        **more,
    }
    return Zone(**fields)  # type: ignore[arg-type]


def event(*zones: Zone, **more: object) -> Event:
    fields = {"kind": Kind.OOM, "line": 1, "last_line": 2, "zones": zones, "order": 0, **more}
    return Event(**fields)  # type: ignore[arg-type]


def test_at_the_watermark_a_zone_gives_nothing():
    """Free pages must stay above `min`, and above what is kept for other requests."""
    assert gives(event(), zone("Normal", 104), 0) is True
    assert gives(event(), zone("Normal", 100), 0) is False
    kept = zone("DMA32", 5_000, reserve_pages=(0, 0, 2_000, 2_000))
    assert gives(event(kept, gfp_mask=0xCC0), kept, 0) is False
    # A request that must lie below 4 GiB may have what is kept for it.
    assert gives(event(kept, gfp_mask=0xCC4), kept, 0) is True


def test_a_block_must_be_there_in_one_piece():
    """Free memory in single pages does not serve a request for eight."""
    pieces = zone("Normal", 5_000)
    assert gives(event(), pieces, 3) is False
    whole = dataclasses.replace(pieces, free_blocks=((4096, 10), (32768, 1)))
    assert gives(event(), whole, 3) is True
    assert gives(event(), dataclasses.replace(pieces, free_blocks=()), 3) is None


def test_the_zones_that_a_request_may_have():
    """By the four zone bits of the gfp mask, which mean the same in all kernels."""
    zones = (zone("DMA", 1), zone("DMA32", 1), zone("Normal", 1), zone("Movable", 1))
    names = {
        mask: [one.name for one in reachable(event(*zones, gfp_mask=mask))]
        for mask in (0x1, 0x4, 0xCC0, 0x140DCA)
    }
    assert names == {
        0x1: ["DMA"],
        0x4: ["DMA", "DMA32"],
        0xCC0: ["DMA", "DMA32", "Normal"],
        0x140DCA: ["DMA", "DMA32", "Normal", "Movable"],
    }


def test_free_cma_pages_serve_movable_requests_alone():
    """The kernel's own memory may not lie in CMA."""
    cma = zone("Normal", 5_000, cma_bytes=4_990 * KIB)
    assert gives(event(cma, gfp_mask=0xCC0), cma, 0) is False
    assert gives(event(cma, gfp_mask=0x140DCA), cma, 0) is True


def test_a_node_is_told_from_the_host():
    """A constraint that the kernel names, and one that shows only in its zones (before 5.0)."""
    bound = event(zone("Normal", 50, node=1), constraint=Constraint.MEMORY_POLICY, nodemask="1")
    assert (ran_out(bound).shortage, ran_out(bound).what) == (
        Shortage.NODES,
        "the memory of NUMA node 1",
    )
    old = event(zone("Normal", 5_000), zone("Normal", 50, node=1), mems_allowed="1")
    assert ran_out(old).shortage is Shortage.NODES
    cpuset = event(zone("Normal", 50), constraint=Constraint.CPUSET, mems_allowed="0", cpuset="/a")
    assert "cpuset /a allows no other" in ran_out(cpuset).because[0]


@pytest.mark.parametrize(
    ("gauges", "what"),
    [
        ({"memory": (1000, 1000)}, "the memory limit of cgroup /a"),
        ({"memory": (500, 1000), "memory+swap": (2000, 2000)}, "the limit of memory and swap"),
        ({"memory": (500, 1000), "kmem": (100, 100)}, "the limit of kernel memory of cgroup /a"),
        ({"memory": (500, None)}, "none of its limits was full"),
    ],
)
def test_which_limit_of_a_cgroup(gauges, what):
    """The gauge that is full is the one that ran out."""
    mib = 1024 * KIB
    pool = Pool(
        path="/a",
        gauges={
            name: Gauge(usage_bytes=used * mib, limit_bytes=None if top is None else top * mib)
            for name, (used, top) in gauges.items()
        },
    )
    found = ran_out(event(constraint=Constraint.MEMCG, pool=pool, limit_cgroup="/a"))
    assert found.shortage is Shortage.CGROUP
    assert what in found.what


def test_a_limit_above_the_victims_cgroup_is_named():
    """A slice's limit is shared by all that is below it."""
    found = ran_out(
        event(constraint=Constraint.MEMCG, limit_cgroup="/apps", victim_cgroup="/apps/web")
    )
    assert any("a level above /apps/web" in text for text in found.because)


@pytest.mark.parametrize(
    ("total", "free", "words"),
    [(0, 0, "no swap"), (100, 0, "All 400 KiB of swap"), (100, 60, "240 KiB of 400 KiB swap")],
)
def test_swap_is_told(total, free, words):
    """None, full, or free and of no help."""
    machine = dataclasses.replace(oom_hosts.ubuntu_tmpfs(), swap_total=total, swap_free=free)
    account = explain(oom.stamped(oom.report(machine))).accounts[0]
    assert any(words in text for text in account.ran_out.because)


def test_memory_that_is_free_again():
    """A report with free zones is not said to be one of a full host."""
    found = ran_out(event(zone("Normal", 90_000)))
    assert found.shortage is Shortage.UNKNOWN
    assert "free again" in found.what


def test_a_request_from_an_interrupt_is_refused():
    """A page allocation failure kills nobody."""
    lines = oom.report(oom_hosts.ubuntu_tmpfs(), kill=False)
    lines[0] = "swapper/0: page allocation failure: order:0, mode:0x820(GFP_ATOMIC)"
    account = explain(oom.stamped(lines)).accounts[0]
    assert account.ending.value == "refused"
    assert account.victims == ()
    assert "The kernel refused swapper/0 memory and killed nobody." in account.headline

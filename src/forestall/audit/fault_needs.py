"""Whether a host has or uses what a fault needs to be reached: need, facts -> yes, no, unknown.

A fault in the code of a module that is not loaded, or of a feature that is not in use, is not
what takes this host down tonight. The needs are data (audit.tables); this decides each of them.
"""

from collections.abc import Callable, Iterable

from forestall.model.facts import HostFacts

TERABYTES_16 = 2**44

MODULE = "module:"

CONTAINER_SERVICES = frozenset(
    {"docker.service", "containerd.service", "crio.service", "kubelet.service", "podman.service"}
)


def reached(needs: tuple[str, ...], facts: HostFacts) -> bool | None:
    """Whether any of `needs` is met; without needs it is reached everywhere. None = not known."""
    if not needs:
        return True
    answer: bool | None = False
    for need in needs:
        found = met(need, facts)
        if found:
            return True
        if found is None:
            answer = None
    return answer


def met(need: str, facts: HostFacts) -> bool | None:
    """Whether one need is met; None = what would tell was not seen."""
    decide = DECIDE.get(need)
    if decide is not None:
        return decide(facts)
    assert need.startswith(MODULE), f"nothing decides {need}"
    return None if facts.modules is None else need[len(MODULE) :] in facts.modules


def places(needs: Iterable[str], facts: HostFacts) -> tuple[str, ...]:
    """Pointers to the facts by which the needs that are met were decided."""
    found = []
    for need in needs:
        if need.startswith(MODULE):
            name = need[len(MODULE) :]
            if facts.modules is not None and name in facts.modules:
                found.append(f"/modules/{facts.modules.index(name)}")
        elif need in PLACES and met(need, facts):
            found.append(PLACES[need])
    return tuple(dict.fromkeys(found))


def _dax(facts: HostFacts) -> bool | None:
    if facts.mounts is None:
        return None
    return any("dax" in mount.options or "dax=always" in mount.options for mount in facts.mounts)


def _zram(facts: HostFacts) -> bool | None:
    if facts.modules is not None and "zram" in facts.modules:
        return True
    on_zram = _zram_swap(facts)
    return on_zram if on_zram or facts.modules is not None else None


def _zram_swap(facts: HostFacts) -> bool | None:
    if facts.swaps is None:
        return None
    return any(swap.kind == "zram" for swap in facts.swaps)


def _memory_limits(facts: HostFacts) -> bool | None:
    """A memory limit of a service or slice, or a container runtime, which sets its own."""
    if facts.kubernetes:
        return True
    if facts.units is None:
        return None
    for unit in (*facts.units, *(facts.slices or ())):
        limited = unit.memory_max_bytes is not None or unit.memory_high_bytes is not None
        if limited or (unit.active and unit.name in CONTAINER_SERVICES):
            return True
    return None if facts.slices is None else False


def _huge_pages(facts: HostFacts) -> bool | None:
    """Reserved, or allowed beyond what is reserved."""
    extra = facts.sysctls.get("vm.nr_overcommit_hugepages")
    if facts.hugepages_total or facts.hugetlb_bytes or extra not in (None, "0"):
        return True
    unread = extra is None or (facts.hugepages_total is None and facts.hugetlb_bytes is None)
    return None if unread else False


def _transparent(facts: HostFacts) -> bool | None:
    mode = facts.transparent_hugepage
    return None if mode is None else mode != "never"


def _numa(facts: HostFacts) -> bool | None:
    return None if facts.numa_node_count is None else facts.numa_node_count > 1


def _ksm(facts: HostFacts) -> bool | None:
    if facts.units is None:
        return None
    return any(
        unit.active and unit.name in ("ksm.service", "ksmtuned.service") for unit in facts.units
    )


def _setting(name: str, *off: str) -> Callable[[HostFacts], bool | None]:
    """A sysctl that is anything but one of `off`."""

    def decide(facts: HostFacts) -> bool | None:
        value = facts.sysctls.get(name)
        return None if value is None else value.strip() not in off

    return decide


def _slab_debug(facts: HostFacts) -> bool | None:
    line = facts.cmdline
    return None if line is None else "slub_debug" in line or "slab_debug" in line


def _huge_host(facts: HostFacts) -> bool | None:
    total = facts.memory.mem_total_bytes
    return None if total is None else total >= TERABYTES_16


DECIDE: dict[str, Callable[[HostFacts], bool | None]] = {
    "dax": _dax,
    "zswap": lambda facts: facts.zswap,
    "zram": _zram,
    "zram-swap": _zram_swap,
    "memory-limits": _memory_limits,
    "huge-pages": _huge_pages,
    "transparent-huge-pages": _transparent,
    "numa": _numa,
    "ksm": _ksm,
    "userfaultfd": _setting("vm.unprivileged_userfaultfd", "0"),
    "user-namespaces": _setting("user.max_user_namespaces", "0"),
    "cores": _setting("kernel.core_pattern", "", "|/bin/false", "/dev/null"),
    "slab-debug": _slab_debug,
    "16-tib": _huge_host,
}

PLACES = {
    "zswap": "/zswap",
    "zram-swap": "/swaps",
    "transparent-huge-pages": "/transparent_hugepage",
    "huge-pages": "/hugepages_total",
    "numa": "/numa_node_count",
    "userfaultfd": "/sysctls/vm.unprivileged_userfaultfd",
    "user-namespaces": "/sysctls/user.max_user_namespaces",
    "cores": "/sysctls/kernel.core_pattern",
    "slab-debug": "/cmdline",
    "16-tib": "/memory/mem_total_bytes",
}
"""Where the fact behind a need stands; the others stand on whole lists, and the text names them."""

"""What is left, in words and in bytes."""

from dataclasses import replace

from tests.fakes.facts import GIB, cgroup, healthy, holder, seed_like

from forestall.audit.headroom import headroom
from forestall.model.facts import SwapDevice
from forestall.model.sample import HostSample

MIB = 1024**2


def test_memory_and_swap_together():
    """Left is MemAvailable plus free swap, out of memory plus swap, each named."""
    room = headroom(seed_like())
    assert (room.left_bytes, room.total_bytes) == (5 * GIB, 36 * GIB)
    assert room.text == (
        "5.0 GiB of 36 GiB left: 3.0 GiB of 32 GiB memory, 2.0 GiB of 4.0 GiB swap (partition)."
    )
    assert room.limit_source is None


def test_no_swap_is_said():
    """A host without swap says so instead of showing a zero."""
    facts = healthy(memory=replace(healthy().memory, swap_total_bytes=0, swap_free_bytes=0))
    assert "no swap." in headroom(facts).text


def test_unread_swap_is_not_no_swap():
    """What could not be read is unknown, not absent."""
    facts = healthy(memory=replace(healthy().memory, swap_total_bytes=None, swap_free_bytes=None))
    assert "swap unknown." in headroom(facts).text


def test_zram_is_explained():
    """Swap in memory is worth less than its size, and the reader is told."""
    facts = healthy(
        swaps=(SwapDevice(name="/dev/zram0", kind="zram", size_bytes=16 * GIB, used_bytes=0),)
    )
    text = headroom(facts).text
    assert "(zram)" in text
    assert "zram keeps swapped pages in memory" in text


def test_nothing_read_is_unknown_with_its_reason():
    """Without meminfo no number is made up."""
    facts = healthy(memory=HostSample(), unseen={"memory": "proc/meminfo cannot be read"})
    room = headroom(facts)
    assert (room.left_bytes, room.total_bytes) == (None, None)
    assert room.text == "How much is left is unknown: proc/meminfo cannot be read."


def test_a_tighter_limit_is_what_is_left():
    """In a container the limit counts, page cache below it as left, and shares are of it."""
    facts = healthy(
        container="docker",
        own_cgroups=(
            cgroup("/", max_bytes=512 * MIB, current_bytes=400 * MIB, file_bytes=50 * MIB),
        ),
        holders=(holder("gunicorn", 1, 256 * MIB),),
    )
    room = headroom(facts)
    assert (room.left_bytes, room.total_bytes) == (162 * MIB, 512 * MIB)
    assert room.limit_source == "/"
    assert room.text.startswith("162 MiB of 512 MiB left below this container's limit.")
    assert room.holders[0].share == 0.5


def test_a_limit_wider_than_the_host_is_not_the_headroom():
    """What the host has left counts where it is less than a limit leaves."""
    facts = seed_like(own_cgroups=(cgroup("/", max_bytes=30 * GIB, current_bytes=0),))
    assert headroom(facts).limit_source is None

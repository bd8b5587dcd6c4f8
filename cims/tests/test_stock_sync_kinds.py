"""Each mistake grows as its table says, its repaired twin does not, and the negatives settle."""

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cims.errors import UsageError
from cims.stock_sync.leaks.kinds import KINDS
from cims.stock_sync.service import queue_of, steps_of
from cims.stock_sync.setting import UPDATES_PER_SECOND, leak_from

GROW = Path(__file__).with_name("grow.py")
GROWING = [kind for kind in KINDS if kind.broken is not None]
UPDATES = 1500


def levels(kind: str, state: str, updates: int = UPDATES) -> list[int]:
    """Resident bytes of a fresh process after each of four rounds."""
    ran = subprocess.run(
        [sys.executable, str(GROW), kind, state, str(updates)],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)["levels"]


@pytest.mark.parametrize("kind", GROWING, ids=lambda kind: kind.name)
def test_a_mistake_grows_by_what_its_table_says_and_its_twin_does_not(kind):
    """Per update within a third of the table; the twin less than a tenth of it."""
    first, *_, last = levels(kind.name, "broken")
    grown = (last - first) / (3 * UPDATES)
    assert kind.bytes_per_update * 0.67 < grown < kind.bytes_per_update * 1.5
    first, *_, last = levels(kind.name, "fixed", 3 * UPDATES)
    assert (last - first) / (9 * UPDATES) < kind.bytes_per_update * 0.1


def test_the_warm_up_cache_settles():
    """It grows while it meets new SKUs, then stays: its last round is a tenth of its first."""
    start, second, third, last = levels("warmup_cache", "fixed", 15_000)
    assert second - start > 500_000
    assert last - third < (second - start) / 2
    assert last < 12_000 * 1_500 + 15_000_000


def test_the_spool_grows_the_kernels_cache_and_not_the_process():
    """What it writes is not in its own memory."""
    start, *_, last = levels("page_cache", "fixed", 4000)
    assert last - start < 500_000


def test_exactly_one_part_is_broken():
    """LEAK=kind differs from the service without it in one part, and LEAK=kind/fixed in none."""
    sound = [type(step) for step in steps_of(leak_from(""))]
    assert not set(sound) & {kind.broken for kind in GROWING}
    for kind in GROWING:
        broken = [type(step) for step in steps_of(leak_from(kind.name))]
        differing = [pair for pair in zip(sound, broken, strict=True) if pair[0] is not pair[1]]
        assert differing == [(kind.fixed, kind.broken)]
        assert [type(step) for step in steps_of(leak_from(f"{kind.name}/fixed"))] == sound
        # One of the mistakes is to turn the collector off.
        gc.enable()


def test_a_negative_is_added_only_when_asked_for():
    """The warm-up cache and the spool are no part of the service by itself."""
    sound = {type(step) for step in steps_of(leak_from(""))}
    for name in ("warmup_cache", "page_cache"):
        added = [step for step in steps_of(leak_from(name)) if type(step) not in sound]
        assert len(added) == 1
        if name == "page_cache":
            added[0].close()


def test_only_the_kind_for_it_has_a_queue_without_a_limit():
    """A limit of 0 is what asyncio calls none."""
    assert queue_of(leak_from("slow_db_queue")).maxsize == 0
    assert queue_of(leak_from("slow_db_queue/fixed")).maxsize > 0
    assert queue_of(leak_from("")).maxsize > 0


@pytest.mark.parametrize(
    ("rate", "bytes_per_second"),
    [("2MB/h", 2e6 / 3600), ("100MB/min", 1e8 / 60), ("620KB/s", 620e3), ("5000", 5000.0)],
)
def test_a_rate_becomes_updates_a_second(rate, bytes_per_second):
    """The rate over what an update costs, the same for the repaired twin."""
    for state in ("", "/fixed"):
        leak = leak_from(f"unbounded_cache{state}:{rate}")
        assert leak.bytes_per_second == pytest.approx(bytes_per_second)
        assert leak.updates_per_second * 1420 == pytest.approx(bytes_per_second)


def test_without_a_rate_the_day_is_common():
    """No LEAK and a LEAK without a rate work on as many updates."""
    assert leak_from("").updates_per_second == UPDATES_PER_SECOND
    assert leak_from("metric_labels").updates_per_second == UPDATES_PER_SECOND


@pytest.mark.parametrize(
    "text",
    ["nonsense", "metric_labels/broken", "metric_labels:fast", "metric_labels:9GB/s", "/", ":1"],
)
def test_what_is_no_setting_is_said(text):
    """The variable is named, with what would be right."""
    with pytest.raises(UsageError, match="LEAK=") as raised:
        leak_from(text)
    assert raised.value.help

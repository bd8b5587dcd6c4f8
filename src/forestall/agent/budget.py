"""The agent watches itself: it ends rather than grows, and slows down rather than takes the CPU."""

import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from forestall.clock import Clock
from forestall.units import MIB, format_bytes

RSS_BYTES_MAX = 64 * MIB
CPU_SHARE_MAX = 0.05
CPU_WINDOW_SECONDS = 60.0
SLOWDOWN_MAX = 8

OOM_SCORE_ADJUST = -900


class OverBudgetError(Exception):
    """The agent is larger than it promised to be; it must end and be started afresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnUse:
    """What the agent itself takes: resident bytes, CPU seconds since its start, CPU share."""

    rss_bytes: int | None
    cpu_seconds: float
    cpu_share: float | None


class Budget:
    """Own resident memory and CPU against stated limits, checked once per tick.

    `slowdown` is the factor on the tick's interval: doubled after each window of
    CPU_WINDOW_SECONDS that took more than `cpu_share_max` of one core, halved after one that
    took less than half of it. The loop passes it over while there is trouble.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        rss_bytes_max: int = RSS_BYTES_MAX,
        cpu_share_max: float = CPU_SHARE_MAX,
        read_rss: Callable[[], int | None] | None = None,
        read_cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._clock = clock
        self._rss_bytes_max = rss_bytes_max
        self._cpu_share_max = cpu_share_max
        self._read_rss = read_rss or OwnStatm().rss_bytes
        self._read_cpu = read_cpu
        self._window_from = (clock.monotonic(), read_cpu())
        self.slowdown = 1
        self.use = OwnUse(rss_bytes=self._read_rss(), cpu_seconds=read_cpu(), cpu_share=None)

    def check(self) -> str | None:
        """Read own use; a sentence when the pace changed. OverBudgetError beyond the limit."""
        rss, cpu, now = self._read_rss(), self._read_cpu(), self._clock.monotonic()
        share, said = self.use.cpu_share, None
        elapsed = now - self._window_from[0]
        if elapsed >= CPU_WINDOW_SECONDS:
            share = (cpu - self._window_from[1]) / elapsed
            said = self._pace(share)
            self._window_from = (now, cpu)
        self.use = OwnUse(rss_bytes=rss, cpu_seconds=cpu, cpu_share=share)
        if rss is not None and rss > self._rss_bytes_max:
            raise OverBudgetError(
                f"the agent itself holds {format_bytes(rss)}, more than the "
                f"{format_bytes(self._rss_bytes_max)} it may: it ends, to be started afresh"
            )
        return said

    def _pace(self, share: float) -> str | None:
        before = self.slowdown
        if share > self._cpu_share_max:
            self.slowdown = min(SLOWDOWN_MAX, before * 2)
        elif share < self._cpu_share_max / 2:
            self.slowdown = max(1, before // 2)
        if self.slowdown == before:
            return None
        return (
            f"the agent took {share:.1%} of a core, of {self._cpu_share_max:.0%} it may: "
            f"it ticks at {self.slowdown} times its interval while there is no trouble"
        )


class OwnStatm:
    """Own resident bytes through one kept descriptor; None where /proc cannot be read."""

    def __init__(self, path: str = "/proc/self/statm") -> None:
        self._page_bytes = os.sysconf("SC_PAGESIZE")
        try:
            self._descriptor: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._descriptor = None

    def rss_bytes(self) -> int | None:
        if self._descriptor is None:
            return None
        try:
            return int(os.pread(self._descriptor, 256, 0).split()[1]) * self._page_bytes
        except (OSError, ValueError, IndexError):
            return None


def settle() -> None:
    """Call once after start: what exists now stays, so the collector need not walk it again."""
    gc.collect()
    gc.freeze()


def shield_from_oom_killer(path: str = "/proc/self/oom_score_adj") -> str:
    """Ask the kernel to take others first; a sentence that says whether it agreed.

    Lowering needs CAP_SYS_RESOURCE. Without it the agent is as likely a victim as any process
    of its size, which is small.
    """
    try:
        with open(path, encoding="ascii") as file:
            before = int(file.read(64))
        if before <= OOM_SCORE_ADJUST:
            return f"oom_score_adj is {before} already"
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{OOM_SCORE_ADJUST}\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no number in it"
        return f"oom_score_adj stays as it is ({reason}): no right to lower it"
    return f"oom_score_adj lowered from {before} to {OOM_SCORE_ADJUST}"

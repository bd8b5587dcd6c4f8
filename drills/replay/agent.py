"""The shipped agent on the seed's clock: `python -m drills.replay.agent CONFIG STATE SCALE ...`.

usage: agent CONFIG STATE SCALE MONOTONIC-START SEED-START (run inside the machine)

It is `forestall watch` but for one thing, the clock: it shows the seed's time, SCALE times as fast.
Rules and policy are the shipped ones, which is asserted.
"""

from __future__ import annotations

import signal
import sys
import time
import types

from forestall.agent.budget import shield_from_oom_killer
from forestall.agent.config import read_config
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.clock import SystemClock
from forestall.detect.rules import RULES
from forestall.guard.policy import Policy, policy_from
from forestall.sense.host import Host


class SeedClock:
    """Shows `shows` (epoch seconds) at `since` on the host's monotonic clock, and runs faster."""

    def __init__(self, scale: float, since: float, shows: float) -> None:
        self.scale = scale
        self._since = since
        self._shows = shows

    def now(self) -> float:
        """The seed's time."""
        return self._shows + self.monotonic()

    def monotonic(self) -> float:
        """Seconds of the seed since the start."""
        return (time.monotonic() - self._since) * self.scale

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of the seed."""
        if seconds > 0:
            time.sleep(seconds / self.scale)


def main(words: list[str]) -> None:
    """Watch until SIGTERM."""
    path, state, scale, since, shows = words
    clock = SeedClock(float(scale), float(since), float(shows))
    config = read_config(path)
    policy = policy_from(config.policy)
    assert policy == Policy(), "the shipped policy, and no other"
    log = Log(sys.stderr, clock, journald=False)
    log.info(shield_from_oom_killer())
    watch = Watch(
        config,
        host=Host(),
        clock=clock,
        host_clock=SystemClock(),
        log=log,
        state=state,
        policy=policy,
    )
    assert watch.rules is RULES, "the shipped rules, and no other"

    def stop(number: int, frame: types.FrameType | None) -> None:
        watch.stop()

    signal.signal(signal.SIGTERM, stop)
    watch.start()
    try:
        watch.run()
    finally:
        watch.close()


if __name__ == "__main__":
    main(sys.argv[1:])

"""One agent on the real host with a fast clock; run by tests, which kill it.

Arguments: state folder, process name, mode, scale, the moment (seconds since the epoch) from
which the clock runs fast. The clock goes on across restarts, as a host's does.
"""

import signal
import sys
import time

from forestall.agent.config import AgentConfig, ServiceConfig
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.agent.state import StateFolder
from forestall.model.action import Mode
from forestall.sense.host import Host

LIMIT_BYTES = 600 * 1024 * 1024


class Clock:
    def __init__(self, scale: float, since: float) -> None:
        self.scale, self.since = scale, since

    def now(self) -> float:
        return self.since + (time.time() - self.since) * self.scale

    def monotonic(self) -> float:
        return self.now()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.scale)


def main() -> None:
    state, name, mode, scale, since = sys.argv[1:6]
    clock = Clock(float(scale), float(since))
    service = ServiceConfig(
        name=name, process=name, restart="signal", allow=True, limit_bytes=LIMIT_BYTES
    )
    with StateFolder(state):
        watch = Watch(
            AgentConfig(mode=Mode(mode), interval_seconds=10, services=(service,)),
            host=Host(),
            clock=clock,
            log=Log(sys.stderr, clock, journald=True),
            state=state,
            select=lambda found, pid, cgroup: found == name,
        )
        signal.signal(signal.SIGTERM, lambda number, frame: watch.stop())
        watch.start()
        watch.run()
        watch.close()


if __name__ == "__main__":
    main()

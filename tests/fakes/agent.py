"""An agent on a fake host, whose clock moves only with its ticks."""

import io
from pathlib import Path

from forestall.agent.config import AgentConfig
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.journal import read
from forestall.model.codec import from_document
from forestall.model.event import TimelineEvent
from tests.fakes.clock import FakeClock
from tests.fakes.host import MIB, FakeHost

STARTED_AT = 1_700_000_000.0
UPTIME_SECONDS = 1_000_000


class FakeAgent:
    """A Watch over a FakeHost. `leak` and `hold` set what a process has at the next tick.

    Only for observe mode: a fake process's pid may belong to somebody on the real host.
    """

    def __init__(self, folder: Path, state: Path | None, **parameters) -> None:
        self.host = FakeHost(folder)
        self.host.write("proc/uptime", f"{UPTIME_SECONDS}.00 1.00\n")
        self.host.meminfo(swap_total=0, swap_free=0)
        self.clock = FakeClock(STARTED_AT)
        self.stream = io.StringIO()
        self.log = Log(self.stream, self.clock, journald=True)
        self.state = state
        self._parameters = parameters
        self.watch = self.make()

    def make(self, **more) -> Watch:
        """Another agent of the same folder, as after a restart."""
        parameters = {"config": AgentConfig(), **self._parameters, **more}
        self.watch = Watch(
            parameters.pop("config"),
            host=self.host.host(),
            clock=self.clock,
            log=self.log,
            state=None if self.state is None else str(self.state),
            **parameters,
        )
        return self.watch

    def process(self, pid: int, name: str = "feed-sync", *, old: bool = True, **more) -> None:
        """A process that was there long before the agent, or that starts now."""
        seconds = UPTIME_SECONDS + self.clock.now() - STARTED_AT
        age = 500_000 if old else 0
        self.host.write("proc/uptime", f"{seconds:.2f} 1.00\n")
        self.host.process(pid, name, start_ticks=int((seconds - age) * 100), **more)

    def run(self, minutes: float, step: float = 10.0, **anon_at) -> None:
        """Tick every `step` seconds. `pN=function` sets what process N holds, of the second."""
        for second in range(0, int(minutes * 60), int(step)):
            for name, size_of in anon_at.items():
                pid = int(name.removeprefix("p"))
                size = int(size_of(second))
                self.host.statm(pid, size + 8 * MIB, size)
            self.watch.tick_safely()
            self.clock.sleep(step)

    def events(self) -> list[TimelineEvent]:
        """What the spool holds."""
        assert self.state is not None
        path = self.state / "spool.journal"
        return [from_document(TimelineEvent, record.data) for record in read(path)]

    @property
    def said(self) -> str:
        return self.stream.getvalue()

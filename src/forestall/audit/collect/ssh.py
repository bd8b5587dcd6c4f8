"""Facts of many hosts over SSH at once, each as soon as it is there.

One process waits for all clients; what costs time is their encryption. A host that hangs, floods,
or closes the connection is one `Seen` with a problem, and holds up no other.
"""

import heapq
import os
import random
import resource
import secrets
import selectors
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from forestall.audit.collect.client import Client
from forestall.audit.collect.destination import Destination, destination
from forestall.audit.collect.kept import Kept
from forestall.audit.collect.options import SshOptions
from forestall.audit.collect.reasons import Reason, last_line, reason
from forestall.audit.collect.script import script
from forestall.audit.collect.stream import SAID_LIMIT_BYTES, answer_of, find_start, read_answer
from forestall.audit.inputs.source import Seen
from forestall.clock import Clock, SystemClock
from forestall.errors import ForestallError, InputError
from forestall.sense.facts import read_facts
from forestall.sense.host import decode
from forestall.sense.recording import RecordedHost, Recording

STARTS_A_TURN = 8
WAIT_SECONDS = 0.05
SPARE_DESCRIPTORS = 64
BACK_OFF_SECONDS = 1.0
BACK_OFF_LIMIT_SECONDS = 15.0
DENIED_SHOWN = 3


class Progress(NamedTuple):
    """How far a collection is. `seconds_left` is None until it can be told."""

    done: int
    total: int
    failed: int
    running: int
    kept: int
    seconds: float
    seconds_left: float | None


Report = Callable[[Progress], None]


def collect(
    hosts: Sequence[str],
    options: SshOptions | None = None,
    *,
    report: Report | None = None,
    clock: Clock | None = None,
) -> Iterator[Seen]:
    """Each host once, in the order in which they finish; a host named twice is asked once.

    Raises UsageError for a host that is no name, before any is asked, and ForestallError where
    nothing can be asked at all. Closing the iterator ends every client.
    """
    options = options or SshOptions()
    wanted = [destination(text) for text in dict.fromkeys(hosts)]
    kept = None
    if options.keep is not None:
        kept = Kept(options.keep, options.max_age_seconds, options.way)
    return _Collection(wanted, options, kept, report, clock or SystemClock()).run()


class _Again(NamedTuple):
    due: float
    order: int
    to: Destination
    attempt: int
    deadline: float


class _Collection:
    def __init__(
        self,
        wanted: Sequence[Destination],
        options: SshOptions,
        kept: Kept | None,
        report: Report | None,
        clock: Clock,
    ) -> None:
        self._options = options
        self._kept = kept
        self._report = report
        self._clock = clock
        self._waiting = deque(wanted)
        self._again: list[_Again] = []
        self._running: dict[Client, None] = {}
        self._selector = selectors.DefaultSelector()
        self._mark = secrets.token_hex(16)
        # When to come again after too many came at once: not all at the same time.
        self._random = random.Random(self._mark)  # noqa: S311 -- no secret, only a wait
        self._total = len(wanted)
        self._done = self._failed = self._from_folder = 0
        self._started = clock.monotonic()
        self._parallel = options.parallel
        self._looked_at = 0.0

    def run(self) -> Iterator[Seen]:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._parallel = _raise_descriptors(self._parallel, soft, hard)
        script_file = os.memfd_create("forestall-collector")
        try:
            os.write(script_file, script(self._mark))
            yield from self._young_enough()
            while self._waiting or self._again or self._running:
                self._start_some(script_file)
                yield from self._finish_some(self._listen())
        finally:
            for client in self._running:
                client.close()
            self._selector.close()
            os.close(script_file)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def _young_enough(self) -> Iterator[Seen]:
        """The hosts whose answer was kept; the others stay waiting."""
        if self._kept is None:
            return
        for _ in range(len(self._waiting)):
            to = self._waiting.popleft()
            answer = self._kept.load(to.name, self._clock.now())
            try:
                recording = None if answer is None else read_answer(answer)
            except InputError:
                recording = None
            # One that was read without root tells less than is asked for now.
            if recording is None or (self._options.sudo and recording.effective_uid != 0):
                self._waiting.append(to)
                continue
            self._from_folder += 1
            yield self._counted(_seen(to, recording, None, self._clock))

    def _start_some(self, script_file: int) -> None:
        now = self._clock.monotonic()
        for _ in range(STARTS_A_TURN):
            if len(self._running) >= self._parallel:
                return
            if self._again and self._again[0].due <= now:
                again = heapq.heappop(self._again)
                to, attempt, deadline = again.to, again.attempt, again.deadline
            elif self._waiting:
                to, attempt = self._waiting.popleft(), 0
                deadline = now + self._options.deadline_seconds
            else:
                return
            try:
                client = Client(to, self._options, script_file, attempt, now)
            except FileNotFoundError:
                raise ForestallError(
                    f"there is no {self._options.program} here",
                    help="install the OpenSSH client (package openssh-client or openssh-clients)",
                ) from None
            except OSError as error:
                self._cannot_start(to, attempt, deadline, now, error)
                return
            client.deadline = deadline
            self._running[client] = None
            for pipe in client.pipes:
                self._selector.register(pipe, selectors.EVENT_READ, client)

    def _cannot_start(
        self, to: Destination, attempt: int, deadline: float, now: float, error: OSError
    ) -> None:
        """No process, memory or descriptor is left for one more: go on with fewer."""
        if not self._running:
            raise ForestallError(
                f"cannot start {self._options.program}: {error.strerror}",
                help="ask fewer hosts at once, or raise the limits of this user (ulimit -u, -n)",
            ) from None
        self._parallel = max(1, len(self._running))
        self._put_back(to, attempt, now, deadline)

    def _put_back(self, to: Destination, attempt: int, due: float, deadline: float) -> None:
        heapq.heappush(
            self._again, _Again(due, self._random.getrandbits(32), to, attempt, deadline)
        )

    def _listen(self) -> set[Client]:
        """Take what arrived; the clients of which a pipe has ended."""
        ended = set()
        busy = (self._waiting or self._again) and len(self._running) < self._parallel
        for key, _ in self._selector.select(0.005 if busy and self._waiting else WAIT_SECONDS):
            client: Client = key.data
            if not client.read(key.fd, self._clock.monotonic()):
                self._selector.unregister(key.fd)
                ended.add(client)
        return ended

    def _finish_some(self, ended: set[Client]) -> Iterator[Seen]:
        """Judge who is done: those that said so, and now and then whoever ran out of time."""
        now = self._clock.monotonic()
        if now - self._looked_at >= WAIT_SECONDS:
            self._looked_at = now
            self._hold_down()
            ended = set(self._running)
        for client in [client for client in ended if client.ended(now)]:
            for pipe in client.pipes:
                self._selector.unregister(pipe)
            client.drain(now)
            del self._running[client]
            client.close()
            seen = self._judged(client, now)
            if seen is not None:
                yield self._counted(seen)
        self._tell()

    def _hold_down(self) -> None:
        """End the longest answers while all that are held take more than they may together."""
        held = sum(client.size for client in self._running)
        for client in sorted(self._running, key=lambda client: client.size, reverse=True):
            if held <= self._options.held_limit_bytes:
                return
            held -= client.size
            client.problem = client.problem or (
                f"its {client.size} bytes were too many beside the other hosts' answers: "
                "ask fewer at once (--parallel)"
            )

    def _judged(self, client: Client, now: float) -> Seen | None:
        """What came of one client; None where it is asked once more."""
        to = client.to
        if client.problem is not None:
            return Seen(name=to.label, problem=client.problem)
        if find_start(client.answer, self._mark) < 0:
            why = reason(to, client.exit_code, client.said)
            due = now + self._back_off(client.attempt)
            if why.passing and client.attempt < self._options.retries and due < client.deadline:
                self._put_back(to, client.attempt + 1, due, client.deadline)
                return None
            return Seen(name=to.label, problem=_no_answer(client, why))
        try:
            answer = answer_of(client.answer, self._mark)
            recording = read_answer(answer)
        except InputError as error:
            last = last_line(client.said)
            return Seen(name=to.label, problem=error.message + (f" ({last})" if last else ""))
        if self._kept is not None:
            self._kept.save(to.name, answer)
        refused = self._options.sudo and recording.effective_uid != 0
        return _seen(
            to, recording, _without_root(client, recording) if refused else None, self._clock
        )

    def _back_off(self, attempt: int) -> float:
        longest = min(BACK_OFF_LIMIT_SECONDS, BACK_OFF_SECONDS * 2.0**attempt)
        return longest * self._random.uniform(0.5, 1.0)

    def _counted(self, seen: Seen) -> Seen:
        self._done += 1
        self._failed += seen.facts is None
        self._tell()
        return seen

    def _tell(self) -> None:
        if self._report is None:
            return
        seconds = self._clock.monotonic() - self._started
        asked = self._done - self._from_folder
        left = self._total - self._done
        self._report(
            Progress(
                done=self._done,
                total=self._total,
                failed=self._failed,
                running=len(self._running),
                kept=self._from_folder,
                seconds=seconds,
                seconds_left=seconds / asked * left if asked else None,
            )
        )


def _no_answer(client: Client, why: Reason) -> str:
    """Both of what it said: either may be the reason, the other a start-up file's noise."""
    said = last_line(decode(client.answer[:SAID_LIMIT_BYTES]))
    if not said:
        return why.text
    aside = f" ({why.text})" if client.said.strip() else ""
    return f"no shell answered; it said: {said}{aside}"


def _seen(to: Destination, recording: Recording, problem: str | None, clock: Clock) -> Seen:
    try:
        facts = read_facts(RecordedHost(recording), clock)
    except ForestallError as error:
        return Seen(name=to.label, problem=error.message)
    return Seen(name=to.label, facts=facts, problem=problem)


def _without_root(client: Client, recording: Recording) -> str:
    """Why there is no root although it was asked for, and what it would have read."""
    why = last_line(client.said).removeprefix("sudo: ") or "sudo is not there"
    hidden = sorted(recording.denied)
    if not hidden:
        return f"read without root (sudo: {why}); nothing was refused"
    shown = ", ".join("/" + path for path in hidden[:DENIED_SHOWN])
    more = f" and {len(hidden) - DENIED_SHOWN} more" if len(hidden) > DENIED_SHOWN else ""
    return f"read without root (sudo: {why}); root would add {shown}{more}"


def _raise_descriptors(parallel: int, soft: int, hard: int) -> int:
    """How many clients there may be at once, after the limit of descriptors was raised for them."""
    needed = 2 * parallel + SPARE_DESCRIPTORS
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return parallel
    return max(1, (soft - SPARE_DESCRIPTORS) // 2)

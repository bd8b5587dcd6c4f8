"""Capture: the evidence that an action would destroy, in one bundle, before the action.

It only reads, so the service is never stopped for it. What the agent holds in memory comes
first, then what /proc shows of the process, the costliest last: when the time is up, what was
not read is named in the bundle as missing.
"""

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from forestall.clock import Clock
from forestall.guard.bounded import OverdueError, within
from forestall.guard.handler import Done, Step
from forestall.guard.live import Processes
from forestall.guard.recipe import without_secrets
from forestall.model.bundle import Bundle
from forestall.model.codec import Json, encode, to_document
from forestall.model.facts import HostFacts
from forestall.model.sample import ProcessKey, Sample
from forestall.model.series import Series
from forestall.model.verdict import Subject
from forestall.sense import procfs
from forestall.sense.host import Host
from forestall.units import KIB, MIB, format_bytes

if TYPE_CHECKING:
    from forestall.evidence.bundle import BundleWriter
    from forestall.evidence.redact import Redacted

PROCESS_FILES = {
    "stat": 4 * KIB,
    "status": 64 * KIB,
    "limits": 64 * KIB,
    "cgroup": 64 * KIB,
    "oom_score": 4 * KIB,
    "oom_score_adj": 4 * KIB,
}
"""Files of /proc/PID that stop nothing, and the bytes that are read at most."""

HOLDING_FILES = {
    "cmdline": procfs.CMDLINE_LIMIT_BYTES,
    "environ": procfs.ENVIRON_LIMIT_BYTES,
    "maps": 2 * MIB,
    "smaps_rollup": 64 * KIB,
}
"""Those for which the kernel takes the lock of the process's address space, the costliest last.

While it is held, the process can map no memory, and a writer that waits for it stops every page
fault. Walking a terabyte takes seconds (Linux 5.10 and later let waiting writers in between), and
a lock that a thrashing process holds is waited for as long.
"""

FREEZE_SECONDS = 5.0
"""What those may take together: a service is not to stand still longer for its evidence."""

HOST_FILES = {
    "meminfo": 64 * KIB,
    "vmstat": 64 * KIB,
    "swaps": 64 * KIB,
    "pressure/memory": 4 * KIB,
}

READ_SHARE = 0.2
"""The part of the timeout that each of four readings may take; the rest is for the disk."""


class Recent(Protocol):
    """What the agent holds in memory already; None where it holds nothing."""

    def sample(self) -> Sample | None:
        """The last tick."""
        ...

    def facts(self) -> HostFacts | None:
        """The host's facts, read not long ago."""
        ...

    def series(self, subject: Subject) -> Series | None:
        """The recent memory of the subject, in bytes."""
        ...


class CaptureHandler:
    """Writes a bundle below `folder`; `clock` stamps it. Retention is the agent's business."""

    def __init__(
        self,
        folder: str,
        *,
        host: Host,
        processes: Processes,
        recent: Recent,
        clock: Clock,
        freeze_seconds: float = FREEZE_SECONDS,
    ) -> None:
        self._folder = folder
        self._host = host
        self._processes = processes
        self._recent = recent
        self._clock = clock
        self._freeze_seconds = freeze_seconds

    def precondition(self, step: Step) -> str | None:
        # What cannot be read is missing in the bundle, and no reason to keep none.
        return None

    def do(self, step: Step) -> Done:
        # Also a disk can hang, so the whole is waited for no longer than its timeout.
        timeout = step.action.timeout_seconds
        bundle = within(timeout, "the capture", partial(self._capture, step, timeout * READ_SHARE))
        size = format_bytes(sum(entry.size_bytes for entry in bundle.manifest.entries))
        detail = f"Kept {len(bundle.manifest.entries)} files, {size}."
        if bundle.manifest.missing:
            detail += f" Missing: {'; '.join(bundle.manifest.missing)}."
        return Done(detail=detail, evidence=bundle.id)

    def verify(self, step: Step, done: Done) -> str | None:
        from forestall.evidence.verify import verify

        assert done.evidence is not None
        problems = verify(os.path.join(self._folder, done.evidence))
        if problems:
            return f"The bundle does not verify: {problems[0].name}: {problems[0].what}."
        return None

    def undo(self, step: Step) -> str | None:
        return None

    def _capture(self, step: Step, share_seconds: float) -> Bundle:
        # Imported here, as redaction below: hashing and patterns are 5 MB of memory, which an
        # agent without trouble does not need.
        from forestall.evidence.bundle import BundleWriter

        subject = step.plan.subject
        with BundleWriter(
            self._folder, host=subject.host, subject=subject.service, clock=self._clock
        ) as writer:
            writer.add_json("verdict.json", step.plan.verdict, source="forestall detect")
            writer.add_json("plan.json", without_secrets(step.plan), source="forestall guard")
            self._add_memory(writer, subject, share_seconds)
            self._add_process(writer, subject.process, share_seconds)
            self._add_host(writer, share_seconds)
            return writer.seal()

    def _add_memory(self, writer: "BundleWriter", subject: Subject, seconds: float) -> None:
        found: dict[str, Json] = {}

        def gather() -> None:
            found["sample.json"] = _document(self._recent.sample())
            found["series.json"] = series_document(self._recent.series(subject))
            found["host-facts.json"] = _document(self._recent.facts())

        late = _late(seconds, "reading what the agent holds", gather)
        for name in ("sample.json", "series.json", "host-facts.json"):
            document = found.get(name)
            if document is None:
                writer.missing(f"{name}: {late or 'the agent holds none'}")
            else:
                writer.add_json(name, document, source="forestall sense")

    def _add_process(self, writer: "BundleWriter", key: ProcessKey | None, seconds: float) -> None:
        if key is None or not self._is(key):
            writer.missing("process: it had ended, or its pid was another's, before the capture")
            return
        found: dict[str, bytes] = {}
        folder = f"proc/{key.pid}"
        late = self._read_within(seconds, folder, PROCESS_FILES, found)
        cut = late or self._read_within(
            min(seconds, self._freeze_seconds), folder, HOLDING_FILES, found
        )
        # A copy: the reader that was left behind may still add to its own.
        found = dict(found)
        if not self._is(key):
            # What was read may be of the process that has its pid now, which was not judged.
            writer.missing("process: it ended while it was read")
            return
        from forestall.evidence import redact

        self._say_missing(writer, folder, PROCESS_FILES, found, "process", late)
        if cut is not None and late is None:
            cut = f"cut short, so that the service is not held up: {cut}"
        self._say_missing(writer, folder, HOLDING_FILES, found, "process", cut)
        environ = procfs.parse_words(found.pop("environ", b""))
        cmdline = found.pop("cmdline", None)
        if cmdline is not None:
            words = redact.command_line(procfs.parse_words(cmdline), environ=environ)
            _add_words(writer, "process/cmdline.json", words, f"/{folder}/cmdline")
        if environ:
            hidden = redact.environment(environ)
            _add_words(writer, "process/environ.json", hidden, f"/{folder}/environ")
        for name, data in found.items():
            writer.add(f"process/{name}", data, source=f"/{folder}/{name}")

    def _add_host(self, writer: "BundleWriter", seconds: float) -> None:
        found: dict[str, bytes] = {}
        late = self._read_within(seconds, "proc", HOST_FILES, found)
        found = dict(found)
        self._say_missing(writer, "proc", HOST_FILES, found, "host", late)
        for name, data in found.items():
            writer.add(f"host/{name}", data, source=f"/proc/{name}")

    def _read_within(
        self, seconds: float, folder: str, limits: Mapping[str, int], found: dict[str, bytes]
    ) -> str | None:
        """Read these files; why not all were, if it was too slow. No further one is begun then."""
        given_up = False

        def read() -> None:
            for name, limit in limits.items():
                if given_up:
                    return
                data = self._host.read_bytes(f"{folder}/{name}", limit)
                if data is not None:
                    found[name] = data

        late = _late(seconds, f"reading {folder}", read)
        given_up = True
        return late

    def _say_missing(
        self,
        writer: "BundleWriter",
        folder: str,
        limits: Mapping[str, int],
        found: Mapping[str, bytes],
        prefix: str,
        late: str | None,
    ) -> None:
        for name, limit in limits.items():
            if name not in found:
                denied = self._host.was_denied(f"{folder}/{name}")
                why = "no right to read it" if denied else "this kernel does not show it"
                writer.missing(f"{prefix}/{name}: {late or why}")
            elif len(found[name]) >= limit:
                writer.missing(f"{prefix}/{name}: only its first {format_bytes(limit)} were read")

    def _is(self, key: ProcessKey) -> bool:
        live = self._processes.look(key.pid)
        return live is not None and live.key == key


def series_document(series: Series | None) -> Json:
    """A series as JSON: columns of times in seconds and values in the signal's unit."""
    if series is None:
        return None
    return {
        "schema": "forestall/series/1",
        "subject": encode(series.subject),
        "signal": series.signal,
        "times": list(series.times),
        "values": [int(value) if value.is_integer() else value for value in series.values],
    }


def _document(noun: Sample | HostFacts | None) -> Json:
    return None if noun is None else to_document(noun)


def _late(seconds: float, what: str, work: Callable[[], None]) -> str | None:
    """Do `work`; why it is not finished if it was too slow."""
    try:
        within(seconds, what, work)
    except OverdueError as error:
        return error.message
    return None


def _add_words(writer: "BundleWriter", name: str, words: "Redacted", source: str) -> None:
    document = {"schema": "forestall/words/1", "words": list(words.words)}
    writer.add_json(name, document, source=source, redaction_count=words.count)

"""Lines of a log -> events: where each begins, what belongs to it, and where it ends.

Streaming: one event is open at a time, and a finished one is handed on at once. The kernel holds
oom_lock while it reports, so two reports do not mix; other lines may stand between.
"""

import dataclasses
import re
from collections.abc import Iterator

from forestall.audit.oom import words
from forestall.audit.oom.draft import Draft
from forestall.audit.oom.nouns import Event, Kind, Panic
from forestall.audit.oom.prefix import Said
from forestall.audit.oom.readers import take

# Foreign lines in a row after which an event is over; after a kill it is nearly told.
IDLE_MAX = 2_000
IDLE_AFTER_KILL_MAX = 40
# Lines of any kind, other programs' too, after which only lines that can begin something are read.
PASSED_MAX = 50_000
PASSED_AFTER_KILL_MAX = 200
# A panic by a hung task comes kernel.hung_task_timeout_secs (120 s) and more after.
PANIC_LATER_SECONDS = 1_800.0
LOST_MAX = 16
MEMORY_PANICS = ("out of memory", "system is deadlocked on memory")
OUR_LIMITS = ("oom_kill_process", "dump_header", "warn_alloc", "out_of_memory", "oom_reaper")


class Parser:
    """Feed it what the kernel said, in order; `feed` and `end` give the events that are whole."""

    def __init__(self) -> None:
        self._draft: Draft | None = None
        self._kernel: str | None = None
        self._last: Event | None = None
        self._waiting: str | None = None
        self._hung: str | None = None
        self._by_hand = False
        self._passed = 0

    def active(self) -> bool:
        """Whether an event is open, so that the next line may be part of it."""
        if self._draft is None and self._hung is None:
            return False
        self._passed += 1
        told = self._draft is not None and bool(self._draft.kills or self._draft.panic)
        return self._passed <= (PASSED_AFTER_KILL_MAX if told else PASSED_MAX)

    def wants(self, raw: bytes) -> bool:
        """Whether a raw line has to be read at all."""
        return self.active() or any(trigger in raw for trigger in words.TRIGGERS)

    def feed(self, said: Said) -> Iterator[Event]:
        """Take one line."""
        text = said.text
        if "Linux version " in text and text.startswith("Linux version "):
            yield from self._close(cut=False)
            booted = words.BOOT.match(text)
            self._kernel = booted["release"] if booted else None
            # What panicked before this boot has nothing to do with what comes.
            self._last = None
            self._hung = self._waiting = None
            return
        begun = self._begin(said)
        if begun is not None:
            yield from self._close(cut=False)
            self._draft = begun
            self._passed = 0
            return
        if "panic" in text:
            panic = words.PANIC.match(text)
            if panic is not None:
                yield from self._panic(said, panic["why"].strip())
                return
        self._note(said)
        draft = self._draft
        if draft is None:
            return
        if take(draft, said):
            self._passed = 0
        else:
            limit = IDLE_AFTER_KILL_MAX if draft.kills else IDLE_MAX
            if draft.idle > limit:
                yield from self._close(cut=False)

    def end(self) -> Iterator[Event]:
        """The log is over."""
        yield from self._close(cut=True)

    def _begin(self, said: Said) -> Draft | None:
        """A new draft where this line is the first of an event."""
        text = said.text
        if "invoked oom-killer" in text:
            found = words.INVOKED.match(text)
            if found is not None:
                return self._open(said, Kind.OOM, found)
        elif "page allocation failure" in text:
            found = words.REFUSED.match(text)
            if found is not None:
                return self._open(said, Kind.ALLOCATION_FAILURE, found)
        elif "process " in text and self._is_over():
            # The report before it is not in this log: it was cut, or the kernel, which prints at
            # most ten in 5 s (oom_kill_process), left it out.
            if words.KILLED.match(text) or words.CHOSEN.match(text):
                draft = Draft(kind=Kind.KILL_LINE, first=said, last_line=said.number)
                draft.kernel = self._kernel
                take(draft, said)
                return draft
        elif self._draft is None and words.NOTHING.match(text):
            draft = Draft(kind=Kind.KILL_LINE, first=said, last_line=said.number)
            draft.facts["nothing_killable"] = True
            draft.kernel = self._kernel
            return draft
        return None

    def _is_over(self) -> bool:
        """Whether a further kill is none of the open event's."""
        draft = self._draft
        return draft is None or (bool(draft.kills) and not draft.group)

    def _open(self, said: Said, kind: Kind, found: re.Match[str]) -> Draft:
        draft = Draft(kind=kind, first=said, last_line=said.number, kernel=self._kernel)
        facts, rest = draft.facts, found["rest"]
        facts["invoker"] = found["name"].strip()
        gfp = words.GFP.search(rest)
        if gfp is not None:
            facts["gfp_mask"] = int(gfp[1], 16)
            facts["gfp_names"] = gfp[2]
        order = words.ORDER.search(rest)
        if order is not None:
            facts["order"] = int(order[1])
        nodemask = words.NODEMASK.search(rest)
        if nodemask is not None and nodemask[1] != "(null)":
            facts["nodemask"] = nodemask[1].strip(",")
        cpuset = words.CPUSET_IN.search(rest)
        if cpuset is not None:
            facts["cpuset"], facts["mems_allowed"] = cpuset["cpuset"], cpuset["mems"]
        if self._by_hand or facts.get("order") == -1:
            facts["by_hand"] = True
            self._by_hand = False
        return draft

    def _note(self, said: Said) -> None:
        """Lines that are no part of a report and still say something about one."""
        text = said.text
        if text.startswith("INFO: task "):
            hung = words.HUNG.match(text)
            if hung is not None:
                self._hung = f"{hung['name']} (pid {hung['pid']})"
                self._passed = 0
            return
        if self._hung is not None:
            frame = words.FRAME.match(text)
            if frame is not None and frame["what"].split(".")[0] in words.RECLAIM:
                self._waiting, self._hung = f"{self._hung}, in {frame['what']}", None
        if "anual OOM execution" in text and words.BY_HAND.match(text):
            self._by_hand = True
        elif "suppressed" in text or "dropped" in text:
            self._note_lost(text)

    def _note_lost(self, text: str) -> None:
        lost = words.LOST.match(text)
        if lost is None or self._draft is None or len(self._draft.lost) >= LOST_MAX:
            return
        ours = lost["what"] == "messages dropped" or any(one in text for one in OUR_LIMITS)
        if ours:
            self._draft.lost.append(text[:120])

    def _panic(self, said: Said, why: str) -> Iterator[Event]:
        draft = self._draft
        panic = Panic(why=why[:400], line=said.number, waiting=self._waiting)
        self._waiting = self._hung = None
        by_memory = why.lower().startswith(MEMORY_PANICS)
        if draft is not None and (by_memory or not draft.kills):
            # Straight out of the report that is open.
            draft.panic = panic
            draft.last_line = said.number
            yield from self._close(cut=False)
            return
        yield from self._close(cut=False)
        last, self._last = self._last, None
        later = None
        if last is not None and said.seconds is not None and last.seconds is not None:
            later = said.seconds - last.seconds
        if by_memory or panic.waiting:
            last = last if later is None or later <= PANIC_LATER_SECONDS else None
        elif later is None or not 0 <= later <= PANIC_LATER_SECONDS:
            # Nothing ties this panic to memory.
            return
        panic = dataclasses.replace(panic, later_seconds=later)
        if last is None:
            alone = Draft(kind=Kind.PANIC, first=said, last_line=said.number, kernel=self._kernel)
            alone.panic = panic
            yield alone.finish(cut=False)
            return
        # The report of memory before it is what explains it: told once more, now as a panic.
        yield dataclasses.replace(last, panic=panic, last_line=said.number)

    def _close(self, *, cut: bool) -> Iterator[Event]:
        draft, self._draft = self._draft, None
        if draft is not None:
            if draft.kernel is None:
                draft.kernel = self._kernel
            unfinished = not (draft.kills or draft.panic or draft.facts.get("nothing_killable"))
            event = draft.finish(cut=cut and unfinished)
            if event.kind is not Kind.ALLOCATION_FAILURE or event.zones:
                self._last = event
            yield event

"""Lines of a log -> events: where each begins, what belongs to it, and where it ends.

Streaming: of each host's kernel one event is open at a time, and a finished one is handed on at
once. The kernel holds oom_lock while it reports, so two reports of one host do not mix; other lines
may stand between. A report whose first lines are lost begins with what is left of it.
"""

import dataclasses
import re
from collections import deque
from collections.abc import Iterator

from forestall.audit.oom import words
from forestall.audit.oom.draft import Draft, Stage
from forestall.audit.oom.nouns import Constraint, Event, Kind, Panic
from forestall.audit.oom.prefix import Said
from forestall.audit.oom.readers import CGROUP_WORDS, HOST_WORDS, Part, find, take

# Foreign lines in a row after which an event is over; after a kill it is nearly told.
IDLE_MAX = 2_000
IDLE_AFTER_KILL_MAX = 40
# Lines of any kind, other programs' too, after which only lines that can begin something are read.
PASSED_MAX = 50_000
PASSED_AFTER_KILL_MAX = 200
# A log may begin in the middle of a report, so its first lines are all read.
FIRST_LINES = 100
# Hosts of one log whose events are told apart, each with a table in memory. Of more, one that has
# no event open is forgotten, or the event of the one that was silent longest is closed.
HOSTS_MAX = 32
# A panic by a hung task comes kernel.hung_task_timeout_secs (120 s) and more after.
PANIC_LATER_SECONDS = 1_800.0
# Stamps of several processors are not quite in order; those of another boot are far from it.
BACKWARDS_SECONDS = 10.0
LOST_MAX = 16
KILLED_KEPT = 64
BOOT_WORDS = ("Linux version ", "-- Boot ", "-- Reboot --")
MEMORY_PANICS = ("out of memory", "system is deadlocked on memory")
# vm.panic_on_oom=2 panics at a cgroup's limit, too; all other panics of memory are the host's.
AT_ANY_LIMIT = ("out of memory: compulsory", "out of memory. compulsory")
OUR_LIMITS = ("oom_kill_process", "dump_header", "warn_alloc", "out_of_memory", "oom_reaper")


class Parser:
    """Feed it what the kernels said, in order; `feed` and `end` give the events that are whole."""

    def __init__(self) -> None:
        self._host: str | None = None
        self._current = _Kernel()
        self._kernels: dict[str | None, _Kernel] = {None: self._current}
        self._passed = 0
        self._until = FIRST_LINES

    def active(self) -> bool:
        """Whether the next line has to be read: an event is open, or the log just begins."""
        self._passed += 1
        return self._passed <= self._until

    def wants(self, raw: bytes) -> bool:
        """Whether a raw line has to be read at all."""
        return self.active() or any(trigger in raw for trigger in words.TRIGGERS)

    def feed(self, said: Said) -> list[Event]:
        """Take one line. One without a host is of the same as the line before it."""
        ended: list[Event] = []
        host = said.host or self._host
        if host != self._host:
            ended = self._turn_to(host)
        kernel = self._current
        ended = ended + kernel.feed(said) if ended else kernel.feed(said)
        if kernel.moved:
            kernel.until = self._passed + kernel.patience
            self._until = max(self._until, kernel.until)
        if ended or (kernel.moved and kernel.patience < PASSED_MAX):
            # Less is waited for than before.
            waited = (one.until for one in self._kernels.values() if one.patience)
            self._until = max(waited, default=FIRST_LINES)
        return ended

    def _turn_to(self, host: str | None) -> list[Event]:
        self._host = host
        self._current = self._kernels.pop(host) if host in self._kernels else _Kernel()
        ended = []
        if len(self._kernels) >= HOSTS_MAX:
            idle = (one for one, kernel in self._kernels.items() if not kernel.patience)
            silent = next(idle, next(iter(self._kernels)))
            ended = self._kernels.pop(silent).close(cut=False)
        self._kernels[host] = self._current
        return ended

    def end(self) -> Iterator[Event]:
        """The log is over."""
        for kernel in self._kernels.values():
            yield from kernel.close(cut=True)


class _Kernel:
    """One host's kernel. `moved`: the last line was of an event that is open."""

    def __init__(self) -> None:
        self.until = 0
        self.moved = False
        self._draft: Draft | None = None
        self._kernel: str | None = None
        self._boot: str | None = None
        self._heard = 0
        self._last: Event | None = None
        self._killed: deque[int] = deque(maxlen=KILLED_KEPT)
        self._waiting: str | None = None
        self._hung: str | None = None
        self._by_hand = False
        self._shown_by_hand = False

    @property
    def patience(self) -> int:
        """How many lines of any kind it waits for the next of its own; 0 = nothing is open."""
        if self._draft is None and self._hung is None:
            return 0
        told = self._draft is not None and bool(self._draft.kills or self._draft.panic)
        return PASSED_AFTER_KILL_MAX if told else PASSED_MAX

    def feed(self, said: Said) -> list[Event]:
        """Take one line of this host; the events that it ends."""
        text = said.text
        self.moved = False
        self._heard += 1
        if self._is_boot(said):
            ended = self.close(cut=False)
            booted = words.BOOT.match(text)
            self._kernel = booted["release"] if booted else None
            # What panicked before this boot has nothing to do with what comes.
            self._last = None
            self._hung = self._waiting = None
            return ended if text.startswith(BOOT_WORDS) else ended + self.feed(said)
        begun = self._begin(said)
        if begun is not None:
            ended = self.close(cut=False)
            self._draft, self.moved = begun, True
            return ended
        if "panic" in text:
            panic = words.PANIC.match(text)
            if panic is not None:
                return self._panic(said, panic["why"].strip())
        draft = self._draft
        part = find(text, draft)
        if part is None:
            self._note(said)
            return self._pass_over()
        # The next row of what is being read; most lines of a report are.
        is_next = draft is not None and part.reader.stage == draft.stage < Stage.SUMMARY
        if draft is not None and is_next and self._hung is None and not part.reader.once:
            take(draft, part, said.number)
            self.moved = True
            return []
        return self._place(said, part)

    def _place(self, said: Said, part: Part) -> list[Event]:
        """A line of a report: of the event that is open, of none, or the first of another."""
        self._note_waiting(part)
        if self._is_old(part):
            return []
        if self._draft is None or self._cannot_have(part):
            return self._begin_inside(said, part)
        take(self._draft, part, said.number)
        self.moved = True
        return []

    def close(self, *, cut: bool) -> list[Event]:
        """The event that is open, if one is."""
        draft, self._draft = self._draft, None
        if draft is None or (draft.head_lost and not draft.says_something):
            return []
        draft.kernel = draft.kernel or self._kernel
        event = draft.finish(cut=cut and not draft.told)
        self._killed.extend(kill.pid for kill in draft.kills)
        if event.kind is not Kind.ALLOCATION_FAILURE or event.zones:
            self._last = event
        return [event]

    def _is_boot(self, said: Said) -> bool:
        """Whether another boot's lines begin: by the kernel's first, the journal, or the stamps."""
        if said.boot != self._boot and said.boot is not None:
            before, self._boot = self._boot, said.boot
            return before is not None
        if said.text.startswith(BOOT_WORDS):
            return True
        draft = self._draft
        if draft is None or said.seconds is None or draft.first.seconds is None:
            return False
        return draft.first.seconds - said.seconds > BACKWARDS_SECONDS

    def _begin(self, said: Said) -> Draft | None:
        """A new draft where this line is the first of a report."""
        text = said.text
        if "invoked oom-killer" in text:
            found = words.INVOKED.match(text)
            if found is not None:
                return self._open(said, Kind.OOM, found)
        elif " allocation failure" in text:
            found = words.REFUSED.match(text)
            if found is not None:
                return self._open(said, Kind.ALLOCATION_FAILURE, found)
        return None

    def _open(self, said: Said, kind: Kind, found: re.Match[str]) -> Draft:
        draft = self._draft_at(said, kind)
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
        if facts.get("order") == -1:
            facts["by_hand"] = True
        return draft

    def _draft_at(self, said: Said, kind: Kind) -> Draft:
        draft = Draft(kind=kind, first=said, last_line=said.number, kernel=self._kernel)
        if self._by_hand:
            draft.facts["by_hand"] = True
        self._by_hand = self._shown_by_hand = False
        return draft

    def _is_old(self, part: Part) -> bool:
        """Whether a line is of nothing that is open, and begins nothing: what a person had the
        kernel show (SysRq-m), and word of a kill that is told already.
        """
        if self._shown_by_hand and part.reader.stage in (Stage.MEMORY, Stage.SLAB):
            return True
        if part.found.re is not words.REAPED:
            return self._draft is None and part.reader.stage is Stage.ANY
        pid = int(part.found["pid"])
        ours = self._draft is not None and any(one.pid == pid for one in self._draft.kills)
        return pid in self._killed and not ours

    def _cannot_have(self, part: Part) -> bool:
        """Whether a line cannot be of the event that is open: its place in a report is before what
        was read of this one, or it says that it is another's memory that ran out.
        """
        draft, stage = self._draft, part.reader.stage
        if draft is None or stage is Stage.ANY:
            return False
        if draft.kind is Kind.ALLOCATION_FAILURE and stage is not Stage.MEMORY:
            return stage is not Stage.SLAB
        if stage is Stage.KILLED:
            over = draft.told and not draft.group
            return over or (part.found.re is words.KILLED and _contradicts(draft, part))
        if draft.told:
            return stage < Stage.KILLED
        if part.reader.once:
            return stage < draft.stage or part.title in draft.titles
        if stage is Stage.CHOSEN:
            return draft.stage is Stage.CHOSEN or _contradicts(draft, part)
        return False

    def _begin_inside(self, said: Said, part: Part) -> list[Event]:
        """An event whose first lines are not in the log."""
        ended = self.close(cut=False)
        draft = self._draft_at(said, Kind.OOM)
        if self._heard == 1 and said.number <= FIRST_LINES:
            draft.head_lost = "the log begins in the middle of the report"
        else:
            draft.head_lost = f"what stood before line {said.number} is not in the log"
        take(draft, part, said.number)
        self._draft, self.moved = draft, True
        return ended

    def _pass_over(self) -> list[Event]:
        draft = self._draft
        if draft is None:
            return []
        draft.idle += 1
        over = draft.idle > (IDLE_AFTER_KILL_MAX if draft.kills else IDLE_MAX)
        return self.close(cut=False) if over else []

    def _note(self, said: Said) -> None:
        """Lines that are no part of a report and still say something about one."""
        text = said.text
        if text.startswith("INFO: task "):
            hung = words.HUNG.match(text)
            if hung is not None:
                self._hung = f"{hung['name']} (pid {hung['pid']})"
                self.moved = True
            return
        if "anual OOM execution" in text and words.BY_HAND.match(text):
            self._by_hand = True
        elif "Show Memory" in text and words.SHOWN_BY_HAND.match(text):
            self._shown_by_hand = True
        elif "suppressed" in text or "dropped" in text:
            self._note_lost(text)

    def _note_waiting(self, part: Part) -> None:
        """What a line that may stand in any report says outside of one."""
        found = part.found
        if found.re is words.FRAME and self._hung is not None:
            if found["what"].split(".")[0] in words.RECLAIM:
                self._waiting, self._hung = f"{self._hung}, in {found['what']}", None
        elif found.re is words.WHERE and self._draft is None:
            self._kernel = found["release"]

    def _note_lost(self, text: str) -> None:
        lost = words.LOST.match(text)
        if lost is None or self._draft is None or len(self._draft.lost) >= LOST_MAX:
            return
        ours = lost["what"] == "messages dropped" or any(one in text for one in OUR_LIMITS)
        if ours:
            self._draft.lost.append(text[:120])

    def _panic(self, said: Said, why: str) -> list[Event]:
        draft = self._draft
        panic = Panic(why=why[:400], line=said.number, waiting=self._waiting)
        self._waiting = self._hung = None
        by_memory = why.lower().startswith(MEMORY_PANICS)
        if draft is not None and draft.head_lost and not draft.says_something:
            draft = self._draft = None
        if draft is not None and (by_memory or not draft.kills):
            # Straight out of the report that is open.
            draft.panic = panic
            if by_memory and not why.lower().startswith(AT_ANY_LIMIT):
                draft.facts["host_wide"] = True
            draft.last_line = said.number
            return self.close(cut=False)
        ended = self.close(cut=False)
        last, self._last = self._last, None
        later = None
        if last is not None and said.seconds is not None and last.seconds is not None:
            later = said.seconds - last.seconds
        if by_memory or panic.waiting:
            last = last if later is None or later <= PANIC_LATER_SECONDS else None
        elif later is None or not 0 <= later <= PANIC_LATER_SECONDS:
            # Nothing ties this panic to memory.
            return ended
        panic = dataclasses.replace(panic, later_seconds=later)
        if last is None:
            alone = self._draft_at(said, Kind.PANIC)
            alone.panic = panic
            if by_memory:
                alone.facts["host_wide"] = not why.lower().startswith(AT_ANY_LIMIT)
            return [*ended, alone.finish(cut=False)]
        # The report of memory before it is what explains it: told once more, now as a panic.
        return [*ended, dataclasses.replace(last, panic=panic, last_line=said.number)]


def _contradicts(draft: Draft, part: Part) -> bool:
    """Whether the line of a kill says another memory than the report: a cgroup's, or the host's."""
    said, constraint = part.found["what"], draft.facts.get("constraint")
    if draft.chosen is not None and draft.chosen.pid == int(part.found["pid"]):
        return False
    if said == HOST_WORDS:
        return constraint is Constraint.MEMCG
    return said == CGROUP_WORDS and constraint not in (None, Constraint.MEMCG)

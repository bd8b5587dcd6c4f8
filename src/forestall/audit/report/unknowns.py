"""What is missing, by rule and reason: how to turn UNKNOWN into an answer."""

from collections import Counter
from typing import TextIO

from forestall.audit.fleet import Fleet, HostAudit
from forestall.audit.report import About
from forestall.audit.report.words import plural, printable
from forestall.model.finding import FindingState

REASONS_LIMIT = 2000
"""Distinct reasons that are counted; further ones are counted together."""


class Unknowns:
    """Counts the reasons as hosts come, and lists them at the end."""

    def __init__(self, out: TextIO, about: About) -> None:
        self._out = out
        self.about = about
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._first: dict[tuple[str, str, str], str] = {}

    def host(self, audit: HostAudit) -> None:
        """The reasons of one host; one that was not read is named elsewhere, with the reason."""
        if audit.posture is None:
            return
        for index, judged in enumerate(audit.judged):
            if audit.state(index) is FindingState.UNKNOWN:
                key = (audit.rules[index].id, judged.text, judged.remedy or "")
                if key not in self._counts and len(self._counts) >= REASONS_LIMIT:
                    key = (audit.rules[index].id, "other reasons", "")
                self._counts[key] += 1
                self._first.setdefault(key, audit.name)

    def end(self, fleet: Fleet) -> None:
        """The list, the most frequent first."""
        missing = plural(sum(self._counts.values()), "answer") if self._counts else "none"
        self._out.write(f"\nMISSING EVIDENCE ({missing})\n")
        for key, count in sorted(self._counts.items(), key=lambda one: (-one[1], one[0])):
            rule, text, remedy = key
            where = self._first[key] if count == 1 else f"{count:,} hosts, e.g. {self._first[key]}"
            self._out.write(f"{rule}  {printable(text)} ({printable(where)})\n")
            if remedy:
                self._out.write(f"         {printable(remedy)}\n")

"""All events of one input -> OomReport: each explained as it is read; which one matters."""

import dataclasses
from collections import deque
from collections.abc import Iterable

from forestall.audit.oom.account import Account, Ending, OomReport, Series
from forestall.audit.oom.explain import explain
from forestall.audit.oom.nouns import Constraint, Event, Kind, Scope
from forestall.audit.oom.source import Source

# A log may hold hundreds of thousands; the newest are kept whole, all are counted.
ACCOUNTS_MAX = 1_000
SERIES_MAX = 500


class Gatherer:
    """Takes events one by one and keeps a bounded picture of them."""

    def __init__(self) -> None:
        self._accounts: deque[Account] = deque(maxlen=ACCOUNTS_MAX)
        self._best: tuple[tuple[int, bool, int], Account] | None = None
        self._series: deque[Series] = deque(maxlen=SERIES_MAX)
        self.count = 0

    def take(self, event: Event) -> None:
        """Explain one event. A panic that an event led to replaces that event."""
        told = self._told_before(event) if event.panic is not None else None
        if told is None:
            self.count += 1
        account = explain(event, self.count if told is None else told.number)
        if told is None or told is self._accounts[-1]:
            if told is not None:
                self._accounts.pop()
                self._forget_last()
            self._accounts.append(account)
            self._join(account)
        else:
            # Another host's event came between.
            self._accounts[self._accounts.index(told)] = account
        # A report that is whole says more than one that is cut.
        rank = (weight(event), not event.cut, account.number)
        if self._best is None or rank >= self._best[0]:
            self._best = (rank, account)

    def _told_before(self, event: Event) -> Account | None:
        recent = (self._accounts[-back] for back in range(1, min(len(self._accounts), 64) + 1))
        return next(
            (one for one in recent if (one.line, one.host) == (event.line, event.host)), None
        )

    def _forget_last(self) -> None:
        last = self._series.pop()
        if last.count > 1:
            kept = dataclasses.replace(last, count=last.count - 1, last=last.last - 1)
            self._series.append(kept)

    def _join(self, account: Account) -> None:
        victim = account.victims[0].name if account.victims else None
        culprit = account.culprits[0].name if account.culprits else None
        new = Series(
            count=1,
            first=account.number,
            last=account.number,
            ending=account.ending,
            victim=victim,
            culprit=culprit,
            cgroup=account.cgroup,
            host=account.host,
            at=account.at,
        )
        if self._series:
            last = self._series[-1]
            same = (last.ending, last.victim, last.culprit, last.cgroup, last.host)
            if same == (new.ending, new.victim, new.culprit, new.cgroup, new.host):
                new = dataclasses.replace(new, count=last.count + 1, first=last.first, at=last.at)
                self._series.pop()
        self._series.append(new)

    def report(self, name: str, source: Source, notes: Iterable[str] = ()) -> OomReport:
        """Everything, once the input is read."""
        accounts = list(self._accounts)
        best = self._best[1] if self._best else None
        if best is not None and best.number not in {one.number for one in accounts}:
            accounts.insert(0, best)
        said = list(notes)
        if source.ended_early:
            said.append(f"The input was not read to its end: {source.ended_early}.")
        if self.count > len(accounts):
            said.append(
                f"{self.count} events were read; the last {ACCOUNTS_MAX} are kept in detail."
            )
        kernel_from, kernel_until = source.reach.told()
        return OomReport(
            source=name,
            form=source.form,
            bytes_read=source.bytes_read,
            lines_read=source.lines,
            events=self.count,
            chosen=best.number if best else None,
            why_chosen=_why(best, self.count) if best else None,
            accounts=tuple(accounts),
            series=tuple(self._series),
            notes=tuple(said),
            kernel_from=kernel_from,
            kernel_until=kernel_until,
        )


def weight(event: Event) -> int:
    """How much an event matters: a panic most, then the host, some nodes, a cgroup, one request."""
    if event.panic is not None:
        return 5
    if event.kind is Kind.SNAPSHOT:
        return 0
    if event.kind is Kind.ALLOCATION_FAILURE:
        return 1
    if event.by_hand or event.scope is Scope.UNKNOWN:
        return 1
    if event.cut and not event.zones and event.scope is Scope.HOST and not event.host_wide:
        return 1
    if event.constraint is Constraint.MEMCG:
        return 2
    if event.kind is Kind.KILL_LINE:
        return 2
    if event.constraint in (Constraint.CPUSET, Constraint.MEMORY_POLICY):
        return 3
    return 4


def _why(best: Account, count: int) -> str:
    if count == 1:
        return "the only one"
    if best.ending is Ending.PANICKED:
        return "the last that took the host down"
    if best.cgroup is None and best.kind is Kind.OOM:
        return "the last that concerned the whole host"
    return "the last of the gravest kind here"

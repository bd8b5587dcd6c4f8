"""The judge of one subject, fed sample by sample; standard library only, bounded memory."""

import math
from collections.abc import Callable

from forestall.detect import reasons
from forestall.detect.floor import Floor, Scale
from forestall.detect.opinion import RANK, Moment, Opinion, opinion_of, rise_of, widest_of
from forestall.detect.rules import RULES, TRANSITIONS, Change, Rules
from forestall.detect.trend import Trend, find_trend
from forestall.model.series import Series
from forestall.model.verdict import Limit, Subject, Verdict, VerdictKind

# More than any address space; a larger or a negative value is a reader's fault, not memory.
_MEMORY_BYTES_MAX = 2**63


class Judge:
    """Judges one subject. Memory: at most 7 windows of 24 floats and some 100 numbers.

    `started_at` is when the process started, in seconds since the epoch; without it its age
    counts from the first sample, which is too young and therefore on the safe side.
    """

    __slots__ = (
        "_change_since",
        "_floor",
        "_hold_seconds",
        "_kind",
        "_last_at",
        "_rules",
        "_since",
        "_started_at",
        "_subject",
        "_trends",
        "_verdict",
    )

    def __init__(
        self, subject: Subject, rules: Rules = RULES, *, started_at: float | None = None
    ) -> None:
        self._subject = subject
        self._rules = rules
        self._started_at = started_at
        self._floor: Floor | None = None
        self._trends: list[Trend | None] = [None] * len(rules.block_multiples)
        self._last_at = -math.inf
        self._kind = VerdictKind.UNDECIDED
        # Since when every judgement has been at least as grave as each kind, by rank.
        self._since: list[float | None] = [None] * 4
        self._change_since: float | None = None
        self._hold_seconds = rules.hold_seconds_min
        self._verdict: Verdict | None = None

    @property
    def started_at(self) -> float | None:
        """When the process started, or was first seen; None before the first sample."""
        return self._started_at

    def observe(self, at: float, memory_bytes: int, limit: Limit | None) -> Verdict:
        """Take a sample and return the verdict as of the last judgement.

        `at` in seconds since the epoch, later than every sample before; a sample that is not,
        and one whose memory is no size, changes nothing. A judgement is made when a block ends;
        between two, the same Verdict object is returned, unless there is haste.
        """
        usable = self._last_at < at < math.inf and 0 <= memory_bytes < _MEMORY_BYTES_MAX
        if not usable:
            return self._verdict or self._judge(at if math.isfinite(at) else 0.0, 0, limit, 0)
        self._last_at = at
        if self._floor is None:
            self._floor = Floor(at, memory_bytes, self._rules)
            if self._started_at is None or self._started_at > at:
                self._started_at = at
            return self._judge(at, memory_bytes, limit, 0)
        closed = self._floor.add(at, memory_bytes)
        if closed or self._verdict is None or self._in_haste(limit):
            return self._judge(at, memory_bytes, limit, closed)
        return self._verdict

    def _in_haste(self, limit: Limit | None) -> bool:
        """Whether the finest window's own rate leaves less than the rules' haste."""
        trend = self._trends[0]
        if trend is None or limit is None:
            return False
        return limit.headroom_bytes * self._rules.block_seconds < (
            trend.rate * self._rules.haste_seconds
        )

    def _judge(self, at: float, memory_bytes: int, limit: Limit | None, closed: int) -> Verdict:
        rules, scales = self._rules, self._floor.scales if self._floor else []
        for number in range(closed):
            scale = scales[number]
            enough = scale.filled_count >= rules.blocks_min
            self._trends[number] = find_trend(scale.blocks, rules) if enough else None
        started_at = at if self._started_at is None else self._started_at
        moment = Moment(
            at=at, memory_bytes=memory_bytes, limit=limit, age_seconds=max(0.0, at - started_at)
        )
        opinions = [
            opinion
            for number in range(len(scales))
            if (opinion := opinion_of(scales, self._trends, number, moment, rules)) is not None
        ]
        best = max(opinions, key=_gravity, default=None)
        newest = best.kind if best is not None else self._kind_without_growth(moment)
        words = self._words(best, newest, moment)
        words.extend(self._move(newest, best, at))
        self._verdict = Verdict(
            subject=self._subject,
            kind=self._kind,
            at=at,
            memory_bytes=memory_bytes,
            reasons=tuple(words),
            forecast=best.forecast if best is not None else None,
            onset_at=self._onset_at(best) if best is not None else None,
        )
        return self._verdict

    def _kind_without_growth(self, moment: Moment) -> VerdictKind:
        if self._floor is None or moment.age_seconds < self._rules.start_seconds:
            return VerdictKind.UNDECIDED
        enough = any(s.filled_count >= self._rules.blocks_min for s in self._floor.scales)
        return VerdictKind.STEADY if enough else VerdictKind.UNDECIDED

    def _words(self, best: Opinion | None, newest: VerdictKind, moment: Moment) -> list[str]:
        rules = self._rules
        if self._floor is None:
            return ["No sample has been taken."]
        scales = self._floor.scales
        if best is not None:
            return reasons.of_growth(best, scales[best.number].block_seconds, moment, rules)
        if newest is VerdictKind.STEADY:
            judged = [s for s in scales if s.filled_count >= rules.blocks_min]
            # A longer window may still hold a rise that is over; its range would mislead.
            level = (scale for scale in reversed(judged) if _is_level(scale, rules))
            longest = next(level, judged[-1])
            known = [value for value in longest.blocks if value == value]
            span = len(longest.blocks) * longest.block_seconds
            return [reasons.of_steady(min(known), max(known), span)]
        if moment.age_seconds < rules.start_seconds:
            return [reasons.of_start(moment, rules)]
        fullest = max(scales, key=lambda scale: scale.filled_count)
        return [
            reasons.of_few_blocks(fullest.filled_count, rules.blocks_min, fullest.window_seconds)
        ]

    def _move(self, newest: VerdictKind, best: Opinion | None, at: float) -> list[str]:
        """Move the verdict's kind by the table of transitions; says why if it does not move."""
        for rank in range(4):
            if RANK[newest] < rank:
                self._since[rank] = None
            elif self._since[rank] is None:
                self._since[rank] = at
        if newest is self._kind:
            self._change_since = None
            if best is not None:
                self._hold_seconds = self._hold_for(best)
            return []
        change = TRANSITIONS[self._kind][newest]
        if change is Change.HOLD:
            if self._change_since is None:
                self._change_since = at
            if at - self._change_since < self._hold_seconds:
                return [reasons.of_hold(self._kind, newest, self._hold_seconds)]
        elif change is Change.CONFIRM and best is not None:
            self._change_since = None
            needed = self._confirmation(best)
            since = self._since[RANK[newest]]
            assert since is not None, "the newest kind's own rank was just set"
            if at - since < needed:
                return [reasons.of_confirmation(newest, needed)]
        self._change_since = None
        self._kind = newest
        if best is not None:
            self._hold_seconds = self._hold_for(best)
        return []

    def _confirmation(self, best: Opinion) -> float:
        """Seconds an opinion must last: a block, or a share of the time left if that is less."""
        assert self._floor is not None, "an opinion needs samples"
        seconds = self._floor.scales[best.number].block_seconds
        if best.forecast is None or best.forecast.exhaustion_seconds is None:
            return seconds
        return min(seconds, self._rules.confirm_share * best.forecast.exhaustion_seconds)

    def _hold_for(self, best: Opinion) -> float:
        assert self._floor is not None, "an opinion needs samples"
        window_seconds = self._floor.scales[best.number].window_seconds
        return max(self._rules.hold_seconds_min, self._rules.hold_windows * window_seconds)

    def _onset_at(self, best: Opinion) -> float:
        """When growth began: by the window that says so, or by a longer one if it was before."""
        assert self._floor is not None, "an opinion needs samples"
        widest = widest_of(self._trends, best.number)
        scale, trend = self._floor.scales[widest], self._trends[widest]
        assert trend is not None, "the widest window with the rise has a trend"
        newest_at = self._floor.starts_at(scale, trend.last) + scale.block_seconds
        return max(self._floor.started_at, newest_at - rise_of(scale, trend))


def _is_level(scale: Scale, rules: Rules) -> bool:
    known = [value for value in scale.blocks if value == value]
    return max(known) - min(known) <= max(rules.growth_bytes_min, 0.05 * max(known))


def _gravity(opinion: Opinion) -> tuple[int, float, int]:
    """Graver first; of two exhaustions the sooner, of two leaks the longer window."""
    soonest = 0.0
    if opinion.kind is VerdictKind.EXHAUSTING and opinion.forecast is not None:
        soonest = -(opinion.forecast.exhaustion_seconds or 0.0)
    return RANK[opinion.kind], soonest, opinion.number


def replay(
    series: Series,
    limit_of: Callable[[float, float], Limit | None],
    *,
    rules: Rules = RULES,
    started_at: float | None = None,
) -> list[Verdict]:
    """The verdict after each sample of a recorded series of memory in bytes.

    `limit_of(at, memory_bytes)` is the nearest limit at that sample.
    """
    judge = Judge(series.subject, rules, started_at=started_at)
    return [judge.observe(at, int(value), limit_of(at, value)) for at, value in series]

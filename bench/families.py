"""Generated memory series for bench/detect.py: shapes that leak and shapes that only look so.

Every series is one process of one service under a fixed limit, in bytes, with its own random
numbers from (seed, family, number). Nothing here is recorded, and nothing knows the detector.
"""

import math
import random
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MIB = 1024 * 1024
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One process. `onset_at`: when its leak began; `full_at`: first sample at the limit."""

    family: str
    number: int
    limit: int
    times: array
    values: array
    onset_at: float | None
    full_at: float | None

    @property
    def weeks(self) -> float:
        return (self.times[-1] - self.times[0]) / (7 * DAY)


@dataclass(slots=True)
class Draw:
    """What a shape is made with: random numbers, the limit, and the length in seconds."""

    rng: random.Random
    limit: float
    length: float
    onset: float | None = None

    def between(self, low: float, high: float) -> float:
        return self.rng.uniform(low, high)

    def log(self, low: float, high: float) -> float:
        return math.exp(self.rng.uniform(math.log(low), math.log(high)))


Shape = Callable[[float], float]
Family = Callable[[Draw], Shape]


def warmed(draw: Draw, share: float, tau: float) -> Shape:
    """Base level of `share` of the limit, reached exponentially."""
    return lambda t: draw.limit * share * (1 - 0.7 * math.exp(-t / tau))


def flat(draw: Draw) -> Shape:
    return warmed(draw, draw.between(0.2, 0.8), draw.log(10, 5 * MINUTE))


def wander(draw: Draw) -> Shape:
    """Ornstein-Uhlenbeck: pulled back to its mean within minutes to hours."""
    base = flat(draw)
    tau, size = draw.log(10 * MINUTE, 12 * HOUR), draw.limit * draw.between(0.01, 0.05)
    state, last = 0.0, 0.0

    def shape(t: float) -> float:
        nonlocal state, last
        keep = math.exp(-(t - last) / tau)
        state = state * keep + draw.rng.gauss(0, size * math.sqrt(max(0.0, 1 - keep * keep)))
        last = t
        return base(t) + state

    return shape


def daily(draw: Draw) -> Shape:
    low, swing = draw.between(0.2, 0.4), draw.between(0.05, 0.4)
    phase, sharp = draw.between(0, DAY), draw.rng.choice([1, 2, 3])
    return lambda t: (
        draw.limit
        * (low + swing * (0.5 + 0.5 * math.sin(2 * math.pi * (t + phase) / DAY)) ** sharp)
    )


def garbage(draw: Draw) -> Shape:
    """A collector that lets memory climb and drops it back, minutes to hours apart."""
    low, swing = draw.between(0.2, 0.5), draw.between(0.1, 0.4)
    period = draw.log(2 * MINUTE, 8 * HOUR)
    return lambda t: draw.limit * (low + swing * ((t / period) % 1.0))


def warm_up(draw: Draw) -> Shape:
    return warmed(draw, draw.between(0.4, 0.85), draw.log(2 * MINUTE, 8 * HOUR))


def filling_cache(draw: Draw) -> Shape:
    """A bounded cache that fills in a straight line and is then full."""
    low, size, fill = draw.between(0.1, 0.3), draw.between(0.1, 0.5), draw.log(5 * MINUTE, DAY)
    return lambda t: draw.limit * (low + size * min(1.0, t / fill))


def slow_cache(draw: Draw) -> Shape:
    """A bounded cache with repeating keys: fills fast, then ever slower, for days."""
    low, size, tau = draw.between(0.1, 0.3), draw.between(0.2, 0.5), draw.log(HOUR, 2 * DAY)
    return lambda t: draw.limit * (low + size * (1 - math.exp(-t / tau)))


def batch(draw: Draw) -> Shape:
    low, swing = draw.between(0.15, 0.4), draw.between(0.1, 0.5)
    every = draw.rng.choice([HOUR, 6 * HOUR, DAY])
    lasts, offset = every * draw.between(0.02, 0.3), draw.between(0, every)

    def shape(t: float) -> float:
        into = (t + offset) % every
        return draw.limit * (low + (swing * into / lasts if into < lasts else 0.0))

    return shape


def level_shift(draw: Draw) -> Shape:
    base = flat(draw)
    shifts = [
        (draw.between(0, draw.length), draw.between(-0.05, 0.08) * draw.limit)
        for _ in range(draw.rng.randint(1, 4))
    ]
    return lambda t: base(t) + sum(size for at, size in shifts if t >= at)


def pool(draw: Draw) -> Shape:
    """A pool that grows by one at each new record of concurrency: ever rarer steps."""
    low, size = draw.between(0.2, 0.4), draw.between(0.002, 0.01)
    records, best, next_at = 0, 0.0, 0.0

    def shape(t: float) -> float:
        nonlocal records, best, next_at
        while next_at <= t:
            load = draw.rng.random()
            records, best = (records + 1, load) if load > best else (records, best)
            next_at += 20.0
        return draw.limit * (low + size * records)

    return shape


def leak(draw: Draw) -> Shape:
    """A constant rate from some time on; fills its headroom in 1 h to 5 days."""
    base = warmed(draw, draw.between(0.15, 0.6), draw.log(10, 10 * MINUTE))
    onset, fill = draw.between(0, 0.3) * draw.length, draw.log(HOUR, 5 * DAY)
    draw.onset = onset
    room = draw.limit - base(draw.length)
    return lambda t: base(t) + room * max(0.0, t - onset) / fill


def leak_from_start(draw: Draw) -> Shape:
    base = warmed(draw, draw.between(0.1, 0.4), draw.log(10, 30 * MINUTE))
    fill, room = draw.log(2 * HOUR, 5 * DAY), draw.limit - base(draw.length)
    draw.onset = 0.0
    return lambda t: base(t) + room * t / fill


def leak_in_steps(draw: Draw) -> Shape:
    """Each run of an hourly-or-so job leaves something behind."""
    base = warmed(draw, draw.between(0.15, 0.6), draw.log(10, 10 * MINUTE))
    onset, fill = draw.between(0, 0.3) * draw.length, draw.log(2 * HOUR, 5 * DAY)
    draw.onset = onset
    room, steps = draw.limit - base(draw.length), draw.rng.randint(8, 40)
    return lambda t: base(t) + room * max(0, int((t - onset) / fill * steps)) / steps


def leak_with_garbage(draw: Draw) -> Shape:
    smooth = leak(draw)
    swing, period = draw.limit * draw.between(0.02, 0.1), draw.log(MINUTE, 2 * HOUR)
    return lambda t: smooth(t) + swing * ((t / period) % 1.0)


def leak_by_load(draw: Draw) -> Shape:
    """Leaks per request: by day fast, by night hardly."""
    base = flat(draw)
    onset, fill = draw.between(0, 0.3) * draw.length, draw.log(8 * HOUR, 5 * DAY)
    phase, room = draw.between(0, DAY), draw.limit - base(draw.length)
    draw.onset = onset

    def done(t: float) -> float:
        turn = 2 * math.pi / DAY
        return t - 0.8 / turn * (math.cos(turn * (t + phase)) - math.cos(turn * phase))

    return lambda t: base(t) + room * max(0.0, done(t) - done(onset)) / fill


def leak_under_day(draw: Draw) -> Shape:
    day = daily(draw)
    onset, fill = draw.between(0, 0.3) * draw.length, draw.log(HOUR, 5 * DAY)
    draw.onset = onset
    room = 0.5 * draw.limit
    return lambda t: day(t) + room * max(0.0, t - onset) / fill


def leak_with_noise(draw: Draw) -> Shape:
    noise, rising = wander(draw), leak(draw)
    base = draw.limit * 0.3
    return lambda t: rising(t) + 0.3 * (noise(t) - base)


def runaway(draw: Draw) -> Shape:
    """An endless loop that allocates: full within 4 to 40 minutes."""
    base = flat(draw)
    onset, fill = draw.between(0.1, 0.9) * draw.length, draw.log(4 * MINUTE, 40 * MINUTE)
    draw.onset = onset
    room = draw.limit - base(draw.length)
    return lambda t: base(t) + room * max(0.0, t - onset) / fill


def burst(draw: Draw) -> Shape:
    """Requests that together need much for some minutes, at any time, several times a day."""
    base = warmed(draw, draw.between(0.2, 0.4), draw.log(10, MINUTE))
    swing = draw.limit * draw.between(0.1, 0.4)
    bursts = [
        (draw.between(0, draw.length), draw.log(MINUTE, 10 * MINUTE), draw.between(0.5, 1.0))
        for _ in range(draw.rng.randint(2, 12))
    ]

    def shape(t: float) -> float:
        return base(t) + swing * max(
            (size * max(0.0, 1 - abs(t - at) / half) for at, half, size in bursts)
        )

    return shape


def hungry_start(draw: Draw) -> Shape:
    """Loads its working set within minutes, in a straight line, and keeps it."""
    size, fill = draw.between(0.4, 0.85), draw.log(MINUTE, 30 * MINUTE)
    return lambda t: draw.limit * (0.02 + size * min(1.0, t / fill))


def short_garbage(draw: Draw) -> Shape:
    low, swing = draw.between(0.2, 0.5), draw.between(0.1, 0.45)
    period = draw.log(30.0, 30 * MINUTE)
    return lambda t: draw.limit * (low + swing * ((t / period) % 1.0))


CALM: dict[str, Family] = {
    "flat": flat,
    "wander": wander,
    "daily": daily,
    "garbage": garbage,
    "warm-up": warm_up,
    "filling cache": filling_cache,
    "slow cache": slow_cache,
    "batch": batch,
    "level shift": level_shift,
    "pool": pool,
}
LEAKS: dict[str, Family] = {
    "leak": leak,
    "from start": leak_from_start,
    "in steps": leak_in_steps,
    "with garbage": leak_with_garbage,
    "by load": leak_by_load,
    "under day": leak_under_day,
    "with noise": leak_with_noise,
}
# What happens within minutes is looked at as often as the agent does.
FAST_CALM: dict[str, Family] = {
    "burst": burst,
    "hungry start": hungry_start,
    "short garbage": short_garbage,
}
FAST_LEAKS: dict[str, Family] = {"runaway": runaway}


def examples(
    seed: int, families: dict[str, Family], count: int, *, length: float, spacing: float
) -> Iterator[Example]:
    """`count` series of each family. A leak's series ends when it is full."""
    for family, make in families.items():
        for number in range(count):
            rng = random.Random(f"{seed}/{family}/{number}")
            draw = Draw(rng=rng, limit=rng.choice([256, 1024, 4096, 16384]) * MIB, length=length)
            shape = make(draw)
            noise = draw.limit * draw.log(0.0005, 0.01)
            times, values, full_at = array("d"), array("d"), None
            t = 0.0
            while t < length:
                # What is served at the moment stands on top of the floor, never below it.
                value = max(1.0, shape(t) + noise * rng.expovariate(1.0))
                times.append(t)
                values.append(min(value, draw.limit))
                if value >= draw.limit and draw.onset is not None:
                    full_at = t
                    break
                t += spacing * rng.uniform(0.98, 1.02)
            yield Example(
                family=family,
                number=number,
                limit=int(draw.limit),
                times=times,
                values=values,
                onset_at=draw.onset,
                full_at=full_at,
            )

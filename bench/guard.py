"""Simulated weeks of guard over normal load: how often it acts falsely, and when on real leaks.

    python bench/guard.py [--host-years Y] [--seed N] [--act-within DURATION] [--json]

Each simulated host has 16 GiB of memory, no swap, a database of 3 GiB that nobody touches, and five
services with loads of families.py, of which a third run under a limit of their own; deploys end
and start them. Their memory, once a minute, goes through the shipped judge, policy, decision and
history; a fake executor ends the process that a plan takes down, which then starts again. One
host in four has one true leak. Beside it, on the same hosts: what earlyoom and nohang do as they
are shipped, on a host without swap (SIGTERM to the largest at 10% and at 5% of memory available).

The loads are written by the same hands as the judge: read the figures as a regression test and a
comparison on the same hosts, not as what a production fleet will see.
"""

import argparse
import datetime
import json
import platform
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from families import CALM, DAY, FAST_CALM, HOUR, LEAKS, MIB, MINUTE, Draw, Shape
from forestall.detect.rules import RULES
from forestall.detect.stream import Judge
from forestall.guard.containment import Containment, ContainMethod
from forestall.guard.decision import decide
from forestall.guard.history import DISRUPTIVE, History, fold
from forestall.guard.host_state import HostState
from forestall.guard.ownership import Ownership
from forestall.guard.policy import Allowance, Policy
from forestall.guard.recipe import Method, Recipe
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.sample import ProcessKey
from forestall.model.verdict import Limit, LimitKind, Subject, Verdict, VerdictKind
from forestall.units import parse_duration

GIB = 1024 * MIB
TOTAL_BYTES = 16 * GIB
DATABASE_BYTES = 3 * GIB
SERVICES = 5
SPACING_SECONDS = MINUTE
HOST_SECONDS = 7 * DAY
YEAR_SECONDS = 365 * DAY
LEAK_EVERY = 4
"""One host in so many has a leak."""

OWNERSHIP_SECONDS = 3 * HOUR
POLICY = Policy(allow=(Allowance(service="*"),))
BAD = (VerdictKind.LEAKING, VerdictKind.EXHAUSTING)
DEPLOYS_A_WEEK = 3
FAMILIES = {**CALM, **FAST_CALM}


@dataclass(slots=True, kw_only=True)
class Service:
    """One service of a host and its present process; its load begins anew with each process."""

    name: str
    family: str
    leaks: bool
    seed: str
    limit: int
    own_limit: bool
    deploys: list[float]
    shape: Shape = float
    onset: float | None = None
    noise: float = 0.0
    rng: random.Random = field(default_factory=random.Random)
    started_at: float = 0.0
    ticks: int = 0
    judge: Judge | None = None
    bad_since: float | None = None
    memory: int = 0
    values: list[int] = field(default_factory=list)

    @property
    def key(self) -> ProcessKey:
        return ProcessKey(boot_id="bench", pid=100, start_ticks=self.ticks)

    def begin(self, now: float) -> None:
        """A new process with the same nature."""
        self.rng = random.Random(self.seed)
        draw = Draw(rng=self.rng, limit=float(self.limit), length=HOST_SECONDS)
        self.shape = (LEAKS if self.leaks else FAMILIES)[self.family](draw)
        self.noise, self.onset = self.limit * draw.log(0.0005, 0.01), draw.onset
        self.started_at, self.ticks = now, self.ticks + 1
        self.judge, self.bad_since, self.values = None, None, []

    def is_leaking(self, now: float) -> bool:
        return self.onset is not None and now - self.started_at >= self.onset

    def tick(self, now: float) -> None:
        if self.deploys and now >= self.deploys[0]:
            self.deploys.pop(0)
            self.begin(now)
        value = self.shape(now - self.started_at) + self.noise * self.rng.expovariate(1.0)
        self.memory = max(1, int(value))

    def grown(self, points: int) -> int:
        """What it took within the last points; all of it where it is younger."""
        before = 0 if len(self.values) <= points else self.values[-1 - points]
        return self.values[-1] - before if self.values else 0


@dataclass(slots=True)
class Tally:
    """What one guard did on all hosts."""

    acts: Counter = field(default_factory=Counter)
    contains: Counter = field(default_factory=Counter)
    refused: Counter = field(default_factory=Counter)
    leads: list[float] = field(default_factory=list)
    headrooms: list[float] = field(default_factory=list)
    leaks: int = 0
    in_time: int = 0
    ran_out: int = 0
    quiet: int = 0
    deaths: Counter = field(default_factory=Counter)


def make_host(seed: int, number: int) -> list[Service]:
    rng = random.Random(f"{seed}/host/{number}")
    services = []
    for index in range(SERVICES):
        leaks = index == 0 and number % LEAK_EVERY == 0
        service = Service(
            name=f"svc-{index}",
            family=rng.choice(sorted(LEAKS if leaks else FAMILIES)),
            leaks=leaks,
            seed=f"{seed}/{number}/{index}",
            limit=rng.choice([1, 2, 2, 3]) * GIB,
            own_limit=rng.random() < 1 / 3,
            deploys=sorted(
                rng.uniform(0, HOST_SECONDS) for _ in range(rng.randint(0, DEPLOYS_A_WEEK))
            ),
        )
        # A deploy would cure a leak for a time, and hide what the guard is asked for.
        service.deploys = [] if leaks else service.deploys
        service.begin(0.0)
        services.append(service)
    return services


class Guarded:
    """A host under the shipped guard."""

    def __init__(self, services: list[Service], tally: Tally, policy: Policy) -> None:
        self.services = services
        self.tally = tally
        self.policy = policy
        self.history = History()

    def step(self, now: float, headroom: int) -> None:
        for service in self.services:
            limit = limit_of(service, headroom)
            if service.judge is None:
                subject = Subject(
                    host="h", name=service.name, process=service.key, cgroup=f"/{service.name}"
                )
                service.judge = Judge(subject, RULES, started_at=service.started_at)
            service.values.append(service.memory)
            verdict = service.judge.observe(now, service.memory, limit)
            if verdict.kind not in BAD:
                service.bad_since = None
                continue
            if service.bad_since is None:
                service.bad_since = now
            plan = decide(verdict, self._state(service, verdict, now), self.policy, self.history)
            if not plan.idle:
                self._carry_out(plan, service, verdict, now)

    def _state(self, service: Service, verdict: Verdict, now: float) -> HostState:
        began = verdict.onset_at if verdict.onset_at is not None else now
        points = int(max(5 * MINUTE, min(now - began, OWNERSHIP_SECONDS)) / SPACING_SECONDS)
        assert service.bad_since is not None
        return HostState(
            at=now,
            mode=Mode.ACT,
            troubled_since=service.bad_since,
            own_pids=frozenset({7}),
            recipe=Recipe(method=Method.SIGNAL),
            ownership=Ownership(
                alone=service.own_limit,
                window_seconds=points * SPACING_SECONDS,
                growth_bytes=service.grown(points),
                whole_growth_bytes=sum(max(0, one.grown(points)) for one in self.services),
                baseline_bytes=min(service.values[-int(OWNERSHIP_SECONDS / SPACING_SECONDS) :]),
            ),
            containment=Containment(
                method=ContainMethod.CGROUP,
                cgroup=f"/{service.name}",
                version=2,
                high_bytes=service.memory + 64 * MIB,
                max_bytes=service.memory + 128 * MIB,
            ),
        )

    def _carry_out(self, plan: Plan, service: Service, verdict: Verdict, now: float) -> None:
        outcomes = [
            Outcome(
                plan_id=plan.id,
                action_id=action.id,
                kind=action.kind,
                subject=action.subject,
                state=OutcomeState.DONE,
                at=now,
                took_seconds=0.0,
                detail="Done.",
            )
            for action in plan.actions
        ]
        self.history = fold([plan, *outcomes], self.history)
        kinds = {action.kind for action in plan.actions}
        takes_down = bool(kinds & set(DISRUPTIVE))
        true = service.is_leaking(now)
        if plan.refusals:
            self.tally.refused["a leak" if true else service.family] += 1
        elif true:
            acted_on_leak(self.tally, service, verdict.forecast.limit.headroom_bytes, now)
        elif takes_down:
            self.tally.acts[service.family] += 1
        elif ActionKind.CONTAIN in kinds:
            self.tally.contains[service.family] += 1
        if takes_down:
            service.begin(now)


class Rival:
    """Ends the largest service when less than a share of the host's memory is available."""

    def __init__(self, services: list[Service], tally: Tally, share: float) -> None:
        self.services, self.tally, self.share = services, tally, share

    def step(self, now: float, headroom: int) -> None:
        if headroom > self.share * TOTAL_BYTES:
            return
        victim = max(self.services, key=lambda service: service.memory)
        if victim.is_leaking(now):
            acted_on_leak(self.tally, victim, headroom, now)
        else:
            self.tally.acts[victim.family] += 1
        victim.begin(now)


class Nobody:
    """What happens without a guard."""

    def __init__(self, services: list[Service], tally: Tally) -> None:
        self.services, self.tally = services, tally

    def step(self, now: float, headroom: int) -> None:
        return


def limit_of(service: Service, headroom: int) -> Limit:
    if service.own_limit:
        return Limit(
            kind=LimitKind.CGROUP,
            limit_bytes=service.limit,
            headroom_bytes=max(0, service.limit - service.memory),
            source=f"/{service.name} memory.max",
        )
    return Limit(
        kind=LimitKind.HOST,
        limit_bytes=TOTAL_BYTES,
        headroom_bytes=headroom,
        source="MemAvailable; there is no swap",
    )


def acted_on_leak(tally: Tally, service: Service, headroom: int, now: float) -> None:
    """Note the first act on a leak: what was left, and how long it would still have lasted."""
    if service.ticks > 1:
        return
    whole = service.limit if service.own_limit else TOTAL_BYTES
    tally.in_time += 1
    tally.headrooms.append(headroom / whole)
    # The load goes on as it would have; a shape with a memory of its own is asked in order.
    age, start = now - service.started_at, service.memory
    left = HOST_SECONDS
    for ahead in range(0, int(HOST_SECONDS), 60):
        if service.shape(age + ahead) - start >= headroom:
            left = float(ahead)
            break
    tally.leads.append(left)


def run_host(seed: int, number: int, make) -> None:
    """One host for a week. What runs out is ended as the kernel would: the largest, or itself."""
    services = make_host(seed, number)
    guard = make(services)
    tally: Tally = guard.tally
    leak = next((s for s in services if s.leaks), None)
    tally.leaks += leak is not None
    ran_out = False
    before = tally.in_time
    now = 0.0
    while now < HOST_SECONDS:
        now += SPACING_SECONDS
        for service in services:
            service.tick(now)
            if service.own_limit and service.memory >= service.limit:
                ran_out |= service.leaks and service.ticks == 1
                tally.deaths[service.family if not service.is_leaking(now) else "a leak"] += 1
                service.begin(now)
                service.tick(now)
        headroom = TOTAL_BYTES - DATABASE_BYTES - sum(service.memory for service in services)
        if headroom <= 0:
            victim = max(services, key=lambda service: service.memory)
            ran_out |= leak is not None and leak.ticks == 1 and leak.is_leaking(now)
            tally.deaths["the host"] += 1
            victim.begin(now)
            victim.tick(now)
            headroom = 0
        guard.step(now, headroom)
    if leak is not None and tally.in_time == before:
        tally.ran_out += ran_out
        tally.quiet += not ran_out


GUARDS = {
    "forestall": lambda services, tally, policy: Guarded(services, tally, policy),
    "earlyoom 10%": lambda services, tally, policy: Rival(services, tally, 0.10),
    "nohang 5%": lambda services, tally, policy: Rival(services, tally, 0.05),
    "nobody": lambda services, tally, policy: Nobody(services, tally),
}


def run(seed: int, host_years: float, policy: Policy) -> dict:
    hosts = max(LEAK_EVERY, round(host_years * YEAR_SECONDS / HOST_SECONDS))
    years = hosts * HOST_SECONDS / YEAR_SECONDS
    result: dict = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}",
        "seed": seed,
        "hosts": hosts,
        "host_years": round(years, 2),
        "act_within_seconds": policy.act_within_seconds,
        "guards": {},
    }
    for name, make in GUARDS.items():
        tally = Tally()
        started = time.process_time()
        for number in range(hosts):
            run_host(
                seed, number, lambda services, make=make, tally=tally: make(services, tally, policy)
            )
            if sys.stderr.isatty():
                print(f"\r{name}: {number + 1} of {hosts} weeks ", end="", file=sys.stderr)
        result["guards"][name] = figures(tally, years, time.process_time() - started)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return result


def figures(tally: Tally, years: float, seconds: float) -> dict:
    return {
        "false_acts_per_host_year": round(sum(tally.acts.values()) / years, 2),
        "false_contains_per_host_year": round(sum(tally.contains.values()) / years, 2),
        "false_acts_by_load": dict(tally.acts.most_common()),
        "false_contains_by_load": dict(tally.contains.most_common()),
        "refused_by_load": dict(tally.refused.most_common()),
        "leaks": tally.leaks,
        "leaks_acted_on_in_time": tally.in_time,
        "leaks_that_ran_out_first": tally.ran_out,
        "leaks_that_never_ran_out": tally.quiet,
        "median_hours_left": _middle([lead / HOUR for lead in tally.leads]),
        "median_headroom_share": _middle(tally.headrooms),
        "killed_by_the_kernel": dict(tally.deaths.most_common()),
        "cpu_seconds": round(seconds, 1),
    }


def _middle(values: list[float]) -> float | None:
    return round(statistics.median(values), 3) if values else None


def show(result: dict) -> None:
    print(f"{result['date']}  {result['machine']}  seed {result['seed']}")
    print(f"{result['hosts']} hosts for a week each = {result['host_years']} host-years")
    print(f"forestall acts within {result['act_within_seconds'] / 60:g} min of exhaustion\n")
    names = list(result["guards"])
    print(" " * 32 + "".join(name.rjust(16) for name in names))
    for key, first in result["guards"][names[0]].items():
        if not isinstance(first, dict):
            print(f"{key:32}" + "".join(str(result["guards"][n][key]).rjust(16) for n in names))
    for name in names:
        for key, value in result["guards"][name].items():
            if isinstance(value, dict) and value:
                said = ", ".join(f"{load} {count}" for load, count in value.items())
                print(f"\n{name}, {key}: {said}", end="")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--host-years", type=float, default=1.0)
    parser.add_argument("--act-within", metavar="DURATION", help="in place of the policy's own")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    policy = POLICY
    if options.act_within:
        policy = replace(POLICY, act_within_seconds=parse_duration(options.act_within))
    result = run(options.seed, options.host_years, policy)
    print(json.dumps(result, indent=2)) if options.json else show(result)


if __name__ == "__main__":
    main()

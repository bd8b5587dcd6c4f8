"""The plan that guard would make now, and for each step why it is allowed, refused or left out.

examples:
  forestall guard explain                         the service that is worst off now
  forestall guard explain feed-sync               this one
  forestall guard explain --if-exhausting feed-sync.service
                                                  the plan if it were EXHAUSTING now
  forestall guard explain --json | jq .plan.left_out

Reads the host by the functions that the agent uses, and what the agent keeps in its state folder;
asks what is configured for its state: the database's members, poolers and proxies, etcd, and who
runs the service. Nothing is changed, recorded or told to people.

Exit code 0, 1 where guard would take nothing down or contain, 3 where no such service is seen.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from forestall.agent.config import AgentConfig, ServiceConfig, find_config, read_config
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.agent.recall import RECALL_SECONDS
from forestall.agent.situation import policy_for, room_for_evidence
from forestall.cli.options import add_json, add_state, print_json, printable, state_folder
from forestall.clock import SystemClock
from forestall.errors import InputError, JournalError
from forestall.guard.decision import decide
from forestall.guard.history import History, fold
from forestall.guard.ledger import LEDGER_NAME, read_ledger
from forestall.guard.ownership import Ownership
from forestall.guard.policy import Policy, policy_from
from forestall.guard.words import describe
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.codec import Json, to_document
from forestall.model.verdict import Forecast, Limit, LimitKind, Verdict, VerdictKind
from forestall.sense.host import Host
from forestall.units import MINUTE, parse_bytes

BETWEEN_SECONDS = 1.0
SUPPOSED_SECONDS = 1 * MINUTE
"""How soon a service is taken to exhaust where that is supposed and nothing sooner is known.

So soon that the shipped guard acts also where it runs out alone.
"""

_GRAVEST = (
    VerdictKind.EXHAUSTING,
    VerdictKind.LEAKING,
    VerdictKind.GROWING,
    VerdictKind.STEADY,
    VerdictKind.UNDECIDED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A plan, what stands in the way of each of its steps, and the verdict it answers."""

    plan: Plan
    rehearsed: tuple[Outcome, ...]
    supposed: bool


class NoRecord:
    """A ledger that is only read."""

    def __init__(self, history: History) -> None:
        self.history = history

    def record(self, noun: Plan | Outcome) -> None:
        raise JournalError("nothing is recorded while a plan is only explained")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `forestall guard explain`."""
    parser.add_argument("service", nargs="?", metavar="SERVICE", help="default: the worst off")
    parser.add_argument(
        "--if-exhausting", metavar="SERVICE", help="suppose that this service were EXHAUSTING"
    )
    parser.add_argument("--config", metavar="FILE", help="as for `forestall watch`")
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], help="default: act")
    parser.add_argument("--limit", metavar="BYTES", help="as for `forestall watch`")
    add_state(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Look, decide, and say why."""
    path = find_config(args.config)
    config = AgentConfig() if path is None else read_config(path)
    # What act mode would do is the question, whatever the agent is set to.
    config = replace(config, mode=Mode(args.mode or Mode.ACT))
    clock, host = SystemClock(), Host()
    given = {"--limit": parse_bytes(args.limit)} if args.limit else {}
    watch = Watch(
        config,
        host=host,
        clock=clock,
        log=Log(sys.stderr, clock, journald=False),
        policy=policy_from(config.policy),
        given=given,
    )
    folder = state_folder(args.state or config.state)
    try:
        history = recalled(watch, folder)
        watch.tick()
        clock.sleep(BETWEEN_SECONDS)
        watch.tick()
        explained = explain(
            watch, history, folder, args.if_exhausting or args.service, bool(args.if_exhausting)
        )
    finally:
        watch.close()
    if args.json:
        print_json(document(explained))
    else:
        print("\n".join(lines(explained)))
    return 0 if acts(explained) else 1


def recalled(watch: Watch, folder: str) -> History:
    """What the agent of this host remembers; its history with guard."""
    try:
        watch.recall_from(folder, set(), time.time() - RECALL_SECONDS)
        return fold(read_ledger(os.path.join(folder, LEDGER_NAME)))
    except JournalError as error:
        print(f"not read, so not taken into account: {error.message}", file=sys.stderr)
        return History()


def explain(
    watch: Watch, history: History, folder: str, service: str | None, supposed: bool
) -> Explained:
    """The plan now about `service`, or about the worst off."""
    verdict = chosen(watch, service)
    process = verdict.subject.process
    assert process is not None
    at = watch.sample.at if watch.sample is not None else verdict.at
    if supposed:
        verdict = exhausting(watch, verdict, at)
    trouble = watch.troubles.of(process)
    since = trouble.bad_since if trouble is not None and trouble.bad_since is not None else None
    configured = watch.judging.service_of(process)
    if since is None:
        since = at - watch.policy.persistence_seconds
    plan = planned(watch, history, folder, verdict, since, configured, supposed=supposed)
    executor = watch.acting.executor_on(NoRecord(history), watch.hands(folder))
    return Explained(plan=plan, rehearsed=executor.rehearse(plan), supposed=supposed)


def planned(
    watch: Watch,
    history: History,
    folder: str,
    verdict: Verdict,
    since: float,
    configured: ServiceConfig | None,
    *,
    supposed: bool = False,
) -> Plan:
    """As the agent does it, but always with what must be looked for."""
    situation = watch.situation
    at = watch.sample.at if watch.sample is not None else verdict.at
    state = situation.of(verdict, at, since, configured)
    state = replace(state, evidence_free_bytes=room_for_evidence(folder))
    if supposed:
        # Who exhausts a host is who grows: the one is supposed with the other.
        state = replace(state, ownership=_all_its_own(state.ownership))
    policy: Policy = policy_for(watch.policy, verdict.subject, configured)
    return decide(verdict, situation.complete(state, verdict), policy, history)


def _all_its_own(ownership: Ownership | None) -> Ownership:
    alone = ownership is not None and ownership.alone
    return Ownership(
        alone=alone, window_seconds=SUPPOSED_SECONDS, growth_bytes=1, whole_growth_bytes=1
    )


def chosen(watch: Watch, service: str | None) -> Verdict:
    """The gravest verdict, of the given service where one is given. Raises InputError."""
    found = [
        verdict
        for verdict in watch.judging.verdicts.values()
        if service is None or _named(verdict, service)
    ]
    if not found:
        what = "no process can be seen here" if service is None else f"no process of {service} runs"
        raise InputError(what, help="`forestall watch --once` lists what is seen on this host")
    return min(found, key=lambda v: (_GRAVEST.index(v.kind), _end(v), -v.memory_bytes))


def exhausting(watch: Watch, verdict: Verdict, at: float) -> Verdict:
    """The verdict as it would be if the service were about to exhaust what it runs into."""
    forecast = verdict.forecast
    process = verdict.subject.process
    limit = watch.judging.limit_of(process) if process is not None else None
    low = forecast.exhaustion_low_seconds if forecast is not None else None
    if low is None or low > SUPPOSED_SECONDS:
        limit = limit or Limit(
            kind=LimitKind.HOST, limit_bytes=0, headroom_bytes=0, source="no limit is known"
        )
        rate = limit.headroom_bytes / SUPPOSED_SECONDS
        forecast = Forecast(
            limit=limit,
            rate_bytes_per_second=rate,
            rate_low_bytes_per_second=rate,
            rate_high_bytes_per_second=rate,
            exhaustion_seconds=SUPPOSED_SECONDS,
            exhaustion_low_seconds=SUPPOSED_SECONDS,
            exhaustion_high_seconds=SUPPOSED_SECONDS,
            window_seconds=SUPPOSED_SECONDS,
        )
    return replace(
        verdict,
        kind=VerdictKind.EXHAUSTING,
        at=at,
        reasons=("This is supposed, and was not observed.",),
        forecast=forecast,
    )


def acts(explained: Explained) -> bool:
    """Whether something would be contained, moved or taken down."""
    quiet = (ActionKind.CAPTURE, ActionKind.NOTIFY)
    return any(
        outcome.kind not in quiet and outcome.state is OutcomeState.WOULD
        for outcome in explained.rehearsed
    )


def lines(explained: Explained) -> list[str]:
    """For a person."""
    plan = explained.plan
    head = f"{plan.subject.service} on {plan.subject.host}"
    shown = [
        f"{head}, supposed to be EXHAUSTING by its own growth" if explained.supposed else head,
        "",
    ]
    sentences = plan.because or (describe(plan.verdict),)
    shown += [f"  {sentence}" for sentence in sentences]
    if plan.hold:
        shown.append(f"  {plan.hold}")
    shown.append("")
    for outcome in explained.rehearsed:
        word = "allowed" if outcome.state is OutcomeState.WOULD else "refused"
        shown.append(f"  {outcome.action_id:<13} {word:<9} {outcome.detail}")
    shown += [f"  {'-':<13} {'left out':<9} {sentence}" for sentence in plan.left_out]
    shown += [f"  {'-':<13} {'refused':<9} {sentence}" for sentence in plan.refusals]
    if plan.idle:
        shown.append("  No plan is made now.")
    return [printable(line) for line in shown]


def document(explained: Explained) -> Json:
    """For a program."""
    return {
        "schema": "forestall/explain/1",
        "supposed": explained.supposed,
        "plan": to_document(explained.plan),
        "steps": [
            {
                "action": outcome.action_id,
                "allowed": outcome.state is OutcomeState.WOULD,
                "said": outcome.detail,
            }
            for outcome in explained.rehearsed
        ],
    }


def _named(verdict: Verdict, service: str) -> bool:
    subject = verdict.subject
    names = (subject.service, subject.name, subject.service.removesuffix(".service"))
    return any(fnmatchcase(name, service) for name in names)


def _end(verdict: Verdict) -> float:
    low = verdict.forecast.exhaustion_low_seconds if verdict.forecast else None
    return float("inf") if low is None else low

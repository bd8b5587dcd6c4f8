"""What guard did, or would have done, and when: the record to read before letting it act.

examples:
  forestall guard ledger                      the last seven days, for a person
  forestall guard ledger --since 24h          the last day
  forestall guard ledger --service feed-sync  one service only
  forestall guard ledger --json | jq .totals  the same for a program
  forestall guard explain                     the plan now, and why each step is allowed or refused
  forestall guard test                        whether guard could do here what it is configured to

In observe mode (the default of `forestall watch`) nothing is touched, and each plan below is
the one that act mode would have carried out.

Exit code 0, or 1 when a part of the ledger cannot be read.
"""

import argparse
import os
import textwrap
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from importlib import import_module

from forestall.agent.spool import SPOOL_FILE
from forestall.cli.guard_next import Next, next_of, read_events
from forestall.cli.options import add_json, add_state, print_json, printable, state_folder
from forestall.errors import JournalError
from forestall.guard.history import DISRUPTIVE, Past
from forestall.guard.ledger import LEDGER_NAME, read_ledger
from forestall.guard.words import when
from forestall.model.action import ActionKind, Mode, Outcome, OutcomeState, Plan
from forestall.model.codec import Json, to_document
from forestall.units import HOUR, format_bytes, format_duration, parse_duration

OTHERS = {
    "explain": "the plan now, and why each step is allowed or refused",
    "test": "whether guard could do here what it is configured to do",
}
WIDTH = 100
DAMAGE_SHOWN = 5


class Came(StrEnum):
    """What came of a plan, in one word."""

    ACTED = "acted"
    WOULD = "would have acted"
    REFUSED = "refused"
    HELD = "held"
    FAILED = "failed"
    UNFINISHED = "unfinished"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare `forestall guard ledger`."""
    commands = parser.add_subparsers(dest="guard_command", required=True, metavar="COMMAND")
    ledger = commands.add_parser(
        "ledger", help="what guard did, or would have done", description=__doc__
    )
    ledger.add_argument(
        "--since", metavar="AGE", default="7d", help="how far back, for example 24h (default: 7d)"
    )
    ledger.add_argument(
        "--service", metavar="NAME", help="only this service; shell-style patterns work"
    )
    add_state(ledger)
    add_json(ledger)
    for name, words in OTHERS.items():
        module = import_module(f"forestall.cli.guard_{name}")
        module.configure(
            commands.add_parser(
                name,
                help=words,
                description=module.__doc__,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )


def run(args: argparse.Namespace) -> int:
    """Print the ledger as it is now, or what another command of guard says."""
    if args.guard_command in OTHERS:
        code: int = import_module(f"forestall.cli.guard_{args.guard_command}").run(args)
        return code
    return show_ledger(args, now=time.time())


def show_ledger(args: argparse.Namespace, *, now: float) -> int:
    """Print the ledger up to `now`; 1 when a part of it cannot be read, else 0."""
    span = parse_duration(args.since)
    path = os.path.join(state_folder(args.state), LEDGER_NAME)
    damaged: list[str] = []
    plans = [
        past
        for past in _collect(read_ledger(path, damaged=damaged))
        if past.plan.at >= now - span and _is_service(past.plan, args.service)
    ]
    nexts = _nexts(os.path.join(os.path.dirname(path), SPOOL_FILE), plans, damaged)
    if args.json:
        print_json(_document(path, span, plans, nexts, damaged))
        return 1 if damaged else 0
    for past in plans:
        print("\n".join(_lines(past, os.path.dirname(path), nexts[past.plan.id])))
        print()
    if not plans and damaged:
        print(f"No plan can be read in {printable(path)}; what was in it is not known.")
    elif not plans:
        print(_nothing(path, span, args.service))
    else:
        print(f"in the last {format_duration(span)}: {_totals_line(plans)}")
    for sentence in damaged[:DAMAGE_SHOWN]:
        print(f"not readable: {printable(sentence)}")
    if len(damaged) > DAMAGE_SHOWN:
        print(f"not readable: {len(damaged) - DAMAGE_SHOWN} more")
    return 1 if damaged else 0


def came_of(past: Past) -> Came:
    """What came of one plan."""
    states = {outcome.state for outcome in past.outcomes if outcome.kind in DISRUPTIVE}
    if past.unanswered:
        return Came.UNFINISHED
    if past.plan.hold is not None:
        return Came.HELD
    if past.plan.refusals or OutcomeState.REFUSED in states:
        return Came.REFUSED
    if OutcomeState.DONE in states:
        return Came.ACTED
    if OutcomeState.WOULD in states:
        return Came.WOULD
    return Came.FAILED


def _collect(records: Iterable[Plan | Outcome]) -> list[Past]:
    """All plans with their outcomes, in order; `fold` would keep the newest only."""
    plans: dict[str, Plan] = {}
    outcomes: dict[str, dict[str, Outcome]] = {}
    for record in records:
        if isinstance(record, Plan):
            plans.setdefault(record.id, record)
        elif record.plan_id in plans:
            outcomes.setdefault(record.plan_id, {}).setdefault(record.action_id, record)
    return [
        Past(plan=plan, outcomes=tuple(outcomes.get(plan.id, {}).values()))
        for plan in plans.values()
    ]


def _is_service(plan: Plan, pattern: str | None) -> bool:
    names = (plan.subject.service, plan.subject.name, plan.subject.service.removesuffix(".service"))
    return pattern is None or any(fnmatchcase(name, pattern) for name in names)


def _nexts(path: str, plans: list[Past], damaged: list[str]) -> dict[str, Next]:
    """What happened after each plan, by its id."""
    try:
        events = list(read_events(path)) if plans else []
    except JournalError as error:
        damaged.append(error.message)
        events = []
    return {past.plan.id: next_of(past, events) for past in plans}


def _lines(past: Past, state: str, after: Next) -> list[str]:
    plan = past.plan
    verdict = plan.verdict
    head = f"{_local(plan.at)}  {plan.subject.service}  {verdict.kind.value}: {_headline(past)}"
    lines = [printable(head)]
    lines += _row("memory", f"{format_bytes(verdict.memory_bytes)}{_rate(plan)}")
    lines += _row("forecast", when(verdict))
    if verdict.forecast is not None:
        limit = verdict.forecast.limit
        left, whole = format_bytes(limit.headroom_bytes), format_bytes(limit.limit_bytes)
        lines += _row("headroom", f"{left} left of {whole} ({limit.source})")
    # The first sentence says the numbers that are in the rows above.
    lines += _row("because", " ".join(plan.because[1:]))
    for refusal in plan.refusals:
        lines += _row("refused", refusal)
    if plan.hold is not None:
        lines += _row("held", plan.hold)
    for sentence in plan.left_out:
        lines += _row("left out", sentence)
    would = all(outcome.state is OutcomeState.WOULD for outcome in past.outcomes)
    if would and not past.unanswered:
        lines += _row("done", f"nothing: the mode was {plan.mode.value}")
        lines += _row("next", after.sentence(plan.at))
        return lines
    for outcome in past.outcomes:
        lines += _row(outcome.kind.value, _outcome(outcome))
        if outcome.evidence is not None:
            lines += _row("evidence", os.path.join(state, "evidence", outcome.evidence))
    for action_id in past.unanswered:
        lines += _row(action_id, "no outcome is recorded: under way, or forestall was ended")
    lines += _row("next", after.sentence(plan.at))
    return lines


def _headline(past: Past) -> str:
    kinds = [action.kind for action in past.plan.actions if action.kind in DISRUPTIVE]
    verb = "stop" if ActionKind.STOP in kinds else "restart"
    done = {"stop": "stopped", "restart": "restarted"}[verb]
    return {
        Came.ACTED: f"{done} it",
        Came.WOULD: f"would have {done} it",
        Came.REFUSED: "left it alone",
        Came.HELD: "held it" if past.plan.mode is Mode.ACT else "would have held it",
        Came.FAILED: f"could not {verb} it",
        Came.UNFINISHED: f"began to {verb} it, and did not end",
    }[came_of(past)]


def _outcome(outcome: Outcome) -> str:
    took = f" in {format_duration(outcome.took_seconds)}" if outcome.took_seconds > 0 else ""
    return f"{outcome.state.value}{took}. {outcome.detail}"


def _rate(plan: Plan) -> str:
    forecast = plan.verdict.forecast
    if forecast is None:
        return ""
    low = format_bytes(forecast.rate_low_bytes_per_second * HOUR)
    high = format_bytes(forecast.rate_high_bytes_per_second * HOUR)
    return f", growing by {low} to {high} per hour"


def _row(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        width=WIDTH,
        initial_indent=f"  {label:<9} ",
        subsequent_indent=" " * 12,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _local(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%a %Y-%m-%d %H:%M:%S %Z")


def _counts(plans: Iterable[Past]) -> dict[Came, int]:
    states = [came_of(past) for past in plans]
    return {came: states.count(came) for came in Came}


def _totals_line(plans: list[Past]) -> str:
    counts = _counts(plans)
    parts = [f"{len(plans)} plan{'' if len(plans) == 1 else 's'}"]
    parts += [
        f"{counts[came]} {came.value}"
        for came in Came
        if counts[came] or came in (Came.ACTED, Came.WOULD, Came.REFUSED)
    ]
    return ", ".join(parts)


def _nothing(path: str, span: float, service: str | None) -> str:
    if not os.path.exists(path):
        return (
            f"There is no ledger at {path} yet.\n"
            f"  Run `forestall watch` (it only observes), and come back after a night."
        )
    about = f" for {printable(service)}" if service else ""
    return (
        f"Guard planned nothing{about} in the last {format_duration(span)} ({path}).\n"
        f"  Nothing came near its limit, or `forestall watch` did not run.\n"
        f"  `forestall look` shows what would happen if memory ran out tonight."
    )


def _document(
    path: str, span: float, plans: list[Past], nexts: dict[str, Next], damaged: list[str]
) -> Json:
    return {
        "schema": "forestall/ledger/1",
        "path": path,
        "since_seconds": span,
        "plans": [
            {
                "came": came_of(past).name.lower(),
                "plan": to_document(past.plan),
                "outcomes": [to_document(outcome) for outcome in past.outcomes],
                "unanswered": list(past.unanswered),
                "next": {
                    "after": nexts[past.plan.id].after.name.lower(),
                    "at": nexts[past.plan.id].at,
                    "text": nexts[past.plan.id].text,
                },
            }
            for past in plans
        ],
        "totals": {
            "plans": len(plans),
            **{came.name.lower(): count for came, count in _counts(plans).items()},
        },
        "damaged": damaged,
    }

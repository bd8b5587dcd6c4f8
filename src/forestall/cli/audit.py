"""Find the hosts on which the next leak becomes an outage: one host, or a fleet of any size.

Reads facts of hosts, judges each on the rules, and changes nothing. Where evidence is missing the
answer is UNKNOWN, never PASS. A group of words says where hosts come from; groups can follow one
another, and one report is made over all of them:

  local                    this host (the default; --root DIR for a copied tree)
  ssh HOST...              over ssh, with a read-only shell script; --inventory adds hosts
  sosreport FILE|DIR...    sosreports, packed or not, or a folder of them
  prometheus URL...        what node_exporter told a Prometheus
  facts FILE|DIR...        what `--keep` kept, `forestall look --json` wrote, fact caches
  ansible DIR...           Ansible's fact cache
  osquery FILE...          osquery's results
  (a host or file of such a name: user@local, ./facts)

commands of their own (`forestall audit COMMAND --help`):
  check     answer a question over facts: true, false or unknown
  oom       explain an OOM kill or panic from kernel messages
  refresh   update the tables of life cycles and advisories
  rules     list the rules, or explain one
  script    print the script that ssh sends, to be read before it is trusted

examples:
  forestall audit                                       this host, in words
  forestall audit ssh db01 db02 --role 'db=db*'
  forestall audit sosreport /cases/4711 local --html fleet.html
  forestall audit --inventory hosts.ini --policy audit.toml --json > findings.jsonl
  forestall audit facts facts/ --sarif audit.sarif --junit audit.xml --fail-on critical
  forestall audit local --textfile /var/lib/node_exporter/forestall_audit.prom

exit codes: 0 nothing as grave as --fail-on, 1 findings, 2 usage, 3 evidence is missing: a host
could not be read, or a rule as grave as --fail-on is UNKNOWN (1 goes before 3)
"""

import argparse
import contextlib
import gc
import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TextIO, cast

from forestall import __version__
from forestall.audit import tables
from forestall.audit.fleet import Fleet, chosen_rules, exit_code, judge_hosts
from forestall.audit.inputs.source import Seen, no_older
from forestall.audit.policy import Policy, load_policy, role_of
from forestall.audit.report import About, Report
from forestall.audit.report.lines import Lines
from forestall.audit.report.table import Look, Table
from forestall.audit.report.unknowns import Unknowns
from forestall.audit.report.words import plural
from forestall.audit.report.writing import CLOSED, OPEN, report_file
from forestall.audit.rule import Rule
from forestall.audit.rules import RULES
from forestall.audit.terms import DATABASE, Terms
from forestall.cli.audit_inputs import add_inputs, groups, hosts, roles_of_groups
from forestall.cli.options import add_state, ended_in_order, state_folder
from forestall.clock import Clock, SystemClock
from forestall.errors import UsageError
from forestall.model.finding import Severity
from forestall.units import DAY, format_duration, parse_duration

SEPARATE = ("check", "oom", "refresh", "rules", "script")
"""Each a module of its own, audit_NAME."""

REPORTS = {
    "html": ("FILE", "the fleet matrix as one HTML page, the worst hosts first"),
    "sarif": ("FILE", "SARIF 2.1.0"),
    "junit": ("FILE", "JUnit XML, a suite per host"),
    "textfile": ("FILE", "Prometheus text format, for node_exporter's textfile collector"),
    "ansible": ("FILE", "a remediation play with its undo; forestall never runs it"),
}
GARBAGE_THRESHOLD = 100_000
NARROW, WIDE = 40, 110
PROGRESS_AFTER_SECONDS, PROGRESS_EVERY_SECONDS = 2.0, 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `forestall audit`; they may stand anywhere between the inputs."""
    parser.intermixed = True  # type: ignore[attr-defined]
    add = parser.add_argument
    add("inputs", nargs="*", metavar="INPUT", help="local, ssh HOST..., sosreport FILE..., ...")
    add_terms(parser)
    add(
        "--fail-on",
        metavar="SEVERITY",
        default=None,
        choices=[*(one.value for one in Severity), "none"],
        help="critical, high (the default), medium, low, or none: what makes it end with 1",
    )
    add("--rule", metavar="ID", action="append", default=[], help="judge this rule only (repeat)")
    add("--skip", metavar="ID", action="append", default=[], help="leave this rule out (repeat)")
    add("--optional", action="store_true", help="judge the optional rules as well")
    add("--json", action="store_true", help="one JSON line per host and rule instead of the table")
    add("--list-unknown", action="store_true", help="list what evidence is missing, by reason")
    files = parser.add_argument_group("reports in files, each replaced whole")
    for name, (what, says) in REPORTS.items():
        files.add_argument(f"--{name}", metavar=what, help=says)
    add_inputs(parser)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """`--role`, `--policy` and `--state`, the same for `audit check`."""
    parser.add_argument(
        "--role",
        metavar="ROLE=PATTERN",
        action="append",
        default=[],
        help="the role of hosts by name, such as 'db=db*', or by an inventory's group, db=@group "
        "(repeat); else what runs there decides",
    )
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="the site's audit file: roles, waivers, terms (docs/reference/audit.md)",
    )
    add_state(parser)


@ended_in_order()
def run(args: argparse.Namespace) -> int:
    """Read, judge and report; returns the exit code."""
    clock = SystemClock()
    groups(args.inputs)
    policy = policy_of(args, clock.now())
    max_age = None if args.max_age is None else parse_duration(args.max_age)
    rules = _rules(args, policy)
    fail_on = None if args.fail_on == "none" else Severity(args.fail_on or "high")
    about = About(at=clock.now(), version=__version__, fail_on=fail_on)
    fleet = Fleet(rules, keep=200 if args.html else 3)
    # Nothing that judging makes is cyclic, and looking for cycles would take a fifth of the time.
    gc.set_threshold(GARBAGE_THRESHOLD)
    shown = _on_streams(args, about)
    with contextlib.ExitStack() as files:
        kept = _in_files(args, about, files)
        asks_hosts = bool(args.inventory) or "ssh" in args.inputs
        found = _shown(hosts(args, clock), clock, asks_hosts=asks_hosts)
        fresh = (no_older(seen, about.at, max_age) for seen in found)
        for audit in judge_hosts(fresh, policy, rules, about.at):
            fleet.add(audit)
            for report in (*kept, *shown):
                report.host(audit)
        about.notices += policy.waivers.notices(about.at)
        about.notices += _notices(fleet, args.role)
        if old := fleet.stale(policy.terms.tables or tables.shipped(), about.at):
            about.notices.append(f"{' '.join(old)} Newer ones: forestall audit refresh --help")
        for report in kept:
            report.end(fleet)
    # After the files are safe: the reader of standard output may be gone.
    for report in shown:
        report.end(fleet)
    if args.json:
        for notice in about.notices:
            print(f"forestall: {notice}", file=sys.stderr)
    return exit_code(fleet, fail_on)


def policy_of(args: argparse.Namespace, at: float) -> Policy:
    """The site's policy with the roles of the command line, which go last."""
    policy = load_policy(args.policy, at) if args.policy else Policy(terms=Terms(at=at))
    grouped: dict[str, list[str]] = {}
    for option in args.role:
        role, _, pattern = option.partition("=")
        if pattern.startswith("@"):
            role_of(option)
            grouped.setdefault(role, []).append(pattern[1:])
    roles = tuple(role_of(option) for option in args.role if "=@" not in option)
    return Policy(
        hosts=(*policy.hosts, *roles),
        named_roles=roles_of_groups(args, grouped),
        waivers=policy.waivers,
        terms=replace(policy.terms, tables=tables.load(state_folder(args.state))),
        skipped=policy.skipped,
        optional=policy.optional,
    )


def rule_id(name: str) -> str:
    """A rule's id as it is written. Raises UsageError where there is none such."""
    found = name.upper()
    if all(rule.id != found for rule in RULES):
        near = [rule.id for rule in RULES if rule.id[:3] == found[:3]]
        advice = f"there are {', '.join(near)}" if near else "forestall audit rules lists them"
        raise UsageError(f"no such rule: {name}", help=advice)
    return found


def _rules(args: argparse.Namespace, policy: Policy) -> tuple[Rule, ...]:
    only = [rule_id(name) for name in args.rule]
    without = {rule_id(name) for name in args.skip} | policy.skipped
    if both := sorted(set(only) & without):
        raise UsageError(f"{both[0]} is asked for and skipped", help="take one of them away")
    return chosen_rules(only, without, policy.optional, every=args.optional)


def _on_streams(args: argparse.Namespace, about: About) -> list[Report]:
    """What goes to the terminal: the table or the lines, and what evidence is missing."""
    shown: list[Report] = [
        Lines(sys.stdout, about) if args.json else Table(sys.stdout, about, _look())
    ]
    if args.list_unknown:
        shown.append(Unknowns(sys.stderr if args.json else sys.stdout, about))
    return shown


def _in_files(args: argparse.Namespace, about: About, files: contextlib.ExitStack) -> list[Report]:
    """The reports in files that were asked for, each imported by need."""
    reports: list[Report] = []
    paths = [os.path.realpath(path) for name in REPORTS if (path := getattr(args, name))]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise UsageError(f"{twice[0]} is named for two reports", help="name a file for each")
    for name in REPORTS:
        path = getattr(args, name)
        if path is not None:
            module = importlib.import_module(f"forestall.audit.report.{name}")
            make = cast(Callable[[TextIO, About], Report], getattr(module, name.capitalize()))
            # node_exporter is another user; the others hold each host's evidence.
            mode = OPEN if name == "textfile" else CLOSED
            reports.append(make(files.enter_context(report_file(path, mode=mode)), about))
    return reports


def _look() -> Look:
    """How standard output wants its text."""
    terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size((100, 24)).columns
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return Look(width=max(NARROW, min(WIDE, columns)), color=terminal and not plain)


def _notices(fleet: Fleet, roles: list[str]) -> Iterator[str]:
    """What a reader should know of the run as a whole."""
    if not fleet.rows:
        yield "no host was found in the inputs"
    ages = [row.age_seconds for row in fleet.rows if (row.age_seconds or 0.0) > DAY]
    if ages:
        yield (
            f"the facts of {plural(len(ages), 'host')} are more than a day old, the oldest "
            f"{format_duration(max(age for age in ages if age))}: what changed since is not in them"
        )
    if fleet.ahead:
        yield (
            f"the facts of {plural(fleet.ahead, 'host')} are of a later moment than this one: a "
            "clock is wrong, and ages and uptimes with it"
        )
    names = {row.name for row in fleet.rows}
    for option in roles:
        pattern = option.partition("=")[2]
        if not pattern.startswith("@") and not any(fnmatchcase(name, pattern) for name in names):
            yield f"--role {option} names no host that was seen"
    if denied := fleet.denied_databases:
        more = f" and {len(denied) - 3:,} more" if len(denied) > 3 else ""
        yield (
            f"a large database runs on {', '.join(denied[:3])}{more}, and the roles given do not "
            f"say {DATABASE}: the rules about databases were left out there"
        )
    if len(names) < len(fleet.rows):
        again = len(fleet.rows) - len(names)
        yield (
            f"{plural(again, 'host')} came more than once, from several inputs or twice from one; "
            "each is reported"
        )


def _shown(found: Iterator[Seen], clock: Clock, *, asks_hosts: bool) -> Iterator[Seen]:
    """The same hosts, with a line of progress on a terminal once it takes long.

    Where hosts are asked over ssh, that has a line of its own.
    """
    if not sys.stderr.isatty() or asks_hosts:
        yield from found
        return
    began = clock.monotonic()
    last, unread = began, 0
    for count, seen in enumerate(found, 1):
        yield seen
        unread += seen.facts is None
        now = clock.monotonic()
        if now - began >= PROGRESS_AFTER_SECONDS and now - last >= PROGRESS_EVERY_SECONDS:
            last = now
            rate = count / (now - began)
            print(
                f"\r{count:,} hosts, {unread:,} not read, {rate:,.0f} a second ",
                end="",
                file=sys.stderr,
                flush=True,
            )
    if last > began:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)

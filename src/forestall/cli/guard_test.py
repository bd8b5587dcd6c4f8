"""Whether guard could do here what it is configured to do: one line for each thing, OK or NO.

examples:
  forestall guard test                       with /etc/forestall/forestall.toml
  forestall guard test --config FILE --json  the same for a program

Nothing is changed: limits are not set, no switchover is asked for, no lease is taken, no process
is signalled and no notice is sent. What is only connected to is connected to and let go.

Exit code 0, or 1 where there is at least one NO.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from forestall.agent.around import Around
from forestall.agent.config import AgentConfig, FleetConfig, ServiceConfig, find_config, read_config
from forestall.agent.log import Log
from forestall.agent.loop import Watch
from forestall.agent.situation import recipe_of, room_for_evidence
from forestall.cli.options import add_json, add_state, print_json, printable, state_folder
from forestall.clock import SystemClock
from forestall.errors import ForestallError
from forestall.guard import protect
from forestall.guard.containment import Containment
from forestall.guard.policy import Policy, policy_from
from forestall.model.codec import Json
from forestall.model.sample import ProcessSample
from forestall.model.verdict import Subject
from forestall.sense.host import Host
from forestall.units import format_bytes

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that guard would need; `fault` None = it is there. `then`: what to do about it."""

    what: str
    fault: str | None = None
    said: str = ""
    then: str | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `forestall guard test`."""
    parser.add_argument("--config", metavar="FILE", help="as for `forestall watch`")
    add_state(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Test everything, then say it."""
    path = find_config(args.config)
    config = AgentConfig() if path is None else read_config(path)
    policy = policy_from(config.policy)
    clock, host = SystemClock(), Host()
    quiet = replace(config, webhook=None, pagerduty=None)
    watch = Watch(
        quiet, host=host, clock=clock, log=Log(sys.stderr, clock, journald=False), policy=policy
    )
    try:
        watch.tick()
        checks = list(checks_of(watch, config, policy, state_folder(args.state or config.state)))
    finally:
        watch.close()
    if args.json:
        print_json(document(checks))
    else:
        print("\n".join(lines(checks)))
    return 1 if any(check.fault for check in checks) else 0


def checks_of(watch: Watch, config: AgentConfig, policy: Policy, folder: str) -> Iterator[Check]:
    """Every check, in the order of a plan."""
    yield _state(folder, policy)
    allowed = [service for service in watch.config.services if service.allow]
    if not allowed:
        yield Check(
            what="services",
            fault="no service may be acted on",
            then="write [[service]] with allow = true for those that guard may recycle",
        )
    for service in allowed:
        yield from _service(watch, service)
    yield from _database(watch.around)
    if watch.config.fleet is not None:
        yield _fleet(watch.config.fleet)
    yield from _notifiers(config)


def _state(folder: str, policy: Policy) -> Check:
    room = room_for_evidence(folder)
    what = f"state {folder}"
    if room is None or not os.access(folder, os.W_OK | os.X_OK):
        return Check(
            what=what,
            fault="the folder is not there, or cannot be written by this user",
            then="the agent makes it when it is started as root; or give --state",
        )
    if room < policy.evidence_bytes_min:
        return Check(
            what=what,
            fault=f"evidence may take {format_bytes(room)}, less than "
            f"{format_bytes(policy.evidence_bytes_min)}",
            then="free some space on its file system",
        )
    return Check(what=what, said=f"evidence may take {format_bytes(room)}")


def _service(watch: Watch, service: ServiceConfig) -> Iterator[Check]:
    what = f"service {service.name}"
    processes = watch.sample.processes if watch.sample is not None else ()
    process = max(
        (p for p in processes if service.matches(p)), key=lambda p: p.memory_bytes, default=None
    )
    if process is None:
        yield Check(
            what=what,
            fault="no process of it runs",
            then='start it, or correct its "match"; `forestall watch --once` lists what is seen',
        )
        return
    subject = _subject(watch, process)
    forbidden = protect.protected_by_name(
        (process.name,), watch.config.protected
    ) or protect.protected_by_unit(process.unit, watch.config.protected)
    if forbidden is not None:
        yield Check(what=what, fault=forbidden.rstrip("."), then="guard never acts on it")
        return
    yield _contain(watch, what, process)
    recipe = recipe_of(subject, service)
    if recipe is None:
        yield Check(
            what=f"{what}: restart",
            fault="it is no systemd service, and no other way is given",
            then='write restart = "signal", or a command',
        )
        return
    problem = watch.acting.restart_problem(subject, recipe)
    yield Check(
        what=f"{what}: restart",
        fault=None if problem is None else problem.rstrip("."),
        said=recipe.sentence,
        then="see `restart` in docs/reference/guard.md" if problem else None,
    )


def _contain(watch: Watch, what: str, process: ProcessSample) -> Check:
    found = watch.situation.containment_of(process.key)
    if isinstance(found, Containment):
        return Check(what=f"{what}: contain", said=f"process {process.key.pid}: {found.sentence}")
    return Check(
        what=f"{what}: contain",
        fault=found.rstrip("."),
        then="without it guard still keeps evidence and restarts; it contains as root, where the "
        "memory controller is on",
    )


def _database(around: Around) -> Iterator[Check]:
    database = around.look()
    if database is None:
        return
    what = f"database {database.scope}"
    if database.fault is not None:
        yield Check(what=what, fault=database.fault, then="see [database] patroni and peers")
        return
    primary = database.primary
    if database.own is None or all(m.name != database.own for m in database.members):
        yield Check(
            what=what,
            fault=f"which member is on this host is not known ({database.own or 'none'})",
            then="write [database] member, as Patroni calls it",
        )
    else:
        said = f"{len(database.members)} members, the primary is "
        said += "not known" if primary is None else primary.name
        yield Check(what=what, said=f"{said}, this host is {database.own}")
    if around.access is not None and around.access.rest.user is not None:
        yield _secret(f"{what}: password", around.access.rest.password_file)
    for name, problem in around.traffic_problems():
        yield Check(
            what=f"{what}: {name}",
            fault=problem,
            said="reached, and would hold the traffic",
            then="without it the switchover is refused" if problem else None,
        )


def _secret(what: str, path: str | None) -> Check:
    from forestall.guard.wire.endpoint import read_secret

    try:
        if path is not None:
            read_secret(path)
    except ForestallError as error:
        return Check(what=what, fault=error.message, then="without it no switchover is asked for")
    return Check(what=what, said="none is given" if path is None else f"{path} can be read")


def _fleet(fleet: FleetConfig) -> Check:
    from forestall.agent.around import etcd_of

    what = f"fleet {fleet.scope}"
    try:
        version = etcd_of(fleet).ping()
    except ForestallError as error:
        return Check(
            what=what,
            fault=error.message,
            then=error.help or "without the lease guard only contains and keeps evidence",
        )
    return Check(what=what, said=f"etcd {version} answers; the lease was not asked for")


def _notifiers(config: AgentConfig) -> Iterator[Check]:
    if config.webhook is None and config.pagerduty is None:
        yield Check(
            what="notify",
            said="only the log: no webhook and no PagerDuty is configured",
        )
    if config.webhook is not None:
        from forestall.notify.webhook import WebhookNotifier

        try:
            name = WebhookNotifier(config.webhook).name
        except ForestallError as error:
            yield Check(what="notify webhook", fault=error.message, then=error.help)
        else:
            parts = urlsplit(config.webhook)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            yield _reached(f"notify {name}", parts.hostname or "", port)
    if config.pagerduty is not None:
        from forestall.notify.pagerduty import PagerDutyNotifier

        try:
            name = PagerDutyNotifier(config.pagerduty).name
        except ForestallError as error:
            yield Check(what="notify PagerDuty", fault=error.message, then=error.help)
        else:
            yield _reached(f"notify {name}", "events.pagerduty.com", 443)


def _reached(what: str, host: str, port: int) -> Check:
    import socket

    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        fault = f"{host}:{port} is not reached: {error.strerror or error}"
        return Check(what=what, fault=fault, then="people would not be told this way")
    return Check(what=what, said="reached; nothing was sent")


def lines(checks: list[Check]) -> list[str]:
    """For a person: one line each, and what to do below each NO."""
    width = max((len(check.what) for check in checks), default=0)
    shown = []
    for check in checks:
        word, text = ("NO", check.fault) if check.fault else ("OK", check.said)
        shown.append(f"{word}  {check.what:<{width}}  {text or ''}".rstrip())
        if check.fault and check.then:
            shown.append(f"    {'':<{width}}  {check.then}")
    bad = sum(1 for check in checks if check.fault)
    shown += ["", f"{len(checks) - bad} of {len(checks)} are as guard needs them."]
    return [printable(line) for line in shown]


def document(checks: list[Check]) -> Json:
    """For a program."""
    return {
        "schema": "forestall/guard-test/1",
        "ok": not any(check.fault for check in checks),
        "checks": [
            {
                "what": check.what,
                "ok": check.fault is None,
                "said": check.fault or check.said,
                "then": check.then,
            }
            for check in checks
        ],
    }


def _subject(watch: Watch, process: ProcessSample) -> Subject:
    verdict = watch.judging.verdicts.get(process.key)
    assert verdict is not None, "every process of a sample was judged"
    return verdict.subject

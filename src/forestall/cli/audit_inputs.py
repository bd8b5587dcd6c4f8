"""Where `forestall audit` takes its hosts from: words of the command line -> a stream of Seen.

Each reader is imported when its word is used, so that none of them costs the others anything.
"""

import argparse
import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from forestall.audit.collect.destination import destination
from forestall.audit.inputs.inventory import InventoryHost, read_inventory
from forestall.audit.inputs.merge import merge_seen
from forestall.audit.inputs.source import Seen
from forestall.cli.audit_ssh import MAX_AGE, add_ssh, read_ssh
from forestall.clock import Clock
from forestall.errors import ForestallError, UsageError
from forestall.units import parse_duration

RolesByName = dict[str, frozenset[str]]
Reader = Callable[[list[str], argparse.Namespace, Clock], Iterable[Seen]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One kind of input: what follows its word, how many words at least, and who reads it."""

    words: str
    least: int
    read: Reader


def _local(_words: list[str], args: argparse.Namespace, _clock: Clock) -> Iterator[Seen]:
    from forestall.cli.look import facts_here

    facts = facts_here(args.root)
    yield Seen(name=facts.hostname, facts=facts)


def _prometheus(words: list[str], args: argparse.Namespace, clock: Clock) -> Iterator[Seen]:
    from forestall.audit.inputs.prometheus import GROWTH_SECONDS, read_prometheus
    from forestall.audit.inputs.prometheus_api import Access

    access = Access(
        token_file=args.prometheus_token,
        basic_file=args.prometheus_login,
        ca_file=args.prometheus_ca,
        match=args.prometheus_match or "",
    )
    growth = GROWTH_SECONDS if args.history is None else parse_duration(args.history)
    return read_prometheus(words, clock, access, growth)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """How the inputs are read, the same for every command that takes them."""
    add = parser.add_argument
    add(
        "--inventory", metavar="FILE", action="append", help="hosts of an Ansible inventory, by ssh"
    )
    add("--root", metavar="DIR", help="for local: read the files below DIR instead of this host's")
    add("--apart", action="store_true", help="do not merge what several inputs tell of one host")
    add_ssh(parser)
    add(
        "--max-age",
        metavar="AGE",
        help="of all inputs, older facts are UNKNOWN, for example 7d; a kept answer that is older "
        f"(without this: {MAX_AGE}) is asked for anew",
    )
    _add_prometheus(parser)


def _add_prometheus(parser: argparse.ArgumentParser) -> None:
    """How a Prometheus is asked; secrets are named by their file, never given themselves."""
    add = parser.add_argument_group("a Prometheus").add_argument
    add("--prometheus-token", metavar="FILE", help="a bearer token")
    add("--prometheus-login", metavar="FILE", help="one line, user:password")
    add("--prometheus-ca", metavar="FILE", help="certificates to trust beside the system's")
    add(
        "--prometheus-match",
        metavar="MATCHERS",
        help='only these series, for example \'job="node",dc="fra"\'',
    )
    add("--history", metavar="TIME", help="how far back growth is measured (default: 6h)")


def _ssh(words: list[str], args: argparse.Namespace, clock: Clock) -> Iterable[Seen]:
    return read_ssh(words, args, clock)


def _named(module: str, function: str) -> Reader:
    """`forestall.audit.inputs.MODULE.FUNCTION(words, clock)`."""

    def read(words: list[str], _args: argparse.Namespace, clock: Clock) -> Iterable[Seen]:
        reader = getattr(importlib.import_module(f"forestall.audit.inputs.{module}"), function)
        found: Iterable[Seen] = reader(words, clock)
        return found

    return read


INPUTS = {
    "local": Input(words="", least=0, read=_local),
    "ssh": Input(words="HOST...", least=1, read=_ssh),
    "sosreport": Input(words="FILE|DIR...", least=1, read=_named("sosreport", "read_sosreports")),
    "prometheus": Input(words="URL...", least=1, read=_prometheus),
    "facts": Input(words="FILE|DIR...", least=1, read=_named("facts", "read_facts_files")),
    "ansible": Input(words="DIR...", least=1, read=_named("ansible", "read_fact_caches")),
    "osquery": Input(words="FILE...", least=1, read=_named("osquery", "read_osquery")),
}


def groups(words: list[str]) -> list[tuple[str, list[str]]]:
    """`local ssh a b sosreport c` -> [(local, []), (ssh, [a, b]), (sosreport, [c])].

    Raises UsageError where a word stands before any kind, or a kind lacks its words.
    """
    found: list[tuple[str, list[str]]] = []
    for word in words:
        if word in INPUTS:
            found.append((word, []))
        elif not found:
            raise UsageError(
                f"not an input: {word}",
                help=f"say what it is: one of {', '.join(INPUTS)} goes before it",
            )
        else:
            found[-1][1].append(word)
    for kind, rest in found:
        wanted = INPUTS[kind]
        if len(rest) < wanted.least:
            raise UsageError(f"{kind} needs {wanted.words}", help="see `forestall audit --help`")
        if not wanted.words and rest:
            raise UsageError(
                f"{kind} takes nothing, but {rest[0]!r} follows",
                help=f"one of {', '.join(INPUTS)} says what a word is",
            )
    return found


def hosts(args: argparse.Namespace, clock: Clock) -> Iterator[Seen]:
    """Every host of every input, in the order they were named; this host where none was.

    Hosts of one kind of input stream through; of several kinds, what is told of one host is merged.
    """
    named = groups(args.inputs)
    every = [host for path in args.inventory or () for host in read_inventory(path)]
    listed, refused = reachable(every)
    if listed:
        named.append(("ssh", [host.destination for host in listed]))
    named = named or ([] if refused else [("local", [])])
    found = itertools.chain(refused, by_inventory(_each(named, args, clock), listed))
    if len({kind for kind, _ in named}) == 1 or args.apart:
        return found
    # The same host in several inputs is one host, so all are read before the first is judged.
    return merge_seen(found)


def reachable(every: list[InventoryHost]) -> tuple[list[InventoryHost], list[Seen]]:
    """The hosts whose addresses can be asked, and the others with why; one stops nobody else."""
    listed, refused = [], []
    for host in every:
        try:
            destination(host.destination)
            listed.append(host)
        except UsageError as error:
            refused.append(Seen(name=host.name, problem=error.message))
    return listed, refused


def by_inventory(found: Iterator[Seen], listed: list[InventoryHost]) -> Iterator[Seen]:
    """Each host under the name that the inventory gives it, as roles, waivers and Ansible know it.

    An address that is listed under several names is asked once and told under each.
    """
    names: dict[str, list[str]] = {}
    asked: dict[str, set[str]] = {}
    for host in listed:
        label = destination(host.destination).label
        names.setdefault(label, []).append(host.name)
        asked.setdefault(label, set()).add(host.destination)
    for seen in found:
        # Of one address with several users nobody can say which name an answer belongs to.
        mine = names.get(seen.name, ())
        if not mine or len(asked[seen.name]) > 1:
            yield seen
        for name in mine if len(asked.get(seen.name, ())) == 1 else ():
            yield replace(seen, name=name)


def roles_of_groups(args: argparse.Namespace, roles: dict[str, list[str]]) -> RolesByName:
    """`--role db=@databases`: the hosts of an inventory's group, by every name they may get.

    Raises UsageError for a group that no inventory has.
    """
    found: dict[str, set[str]] = {}
    known: set[str] = set()
    for path in (args.inventory or ()) if roles else ():
        for host in read_inventory(path):
            known |= set(host.groups)
            mine = {role for role, wanted in roles.items() if set(wanted) & set(host.groups)}
            if mine:
                names = [host.name, host.destination.rpartition("@")[2]]
                for name in names if host.address is None else [*names, host.address]:
                    found.setdefault(name, set()).update(mine)
    for wanted in roles.values():
        for group in wanted:
            if group not in known:
                raise UsageError(
                    f"no group {group} in an inventory",
                    help=f"--inventory has {', '.join(sorted(known)[:20]) or 'no groups'}",
                )
    return {name: frozenset(mine) for name, mine in found.items()}


def _each(
    named: list[tuple[str, list[str]]], args: argparse.Namespace, clock: Clock
) -> Iterator[Seen]:
    for kind, words in named:
        try:
            yield from INPUTS[kind].read(words, args, clock)
        except ModuleNotFoundError as error:
            raise ForestallError(
                f"{kind} cannot be read by this installation: {error.name} is missing",
                help="install forestall[audit], or use another input",
            ) from None

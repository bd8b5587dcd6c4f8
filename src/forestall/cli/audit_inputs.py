"""Where `forestall audit` takes its hosts from: words of the command line -> a stream of Seen.

Each reader is imported when its word is used, so that none of them costs the others anything.
"""

import argparse
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from forestall.audit.inputs.source import Seen
from forestall.clock import Clock
from forestall.errors import ForestallError, UsageError

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


def _ssh(words: list[str], args: argparse.Namespace, clock: Clock) -> Iterable[Seen]:
    collect = importlib.import_module("forestall.cli.audit_ssh")
    found: Iterable[Seen] = collect.read_ssh(words, args, clock)
    return found


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
    "prometheus": Input(words="URL...", least=1, read=_named("prometheus", "read_prometheus")),
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
    """Every host of every input, in the order they were named; this host where none was."""
    named = groups(args.inputs)
    for path in args.inventory or ():
        inventory = importlib.import_module("forestall.audit.inputs.inventory")
        named.append(("ssh", inventory.hosts_of_inventory(path)))
    for kind, words in named or [("local", [])]:
        try:
            yield from INPUTS[kind].read(words, args, clock)
        except ModuleNotFoundError as error:
            raise ForestallError(
                f"{kind} cannot be read by this installation: {error.name} is missing",
                help="install forestall[audit], or use another input",
            ) from None

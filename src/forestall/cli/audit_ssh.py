"""The options of `forestall audit ssh HOST...`, and the hosts that it reads."""

import argparse
import sys
from collections.abc import Iterator

from forestall.audit.collect.options import PARALLEL_LIMIT, SshOptions
from forestall.audit.inputs.source import Seen
from forestall.clock import Clock
from forestall.units import parse_duration

DEADLINE = "60s"
MAX_AGE = "1d"


def add_ssh(parser: argparse.ArgumentParser) -> None:
    """How hosts are asked over SSH; all that is not said here is as ~/.ssh/config says."""
    group = parser.add_argument_group("hosts over ssh")
    add = group.add_argument
    add("--sudo", action="store_true", help="read as root by `sudo -n`; without it where refused")
    add(
        "--keep",
        metavar="DIR",
        help="keep each host's answer in DIR; a host kept there is not asked again (--max-age)",
    )
    add(
        "--max-age",
        metavar="AGE",
        help="of all inputs, older facts are UNKNOWN, for example 7d; a kept answer that is older "
        f"(without this: {MAX_AGE}) is asked for anew",
    )
    add(
        "--parallel",
        metavar="N",
        type=int,
        default=PARALLEL_LIMIT,
        help=f"hosts at once (default and most: {PARALLEL_LIMIT})",
    )
    add(
        "--host-timeout",
        metavar="TIME",
        default=DEADLINE,
        help=f"what one host is given in all (default: {DEADLINE})",
    )
    add(
        "--known-hosts",
        metavar="FILE",
        help="a list of host keys in place of ~/.ssh/known_hosts; an unknown key is never taken",
    )
    add("--ssh-config", metavar="FILE", help="in place of ~/.ssh/config")
    add(
        "--ssh-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an option of ssh_config(5), such as ProxyJump=gate (repeat)",
    )


def options_of(args: argparse.Namespace) -> SshOptions:
    """What was said, or its default. Raises UsageError for what cannot be meant."""
    return SshOptions(
        parallel=getattr(args, "parallel", PARALLEL_LIMIT),
        deadline_seconds=parse_duration(getattr(args, "host_timeout", DEADLINE)),
        sudo=getattr(args, "sudo", False),
        known_hosts=getattr(args, "known_hosts", None),
        config=getattr(args, "ssh_config", None),
        ssh_options=tuple(getattr(args, "ssh_option", ())),
        keep=getattr(args, "keep", None),
        max_age_seconds=parse_duration(getattr(args, "max_age", None) or MAX_AGE),
    )


def read_ssh(words: list[str], args: argparse.Namespace, clock: Clock) -> Iterator[Seen]:
    """The hosts of `ssh HOST...` as they answer, with the progress on standard error."""
    from forestall.audit.collect.progress import ProgressLine
    from forestall.audit.collect.ssh import collect

    progress = ProgressLine(sys.stderr)
    try:
        yield from collect(words, options_of(args), report=progress, clock=clock)
    finally:
        progress.close()

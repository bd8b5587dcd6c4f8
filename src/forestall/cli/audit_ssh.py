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
        parallel=args.parallel,
        deadline_seconds=parse_duration(args.host_timeout),
        sudo=args.sudo,
        known_hosts=args.known_hosts,
        config=args.ssh_config,
        ssh_options=tuple(args.ssh_option),
        keep=args.keep,
        max_age_seconds=parse_duration(args.max_age or MAX_AGE),
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

"""What a collection over SSH may be told, and the words that the OpenSSH client is run with."""

import os
from dataclasses import dataclass

from forestall.audit.collect.destination import Destination
from forestall.errors import UsageError
from forestall.units import DAY, MIB

PARALLEL_LIMIT = 500

REMOTE = "exec sh -s"
REMOTE_SUDO = "sh -c 'sudo -n sh -s || exec sh -s'"
"""Where sudo refuses, it has read nothing, and the script goes to a shell without root. The quotes
are understood by every login shell."""

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ConnectionAttempts=1",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=2",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "EscapeChar=none",
    "LogLevel=ERROR",
)
"""After the user's own, because ssh takes the first value it is given. All else (users, jump hosts,
certificates, agents, tickets) is as ~/.ssh/config says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions:
    """How hosts are asked. `ssh_options` are ssh_config(5) words such as `ProxyJump=gate`.

    `keep` is a folder of answers: a host whose answer there is at most `max_age_seconds` old is
    not asked again. `deadline_seconds` is for one host, from its first connection to its last
    byte. `retries` are for hosts that close the connection because too many come at once.
    `output_limit_bytes` is for one host's answer, `held_limit_bytes` for all that are held at once.
    """

    parallel: int = PARALLEL_LIMIT
    deadline_seconds: float = 60.0
    connect_seconds: int = 15
    sudo: bool = False
    known_hosts: str | None = None
    config: str | None = None
    ssh_options: tuple[str, ...] = ()
    keep: str | None = None
    max_age_seconds: float = DAY
    retries: int = 4
    output_limit_bytes: int = 16 * MIB
    held_limit_bytes: int = 512 * MIB
    program: str = "ssh"

    @property
    def way(self) -> tuple[str, ...]:
        """What besides its name decides which host answers; () where ~/.ssh alone does."""
        files = [("config", self.config), ("keys", self.known_hosts)]
        named = [f"{name} {os.path.realpath(path)}" for name, path in files if path is not None]
        return (*named, *self.ssh_options)

    def __post_init__(self) -> None:
        if not 1 <= self.parallel <= PARALLEL_LIMIT:
            raise UsageError(f"between 1 and {PARALLEL_LIMIT} hosts at once, not {self.parallel}")
        if self.deadline_seconds <= 0 or self.connect_seconds < 1:
            raise UsageError("a host needs more than 0 seconds to answer")
        for option in self.ssh_options:
            name, equals, _ = option.partition("=")
            if not equals or not name.isalnum() or "\n" in option:
                raise UsageError(
                    f"not an option of ssh: {option!r}",
                    help="write NAME=VALUE as in ssh_config(5), for example ProxyJump=gate",
                )
        if self.known_hosts is not None and any(char in self.known_hosts for char in '"\n'):
            raise UsageError(f"not a file of host keys: {self.known_hosts!r}")


def command_line(to: Destination, options: SshOptions) -> list[str]:
    """The client's words for one host; the script follows on its standard input."""
    chosen = [*options.ssh_options]
    if options.known_hosts is not None:
        chosen.append(f'UserKnownHostsFile="{options.known_hosts}"')
    chosen += [*_OPTIONS, f"ConnectTimeout={options.connect_seconds}"]
    words = [options.program]
    if options.config is not None:
        words += ["-F", options.config]
    for option in chosen:
        words += ["-o", option]
    if to.port is not None:
        words += ["-p", str(to.port)]
    if to.user is not None:
        words += ["-l", to.user]
    return [*words, "--", to.host, REMOTE_SUDO if options.sudo else REMOTE]

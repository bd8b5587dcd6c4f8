"""What a user writes for a host, `user@host:port`, taken apart for the OpenSSH client."""

import re
from dataclasses import dataclass

from forestall.errors import UsageError

_PLAIN = re.compile(r"[0-9A-Za-z._:%\[\]~+-]+", re.ASCII)
_USER = re.compile(r"[0-9A-Za-z._@\\$+-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One host to ask. `name` is what the user wrote; `host` may be an alias of ~/.ssh/config."""

    name: str
    host: str
    user: str | None = None
    port: int | None = None

    @property
    def label(self) -> str:
        """What a report calls it: the host without the user who asks, as roles name hosts."""
        return self.name.removeprefix("ssh://").removesuffix("/").rpartition("@")[2]

    @property
    def known_as(self) -> str:
        """How known_hosts names it."""
        return f"[{self.host}]:{self.port}" if self.port not in (None, 22) else self.host


def destination(text: str) -> Destination:
    """`host`, `user@host`, `host:port`, `user@[2001:db8::1]:port`, `2001:db8::1`, `ssh://...`.

    Raises UsageError for what ssh could take for an option, or a shell for more than a name.
    """
    rest = text.strip().removeprefix("ssh://").removesuffix("/")
    user, at, host = rest.rpartition("@")
    port = None
    bracketed = re.fullmatch(r"\[([^\[\]]*)\](?::(\d+))?", host)
    if bracketed is not None:
        host, port = bracketed[1], bracketed[2]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not _PLAIN.fullmatch(host) or host.startswith("-"):
        raise UsageError(f"not a host: {text!r}", help="write host, user@host or user@host:port")
    if at and (not _USER.fullmatch(user) or user.startswith("-")):
        raise UsageError(f"not a user's name before @: {text!r}", help="write user@host")
    if port is not None and not (port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"not a port: {text!r}", help="a port is a number from 1 to 65535")
    return Destination(
        name=text.strip(),
        host=host,
        user=user if at else None,
        port=None if port is None else int(port),
    )

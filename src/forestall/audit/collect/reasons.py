"""Why a host gave no answer: what the OpenSSH client said, as one line that says what to do."""

import re
from collections.abc import Callable
from typing import NamedTuple

from forestall.audit.collect.destination import Destination

LINE_LIMIT = 200


class Reason(NamedTuple):
    """A problem in words; `passing` = it may be different in a moment (too many at once)."""

    text: str
    passing: bool = False


def _key_changed(to: Destination, _said: str) -> str:
    return (
        "its host key is not the one that is known: it was installed anew, or somebody stands"
        f" between; check it, then: ssh-keygen -R '{to.known_as}'"
    )


def _key_unknown(to: Destination, _said: str) -> str:
    port = f"-p {to.port} " if to.port else ""
    return (
        f"its host key is not known: connect once by hand (ssh {port}{to.host}) and check the key,"
        " or give a list of keys with --known-hosts FILE"
    )


def _refused_login(to: Destination, said: str) -> str:
    methods = re.search(r"Permission denied \(([^)]*)\)", said)
    ways = f" ({methods[1]})" if methods else ""
    who = f"user {to.user}" if to.user else "this user"
    return f"authentication failed for {who}{ways}: no key, certificate or ticket was accepted"


def _no_algorithm(_to: Destination, said: str) -> str:
    found = re.search(r"no matching ([a-z ]+) found\. Their offer: (\S+)", said)
    what, offer = (found[1], found[2]) if found else ("algorithm", "")
    option = {
        "host key type": "HostKeyAlgorithms",
        "key exchange method": "KexAlgorithms",
        "cipher": "Ciphers",
        "MAC": "MACs",
    }.get(what, "HostKeyAlgorithms")
    first = offer.partition(",")[0] or "NAME"
    return (
        f"an old SSH server: no {what} in common; allow it for this host with"
        f" --ssh-option {option}=+{first}"
    )


def _says(text: str) -> Callable[[Destination, str], str]:
    return lambda _to, _said: text


_KNOWN: tuple[tuple[str, Callable[[Destination, str], str], bool], ...] = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", _key_changed, False),
    (r"host key is known for|Host key verification failed", _key_unknown, False),
    (r"no matching .* found", _no_algorithm, False),
    ("Too many authentication failures", _says("too many keys were offered to it"), False),
    (r"Permission denied \(", _refused_login, False),
    ("Bad configuration option|[Bb]ad .*option|no argument after keyword", lambda _, s: s, False),
    ("Could not resolve hostname", _says("its name does not resolve"), False),
    ("Connection refused", _says("nothing listens on its SSH port (connection refused)"), False),
    ("No route to host", _says("no route to it"), False),
    ("Network is unreachable", _says("its network is not reachable from here"), False),
    (
        "Connection timed out|Operation timed out|timed out during banner",
        _says("its SSH port did not answer in time"),
        False,
    ),
    (
        r"exchange_identification|Connection (closed|reset) by|Broken pipe|MaxStartups",
        _says("it closed the connection at once (MaxStartups there, or a jump host's, is reached)"),
        True,
    ),
    (
        r"not responding|Timeout, server",
        _says("it stopped answering in the middle (connection lost)"),
        False,
    ),
    (r"sh: (command )?not found|No such file or directory", lambda _, s: s, False),
)


def reason(to: Destination, exit_code: int | None, stderr: str) -> Reason:
    """What ssh's exit code and words amount to; `stderr` may hold the host's own words too."""
    for pattern, words, passing in _KNOWN:
        match = re.search(f"^.*(?:{pattern}).*$", stderr, re.MULTILINE)
        if match is not None:
            return Reason(_cut(words(to, match[0])), passing)
    last = last_line(stderr)
    if last:
        return Reason(_cut(f"it said: {last}"))
    if exit_code == 255:
        return Reason("ssh failed and said nothing")
    return Reason(f"the shell there ended with exit code {exit_code} and no answer")


def last_line(text: str) -> str:
    """The last line with something in it, in one line's length."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _cut(lines[-1]) if lines else ""


def _cut(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text).strip()
    return clean if len(clean) <= LINE_LIMIT else clean[: LINE_LIMIT - 1] + "…"

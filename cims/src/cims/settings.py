"""What a running service was told, in one frozen noun."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


def utc_now() -> datetime:
    """The host's clock; tests and replays give another."""
    return datetime.now(UTC)


def token_hash(token: str) -> str:
    """What is stored of a token. Tokens are random and long, so a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service runs. Every limit a client can meet is here.

    `token_hashes` empty means that no token is asked for; `cims serve` allows that on loopback.
    """

    dsn: str = field(repr=False)
    token_hashes: frozenset[str] = frozenset()
    connections: int = 16
    attempt_seconds: float = 5.0
    # How long a request keeps trying before it answers 503; shorter than a client's own patience.
    answer_seconds: float = 8.0
    probe_seconds: float = 2.0
    body_bytes: int = 256 * 1024
    body_seconds: float = 10.0
    clock: Callable[[], datetime] = utc_now

    def knows(self, token: str) -> bool:
        """Whether a token is one of ours, in a time that does not tell which came close."""
        given = token_hash(token)
        return sum(hmac.compare_digest(given, known) for known in self.token_hashes) > 0

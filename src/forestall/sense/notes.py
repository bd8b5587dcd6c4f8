"""What the readers of facts have to say beside the facts: why not, and from where instead."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from forestall.errors import InputError

Value = TypeVar("Value")

REASON_LIMIT = 500
"""Characters: a reason may quote what a host said, and a host may say anything."""


class Notes(NamedTuple):
    """`unseen` says why a field has no value, or not all of it; `sources` where it was found.

    The keys of `sources` are pointers (RFC 6901) into HostFacts; only what was not read from its
    usual place is in it.
    """

    unseen: dict[str, str]
    sources: dict[str, str]

    def why(self, field: str, reason: str) -> None:
        """Say why `field` is not whole; the first reason stays."""
        self.unseen.setdefault(field, reason[:REASON_LIMIT])

    def attempt(self, field: str, read: Callable[[], Value]) -> Value | None:
        """What `read` answers; None, and its reason noted, where it finds damage."""
        try:
            return read()
        except InputError as error:
            self.why(field, error.message)
            return None

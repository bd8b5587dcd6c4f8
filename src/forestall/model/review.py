"""The incident review as a record. Every leaf appears once in the rendered document."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forestall.model.codec import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A local time and its IANA zone; the abbreviation shown follows from both."""

    at: str
    zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence. `{name}` in `text` is a slot filled from `values`; a literal brace is doubled."""

    text: str
    values: Mapping[str, Json] = field(default_factory=dict)

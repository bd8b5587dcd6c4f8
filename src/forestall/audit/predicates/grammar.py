"""What a predicate is made of: a quantifier over hosts, and expressions over one host."""

from dataclasses import dataclass
from enum import StrEnum


class Quantifier(StrEnum):
    """Over which hosts it is said."""

    ALL = "all"
    ANY = "any"
    NO = "no"
    COUNT = "count"


class Kind(StrEnum):
    """What a name's values are, and so what may be compared with them."""

    SIZE = "size"
    DURATION = "duration"
    NUMBER = "number"
    TEXT = "text"
    VERSION = "version"
    KERNEL = "kernel release"
    FLAG = "yes or no"
    LIST = "list"
    RULE = "rule state"
    ANY = "value"


@dataclass(frozen=True, slots=True)
class Name:
    """A value of a host: by short name, sysctl, pointer, `unit(NAME).FIELD` or `rule ID`."""

    text: str
    kind: Kind
    pointer: str = ""
    sysctl: str = ""
    unit: str = ""
    field: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written down; `text` as it was written."""

    text: str
    value: str | float | bool | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`."""

    left: Name
    op: str
    right: Literal | Name


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite; unknown stays unknown."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Both:
    """All of them."""

    parts: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them at least."""

    parts: tuple["Expression", ...]


Expression = Compare | Not | Both | Either


@dataclass(frozen=True, slots=True)
class Predicate:
    """The whole question. `where` None = every host; `holds` None = that such a host exists.

    `op` and `number` are those of `count(...) op number`.
    """

    text: str
    quantifier: Quantifier
    where: Expression | None
    holds: Expression | None
    op: str = ""
    number: int = 0

"""The Prometheus text format 0.0.4, written by hand.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/. Names, units and help come
from one catalogue; labels are bounded in number by the caller and in length here.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABEL_CHARACTERS_MAX = 256

Labels = Mapping[str, str]


class Family(NamedTuple):
    """One metric with its samples. `kind` is gauge or counter. A sample of None is left out."""

    name: str
    kind: str
    help: str
    samples: list[tuple[Labels, float | None]]


def render(families: Iterable[Family]) -> bytes:
    """The families as one exposition. A family without a value is left out whole."""
    lines: list[str] = []
    for family in families:
        samples = [(labels, value) for labels, value in family.samples if value is not None]
        if not samples:
            continue
        lines.append(f"# HELP {family.name} {_escape_help(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for labels, value in samples:
            lines.append(f"{family.name}{_labels(labels)} {_number(value)}")
    return ("\n".join(lines) + "\n" if lines else "").encode()


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escape_label(labels[key])}"' for key in labels) + "}"


def _escape_label(text: str) -> str:
    # A surrogate stands for a byte that is not UTF-8, which the format cannot carry.
    text = text[:LABEL_CHARACTERS_MAX].encode("utf-8", "backslashreplace").decode()
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return repr(value)

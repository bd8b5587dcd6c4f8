"""Columns of one signal of one subject, shared by streaming and array code."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from forestall.model.verdict import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`times` in seconds since the epoch, ascending; `values` in the signal's unit; equal lengths.

    Both are arrays of doubles, so they have the buffer protocol.
    """

    subject: Subject
    signal: str
    times: "array[float]"
    values: "array[float]"

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return zip(self.times, self.values, strict=True)

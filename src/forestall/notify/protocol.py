"""The seam of telling people."""

from typing import Protocol

from forestall.model.notice import Notice


class Notifier(Protocol):
    """One way to tell people. `name` is shown in the ledger and holds no secret."""

    @property
    def name(self) -> str: ...

    def send(self, notice: Notice) -> None:
        """Tell it once. Raises ForestallError or OSError where it did not arrive."""
        ...

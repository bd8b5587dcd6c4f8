"""How an audit is told: one file per format, each fed host by host so that none keeps the fleet.

A report is made with the stream it writes to, gets every `HostAudit` once, and ends with the
`Fleet`. Whatever comes from a host (names, texts, values) is foreign and is escaped for its format.
"""

from dataclasses import dataclass, field
from typing import Protocol

from forestall.audit.fleet import Fleet, HostAudit
from forestall.model.finding import Severity


class Report(Protocol):
    """One format. `host` is called once per host, then `end` once."""

    def host(self, audit: HostAudit) -> None: ...

    def end(self, fleet: Fleet) -> None: ...


@dataclass(slots=True, kw_only=True)
class About:
    """What a report says of the run itself.

    `notices` are sentences on waivers and tables; they are complete when a report ends.
    """

    at: float
    version: str
    fail_on: Severity | None = Severity.HIGH
    notices: list[str] = field(default_factory=list)

"""Logs to reports, as the command does it."""

import io

from forestall.audit.oom.account import Account, OomReport
from forestall.cli.audit_oom import explain_stream
from forestall.units import GIB


def explain(data: bytes | str, *, limit: int = GIB) -> OomReport:
    """The report of a log."""
    raw = data.encode() if isinstance(data, str) else data
    return explain_stream(io.BytesIO(raw), "log", limit)


def chosen(report: OomReport) -> Account:
    """The event that matters most."""
    (account,) = [one for one in report.accounts if one.number == report.chosen]
    return account

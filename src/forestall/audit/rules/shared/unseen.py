"""The answer of a rule whose evidence was not read."""

from forestall.audit.posture import Posture
from forestall.audit.rule import Judgement, unknown

OTHERWISE = {
    "units": "systemd could not be asked",
    "user_limits": "limits.conf was not read",
    "journal_runtime_max_bytes": "no systemd was seen",
}
"""Why a field of the facts is None, where the reader left no reason."""


def unseen(host: Posture, field: str, what: str) -> Judgement:
    """UNKNOWN: `what` cannot be told without a field of the facts, and why that is None."""
    why = host.why_unseen(field, OTHERWISE.get(field, "it was not read"))
    return unknown(f"{what} is unknown: {why}.")

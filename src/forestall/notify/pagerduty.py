"""PagerDuty: one trigger event for each notice, by its Events API v2.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events/: a trigger with the key of an
open alert is added to it, so what repeats on one host about one service pages once.
"""

import json

from forestall.errors import ForestallError, UsageError
from forestall.model.notice import Notice, Urgency
from forestall.units import KIB

ENDPOINT = "https://events.pagerduty.com/v2/enqueue"
ROUTING_KEY_CHARS = 32
KEY_FILE_BYTES_MAX = 4 * KIB
SUMMARY_CHARS_MAX = 1024
DEDUP_KEY_CHARS_MAX = 255
DETAIL_CHARS_MAX = 2000
LINES_MAX = 40
BODY_BYTES_MAX = 512 * KIB
ANSWER_BYTES_MAX = 4 * KIB
TIMEOUT_SECONDS = 5.0

SEVERITIES = {Urgency.PAGE: "critical", Urgency.INFORM: "warning"}


class PagerDutyNotifier:
    """Triggers events with the routing key in the file `key_file`, which is never shown.

    Raises UsageError for an `endpoint` that is no url, and for a key that is none; the key is
    read anew for each notice, so that it may be changed while the agent runs.
    """

    def __init__(
        self, key_file: str, *, endpoint: str = ENDPOINT, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> None:
        # Imported here, as http.client below: an agent without it does not carry them.
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(endpoint)
            self._port = parts.port
        except ValueError:
            raise UsageError("PagerDuty's endpoint is no url") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise UsageError("PagerDuty's endpoint is no url of http or https without a user")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._target = parts.path or "/"
        self._key_file = key_file
        self._timeout_seconds = timeout_seconds
        self.name = f"PagerDuty at {self._host}" + (f":{self._port}" if self._port else "")
        self._key()

    def send(self, notice: Notice) -> None:
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        body = json.dumps(event_of(notice, self._key()), allow_nan=False).encode("ascii")
        if len(body) > BODY_BYTES_MAX:
            raise ForestallError(f"{self.name}: an event of {len(body)} bytes is too large")
        connect = HTTPSConnection if self._secure else HTTPConnection
        connection = connect(self._host, self._port, timeout=self._timeout_seconds)
        headers = {"Content-Type": "application/json", "User-Agent": "forestall"}
        try:
            connection.request("POST", self._target, body, headers)
            with connection.getresponse() as answer:
                answer.read(ANSWER_BYTES_MAX)
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise ForestallError(f"{self.name}: the event did not arrive: {why}") from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            helps = {
                400: "see whether the routing key is that of an Events API v2 integration",
                429: "PagerDuty takes no more events for now",
            }
            raise ForestallError(
                f"{self.name}: the event was answered with status {answer.status}",
                help=helps.get(answer.status),
            )

    def _key(self) -> str:
        try:
            with open(self._key_file, "rb") as file:
                data = file.read(KEY_FILE_BYTES_MAX)
        except OSError as error:
            raise UsageError(
                f"{self._key_file}: no routing key to read: {error.strerror}"
            ) from None
        key = data.decode("ascii", "replace").strip()
        if len(key) != ROUTING_KEY_CHARS or not key.isascii() or not key.isalnum():
            raise UsageError(
                f"{self._key_file}: not a routing key, which has {ROUTING_KEY_CHARS} letters "
                f"and digits",
                help="take the integration key of an Events API v2 integration",
            )
        return key


def event_of(notice: Notice, routing_key: str) -> dict[str, object]:
    """The event that a notice is, within PagerDuty's limits."""
    details = {
        "lines": [_cut(line, DETAIL_CHARS_MAX) for line in notice.lines[:LINES_MAX]],
        "plan": notice.plan_id,
        "evidence": list(notice.evidence[:LINES_MAX]),
    }
    if len(notice.lines) > LINES_MAX:
        details["left_out"] = f"{len(notice.lines) - LINES_MAX} further lines"
    return {
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key(notice.host, notice.service),
        "payload": {
            "summary": _cut(notice.title, SUMMARY_CHARS_MAX),
            "source": _cut(notice.host, SUMMARY_CHARS_MAX),
            "severity": SEVERITIES[notice.urgency],
            "timestamp": _iso(notice.at),
            "component": _cut(notice.service, SUMMARY_CHARS_MAX),
            "class": "memory",
            "custom_details": details,
        },
    }


def dedup_key(host: str, service: str) -> str:
    """One key for each service of each host, also where their names are longer than a key."""
    key = f"forestall/{host}/{service}"
    if len(key) <= DEDUP_KEY_CHARS_MAX:
        return key
    # Imported here: names this long are rare, and hashes cost the agent a megabyte.
    import hashlib

    return f"forestall/{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _iso(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"

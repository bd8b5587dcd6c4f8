"""A notice as JSON by HTTP POST to one address that a person wrote down."""

import json

from forestall.errors import ForestallError, UsageError
from forestall.model.codec import to_document
from forestall.model.notice import Notice

BODY_BYTES_MAX = 64 * 1024
ANSWER_BYTES_MAX = 4 * 1024
URL_CHARS_MAX = 2000
TIMEOUT_SECONDS = 5.0


class WebhookNotifier:
    """Posts notices to `url`, http or https. Redirects and proxies are not followed.

    A url may hold a token, so only its scheme and host are ever shown. Raises UsageError for
    one that cannot be posted to.
    """

    def __init__(self, url: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        # Imported here, as http.client below: an agent without a webhook does not carry them.
        from urllib.parse import urlsplit

        advice = "write for example https://alerts.example.org/forestall"
        plain = len(url) <= URL_CHARS_MAX and url.isascii() and url.isprintable()
        if not plain or " " in url:
            raise UsageError("the webhook's url is too long, or holds what no url may", help=advice)
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError("the webhook's url is no url", help=advice) from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("the webhook's url is not one of http or https", help=advice)
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                "the webhook's url holds a user or password, which are not sent",
                help="put a token into its path or query",
            )
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout_seconds = timeout_seconds
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.name = f"webhook {parts.scheme}://{shown}" + (f":{port}" if port else "")

    def send(self, notice: Notice) -> None:
        from http.client import HTTPConnection, HTTPException, HTTPSConnection

        body = json.dumps(to_document(notice), allow_nan=False).encode("ascii")
        if len(body) > BODY_BYTES_MAX:
            raise ForestallError(f"{self.name}: a notice of {len(body)} bytes is too large to post")
        connect = HTTPSConnection if self._secure else HTTPConnection
        connection = connect(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.request(
                "POST",
                self._target,
                body,
                {"Content-Type": "application/json", "User-Agent": "forestall"},
            )
            answer = connection.getresponse()
            answer.read(ANSWER_BYTES_MAX)
        except (OSError, HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise ForestallError(f"{self.name}: the notice did not arrive: {why}") from None
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise ForestallError(
                f"{self.name}: the notice was answered with status {answer.status}",
                help="redirects are not followed; give the final address",
            )

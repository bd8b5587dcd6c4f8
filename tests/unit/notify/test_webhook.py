"""The webhook's address: what is taken, and what is shown of it."""

import pytest

from forestall.errors import UsageError
from forestall.notify.webhook import WebhookNotifier


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://127.0.0.1:9/hook?token=hunter2", "webhook http://127.0.0.1:9"),
        ("https://alerts.example.org/T0/hunter2", "webhook https://alerts.example.org"),
        ("https://[::1]:8443/hunter2", "webhook https://[::1]:8443"),
    ],
)
def test_only_scheme_and_host_are_ever_shown(url, name):
    """The path and the query may be a secret."""
    assert WebhookNotifier(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "alerts.example.org/hunter2",
        "ftp://example.org/hunter2",
        "file:///etc/passwd#hunter2",
        "https:///hunter2",
        "http://user:hunter2@example.org/",
        "http://example.org:99999/hunter2",
        "http://example.org/hunter2\r\nHost: other",
        "http://example.org/a hunter2",
        "http://exämple.org/hunter2",
        "http://example.org/hunter2" + "x" * 2000,
    ],
)
def test_what_cannot_be_posted_to_is_refused_without_showing_it(url):
    """A clear line with advice, and no secret in it."""
    with pytest.raises(UsageError) as caught:
        WebhookNotifier(url)
    assert "hunter2" not in caught.value.message + (caught.value.help or "")
    assert caught.value.help

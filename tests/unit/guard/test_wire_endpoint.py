"""Addresses and urls: what is taken, and what is refused before anything is asked."""

import pytest

from forestall.errors import UsageError
from forestall.guard.wire.endpoint import Endpoint, Tls, parse_endpoint
from forestall.guard.wire.http import parse_url


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("/run/x.sock", Endpoint(path="/run/x.sock")),
        ("db1:5432", Endpoint(host="db1", port=5432)),
        ("db1", Endpoint(host="db1", port=6432)),
        ("[::1]:5", Endpoint(host="::1", port=5)),
        ("[::1]", Endpoint(host="::1", port=6432)),
    ],
)
def test_addresses(text, endpoint):
    """A path, a host with a port or without, also of IPv6."""
    assert parse_endpoint(text, port=6432) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":5",
        "a:0",
        "a:65536",
        "a:00000180000000",
        "a:x",
        "a:-1",
        "a b:5",
        "u@h:5",
        "/" + "x" * 108,
        "/a\0",
    ],
)
def test_what_is_no_address(text):
    """Refused with what to write."""
    with pytest.raises(UsageError, match="not an address") as caught:
        parse_endpoint(text, port=1)
    assert caught.value.help


def test_urls():
    """Plain, with TLS, by a socket; a base keeps no slash at its end."""
    assert parse_url("http://a:8008/base/") == (Endpoint(host="a", port=8008), "/base")
    assert parse_url("HTTP://a") == (Endpoint(host="a", port=80), "")
    assert parse_url("unix:///run/s") == (Endpoint(path="/run/s"), "")
    own = Tls(authority="/ca")
    assert parse_url("https://a", own) == (Endpoint(host="a", port=443, tls=own), "")
    assert parse_url("https://a").endpoint.tls == Tls()


@pytest.mark.parametrize(
    "text",
    ["", "a", "ftp://a", "http://", "http://u:secret@a", "http://a?x", "http://a b", "http://é"],
)
def test_what_is_no_url(text):
    """A user, a query, another scheme: refused, and no secret shown."""
    with pytest.raises(UsageError) as caught:
        parse_url(text)
    assert "secret" not in caught.value.message

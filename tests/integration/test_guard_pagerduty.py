"""PagerDuty's events against a real HTTP server on loopback.

PagerDuty itself cannot run here: the form of an event is checked against its documentation.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from forestall.errors import ForestallError, UsageError
from forestall.model.notice import Notice, Urgency
from forestall.notify.pagerduty import PagerDutyNotifier, dedup_key, event_of

KEY = "0123456789abcdef0123456789abcdef"


def notice(**more):
    fields = {
        "at": 1_700_000_000.25,
        "host": "db1",
        "service": "feed-sync.service",
        "urgency": Urgency.PAGE,
        "title": "feed-sync.service on db1 is leaking.",
        "lines": ("Because.", "capture: done."),
        "plan_id": "plan-1",
        "evidence": ("bundle-1",),
    }
    return Notice(**{**fields, **more})


@pytest.fixture
def server():
    """Keeps what it received; answers with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append((self.path, self.headers["Content-Type"], json.loads(body)))
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(b'{"status":"success"}')

        def log_message(self, *_):
            pass

    found = HTTPServer(("127.0.0.1", 0), Handler)
    found.received, found.status = [], 202
    thread = threading.Thread(target=found.serve_forever, args=(0.05,))
    thread.start()
    yield found
    found.shutdown()
    thread.join(10)
    found.server_close()


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    return str(path)


def notifier(server, key_file):
    endpoint = f"http://127.0.0.1:{server.server_port}/v2/enqueue"
    return PagerDutyNotifier(key_file, endpoint=endpoint)


def test_an_event_arrives_in_the_form_that_is_asked_for(server, key_file):
    """Every field that the Events API v2 requires, and the details for who is paged."""
    one = notifier(server, key_file)
    one.send(notice())
    one.send(notice(urgency=Urgency.INFORM, plan_id="plan-2", title="Done."))
    (path, kind, first), (_, _, second) = server.received
    assert (path, kind) == ("/v2/enqueue", "application/json")
    assert first == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "forestall/db1/feed-sync.service",
        "payload": {
            "summary": "feed-sync.service on db1 is leaking.",
            "source": "db1",
            "severity": "critical",
            "timestamp": "2023-11-14T22:13:20.250+00:00",
            "component": "feed-sync.service",
            "class": "memory",
            "custom_details": {
                "lines": ["Because.", "capture: done."],
                "plan": "plan-1",
                "evidence": ["bundle-1"],
            },
        },
    }
    assert second["payload"]["severity"] == "warning"
    assert second["dedup_key"] == first["dedup_key"]


@pytest.mark.parametrize("status", [400, 429, 500, 302])
def test_what_is_not_taken_is_raised_without_the_key(status, server, key_file):
    """Another status is a sentence without the routing key."""
    server.status = status
    with pytest.raises(ForestallError, match=f"status {status}") as caught:
        notifier(server, key_file).send(notice())
    assert KEY not in caught.value.message + (caught.value.help or "")


def test_nobody_listening_is_raised(key_file):
    """A refused connection says so, and where."""
    one = PagerDutyNotifier(key_file, endpoint="http://127.0.0.1:1/x")
    with pytest.raises(ForestallError, match="did not arrive: Connection refused") as caught:
        one.send(notice())
    assert KEY not in caught.value.message


@pytest.mark.parametrize("content", ["", "short", KEY + "0", KEY[:-1] + "\u00fc", KEY + "\n" + KEY])
def test_what_is_no_routing_key_is_refused_unseen(content, tmp_path):
    """The file is named, its content is not."""
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(UsageError, match="not a routing key") as caught:
        PagerDutyNotifier(str(path))
    assert KEY[:-1] not in caught.value.message
    with pytest.raises(UsageError, match="no routing key to read"):
        PagerDutyNotifier(str(tmp_path / "absent"))


@pytest.mark.parametrize(
    "endpoint", ["ftp://x/", "events.example.org", "http://u:p@x/", "http://[x"]
)
def test_an_endpoint_is_a_plain_url(endpoint, key_file):
    """And a user in it is not shown."""
    with pytest.raises(UsageError, match="no url") as caught:
        PagerDutyNotifier(key_file, endpoint=endpoint)
    assert "u:p" not in caught.value.message


def test_an_event_keeps_within_the_limits():
    """Long titles, many lines and long names are cut; long names stay apart."""
    event = event_of(notice(title="x" * 9000, lines=("y" * 9000,) * 500, host="h" * 9000), KEY)
    assert len(event["payload"]["summary"]) == 1024
    assert event["payload"]["custom_details"]["left_out"] == "460 further lines"
    assert len(json.dumps(event)) < 512 * 1024
    assert len(event["dedup_key"]) <= 255
    assert dedup_key("h" * 300, "a") != dedup_key("h" * 300, "b")

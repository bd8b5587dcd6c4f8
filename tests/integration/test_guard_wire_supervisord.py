"""supervisord's XML-RPC, against a real supervisord."""

import pytest
from tests.integration import servers

from forestall.guard.wire.endpoint import RefusedError, WireError
from forestall.guard.wire.supervisord import ProgramState, Supervisord
from forestall.guard.wire.xmlrpc import parse_answer


def test_a_program_is_stopped_and_started(tmp_path):
    """State and pid are told; stopping what is stopped and starting what runs are no faults."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    programs = {"sleeper": "/bin/sleep 60", "crasher": "/bin/false"}
    opened = servers.Opened()
    with servers.supervisord(tmp_path, programs, user="u", password="hunter2") as url:
        client = opened(Supervisord(url, user="u", password_file=str(secret)))
        client.connect()
        assert client.ping()[0].isdigit()
        servers.wait_for(lambda: client.program("sleeper").state is ProgramState.RUNNING, "sleeper")
        first = client.program("sleeper")
        client.stop("sleeper", seconds=10)
        client.stop("sleeper", seconds=10)
        stopped = client.program("sleeper")
        assert (stopped.state, stopped.pid) == (ProgramState.STOPPED, 0)
        client.start("sleeper", seconds=10)
        client.start("sleeper", seconds=10)
        again = client.program("sleeper")
        assert again.state is ProgramState.RUNNING
        assert again.pid not in (0, first.pid)
        with pytest.raises(RefusedError, match="BAD_NAME: no<&>"):
            client.program("no<&>")
        stranger = opened(Supervisord(url))
        with pytest.raises(RefusedError, match="user or password are wrong") as caught:
            stranger.ping()
        assert caught.value.help
        opened.close()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("<string>a&amp;b</string>", "a&b"),
        ("bare", "bare"),
        ("", ""),
        ("<int>-7</int>", -7),
        ("<i4>8</i4>", 8),
        ("<boolean>1</boolean>", True),
        ("<double>1.5</double>", 1.5),
        ("<array><data/></array>", []),
        (
            "<array><data>\n<value><int>1</int></value>\n<value>x</value></data></array>",
            [1, "x"],
        ),
        (
            (
                "<struct><member><name>a</name><value><int>1</int></value></member>"
                "<member><name>b</name>\n<value><struct/></value></member></struct>"
            ),
            {"a": 1, "b": {}},
        ),
    ],
)
def test_values(value, read):
    """Each type, nested, with blanks between."""
    document = (
        f"<methodResponse><params><param><value>{value}</value></param></params></methodResponse>"
    )
    assert parse_answer(document.encode(), "x") == read


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<a>",
        "<methodResponse/>",
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]><methodResponse><params><param><value>&b;"
            "</value></param></params></methodResponse>"
        ),
        "<methodResponse><fault><value><int>1</int></value></fault></methodResponse>",
        "<value>" + "<array><data><value>" * 50,
    ],
)
def test_what_is_no_answer_is_an_error(document):
    """Damaged, empty, too deep, with a document type, a fault without its parts."""
    with pytest.raises(WireError, match="not one of XML-RPC"):
        parse_answer(document.encode(), "x")

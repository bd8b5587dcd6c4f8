"""`forestall audit refresh` on a real state folder, and a source on a real server."""

import contextlib
import http.server
import json
import threading

import pytest
from tests.fakes.clock import FakeClock
from tests.fakes.tables import osv

from forestall.audit.tables import STORED, load
from forestall.audit.tables.nouns import day
from forestall.cli import audit_refresh
from forestall.cli.main import Parser
from forestall.errors import ForestallError, UsageError

RHEL = [{"cycle": "7", "releaseDate": "2014-06-10", "eol": "2024-06-30", "eoes": "2028-06-30"}]
NEW = osv("ALSA-2026:60001", 9, "5.14.0-687.50.1.el9_8", "2026-09-20", {})


def run(*words):
    """The command, as `forestall audit` will call it."""
    parser = Parser(prog="forestall audit refresh", description=audit_refresh.__doc__)
    audit_refresh.configure(parser)
    args = parser.parse_args([str(word) for word in words])
    return audit_refresh.run(args, FakeClock(day("2026-10-01")))


@contextlib.contextmanager
def server(answers):
    """A server on loopback that answers by path: bytes, or the address it redirects to."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer = answers[self.path]
            if isinstance(answer, str):
                self.send_response(302)
                self.send_header("Location", answer)
                self.end_headers()
            else:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}"
        finally:
            found.shutdown()
            thread.join()


def test_check_refresh_and_restore(tmp_path, capsys):
    """--check keeps nothing, a refresh keeps and says so, and the way back is one word."""
    source, state = tmp_path / "rhel.json", tmp_path / "state"
    source.write_text(json.dumps(RHEL))
    where = ["--state", state, "--as-of", "2026-08-30"]
    assert run(source, "--check", *where) == 0
    assert not state.exists()
    assert "nothing was kept" in capsys.readouterr().out
    assert run(source, *where) == 0
    told = capsys.readouterr().out
    assert "~ life cycle rhel 7" in told
    assert "--restore-shipped" in told
    assert load(str(state)).cycle("rhel", "7").extended_end == "2028-06-30"
    assert run(source, *where) == 0
    assert "nothing new" in capsys.readouterr().out
    assert run("--restore-shipped", "--state", state) == 0
    assert load(str(state)).cycle("rhel", "7").extended_end == "2029-05-31"


def test_a_refused_source_changes_nothing(tmp_path):
    """What was kept before is still there, byte for byte."""
    source, state = tmp_path / "rhel.json", tmp_path / "state"
    source.write_text(json.dumps(RHEL))
    run(source, "--state", state, "--as-of", "2026-08-30")
    before = (state / STORED).read_bytes()
    source.write_text("{")
    with pytest.raises(ForestallError):
        run(source, "--state", state)
    assert (state / STORED).read_bytes() == before
    assert [one.name for one in state.iterdir()] == [STORED]


def test_exported_and_taken_elsewhere(tmp_path, capsys):
    """A host with a network exports what it uses; one without takes that file."""
    source = tmp_path / "rhel.json"
    source.write_text(json.dumps(RHEL))
    run(source, "--state", tmp_path / "one", "--as-of", "2026-08-30")
    assert run("--export", tmp_path / "tables.json", "--state", tmp_path / "one") == 0
    assert run(tmp_path / "tables.json", "--state", tmp_path / "other") == 0
    assert load(str(tmp_path / "other")).cycle("rhel", "7").extended_end == "2028-06-30"
    capsys.readouterr()
    run("--state", tmp_path / "other")
    assert "life cycles (refreshed)" in capsys.readouterr().out


def test_from_a_server(tmp_path, capsys):
    """One file by its address; the product's name is the file's."""
    with server({"/api/rhel.json": json.dumps(RHEL).encode()}) as address:
        found = run(f"{address}/api/rhel.json", "--state", tmp_path, "--as-of", "2026-08-30")
    assert found == 0
    assert "life cycle rhel 7" in capsys.readouterr().out


def test_a_redirect_to_somewhere_else(tmp_path):
    """A server cannot send this program to a plain address, nor is a missing one a traceback."""
    elsewhere = {"/rhel.json": "http://192.0.2.1/rhel.json"}
    with server(elsewhere) as address, pytest.raises(ForestallError, match="only https"):
        run(f"{address}/rhel.json", "--state", tmp_path)
    with pytest.raises(ForestallError, match="cannot be fetched"):
        run(f"{address}/rhel.json", "--state", tmp_path)


def test_a_checkout_of_advisories(tmp_path, capsys):
    """AlmaLinux's folder as it is cloned; --json has every change."""
    place = tmp_path / "osv-database" / "advisories" / "almalinux9"
    place.mkdir(parents=True)
    (place / "ALSA-2026:60001.json").write_text(json.dumps(NEW))
    assert run(tmp_path / "osv-database", "--state", tmp_path / "state", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kept"] == str(tmp_path / "state" / STORED)
    assert any("ALSA-2026:60001" in line for line in told["changes"])


def test_one_thing_at_a_time(tmp_path):
    """A source, an export and a restore exclude one another; a day is a day."""
    with pytest.raises(UsageError):
        run("x", "--restore-shipped", "--state", tmp_path)
    with pytest.raises(UsageError, match="--as-of"):
        run("x", "--as-of", "yesterday", "--state", tmp_path)

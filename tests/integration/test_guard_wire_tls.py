"""TLS: a server is believed by its authority alone, and shown a certificate where it asks."""

import http.server
import json
import ssl
import subprocess
import threading

import pytest
from tests.integration import servers

from forestall.guard.wire.endpoint import Tls, WireError
from forestall.guard.wire.patroni import Access, Patroni


def certificate(folder, name):
    """A certificate that signs itself, for 127.0.0.1; the paths of it and of its key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    words = [servers.program("openssl"), "req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"]
    words += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", str(key), "-out", str(made)]
    words += ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    return str(made), str(key)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An HTTPS server that asks for a certificate of the client; its url, and the files."""
    folder = tmp_path_factory.mktemp("tls")
    own, client, other = (certificate(folder, name) for name in ("server", "client", "other"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"path": self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client[0])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(*own)
    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}", own, client, other
    server.shutdown()
    thread.join(10)
    server.server_close()


def ask(url, **fields):
    client = Patroni(url, Access(tls=Tls(**fields), timeout_seconds=5.0))
    try:
        return client.cluster()
    finally:
        client.close()


def test_a_server_of_the_authority_is_asked(served):
    """With the authority's certificate and one of its own, the client is answered."""
    url, own, client, _ = served
    told = ask(url, authority=own[0], certificate=client[0], key=client[1])
    assert told == {"path": "/cluster"}


@pytest.mark.parametrize("authority", ["other", "the host's own"])
def test_a_server_of_another_authority_is_not_believed(served, authority):
    """One clear error, and nothing was asked."""
    url, _, client, other = served
    fields = {"authority": other[0]} if authority == "other" else {}
    with pytest.raises(WireError, match=r"no connection.*(?i:certificate)"):
        ask(url, certificate=client[0], key=client[1], **fields)


def test_a_client_without_the_certificate_is_refused(served):
    """By the server, in one clear error."""
    url, own, _, other = served
    for fields in ({}, {"certificate": other[0], "key": other[1]}):
        with pytest.raises(WireError, match=r"^Patroni "):
            ask(url, authority=own[0], **fields)


def test_files_that_are_none_are_named(served, tmp_path):
    """The path that is at fault, and what is wrong with it."""
    url, own, _, _ = served
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in ("/nowhere/ca.pem", str(empty)):
        with pytest.raises(WireError, match=f"{path}.*: no certificates to use"):
            ask(url, authority=path)
    with pytest.raises(WireError, match="no certificates to use"):
        ask(url, authority=own[0], certificate=str(empty), key=str(empty))


def test_a_server_without_tls_is_one_clear_error(tmp_path):
    """Spoken to in TLS, a plain server answers nonsense."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        with pytest.raises(WireError, match="no connection"):
            ask(f"https://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()

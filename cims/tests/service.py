"""A running service on a free port, and a client that shows status, headers and document."""

import contextlib
import http.client
import json
import threading
import time

import uvicorn

from cims.api.patience import PatientProtocol
from cims.commands.serve import configured
from cims.settings import Settings, token_hash

TOKEN = "a-token-of-the-tests"


class Client:
    """Speaks HTTP to the service, one connection a request."""

    def __init__(self, port, token=TOKEN):
        self.port = port
        self.token = token

    def ask(self, method, path, document=None, *, body=None, key=None, **headers):
        """(status, headers, document) of one request."""
        told = {"authorization": f"Bearer {self.token}", **headers}
        if document is not None:
            body = json.dumps(document).encode()
        if body is not None:
            told.setdefault("content-type", "application/json")
        if key is not None:
            told["idempotency-key"] = str(key)
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            line.request(method, path, body=body, headers=told)
            answer = line.getresponse()
            text = answer.read()
            kind = answer.headers.get_content_type()
            found = json.loads(text) if kind == "application/json" else text.decode()
            return answer.status, answer.headers, found
        finally:
            line.close()


@contextlib.contextmanager
def serving(dsn, *, http=PatientProtocol, **settings):
    """The service in a thread, configured as `cims serve` does; its client."""
    options = {"token_hashes": frozenset({token_hash(TOKEN)}), "answer_seconds": 2.0, **settings}
    config = configured(Settings(dsn=dsn, **options))
    config.port, config.http = 0, http
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        ends = time.monotonic() + 30
        while not server.started:
            assert time.monotonic() < ends, "the service did not start"
            time.sleep(0.02)
        yield Client(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=30)

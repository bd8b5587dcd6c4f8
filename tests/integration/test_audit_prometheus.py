"""`audit prometheus` against a real Prometheus with a real node_exporter, and hostile ones."""

import json
import os
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.integration.servers import free_ports, listens, program, running

from forestall.audit.inputs.prometheus import read_prometheus
from forestall.audit.inputs.prometheus_api import Access
from forestall.clock import SystemClock
from forestall.errors import ForestallError, UsageError
from forestall.sense.procfs import parse_meminfo

ARGS = Path(__file__).parents[2] / "deploy" / "prometheus" / "node_exporter.args"
RULES = """
groups:
- name: memory
  rules:
  - alert: HostMemoryLow
    expr: node_memory_MemAvailable_bytes{job="node"} / node_memory_MemTotal_bytes < 0.1
  - alert: OtherHostsMemoryLow
    expr: node_memory_MemAvailable_bytes{job="nobody"} < 1
  - alert: DiskFull
    expr: node_filesystem_avail_bytes < 1
"""


def _flags():
    """The flags that deploy/prometheus ships; systemd does not run everywhere."""
    lines = [line for line in ARGS.read_text().splitlines() if line.startswith("--")]
    return [line for line in lines if "systemd" not in line]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """The url of a Prometheus with one live node, one that is down, and rules."""
    folder = tmp_path_factory.mktemp("prometheus")
    exporter, nobody, port = free_ports(3)
    (folder / "rules.yml").write_text(RULES)
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{folder}/rules.yml']\n"
        "scrape_configs:\n"
        f"- job_name: node\n  static_configs: [{{targets: ['127.0.0.1:{exporter}', "
        f"'127.0.0.1:{nobody}']}}]\n"
        f"- job_name: prometheus\n  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
    )
    scrape = [program("prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{exporter}"]
    serve = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=http://localhost/metrics-of-ours",
        "--web.route-prefix=/metrics-of-ours",
    ]
    url = f"http://127.0.0.1:{port}/metrics-of-ours"
    with (
        running([*scrape, *_flags()], folder, "exporter", ready=lambda: listens(exporter)),
        running(serve, folder, "prometheus", ready=lambda: _has_history(url)),
    ):
        yield url


def _has_history(url):
    """Whether five seconds of samples are there."""
    query = "/api/v1/query?query=count(node_memory_AnonPages_bytes%20offset%205s)"
    with urllib.request.urlopen(url + query, timeout=5) as answer:
        return bool(json.load(answer)["data"]["result"])


def test_a_real_host_is_told_by_its_exporter(servers):
    """This machine's kernel, memory, settings and pressure, each with the metric it came from."""
    found = list(read_prometheus([servers], SystemClock(), Access(match='job="node"'), 5.0))
    up, down = found
    facts = up.facts
    assert facts.hostname == os.uname().nodename
    assert facts.kernel_release == os.uname().release
    meminfo = parse_meminfo(Path("/proc/meminfo").read_bytes())
    assert facts.memory.mem_total_bytes == meminfo["MemTotal"]
    assert facts.memory.swap_total_bytes == meminfo["SwapTotal"]
    assert facts.commit_limit_bytes is not None
    for name in ("vm.panic_on_oom", "kernel.panic", "vm.swappiness", "kernel.core_pattern"):
        path = Path("/proc/sys") / name.replace(".", "/")
        assert facts.sysctls[name] == path.read_text().strip(), name
    assert facts.sources["/memory/mem_total_bytes"] == "node_memory_MemTotal_bytes"
    assert facts.sources["/sysctls/kernel.core_pattern"] == "node_sysctl_info"
    assert facts.psi == Path("/proc/pressure/memory").exists()
    assert abs(facts.scraped_at - time.time()) < 60
    assert facts.memory_alerts == ("HostMemoryLow",)
    assert facts.anonymous_growth_bytes_per_second is not None
    assert facts.growth_window_seconds == 5.0
    assert any(mount.path == "/" and mount.size_bytes for mount in facts.mounts)
    assert (facts.units, facts.guards) == (None, None)
    assert {"units", "guards", "holders"} <= facts.unseen.keys()
    assert (down.name, down.facts) == ("127.0.0.1", None)
    assert "up is 0" in down.problem


def test_growth_needs_its_whole_history(servers):
    """A slope over six hours is not told of a host that is seen for seconds."""
    (up, _) = read_prometheus([servers], SystemClock())
    assert up.facts.anonymous_growth_bytes_per_second is None
    assert up.facts.growth_window_seconds is None


def test_a_selector_that_fits_nothing_is_an_error(servers):
    """An empty fleet would look like a healthy one."""
    with pytest.raises(ForestallError, match="knows no host"):
        list(read_prometheus([servers], SystemClock(), Access(match='job="else"')))


def test_another_page_of_a_server_is_told_from_its_api(servers):
    """A wrong prefix is said, with what to give."""
    with pytest.raises(ForestallError, match="answered 404") as raised:
        list(read_prometheus([servers.removesuffix("/metrics-of-ours")], SystemClock()))
    assert "/api/v1/query" in raised.value.help


@contextmanager
def answering(respond, certificate=None):
    """A server of one function: (handler) -> None; over TLS with `certificate`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            respond(self)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.block_on_close = False
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        scheme = "http" if certificate is None else "https"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _send(handler, body, status=200):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>login</html>",
        b"[]",
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"matrix","result":[]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[1]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{"metric":1,"value":[]}]}}',
        b'{"status":"error","error":"query\\ntimed out"}',
        b"{" * 100_000,
    ],
)
def test_any_other_answer_is_one_clear_line(body):
    """Whatever a server says that is no vector."""
    with (
        answering(lambda handler: _send(handler, body)) as url,
        pytest.raises(ForestallError) as raised,
    ):
        list(read_prometheus([url], SystemClock()))
    assert "\n" not in raised.value.message


def test_a_server_without_rules_says_nothing_of_alerts():
    """Those of a VictoriaMetrics are evaluated elsewhere: unknown, not none."""

    def respond(handler):
        row = {"metric": {"instance": "db01:9100", "nodename": "db01", "job": "node"}}
        rows = [{**row, "value": [1, "1700000000"]}] if handler.command == "POST" else []
        data = {"resultType": "vector", "result": rows, "groups": []}
        _send(handler, json.dumps({"status": "success", "data": data}).encode())

    with answering(respond) as url:
        (seen,) = read_prometheus([url], SystemClock())
    assert seen.facts.memory_alerts is None
    assert "others may evaluate them" in seen.facts.unseen["memory_alerts"]


def test_a_server_that_hangs_or_drips_is_left_in_time():
    """The time bounds the whole answer, not each byte of it."""

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(100):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return
            time.sleep(0.1)

    for respond in (drip, lambda _handler: time.sleep(3)):
        with answering(respond) as url, pytest.raises(ForestallError, match="time"):
            list(read_prometheus([url], SystemClock(), Access(timeout_seconds=0.5)))


def test_secrets_come_from_files_and_stay_there(tmp_path):
    """A token is sent as a header; a password in an address is refused and not repeated."""
    asked = []

    def respond(handler):
        asked.append(handler.headers.get("Authorization"))
        _send(handler, b'{"status":"error","error":"no"}', 401)

    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "user").write_text("ada:pw\n")
    with answering(respond) as url:
        for access in (
            Access(token_file=str(tmp_path / "token")),
            Access(basic_file=str(tmp_path / "user")),
        ):
            with pytest.raises(ForestallError, match="answered 401") as raised:
                list(read_prometheus([url], SystemClock(), access))
            assert "s3cret" not in raised.value.message
    assert asked == ["Bearer s3cret", "Basic YWRhOnB3"]
    with pytest.raises(UsageError) as raised:
        list(read_prometheus(["http://ada:hidden@127.0.0.1:9090"], SystemClock()))
    assert "hidden" not in raised.value.message


def test_a_certificate_is_checked(tmp_path):
    """One of an unknown authority is refused, and accepted where that authority is named."""
    pem = tmp_path / "server.pem"
    subprocess.run(
        [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(pem), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    pem.write_bytes(pem.read_bytes() + (tmp_path / "cert.pem").read_bytes())
    asked = []

    def respond(handler):
        asked.append(handler.path)
        _send(handler, b'{"status":"success","data":{"resultType":"vector","result":[]}}')

    with answering(respond, str(pem)) as url:
        with pytest.raises(ForestallError, match=r"CERTIFICATE_VERIFY_FAILED|certificate"):
            list(read_prometheus([url], SystemClock()))
        assert asked == []
        with pytest.raises(ForestallError, match="knows no host"):
            list(read_prometheus([url], SystemClock(), Access(ca_file=str(tmp_path / "cert.pem"))))
    assert asked


@pytest.mark.parametrize(
    ("url", "access"),
    [
        ("ftp://x", Access()),
        ("localhost:9090", Access()),
        ("http://x:99999", Access()),
        ("http://x", Access(match="job=node")),
        ("http://x", Access(match='job="a"} or vector(1')),
        ("http://x", Access(token_file="/nonexistent")),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(url, access):
    """Before anything is asked."""
    with pytest.raises(UsageError):
        list(read_prometheus([url], SystemClock(), access))


def test_nobody_there_is_said():
    """A closed port, and a name that does not exist."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ForestallError, match="cannot be asked"):
        list(read_prometheus([f"http://127.0.0.1:{port}"], SystemClock()))

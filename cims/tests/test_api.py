"""The REST API: each outcome has its status; what a stranger sends is refused and no more."""

import asyncio
import base64
import http.client
import socket
import uuid
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cims.commands.serve import _listen
from service import TOKEN, Client, serving


@pytest.fixture
def client(dsn):
    with serving(dsn) as client:
        yield client


@pytest.fixture(scope="module")
def shared(server):
    """One service for all that is refused: what nobody may change needs no database of its own."""
    server.run("CREATE DATABASE shared TEMPLATE seeded")
    with serving(server.dsn("shared")) as client:
        yield client
    server.run("DROP DATABASE shared WITH (FORCE)")


def _order(qty=1, sku="SKU-00001", **more):
    return {"warehouse": "USA-1", "lines": [{"sku": sku, "qty": qty}], **more}


def test_an_order_and_its_retry(client):
    """201 the first time, 200 with the same order the second, and 201 for another key."""
    key = uuid.uuid4()
    status, _, placed = client.ask("POST", "/v1/orders", _order(), key=key)
    assert (status, placed["outcome"], placed["replayed"]) == (201, "accepted", False)
    status, _, again = client.ask("POST", "/v1/orders", _order(), key=key)
    assert (status, again) == (200, {**placed, "replayed": True})
    status, _, other = client.ask("POST", "/v1/orders", _order(), key=uuid.uuid4())
    assert (status, other["order_id"] != placed["order_id"]) == (201, True)


def test_a_short_order_names_the_sku(client):
    """409 with the SKU's code; the retry hears the same although goods have come since."""
    key = uuid.uuid4()
    for replayed in (False, True):
        status, _, answer = client.ask("POST", "/v1/orders", _order(101), key=key)
        assert (status, answer["error"]["code"]) == (409, "short")
        assert (answer["error"]["sku"], answer["error"]["replayed"]) == ("SKU-00001", replayed)
        receipt = {**_order(50), "supplier": "Acme"}
        assert client.ask("POST", "/v1/receipts", receipt, key=uuid.uuid4())[0] == 201


def test_a_key_with_another_body(client):
    """422, and the first order is what it was."""
    key = uuid.uuid4()
    client.ask("POST", "/v1/orders", _order(1), key=key)
    status, _, answer = client.ask("POST", "/v1/orders", _order(2), key=key)
    assert (status, answer["error"]["code"]) == (422, "key-reused")
    status, _, order = client.ask("GET", f"/v1/orders/{key}")
    assert (status, order["lines"]) == (200, [{"sku": "SKU-00001", "qty": 1, "shipped": 0}])


def test_lines_may_come_in_any_order(client):
    """A client need not know how we lock; the same lines in another order are the same body."""
    key = uuid.uuid4()
    lines = [{"sku": f"SKU-0000{n}", "qty": n} for n in (3, 1, 2)]
    assert client.ask("POST", "/v1/orders", {**_order(), "lines": lines}, key=key)[0] == 201
    assert client.ask("POST", "/v1/orders", {**_order(), "lines": lines[::-1]}, key=key)[0] == 200


@pytest.mark.parametrize(
    ("document", "where"),
    [
        (_order(-1), "lines.0.qty"),
        (_order(0), "lines.0.qty"),
        (_order(1.5), "lines.0.qty"),
        (_order("1"), "lines.0.qty"),
        (_order(10**9), "lines.0.qty"),
        (_order(10**30), "lines.0.qty"),
        (_order(sku="SKU-99999"), "SKU-99999"),
        (_order(sku="x" * 65), "lines.0.sku"),
        (_order(sku="SKU\u0000"), "lines.0.sku"),
        ({**_order(), "warehouse": "MOON-1"}, "MOON-1"),
        (_order(requested_at="yesterday"), "requested_at"),
        (_order(requested_at="2026-01-01T00:00:00"), "requested_at"),
        (_order(requested_at="9999-12-31T23:59:59Z"), "requested_at"),
        (_order(requested_at="0001-01-01T00:00:00+14:00"), "requested_at"),
        (_order(colour="red"), "colour"),
        ({**_order(), "lines": []}, "lines"),
        ({**_order(), "lines": _order()["lines"] * 2}, "twice"),
        ({**_order(), "lines": [{"sku": f"S{n}", "qty": 1} for n in range(1001)]}, "lines"),
        ([], "body"),
        ("order", "body"),
    ],
)
def test_a_wrong_order_says_where(shared, document, where):
    """422 with the place; nothing is stored under the key."""
    key = uuid.uuid4()
    status, _, answer = shared.ask("POST", "/v1/orders", document, key=key)
    assert status == 422
    assert where in answer["error"]["message"]
    assert shared.ask("GET", f"/v1/orders/{key}")[0] == 404


@pytest.mark.parametrize(
    "body",
    [b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"", b'{"warehouse": NaN}', b"{}" * 2],
    ids=["cut", "bytes", "deep", "null", "empty", "nan", "two"],
)
def test_a_body_that_is_no_order(shared, body):
    """400 or 422, one line, never 500; the service goes on."""
    status, _, answer = shared.ask("POST", "/v1/orders", body=body, key=uuid.uuid4())
    assert status in (400, 422)
    assert "\n" not in answer["error"]["message"]
    assert shared.ask("GET", "/healthz")[0] == 200


def test_json_that_is_not_called_json_is_told(shared):
    """A body that a client sends as a form names the header that is missing."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    status, _, answer = shared.ask("POST", "/v1/orders", _order(), key=uuid.uuid4(), **headers)
    assert (status, "application/json" in answer["error"]["message"]) == (422, True)


@pytest.mark.parametrize("key", [None, "", "17", "x" * 2000])
def test_an_order_without_a_key_is_not_taken(shared, key):
    """400: a write that could not be retried is not begun."""
    assert shared.ask("POST", "/v1/orders", _order(), key=key)[0] == 400


def test_too_much_is_refused_before_it_is_read(shared):
    """413 from the header alone, and from what arrives when the header does not tell."""
    declared = shared.ask(
        "POST", "/v1/orders", body=b"x", key=uuid.uuid4(), **{"content-length": str(10**12)}
    )
    assert (declared[0], declared[2]["error"]["code"]) == (413, "too-large")
    line = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=30)
    parts = iter([b" " * 65536] * 5)
    told = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    line.request("POST", "/v1/orders", body=parts, headers=told, encode_chunked=True)
    assert line.getresponse().status == 413
    line.close()


def test_a_body_that_dawdles_is_left(dsn):
    """408: a sender of one byte now and then does not hold a place for ever."""
    with (
        serving(dsn, body_seconds=0.3) as client,
        socket.create_connection(("127.0.0.1", client.port), timeout=30) as line,
    ):
        line.sendall(
            b"POST /v1/orders HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n"
            b"authorization: Bearer " + TOKEN.encode() + b"\r\n\r\n{"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, "Bearer \u00ff",
     "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()],
)  # fmt: skip
def test_without_the_token_nothing_is_told(shared, header):
    """401 for orders, reports and metrics alike; a page's password does not open the API."""
    for method, path in (("POST", "/v1/orders"), ("GET", "/v1/stock"), ("GET", "/metrics"),
                         ("GET", "/openapi.json"), ("GET", "/nothing")):  # fmt: skip
        status, _, answer = shared.ask(method, path, authorization=header)
        assert (status, answer["error"]["code"]) == (401, "token")
    assert shared.ask("GET", "/healthz", authorization=header)[0] == 200


def test_the_page_takes_the_token_as_a_password(client):
    """A browser asks for it; the page shows each region and loads nothing from elsewhere."""
    assert client.ask("GET", "/", authorization="")[1]["www-authenticate"] == "Basic"
    basic = "Basic " + base64.b64encode(f"any:{TOKEN}".encode()).decode()
    status, headers, page = client.ask("GET", "/", authorization=basic)
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    for shown in ("USA", "EMEA", "APAC", "Taking orders", "Penalties running", "cims check"):
        assert shown in page
    assert "http://" not in page
    assert "https://" not in page


def test_what_the_page_shows_is_escaped(client, dsn):
    """A name from a feed or a check is text, not markup."""
    with psycopg.connect(dsn) as connection:
        connection.execute("INSERT INTO proof (held, summary) VALUES (false, '<script>x</script>')")
    _, _, page = client.ask("GET", "/")
    assert "<script>" not in page
    assert "BROKEN" in page


def test_from_order_to_shipment(client):
    """An order is shipped in two parts; a repeated part is 200; one too many 409; unknown 404."""
    key, part = uuid.uuid4(), uuid.uuid4()
    client.ask("POST", "/v1/orders", _order(3), key=key)
    first = {"order": str(key), "carrier": "UPS", "lines": [{"sku": "SKU-00001", "qty": 2}]}
    assert client.ask("POST", "/v1/shipments", first, key=part)[0] == 201
    assert client.ask("POST", "/v1/shipments", first, key=part)[0] == 200
    assert client.ask("POST", "/v1/shipments", first, key=uuid.uuid4())[0] == 409
    rest = {"order": str(key), "carrier": "UPS"}
    assert client.ask("POST", "/v1/shipments", rest, key=uuid.uuid4())[0] == 201
    order = client.ask("GET", f"/v1/orders/{key}")[2]
    assert (order["status"], len(order["shipments"])) == ("shipped", 2)
    stranger = {**rest, "order": str(uuid.uuid4())}
    assert client.ask("POST", "/v1/shipments", stranger, key=uuid.uuid4())[0] == 404
    cancelled = client.ask("POST", f"/v1/orders/{key}/cancellation", {}, key=uuid.uuid4())
    assert (cancelled[0], cancelled[2]["error"]["code"]) == (409, "state")


def test_stock_moves_and_is_found(client):
    """Adjusted, set aside and transferred stock shows in the filters, page by page."""
    move = {"from_warehouse": "USA-1", "to_warehouse": "APAC-2",
            "lines": [{"sku": "SKU-00005", "qty": 60}]}  # fmt: skip
    key = uuid.uuid4()
    assert client.ask("POST", "/v1/transfers", move, key=key)[0] == 201
    count = {"warehouse": "USA-1", "sku": "SKU-00005", "delta": -30, "reason": "count"}
    assert client.ask("POST", "/v1/adjustments", count, key=uuid.uuid4())[0] == 201
    aside = {"warehouse": "USA-1", "sku": "SKU-00005", "qty": 4}
    assert client.ask("POST", "/v1/quarantine", aside, key=uuid.uuid4())[0] == 201
    (row,) = client.ask("GET", "/v1/stock?low=true")[2]["stock"]
    assert (row["warehouse"], row["available"], row["quarantine"]) == ("USA-1", 6, 4)
    there = "/v1/stock?warehouse=APAC-2&sku=SKU-00005"
    assert client.ask("GET", there)[2]["stock"][0]["inbound"] == 60
    assert client.ask("POST", f"/v1/transfers/{key}/arrival", key=uuid.uuid4())[0] == 201
    assert client.ask("GET", there)[2]["stock"][0]["available"] == 160
    assert client.ask("POST", "/v1/adjustments", count, key=uuid.uuid4())[0] == 409
    seen, after = [], ""
    while after is not None:
        page = client.ask("GET", f"/v1/stock?region=EMEA&limit=7&after={after}")[2]
        seen += [(row["warehouse"], row["sku"]) for row in page["stock"]]
        after = page["next"]
    assert len(seen) == len(set(seen)) == 80
    assert client.ask("GET", "/v1/stock?limit=1001")[0] == 422


def test_what_can_be_named_is_listed(shared):
    """Regions, warehouses and SKUs page by page, each once, and none beyond what was asked for."""
    _, _, found = shared.ask("GET", "/v1/regions")
    assert [(r["region"], r["warehouses"]) for r in found["regions"]] == [
        ("APAC", 2), ("EMEA", 2), ("USA", 2)]  # fmt: skip
    _, _, found = shared.ask("GET", "/v1/warehouses?region=EMEA")
    assert [w["warehouse"] for w in found["warehouses"]] == ["EMEA-1", "EMEA-2"]
    assert found["next"] is None
    seen, after = [], ""
    while after is not None:
        _, _, found = shared.ask("GET", f"/v1/skus?prefix=SKU-0000&limit=4&after={after}")
        assert len(found["skus"]) <= 4
        seen += [sku["sku"] for sku in found["skus"]]
        after = found["next"]
    assert seen == [f"SKU-0000{n}" for n in range(1, 10)]
    assert shared.ask("GET", "/v1/skus?prefix=%25")[2]["skus"] == []


@pytest.mark.parametrize("path", ["skus?limit=1001", "skus?limit=0", "warehouses?after=%00",
    "warehouses?region=" + "x" * 65, "skus?prefix="])  # fmt: skip
def test_a_list_is_bounded(shared, path):
    """422 for more than a page, and for what is no code."""
    assert shared.ask("GET", f"/v1/{path}")[0] == 422


def test_a_feed_is_applied_once_and_in_sequence(client):
    """A repeated batch changes nothing, a gap names the next number, another body is refused.

    Where a region reports more gone than is free the rest is told, not taken from orders.
    """
    batch = {"source": "wms-usa", "region": "USA", "seq": 1, "feed_at": "2026-01-01T00:00:00Z",
             "rows": [{"warehouse": "USA-2", "sku": "SKU-00002", "delta": 5},
                      {"warehouse": "USA-1", "sku": "SKU-00001", "delta": -250}]}  # fmt: skip
    assert client.ask("POST", "/v1/sync/batches", batch)[2] == {
        "applied": True, "last_seq": 1, "conflicts": 1}  # fmt: skip
    assert client.ask("POST", "/v1/sync/batches", batch)[2]["applied"] is False
    status, _, gap = client.ask("POST", "/v1/sync/batches", {**batch, "seq": 3})
    assert (status, gap["error"]["message"]) == (409, "batch wms-usa 3: expected 2")
    assert client.ask("POST", "/v1/sync/batches", {**batch, "rows": []})[0] == 422
    assert client.ask("POST", "/v1/sync/batches", {**batch, "region": "MARS", "seq": 2})[0] == 404
    stock = client.ask("GET", "/v1/stock?warehouse=USA-2&sku=SKU-00002")[2]["stock"][0]
    assert stock["available"] == 105
    (event,) = client.ask("GET", "/v1/outbox")[2]["events"]
    assert event["payload"]["rows"] == [{"warehouse": 1, "sku": 1, "missing": 150}]
    assert client.ask("GET", "/v1/sync/cursors")[2]["cursors"][0]["last_seq"] == 1


def test_delays_are_a_figure_per_region(dsn):
    """Lag counts from the newest moment a region told of; a region without a feed has none."""
    now = datetime(2026, 5, 1, 12, tzinfo=UTC)
    with serving(dsn, clock=lambda: now) as client:
        batch = {"source": "wms", "region": "APAC", "rows": []}
        for seq, told, came in ((1, 90, 10), (2, 60, 30)):
            batch |= {
                "seq": seq,
                "feed_at": (now - timedelta(minutes=told)).isoformat(),
                "applied_at": (now - timedelta(minutes=came)).isoformat(),
            }
            assert client.ask("POST", "/v1/sync/batches", batch)[0] == 200
        found = {r["region"]: r for r in client.ask("GET", "/v1/reports/delays")[2]["regions"]}
        assert (found["APAC"]["lag_seconds"], found["APAC"]["worst_delay_seconds"]) == (3600, 4800)
        assert found["USA"]["lag_seconds"] is None
        _, _, metrics = client.ask("GET", "/metrics")
        assert 'cims_sync_lag_seconds{region="APAC"} 3600.0' in metrics
        assert 'cims_sync_lag_seconds{region="USA"}' not in metrics


def test_penalties_follow_the_order_log(client):
    """An order asked for five hours ago and shipped now costs flat plus hours, in its region."""
    asked = datetime.now(UTC) - timedelta(hours=5)
    key = uuid.uuid4()
    client.ask("POST", "/v1/orders", _order(requested_at=asked.isoformat()), key=key)
    left = asked + timedelta(minutes=40, hours=2)
    shipment = {"order": str(key), "carrier": "UPS", "shipped_at": left.isoformat()}
    client.ask("POST", "/v1/shipments", shipment, key=uuid.uuid4())
    found = client.ask("GET", "/v1/penalties")[2]
    assert found["total_cents"] == 509 + 2 * 614
    assert [day["region"] for day in found["days"]] == ["USA"]
    assert client.ask("GET", "/v1/penalties?policy=9")[0] == 404


def test_metrics_count_answers(client):
    """Each outcome is counted once, and the time of each order observed."""
    key = uuid.uuid4()
    for _ in range(3):
        client.ask("POST", "/v1/orders", _order(), key=key)
    client.ask("POST", "/v1/orders", _order(1000), key=uuid.uuid4())
    _, headers, text = client.ask("GET", "/metrics")
    assert headers.get_content_type() == "text/plain"
    for line in ('cims_orders_total{outcome="accepted"} 1.0',
                 'cims_orders_total{outcome="replayed"} 2.0',
                 'cims_orders_total{outcome="rejected"} 1.0',
                 "cims_order_latency_seconds_count 4.0", "cims_database_up 1.0"):  # fmt: skip
        assert line in text


def test_ready_means_that_the_primary_takes_writes(dsn):
    """A database that is read-only, absent or empty is not ready; the process is healthy."""
    with serving(dsn) as client:
        assert client.ask("GET", "/readyz")[::2] == (200, {"ready": True, "why": None})
    for broken, why in (
        (dsn + " options='-c default_transaction_read_only=on'", "read-only"),
        ("host=127.0.0.1 port=1 user=x dbname=x", "no write in time"),
        (dsn.rsplit("dbname=", 1)[0] + "dbname=postgres", "the schema is missing"),
    ):
        with serving(broken) as client:
            assert client.ask("GET", "/readyz")[::2] == (503, {"ready": False, "why": why})
            assert client.ask("GET", "/healthz")[0] == 200
            _, _, page = client.ask("GET", "/")
            assert "Not taking orders" in page


def test_an_order_that_cannot_be_settled_is_503(dsn):
    """Without a database: 503, when to come back, and that the same key is right."""
    with serving(dsn) as client:
        client.ask("POST", "/v1/orders", _order(), key=uuid.uuid4())
        name = dsn.rsplit("dbname=", 1)[1]
        with psycopg.connect(dsn.replace(name, "postgres"), autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                (name,),
            )
        status, headers, answer = client.ask("POST", "/v1/orders", _order(), key=uuid.uuid4())
        assert (status, headers["retry-after"]) == (503, "1")
        assert answer["error"]["code"] in ("unknown", "unavailable")
        assert client.ask("GET", f"/v1/orders/{uuid.uuid4()}")[0] == 503
        assert client.ask("GET", "/")[0] == 503


def test_the_interface_describes_itself(shared):
    """OpenAPI lists every route with the statuses that a shared of orders must know."""
    _, _, document = shared.ask("GET", "/openapi.json")
    assert {"/v1/orders", "/v1/stock", "/v1/penalties", "/readyz"} <= set(document["paths"])
    assert set(document["paths"]["/v1/orders"]["post"]["responses"]) >= {
        "200", "201", "409", "422", "503"}  # fmt: skip
    bearers = [n for n, s in document["components"]["securitySchemes"].items()
        if (s["type"], s["scheme"]) == ("http", "bearer")]  # fmt: skip
    for path, methods in document["paths"].items():
        asked = [{name: []} for name in bearers] if path.startswith("/v1/") else None
        assert all(said.get("security") == asked for said in methods.values()), path


def test_a_token_that_comes_close_is_refused(shared):
    """Any other token is refused, also one that only begins like ours."""
    for token in (TOKEN[:-1], TOKEN + "x", TOKEN.upper(), ""):
        assert Client(shared.port, token).ask("GET", "/v1/stock")[0] == 401


def test_an_answer_is_sent_at_once():
    """`cims serve` has Nagle's algorithm off: no body waits for its header's ack."""

    async def scenario() -> int:
        off = asyncio.get_running_loop().create_future()

        def met(_, writer):
            line = writer.get_extra_info("socket")
            off.set_result(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = _listen("127.0.0.1", 0)
        async with await asyncio.start_server(met, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            try:
                return await asyncio.wait_for(off, 30)
            finally:
                writer.close()

    assert asyncio.run(scenario())

"""Requests that could be read in two ways, or that never end: 400 in JSON, closed, nothing sent upstream."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable

import pytest

from tests.support import answers
from tests.support.gateway import Gateway
from tests.support.hostile import HELLO, exchange, head
from tests.support.upstream import Upstream

BODY = json.dumps(HELLO).encode()
SMUGGLED = b"GET /v1/smuggled HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def lengths(value: str) -> bytes:
    return head("POST", "/v1/responses", f"Content-Length: {value}") + BODY


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head("POST", "/v1/responses", "Content-Length: 5", CHUNKED) + b"0\r\n\r\n", id="both-framings"),
        pytest.param(
            head("POST", "/v1/responses", CHUNKED, "Content-Length: 5") + b"0\r\n\r\n", id="both-framings-reversed"
        ),
        pytest.param(head("POST", "/v1/responses", "Content-Length: 5", "Content-Length: 6"), id="two-lengths"),
        pytest.param(head("POST", "/v1/responses", "Content-Length: 5", "Content-Length: 5"), id="one-length-twice"),
        pytest.param(lengths("5, 5"), id="list-of-lengths"),
        pytest.param(lengths("-1"), id="negative-length"),
        pytest.param(lengths("+30"), id="length-with-sign"),
        pytest.param(lengths("0x1f"), id="length-in-hex"),
        pytest.param(lengths("3 0"), id="length-with-space"),
        pytest.param(lengths("\xb2"), id="length-in-superscript"),
        pytest.param(lengths("9" * 5000), id="length-of-5000-digits"),
        pytest.param(head("POST", "/v1/responses", CHUNKED, CHUNKED), id="chunked-twice"),
        pytest.param(head("POST", "/v1/responses", "Transfer-Encoding: chunked, identity"), id="chunked-not-last"),
        pytest.param(head("POST", "/v1/responses", "Transfer-Encoding: xchunked"), id="unknown-coding"),
        pytest.param(head("POST", "/v1/responses", "Transfer-Encoding : chunked") + b"0\r\n\r\n", id="space-in-name"),
        pytest.param(head("POST", "/v1/responses", CHUNKED) + b"0x5\r\nabcde\r\n0\r\n\r\n", id="chunk-0x"),
        pytest.param(head("POST", "/v1/responses", CHUNKED) + b"-5\r\nabcde\r\n0\r\n\r\n", id="chunk-negative"),
        pytest.param(head("POST", "/v1/responses", CHUNKED) + b"5_0\r\nabcde\r\n0\r\n\r\n", id="chunk-underscore"),
        pytest.param(head("POST", "/v1/responses", CHUNKED) + b"\r\n\r\n", id="chunk-without-size"),
        pytest.param(head("POST", "/v1/responses", CHUNKED) + b"2\r\nabcde\r\n0\r\n\r\n", id="chunk-too-long"),
        pytest.param(head("POST", "/v1/responses", CHUNKED) + b"1;" + b"a" * 1_000_000, id="endless-extension"),
        pytest.param(
            head("POST", "/v1/responses", CHUNKED) + b"2\r\n{}\r\n0\r\n" + b"X: 1\r\n" * 100_000, id="endless-trailers"
        ),
        pytest.param(head("POST", "/v1/responses", "Host: other"), id="two-hosts"),
        pytest.param(head("POST", "/v1/responses", "Authorization: Bearer other"), id="two-authorizations"),
        pytest.param(head("POST", "/v1/responses", "x-api-key: a", "x-api-key: b", key=None), id="two-api-keys"),
        pytest.param(head("POST", "/v1/responses", "X-A: a", " folded"), id="folded-line"),
        pytest.param(head("POST", "/v1/responses", "X-A: a\0b"), id="nul"),
        pytest.param(head("POST", "/v1/responses", "X-A: a\rb"), id="bare-carriage-return"),
        pytest.param(head("POST", "/v1/responses", "X-A: a\nX-B: b"), id="bare-line-feed"),
        pytest.param(head("POST", "/v1/responses", "X-A: a\x0bb"), id="control-character"),
        pytest.param(head("POST", "/v1/responses", "X\xc4: a"), id="name-not-ascii"),
        pytest.param(head("POST", "/v1/responses", ": a"), id="no-name"),
        pytest.param(head("GET", "/v1/x?a=\rb"), id="carriage-return-in-the-target"),
        pytest.param(head("GET", "/v1/x?a=\x0bb"), id="control-character-in-the-target"),
        pytest.param(head("GET", "/v1/\xff\xfe"), id="target-not-ascii"),
        pytest.param(head("GET", "*"), id="asterisk"),
        pytest.param(head("GET", "http://[::1/v1/models"), id="broken-authority"),
        pytest.param(head("get", "/v1/models"), id="lower-case-method"),
        pytest.param(head("B{R}EW", "/v1/models"), id="odd-method"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http2-preface"),
        pytest.param(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n" + head("GET", "/v1/models"), id="proxy-protocol"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
        pytest.param(b"\0" * 100, id="nuls"),
    ],
)
def test_it_is_refused_and_nothing_is_forwarded(gateway: Gateway, upstream: Upstream, data: bytes) -> None:
    upstream.always(answers.chat_text("hi"))
    found = exchange(gateway, data + SMUGGLED)
    assert (found.status, found.error["code"]) == (400, "bad_request")
    assert found.closed
    assert found.headers["connection"] == "close"
    assert found.headers["content-type"] == "application/json"
    assert found.headers["x-request-id"].startswith("req_")
    assert found.headers["access-control-allow-origin"] == "*"
    assert found.rest == b"", "what stood behind it was not taken for a request"
    assert found.seconds < 3
    assert upstream.asked == []


def test_what_follows_a_refused_body_is_no_request(gateway: Gateway, upstream: Upstream) -> None:
    body = SMUGGLED * 3
    found = exchange(gateway, head("POST", "/v1/responses", f"Content-Length: {len(body)}", key=None) + body)
    assert (found.status, found.closed, found.rest) == (401, True, b"")
    assert upstream.asked == []


def test_an_underscore_is_no_dash(gateway: Gateway, upstream: Upstream) -> None:
    data = head("POST", "/v1/responses", "Transfer_Encoding: chunked", f"Content-Length: {len(BODY)}", key=None)
    found = exchange(gateway, data.replace(b"\r\n\r\n", b"\r\nX_Api_Key: k\r\n\r\n") + BODY)
    assert (found.status, found.error["code"]) == (401, "missing_api_key")


def test_two_requests_in_one_packet_get_their_own_answers(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answers(answers.chat_text("first"), answers.chat_text("second"))
    one = head("POST", "/v1/responses", f"Content-Length: {len(BODY)}") + BODY
    with gateway.connect() as client:
        client.send(one + one.replace(b"Host", b"Connection: close\r\nHost"))
        text = client.read_all()
    assert text.index(b'"first"') < text.index(b'"second"')


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(head("GET", "/v1/" + "a" * 17000), 414, "uri_too_long", id="long-target"),
        pytest.param(head("GET", "/v1/models", *["X-A: 1"] * 101), 431, "headers_too_large", id="many-headers"),
        pytest.param(head("GET", "/v1/models", "X-A: " + "a" * 65536), 431, "headers_too_large", id="long-header"),
        pytest.param(head("GET", "/v1/models")[:-2] + b"X: 1\r\n" * 500_000, 431, "headers_too_large", id="flood"),
        pytest.param(b"GET /" + b"a" * 3_000_000, 414, "uri_too_long", id="endless-target"),
    ],
)
def test_heads_are_bounded(gateway: Gateway, data: bytes, status: int, code: str) -> None:
    before = gateway.memory()
    found = exchange(gateway, data)
    assert (found.status, found.error["code"], found.closed) == (status, code, True)
    assert found.seconds < 3
    assert gateway.memory() - before < 4 * 1024 * 1024


def test_a_listed_page_may_read_a_refusal(gateway_with: Callable[..., Gateway]) -> None:
    gateway = gateway_with(CORS_ALLOW_ORIGINS="https://chat.lan")
    for lines, status in ((["Host: other"], 400), (["X: " + "a" * 9000], 431), (["Expect: tea"], 417)):
        found = exchange(gateway, head("POST", "/v1/responses", "Origin: https://chat.lan", *lines))
        allowed = found.headers.get("access-control-allow-origin")
        assert (found.status, allowed, found.headers["vary"]) == (status, "https://chat.lan", "origin")
        stranger = exchange(gateway, head("POST", "/v1/responses", "Origin: https://other", *lines))
        assert (stranger.status, stranger.headers.get("access-control-allow-origin")) == (status, None)


def test_chunks_of_one_byte_do_not_slow_the_others(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    slowest = 0.0
    with gateway.connect(timeout=60) as client:
        client.send(head("POST", "/v1/responses", CHUNKED))
        sender = threading.Thread(target=client.send, args=(b"1\r\n \r\n" * 800_000 + b"0\r\n\r\n",))
        sender.start()
        while sender.is_alive():
            slowest = max(slowest, exchange(gateway, head("GET", "/health/live", "Connection: close")).seconds)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert 0 < slowest < 0.15


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/chat/completions"])
def test_a_websocket_is_told_to_use_http(gateway: Gateway, path: str) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
    found = exchange(gateway, head("GET", path, *upgrade))
    assert found.status == 426
    assert b"HTTP POST" in found.body


def test_another_upgrade_is_ignored(gateway: Gateway) -> None:
    found = exchange(gateway, head("GET", "/health/live", "Connection: Upgrade", "Upgrade: h2c"))
    assert (found.status, found.closed) == (200, False)


def test_a_client_that_resets_is_no_error(gateway: Gateway) -> None:

    with gateway.connect() as client:
        client.send(head("POST", "/v1/responses", "Content-Length: 1000") + b"{")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert gateway.get("/health/live").status == 200
    assert "Traceback" not in gateway.log_text

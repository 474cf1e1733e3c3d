"""Plain heads beside gunicorn's parser: what is taken here is taken there, and means the same."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from gateway import plain_head

POST = b"POST /v1/responses?a=b HTTP/1.1\r\nHost: a:1\r\ncontent-length:  12 \r\nX-Stainless-OS: Linux\r\nX-E:"


def gunicorns(head: bytes) -> Any:
    """Return the head as gunicorn's parser takes it. Raises: ParseException."""
    config = Config()
    config.set("http_parser", "python")
    config.set("limit_request_field_size", plain_head.PLAIN_LIMIT)
    return Request(config, IterUnreader([head + b"\r\n\r\n"]), ("127.0.0.1", 1))


def meaning(request: Any) -> tuple[Any, ...]:
    """What the server uses of a head."""
    closes = request.should_close()
    return request.method, request.uri, request.path, request.query, request.version, request.headers, closes


def test_a_plain_head_is_read() -> None:
    head = plain_head.read(POST)
    assert head is not None
    assert meaning(head) == meaning(gunicorns(POST))
    assert head.headers == [("HOST", "a:1"), ("CONTENT-LENGTH", "12"), ("X-STAINLESS-OS", "Linux"), ("X-E", "")]
    assert (head.length, head.expects, head.should_close()) == (12, False, False)
    head.force_close()
    assert head.should_close()


@pytest.mark.parametrize(("value", "closes"), [("close", True), ("Close", True), ("keep-alive", False), ("x", False)])
def test_the_connection_header_is_heard(value: str, closes: bool) -> None:
    data = f"GET / HTTP/1.1\r\nHost: a\r\nConnection: {value}".encode()
    head = plain_head.read(data)
    assert head is not None
    assert head.should_close() == gunicorns(data).should_close() == closes


GET = b"GET / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.0\r\nHost: a", id="old-version"),
        pytest.param(b"PUT / HTTP/1.1\r\nHost: a", id="rare-method"),
        pytest.param(b"GET /%20 HTTP/1.1\r\nHost: a", id="escape"),
        pytest.param(b"GET //a HTTP/1.1\r\nHost: a", id="two-slashes"),
        pytest.param(b"GET /?a#b HTTP/1.1\r\nHost: a", id="fragment"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\nHost: a", id="absolute"),
        pytest.param(b"GET  / HTTP/1.1\r\nHost: a", id="two-spaces"),
        pytest.param(b"\r\nGET / HTTP/1.1\r\nHost: a", id="empty-line-before"),
        pytest.param(b"GET / HTTP/1.1", id="no-header"),
        pytest.param(b"GET / HTTP/1.1\r\nX: a", id="no-host"),
        pytest.param(GET + b"host: b", id="twice"),
        pytest.param(GET + b"X: a\r\n b", id="folded"),
        pytest.param(GET + b"X : a", id="space-in-name"),
        pytest.param(GET + b"X_Y: a", id="underscore"),
        pytest.param(GET + b": a", id="no-name"),
        pytest.param(GET + b"X", id="no-colon"),
        pytest.param(GET + b"X: a\0b", id="nul"),
        pytest.param(GET + b"X: a\nY: b", id="bare-line-feed"),
        pytest.param(GET + b"X: a\rb", id="bare-carriage-return"),
        pytest.param(GET + b"X: a\rb\nc", id="both-bare"),
        pytest.param(GET + b"Expect: 100-continue", id="expectation"),
        pytest.param(GET + b"Transfer-Encoding: chunked", id="coding"),
        pytest.param(GET + b"Content-Length: +1", id="signed-length"),
        pytest.param(GET + b"Content-Length: \xb2", id="length-in-superscript"),
        pytest.param(GET + b"Content-Length:", id="empty-length"),
        pytest.param(GET + b"X: " + b"a" * 8192, id="long"),
        pytest.param(GET + b"\r\n".join(b"X-%d: 1" % n for n in range(100)), id="many"),
    ],
)
def test_all_else_is_left_to_the_parser(head: bytes) -> None:
    assert plain_head.read(head) is None


LINES = st.sampled_from(
    [
        b"Host: a",
        b"host:b",
        b"Content-Length: 3",
        b"Content-Length: 03",
        b"Content-Length: 3, 3",
        b"Connection: close",
        b"Connection: keep-alive, x",
        b"Connection:\tClose\t",
        b"X-A: \xff\x80",
        b"Content-Type: a/b; c=d",
        b"Transfer-Encoding: chunked",
    ]
)
BYTES = st.lists(st.sampled_from([bytes([n]) for n in (*range(32), 32, 58, 65, 95, 127, 128, 255)]), max_size=4)


@given(
    st.sampled_from([b"GET", b"POST", b"get", b"HEAD"]),
    st.sampled_from(
        [b"/", b"/v1/models", b"/a//b", b"//a", b"/a?b=/?", b"/?a#b", b"*", b"a:1", b"/[", b"/\xc4", b"/;a"]
    ),
    st.lists(st.one_of(LINES, BYTES.map(b"".join), BYTES.map(lambda some: b"X-B: " + b"".join(some))), max_size=5),
)
def test_what_is_plain_means_the_same_to_gunicorn(method: bytes, target: bytes, lines: list[bytes]) -> None:
    data = b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: h", *lines])
    head = plain_head.read(data)
    if head is None:
        return
    try:
        other = gunicorns(data)
    except ParseException as refusal:
        pytest.fail(f"taken here, refused there: {data!r} {refusal!r}")
    assert meaning(head) == meaning(other)
    assert head.length == other.body.reader.length

"""Bytes of an upstream to answers, however they are cut."""

from __future__ import annotations

import pytest

from gateway.errors import UpstreamProtocol
from gateway.http1 import HEAD_LIMIT, AnswerReader, format_request

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: t\r\n\r\n"
)

ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    "empty": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"", True),
    "chunked": (CHUNKED, b"hello, world", True),
    "interim-first": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "bare-lf-head": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", b"ok", True),
    "connection-close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "http-1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "http-1.0-kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "both-framings": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"ok",
        False,
    ),
    "no-reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
}


def read(pieces: list[bytes], method: str = "GET") -> tuple[AnswerReader, bytes]:
    reader = AnswerReader(method)
    return reader, b"".join(reader.feed(piece) for piece in pieces)


@pytest.mark.parametrize(("wire", "body", "reusable"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
def test_an_answer_reads_the_same_however_it_is_cut(wire: bytes, body: bytes, reusable: bool, size: int) -> None:
    reader, got = read([wire[at : at + size] for at in range(0, len(wire), size)])
    assert got == body
    assert reader.head is not None
    assert reader.complete
    assert reader.reusable is reusable


def test_an_answer_without_framing_ends_with_the_connection() -> None:
    reader, body = read([b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo"])
    assert (body, reader.complete) == (b"hello", False)
    reader.finish()
    assert reader.complete
    assert not reader.reusable


def test_an_answer_to_head_has_no_body() -> None:
    reader, body = read([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], "HEAD")
    assert (body, reader.complete, reader.reusable) == (b"", True, True)


def test_bytes_behind_an_answer_spoil_the_connection() -> None:
    reader, body = read([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP", b"more"])
    assert (body, reader.complete, reader.reusable) == (b"ok", True, False)


def test_headers_keep_their_order_and_lose_their_case() -> None:
    reader, _ = read([b"HTTP/1.1 429 Slow\r\nRetry-After:  3 \r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"])
    assert reader.head is not None
    assert reader.head.headers == [("retry-after", "3"), ("x-a", "1"), ("x-a", "2"), ("content-length", "0")]
    assert reader.head.get("x-a") == "1"
    assert reader.head.get("missing") is None


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"SSH-2.0-x\r\n\r\n", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="line-without-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nname : v\r\n\r\n", id="space-before-colon"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: a\r\n b: c\r\n\r\n", id="folded-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\nn\xc3\xa4me: v\r\n\r\n", id="name-that-is-none"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx-request-id: a\x01b\r\n\r\n", id="control-character"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", id="carriage-return"),
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", id="another-protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="length-no-number"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", id="two-lengths"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", id="unknown-coding"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\n", id="chunk-size-no-number"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", id="chunk-too-long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nx: " + b"a" * HEAD_LIMIT, id="endless-head"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * (HEAD_LIMIT + 1), id="endless-chunk-head"
        ),
    ],
)
def test_what_is_no_answer_is_a_fault_of_the_upstream(wire: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        read([wire])


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_a_cut_answer_never_looks_complete(cut: int) -> None:
    reader, _ = read([CHUNKED[:cut]])
    with pytest.raises(UpstreamProtocol):
        reader.finish()


def test_a_request_is_formatted_as_the_rfc_has_it() -> None:
    head = format_request("POST", "/v1/x?y=1", [("host", "h"), ("a", "b")], 3)
    assert head == b"POST /v1/x?y=1 HTTP/1.1\r\nhost: h\r\na: b\r\ncontent-length: 3\r\n\r\n"
    assert b"content-length" not in format_request("GET", "/", [], None)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0"])
def test_no_value_breaks_out_of_its_line(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        format_request("GET", "/", [("x", value)], None)


@pytest.mark.parametrize(
    ("before", "endless"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"Trailer: t\r\n"),
    ],
    ids=["interim-heads", "trailers"],
)
def test_what_nobody_wants_is_bounded(before: bytes, endless: bytes) -> None:
    reader = AnswerReader("GET")
    reader.feed(before)
    with pytest.raises(UpstreamProtocol, match="without end"):
        for _ in range(HEAD_LIMIT):
            reader.feed(endless)

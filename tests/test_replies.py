"""A reply as the server takes it: status line, length, body; and what becomes of a body that cannot be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.replies import Reply


def sent(reply: Reply, method: str = "POST") -> tuple[str, dict[str, str], bytes]:
    """Return what a server is handed."""
    told: list[Any] = []
    body = b"".join(reply({"REQUEST_METHOD": method}, lambda status, headers: told.extend((status, dict(headers)))))
    return told[0], told[1], body


@pytest.mark.parametrize(
    ("status", "line", "length"),
    [(200, "200 OK", "5"), (404, "404 Not Found", "5"), (599, "599 Unknown", "5"), (204, "204 No Content", None)],
)
def test_bytes_have_a_length_where_one_is_allowed(status: int, line: str, length: str | None) -> None:
    told = sent(Reply(b"hello", status, [("x-own", "1")]))
    assert told == (line, {"x-own": "1"} | ({"content-length": length} if length else {}), b"hello")


def test_a_head_request_gets_no_body_and_the_length_that_is_known() -> None:
    assert sent(Reply(b"hello"), "HEAD") == ("200 OK", {"content-length": "5"}, b"")
    assert sent(Reply(b"", 200, [("content-length", "7")]), "HEAD") == ("200 OK", {"content-length": "7"}, b"")


def test_sending_adds_nothing_to_the_reply_itself() -> None:
    reply = Reply(b"hello", 200, [("x-own", "1")])
    assert sent(reply) == sent(reply)


def test_a_stream_is_handed_over_as_it_is() -> None:
    assert sent(Reply(iter([b"a", b"b"]))) == ("200 OK", {}, b"ab")


@pytest.mark.parametrize("closes", [True, False])
def test_a_stream_that_cannot_begin_is_closed(closes: bool) -> None:
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"never"
        finally:
            closed.append(True)

    def refuses(status: str, headers: object) -> None:
        raise ValueError("a header that is none")

    body = pieces()
    next(body)
    with pytest.raises(ValueError, match="is none"):
        Reply(body if closes else iter([b"a"]))({"REQUEST_METHOD": "POST"}, refuses)
    assert closed == ([True] if closes else [])

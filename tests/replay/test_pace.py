"""How a recorded answer is sent again: its times, its framing, its end."""

from __future__ import annotations

import pytest

from gateway.recording.log import Answer, Attempt, Chunk, Exchange, Request
from gateway.replay.pace import scaled, script


def made(end: str | None = "complete", client: str | None = "complete", **more: object):  # type: ignore[no-untyped-def]
    answer = Answer(200, [("content-type", "a"), ("connection", "close"), ("x", "y")], 10.5, end=end, ended=12.0)
    answer.chunks = [Chunk(11.0, b"one"), Chunk(11.5, b""), Chunk(11.75, b"two")]
    for name, value in more.items():
        setattr(answer, name, value)
    attempt = Attempt(1, Request(10.0, "", "POST", "/", [], None, {}), answer)
    exchange = Exchange("req_1", attempts=[attempt])
    exchange.answer.end = client
    return script(exchange, attempt)


def test_times_count_from_the_request() -> None:
    one = made()
    assert (one.status, one.head_at, one.ends_at, one.ending) == (200, 0.5, 2.0, "clean")
    assert list(one.steps(1.0)) == [(1.0, b"one"), (1.75, b"two")]
    assert list(one.steps(0.5)) == [(2.0, b"one"), (3.5, b"two")]
    assert list(one.steps(0)) == [(0, b"one"), (0, b"two")]
    assert scaled(3, 2) == 1.5


def test_headers_of_the_connection_are_its_own() -> None:
    assert made().headers == [("content-type", "a"), ("x", "y")]


@pytest.mark.parametrize(
    ("end", "client", "ending"),
    [
        ("complete", None, "clean"),
        ("closed", "complete", "clean"),
        ("closed", "failed", "clean"),
        ("closed", "client_gone", "cut"),
        ("closed", None, "cut"),
        ("upstream_cut", "failed", "cut"),
        ("unreachable", "failed", "cut"),
        ("timeout", "failed", "silent"),
        (None, None, "cut"),
    ],
)
def test_it_ends_as_it_ended(end: str | None, client: str | None, ending: str) -> None:
    assert made(end, client).ending == ending


def test_a_reset_is_told_from_an_end() -> None:
    one = made("upstream_cut", line={"error": "The upstream broke the connection before its answer was complete."})
    assert one.ending == "reset"


@pytest.mark.parametrize(
    ("length", "end", "expected"), [("99", "complete", 6), ("99", "upstream_cut", 99), ("odd", "complete", None)]
)
def test_the_length_that_was_announced(length: str, end: str, expected: int | None) -> None:
    assert made(end, headers=[("content-length", length)]).length == expected


def test_a_recording_may_lack_its_head_or_its_end() -> None:
    assert made(None, ended=None).ends_at == 1.75
    one = made("unreachable", status=None, offset=None, chunks=[])
    assert (one.status, one.head_at, one.pieces) == (None, 2.0, ())
    assert made(None, ended=None, offset=None, chunks=[]).ends_at == 0.0

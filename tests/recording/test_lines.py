"""The lines of one exchange: as the format says, in order, without credentials."""

from __future__ import annotations

import gzip
import json
import time
from typing import Any

import pytest

from gateway.recording import format
from gateway.recording.format import format_line, parse_line, raw_payload
from gateway.recording.lines import Clock, Lines, payload

OWNER = ("5102", "req_1")
KEY = "sk-canary-0123456789abcdef"
HEADERS = [("authorization", f"Bearer {KEY}"), ("content-type", "application/json")]
SHOWN = [["authorization", "Bearer ***"], ["content-type", "application/json"]]
FRAME = b'data: {"content":"hello"}\n\n'


@pytest.fixture
def clock() -> Clock:
    return Clock(time.monotonic())


@pytest.fixture
def lines(clock: Clock) -> Lines:
    lines = Lines(clock, ())
    lines.client_request(0.0, OWNER, "GET", "/", [], None, None)
    return lines


def parsed(made: list[bytes]) -> list[dict[str, Any]]:
    assert all(line.endswith(b"}\n") and line.count(b"\n") == 1 for line in made)
    return [parse_line(line) for line in made]


def one(made: list[bytes]) -> dict[str, Any]:
    (line,) = parsed(made)
    return line


def test_a_line_is_what_the_format_makes_of_it(clock: Clock, lines: Lines) -> None:
    at = clock.began + 3.25
    wall = time.time() - time.monotonic() + at
    ours = one(lines.client_chunk(at, FRAME))
    theirs = parse_line(
        format_line(format.CLIENT_CHUNK, wall, 3.25, format.payload("data", FRAME), port=5102, request_id="req_1")
    )
    assert list(ours) == list(theirs)
    assert ours | {"timestamp": ""} == theirs | {"timestamp": ""}
    assert ours["timestamp"][:18] in (theirs["timestamp"][:18], format.timestamp(wall - 0.1)[:18])
    assert len(ours["timestamp"]) == len(theirs["timestamp"])


def test_times_follow_the_clock_of_the_wall(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_795_795_305.0)
    monkeypatch.setattr(time, "monotonic", lambda: 50.0)
    clock = Clock(50.0)
    assert b'"timestamp":"2026-11-27T16:01:45.250000Z","offset":0.250000,' in clock.line(50.25, b"")
    monkeypatch.setattr(time, "time", lambda: 1_795_795_405.0)  # the clock is set
    assert b'"timestamp":"2026-11-27T16:01:45.750000Z"' in clock.line(50.75, b"")
    assert b'"timestamp":"2026-11-27T16:03:26.500000Z","offset":1.500000,' in clock.line(51.5, b"")


def test_the_requests_of_both_legs(lines: Lines) -> None:
    body = json.dumps({"input": f"my key is {KEY}"}).encode()
    request = one(lines.client_request(1.0, OWNER, "POST", "/v1/responses?key=abcdefgh", HEADERS, "gzip", body))
    assert request["direction"] == "downstream-request"
    assert (request["method"], request["target"]) == ("POST", "/v1/responses?key=***")
    assert request["headers"] == SHOWN
    assert request["content_encoding"] == "gzip"
    assert raw_payload(request, "body") == body.replace(KEY.encode(), b"*" * len(KEY))
    assert request["gateway"]
    sent = one(lines.upstream_request(1.0, 1, "POST", "/v1/chat", HEADERS, {"id": "m"}, b"{}"))
    assert sent["headers"] == SHOWN
    assert sent["model_profile"] == {"id": "m"}
    assert (sent["attempt"], sent["body"]) == (1, "{}")
    plain = one(lines.upstream_request(1.0, 2, "GET", "/v1/files", [], None, None))
    assert "body" not in plain
    assert "model_profile" not in plain


def test_the_answer_of_both_legs_and_how_it_ended(lines: Lines) -> None:
    lines.client_request(1.0, OWNER, "GET", "/v1/x", [], None, None)
    lines.upstream_request(1.0, 1, "GET", "/v1/x", [], None, None)
    head = one(lines.upstream_head(1.0, 1, 200, [("set-cookie", "a=b"), ("x", "y")]))
    assert (head["status"], head["headers"]) == (200, [["set-cookie", "***"], ["x", "y"]])
    assert one(lines.upstream_chunk(1.0, FRAME))["attempt"] == 1
    assert one(lines.upstream_end(1.0, 1, "timeout", "Silence."))["error"] == "Silence."
    assert one(lines.client_head(1.0, 200, [("x", "y")]))["status"] == 200
    lines.client_chunk(1.5, FRAME)
    lines.lost = 1
    end = one(lines.client_end(3.0, 1.0, 2, {"end": "failed", "status": 200, "model": "m"}))
    assert (end["first_byte_ms"], end["duration_ms"], end["lost"]) == (500.0, 2000.0, 3)
    assert (end["end"], end["model"]) == ("failed", "m")


def test_an_end_without_any_byte_or_loss(lines: Lines) -> None:
    end = one(lines.client_end(3.0, 1.0, 0, {"end": "client_gone", "status": None}))
    assert "first_byte_ms" not in end
    assert "lost" not in end


def test_a_second_attempt_has_its_number(lines: Lines) -> None:
    for attempt in (1, 2):
        lines.upstream_request(1.0, attempt, "GET", "/", [], None, None)
        assert one(lines.upstream_chunk(1.0, FRAME))["attempt"] == attempt


def test_a_key_cut_over_chunks_is_replaced_and_all_lines_stay_in_order(lines: Lines) -> None:
    lines.client_request(1.0, OWNER, "GET", "/", HEADERS, None, None)
    lines.upstream_request(1.0, 1, "GET", "/", HEADERS, None, None)
    first, second = f"it is {KEY}".encode()[:15], f"it is {KEY}".encode()[15:] + b"\n"
    assert lines.upstream_chunk(1.1, first) == []
    assert lines.client_chunk(1.2, first) == []
    assert lines.client_chunk(1.3, second) == []
    made = parsed(lines.upstream_chunk(1.4, second))
    # The client's second chunk is behind the upstream's first, which is clear only now.
    half, rest = "it is *********", "*****************\n"
    assert [line["data"] for line in made] == [half, half, rest, rest]
    assert [line["direction"].split("-")[0] for line in made] == ["upstream", "downstream", "downstream", "upstream"]
    assert [line["offset"] for line in made] == sorted(line["offset"] for line in made)


def test_what_waits_comes_before_the_end(lines: Lines) -> None:
    lines.upstream_request(1.0, 1, "GET", "/", [], None, None)
    assert lines.upstream_chunk(1.0, b"abc") == []
    assert lines.client_chunk(1.0, b"abc") == []
    assert lines.client_head(1.0, 200, []) == []
    made = parsed(lines.upstream_end(1.0, 1, "complete", None))
    assert [line["direction"] for line in made] == ["upstream-response-chunk"]
    made = parsed(lines.client_end(1.0, 1.0, 0, {"end": "complete"}))
    ends = ["downstream-response-chunk", "downstream-response", "upstream-response-end", "downstream-response-end"]
    assert [line["direction"] for line in made] == ends


def test_a_compressed_answer_that_tells_a_key_becomes_stars(lines: Lines) -> None:
    lines.client_request(1.0, OWNER, "GET", "/", HEADERS, None, None)
    lines.upstream_request(1.0, 1, "GET", "/", HEADERS, None, None)
    data = gzip.compress(f"bad key {KEY}".encode())
    packed = [("content-encoding", "gzip")]
    lines.upstream_head(1.0, 1, 401, packed)
    assert lines.upstream_chunk(1.0, data) == []
    chunk, end = parsed(lines.upstream_end(1.0, 1, "complete", None))
    assert (chunk["data"], end["end"]) == ("*" * len(data), "complete")
    lines.client_head(1.0, 401, packed)
    assert lines.client_chunk(1.0, data) == []
    assert parsed(lines.client_end(1.0, 1.0, 0, {"end": "refused"}))[0]["data"] == "*" * len(data)


def test_what_is_relayed_is_spelled_once(lines: Lines) -> None:
    body = b'{"model":"m"}'
    ours = one(lines.client_request(1.0, OWNER, "POST", "/", [], None, body))
    theirs = one(lines.upstream_request(1.0, 1, "POST", "/", [], None, body))
    assert ours["body"] == theirs["body"] == body.decode()
    assert one(lines.upstream_chunk(1.0, body + b"\n"))["data"] == body.decode() + "\n"


LARGE = 1_000_000
PAYLOADS = [
    pytest.param(b"", id="empty"),
    pytest.param('{"a":"é\u2028"}\n'.encode(), id="text"),
    pytest.param(b"\xff\x00", id="binary"),
    pytest.param("é".encode()[:1], id="cut"),
    pytest.param("aé".encode() * LARGE, id="long text"),
    pytest.param(b"\xff\x00\x01" * (LARGE // 2) + b"\x02", id="long binary"),
    pytest.param(b"a" * LARGE + "é".encode()[:1], id="long, cut"),
]


@pytest.mark.parametrize("data", PAYLOADS)
def test_payloads_are_exact(data: bytes) -> None:
    member = b"".join(payload("data", data))
    assert json.loads(b"{" + member + b"}") == format.payload("data", data)
    assert raw_payload(json.loads(b"{" + member + b"}"), "data") == data

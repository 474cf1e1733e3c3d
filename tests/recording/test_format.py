"""The lines of a recording: what is written is read back, byte for byte."""

from __future__ import annotations

import json

import pytest

from gateway.recording import format
from gateway.recording.format import FormatError, UnknownVersion, format_line, parse_line, payload, raw_payload

WALL = 1_795_795_305.5


def test_a_line_has_the_members_of_its_direction_and_one_end() -> None:
    line = format_line(
        format.UPSTREAM_CHUNK,
        WALL,
        3.14159265,
        {"attempt": 1, **payload("data", b"a\nb")},
        port=5102,
        request_id="req_1",
    )
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert (
        json.loads(line)
        == parse_line(line)
        == {
            "v": 1,
            "timestamp": "2026-11-27T16:01:45.500000Z",
            "offset": 3.141593,
            "direction": "upstream-response-chunk",
            "port": 5102,
            "request_id": "req_1",
            "attempt": 1,
            "data": "a\nb",
        }
    )


def test_the_first_line_belongs_to_no_exchange() -> None:
    line = parse_line(format_line(format.LOG, 0.0, 0.0, {"gateway": "2.0.0"}))
    assert line == {
        "v": 1,
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "offset": 0.0,
        "direction": "log",
        "gateway": "2.0.0",
    }


@pytest.mark.parametrize(
    ("raw", "member"),
    [
        pytest.param(b"", "data", id="empty"),
        pytest.param("grüße \u2028\u0000\U0001f600".encode(), "data", id="text"),
        pytest.param(b'data: {"a":"\\ud800"}\r\n\r\n', "data", id="escapes"),
        pytest.param("é".encode()[:1], "data_base64", id="cut-character"),
        pytest.param(b"\x1f\x8b\x08\x00", "data_base64", id="binary"),
        pytest.param(b"\xed\xa0\x80", "data_base64", id="surrogate"),
        pytest.param(b"\xef\xbb\xbf{}", "data", id="byte-order-mark"),
    ],
)
def test_payloads_are_exact(raw: bytes, member: str) -> None:
    line = parse_line(format_line(format.CLIENT_CHUNK, WALL, 0, payload("data", raw), port=1, request_id="r"))
    assert member in line
    assert raw_payload(line, "data") == raw


def test_a_missing_payload_is_none() -> None:
    assert raw_payload({"data": "x"}, "body") is None


def test_a_broken_payload_is_a_fault() -> None:
    with pytest.raises(FormatError, match="body_base64"):
        raw_payload({"body_base64": "?"}, "body")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[1]", b'"v"', b'{"v":1}', b'{"direction":"log"}', b'{"v":1,"direction":3}', b"\xff\n"]
)
def test_other_lines_are_faults(raw: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        parse_line(raw)
    assert not isinstance(caught.value, UnknownVersion)


@pytest.mark.parametrize("version", ["2", "0", "null", '"1"', "true"])
def test_an_unknown_version_is_refused_by_name(version: str) -> None:
    with pytest.raises(UnknownVersion, match="is not known, only version 1"):
        parse_line(b'{"v":%b,"direction":"log"}' % version.encode())

"""`/v1/chat/completions`, relayed byte for byte."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from tests.support.transport import (
    CHAT_PORT,
    KEY,
    RESPONSES_PORT,
    ScriptedTransport,
    answer,
    call,
    completion,
    gateway,
    refusal,
)

BODY = b'{ "model":"m", "messages" : [{"role":"user","content":"hi"}], "odd": 1.50 }'
FRAME = b'data: {"choices":[]}\n\n'
SSE = {"content-type": "text/event-stream"}


@pytest.mark.parametrize("port", [CHAT_PORT, RESPONSES_PORT])
def test_bytes_pass_as_they_are_both_ways(port: int) -> None:
    script = completion()
    transport = ScriptedTransport(script)
    reply = call(transport, "POST", "/v1/chat/completions?x=1", BODY, port=port)
    assert reply.data == script.pieces[0]
    assert transport.sent[0].body == BODY
    assert transport.sent[0].target == "/api/v1/chat/completions?x=1"
    assert dict(transport.sent[0].headers)["authorization"] == f"Bearer {KEY}"
    assert transport.calls[0].closed


def test_a_stream_passes_as_it_is() -> None:
    transport = ScriptedTransport(answer(FRAME, b"da", b"ta: [DONE]\n\n", headers=SSE))
    reply = call(transport, "POST", "/v1/chat/completions", BODY, port=CHAT_PORT)
    assert reply.data == FRAME + b"data: [DONE]\n\n"
    assert reply.headers["x-accel-buffering"] == "no"
    assert transport.calls[0].closed


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        (b'{"model": "ORG/model", "x": 1.0}', b'{"model": "Org/Model", "x": 1.0}'),
        (b'{"model": "m", "tools": [], "tool_choice": "auto"}', b'{"model": "m"}'),
        (b'{"tool_choice": "none", "model": "m"}', b'{"model": "m"}'),
    ],
)
def test_only_what_must_change_changes(sent: bytes, left: bytes) -> None:
    transport = ScriptedTransport(completion())
    call(gateway(transport, ["Org/Model", "m"]), "POST", "/v1/chat/completions", sent)
    body = transport.sent[0].body or b""
    assert json.loads(body) == json.loads(left)
    assert (b"1.0" in body) is (b"1.0" in sent)


@pytest.mark.parametrize(
    "script", [refusal(418, "odd"), answer(b"<html>", status=502), answer(b"plain"), answer(b"", status=204), answer()]
)
def test_errors_pages_and_nothing_pass_as_they_came(script: object) -> None:
    reply = call(ScriptedTransport(script), "POST", "/v1/chat/completions", BODY)  # type: ignore[arg-type]
    assert reply.status_code == script.status  # type: ignore[attr-defined]
    assert reply.data == b"".join(script.pieces)  # type: ignore[attr-defined]


def test_a_key_that_the_upstream_repeats_is_masked() -> None:
    reply = call(ScriptedTransport(refusal(401, f"Bad key {KEY}")), "POST", "/v1/chat/completions", BODY)
    assert KEY not in reply.text


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [(UpstreamUnreachable("x"), 502, "upstream_unreachable"), (UpstreamTimeout("x"), 504, "upstream_timeout")],
)
def test_an_upstream_that_is_not_there_is_told_in_json(fault: Exception, status: int, code: str) -> None:
    reply = call(ScriptedTransport(fault), "POST", "/v1/chat/completions", BODY)
    assert reply.status_code == status
    assert reply.json is not None
    assert reply.json["error"]["code"] == code


def test_a_stream_that_breaks_between_frames_gets_an_error_line() -> None:
    transport = ScriptedTransport(answer(FRAME, UpstreamProtocol("cut"), headers=SSE))
    reply = call(transport, "POST", "/v1/chat/completions", BODY)
    lines = reply.data.split(b"\n\n")
    assert lines[0] + b"\n\n" == FRAME
    assert json.loads(lines[1].removeprefix(b"data: "))["error"]["code"] == "upstream_invalid_response"
    assert b"[DONE]" not in reply.data


@pytest.mark.parametrize("headers", [SSE, {}], ids=["inside-a-frame", "not-a-stream"])
def test_what_breaks_elsewhere_is_broken_off(headers: dict[str, str]) -> None:
    transport = ScriptedTransport(answer(b"data: {", None, UpstreamProtocol("cut"), headers=headers))
    with pytest.raises(UpstreamProtocol):
        call(transport, "POST", "/v1/chat/completions", BODY)


def test_silence_within_a_stream_is_filled_with_comments_between_frames_only() -> None:
    script = answer(FRAME, None, None, b"data: {", None, b"}\n\n", headers=SSE)
    app = gateway(ScriptedTransport(script), KEEPALIVE_SECS="0.1")
    reply = call(app, "POST", "/v1/chat/completions", BODY)
    assert reply.data.replace(b": \n\n", b"") == FRAME + b"data: {}\n\n"
    assert b"data: {}" in reply.data


@pytest.mark.parametrize("body", [b"{", b"[1]", b""])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    transport = ScriptedTransport()
    assert call(transport, "POST", "/v1/chat/completions", body).status_code == 400
    assert transport.sent == []


def test_another_method_is_not_relayed() -> None:
    reply = call(ScriptedTransport(), "GET", "/v1/chat/completions")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert reply.json is not None
    assert reply.json["error"]["code"] == "method_not_allowed"

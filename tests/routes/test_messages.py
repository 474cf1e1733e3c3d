"""`/v1/messages` and its token counter through the whole application, over a scripted transport."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamProtocol
from tests.support.transport import (
    ScriptedTransport,
    answer,
    call,
    chunk,
    completion,
    frames,
    gateway,
    refusal,
    sse,
)

HI = {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**HI, "stream": True}


def test_a_whole_answer() -> None:
    reply = call(ScriptedTransport(completion("hello")), "POST", "/v1/messages?beta=true", HI)
    assert reply.json is not None
    assert reply.json["content"] == [{"type": "text", "text": "hello"}]
    assert reply.json["usage"]["input_tokens"] == 7
    assert reply.json["model"] == "m"


def test_a_streamed_answer() -> None:
    reply = call(ScriptedTransport(sse(chunk(content="hello"), chunk("stop"))), "POST", "/v1/messages", STREAM)
    types = [event["type"] for event in frames(reply.text)]
    assert types == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_a_cut_stream_ends_in_an_error_event_and_closes_nothing() -> None:
    first = f"data: {json.dumps(chunk(content='hel'))}\n\n".encode()
    reply = call(ScriptedTransport(answer(first, UpstreamProtocol("cut"))), "POST", "/v1/messages", STREAM)
    types = [event["type"] for event in frames(reply.text)]
    assert types[-1] == "error"
    assert "content_block_stop" not in types


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_of_anthropics_goes_nowhere(path: str, header: str) -> None:
    transport = ScriptedTransport()
    value = "sk-ant-dummy-000000" if header == "x-api-key" else "Bearer sk-ant-dummy-000000"
    reply = call(transport, "POST", path, HI, key=None, headers={header: value})
    assert reply.status_code == 401
    assert reply.json is not None
    assert reply.json["error"]["type"] == "authentication_error"
    assert "sk-ant-dummy" not in reply.text
    assert transport.sent == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_prompt_that_is_too_long_is_worded_so_that_claude_code_compacts(stream: bool) -> None:
    told = refusal(400, "The input (40000 tokens) is longer than the model's context length (32768 tokens).")
    reply = call(ScriptedTransport(told), "POST", "/v1/messages", {**HI, "stream": stream})
    assert reply.status_code == 400
    assert reply.json is not None
    assert reply.json["error"]["message"].startswith("prompt is too long: 40000 tokens > 32768 maximum")


def test_an_answer_that_does_not_fit_is_asked_for_again_with_what_fits() -> None:
    told = refusal(
        400,
        "This model's maximum context length is 8192 tokens. However, you requested 65000 tokens (1000 in the "
        "messages, 64000 in the completion).",
    )
    transport = ScriptedTransport(told, completion(), completion())
    app = gateway(transport)
    assert call(app, "POST", "/v1/messages", {**HI, "max_tokens": 64000}).status_code == 200
    assert transport.body(1)["max_tokens"] == 8192 - 1000 - 16
    call(app, "POST", "/v1/messages", {**HI, "max_tokens": 64000})
    assert transport.body(2)["max_tokens"] == 64000


def test_a_limit_of_the_model_is_learnt() -> None:
    told = refusal(400, "max_tokens must be at most 8192")
    transport = ScriptedTransport(told, completion(), completion())
    app = gateway(transport)
    for _ in range(2):
        assert call(app, "POST", "/v1/messages", {**HI, "max_tokens": 64000}).status_code == 200
    assert [transport.body(number)["max_tokens"] for number in range(3)] == [64000, 8192, 8192]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_an_unknown_model_is_a_404_with_near_names(stream: bool) -> None:
    transport = ScriptedTransport(refusal(404, "no such model"))
    reply = call(gateway(transport, ["Qwen-25"]), "POST", "/v1/messages", {**HI, "model": "Qwen-2", "stream": stream})
    assert reply.status_code == 404
    assert reply.json is not None
    assert reply.json["error"]["type"] == "not_found_error"
    assert "Qwen-25" in reply.json["error"]["message"]


def test_when_to_try_again_is_passed_on() -> None:
    reply = call(ScriptedTransport(refusal(429, "x", headers={"retry-after": "7"})), "POST", "/v1/messages", HI)
    assert reply.headers["retry-after"] == "7"
    assert reply.headers["request-id"] == reply.headers["x-request-id"]


def test_tokens_are_counted_here() -> None:
    transport = ScriptedTransport()
    reply = call(transport, "POST", "/v1/messages/count_tokens?beta=true", {k: HI[k] for k in ("model", "messages")})
    assert reply.json is not None
    assert 1 <= reply.json["input_tokens"] < 20
    assert transport.sent == []

"""`/v1/responses` through the whole application, over a scripted transport."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.upstream_error import CONTEXT_CODE
from tests.support.transport import (
    KEY,
    Scripted,
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

HI = {"model": "m", "input": "hi"}
STREAM = {**HI, "stream": True}


def test_a_whole_answer() -> None:
    transport = ScriptedTransport(completion("hello"))
    reply = call(transport, "POST", "/v1/responses", HI)
    assert reply.status_code == 200
    assert reply.json is not None
    assert reply.json["output"][0]["content"][0]["text"] == "hello"
    assert reply.json["usage"]["input_tokens"] == 7
    assert reply.headers["x-request-id"].startswith("req_")
    assert float(reply.headers["x-gateway-overhead-ms"]) >= 0
    assert transport.calls[0].closed
    sent = transport.sent[0]
    assert (sent.method, sent.target) == ("POST", "/api/v1/chat/completions")
    assert dict(sent.headers)["authorization"] == f"Bearer {KEY}"
    assert transport.body() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_a_streamed_answer() -> None:
    transport = ScriptedTransport(
        sse(chunk(role="assistant", content=""), chunk(content="hel"), chunk(content="lo"), chunk("stop"))
    )
    reply = call(transport, "POST", "/v1/responses", STREAM)
    events = frames(reply.text)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-accel-buffering"] == "no"
    assert transport.body()["stream_options"] == {"include_usage": True}
    assert transport.calls[0].closed


def test_a_stream_answered_whole_is_still_a_stream() -> None:
    reply = call(ScriptedTransport(completion("hello")), "POST", "/v1/responses", STREAM)
    assert frames(reply.text)[-1]["response"]["output"][0]["content"][0]["text"] == "hello"


def test_a_whole_request_answered_by_a_stream_is_still_whole() -> None:
    transport = ScriptedTransport(sse(chunk(content="hello"), chunk("stop")))
    reply = call(transport, "POST", "/v1/responses", HI)
    assert reply.json is not None
    assert reply.json["output"][0]["content"][0]["text"] == "hello"


def test_usage_that_nobody_told_is_estimated() -> None:
    reply = call(ScriptedTransport(sse(chunk(content="hello"), chunk("stop"))), "POST", "/v1/responses", STREAM)
    usage = frames(reply.text)[-1]["response"]["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] > 0


def test_rate_limits_and_the_request_id_of_the_upstream_pass() -> None:
    script = completion()
    script.headers += [("x-request-id", "up-1"), ("x-ratelimit-remaining-tokens", "5"), ("set-cookie", "a=b")]
    reply = call(ScriptedTransport(script), "POST", "/v1/responses", HI)
    assert reply.headers["x-request-id"] == "up-1"
    assert reply.headers["x-ratelimit-remaining-tokens"] == "5"
    assert "set-cookie" not in reply.headers


def test_what_was_dropped_is_listed() -> None:
    body = {**HI, "tools": [{"type": "web_search"}], "truncation": "auto"}
    reply = call(ScriptedTransport(completion()), "POST", "/v1/responses", body)
    assert "tools[0]" in reply.headers["x-gateway-warnings"]


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        pytest.param(UpstreamUnreachable("x"), 502, "upstream_unreachable", id="unreachable"),
        pytest.param(answer(UpstreamUnreachable("x")), 502, "upstream_unreachable", id="dies-unanswered"),
        pytest.param(answer(UpstreamTimeout("x")), 504, "upstream_timeout", id="silent"),
        pytest.param(answer(UpstreamProtocol("x")), 502, "upstream_invalid_response", id="cut-first"),
        pytest.param(answer(), 502, "upstream_invalid_response", id="empty"),
        pytest.param(answer(b"<html>", status=200), 502, "upstream_invalid_response", id="html"),
        pytest.param(answer(b"[1]"), 502, "upstream_invalid_response", id="a-list"),
        pytest.param(answer(b'{"choices": '), 502, "upstream_invalid_response", id="broken-json"),
        pytest.param(answer(b"", status=302), 502, "upstream_invalid_response", id="redirect"),
        pytest.param(answer(b"x", headers={"content-encoding": "gzip"}), 502, "upstream_invalid_response", id="gzip"),
        pytest.param(answer(b'{"error": {"message": "m", "code": 429}}'), 429, "429", id="error-with-200"),
        pytest.param(answer(b'data: {"error": {"message": "m"}}\n\n'), 502, None, id="error-as-first-frame"),
        pytest.param(refusal(400, "No.", code="bad"), 400, "bad", id="400"),
        pytest.param(refusal(429, "Slow down."), 429, None, id="429"),
        pytest.param(refusal(503, "Down."), 503, None, id="503"),
        pytest.param(refusal(400, "maximum context length is 10 tokens"), 400, CONTEXT_CODE, id="overflow"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_fault_before_the_first_byte_is_a_status(
    script: Scripted | Exception, status: int, code: str | None, stream: bool
) -> None:
    transport = ScriptedTransport(script)
    reply = call(transport, "POST", "/v1/responses", {**HI, "stream": stream})
    assert reply.status_code == status
    assert reply.json is not None
    assert reply.json["error"]["code"] == code
    assert set(reply.json["error"]) == {"message", "type", "param", "code"}
    assert all(one.closed for one in transport.calls)


def test_a_429_gets_a_time() -> None:
    reply = call(ScriptedTransport(refusal(429, "Slow down.")), "POST", "/v1/responses", HI)
    assert reply.headers["retry-after"] == "5"
    reply = call(ScriptedTransport(refusal(429, "x", headers={"retry-after": "9"})), "POST", "/v1/responses", HI)
    assert reply.headers["retry-after"] == "9"


@pytest.mark.parametrize(
    "fault", [UpstreamProtocol("cut"), UpstreamTimeout("silent"), b'data: {"error": {"message": "cut"}}\n\n']
)
def test_a_fault_after_the_first_byte_fails_the_stream_and_closes_nothing(fault: Exception | bytes) -> None:
    first = f"data: {json.dumps(chunk(content='hel'))}\n\n".encode()
    transport = ScriptedTransport(answer(first, fault))
    reply = call(transport, "POST", "/v1/responses", STREAM)
    assert reply.status_code == 200
    types = [event["type"] for event in frames(reply.text)]
    assert types[-1] == "response.failed"
    assert "response.output_item.done" not in types
    assert transport.calls[0].closed


def test_the_end_of_the_body_without_an_end_of_the_answer_is_a_failure() -> None:
    reply = call(ScriptedTransport(sse(chunk(content="hel"), done=False)), "POST", "/v1/responses", STREAM)
    assert frames(reply.text)[-1]["type"] == "response.failed"


def test_a_field_that_the_upstream_refuses_is_left_out_and_remembered() -> None:
    told = refusal(400, "Unrecognized request argument supplied: stream_options")
    answered = sse(chunk(content="x"), chunk("stop"))
    transport = ScriptedTransport(told, answered, answered)
    app = gateway(transport)
    for _ in range(2):
        assert call(app, "POST", "/v1/responses", STREAM).status_code == 200
    assert ["stream_options" in transport.body(number) for number in range(3)] == [True, False, False]


def test_a_refusal_that_repeats_stands() -> None:
    told = refusal(400, "Unrecognized request argument supplied: stream_options")
    transport = ScriptedTransport(told, told)
    assert call(transport, "POST", "/v1/responses", STREAM).status_code == 400
    assert len(transport.sent) == 2


def test_an_unknown_model_is_a_404_with_near_names() -> None:
    transport = ScriptedTransport(refusal(404, "The model `Qwen-2` does not exist."))
    reply = call(gateway(transport, ["Qwen-25"]), "POST", "/v1/responses", {**HI, "model": "Qwen-2"})
    assert reply.status_code == 404
    assert reply.json is not None
    assert reply.json["error"]["code"] == "model_not_found"
    assert reply.json["error"]["param"] == "model"
    assert "Qwen-25" in reply.json["error"]["message"]
    assert "does not exist" in reply.json["error"]["message"]


def test_a_models_true_case_goes_upstream_and_the_clients_comes_back() -> None:
    transport = ScriptedTransport(completion())
    reply = call(gateway(transport, ["Org/Model"]), "POST", "/v1/responses", {**HI, "model": "org/model"})
    assert transport.body()["model"] == "Org/Model"
    assert reply.json is not None
    assert reply.json["model"] == "org/model"


def test_a_key_that_the_upstream_repeats_is_masked() -> None:
    reply = call(ScriptedTransport(refusal(401, f"Incorrect API key provided: {KEY}.")), "POST", "/v1/responses", HI)
    assert reply.status_code == 401
    assert KEY not in reply.text
    assert "sk-dum...6789" in reply.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b"[]", 400, "invalid_request_format"),
        ({"input": "hi"}, 400, "model_required"),
        ({"model": 3, "input": "hi"}, 400, "model_required"),
        ({"model": "m"}, 400, None),
        ({"model": "m", "input": []}, 400, None),
        ({"model": "m", "messages": []}, 400, None),
    ],
)
def test_a_bad_body_never_reaches_the_upstream(body: object, status: int, code: str | None) -> None:
    transport = ScriptedTransport()
    reply = call(transport, "POST", "/v1/responses", body)
    assert reply.status_code == status
    assert reply.json is not None
    assert reply.json["error"]["type"] == "invalid_request_error"
    if code:
        assert reply.json["error"]["code"] == code
    assert transport.sent == []


def test_another_content_type_is_refused_and_none_is_json() -> None:
    reply = call(ScriptedTransport(), "POST", "/v1/responses", b"{}", headers={"Content-Type": "text/plain"})
    assert reply.status_code == 415
    transport = ScriptedTransport(completion())
    reply = call(transport, "POST", "/v1/responses", json.dumps(HI).encode(), headers={"Content-Type": ""})
    assert reply.status_code == 200


def test_silence_is_filled_with_events() -> None:
    silent: list[bytes | Exception | None] = [None] * 3
    script = answer(*silent, *sse(chunk(content="x"), chunk("stop")).pieces)
    reply = call(gateway(ScriptedTransport(script), KEEPALIVE_SECS="0.1"), "POST", "/v1/responses", STREAM)
    assert frames(reply.text)[-1]["type"] == "response.completed"


def test_compaction_returns_one_item() -> None:
    transport = ScriptedTransport(completion("the summary"))
    reply = call(transport, "POST", "/v1/responses/compact", {"model": "m", "input": "long story"})
    assert reply.json is not None
    assert reply.json["object"] == "response.compaction"
    item = reply.json["output"][-1]
    assert item["type"] == "compaction"
    again = ScriptedTransport(completion())
    call(again, "POST", "/v1/responses", {"model": "m", "input": [item, {"role": "user", "content": "go on"}]})
    assert "the summary" in json.dumps(again.body()["messages"])


@pytest.mark.parametrize("body", [HI, {"input": "hi"}])
def test_input_tokens_are_counted_here(body: object) -> None:
    transport = ScriptedTransport()
    reply = call(transport, "POST", "/v1/responses/input_tokens", body)
    assert reply.json is not None
    assert reply.json["object"] == "response.input_tokens"
    assert 1 <= reply.json["input_tokens"] < 20
    assert transport.sent == []


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_response_is_stored(method: str) -> None:
    reply = call(ScriptedTransport(), method, "/v1/responses/resp_1")
    assert reply.status_code == 404
    assert reply.json is not None


def test_an_open_circuit_answers_at_once() -> None:
    transport = ScriptedTransport(*[UpstreamUnreachable("x")] * 2)
    app = gateway(transport, BREAKER_FAILURES="2")
    for _ in range(2):
        assert call(app, "POST", "/v1/responses", HI).status_code == 502
    reply = call(app, "POST", "/v1/responses", HI)
    assert reply.status_code == 503
    assert reply.json is not None
    assert reply.json["error"]["code"] == "backend_unavailable_circuit_open"
    assert int(reply.headers["retry-after"]) > 0
    health = call(app, "GET", "/health", key=None)
    assert health.status_code == 503
    assert health.json is not None
    assert health.json["circuit_breaker"]["is_open"] is True


@pytest.mark.parametrize(
    "script",
    [
        refusal(401, f"Incorrect key {KEY}", code=KEY, param=KEY),
        answer(json.dumps({"error": {"message": f"Bad {KEY}", "code": KEY}}).encode()),
        answer(b"data: " + json.dumps({"error": {"message": f"Bad {KEY}"}}).encode() + b"\n\n"),
        answer(
            b"data: " + json.dumps(chunk(content="hel")).encode() + b"\n\n",
            b"data: " + json.dumps({"error": {"message": f"Bad {KEY}"}}).encode() + b"\n\n",
        ),
    ],
    ids=["status", "whole-with-200", "first-frame", "later-frame"],
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
def test_a_key_that_the_upstream_repeats_is_masked_however_it_comes(script: Scripted, path: str) -> None:
    body = (
        STREAM
        if path == "/v1/responses"
        else {**STREAM, "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    )
    reply = call(ScriptedTransport(script), "POST", path, body)
    assert "sk-dum...6789" in reply.text
    assert KEY not in reply.text


def test_a_429_that_came_with_200_gets_a_time_as_well() -> None:
    reply = call(ScriptedTransport(answer(b'{"error": {"message": "slow", "code": 429}}')), "POST", "/v1/responses", HI)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "5")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_count_of_tokens_that_no_number_holds_is_no_count(stream: bool) -> None:
    usage = {"prompt_tokens": 10**25, "completion_tokens": 3, "total_tokens": 10**25}
    script = sse(chunk(content="x"), chunk("stop", usage=usage))
    reply = call(ScriptedTransport(script), "POST", "/v1/responses", {**HI, "stream": stream})
    assert reply.status_code == 200
    body = frames(reply.text)[-1]["response"] if stream else reply.json
    assert body is not None
    assert body["usage"]["input_tokens"] < 1000


def test_a_number_that_json_does_not_tell_exactly_is_refused_before_the_upstream_is_asked() -> None:
    transport = ScriptedTransport()
    reply = call(transport, "POST", "/v1/responses", {**HI, "max_output_tokens": 1e30})
    assert reply.status_code == 400
    assert reply.json is not None
    assert reply.json["error"]["param"] == "max_output_tokens"
    assert transport.sent == []

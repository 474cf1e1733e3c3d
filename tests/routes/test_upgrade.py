"""Chat and Messages clients on an upstream that speaks Responses, without sockets."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from gateway.access import Access
from gateway.app import Gateway, build, services_of
from gateway.breaker import Breaker
from gateway.config import Settings
from gateway.drain import Drain
from gateway.errors import UpstreamProtocol
from gateway.listing import ModelList
from gateway.models import Rules
from tests.support.answers import Answer
from tests.support.responses import Responses, custom_call, function_call, message, reasoning
from tests.support.transport import (
    CHAT_PORT,
    KEY,
    Scripted,
    ScriptedTransport,
    call,
    completion,
    frames,
    gateway,
    refusal,
)

JSON = dict[str, Any]
ASK: JSON = {"role": "user", "content": "hi"}
FUNCTION: JSON = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


THOUGHT_ID = "rs_" + hashlib.sha256(b"hm").hexdigest()[:24]
"""Of the reasoning `hm`."""


def scripted(answer: Answer) -> Scripted:
    return Scripted(list(answer.steps), answer.status, list(answer.headers.items()))  # type: ignore[arg-type]


def upgraded(
    *answers: Responses | Scripted, models: tuple[Any, ...] = (), **env: str
) -> tuple[Gateway, ScriptedTransport]:
    """Return a gateway before a Responses upstream; streamed answers are sent as `.streamed()`."""
    transport = ScriptedTransport(*(scripted(a.whole()) if isinstance(a, Responses) else a for a in answers))
    return gateway(transport, models, BACKEND_API="responses", **env), transport


def chat(app: Gateway, **members: Any) -> Any:
    return call(app, "POST", "/v1/chat/completions", {"model": "m", "messages": [ASK], **members})


def test_a_whole_answer() -> None:
    app, transport = upgraded(Responses(reasoning("First.", "Second."), message("Hello.")))
    reply = chat(app, messages=[{"role": "system", "content": "Be kind."}, ASK], max_tokens=5, seed=1)
    assert transport.sent[0].target == "/api/v1/responses"
    assert dict(transport.sent[0].headers)["authorization"] == f"Bearer {KEY}"
    assert transport.body() == {
        "model": "m",
        "instructions": "Be kind.",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "tools": [{"type": "web_search"}],
        "max_output_tokens": 16,
        "store": False,
    }
    assert reply.headers["x-gateway-warnings"] == "seed"
    (choice,) = reply.json["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "Hello.",
        "refusal": None,
        "annotations": [],
        "reasoning_content": "First.\n\nSecond.",
    }
    assert choice["finish_reason"] == "stop"
    assert reply.json["model"] == "m"
    assert reply.json["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_a_stream() -> None:
    answer = Responses(reasoning("Hm hm."), message("Hello there."), function_call("f", {"a": 1}))
    app, transport = upgraded(scripted(answer.streamed()))
    reply = chat(app, stream=True, stream_options={"include_usage": True}, tools=[FUNCTION])
    assert transport.body()["stream"] is True
    assert "stream_options" not in transport.body()
    assert reply.text.endswith("data: [DONE]\n\n")
    *chunks, last, usage = frames(reply.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert [d["reasoning_content"] for d in deltas if "reasoning_content" in d] == ["Hm", " hm."]
    assert [d["content"] for d in deltas if d.get("content")] == ["Hello", " there."]
    calls = [d["tool_calls"][0] for d in deltas if "tool_calls" in d]
    assert (calls[0]["id"], calls[0]["function"]["name"]) == ("call_1", "f")
    assert "".join(piece["function"]["arguments"] for piece in calls) == '{"a": 1}'
    assert last["choices"][0]["finish_reason"] == "tool_calls"
    assert usage["usage"]["total_tokens"] == 25


def cut_short(item: JSON, reason: str) -> Responses:
    return Responses(item, status="incomplete", incomplete_details={"reason": reason})


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("answer", "reason", "member", "value"),
    [
        (cut_short(message("Half"), "max_output_tokens"), "length", "content", "Half"),
        (cut_short(message(""), "content_filter"), "content_filter", "content", ""),
        (Responses(message(refusal="I will not.")), "stop", "refusal", "I will not."),
        (Responses(message("One."), message("Two.")), "stop", "content", "One.\n\nTwo."),
    ],
    ids=["length", "filter", "refusal", "two-messages"],
)
def test_how_an_answer_ends(answer: Responses, reason: str, member: str, value: str, streamed: bool) -> None:
    app, _ = upgraded(scripted(answer.streamed() if streamed else answer.whole()))
    reply = chat(app, stream=streamed)
    if not streamed:
        (choice,) = reply.json["choices"]
        assert (choice["finish_reason"], choice["message"][member]) == (reason, value)
        return
    choices = [chunk["choices"][0] for chunk in frames(reply.text)]
    assert choices[-1]["finish_reason"] == reason
    assert "".join(choice["delta"].get(member) or "" for choice in choices) == value


def test_annotations_of_a_web_search() -> None:
    cite = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 5}
    app, _ = upgraded(
        Responses(message("Hello.", annotations=[cite])),
        scripted(Responses(message("Hello.", annotations=[cite])).streamed()),
    )
    nested = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "A", "start_index": 0, "end_index": 5},
    }
    assert chat(app).json["choices"][0]["message"]["annotations"] == [nested]
    deltas = [chunk["choices"][0]["delta"] for chunk in frames(chat(app, stream=True).text)]
    assert [delta["annotations"] for delta in deltas if "annotations" in delta] == [[nested]]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_legacy_functions(streamed: bool) -> None:
    answer = Responses(function_call("f", {"a": 1}))
    app, transport = upgraded(scripted(answer.streamed() if streamed else answer.whole()))
    history = [
        ASK,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "done"},
    ]
    reply = chat(app, messages=history, functions=[FUNCTION["function"]], function_call={"name": "f"}, stream=streamed)
    sent = transport.body()
    assert [item["type"] for item in sent["input"]] == ["message", "function_call", "function_call_output"]
    assert sent["input"][1]["call_id"] == sent["input"][2]["call_id"]
    assert sent["tools"] == [{"type": "function", "strict": False, **FUNCTION["function"]}]
    assert sent["tool_choice"] == {"type": "function", "name": "f"}
    if streamed:
        choices = [chunk["choices"][0] for chunk in frames(reply.text)]
        calls = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
        assert calls[0]["name"] == "f"
        assert "".join(piece["arguments"] for piece in calls) == '{"a": 1}'
        assert choices[-1]["finish_reason"] == "function_call"
    else:
        (choice,) = reply.json["choices"]
        assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
        assert choice["finish_reason"] == "function_call"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_custom_tools_both_ways(streamed: bool) -> None:
    answer = Responses(custom_call("patch", 'a "quoted"\nline'))
    app, transport = upgraded(scripted(answer.streamed() if streamed else answer.whole()))
    earlier = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "x\ny"}}
    history = [
        ASK,
        {"role": "assistant", "tool_calls": [earlier]},
        {"role": "tool", "tool_call_id": "c", "content": "ok"},
    ]
    reply = chat(app, messages=history, tools=[{"type": "custom", "custom": {"name": "patch"}}], stream=streamed)
    assert transport.body()["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "x\ny"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]
    if streamed:
        deltas = [chunk["choices"][0]["delta"] for chunk in frames(reply.text)]
        (tool_call,) = (delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta)
        del tool_call["index"]
    else:
        (tool_call,) = reply.json["choices"][0]["message"]["tool_calls"]
    assert tool_call == {"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": 'a "quoted"\nline'}}


# --- defaults ----------------------------------------------------------------------------------------------------

WITH_REASONING = {"effort": "medium", "summary": "auto"}


@pytest.mark.parametrize(
    ("model", "members", "wanted"),
    [
        ("gpt-5-mini", {}, WITH_REASONING),
        ("o3", {}, WITH_REASONING),
        ("gpt-4o", {}, None),
        ("gpt-4o", {"reasoning_effort": "low"}, {"effort": "low", "summary": "auto"}),
        ("gpt-5", {"reasoning": {"effort": "high", "summary": "detailed"}}, {"effort": "high", "summary": "detailed"}),
        ("gpt-5", {"reasoning_effort": "none"}, {"effort": "none"}),
        ("gpt-5:res-high:sum-detailed", {}, {"effort": "high", "summary": "detailed"}),
        ("gpt-5:res-low", {}, {"effort": "low", "summary": "auto"}),
        ("gpt-5:sum-never", {}, {"effort": "medium"}),
        ("gpt-5:res-none:sum-auto", {}, {"effort": "none", "summary": "auto"}),
        ("GPT-5:res-XHIGH:sum-none", {}, {"effort": "xhigh"}),
        ("gpt-5:res-high", {"reasoning_effort": "low"}, {"effort": "low", "summary": "auto"}),
    ],
)
def test_reasoning(model: str, members: JSON, wanted: JSON | None) -> None:
    app, transport = upgraded(Responses(message("Hi.")), models=("gpt-5", "gpt-5-mini", "gpt-4o", "o3"))
    reply = chat(app, model=model, **members)
    assert transport.body().get("reasoning") == wanted
    assert transport.body()["model"] == model.partition(":")[0].lower()
    assert reply.json["model"] == model


def test_an_unknown_word_is_no_alias() -> None:
    app, transport = upgraded(Responses(message("Hi.")))
    chat(app, model="gpt-5:res-huge")
    assert transport.body()["model"] == "gpt-5:res-huge"


def test_a_model_of_that_very_name_is_no_alias() -> None:
    app, transport = upgraded(Responses(message("Hi.")), models=("m:res-high", "m"))
    chat(app, model="m:res-high")
    assert transport.body()["model"] == "m:res-high"


@pytest.mark.parametrize(
    ("members", "env", "tools"),
    [
        ({}, {}, [{"type": "web_search"}]),
        ({"tools": []}, {}, [{"type": "web_search"}]),
        ({"tool_choice": "none"}, {}, None),
        ({"response_format": {"type": "json_object"}}, {}, None),
        ({"response_format": {"type": "text"}}, {}, [{"type": "web_search"}]),
        ({}, {"AUTO_WEB_SEARCH": "false"}, None),
        (
            {"web_search_options": {"search_context_size": "low"}},
            {},
            [{"type": "web_search", "search_context_size": "low"}],
        ),
    ],
)
def test_web_search(members: JSON, env: dict[str, str], tools: Any) -> None:
    app, transport = upgraded(Responses(message("Hi.")), **env)
    chat(app, **members)
    assert transport.body().get("tools") == tools


def test_defaults_that_the_upstream_refuses_are_left_out_and_remembered() -> None:
    unverified = "Your organization must be verified to generate reasoning summaries."
    unable = "Hosted tool 'web_search' is not supported with gpt-5-nano."
    app, transport = upgraded(
        refusal(400, unverified, param="reasoning.summary", code="unsupported_value", type="invalid_request_error"),
        refusal(400, unable, param="tools", type="invalid_request_error"),
        Responses(message("Hi.")),
        Responses(message("Hi.")),
    )
    assert chat(app, model="gpt-5-nano").status_code == 200
    assert chat(app, model="gpt-5-nano").status_code == 200
    assert len(transport.sent) == 4
    for number in (2, 3):
        assert transport.body(number)["reasoning"] == {"effort": "medium"}
        assert "tools" not in transport.body(number)


@pytest.mark.parametrize(
    ("status", "message_", "param"),
    [
        (400, "Missing required parameter.", "input[1].id"),
        (404, f"Item with id '{THOUGHT_ID}' not found.", "input"),
    ],
    ids=["by-place", "by-id"],
)
def test_reasoning_that_the_upstream_refuses_is_left_out(status: int, message_: str, param: str) -> None:
    fault = refusal(status, message_, param=param, type="invalid_request_error")
    app, transport = upgraded(fault, Responses(message("Hi.")))
    history = [ASK, {"role": "assistant", "content": "Hello.", "reasoning_content": "hm"}, ASK]
    assert chat(app, messages=history).status_code == 200
    assert transport.body(0)["input"][1]["id"] == THOUGHT_ID
    assert [item["type"] for item in transport.body(1)["input"]] == ["message"] * 3


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"code": "rate_limit_exceeded", "message": "Slow down."}, 429),
        ({"code": "server_error", "message": "Oops."}, 502),
        ({"code": "invalid_prompt", "message": "No."}, 400),
    ],
)
def test_a_failed_response_is_an_http_error(error: JSON, status: int, streamed: bool) -> None:
    answer = Responses(status="failed", error=error)
    app, _ = upgraded(scripted(answer.streamed() if streamed else answer.whole()))
    reply = chat(app, stream=streamed)
    assert reply.status_code == status
    assert reply.json["error"]["message"] == error["message"]
    assert reply.json["error"]["code"] == error["code"]


def test_a_failure_after_the_beginning_ends_the_stream_without_done() -> None:
    answer = Responses(message("Hello there."), status="failed", error={"code": "server_error", "message": "Oops."})
    app, _ = upgraded(scripted(answer.streamed()))
    reply = chat(app, stream=True)
    assert reply.status_code == 200
    assert frames(reply.text)[-1]["error"]["message"] == "Oops."
    assert "[DONE]" not in reply.text


def test_a_stream_that_is_cut_does_not_look_complete() -> None:
    answer = Responses(function_call("f", {"a": 1})).streamed()
    app, _ = upgraded(scripted(Answer(answer.steps[:4], 200, answer.headers)))
    reply = chat(app, stream=True, tools=[FUNCTION])
    assert frames(reply.text)[-1]["error"]["code"] == "upstream_invalid_response"
    assert 'finish_reason":"' not in reply.text
    assert "[DONE]" not in reply.text


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"n": 2}, "n"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
    ],
)
def test_what_cannot_be_served_never_reaches_the_upstream(members: JSON, param: str) -> None:
    app, transport = upgraded()
    reply = chat(app, **members)
    assert (reply.status_code, reply.json["error"]["param"]) == (400, param)
    assert transport.sent == []


def test_a_refusal_of_the_upstream_keeps_its_words() -> None:
    app, _ = upgraded(refusal(400, "Bad input.", param="input", code="bad", type="invalid_request_error"))
    reply = chat(app)
    assert reply.status_code == 400
    assert reply.json["error"] == {
        "message": "Bad input.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "bad",
    }


# --- Messages by composition -------------------------------------------------------------------------------------


def messages(app: Gateway, *turns: JSON, **members: Any) -> Any:
    body = {"model": "gpt-5", "max_tokens": 100, "messages": [ASK, *turns], **members}
    return call(app, "POST", "/v1/messages", body, headers={"anthropic-version": "2023-06-01"})


def test_a_messages_client() -> None:
    first = Responses(reasoning("Hm.", sealed="gAAA"), message("I look."), function_call("f", {"a": 1}))
    app, transport = upgraded(first, scripted(Responses(message("Sunny there.")).streamed()))
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    reply = messages(app, tools=tools, system="Be kind.", thinking={"type": "enabled", "budget_tokens": 2000})
    sent = transport.body()
    assert transport.sent[0].target == "/api/v1/responses"
    assert sent["instructions"] == "Be kind."
    assert sent["reasoning"] == {"effort": "low", "summary": "auto"}
    assert sent["include"] == ["reasoning.encrypted_content"]
    assert [tool["type"] for tool in sent["tools"]] == ["function"]
    thinking, text, use = reply.json["content"]
    assert (thinking["thinking"], text["text"], use["input"]) == ("Hm.", "I look.", {"a": 1})

    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "18 degrees"}]}
    reply = messages(app, {"role": "assistant", "content": [thinking, text, use]}, result, tools=tools, stream=True)
    assert transport.body(1)["input"][1:] == [
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"type": "message", "role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"},
    ]
    texts = [
        event["delta"]["text"] for event in frames(reply.text) if event.get("delta", {}).get("type") == "text_delta"
    ]
    assert texts == ["Sunny", " there."]


def test_messages_clients_get_no_web_search() -> None:
    app, transport = upgraded(Responses(message("Hi.")))
    messages(app)
    assert "tools" not in transport.body()


def test_tokens_of_messages_are_counted_here() -> None:
    app, transport = upgraded()
    reply = call(app, "POST", "/v1/messages/count_tokens", {"model": "gpt-5", "messages": [ASK]})
    assert reply.json is not None
    assert reply.json["input_tokens"] > 0
    assert transport.sent == []


# --- relayed -----------------------------------------------------------------------------------------------------

RAW = b'{ "model":"m", "input" : "hi", "store":true, "previous_response_id": "resp_0", "odd": 1.50 }'


def test_responses_pass_as_they_are() -> None:
    script = scripted(Responses(message("Hi.")).streamed())
    app, transport = upgraded(script)
    reply = call(app, "POST", "/v1/responses?x=1", RAW)
    assert transport.sent[0].body == RAW
    assert transport.sent[0].target == "/api/v1/responses?x=1"
    assert reply.data == b"".join(piece for piece in script.pieces if isinstance(piece, bytes))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses/resp_1"),
        ("GET", "/v1/responses/resp_1?stream=true"),
        ("DELETE", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/responses/resp_1/input_items?limit=3"),
        ("POST", "/v1/responses/compact"),
        ("POST", "/v1/responses/input_tokens"),
        ("GET", "/v1/conversations/c"),
    ],
)
def test_all_under_it_is_relayed(method: str, path: str) -> None:
    app, transport = upgraded(completion())
    reply = call(app, method, path, b'{"model": "m"}' if method == "POST" else None)
    assert reply.status_code == 200
    assert (transport.sent[0].method, transport.sent[0].target) == (method, "/api" + path)


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        (b'{"model": "GPT-5", "x": 1.0}', b'{"model": "gpt-5", "x": 1.0}'),
        (b'{"model": "gpt-5:res-high", "input": "a"}', b'{"model":"gpt-5","input":"a","reasoning":{"effort":"high"}}'),
        (
            b'{"model": "gpt-5:res-high:sum-auto", "reasoning": {"effort": "low", "summary": null}}',
            b'{"model":"gpt-5","reasoning":{"effort":"low","summary":"auto"}}',
        ),
        (b'{"model": "gpt-5:sum-none"}', b'{"model": "gpt-5"}'),
        (b'{"input": "a"}', b'{"input": "a"}'),
        (b'{"model": 7}', b'{"model": 7}'),
        (b'{"model": "gpt-5:res-high", "reasoning": 7}', b'{"model": "gpt-5", "reasoning": 7}'),
    ],
)
def test_only_the_models_name_changes(sent: bytes, left: bytes) -> None:
    app, transport = upgraded(completion(), models=("gpt-5",))
    call(app, "POST", "/v1/responses", sent)
    assert transport.sent[0].body == left


def test_a_relayed_stream_that_breaks_ends_in_response_failed() -> None:
    whole = scripted(Responses(message("Hello there.")).streamed())
    broken = Scripted([*whole.pieces[:4], UpstreamProtocol("cut")], headers=whole.headers)
    app, _ = upgraded(broken)
    last = frames(call(app, "POST", "/v1/responses", {"model": "m", "input": "hi", "stream": True}).text)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "cut"}


def test_the_chat_port_still_relays_chat() -> None:
    app, transport = upgraded(completion())
    raw = b'{"model": "m",  "messages": []}'
    call(app, "POST", "/v1/chat/completions", raw, port=CHAT_PORT)
    assert (transport.sent[0].target, transport.sent[0].body) == ("/api/v1/chat/completions", raw)
    assert call(app, "POST", "/v1/responses", raw, port=CHAT_PORT).status_code == 404


# --- lists -------------------------------------------------------------------------------------------------------


def test_openais_models_are_split_by_port_and_aliases_are_listed() -> None:
    listed = json.dumps({"data": [{"id": id} for id in ("gpt-5", "gpt-5-codex", "GPT-5.1-Codex-mini", "o3")]}).encode()
    settings = Settings.load({}, {"BACKEND_URL": "https://api.openai.com/v1/responses"})
    assert settings.backend_api == "responses"
    models = ModelList(lambda key: listed, rules=Rules(openai=True))
    app = build(
        services_of(
            settings,
            breaker=Breaker(),
            drain=Drain(),
            access=Access(),
            transport=ScriptedTransport(),
            models=models,
        )
    )
    ids = {
        port: [model["id"] for model in call(app, "GET", "/v1/models", port=port).json["data"]]  # type: ignore[index]
        for port in (5101, 5102)
    }
    assert ids == {5101: ["gpt-5", "o3"], 5102: ["gpt-5-codex", "GPT-5.1-Codex-mini"]}

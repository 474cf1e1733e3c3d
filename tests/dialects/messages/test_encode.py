"""`gateway.dialects.messages.encode`: answers of every form, read by the SDK's own parser and accumulator."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import anthropic
import httpx2
import orjson
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway import tokens
from gateway.dialects.chat.history import WRAPPED
from gateway.dialects.messages.context import MessagesContext
from gateway.dialects.messages.encode import Encoder
from gateway.dialects.messages.signature import sealed_of, sign
from gateway.errors import UpstreamProtocol, UpstreamStatus
from gateway.events import (
    Annotation,
    BlockEnd,
    BlockStart,
    Delta,
    Event,
    Failure,
    Finish,
    FinishReason,
    Start,
    Usage,
)
from gateway.sse import Frame, Parser
from tests.strategies import answers, one_by_one

CONTEXT = MessagesContext("Claude-Opus-4-8", 42, {"short_1": "a-long-name"})
START = Start("chatcmpl-1", "upstream/model", 7)
USAGE = Usage(100, 20, cached_tokens=30, reasoning_tokens=5)
_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def encoder(context: MessagesContext = CONTEXT) -> Encoder:
    return Encoder(context, lambda prefix: f"{prefix}1", lambda: 1_700_000_000)


def frames(events: Iterable[Event], context: MessagesContext = CONTEXT) -> list[Frame]:
    coder = encoder(context)
    data = b"".join(frame for event in events for frame in coder.feed(event))
    return Parser().feed(data)


def data_of(events: Iterable[Event]) -> list[Any]:
    """Decode the frames; every one has its type as event name, and the SDK knows all of its members."""
    found = []
    for frame in frames(events):
        value = orjson.loads(frame.data)
        assert frame.event == value["type"]
        if value["type"] != "error":
            _assert_known(_EVENT.validate_python(value))
        found.append(value)
    return found


def _assert_known(model: Any) -> None:
    """No member may be unknown to the SDK, at any depth."""
    assert not (model.model_extra or {}), model
    for value in dict(model).values():
        for inner in value if isinstance(value, list) else [value]:
            if hasattr(inner, "model_extra"):
                _assert_known(inner)


def accumulated(events: Iterable[Event]) -> Any:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for value in data_of(events):
        snapshot = accumulate_event(event=_EVENT.validate_python(value), current_snapshot=snapshot, json_bufs=buffers)
    return snapshot


def whole(events: Iterable[Event], context: MessagesContext = CONTEXT) -> Any:
    coder = encoder(context)
    for event in events:
        coder.feed(event)
    body = coder.body
    _assert_known(Message.model_validate(body))
    return body


def text(block: int, *texts: str) -> list[Event]:
    return [BlockStart(block, "text"), *(Delta(block, t) for t in texts), BlockEnd(block)]


def call(block: int, *texts: str, name: str = "run") -> list[Event]:
    return [BlockStart(block, "tool_call", f"call_{block}", name), *(Delta(block, t) for t in texts), BlockEnd(block)]


def thinking(block: int, *texts: str, sealed: str | None = None) -> list[Event]:
    return [BlockStart(block, "reasoning"), *(Delta(block, t) for t in texts), BlockEnd(block, sealed)]


def test_text_frame_by_frame() -> None:
    usage = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    assert data_of([START, *text(0, "Hé", "llo\n"), Finish("stop", usage=Usage(9, 2))]) == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "Claude-Opus-4-8",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 42, **usage, "output_tokens": 0},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hé"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "llo\n"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"input_tokens": 9, **usage, "output_tokens": 2},
        },
        {"type": "message_stop"},
    ]


def test_thinking_begins_empty_and_is_signed_at_its_end() -> None:
    events = data_of([START, *thinking(0, "Let me", " see"), *thinking(1, "x", sealed="opaque"), Finish("stop")])
    assert events[1:6] == [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Let me"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": " see"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": sign(None)}},
        {"type": "content_block_stop", "index": 0},
    ]
    assert sealed_of(events[8]["delta"]["signature"]) == "opaque"


def test_call_has_its_input_in_deltas_only_and_the_clients_name() -> None:
    events = data_of([START, *call(0, '{"a"', ":1}", name="short_1"), Finish("tool_calls")])
    block = {"type": "tool_use", "id": "call_0", "name": "a-long-name", "input": {}}
    assert events[1] == {"type": "content_block_start", "index": 0, "content_block": block}
    assert [e["delta"]["partial_json"] for e in events[2:4]] == ['{"a"', ":1}"]
    assert events[5]["delta"]["stop_reason"] == "tool_use"
    assert whole([START, *call(0, '{"a":1}', name="short_1"), Finish("tool_calls")])["content"] == [
        {**block, "input": {"a": 1}}
    ]


def test_blank_before_the_arguments_is_not_sent() -> None:
    blank = data_of([START, *call(0, " ", "\n"), Finish("tool_calls")])
    assert [e["type"] for e in blank[1:3]] == ["content_block_start", "content_block_stop"]
    late = [START, *call(0, " ", '\n{"a"', ": ", "1}"), Finish("tool_calls")]
    assert [_fragment(e) for e in data_of(late)[2:5]] == ['{"a"', ": ", "1}"]
    assert accumulated(late).content[0].input == {"a": 1}


def test_blocks_that_overlap_leave_one_after_the_other() -> None:
    events = data_of(
        [
            START,
            BlockStart(3, "text"),
            BlockStart(1, "tool_call", "call_1", "run"),
            Delta(1, '{"x":'),
            Delta(3, "later"),
            BlockStart(2, "tool_call", "call_2", "run"),
            Delta(2, "{}"),
            Delta(1, "1"),
            BlockEnd(2),
            BlockEnd(3),
            Delta(1, "}"),
            BlockEnd(1),
            Finish("tool_calls"),
        ]
    )
    shape = [(e["type"].removeprefix("content_block_"), e["index"], _fragment(e)) for e in events[1:-2]]
    assert shape == [
        ("start", 0, None),
        ("delta", 0, "later"),
        ("stop", 0, None),
        ("start", 1, None),
        ("delta", 1, '{"x":1'),
        ("delta", 1, "}"),
        ("stop", 1, None),
        ("start", 2, None),
        ("delta", 2, "{}"),
        ("stop", 2, None),
    ]


def _fragment(event: Any) -> Any:
    delta = event.get("delta", {})
    return delta.get("text", delta.get("partial_json"))


@pytest.mark.parametrize(
    ("blocks", "finish", "reason"),
    [
        pytest.param(text(0, "a"), Finish("stop"), "end_turn", id="stop"),
        pytest.param([], Finish("stop"), "end_turn", id="empty"),
        pytest.param(text(0, "a"), Finish("stop", stop_sequence="END"), "stop_sequence", id="stop-sequence"),
        pytest.param(text(0, "a"), Finish("length", "length"), "max_tokens", id="length"),
        pytest.param(
            text(0, "a"), Finish("length", "model_length"), "model_context_window_exceeded", id="window-exceeded"
        ),
        pytest.param(text(0, "a"), Finish("content_filter"), "refusal", id="content-filter"),
        pytest.param(text(0, "a"), Finish("other", "weird"), "end_turn", id="other"),
        pytest.param(call(0, "{}"), Finish("tool_calls"), "tool_use", id="call"),
        pytest.param(call(0, "{}"), Finish("stop", stop_sequence="END"), "tool_use", id="call-with-stop"),
        pytest.param(text(0, "a"), Finish("tool_calls"), "end_turn", id="no-call-with-tool-calls"),
        pytest.param(call(0, "{"), Finish("length"), "max_tokens", id="call-cut"),
        pytest.param(
            [BlockStart(0, "refusal"), Delta(0, "I won't"), BlockEnd(0)], Finish("stop"), "refusal", id="refusal"
        ),
    ],
)
def test_stop_reason(blocks: list[Event], finish: Finish, reason: str) -> None:
    delta = data_of([START, *blocks, finish])[-2]["delta"]
    assert delta == {"stop_reason": reason, "stop_sequence": "END" if reason == "stop_sequence" else None}
    body = whole([START, *blocks, finish])
    assert (body["stop_reason"], body["stop_sequence"]) == (delta["stop_reason"], delta["stop_sequence"])


def test_refusal_is_text() -> None:
    events: list[Event] = [START, BlockStart(0, "refusal"), Delta(0, "No."), BlockEnd(0), Finish("stop")]
    assert whole(events)["content"] == [{"type": "text", "text": "No."}]
    assert accumulated(events).content[0].text == "No."


def test_usage_leaves_the_cache_out_of_the_input() -> None:
    expected = {
        "input_tokens": 70,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 30,
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }
    events = [START, *text(0, "a"), Finish("stop", usage=USAGE)]
    assert data_of(events)[-2]["usage"] == whole(events)["usage"] == expected


def test_usage_is_estimated_where_the_upstream_tells_none() -> None:
    said = "word " * 50
    usage = whole([START, *text(0, said), Finish("stop")])["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (42, tokens.count(said))


def test_more_cached_than_sent_is_not_negative() -> None:
    assert whole([START, Finish("stop", usage=Usage(5, 1, cached_tokens=9))])["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([" \n"], {}, id="blank"),
        pytest.param(['{"a": "b\tc"}'], {"a": "b\tc"}, id="raw-control-character"),
        pytest.param(['{"a": '], {WRAPPED: '{"a": '}, id="cut"),
        pytest.param(["[1]"], {WRAPPED: "[1]"}, id="list"),
        pytest.param(["rm -rf"], {WRAPPED: "rm -rf"}, id="no-json"),
        pytest.param(["[" * 100_000], {WRAPPED: "[" * 100_000}, id="deep"),
    ],
)
def test_whole_call_always_has_an_object(arguments: list[str], expected: Any) -> None:
    assert whole([START, *call(0, *arguments), Finish("tool_calls")])["content"][0]["input"] == expected


def test_failure_closes_nothing_and_sends_an_error() -> None:
    error = UpstreamStatus("too busy", status=503)
    events = data_of([START, BlockStart(0, "tool_call", "c", "run"), Delta(0, '{"a":1}'), Failure(error)])
    assert [e["type"] for e in events[2:]] == ["content_block_delta", "error"]
    assert events[-1] == {"type": "error", "error": {"type": "overloaded_error", "message": "too busy"}}


def test_lone_failure() -> None:
    assert [e["type"] for e in data_of([Failure(UpstreamProtocol("empty"))])] == ["error"]


def test_keepalive_before_the_answer_begins_it() -> None:
    coder = encoder()
    names = [frame.event for frame in Parser().feed(coder.keepalive() + coder.keepalive())]
    assert names == ["message_start", "ping", "ping"]
    assert coder.feed(START) == []


def test_body_before_the_end_is_a_mistake() -> None:
    coder = encoder()
    coder.feed(START)
    with pytest.raises(RuntimeError):
        _ = coder.body


def test_annotations_and_logprobs_are_left_out() -> None:
    events: list[Event] = [START, BlockStart(0, "text"), Annotation(0, {"type": "url_citation"})]
    events += [Delta(0, "a", [{"token": "a"}]), BlockEnd(0), Finish("stop")]
    assert [e["type"] for e in data_of(events)].count("content_block_delta") == 1


@settings(deadline=None, max_examples=60)
@given(answers(names=("run", "short_1"), fail=False))
def test_laws(events: list[Event]) -> None:
    """Blocks stand one after the other with contiguous indexes; streamed, whole and accumulated say the same."""
    sent = data_of(events)
    open_index, following = None, 0
    for value in sent[1:-2]:
        match value["type"]:
            case "content_block_start":
                assert open_index is None
                assert value["index"] == following
                open_index, following = following, following + 1
            case "content_block_stop":
                assert value["index"] == open_index
                open_index = None
            case _:
                assert value["index"] == open_index
    assert open_index is None
    assert [value["type"] for value in (sent[0], *sent[-2:])] == ["message_start", "message_delta", "message_stop"]
    body = whole(events)
    assert body == whole(one_by_one(events))
    assert body["content"] == _content(sent)
    assert {key: sent[-2]["delta"][key] for key in ("stop_reason", "stop_sequence")} == {
        key: body[key] for key in ("stop_reason", "stop_sequence")
    }
    assert sent[-2]["usage"] == body["usage"]
    if all(_valid(text) for text in _arguments(sent).values()):
        blocks = [block.model_dump(exclude_none=True) for block in accumulated(events).content]
        assert body["content"] == blocks


def _arguments(sent: list[Any]) -> dict[int, str]:
    """Join the fragments of each call's arguments."""
    found: dict[int, str] = {}
    for value in sent:
        if value.get("delta", {}).get("type") == "input_json_delta":
            found[value["index"]] = found.get(value["index"], "") + value["delta"]["partial_json"]
    return found


def _valid(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _content(sent: list[Any]) -> list[Any]:
    """Put a stream together as a client would."""
    blocks: list[Any] = []
    for value in sent:
        delta = value.get("delta", {})
        match value["type"], delta.get("type"):
            case "content_block_start", _:
                blocks.append(dict(value["content_block"]))
            case _, "text_delta":
                blocks[-1]["text"] += delta["text"]
            case _, "thinking_delta":
                blocks[-1]["thinking"] += delta["thinking"]
            case _, "signature_delta":
                blocks[-1]["signature"] = delta["signature"]
    for index, text in _arguments(sent).items():
        blocks[index]["input"] = _parsed(text)
    return blocks


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text, strict=False)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {WRAPPED: text}


@settings(deadline=None, max_examples=30)
@given(answers(fail=True), st.integers(0, 3))
def test_a_failed_answer_ends_in_the_error(events: list[Event], _: int) -> None:
    sent = data_of(events)
    assert [value["type"] for value in sent].count("error") == 1
    assert sent[-1]["type"] == "error"
    starts = sum(value["type"] == "content_block_start" for value in sent)
    assert starts - sum(value["type"] == "content_block_stop" for value in sent) in (0, 1)


def client(body: bytes, media: str) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": media, "request-id": "req_1"}, content=body)

    transport = httpx2.MockTransport(answer)
    return anthropic.Anthropic(api_key="k", http_client=httpx2.Client(transport=transport), max_retries=0)


ANSWER: list[Event] = [
    START,
    *thinking(0, "Hm."),
    *text(1, "I look."),
    *call(2, '{"path":', '"/tmp"}'),
    *call(3),
    Finish("tool_calls", usage=USAGE),
]
REQUEST: Any = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}


def test_sdk_reads_the_stream() -> None:
    coder = encoder()
    body = coder.keepalive() + b"".join(frame for event in ANSWER for frame in coder.feed(event)) + coder.keepalive()
    with client(body, "text/event-stream").messages.stream(**REQUEST) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"path": "/tmp"}, {}]
    assert (message.model, message.stop_reason) == ("Claude-Opus-4-8", "tool_use")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (70, 30)


def test_sdk_reads_the_whole_answer() -> None:
    body = orjson.dumps(whole(ANSWER))
    message = client(body, "application/json").messages.create(**REQUEST)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]


def test_sdk_reads_the_error() -> None:
    coder = encoder()
    events = [START, BlockStart(0, "text"), Failure(UpstreamStatus("busy", status=429))]
    body = b"".join(frame for event in events for frame in coder.feed(event))
    with (
        client(body, "text/event-stream").messages.stream(**REQUEST) as stream,
        pytest.raises(anthropic.APIStatusError) as raised,
    ):
        stream.until_done()
    assert raised.value.body == {"type": "error", "error": {"type": "rate_limit_error", "message": "busy"}}


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter", "other"])
def test_every_reason_has_a_word_that_the_sdk_knows(reason: FinishReason) -> None:
    whole([START, Finish(reason)])

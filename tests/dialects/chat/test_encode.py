from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.dialects.chat.context import ChatContext
from gateway.dialects.chat.encode import Encoder
from gateway.errors import UpstreamStatus
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
from gateway.types import JSON
from tests import laws
from tests.strategies import answers

START = Start("x", "upstream's", 7)
TEXT: list[Event] = [BlockStart(0, "text"), Delta(0, "Hel"), Delta(0, "lo"), BlockEnd(0)]
CALL: list[Event] = [
    BlockStart(1, "tool_call", "c1", "f"),
    Delta(1, '{"a"'),
    Delta(1, ": 1}"),
    BlockEnd(1),
]
CITATION = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}


def run(events: Iterable[Event], **context: Any) -> tuple[list[Any], JSON]:
    """Return the data of each frame, and the whole body."""
    encoder = Encoder(ChatContext("m", **context), lambda prefix: f"{prefix}new", lambda: 99)
    data = [frame.data for frame in laws.frames_of(laws.encode(encoder, events))]
    return [json.loads(line) if line != b"[DONE]" else "[DONE]" for line in data], encoder.body


def deltas(chunks: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk != "[DONE]" and chunk.get("choices")]


def test_text() -> None:
    chunks, body = run([START, *TEXT, Finish("stop")])
    head = {"id": "x", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    assert chunks[0] == head | {
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        ]
    }
    assert chunks[1] == head | {
        "choices": [{"index": 0, "delta": {"content": "Hel"}, "logprobs": None, "finish_reason": None}]
    }
    assert chunks[3] == head | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]}
    assert chunks[4:] == ["[DONE]"]
    assert body == {
        "id": "x",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None, "annotations": []},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


def test_what_the_upstream_left_out_is_made() -> None:
    chunks, body = run([Start(), Finish("stop")])
    assert (chunks[0]["id"], chunks[0]["created"]) == (body["id"], body["created"]) == ("chatcmpl-new", 99)


@pytest.mark.parametrize("asked", [True, False])
def test_usage(asked: bool) -> None:
    chunks, body = run([START, *TEXT, Finish("stop", usage=Usage(5, 3, 2, 1))], include_usage=asked)
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert body["usage"] == usage
    *before, last, done = chunks
    assert done == "[DONE]"
    if asked:
        assert all(chunk["usage"] is None for chunk in before)
        assert (last["choices"], last["usage"]) == ([], usage)
    else:
        assert all("usage" not in chunk for chunk in [*before, last])


def test_reasoning_and_later_blocks_are_paragraphs() -> None:
    events: list[Event] = [START]
    for block, kind in enumerate(("reasoning", "text", "reasoning", "text")):
        events += [BlockStart(block, kind), Delta(block, f"{kind[0]}{block}"), BlockEnd(block, sealed="s")]  # type: ignore[arg-type]
    chunks, body = run([*events, Finish("stop")])
    assert deltas(chunks)[1:-1] == [
        {"reasoning_content": "r0"},
        {"content": "t1"},
        {"reasoning_content": "\n\n"},
        {"reasoning_content": "r2"},
        {"content": "\n\n"},
        {"content": "t3"},
    ]
    message = body["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("r0\n\nr2", "t1\n\nt3")


def test_tool_calls() -> None:
    second: list[Event] = [BlockStart(2, "tool_call", "c2", "g"), Delta(2, "{}")]
    chunks, body = run([START, *CALL[:2], *second, CALL[2], CALL[3], BlockEnd(2), Finish("tool_calls")])
    assert [delta["tool_calls"][0] for delta in deltas(chunks)[1:-1]] == [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a"'}},
        {"index": 1, "id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
        {"index": 0, "function": {"arguments": ": 1}"}},
    ]
    choice = body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_legacy_clients_get_one_function_call() -> None:
    second: list[Event] = [BlockStart(2, "tool_call", "c2", "g"), Delta(2, "{}"), BlockEnd(2)]
    chunks, body = run([START, *CALL, *second, Finish("tool_calls")], legacy=True)
    assert deltas(chunks)[1:-1] == [
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a"'}},
        {"function_call": {"arguments": ": 1}"}},
    ]
    assert chunks[-2]["choices"][0]["finish_reason"] == "function_call"
    choice = body["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a": 1}'}
    assert "tool_calls" not in choice["message"]


@pytest.mark.parametrize(
    ("arguments", "raw"),
    [
        pytest.param('{"input": "a\\nb"}', "a\nb", id="wrapped"),
        pytest.param("*** Begin Patch", "*** Begin Patch", id="raw"),
        pytest.param('{"input": 7}', '{"input": 7}', id="no-text"),
        pytest.param("[1]", "[1]", id="list"),
        pytest.param("{}", "{}", id="no-input"),
    ],
)
def test_custom_tools(arguments: str, raw: str) -> None:
    events = [START, BlockStart(0, "tool_call", "c", "patch"), Delta(0, arguments), BlockEnd(0), Finish("tool_calls")]
    chunks, body = run(events, custom=frozenset({"patch"}))
    call = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": raw}}
    assert deltas(chunks)[1:-1] == [{"tool_calls": [{"index": 0} | call]}]
    assert body["choices"][0]["message"]["tool_calls"] == [call]


def test_refusal() -> None:
    chunks, body = run([START, BlockStart(0, "refusal"), Delta(0, "No."), BlockEnd(0), Finish("content_filter")])
    assert deltas(chunks)[1:-1] == [{"refusal": "No."}]
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["message"]["refusal"]) == (None, "No.")
    assert choice["finish_reason"] == "content_filter"


def test_annotations() -> None:
    chunks, body = run([START, *TEXT[:2], Annotation(0, CITATION), *TEXT[2:], Finish("stop")])
    nested = {
        "type": "url_citation",
        "url_citation": {"url": "u", "title": "t", "start_index": 0, "end_index": 1},
    }
    assert {"annotations": [nested]} in deltas(chunks)
    assert body["choices"][0]["message"]["annotations"] == [nested]


def test_logprobs() -> None:
    a, b = {"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0}
    events: list[Event] = [START, BlockStart(0, "text"), Delta(0, "a", [a]), Delta(0, "b", [b]), BlockEnd(0)]
    events += [BlockStart(1, "reasoning"), Delta(1, "hm", [a]), BlockEnd(1)]
    chunks, body = run([*events, Finish("stop")])
    assert chunks[1]["choices"][0]["logprobs"] == {"content": [a], "refusal": None}
    assert chunks[3]["choices"][0]["logprobs"] is None
    assert body["choices"][0]["logprobs"] == {"content": [a, b], "refusal": None}


@pytest.mark.parametrize(
    ("reason", "word"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("other", "stop")],
)
def test_finish_reasons(reason: FinishReason, word: str) -> None:
    chunks, body = run([START, *TEXT, Finish(reason)], legacy=True)
    assert chunks[-2]["choices"][0]["finish_reason"] == body["choices"][0]["finish_reason"] == word


@pytest.mark.parametrize("before", [[], [START, *TEXT[:2]]], ids=["at-once", "midway"])
def test_failure_ends_without_done(before: list[Event]) -> None:
    error = UpstreamStatus("slow down", status=429, code="rate_limited")
    chunks, _ = run([*before, Failure(error)])
    assert chunks[-1] == {
        "error": {"message": "slow down", "type": "rate_limit_error", "param": None, "code": "rate_limited"}
    }


def test_body_before_the_end_is_not_finished_well() -> None:
    assert run([START])[1]["choices"][0]["finish_reason"] == "stop"


def test_keepalive_is_a_comment() -> None:
    encoder = Encoder(ChatContext("m"), lambda prefix: prefix, lambda: 1)
    assert laws.frames_of(encoder.keepalive()) == []
    assert encoder.keepalive().endswith(b"\n\n")


@given(answers(names=("run", "patch")))
def test_the_sdk_reads_every_answer(events: list[Event]) -> None:
    chunks, body = run(events, include_usage=True)
    if isinstance(events[-1], Failure):
        chunks.pop()
    else:
        assert chunks.pop() == "[DONE]"
        ChatCompletion.model_validate(body)
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)


@given(answers(fail=False))
def test_the_stream_says_what_the_whole_answer_says(events: list[Event]) -> None:
    chunks, body = run(events)
    message = body["choices"][0]["message"]
    said = {
        member: "".join(delta.get(member) or "" for delta in deltas(chunks))
        for member in ("content", "reasoning_content", "refusal")
    }
    assert said == {member: message.get(member) or "" for member in said}
    arguments: dict[int, str] = {}
    for delta in deltas(chunks):
        for piece in delta.get("tool_calls", ()):
            place = piece["index"]
            arguments[place] = arguments.get(place, "") + piece["function"]["arguments"]
    assert list(arguments.values()) == [call["function"]["arguments"] for call in message.get("tool_calls", ())]

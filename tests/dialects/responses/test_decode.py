"""Responses answers to events: what the golden streams do not show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.responses.decode import Decoder, fault_of
from gateway.dialects.responses.growing import ITEMS_LIMIT
from gateway.errors import UpstreamProtocol, UpstreamStatus
from gateway.events import BlockEnd, BlockStart, Delta, Event, Failure, Finish, Start, Usage
from gateway.profile import Model, Terms
from gateway.sse import Frame

JSON = dict[str, Any]
TEXT = {"type": "output_text", "text": "Hello.", "annotations": []}
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [TEXT]}


def decoder() -> Decoder:
    return Decoder(Terms(Model("m")))


def feed(*events: JSON, into: Decoder | None = None) -> list[Event]:
    target = into or decoder()
    return [told for event in events for told in target.feed(Frame(None, json.dumps(event).encode()))]


def whole(*output: JSON, **members: Any) -> list[Event]:
    return decoder().decode({"id": "resp_1", "model": "up", "created_at": 7.5, "output": list(output), **members})


def test_a_whole_answer() -> None:
    usage = {"input_tokens": 3, "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 1}}
    assert whole(MESSAGE, status="completed", usage=usage) == [
        Start("resp_1", "up", 7),
        BlockStart(0, "text"),
        Delta(0, "Hello."),
        BlockEnd(0),
        Finish("stop", "completed", Usage(3, 2, reasoning_tokens=1)),
    ]


def test_a_whole_answer_without_a_status_is_complete() -> None:
    assert whole(MESSAGE)[-1] == Finish("stop", "completed")


def test_reasoning_comes_with_its_sealed_form() -> None:
    item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "gAAA"}
    assert whole(item)[1:4] == [BlockStart(0, "reasoning"), Delta(0, "Hm."), BlockEnd(0, "gAAA")]


def test_token_objects_are_those_of_chat() -> None:
    token = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.0}, 7]}
    part = {**TEXT, "logprobs": [token, {"logprob": 1}, 7]}
    spelled = {
        "bytes": None,
        "token": "a",
        "logprob": -0.5,
        "top_logprobs": [{"bytes": None, "token": "b", "logprob": -1.0}],
    }
    assert Delta(0, "Hello.", [spelled]) in whole({**MESSAGE, "content": [part]})
    delta = {"type": "response.output_text.delta", "output_index": 0, "delta": "a", "logprobs": [token]}
    assert Delta(0, "a", [spelled]) in feed(delta)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"output": [], "status": "failed", "error": {"code": "rate_limit_exceeded", "message": "x"}}, 429),
        ({"output": [], "status": "failed", "error": None}, 502),
        ({"output": [], "status": "cancelled"}, 502),
        ({"output": [], "status": "queued"}, 502),
        ({"error": {"message": "x", "code": 404}}, 404),
        ({"error": "x"}, 502),
        ({"choices": []}, 502),
        ({}, 502),
    ],
)
def test_a_whole_answer_that_is_none(body: JSON, status: int) -> None:
    (event,) = decoder().decode(body)
    assert isinstance(event, Failure)
    assert event.error.status == status


@pytest.mark.parametrize(
    ("error", "status", "type", "message"),
    [
        ({"code": "server_error", "message": "Oops."}, 502, "server_error", "Oops."),
        ({"code": "insufficient_quota", "message": "Pay."}, 429, "rate_limit_error", "Pay."),
        ({"code": "invalid_prompt", "message": "No."}, 400, "invalid_request_error", "No."),
        ({"code": "image_too_large", "message": "Big."}, 400, "invalid_request_error", "Big."),
        ({"code": "x", "status": 503, "message": "Off."}, 503, "server_error", "Off."),
        ({}, 502, "server_error", "The upstream's answer failed; it did not say why."),
        (7, 502, "server_error", "The upstream's answer failed; it did not say why."),
    ],
)
def test_a_fault_is_told_in_the_upstreams_words(error: Any, status: int, type: str, message: str) -> None:
    fault = fault_of({"type": "response.failed", "response": {"error": error}})
    assert isinstance(fault, UpstreamStatus)
    assert (fault.status, fault.type, fault.message) == (status, type, message)


def test_after_the_end_nothing_comes() -> None:
    ended = decoder()
    assert feed({"type": "response.completed", "response": {"status": "completed"}}, into=ended)
    assert feed({"type": "response.output_text.delta", "delta": "x"}, into=ended) == []
    assert ended.decode({"output": []}) == ended.finish() == ended.fail(UpstreamProtocol("cut")) == []


def test_a_body_that_breaks_fails_and_closes_nothing() -> None:
    broken = decoder()
    feed({"type": "response.output_text.delta", "delta": "x"}, into=broken)
    error = UpstreamProtocol("cut")
    assert broken.fail(error) == [Failure(error)]


def test_an_item_that_has_ended_takes_nothing_more() -> None:
    annotation = {"type": "url_citation", "url": "https://a"}
    late = feed(
        {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "x"},
        {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": annotation},
        {"type": "response.completed", "response": {"output": [MESSAGE]}},
    )
    assert [event for event in late if isinstance(event, Delta)] == [Delta(0, "Hello.")]
    assert isinstance(late[-1], Finish)


@pytest.mark.parametrize("kind", [None, 7, ["message"], {"type": "message"}])
def test_an_item_whose_type_is_no_word_is_an_unknown_one(kind: Any) -> None:
    odd = {**MESSAGE, "type": kind}
    assert whole(odd)[-1] == Finish("stop", "completed")
    streamed = feed(
        {"type": "response.output_item.added", "output_index": 0, "item": odd},
        {"type": "response.output_item.done", "output_index": 1, "item": odd},
        {"type": "response.completed", "response": {"output": [odd, odd]}},
    )
    assert isinstance(streamed[-1], Finish)


@pytest.mark.parametrize("created", [2.0**70, -1, True, "7", None])
def test_a_time_that_is_none_is_left_out(created: Any) -> None:
    assert decoder().decode({"id": "resp_1", "model": "up", "created_at": created, "output": [MESSAGE]})[0] == Start(
        "resp_1", "up", None
    )


def test_items_without_end_are_stopped() -> None:
    endless = ({"type": "response.output_item.added", "output_index": n, "item": {}} for n in range(ITEMS_LIMIT + 1))
    last = feed(*endless)[-1]
    assert isinstance(last, Failure)
    assert "items" in last.error.message


def test_a_call_that_is_named_when_it_ends_keeps_what_came() -> None:
    function = {"id": "fc_1", "type": "function_call", "name": "f", "arguments": '{"a":1}'}
    custom = {"id": "ctc_1", "type": "custom_tool_call", "name": "p", "input": "xy"}
    events = feed(
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": '{"a":'},
        {"type": "response.custom_tool_call_input.delta", "item_id": "ctc_1", "delta": "x"},
        {"type": "response.output_item.done", "item": function},
        {"type": "response.output_item.done", "item": custom},
        {"type": "response.completed", "response": {}},
    )
    texts = [(event.block, event.text) for event in events if isinstance(event, Delta)]
    assert texts == [(0, '{"a":'), (0, "1}"), (1, '{"input":"x'), (1, "y"), (1, '"}')]
    assert [event.call_id for event in events if isinstance(event, BlockStart)] == ["fc_1", "ctc_1"]


def test_calls_without_any_id_get_one_each() -> None:
    call = {"type": "function_call", "name": "f", "arguments": "{}"}
    ids = [event.call_id for event in whole(call, call) if isinstance(event, BlockStart)]
    assert len(set(ids)) == 2

"""What `test_streams.py` does not show: ids, errors and ends, details of usage and logprobs, whole answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.dialects.chat.decode import Decoder
from gateway.dialects.chat.tool_calls import CALLS_LIMIT
from gateway.errors import ShuttingDown, UpstreamError, UpstreamProtocol, UpstreamStatus
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure, Finish, Start, Usage
from gateway.profile import Model, Terms
from gateway.sse import Frame
from gateway.upstream_error import ContextOverflow
from tests import laws


def make() -> Decoder:
    return Decoder(Terms(Model("m")))


def frame(value: Any, event: str | None = None) -> Frame:
    return Frame(event, value if isinstance(value, bytes) else json.dumps(value).encode())


def chunk(delta: Any = None, reason: Any = None, **members: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **members}


def stream(*chunks: Any, done: bool = True) -> list[Event]:
    decoder = make()
    events = [event for value in chunks for event in decoder.feed(frame(value))]
    events += decoder.feed(Frame(None, b"[DONE]")) if done else decoder.finish()
    laws.obeys_grammar(events)
    return events


def call(index: int | None, id: str | None = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    piece: dict[str, Any] = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [piece]}


def ids(events: list[Event]) -> list[str | None]:
    return [event.call_id for event in events if isinstance(event, BlockStart) and event.kind == "tool_call"]


def failure(events: list[Event]) -> UpstreamError:
    last = events[-1]
    assert isinstance(last, Failure)
    assert isinstance(last.error, UpstreamError)
    return last.error


# --- start and content -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "start"),
    [
        pytest.param({"id": "a", "model": "m@main", "created": 7}, Start("a", "m@main", 7), id="all"),
        pytest.param({"id": "", "model": None, "created": "now"}, Start(), id="nothing-of-use"),
        pytest.param({"id": 7, "model": [], "created": 7.5}, Start(None, None, 7), id="odd-types"),
        pytest.param({"id": "a", "created": True}, Start("a"), id="created-true"),
    ],
)
def test_start(members: dict[str, Any], start: Start) -> None:
    assert stream(chunk({"content": "a"}, "stop") | members)[0] == start


def test_plain_fragments_go_to_the_open_block() -> None:
    decoder = make()
    decoder.feed(frame(chunk({"role": "assistant", "content": "a"})))
    everything_null = {"role": None, "content": "b", "reasoning_content": None, "tool_calls": None}  # SGLang
    assert decoder.feed(frame(chunk({"content": "b"}))) == [Delta(0, "b")]
    assert decoder.feed(frame(chunk(everything_null))) == [Delta(0, "b")]
    assert decoder.feed(frame(chunk({"content": ""}))) == []
    assert decoder.feed(frame(chunk({"content": "b"}, usage={"prompt_tokens": 1}))) == [Delta(0, "b")]


@pytest.mark.parametrize("choice", [{}, {"delta": None}, {"delta": 7}, {"message": "a"}, {"delta": [], "index": None}])
def test_choice_without_a_delta(choice: Any) -> None:
    assert stream({"choices": [choice]})[1:] == [Finish("stop")]


def test_logprobs_of_refusals_and_of_silent_tokens() -> None:
    a, b = {"token": "a", "logprob": -1.0}, {"token": "b", "logprob": -2.0}
    silent = chunk({"content": ""}) | {}
    silent["choices"][0]["logprobs"] = {"content": [a]}
    refused = chunk({"refusal": "no"})
    refused["choices"][0]["logprobs"] = {"content": [a], "refusal": [b]}
    reasoned = chunk({"reasoning": "hm"})
    reasoned["choices"][0]["logprobs"] = {"content": [a]}
    spoken = chunk({"content": "b"})
    spoken["choices"][0]["logprobs"] = {"content": [b]}

    assert [e for e in stream(silent, spoken) if isinstance(e, Delta)] == [Delta(0, "b", [a, b])]
    assert [e for e in stream(refused) if isinstance(e, Delta)] == [Delta(0, "no", [b])]
    assert [e for e in stream(reasoned, spoken) if isinstance(e, Delta)] == [Delta(0, "hm"), Delta(1, "b", [b])]


def test_annotations_take_the_form_of_responses() -> None:
    citation = {"type": "url_citation", "url_citation": {"url": "u", "title": None, "start_index": 1}}
    flat = {"type": "url_citation", "url": "u", "title": "", "start_index": 1, "end_index": 0}
    before = stream(chunk({"annotations": [citation, {"type": "other", "a": 1}]}), chunk({"content": "a"}, "stop"))
    assert before[1:5] == [
        BlockStart(0, "text"),
        Delta(0, "a"),
        Annotation(0, flat),
        Annotation(0, {"type": "other", "a": 1}),
    ]
    after = stream(chunk({"content": "a"}), chunk({"annotations": [citation]}, "stop"))
    assert after[3] == Annotation(0, flat)


# --- tool calls --------------------------------------------------------------------------------------------


def test_ids_of_the_upstream_stay_and_repeated_ones_are_made_unique() -> None:
    events = stream(
        chunk(call(0, "call_x", "f", "{}")),
        chunk(call(1, "call_x", "g", "{}")),
        chunk(call(2, "call_y", "h", "{}{}")),
    )
    assert ids(events) == ["call_x", "call_x_2", "call_y", "call_y_2"]


def test_made_ids_differ_within_an_answer_and_between_answers() -> None:
    def made(**members: Any) -> list[str | None]:
        return ids(stream(chunk(call(0, None, "f", "{}"), **members), chunk(call(1, None, "f", "{}"))))

    first, second = made(id="a"), made(id="b")
    assert len({*first, *second}) == 4
    assert first == made(id="a")
    assert all(id is not None and id.startswith("call_") for id in first)


def test_a_call_is_announced_when_its_name_is_known() -> None:
    decoder = make()
    assert decoder.feed(frame(chunk(call(0, "c", None, '{"a"'))))[1:] == []
    assert decoder.feed(frame(chunk(call(0, None, "f", ": 1}")))) == [
        BlockStart(0, "tool_call", "c", "f"),
        Delta(0, '{"a": 1}'),
    ]


def test_a_call_waits_for_its_id_until_it_has_arguments() -> None:
    decoder = make()
    assert decoder.feed(frame(chunk(call(0, None, "f", ""))))[1:] == []
    assert decoder.feed(frame(chunk(call(0, "c")))) == [BlockStart(0, "tool_call", "c", "f")]


def test_arguments_that_parse_do_not_end_a_call() -> None:
    events = stream(chunk(call(0, "c", "f", '{"a": "x"}')), chunk(call(0, None, None, "\n")), chunk({}, "tool_calls"))
    assert events[2:] == [Delta(0, '{"a": "x"}'), Delta(0, "\n"), BlockEnd(0), Finish("tool_calls", "tool_calls")]


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param({"id": "c", "function": {"name": "f", "arguments": "{}"}}, id="no-list"),
        pytest.param([{"id": "c", "name": "f", "arguments": {}}], id="no-function"),
        pytest.param([{"id": "c", "index": "0", "function": {"name": "f", "arguments": "{}"}}], id="index-as-text"),
    ],
)
def test_shapes_of_pieces(pieces: Any) -> None:
    events = stream(chunk({"tool_calls": pieces}, "stop"))
    assert events[1:] == [
        BlockStart(0, "tool_call", "c", "f"),
        Delta(0, "{}"),
        BlockEnd(0),
        Finish("tool_calls", "stop"),
    ]


def test_an_id_at_two_indexes_without_a_name_is_one_call() -> None:
    events = stream(chunk(call(0, "c", "f", '{"a"')), chunk(call(3, "c", None, ": 1}")), chunk({}, "stop"))
    assert len(ids(events)) == 1


def test_two_calls_under_one_id_are_told_apart_by_index() -> None:
    begin = [chunk(call(0, "c", "f", '{"a"')), chunk(call(1, "c", "g", "{"))]
    events = stream(*begin, chunk(call(0, "c", None, ": 1}")), chunk(call(1, "c", None, "}")), chunk({}, "stop"))
    assert [event for event in events if isinstance(event, Delta)][2:] == [Delta(0, ": 1}"), Delta(1, "}")]


def test_another_name_under_the_same_id_before_any_arguments_is_ignored() -> None:
    events = stream(chunk(call(0, "c", "f", "")), chunk(call(0, "c", "f_more", "{}")), chunk({}, "stop"))
    assert [e.name for e in events if isinstance(e, BlockStart)] == ["f"]


def test_another_name_without_id_before_any_arguments_is_another_call() -> None:
    events = stream(chunk(call(0, None, "f", "")), chunk(call(0, None, "g", "{}")), chunk({}, "stop"))
    assert [e.name for e in events if isinstance(e, BlockStart)] == ["g", "f"]


def test_too_many_calls_fail() -> None:
    pieces = [{"index": n, "id": f"c{n}", "function": {"name": "f"}} for n in range(CALLS_LIMIT + 1)]
    assert "more than" in failure(stream(chunk({"tool_calls": pieces}))).message


# --- the end -----------------------------------------------------------------------------------------------


def test_usage_of_groq() -> None:
    last = stream(chunk({"content": "a"}, "stop", x_groq={"usage": {"prompt_tokens": 5, "completion_tokens": 3}}))[-1]
    assert last == Finish("stop", "stop", Usage(5, 3))


def test_finish_waits_for_the_end() -> None:
    decoder = make()
    events = decoder.feed(frame(chunk({"content": "a"}, "stop")))
    assert not any(isinstance(event, Finish | BlockEnd) for event in events)
    assert decoder.finish() == [BlockEnd(0), Finish("stop", "stop")]
    assert decoder.finish() == decoder.fail(ShuttingDown("x")) == decoder.feed(frame(chunk({"content": "b"}))) == []
    assert decoder.decode(chunk()) == []


def test_fail_closes_nothing() -> None:
    decoder = make()
    decoder.feed(frame(chunk({"content": "a"})))
    error = ShuttingDown("The gateway is being stopped.")
    assert decoder.fail(error) == [Failure(error)]
    assert decoder.fail(error) == []


def test_after_a_finish_reason_nothing_is_missing() -> None:
    decoder = make()
    decoder.feed(frame(chunk({"content": "a"}, "stop")))
    assert decoder.fail(ShuttingDown("x")) == [BlockEnd(0), Finish("stop", "stop")]


@pytest.mark.parametrize(
    ("value", "status", "message"),
    [
        pytest.param({"error": {"message": "slow down", "code": 429}}, 429, "slow down", id="number-as-code"),
        pytest.param({"error": {"message": "no", "code": "503"}}, 503, "no", id="number-as-text"),
        pytest.param({"error": {"message": "no", "status": 404}}, 404, "no", id="status"),
        pytest.param({"error": {"message": "no"}, "status": 404}, 404, "no", id="status-beside"),
        pytest.param({"error": {"message": "no", "code": 200}}, 502, "no", id="not-a-status"),
        pytest.param({"error": "no", "choices": []}, 502, "no", id="text"),
        pytest.param({"error": ["no"]}, 502, "status 502", id="list"),
        pytest.param({"object": "error", "message": "no", "code": 400}, 400, "no", id="vllm"),
        pytest.param({"type": "error", "message": "no"}, 502, "no", id="type-error"),
        pytest.param({"detail": [{"loc": ["body"], "msg": "no"}]}, 502, "no", id="fastapi"),
        pytest.param({"choices": [{"error": {"message": "no", "code": 500}}]}, 500, "no", id="in-the-choice"),
        pytest.param({"choices": [{"delta": {}, "finish_reason": "abort"}]}, 502, "abort", id="aborted"),
        pytest.param(b"<html>", 502, "not JSON", id="html"),
        pytest.param(b"[" * 100_000, 502, "not JSON", id="nested-too-deeply"),
        pytest.param([], 502, "not a JSON object", id="array"),
    ],
)
def test_errors_in_a_stream(value: Any, status: int, message: str) -> None:
    decoder = make()
    error = failure(decoder.feed(frame(value)))
    assert (error.status, message in error.message) == (status, True), error.message
    assert decoder.finish() == []
    if not isinstance(value, bytes | list):
        assert failure(make().decode(value)).status == status


def test_an_overflow_of_the_context_is_told_as_such() -> None:
    value = {"error": {"message": "This model's maximum context length is 8192 tokens.", "code": None}}
    assert isinstance(failure(make().feed(frame(value))), ContextOverflow)


def test_codes_and_types_of_the_upstream_stay() -> None:
    error = failure(stream({"error": {"message": "m", "type": "rate_limit_error", "code": "slow", "param": "p"}}))
    assert isinstance(error, UpstreamStatus)
    assert (error.type, error.code, error.param) == ("rate_limit_error", "slow", "p")


# --- whole answers -----------------------------------------------------------------------------------------


def whole(message: Any, reason: str | None = "stop", **members: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": reason}], **members}


def test_whole_answer() -> None:
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    message = {
        "role": "assistant",
        "content": "Hello",
        "reasoning": "Hm",
        "refusal": None,
        "tool_calls": calls,
        "function_call": calls[0]["function"],
    }
    events = make().decode(whole(message, usage={"prompt_tokens": 5, "completion_tokens": 3}))
    assert events == [
        Start("x"),
        BlockStart(0, "reasoning"),
        Delta(0, "Hm"),
        BlockEnd(0),
        BlockStart(1, "text"),
        Delta(1, "Hello"),
        BlockEnd(1),
        BlockStart(2, "tool_call", "c", "f"),
        Delta(2, '{"a": 1}'),
        BlockEnd(2),
        Finish("tool_calls", "stop", Usage(5, 3)),
    ]


def test_whole_answer_without_a_reason() -> None:
    assert make().decode(whole({"content": "a"}, None))[-1] == Finish("stop")


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": None}, {"choices": [None]}, {"choices": {}}])
def test_whole_answer_without_a_choice(body: Any) -> None:
    assert isinstance(failure(make().decode(body)), UpstreamProtocol)


@pytest.mark.parametrize("message", [None, 7, "text"])
def test_whole_answer_without_a_message(message: Any) -> None:
    assert make().decode(whole(message))[1:] == [Finish("stop", "stop")]

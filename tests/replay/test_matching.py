"""Matchers: what counts as the same request, and what is said where none is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.replay.asked import Asked, take_apart
from gateway.replay.matching import Difference, Same, Traits, exact, in_position, settled
from gateway.replay.matching import difference as first_difference

JSON = dict[str, Any]

SYSTEM = {"role": "system", "content": "You are in /home/ann/work.\nToday is 2026-11-27.\nBe brief."}
USER = {"role": "user", "content": "Make a file."}
CALL = {"id": "call_1", "type": "function", "function": {"name": "sh", "arguments": '{"cmd":"ls"}'}}
ASSISTANT = {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "total 4"}
TOOLS = [{"type": "function", "function": {"name": "sh", "description": "runs"}}]


def asked(*messages: JSON, path: str = "/v1/chat/completions", **body: Any) -> Asked:
    return take_apart("POST", path, json.dumps({"model": "m", "messages": messages, "tools": TOOLS, **body}).encode())


def difference(one: Asked, other: Asked, same: Same) -> Difference | None:
    return first_difference(one, other, same, Traits())


THREAD = asked(SYSTEM, USER, ASSISTANT, RESULT)


def said(message: JSON, content: Any) -> JSON:
    return {**message, "content": content}


def test_the_same_request_has_no_difference() -> None:
    assert difference(THREAD, asked(SYSTEM, USER, ASSISTANT, RESULT, seed=3), exact) is None


def test_another_folder_and_day_are_settled() -> None:
    other = asked(said(SYSTEM, "You are in /tmp/b/c.\nToday is 2027-01-01.\nBe brief."), USER, ASSISTANT, RESULT)
    assert difference(THREAD, other, exact) is not None
    assert difference(THREAD, other, settled) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(asked(SYSTEM, USER, ASSISTANT, said(RESULT, "total 8")), id="another-result"),
        pytest.param(asked(said(SYSTEM, "New.\n" + SYSTEM["content"]), USER, ASSISTANT, RESULT), id="a-further-line"),
        pytest.param(asked(SYSTEM, USER, {**ASSISTANT, "reasoning_content": None}, RESULT), id="no-reasoning"),
        pytest.param(
            asked(SYSTEM, said(USER, [{"type": "text", "text": "Make a file."}]), ASSISTANT, RESULT), id="as-a-part"
        ),
        pytest.param(
            asked(SYSTEM, USER, ASSISTANT, RESULT, tools=[{"type": "function", "function": {"name": "sh"}}]), id="tool"
        ),
    ],
)
def test_the_same_place_of_the_same_conversation(other: Asked) -> None:
    assert difference(THREAD, other, settled) is not None
    assert difference(THREAD, other, in_position) is None


CALLS_OTHER = {**CALL, "function": {"name": "sh", "arguments": '{"cmd":"rm"}'}}


@pytest.mark.parametrize(
    ("other", "matcher", "place"),
    [
        pytest.param(asked(SYSTEM, USER, path="/v1/responses"), "path", "the request line", id="path"),
        pytest.param(asked(SYSTEM, USER, ASSISTANT, RESULT, model="n"), "model", "model", id="model"),
        pytest.param(
            asked(SYSTEM, said(USER, "Drop a file."), ASSISTANT, RESULT), "messages", "messages[1]", id="user"
        ),
        pytest.param(
            asked(SYSTEM, USER, {**ASSISTANT, "tool_calls": [CALLS_OTHER]}, RESULT),
            "messages",
            "messages[2]",
            id="said",
        ),
        pytest.param(asked(SYSTEM, USER), "messages", "messages[2]", id="earlier"),
        pytest.param(asked(SYSTEM, USER, ASSISTANT, RESULT, USER), "messages", "messages[4]", id="later"),
        pytest.param(asked(SYSTEM, USER, RESULT, ASSISTANT), "messages", "messages[2]", id="roles"),
        pytest.param(asked(SYSTEM, USER, ASSISTANT, RESULT, tools=[]), "tools", "tools[0]", id="tools"),
        pytest.param(
            asked(SYSTEM, USER, ASSISTANT, RESULT, tools=[{"type": "x"}]), "tools", "tools[0]", id="other-tool"
        ),
    ],
)
def test_a_difference_is_named(other: Asked, matcher: str, place: str) -> None:
    found = difference(THREAD, other, in_position)
    assert found is not None
    assert (found.matcher, found.place) == (matcher, place)
    assert str(found).startswith(f"{matcher} differs at {place}: asked ")


def test_a_difference_shows_where_two_texts_part() -> None:
    long = "x" * 300
    found = difference(asked(said(USER, long + "one")), asked(said(USER, long + "two")), exact)
    assert found is not None
    assert found.asked.startswith("…")
    assert 'one"' in found.asked
    assert len(found.recorded) < 200


def test_input_items_have_positions_too() -> None:
    def items(*input: Any) -> Asked:
        return take_apart("POST", "/v1/responses", json.dumps({"input": input, "instructions": "Hi"}).encode())

    one = items("go", {"type": "reasoning", "encrypted_content": "a"}, {"type": "message", "role": "assistant"})
    other = items("go", {"type": "reasoning", "encrypted_content": "b"}, {"type": "message", "role": "assistant"})
    assert difference(one, other, in_position) is None
    strange = take_apart("POST", "/v1/x", b'{"messages": [7, {"role": "assistant"}, {"role": "user", "content": [3]}]}')
    assert difference(strange, strange, in_position) is None
    texts = take_apart("POST", "/v1/x", b'{"input": [7]}')
    assert difference(texts, texts, in_position) is None
    bare = take_apart("POST", "/v1/x", b'{"messages": [{"role": "user"}]}')
    assert difference(bare, bare, in_position) is None

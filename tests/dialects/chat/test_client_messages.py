"""The messages of a chat client, as naive hub messages."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.chat.client_messages import MessageReader
from gateway.dialects.chat.client_parts import Intake
from gateway.errors import RequestError
from gateway.profile import Model, Terms

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def read(*messages: Any) -> tuple[list[dict[str, Any]], list[str]]:
    intake = Intake(Terms(Model("m")))
    reader = MessageReader(intake)
    reader.read(list(messages))
    return reader.messages, intake.dropped


def assistant(content: str | None, **members: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **members}


MESSAGES: dict[str, tuple[list[Any], list[dict[str, Any]]]] = {
    "system": ([{"role": "system", "content": [{"type": "text", "text": "a"}]}], [{"role": "system", "content": "a"}]),
    "developer": ([{"role": "developer", "content": "a"}], [{"role": "developer", "content": "a"}]),
    "user": ([{"role": "user", "content": "a"}], [{"role": "user", "content": "a"}]),
    "assistant": ([{"role": "assistant", "content": "a"}], [assistant("a")]),
    "assistant-in-parts": (
        [assistant([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}])],  # type: ignore[arg-type]
        [assistant("ab")],
    ),
    "assistant-that-refused": ([assistant(None, refusal="No.")], [assistant("No.")]),
    "assistant-that-said-nothing": ([{"role": "assistant"}], [assistant(None)]),
    "reasoning": ([assistant("a", reasoning_content="hm")], [assistant("a", reasoning_content="hm")]),
    "reasoning-under-its-other-name": (
        [assistant("a", reasoning="hm", reasoning_content=None)],
        [assistant("a", reasoning_content="hm")],
    ),
    "reasoning-of-another-form": ([assistant("a", reasoning={"a": 1})], [assistant("a")]),
    "calls": ([assistant("", tool_calls=[CALL])], [assistant(None, tool_calls=[CALL])]),
    "call-without-a-type": (
        [assistant(None, tool_calls=[{"id": "c", "function": {"name": "f"}}])],
        [assistant(None, tool_calls=[{**CALL, "function": {"name": "f", "arguments": ""}}])],
    ),
    "call-with-parsed-arguments": (
        [assistant(None, tool_calls=[{**CALL, "function": {"name": "f", "arguments": {"a": 1}}}])],
        [assistant(None, tool_calls=[{**CALL, "function": {"name": "f", "arguments": '{"a":1}'}}])],
    ),
    "custom-call": (
        [assistant(None, tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "f", "input": 'a"'}}])],
        [assistant(None, tool_calls=[{**CALL, "function": {"name": "f", "arguments": '{"input":"a\\""}'}}])],
    ),
    "output": (
        [{"role": "tool", "tool_call_id": "c", "content": "a", "name": "f"}],
        [{"role": "tool", "tool_call_id": "c", "content": "a"}],
    ),
    "output-of-nothing": (
        [{"role": "tool", "tool_call_id": "c", "content": None}],
        [{"role": "tool", "tool_call_id": "c", "content": ""}],
    ),
    "output-with-an-image": (
        [{"role": "tool", "tool_call_id": "c", "content": [{"type": "image_url", "image_url": "data:x"}]}],
        [{"role": "tool", "tool_call_id": "c", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}],
    ),
    "legacy-call": (
        [
            assistant(None, function_call={"name": "f", "arguments": "{}"}),
            {"role": "function", "name": "f", "content": "a"},
            {"role": "function", "name": "g", "content": "b"},
        ],
        [
            assistant(None, tool_calls=[{**CALL, "id": "call_messages[0]"}]),
            {"role": "tool", "tool_call_id": "call_messages[0]", "content": "a"},
            {"role": "tool", "tool_call_id": "call_messages[2]", "content": "b"},
        ],
    ),
    "legacy-call-said-twice": (
        [assistant(None, tool_calls=[CALL], function_call={"name": "f", "arguments": "{}"})],
        [assistant(None, tool_calls=[CALL])],
    ),
}


@pytest.mark.parametrize(("given", "messages"), MESSAGES.values(), ids=MESSAGES)
def test_a_message(given: list[Any], messages: list[dict[str, Any]]) -> None:
    assert read(*given) == (messages, [])


def test_names_of_speakers_are_left_out_and_listed() -> None:
    messages, dropped = read(
        {"role": "system", "content": "a", "name": "x"}, {"role": "user", "content": "b", "name": "y"}
    )
    assert dropped == ["messages[0].name", "messages[1].name"]
    assert all("name" not in message for message in messages)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (7, "messages[0]"),
        ({}, "messages[0].role"),
        ({"role": 7}, "messages[0].role"),
        ({"role": "robot"}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "system", "content": [{"type": "image_url", "image_url": "data:x"}]}, "messages[0].content[0]"),
        ({"role": "assistant", "content": 7}, "messages[0].content"),
        ({"role": "assistant", "refusal": 7}, "messages[0].refusal"),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "assistant", "tool_calls": {}}, "messages[0].tool_calls"),
        ({"role": "assistant", "tool_calls": [7]}, "messages[0].tool_calls[0]"),
        ({"role": "assistant", "tool_calls": [{"type": "magic"}]}, "messages[0].tool_calls[0].type"),
        ({"role": "assistant", "tool_calls": [{"id": "c"}]}, "messages[0].tool_calls[0].function"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}, "messages[0].tool_calls[0].id"),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": 7}}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f"}}]},
            "messages[0].tool_calls[0].custom.input",
        ),
        ({"role": "assistant", "function_call": {"arguments": "{}"}}, "messages[0].function_call.name"),
        ({"role": "tool", "content": "a"}, "messages[0].tool_call_id"),
        ({"role": "function", "content": "a"}, "messages[0].name"),
    ],
)
def test_a_fault_names_its_place(message: Any, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(message)
    assert caught.value.param == param

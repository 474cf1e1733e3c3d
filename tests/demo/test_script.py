"""What the demo upstream answers, as events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.demo.script import COMMAND, MODEL, QUIET_MODEL, answer
from gateway.events import BlockStart, Delta, Finish, check
from tests.support.pure_rooms import PURE

JSON = dict[str, Any]


def tool(name: str, parameters: Any = None) -> JSON:
    return {"type": "function", "function": {"name": name, "parameters": parameters or {"type": "object"}}}


def run(body: JSON) -> tuple[dict[str, str], list[str], str]:
    """Return the texts by kind of block, the names called, and the reason of the end."""
    events = list(answer({"model": MODEL, **body}, "call_1"))
    check(events)
    kinds = {event.block: event.kind for event in events if isinstance(event, BlockStart)}
    texts: dict[str, str] = {}
    for event in events:
        if isinstance(event, Delta):
            kind = kinds[event.block]
            texts[kind] = texts.get(kind, "") + event.text
    names = [event.name or "" for event in events if isinstance(event, BlockStart) and event.name]
    end = events[-1]
    assert isinstance(end, Finish)
    return texts, names, end.reason


def user(text: Any = "hi") -> list[JSON]:
    return [{"role": "user", "content": text}]


def test_it_thinks_and_repeats_what_was_said() -> None:
    texts, names, reason = run({"messages": user("good  morning")})
    assert "thinking is streamed" in texts["reasoning"]
    assert "You said: good morning" in texts["text"]
    assert (names, reason) == ([], "stop")
    assert "reasoning" not in run({"model": QUIET_MODEL, "messages": user()})[0]


def test_parts_are_named_and_long_texts_cut() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {}}, "odd"]
    assert "look (image_url)" in run({"messages": user(parts)})[0]["text"]
    assert "…" in run({"messages": user("x" * 1000)})[0]["text"]


def test_an_offered_tool_is_called_once_in_a_turn() -> None:
    tools = [tool("get_time")]
    texts, names, reason = run({"messages": user(), "tools": tools})
    assert (names, reason, texts["tool_call"]) == (["get_time"], "tool_calls", "{}")
    after = [*user(), {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "noon"}]
    texts, names, reason = run({"messages": after, "tools": tools})
    assert (names, reason) == ([], "stop")
    assert "The tool answered: noon" in texts["text"]
    assert run({"messages": [*after, *user()], "tools": tools})[1] == ["get_time"]
    assert run({"messages": [{"role": "system", "content": "s"}], "tools": tools})[1] == ["get_time"]


SHELL = {"type": "object", "properties": {"command": {"type": "string"}, "why": {"type": "string"}}}


@pytest.mark.parametrize(
    ("tools", "choice", "called"),
    [
        pytest.param([tool("delete_all"), tool("read_file")], "auto", ["read_file"], id="one-that-only-looks"),
        pytest.param([tool("get_x"), tool("Bash", SHELL)], None, ["Bash"], id="a-shell-first"),
        pytest.param([tool("add"), tool("sub")], None, ["add"], id="else-the-first"),
        pytest.param([tool("add")], "none", [], id="none-wanted"),
        pytest.param([tool("a"), tool("b")], {"type": "function", "function": {"name": "b"}}, ["b"], id="forced"),
        pytest.param([tool("a")], {"type": "function", "function": {"name": "c"}}, [], id="forced-but-unknown"),
        pytest.param([{"type": "other"}, "odd", {"function": {}}], None, [], id="no-functions"),
        pytest.param("odd", None, [], id="no-list"),
    ],
)
def test_which_tool(tools: Any, choice: Any, called: list[str]) -> None:
    assert run({"messages": user(), "tools": tools, "tool_choice": choice})[1] == called


def test_required_means_again() -> None:
    after = [*user(), {"role": "tool", "content": "x"}]
    assert run({"messages": after, "tools": [tool("a")], "tool_choice": "required"})[1] == ["a"]


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, {"a": "demo"}),
        ({"properties": {"a": {"type": "integer", "minimum": 5}, "b": {}}, "required": ["a", "c"]}, {"a": 5}),
        (
            {"properties": {"a": {"enum": ["x", "y"]}, "b": {"const": 3}, "c": {"default": 4}}},
            {"a": "x", "b": 3, "c": 4},
        ),
        (
            {"properties": {"a": {"anyOf": [{"type": "boolean"}]}, "b": {"type": ["null", "string"]}}},
            {"a": False, "b": None},
        ),
        (
            {
                "properties": {
                    "a": {"type": "array", "items": {"type": "number"}, "minItems": 2},
                    "b": {"type": "array"},
                }
            },
            {"a": [1], "b": []},
        ),
        ({"properties": {"cmd": {"type": "string"}}, "required": []}, {"cmd": COMMAND}),
        ({"properties": {"command": {"type": "array"}}}, {"command": ["bash", "-c", COMMAND]}),
        ({"properties": {"command": {"type": "object"}}}, {"command": {}}),
        ({"properties": {"a": "odd"}, "type": "object"}, {"a": None}),
        ({"type": "string"}, "demo"),
        ("odd", {}),
    ],
)
def test_arguments_fit_the_schema(schema: Any, arguments: Any) -> None:
    texts, _, _ = run({"messages": user(), "tools": [tool("t", schema)]})
    assert json.loads(texts["tool_call"]) == arguments


def test_schemas_without_end_end() -> None:
    loop: JSON = {"type": "object", "properties": {}}
    loop["properties"]["again"] = loop
    assert '"again": null' in run({"messages": user(), "tools": [tool("t", loop)]})[0]["tool_call"]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ({"type": "json_object"}, '{"answer": "demo"}'),
        ({"type": "json_schema", "json_schema": {"schema": {"properties": {"n": {"type": "integer"}}}}}, '{"n": 1}'),
    ],
)
def test_a_json_form_is_kept(form: JSON, text: str) -> None:
    assert run({"messages": user(), "response_format": form})[0]["text"] == text


@pytest.mark.parametrize("form", [None, "odd", {"type": "text"}, {"type": "json_schema", "json_schema": 1}])
def test_no_form_is_no_form(form: Any) -> None:
    assert "You said" in run({"messages": user(), "response_format": form})[0]["text"]


@pytest.mark.parametrize("messages", [None, [], ["odd"], [{}]])
def test_odd_histories_are_answered(messages: Any) -> None:
    assert "You said:" in run({"messages": messages})[0]["text"]


def test_the_room_is_pure() -> None:
    assert "gateway/demo/script.py" in PURE

"""`gateway.dialects.messages.tools`: tools offered, withheld and left out, and the choice between them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.messages.tools import choice, offer, short_name
from gateway.errors import RequestError
from gateway.profile import Limits

LIMITS = Limits(max_tools=9)
SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
LONG = "mcp__" + "x" * 80


def tool(name: str, **more: Any) -> Any:
    return {"name": name, "input_schema": SCHEMA, **more}


def names(tools: list[Any], loaded: set[str] | None = None) -> list[str]:
    offered = offer({"tools": tools}, loaded or set(), LIMITS)
    return [function["function"]["name"] for function in offered.functions]


@pytest.mark.parametrize(
    ("given", "function"),
    [
        pytest.param(tool("f"), {"name": "f", "parameters": SCHEMA}, id="plain"),
        pytest.param(
            tool("f", type="custom", description="Does f.", cache_control={"type": "ephemeral"}, input_examples=[{}]),
            {"name": "f", "description": "Does f.", "parameters": SCHEMA},
            id="custom",
        ),
        pytest.param(tool("f", strict=True), {"name": "f", "parameters": SCHEMA, "strict": True}, id="strict"),
        pytest.param(
            {"name": "f", "description": "", "strict": False},
            {"name": "f", "parameters": {"type": "object", "properties": {}}},
            id="no-schema",
        ),
        pytest.param(
            {"name": "f", "input_schema": {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMA}},
            {"name": "f", "parameters": SCHEMA},
            id="schema-of-schema",
        ),
        pytest.param(
            {"name": "f", "input_schema": {"additionalProperties": False}},
            {"name": "f", "parameters": {"additionalProperties": False, "type": "object", "properties": {}}},
            id="no-type",
        ),
        pytest.param(tool("f", type="later_20991231"), {"name": "f", "parameters": SCHEMA}, id="typed-with-schema"),
        pytest.param(tool(LONG), {"name": short_name(LONG), "parameters": SCHEMA}, id="long-name"),
    ],
)
def test_function(given: Any, function: Any) -> None:
    assert offer({"tools": [given]}, (), LIMITS).functions == [{"type": "function", "function": function}]


def test_short_names_stay_apart_and_stay_the_same() -> None:
    assert short_name("Bash") == "Bash"
    assert short_name(LONG) == short_name(LONG)
    assert len(short_name(LONG)) == 64
    assert short_name(LONG) != short_name(LONG + "x")


@pytest.mark.parametrize("body", [{}, {"tools": None}, {"tools": []}])
def test_no_tools(body: Any) -> None:
    assert offer(body, (), LIMITS).functions == []


def test_served_tools_are_left_out_and_listed() -> None:
    offered = offer({"tools": [SEARCH, tool("f"), {"type": "mcp_toolset", "mcp_server_name": "x"}]}, (), LIMITS)
    assert offered.dropped == ["tools[0]", "tools[2]"]
    assert [function["function"]["name"] for function in offered.functions] == ["f"]


@pytest.mark.parametrize(
    ("tools", "loaded", "expected"),
    [
        pytest.param([tool("a"), tool("b", defer_loading=True)], set(), ["a"], id="withheld"),
        pytest.param([tool("b", defer_loading=True), tool("a")], {"b"}, ["b", "a"], id="loaded"),
        pytest.param([tool("a"), tool("b", defer_loading=False)], set(), ["a", "b"], id="not-deferred"),
        pytest.param([tool("b", defer_loading=True)], set(), ["b"], id="nothing-can-load"),
        pytest.param(
            [
                {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
                tool("a"),
                tool("b", defer_loading=True),
            ],
            set(),
            ["a", "b"],
            id="search-of-the-server",
        ),
    ],
)
def test_deferred_tools(tools: list[Any], loaded: set[str], expected: list[str]) -> None:
    assert names(tools, loaded) == expected


def test_a_deferred_tool_that_is_forced_is_offered() -> None:
    body = {"tools": [tool("a"), tool("b", defer_loading=True)], "tool_choice": {"type": "tool", "name": "b"}}
    assert len(offer(body, (), LIMITS).functions) == 2


@pytest.mark.parametrize(
    ("tools", "param"),
    [
        pytest.param({}, "tools", id="no-list"),
        pytest.param([3], "tools[0]", id="no-object"),
        pytest.param([{}], "tools[0].name", id="no-name"),
        pytest.param([tool("")], "tools[0].name", id="empty-name"),
        pytest.param([tool("a b")], "tools[0].name", id="space-in-name"),
        pytest.param([tool("f\n")], "tools[0].name", id="line-end-in-name"),
        pytest.param([tool("a"), tool("a")], "tools[1].name", id="name-twice"),
        pytest.param([{"name": "a", "type": 4}], "tools[0].type", id="type"),
        pytest.param([{"name": "a", "input_schema": 4}], "tools[0].input_schema", id="schema"),
        pytest.param([tool("a", description=4)], "tools[0].description", id="description"),
        pytest.param([tool("a", strict="yes")], "tools[0].strict", id="strict"),
        pytest.param([tool("a", defer_loading=1)], "tools[0].defer_loading", id="defer-loading"),
        pytest.param([tool(f"t{n}") for n in range(10)], "tools", id="too-many"),
    ],
)
def test_faults(tools: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        offer({"tools": tools}, (), LIMITS)
    assert raised.value.param == param


def chosen(given: Any, tools: list[Any]) -> tuple[Any, list[str]]:
    offered = offer({"tools": tools}, (), LIMITS)
    before = len(offered.dropped)
    return choice({"tool_choice": given}, offered), offered.dropped[before:]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, {}, id="absent"),
        pytest.param({"type": "auto"}, {"tool_choice": "auto"}, id="auto"),
        pytest.param({"type": "any"}, {"tool_choice": "required"}, id="any"),
        pytest.param({"type": "none"}, {"tool_choice": "none"}, id="none"),
        pytest.param(
            {"type": "tool", "name": LONG},
            {"tool_choice": {"type": "function", "function": {"name": short_name(LONG)}}},
            id="tool",
        ),
        pytest.param(
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
            id="one-at-a-time",
        ),
        pytest.param(
            {"type": "any", "disable_parallel_tool_use": False}, {"tool_choice": "required"}, id="parallel-as-usual"
        ),
    ],
)
def test_choice(given: Any, expected: Any) -> None:
    assert chosen(given, [tool("f"), tool(LONG)]) == (expected, [])


@pytest.mark.parametrize(
    ("given", "tools", "dropped"),
    [
        pytest.param({"type": "tool", "name": "web_search"}, [SEARCH], ["tool_choice"], id="forced-served-tool"),
        pytest.param({"type": "tool", "name": "web_search"}, [SEARCH, tool("f")], ["tool_choice"], id="beside-another"),
        pytest.param({"type": "any"}, [SEARCH], ["tool_choice"], id="any-of-none"),
        pytest.param({"type": "tool", "name": "gone"}, [], ["tool_choice"], id="no-tools"),
        pytest.param({"type": "auto"}, [], [], id="auto-of-none"),
    ],
)
def test_choice_that_nothing_can_meet(given: Any, tools: list[Any], dropped: list[str]) -> None:
    assert chosen(given, tools) == ({}, dropped)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        pytest.param("auto", "tool_choice", id="string"),
        pytest.param({}, "tool_choice.type", id="no-type"),
        pytest.param({"type": "some"}, "tool_choice.type", id="type"),
        pytest.param({"type": "tool"}, "tool_choice.name", id="no-name"),
        pytest.param({"type": "tool", "name": "g"}, "tool_choice.name", id="unknown-name"),
        pytest.param(
            {"type": "auto", "disable_parallel_tool_use": 1}, "tool_choice.disable_parallel_tool_use", id="parallel"
        ),
    ],
)
def test_choice_faults(given: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        chosen(given, [tool("f")])
    assert raised.value.param == param

"""Tools, offered as functions, and the map back."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gateway.dialects.responses.context import Tool
from gateway.dialects.responses.tools import Toolbox, flat_name
from gateway.errors import RequestError

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
NAMES = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def declare(*tools: Any, limit: int = 512, again: bool = False) -> Toolbox:
    box = Toolbox(limit, [])
    box.declare(list(tools), "tools", again=again)
    return box


def function(name: Any = "f", **members: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": OBJECT, **members}


def namespace(name: str, *tools: Any, **members: Any) -> dict[str, Any]:
    return {"type": "namespace", "name": name, "description": "About.", "tools": list(tools), **members}


FUNCTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "flat": (function(description="D"), {"name": "f", "description": "D", "parameters": OBJECT}),
    "nested": (
        {"type": "function", "function": {"name": "f", "description": "D", "parameters": OBJECT, "strict": True}},
        {"name": "f", "description": "D", "parameters": OBJECT, "strict": True},
    ),
    "strict": (function(strict=True), {"name": "f", "parameters": OBJECT, "strict": True}),
    "not-strict": (function(strict=False), {"name": "f", "parameters": OBJECT}),
    "nulls": (function(strict=None, description=None), {"name": "f", "parameters": OBJECT}),
    "no-parameters": (
        {"type": "function", "name": "f"},
        {"name": "f", "parameters": {"type": "object", "properties": {}}},
    ),
    "deferred": (function(defer_loading=True), {"name": "f", "parameters": OBJECT}),
}


@pytest.mark.parametrize(("tool", "expected"), [pytest.param(*case, id=name) for name, case in FUNCTIONS.items()])
def test_functions(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    box = declare(tool)
    assert list(box.functions.values()) == [{"type": "function", "function": expected}]
    assert box.tools == {"f": Tool("function", "f")}


GRAMMAR = 'start: "*** Begin Patch" LF'


@pytest.mark.parametrize(
    "tool",
    [
        {
            "type": "custom",
            "name": "edit",
            "description": "Edits.",
            "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
        },
        {
            "type": "custom",
            "custom": {
                "name": "edit",
                "description": "Edits.",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": GRAMMAR}},
            },
        },
    ],
    ids=["flat", "nested"],
)
def test_a_custom_tool_is_a_function_with_one_string(tool: dict[str, Any]) -> None:
    box = declare(tool)
    offered = box.functions["edit"]["function"]
    assert box.tools["edit"] == Tool("custom", "edit")
    assert offered["parameters"]["required"] == ["input"]
    assert list(offered["parameters"]["properties"]) == ["input"]
    assert offered["parameters"]["properties"]["input"]["type"] == "string"
    for part in ("Edits.", "lark grammar", GRAMMAR, '{"input":"*** Begin Patch'):
        assert part in offered["description"]


def test_a_custom_tool_without_a_grammar() -> None:
    about = declare({"type": "custom", "name": "exec"}).functions["exec"]["function"]["description"]
    assert "grammar" not in about
    assert "Begin Patch" not in about
    assert '{"input":' in about


def test_namespaces_are_flattened_and_kept_in_the_map() -> None:
    box = declare(function("plain"), namespace("mcp__probe", function("add"), {"type": "custom", "name": "raw"}))
    assert list(box.functions) == ["plain", "mcp__probe__add", "mcp__probe__raw"]
    assert box.tools["mcp__probe__add"] == Tool("function", "add", "mcp__probe")
    assert box.tools["mcp__probe__raw"] == Tool("custom", "raw", "mcp__probe")


def test_a_namespace_describes_its_tools_that_do_not() -> None:
    box = declare(namespace("n", function("a"), function("b", description="B")))
    assert [tool["function"]["description"] for tool in box.functions.values()] == ["About.", "B"]


BUILT_IN: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "local-shell": ({"type": "local_shell"}, "local_shell", ["command"]),
    "shell": ({"type": "shell"}, "shell", ["commands"]),
    "shell-local": ({"type": "shell", "environment": {"type": "local", "skills": []}}, "shell", ["commands"]),
    "apply-patch": ({"type": "apply_patch"}, "apply_patch", ["type", "path"]),
    "search": ({"type": "tool_search", "execution": "client"}, "tool_search", ["query"]),
    "search-own": ({"type": "tool_search", "execution": "client", "parameters": OBJECT}, "tool_search", ["a"]),
}


@pytest.mark.parametrize(("tool", "kind", "required"), [pytest.param(*case, id=n) for n, case in BUILT_IN.items()])
def test_built_in_tools(tool: dict[str, Any], kind: Any, required: list[str]) -> None:
    box = declare(tool)
    assert box.tools == {kind: Tool(kind, kind)}
    offered = box.functions[kind]["function"]
    assert offered["parameters"]["required"] == required
    assert offered["description"]


HOSTED = [
    *({"type": kind} for kind in ("web_search", "web_search_preview", "file_search", "image_generation", "computer")),
    {"type": "computer_use_preview", "display_height": 1, "display_width": 1, "environment": "browser"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "mcp", "server_label": "s", "server_url": "https://a.example"},
    {"type": "programmatic_tool_calling"},
    {"type": "tool_search"},
    {"type": "tool_search", "execution": "server"},
    {"type": "shell", "environment": {"type": "container_auto"}},
    {"type": "a_type_to_come", "name": "x"},
]


@pytest.mark.parametrize("tool", HOSTED, ids=lambda tool: tool["type"])
def test_tools_that_cannot_run_here_are_left_out_and_listed(tool: dict[str, Any]) -> None:
    box = declare(function(), tool, namespace("n", tool))
    assert list(box.functions) == ["f"]
    assert box.dropped == ["tools[1]", "tools[2].tools[0]"]


FAULTS: dict[str, tuple[Any, str]] = {
    "string": ("f", "tools[0]"),
    "null": (None, "tools[0]"),
    "no-type": ({"name": "f"}, "tools[0].type"),
    "type-number": ({"type": 1}, "tools[0].type"),
    "no-name": ({"type": "function"}, "tools[0].name"),
    "empty-name": (function(""), "tools[0].name"),
    "odd-name": (function("a b"), "tools[0].name"),
    "newline-in-name": (function("a\n"), "tools[0].name"),
    "name-list": (function(["a"]), "tools[0].name"),
    "nested-no-name": ({"type": "function", "function": {}}, "tools[0].function.name"),
    "nested-string": ({"type": "function", "function": "f"}, "tools[0].function"),
    "description": (function(description=1), "tools[0].description"),
    "parameters": (function(parameters="x"), "tools[0].parameters"),
    "strict": (function(strict="yes"), "tools[0].strict"),
    "format": ({"type": "custom", "name": "c", "format": "text"}, "tools[0].format"),
    "definition": ({"type": "custom", "name": "c", "format": {"definition": 1}}, "tools[0].format.definition"),
    "syntax": ({"type": "custom", "name": "c", "format": {"grammar": {"syntax": 1}}}, "tools[0].format.grammar.syntax"),
    "custom-name": ({"type": "custom", "name": "a.b"}, "tools[0].name"),
    "namespace-name": (namespace("a.b"), "tools[0].name"),
    "namespace-tools": ({"type": "namespace", "name": "n"}, "tools[0].tools"),
    "namespace-tools-string": ({"type": "namespace", "name": "n", "tools": "x"}, "tools[0].tools"),
    "namespace-tool": (namespace("n", function(), 5), "tools[0].tools[1]"),
    "namespace-tool-type": (namespace("n", {}), "tools[0].tools[0].type"),
    "namespace-description": (namespace("n", description=[]), "tools[0].description"),
    "execution": ({"type": "tool_search", "execution": 1}, "tools[0].execution"),
    "search-parameters": ({"type": "tool_search", "execution": "client", "parameters": 1}, "tools[0].parameters"),
    "environment": ({"type": "shell", "environment": "local"}, "tools[0].environment"),
    "environment-type": ({"type": "shell", "environment": {"type": 1}}, "tools[0].environment.type"),
}


@pytest.mark.parametrize(("tool", "param"), [pytest.param(*case, id=name) for name, case in FAULTS.items()])
def test_faults_are_named(tool: Any, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        declare(tool)
    assert caught.value.param == param


COLLISIONS: dict[str, list[dict[str, Any]]] = {
    "twice": [function(), function()],
    "twice-in-namespace": [namespace("n", function()), namespace("n", function())],
    "flattened": [function("n__f"), namespace("n", function("f"))],
    "split-differently": [namespace("a__b", function("c")), namespace("a", function("b__c"))],
    "kinds": [function("shell"), {"type": "shell"}],
}


@pytest.mark.parametrize("tools", COLLISIONS.values(), ids=COLLISIONS.keys())
def test_names_taken_twice_are_refused(tools: list[dict[str, Any]]) -> None:
    with pytest.raises(RequestError) as caught:
        declare(*tools)
    assert caught.value.code == "duplicate_tool_name"
    assert (caught.value.param or "").startswith("tools[1]")


def test_a_search_may_find_a_tool_again_and_the_later_form_counts() -> None:
    box = Toolbox(2, [])
    box.declare([function("a"), function("b")], "tools")
    assert box.declare([function("a", description="new")], "input[3].tools", again=True) == ["a"]
    assert [tool["function"].get("description") for tool in box.functions.values()] == ["new", None]
    with pytest.raises(RequestError):
        box.declare([{"type": "custom", "name": "a"}], "input[4].tools", again=True)


def test_too_many_tools() -> None:
    with pytest.raises(RequestError) as caught:
        declare(function("a"), namespace("n", {"type": "web_search"}, function("b")), limit=2)
    assert (caught.value.code, caught.value.param) == ("too_many_tools", "tools[1].tools[1]")
    assert "2 tools (MAX_TOOLS)" in caught.value.message


def test_names_upstream_are_short_stable_and_distinct() -> None:
    long = "x" * 60
    names = [
        flat_name(None, "f"),
        flat_name("n", "f"),
        flat_name(long, "add_numbers"),
        flat_name(long, "add_numbers_2"),
        flat_name(None, "y" * 65),
        flat_name(None, "a.b"),
        flat_name(None, "a_b"),
        flat_name(None, ""),
    ]
    assert names[:2] == ["f", "n__f"]
    assert all(NAMES.match(name) for name in names)
    assert len(set(names)) == len(names)
    assert names[2] == "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_" + names[2][-8:]
    assert names[2] == flat_name(long, "add_numbers")


HISTORY: dict[str, tuple[str | None, str, str]] = {
    "ordinary": (None, "f", "f"),
    "in-namespace": ("n", "f", "n__f"),
    "ordinary-from-lite": ("functions", "f", "f"),
    "lite-from-ordinary": (None, "lite", "functions__lite"),
    "lite": ("functions", "lite", "functions__lite"),
    "not-offered": ("gone", "f", "gone__f"),
    "not-offered-lite": ("functions", "gone", "functions__gone"),
}


@pytest.mark.parametrize(("space", "name", "expected"), [pytest.param(*case, id=n) for n, case in HISTORY.items()])
def test_names_in_the_history(space: str | None, name: str, expected: str) -> None:
    box = declare(function("f"), namespace("n", function("f")), namespace("functions", function("lite")))
    assert box.name_of(space, name) == expected

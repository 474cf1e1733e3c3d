"""`tool_choice` in all its forms."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.responses.tool_choice import choose
from gateway.dialects.responses.tools import Toolbox
from gateway.errors import RequestError

TOOLS: list[Any] = [
    {"type": "function", "name": "f"},
    {"type": "custom", "name": "c"},
    {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "g"}, {"type": "function", "name": "f"}]},
    {
        "type": "namespace",
        "name": "o",
        "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "twin"}],
    },
    {"type": "namespace", "name": "p", "tools": [{"type": "function", "name": "twin"}]},
    {"type": "shell"},
    {"type": "apply_patch"},
    {"type": "local_shell"},
    {"type": "tool_search", "execution": "client"},
    {"type": "web_search"},
]
ALL = ["f", "c", "n__g", "n__f", "o__f", "o__twin", "p__twin", "shell", "apply_patch", "local_shell", "tool_search"]


def toolbox(tools: list[Any] = TOOLS, limit: int = 512) -> Toolbox:
    box = Toolbox(limit, [])
    box.declare(tools, "tools")
    return box


def names(functions: list[Any]) -> list[str]:
    return [tool["function"]["name"] for tool in functions]


def forced(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


CHOICES: dict[str, tuple[Any, Any]] = {
    "absent": (None, None),
    "auto": ("auto", "auto"),
    "none": ("none", "none"),
    "required": ("required", "required"),
    "function": ({"type": "function", "name": "f"}, forced("f")),
    "function-nested": ({"type": "function", "function": {"name": "f"}}, forced("f")),
    "function-in-namespace": ({"type": "function", "name": "f", "namespace": "n"}, forced("n__f")),
    "function-flattened": ({"type": "function", "name": "n__f"}, forced("n__f")),
    "function-in-one-namespace": ({"type": "function", "name": "g"}, forced("n__g")),
    "custom": ({"type": "custom", "name": "c"}, forced("c")),
    "custom-nested": ({"type": "custom", "custom": {"name": "c"}}, forced("c")),
    "shell": ({"type": "shell"}, forced("shell")),
    "apply-patch": ({"type": "apply_patch"}, forced("apply_patch")),
    "local-shell": ({"type": "local_shell"}, forced("local_shell")),
    "tool-search": ({"type": "tool_search"}, forced("tool_search")),
}


@pytest.mark.parametrize(("choice", "value"), [pytest.param(*case, id=name) for name, case in CHOICES.items()])
def test_choices(choice: Any, value: Any) -> None:
    result = choose(choice, toolbox())
    assert result.value == value
    assert names(result.functions) == ALL


ALLOWED: dict[str, tuple[Any, list[str], Any]] = {
    "auto": (
        {"mode": "auto", "tools": [{"type": "custom", "name": "c"}, {"type": "function", "name": "f"}]},
        ["f", "c"],
        "auto",
    ),
    "required": ({"mode": "required", "tools": [{"type": "shell"}]}, ["shell"], "required"),
    "no-mode": ({"tools": [{"type": "function", "name": "f", "namespace": "n"}]}, ["n__f"], "auto"),
    "nested": (
        {"allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}},
        ["f"],
        "auto",
    ),
    "namespace": ({"mode": "auto", "tools": [{"type": "namespace", "name": "n"}]}, ["n__g", "n__f"], "auto"),
    "hosted": ({"mode": "auto", "tools": [{"type": "web_search"}]}, [], None),
    "empty": ({"mode": "auto", "tools": []}, [], None),
}


@pytest.mark.parametrize(("members", "offered", "value"), [pytest.param(*case, id=n) for n, case in ALLOWED.items()])
def test_allowed_tools_restrict_what_is_offered(members: Any, offered: list[str], value: Any) -> None:
    result = choose({"type": "allowed_tools", **members}, toolbox())
    assert names(result.functions) == offered
    assert result.value == value


def test_hosted_tools_in_allowed_tools_are_listed() -> None:
    box = toolbox()
    entries = [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}]
    choose({"type": "allowed_tools", "mode": "auto", "tools": entries}, box)
    assert box.dropped == ["tools[9]", "tool_choice.tools[1]"]


@pytest.mark.parametrize(
    "choice",
    [
        "auto",
        "none",
        "required",
        {"type": "function", "name": "f"},
        {"type": "shell"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "namespace", "name": "n"}]},
    ],
    ids=str,
)
def test_without_any_tools_a_choice_says_nothing(choice: Any) -> None:
    result = choose(choice, toolbox([]))
    assert (result.functions, result.value) == ([], None)


REFUSED: dict[str, tuple[Any, str, str]] = {
    "number": (5, "tool_choice", "invalid_request_format"),
    "list": (["auto"], "tool_choice", "invalid_request_format"),
    "unknown-word": ("any", "tool_choice", "invalid_request_format"),
    "no-type": ({"name": "f"}, "tool_choice.type", "invalid_request_format"),
    "no-name": ({"type": "function"}, "tool_choice.name", "invalid_request_format"),
    "name-number": ({"type": "custom", "name": 1}, "tool_choice.name", "invalid_request_format"),
    "not-offered": ({"type": "function", "name": "x"}, "tool_choice", "tool_not_found"),
    "ambiguous": ({"type": "function", "name": "twin"}, "tool_choice", "tool_not_found"),
    "other-namespace": ({"type": "function", "name": "g", "namespace": "o"}, "tool_choice", "tool_not_found"),
    "hosted": ({"type": "web_search"}, "tool_choice", "unsupported_tool_choice"),
    "mcp": ({"type": "mcp", "server_label": "s"}, "tool_choice", "unsupported_tool_choice"),
    "allowed-no-tools": ({"type": "allowed_tools", "mode": "auto"}, "tool_choice.tools", "invalid_request_format"),
    "allowed-mode": ({"type": "allowed_tools", "mode": "x", "tools": []}, "tool_choice.mode", "invalid_request_format"),
    "allowed-string": ({"type": "allowed_tools", "tools": ["f"]}, "tool_choice.tools[0]", "invalid_request_format"),
    "allowed-not-offered": (
        {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "x"}]},
        "tool_choice.tools[1]",
        "tool_not_found",
    ),
    "allowed-no-such-namespace": (
        {"type": "allowed_tools", "tools": [{"type": "namespace", "name": "x"}]},
        "tool_choice.tools[0]",
        "tool_not_found",
    ),
    "allowed-required-hosted": (
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
        "tool_choice.mode",
        "unsupported_tool_choice",
    ),
    "allowed-too-many": (
        {"type": "allowed_tools", "tools": [{"type": "shell"}] * 513},
        "tool_choice.tools",
        "too_many_tools",
    ),
}


@pytest.mark.parametrize(("choice", "param", "code"), [pytest.param(*case, id=name) for name, case in REFUSED.items()])
def test_refused(choice: Any, param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        choose(choice, toolbox())
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("choice", ["required", {"type": "shell"}, {"type": "web_search"}], ids=str)
def test_forced_where_only_hosted_tools_were_given(choice: Any) -> None:
    with pytest.raises(RequestError):
        choose(choice, toolbox([{"type": "web_search"}]))

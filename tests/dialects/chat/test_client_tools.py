"""The tools of a chat client, and its choice among them."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.chat.client_parts import Intake
from gateway.dialects.chat.client_tools import Offer, choice, offer
from gateway.errors import RequestError
from gateway.profile import Limits, Model, Terms

JSON = dict[str, Any]
F: JSON = {"type": "function", "function": {"name": "f"}}
G: JSON = {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}, "strict": True}}
P: JSON = {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}}
SEARCH: JSON = {"type": "web_search"}


def read(body: JSON) -> tuple[Offer, list[str]]:
    intake = Intake(Terms(Model("m"), Limits(max_tools=3)))
    return offer(body, intake), intake.dropped


OFFERS: dict[str, tuple[JSON, list[JSON], list[str]]] = {
    "none": ({}, [], []),
    "nulls": ({"tools": None, "functions": None}, [], []),
    "functions": ({"tools": [F, G]}, [F, G], []),
    "flat": ({"tools": [{"type": "function", "name": "f"}]}, [F], []),
    "custom": ({"tools": [P]}, [P], []),
    "custom-flat": ({"tools": [{"type": "custom", "name": "p", "format": {"type": "text"}}]}, [P], []),
    "served": (
        {"tools": [{"type": "web_search_preview"}, {"type": "mcp"}]},
        [{"type": "web_search_preview"}, {"type": "mcp"}],
        [],
    ),
    "unknown": ({"tools": [{"type": "local_shell"}, F]}, [F], ["tools[0]"]),
    "legacy": ({"functions": [{"name": "f"}]}, [F], []),
    "both": ({"tools": [F], "functions": [{"name": "f"}, G["function"]]}, [F, G], []),
    "search": ({"web_search_options": {}}, [SEARCH], []),
    "search-with-a-place": (
        {
            "web_search_options": {
                "search_context_size": "low",
                "user_location": {"type": "approximate", "approximate": {"city": "Rome"}},
            }
        },
        [
            {
                "type": "web_search",
                "search_context_size": "low",
                "user_location": {"type": "approximate", "city": "Rome"},
            }
        ],
        [],
    ),
}


@pytest.mark.parametrize(("body", "tools", "dropped"), OFFERS.values(), ids=OFFERS)
def test_what_is_offered(body: JSON, tools: list[JSON], dropped: list[str]) -> None:
    offered, left_out = read(body)
    assert (offered.tools, left_out) == (tools, dropped)


@pytest.mark.parametrize(
    ("body", "legacy", "absent"),
    [
        ({}, False, True),
        ({"tools": [], "functions": []}, False, True),
        ({"tools": [F]}, False, False),
        ({"tools": [{"type": "local_shell"}]}, False, False),
        ({"functions": [{"name": "f"}]}, True, False),
        ({"tools": [P], "functions": [{"name": "f"}]}, False, False),
        ({"web_search_options": {}}, False, False),
    ],
)
def test_whether_tools_were_sent(body: JSON, legacy: bool, absent: bool) -> None:
    offered, _ = read(body)
    assert (offered.legacy, offered.absent) == (legacy, absent)


def test_custom_tools_are_known_by_name() -> None:
    assert read({"tools": [F, P]})[0].custom == {"p"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"functions": "f"}, "functions"),
        ({"tools": [7]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": 7}}]},
            "tools[0].function.description",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
            "tools[0].function.parameters",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}, "tools[0].function.strict"),
        ({"tools": [{"type": "custom", "custom": {"name": "f", "format": 1}}]}, "tools[0].custom.format"),
        ({"tools": [F, F]}, "tools[1].function.name"),
        ({"functions": [7]}, "functions[0]"),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions[1].name"),
        ({"tools": [F] * 4}, "tools"),
        ({"web_search_options": 7}, "web_search_options"),
        ({"web_search_options": {"user_location": 7}}, "web_search_options.user_location"),
    ],
)
def test_a_faulty_tool(body: JSON, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(body)
    assert caught.value.param == param


CHOICES: dict[str, tuple[JSON, JSON]] = {
    "none": ({"tools": [F]}, {}),
    "word": ({"tools": [F], "tool_choice": "required"}, {"tool_choice": "required"}),
    "without-tools": ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
    "function": (
        {"tools": [F], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    "function-flat": (
        {"tools": [F], "tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    "custom-called-a-function": (
        {"tools": [P], "tool_choice": {"type": "function", "function": {"name": "p"}}},
        {"tool_choice": {"type": "custom", "custom": {"name": "p"}}},
    ),
    "served": ({"tools": [SEARCH], "tool_choice": SEARCH}, {"tool_choice": SEARCH}),
    "allowed": (
        {
            "tools": [F, G],
            "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
        },
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F]}}},
    ),
    "allowed-nested": (
        {"tools": [F], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"tools": [F]}}},
        {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [F]}}},
    ),
    "parallel": ({"tools": [F], "parallel_tool_calls": True}, {"parallel_tool_calls": True}),
    "legacy": ({"functions": [{"name": "f"}]}, {"parallel_tool_calls": False}),
    "legacy-word": (
        {"functions": [{"name": "f"}], "function_call": "none"},
        {"tool_choice": "none", "parallel_tool_calls": False},
    ),
    "legacy-name": (
        {"functions": [{"name": "f"}], "function_call": {"name": "f"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False},
    ),
}


@pytest.mark.parametrize(("body", "members"), CHOICES.values(), ids=CHOICES)
def test_a_choice(body: JSON, members: JSON) -> None:
    assert choice(body, read(body)[0]) == members


@pytest.mark.parametrize(
    ("given", "param", "code"),
    [
        ({"tool_choice": "maybe"}, "tool_choice", "invalid_request_format"),
        ({"tool_choice": 7}, "tool_choice", "invalid_request_format"),
        ({"tool_choice": {}}, "tool_choice.type", "invalid_request_format"),
        ({"tool_choice": {"type": "function"}}, "tool_choice.name", "invalid_request_format"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "tool_choice", "tool_not_found"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.tools", "invalid_request_format"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [7]}}, "tool_choice.tools[0]", "invalid_request_format"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [G]}}, "tool_choice.tools[0]", "tool_not_found"),
        ({"function_call": 7}, "function_call", "invalid_request_format"),
        ({"function_call": {}}, "function_call.name", "invalid_request_format"),
        ({"parallel_tool_calls": "yes"}, "parallel_tool_calls", "invalid_request_format"),
    ],
)
def test_a_faulty_choice(given: JSON, param: str, code: str) -> None:
    body = {"tools": [F], **given}
    with pytest.raises(RequestError) as caught:
        choice(body, read(body)[0])
    assert (caught.value.param, caught.value.code) == (param, code)


def test_a_function_whose_name_is_no_text_is_refused_beside_tools_as_well() -> None:
    with pytest.raises(RequestError) as refused:
        read({"tools": [F], "functions": [{"name": []}]})
    assert refused.value.param == "functions[0].name"

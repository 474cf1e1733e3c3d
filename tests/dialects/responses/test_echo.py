"""What the answer repeats of the request."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import Response

from gateway.dialects.responses.echo import echo

ANSWER = {"id": "resp_1", "created_at": 1, "object": "response", "output": []}
ENCODERS_OWN = {
    "id",
    "created_at",
    "object",
    "output",
    "error",
    "incomplete_details",
    "status",
    "usage",
    "completed_at",
}
NOT_OURS = {
    *("access_programs", "conversation", "image", "input_transformations", "moderation", "prompt", "tool_usage"),
    *("prompt_cache_diagnostics", "prompt_cache_options", "prompt_cache_retention"),
}
"""Members of OpenAI's servers that may be absent."""


def test_the_defaults() -> None:
    assert echo({"model": "m", "input": "hi"}) == {
        "background": False,
        "frequency_penalty": 0.0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "m",
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def test_every_member_of_the_published_resource_is_there() -> None:
    assert set(Response.model_fields) - ENCODERS_OWN - NOT_OURS <= set(echo({"model": "m"}))


def test_what_was_sent_comes_back() -> None:
    sent: dict[str, Any] = {
        "model": "m",
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "prompt_cache_key": "k",
        "safety_identifier": "s",
        "service_tier": "flex",
        "temperature": 0,
        "top_logprobs": 2,
        "top_p": 0.5,
        "truncation": "auto",
        "user": "u",
        "max_tool_calls": 3,
        "presence_penalty": 1,
        "frequency_penalty": 1,
    }
    echoed = echo({**sent, "store": True})
    assert {name: echoed[name] for name in sent} == sent
    assert echoed["store"] is False


STRUCTURED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "max-tokens-of-chat": ({"max_tokens": 5}, {"max_output_tokens": 5}),
    "reasoning": (
        {"reasoning": {"effort": "low", "summary": "auto", "context": "all_turns"}},
        {"reasoning": {"effort": "low", "summary": "auto"}},
    ),
    "no-summary": ({"reasoning": {"summary": "none"}}, {"reasoning": {"effort": None, "summary": None}}),
    "older-summary": ({"reasoning": {"generate_summary": "auto"}}, {"reasoning": {"effort": None, "summary": "auto"}}),
    "verbosity": ({"text": {"verbosity": "low"}}, {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
    "schema": (
        {"text": {"format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}}},
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "description": None, "schema": {}, "strict": False},
                "verbosity": "medium",
            }
        },
    ),
    "choice-word": ({"tool_choice": "none"}, {"tool_choice": "none"}),
    "choice-flat": (
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "function", "name": "f"}},
    ),
    "choice-nested": (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"type": "function", "name": "f"}},
    ),
    "function": (
        {"tools": [{"type": "function", "name": "f", "strict": None}]},
        {"tools": [{"type": "function", "name": "f", "description": None, "parameters": None, "strict": False}]},
    ),
    "function-nested": (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1}, "strict": True}}]},
        {"tools": [{"type": "function", "name": "f", "description": None, "parameters": {"a": 1}, "strict": True}]},
    ),
    "custom": (
        {"tools": [{"type": "custom", "name": "c"}]},
        {"tools": [{"type": "custom", "name": "c", "format": {"type": "text"}}]},
    ),
    "hosted": ({"tools": [{"type": "web_search", "x": 1}]}, {"tools": [{"type": "web_search", "x": 1}]}),
    "credentials": (
        {"tools": [{"type": "mcp", "server_label": "s", "authorization": "fake", "headers": {"X": "fake"}}]},
        {"tools": [{"type": "mcp", "server_label": "s"}]},
    ),
}


@pytest.mark.parametrize(("body", "expected"), STRUCTURED.values(), ids=STRUCTURED.keys())
def test_structured_members(body: dict[str, Any], expected: dict[str, Any]) -> None:
    echoed = echo({"model": "m", **body})
    assert {name: echoed[name] for name in expected} == expected
    Response.model_validate({**ANSWER, **echoed})

"""The plain fields: one fate each."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from openai.types.responses import response_compact_params, response_create_params

from gateway.dialects.responses import fields
from gateway.errors import RequestError

PUBLISHED = {
    *response_create_params.ResponseCreateParamsNonStreaming.__annotations__,
    *response_create_params.ResponseCreateParamsStreaming.__annotations__,
    *response_create_params.ResponseCreateParamsBase.__annotations__,
    *response_compact_params.ResponseCompactParams.__annotations__,
}


def plain(**body: Any) -> tuple[dict[str, Any], list[str]]:
    dropped: list[str] = []
    return fields.plain(body, dropped), dropped


@pytest.mark.parametrize("field", sorted(PUBLISHED))
def test_every_published_field_has_a_fate(field: str) -> None:
    assert fields.FATES.get(field) in get_args(fields.Fate)


@pytest.mark.parametrize("field", sorted(name for name, fate in fields.FATES.items() if fate == "dropped"))
def test_dropped_fields_are_listed_and_not_sent(field: str) -> None:
    value: Any = "auto" if field == "truncation" else [{"type": "x"}]
    assert plain(**{field: value}) == ({}, [field])


@pytest.mark.parametrize(
    ("field", "value"),
    [("truncation", "disabled"), ("n", 1), ("context_management", []), ("truncation", None), ("moderation", None)],
)
def test_what_asks_for_nothing_is_not_listed(field: str, value: Any) -> None:
    assert plain(**{field: value}) == ({}, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metadata", {"a": "b"}),
        ("store", True),
        ("service_tier", "flex"),
        ("prompt_cache_key", "k"),
        ("safety_identifier", "s"),
        ("max_tool_calls", 3),
        ("client_metadata", {"turn_id": "t"}),
        ("stream_options", {"include_obfuscation": False}),
        ("stream", False),
        ("reasoning", {"summary": "auto", "context": "all_turns", "mode": "standard"}),
        ("text", {"format": {"type": "text"}}),
        ("include", ["reasoning.encrypted_content", "a value to come"]),
        ("top_logprobs", 0),
        ("logprobs", False),
    ],
)
def test_fields_that_say_nothing_to_a_model(field: str, value: Any) -> None:
    assert plain(**{field: value}) == ({}, [])


SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}}
MAPPED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stream": ({"stream": True}, {"stream": True}),
    "sampling": (
        {"temperature": 0, "top_p": 1, "presence_penalty": -1, "frequency_penalty": 0.5},
        {"temperature": 0, "top_p": 1, "presence_penalty": -1, "frequency_penalty": 0.5},
    ),
    "max-output-tokens": ({"max_output_tokens": 5, "max_tokens": 6}, {"max_tokens": 5}),
    "max-tokens-of-chat": ({"max_tokens": 6}, {"max_tokens": 6}),
    "max-completion-tokens-of-chat": ({"max_completion_tokens": 7.0}, {"max_tokens": 7}),
    "top-logprobs": ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    "logprobs-included": ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
    "logprobs-of-chat": ({"logprobs": True}, {"logprobs": True}),
    "effort": ({"reasoning": {"effort": "high"}}, {"reasoning_effort": "high"}),
    "effort-of-chat": ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    "effort-wins": ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, {"reasoning_effort": "high"}),
    "verbosity": ({"text": {"verbosity": "low"}}, {"verbosity": "low"}),
    "json-object": ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    "json-schema": (
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "strict": True, "schema": SCHEMA, "description": "D"}
            }
        },
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "D", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    "json-schema-of-chat": (
        {"text": {"format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": False}}},
    ),
    "copied": (
        {"seed": 1, "stop": ["a"], "user": "u", "logit_bias": {"1": 2}},
        {"seed": 1, "stop": ["a"], "user": "u", "logit_bias": {"1": 2}},
    ),
    "stop-string": ({"stop": "END"}, {"stop": "END"}),
    "unknown": ({"top_k": 5, "chat_template_kwargs": {"x": None}}, {"top_k": 5, "chat_template_kwargs": {"x": None}}),
    "nulls": (
        {"top_k": None, "temperature": None, "text": None, "reasoning": None, "include": None, "stream": None},
        {},
    ),
}


@pytest.mark.parametrize(("body", "expected"), MAPPED.values(), ids=MAPPED.keys())
def test_mapped(body: dict[str, Any], expected: dict[str, Any]) -> None:
    assert plain(**body) == (expected, [])


def test_a_mode_of_reasoning_is_listed() -> None:
    assert plain(reasoning={"mode": "pro"}) == ({}, ["reasoning.mode"])


WRONG: dict[str, tuple[str, Any, str]] = {
    "temperature-high": ("temperature", 2.1, "temperature"),
    "temperature-low": ("temperature", -1, "temperature"),
    "temperature-string": ("temperature", "hot", "temperature"),
    "top-p": ("top_p", 1.1, "top_p"),
    "presence": ("presence_penalty", "x", "presence_penalty"),
    "frequency": ("frequency_penalty", [], "frequency_penalty"),
    "max-output-tokens-zero": ("max_output_tokens", 0, "max_output_tokens"),
    "max-output-tokens-half": ("max_output_tokens", 1.5, "max_output_tokens"),
    "max-tokens": ("max_tokens", -1, "max_tokens"),
    "max-completion-tokens": ("max_completion_tokens", "5", "max_completion_tokens"),
    "top-logprobs-high": ("top_logprobs", 21, "top_logprobs"),
    "top-logprobs-low": ("top_logprobs", -1, "top_logprobs"),
    "logprobs": ("logprobs", 5, "logprobs"),
    "metadata-keys": ("metadata", {str(n): "" for n in range(17)}, "metadata"),
    "metadata-value": ("metadata", {"a": 1}, "metadata"),
    "metadata-list": ("metadata", [], "metadata"),
    "stop": ("stop", [1], "stop"),
    "stop-number": ("stop", 1, "stop"),
    "seed": ("seed", "x", "seed"),
    "store": ("store", "yes", "store"),
    "stream": ("stream", "yes", "stream"),
    "user": ("user", 1, "user"),
    "logit-bias": ("logit_bias", [], "logit_bias"),
    "stream-options": ("stream_options", 3, "stream_options"),
    "response-format": ("response_format", "json", "response_format"),
    "reasoning-effort": ("reasoning_effort", 1, "reasoning_effort"),
    "verbosity": ("verbosity", 1, "verbosity"),
    "service-tier": ("service_tier", 1, "service_tier"),
    "cache-key": ("prompt_cache_key", 1, "prompt_cache_key"),
    "safety": ("safety_identifier", {}, "safety_identifier"),
    "truncation": ("truncation", "never", "truncation"),
    "truncation-number": ("truncation", 1, "truncation"),
    "max-tool-calls": ("max_tool_calls", 0, "max_tool_calls"),
    "include": ("include", "x", "include"),
    "include-value": ("include", [1], "include[0]"),
    "reasoning": ("reasoning", "high", "reasoning"),
    "effort": ("reasoning", {"effort": 1}, "reasoning.effort"),
    "summary": ("reasoning", {"summary": True}, "reasoning.summary"),
    "text": ("text", "x", "text"),
    "text-verbosity": ("text", {"verbosity": 1}, "text.verbosity"),
    "format": ("text", {"format": "json"}, "text.format"),
    "format-type": ("text", {"format": {"x": 1}}, "text.format.type"),
    "format-unknown": ("text", {"format": {"type": "grammar"}}, "text.format.type"),
    "format-name": ("text", {"format": {"type": "json_schema", "schema": {}}}, "text.format.name"),
    "format-schema": ("text", {"format": {"type": "json_schema", "name": "n"}}, "text.format.schema"),
    "format-strict": (
        "text",
        {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": 1}},
        "text.format.strict",
    ),
    "format-nested": ("text", {"format": {"type": "json_schema", "json_schema": {}}}, "text.format.json_schema.schema"),
}


@pytest.mark.parametrize(("field", "value", "param"), WRONG.values(), ids=WRONG.keys())
def test_wrong_values_are_named(field: str, value: Any, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        plain(**{field: value})
    assert (caught.value.status, caught.value.param) == (400, param)
    assert caught.value.code


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "messages": ({"messages": []}, "messages", "invalid_request_format"),
    "background": ({"background": True}, "background", "unsupported_parameter"),
    "background-string": ({"background": "yes"}, "background", "invalid_request_format"),
    "prompt": ({"prompt": {"id": "p"}}, "prompt", "unsupported_parameter"),
    "conversation": ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
    "previous": ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
    "previous-number": ({"previous_response_id": 1}, "previous_response_id", "invalid_request_format"),
}


@pytest.mark.parametrize(("body", "param", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(body: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        fields.refuse(body)
    assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


def test_a_chat_body_is_told_the_right_path() -> None:
    with pytest.raises(RequestError, match="/v1/chat/completions"):
        fields.refuse({"messages": [{"role": "user", "content": "hi"}]})


def test_nothing_to_refuse() -> None:
    nulls = dict.fromkeys(("messages", "prompt", "conversation", "previous_response_id"))
    fields.refuse({**nulls, "background": False, "input": "hi"})


@pytest.mark.parametrize(
    ("reasoning", "expected"),
    [
        (None, False),
        ({}, False),
        ({"summary": None}, False),
        ({"summary": "none"}, False),
        ({"summary": "auto"}, True),
        ({"generate_summary": "concise"}, True),
    ],
    ids=str,
)
def test_wants_summary(reasoning: Any, expected: bool) -> None:
    assert fields.wants_summary({"reasoning": reasoning}) is expected

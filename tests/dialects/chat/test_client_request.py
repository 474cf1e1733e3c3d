"""A chat client's request, to the hub."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import CompletionCreateParamsBase

from gateway.dialects import HUB_KEY, Translation
from gateway.dialects.chat.client_request import FATES, to_chat
from gateway.dialects.chat.context import ChatContext
from gateway.dialects.responses.from_chat import FATES as ON_RESPONSES
from gateway.dialects.responses.from_chat import from_chat
from gateway.errors import RequestError
from gateway.profile import Limits, Model, Terms

JSON = dict[str, Any]
ASK: JSON = {"role": "user", "content": "hi"}
TOOL: JSON = {"type": "function", "function": {"name": "f"}}


def make(terms: Terms | None = None, **members: Any) -> Translation:
    return to_chat({"model": "Alias", "messages": [ASK], **members}, terms or Terms(Model("m")))


FIELDS: dict[str, tuple[JSON, JSON]] = {
    "nothing": ({}, {}),
    "nulls": (dict.fromkeys(FATES, None) | {"model": "Alias", "messages": [ASK]}, {}),
    "limit": ({"max_tokens": 5}, {"max_tokens": 5}),
    "newer-limit": ({"max_tokens": 5, "max_completion_tokens": 7}, {"max_tokens": 7}),
    "limit-of-the-other-api": ({"max_output_tokens": 9.0}, {"max_tokens": 9}),
    "sampling": (
        {"temperature": 0.5, "top_p": 1, "logprobs": True, "top_logprobs": 2},
        {"temperature": 0.5, "top_p": 1, "logprobs": True, "top_logprobs": 2},
    ),
    "stream": (
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": {"include_usage": True}},
    ),
    "verbosity": ({"verbosity": "low"}, {"verbosity": "low"}),
    "format": ({"response_format": {"type": "json_object", "odd": 1}}, {"response_format": {"type": "json_object"}}),
    "schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True}}},
    ),
    "schema-flat-and-nameless": (
        {"response_format": {"type": "json_schema", "schema": {}, "description": "d"}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": {}, "description": "d"},
            }
        },
    ),
    "effort": ({"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    "reasoning": (
        {"reasoning": {"effort": "low", "summary": "concise"}},
        {"reasoning_effort": "low", "reasoning": {"summary": "concise"}},
    ),
    "older-summary": ({"reasoning": {"generate_summary": "auto"}}, {"reasoning": {"summary": "auto"}}),
    "no-summary": (
        {"reasoning_effort": "low", "reasoning": {"summary": "never", "mode": "pro"}},
        {"reasoning_effort": "low", "reasoning": {"summary": "none", "mode": "pro"}},
    ),
    "tools": ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": "auto"}),
    "copied": (
        {"seed": 1, "stop": ["a"], "metadata": {"a": "b"}, "user": "u", "top_k": 3, "store": True},
        {"seed": 1, "stop": ["a"], "metadata": {"a": "b"}, "user": "u", "top_k": 3, "store": True},
    ),
    "one-answer-in-text": ({"n": 1, "modalities": ["text"], HUB_KEY: {"x": 1}}, {}),
}


@pytest.mark.parametrize(("members", "hub"), FIELDS.values(), ids=FIELDS)
def test_a_field(members: JSON, hub: JSON) -> None:
    translation = make(**members)
    assert translation.body == {"model": "m", "messages": [ASK]} | hub
    assert translation.dropped == ()


def test_members_of_the_other_api_and_addresses_are_left_out_and_listed() -> None:
    translation = make(
        input="x", instructions="y", api_key="k", base_url="u", reasoning={"max_tokens": 5, "effort": "low"}
    )
    assert set(translation.dropped) == {"input", "instructions", "api_key", "base_url", "reasoning.max_tokens"}
    assert translation.body == {"model": "m", "messages": [ASK], "reasoning_effort": "low"}


def test_every_field_of_the_published_schema_has_a_fate() -> None:
    assert set(CompletionCreateParamsBase.__annotations__) - {"stream"} <= set(FATES)
    # What the hub then holds has one on the wire of Responses as well.
    of_the_hub = {name for name, fate in FATES.items() if fate == "copied"}
    assert of_the_hub <= set(ON_RESPONSES)


def test_the_history_is_settled() -> None:
    messages = make(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "system", "content": "b"},
            ASK,
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": ""}}]},
        ]
    ).body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[0]["content"] == "a\n\nb"


CONTEXTS: dict[str, tuple[JSON, ChatContext]] = {
    "plain": ({}, ChatContext("Alias")),
    "usage": ({"stream_options": {"include_usage": True}}, ChatContext("Alias", include_usage=True)),
    "legacy": ({"functions": [{"name": "f"}]}, ChatContext("Alias", legacy=True)),
    "custom": ({"tools": [{"type": "custom", "custom": {"name": "p"}}]}, ChatContext("Alias", custom=frozenset(["p"]))),
}


@pytest.mark.parametrize(("members", "context"), CONTEXTS.values(), ids=CONTEXTS)
def test_what_the_encoder_must_know(members: JSON, context: ChatContext) -> None:
    assert make(**members).context == context


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"model": None}, "model", "invalid_request_format"),
        ({"messages": None}, "messages", "invalid_request_format"),
        ({"messages": []}, "messages", "invalid_request_format"),
        ({"messages": {}}, "messages", "invalid_request_format"),
        ({"messages": [{"role": "assistant", "content": ""}]}, "messages", "invalid_request_format"),
        ({"messages": [ASK] * 4}, "messages", "too_many_input_items"),
        ({"messages": [{"role": "system", "content": "x" * 30}, ASK]}, "messages[0]", "instructions_too_large"),
        ({"messages": [{"role": "user", "content": "x" * 300}]}, "messages", "request_too_large"),
        ({"n": 2}, "n", "unsupported_parameter"),
        ({"n": 0}, "n", "invalid_request_format"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_audio"),
        ({"max_tokens": 0}, "max_tokens", "invalid_request_format"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens", "invalid_request_format"),
        ({"temperature": 3}, "temperature", "invalid_request_format"),
        ({"top_p": -1}, "top_p", "invalid_request_format"),
        ({"top_logprobs": 21}, "top_logprobs", "invalid_request_format"),
        ({"stream": "yes"}, "stream", "invalid_request_format"),
        ({"stream_options": 7}, "stream_options", "invalid_request_format"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "invalid_request_format"),
        ({"reasoning_effort": 7}, "reasoning_effort", "invalid_request_format"),
        ({"reasoning": "high"}, "reasoning", "invalid_request_format"),
        ({"reasoning": {"summary": 1}}, "reasoning.summary", "invalid_request_format"),
        ({"verbosity": 1}, "verbosity", "invalid_request_format"),
        ({"response_format": "json"}, "response_format", "invalid_request_format"),
        ({"response_format": {}}, "response_format.type", "invalid_request_format"),
        ({"response_format": {"type": "grammar"}}, "response_format.type", "unsupported_parameter"),
        ({"response_format": {"type": "json_schema"}}, "response_format.schema", "invalid_request_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": 1, "schema": {}}}},
            "response_format.json_schema.name",
            "invalid_request_format",
        ),
    ],
)
def test_a_fault_names_its_place(members: JSON, param: str, code: str) -> None:
    limits = Limits(max_input_items=3, max_instructions_bytes=20, max_text_bytes=200)
    with pytest.raises(RequestError) as caught:
        make(Terms(Model("m"), limits), **members)
    assert (caught.value.param, caught.value.code) == (param, code)


REASONS = Model("gpt-5")
DEFAULTS: dict[str, tuple[Terms, JSON, JSON]] = {
    "a-model-that-reasons": (Terms(REASONS), {}, {"reasoning_effort": "medium"}),
    "one-that-does-not": (Terms(Model("m")), {}, {}),
    "the-clients-effort-wins": (
        Terms(REASONS, effort="high"),
        {"reasoning_effort": "low"},
        {"reasoning_effort": "low"},
    ),
    "the-clients-summary-alone": (
        Terms(REASONS),
        {"reasoning": {"summary": "auto"}},
        {"reasoning": {"summary": "auto"}},
    ),
    "an-empty-setting-is-none": (Terms(REASONS), {"reasoning": {}}, {"reasoning_effort": "medium"}),
    "an-alias": (
        Terms(REASONS, effort="high", summary="detailed"),
        {},
        {"reasoning_effort": "high", "reasoning": {"summary": "detailed"}},
    ),
    "an-alias-of-summary-alone": (
        Terms(REASONS, summary="none"),
        {},
        {"reasoning_effort": "medium", "reasoning": {"summary": "none"}},
    ),
    "an-alias-and-the-clients-summary": (
        Terms(REASONS, effort="high", summary="none"),
        {"reasoning": {"summary": "auto"}},
        {"reasoning_effort": "high", "reasoning": {"summary": "auto"}},
    ),
}


@pytest.mark.parametrize(("terms", "members", "hub"), DEFAULTS.values(), ids=DEFAULTS)
def test_reasoning_by_default(terms: Terms, members: JSON, hub: JSON) -> None:
    assert make(terms, **members).body == {"model": terms.model.id, "messages": [ASK]} | hub


@pytest.mark.parametrize(
    ("terms", "members", "searches"),
    [
        (Terms(Model("m"), web_search=True), {}, True),
        (Terms(Model("m"), web_search=True), {"tools": [], "functions": []}, True),
        (Terms(Model("m"), web_search=True), {"tool_choice": "auto"}, True),
        (Terms(Model("m"), web_search=False), {}, False),
        (Terms(Model("m"), web_search=True), {"tools": [TOOL]}, False),
        (Terms(Model("m"), web_search=True), {"functions": [{"name": "f"}]}, False),
        (Terms(Model("m"), web_search=True), {"tool_choice": "none"}, False),
        (Terms(Model("m"), web_search=True), {"function_call": "none"}, False),
        (Terms(Model("m"), web_search=True), {"web_search_options": {}}, False),
        (Terms(Model("m"), web_search=True), {"reasoning_effort": "minimal"}, False),
        (Terms(Model("m", features=frozenset(["reasoning"])), web_search=True), {"reasoning_effort": "low"}, False),
        (Terms(Model("m", features=frozenset(["tools"])), web_search=True), {}, True),
    ],
)
def test_web_search_by_default(terms: Terms, members: JSON, searches: bool) -> None:
    assert (HUB_KEY in make(terms, **members).body) is searches


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "x", "auto", "function", "text", "user"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "name", "text", "role", "content", "function", "id", "tool_calls", "image_url"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(FATES)), _ANY, max_size=5), _ANY)
def test_whatever_is_sent_is_taken_or_refused(members: JSON, message: Any) -> None:
    """And what was taken can be spelled for the upstream."""
    try:
        hub = make(**{**members, "model": "m", "messages": [message, ASK]}).body
    except RequestError as error:
        assert error.param
        return
    from_chat(hub, Model("m"))


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(["tools", "functions", "tool_choice", "function_call", "reasoning"]), _ANY))
def test_whatever_is_sent_of_tools_is_taken_or_refused(members: JSON) -> None:
    try:
        hub = make(**members).body
    except RequestError:
        return
    from_chat(hub, Model("m"))

"""`gateway.dialects.messages.request`: whole requests, the fate of every member, limits, and broken bodies."""

from __future__ import annotations

import copy
import typing
from dataclasses import replace
from typing import Any

import orjson
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_params
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import tokens
from gateway.dialects import Translation
from gateway.dialects.messages.request import COPIED, to_chat
from gateway.dialects.messages.tools import short_name
from gateway.errors import RequestError
from gateway.profile import Limits, Model, Terms

MODEL = Model("vendor/Model-1")
TERMS = Terms(MODEL)
HELLO: Any = {"role": "user", "content": "hello"}
TOOL: Any = {"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object", "properties": {}}}
LONG = "mcp__" + "x" * 80


def body(**members: Any) -> Any:
    return {"model": "claude-opus-4-8", "max_tokens": 100, "messages": [HELLO], **members}


def hub(terms: Terms = TERMS, **members: Any) -> Any:
    return to_chat(body(**members), terms).body


def test_smallest_request() -> None:
    translation = to_chat(body(), TERMS)
    assert translation.body == {"model": "vendor/Model-1", "messages": [HELLO], "max_tokens": 100}
    assert translation.context.model == "claude-opus-4-8"
    assert translation.context.input_tokens == tokens.count_chat(translation.body)
    assert translation.dropped == ()


def test_a_body_to_count_needs_no_max_tokens() -> None:
    counted = to_chat({"model": "m", "messages": [HELLO], "tools": [TOOL]}, TERMS).body
    assert "max_tokens" not in counted
    assert tokens.count_chat(counted) == pytest.approx(30, abs=15)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({"stream": True}, {"stream": True}, id="stream"),
        pytest.param({"stream": False}, {"stream": False}, id="whole"),
        pytest.param(
            {"temperature": 0.5, "top_p": 1, "top_k": 40.0},
            {"temperature": 0.5, "top_p": 1, "top_k": 40},
            id="sampling",
        ),
        pytest.param({"stop_sequences": ["a", "", "b"]}, {"stop": ["a", "b"]}, id="stop"),
        pytest.param({"stop_sequences": []}, {}, id="no-stop"),
        pytest.param({"seed": 4, "min_p": None}, {"seed": 4}, id="values-of-chat-servers"),
        pytest.param({"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}, id="effort"),
        pytest.param(
            {"output_config": {"effort": "high"}, "reasoning_effort": "low"},
            {"reasoning_effort": "low"},
            id="own-effort",
        ),
        pytest.param(
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}},
                }
            },
            id="format",
        ),
        pytest.param(
            {"output_format": {"type": "json_schema", "schema": {}}},
            {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}}},
            id="older-format",
        ),
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "Bash",
                            "description": "Runs a command.",
                            "parameters": {"type": "object", "properties": {}},
                        },
                    }
                ],
                "tool_choice": "required",
                "parallel_tool_calls": False,
            },
            id="tools",
        ),
        pytest.param({"tools": [], "tool_choice": {"type": "auto"}}, {}, id="no-tools"),
        pytest.param({"max_tokens": None}, {"max_tokens": ...}, id="no-max-tokens"),
    ],
)
def test_members(members: Any, expected: Any) -> None:
    found = hub(**members)
    assert {key: found.get(key, ...) for key in expected} == expected
    assert set(found) - set(expected) <= {"model", "messages", "max_tokens"}


def test_system_comes_first() -> None:
    messages = hub(system=[{"type": "text", "text": "Be kind."}])["messages"]
    assert messages[0] == {"role": "system", "content": "Be kind."}


def test_long_tool_names_come_back() -> None:
    context = to_chat(body(tools=[TOOL, {"name": LONG}]), TERMS).context
    assert dict(context.tools) == {short_name(LONG): LONG}


DROPPED: Any = {
    "metadata": {"user_id": "u"},
    "service_tier": "auto",
    "container": "c",
    "diagnostics": {"previous_message_id": None},
    "inference_geo": "us",
    "speed": "fast",
    "context_management": {"edits": []},
    "mcp_servers": [],
    "fallbacks": [],
    "fallback_credit_token": "t",
    "billing_policy": {},
    "compaction": {},
    "thread": {"type": "create"},
    "betas": ["x"],
    "user_profile_id": "u",
    "workspace_id": "w",
    "prefill": "x",
}
SILENT: Any = {"cache_control": {"type": "ephemeral"}}
TRANSLATED: Any = {
    "model": "other",
    "messages": [{"role": "user", "content": "other"}],
    "system": "Be kind.",
    "max_tokens": 7,
    "stream": True,
    "stop_sequences": ["END"],
    "temperature": 0.1,
    "top_p": 0.1,
    "top_k": 3,
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "low"},
    "output_format": {"type": "json_schema", "schema": {}},
    "tools": [TOOL],
    "tool_choice": {"type": "any"},
}


def _members_of_the_sdk() -> set[str]:
    classes = (
        message_create_params.MessageCreateParamsStreaming,
        message_create_params.MessageCreateParamsNonStreaming,
        beta_params.MessageCreateParamsStreaming,
        message_count_tokens_params.MessageCountTokensParams,
    )
    return {name for one in classes for name in typing.get_type_hints(one)}


@pytest.mark.parametrize("member", sorted(_members_of_the_sdk() | set(TRANSLATED)))
def test_fate(member: str) -> None:
    """Every member of the SDK's requests has one fate."""
    plain = to_chat(body(tools=[TOOL]), TERMS)
    if member in DROPPED or member in SILENT:
        translation = to_chat(body(tools=[TOOL], **{member: (DROPPED | SILENT)[member]}), TERMS)
        assert translation.body == plain.body
        assert translation.dropped == ((member,) if member in DROPPED else ())
        return
    assert member in TRANSLATED, f"{member} has no fate"
    without = body(tools=[TOOL]) if member != "tools" else body()
    first, second = to_chat(without, TERMS), to_chat({**without, member: TRANSLATED[member]}, TERMS)
    assert (first.body, first.context) != (second.body, second.context)
    assert second.dropped == ()


@pytest.mark.parametrize("member", [*DROPPED, *SILENT, *TRANSLATED, *COPIED])
def test_null_counts_as_absent(member: str) -> None:
    try:
        translation = to_chat(body(**{member: None}), TERMS)
    except RequestError as error:
        assert member in ("model", "messages")
        assert error.param == member
    else:
        without = body()
        without.pop(member, None)
        assert translation == to_chat(without, TERMS)


def test_unknown_members_are_listed() -> None:
    translation = to_chat(body(novelty=1, thinking={"type": "adaptive", "display": "omitted"}), TERMS)
    assert translation.dropped == ("novelty", "thinking.display")
    assert "novelty" not in translation.body


def test_what_is_left_out_is_listed_in_order() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    translation = to_chat(
        body(
            messages=[{"role": "user", "content": [{"type": "container_upload"}, {"type": "text", "text": "a"}]}],
            tools=[search],
            tool_choice={"type": "tool", "name": "web_search"},
            metadata={},
        ),
        TERMS,
    )
    assert translation.dropped == ("messages[0].content[0]", "tools[0]", "tool_choice", "metadata")
    assert set(translation.body) == {"model", "messages", "max_tokens"}


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        pytest.param(MODEL, 64000, 64000, id="nothing-known"),
        pytest.param(replace(MODEL, max_output_tokens=8192), 64000, 8192, id="limit"),
        pytest.param(replace(MODEL, max_output_tokens=8192), 100, 100, id="below-limit"),
        pytest.param(replace(MODEL, context_window=32768), 64000, 32768 - 4 - 256, id="window"),
        pytest.param(replace(MODEL, context_window=32768), 20000, 20000, id="fits-window"),
        pytest.param(replace(MODEL, context_window=1000), 64000, 1024, id="window-full"),
        pytest.param(replace(MODEL, context_window=1000), 10, 10, id="window-full-but-little-asked"),
    ],
)
def test_max_tokens_fit_the_model(model: Model, asked: int, expected: int) -> None:
    assert hub(Terms(model), max_tokens=asked)["max_tokens"] == expected


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        pytest.param({"model": ""}, "model", None, id="model"),
        pytest.param({"messages": []}, "messages", None, id="no-messages"),
        pytest.param({"messages": {}}, "messages", None, id="messages"),
        pytest.param({"messages": [{"role": "assistant", "content": ""}]}, "messages", None, id="nothing-said"),
        pytest.param({"messages": [HELLO] * 4}, "messages", "too_many_input_items", id="too-many-messages"),
        pytest.param({"system": "s" * 101}, "system", "instructions_too_large", id="system-too-large"),
        pytest.param(
            {"messages": [{"role": "user", "content": "é" * 101}]}, "messages", "request_too_large", id="text"
        ),
        pytest.param({"max_tokens": 0}, "max_tokens", None, id="max-tokens-zero"),
        pytest.param({"max_tokens": "9"}, "max_tokens", None, id="max-tokens"),
        pytest.param({"stream": 1}, "stream", None, id="stream"),
        pytest.param({"temperature": 3}, "temperature", None, id="temperature"),
        pytest.param({"top_p": -1}, "top_p", None, id="top-p"),
        pytest.param({"top_k": 1.5}, "top_k", None, id="top-k"),
        pytest.param({"stop_sequences": "a"}, "stop_sequences", None, id="stop"),
        pytest.param({"stop_sequences": ["a", 1]}, "stop_sequences[1]", None, id="stop-entry"),
        pytest.param({"output_config": {"format": 1}}, "output_config.format", None, id="format"),
        pytest.param({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type", None, id="form"),
        pytest.param(
            {"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema", None, id="no-schema"
        ),
        pytest.param({"thread": {"type": "continue"}}, "thread", "unsupported_thread", id="thread"),
        pytest.param({"thread": 1}, "thread", None, id="odd-thread"),
    ],
)
def test_faults(members: Any, param: str, code: str | None) -> None:
    terms = Terms(MODEL, Limits(max_text_bytes=200, max_instructions_bytes=100, max_input_items=3))
    with pytest.raises(RequestError) as raised:
        to_chat(body(**members), terms)
    assert raised.value.param == param
    assert code in (None, raised.value.code)
    assert raised.value.status == (413 if code == "request_too_large" else 400)


def test_images_do_not_count_as_text() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 1000}}
    terms = Terms(MODEL, Limits(max_text_bytes=10))
    assert to_chat(body(messages=[{"role": "user", "content": [image]}]), terms).body["messages"]


# --- sessions as Claude Code holds them --------------------------------------------------------------------


def _ephemeral(words: str) -> Any:
    return {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}


def session(turns: int, version: str = "2.1.197.c40") -> Any:
    """A session of so many turns: each asks, calls two tools and sees their results."""
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "<system-reminder>\nx\n</system-reminder>"}]},
        {"role": "system", "content": "Available agent types: …"},
    ]
    messages[0]["content"].append({"type": "text", "text": "run echo"})
    for turn in range(turns):
        calls = [
            {"type": "tool_use", "id": f"call_{turn}_{n}", "name": "Bash", "input": {"command": f"echo {n}"}}
            for n in range(2)
        ]
        thought = {"type": "thinking", "thinking": f"Turn {turn}.", "signature": "gateway1"}
        messages.append({"role": "assistant", "content": [thought, {"type": "text", "text": "Running."}, *calls]})
        results = [
            {"type": "tool_result", "tool_use_id": f"call_{turn}_{n}", "content": str(n), "is_error": n == 1}
            for n in range(2)
        ]
        messages.append({"role": "user", "content": results})
    messages[-1] = copy.deepcopy(messages[-1])
    if isinstance(messages[-1]["content"], list):
        messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}
    return {
        "model": "claude-opus-4-8",
        "messages": messages,
        "metadata": {"user_id": '{"session_id":"0"}'},
        "max_tokens": 64000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
        "system": [
            {"type": "text", "text": f"x-anthropic-billing-header: cc_version={version}; cc_entrypoint=sdk-cli;"},
            _ephemeral("You are an agent."),
            _ephemeral("\nYou help with software."),
        ],
        "tools": [TOOL, {"name": "DeferredToolPlaceholder", "input_schema": {}, "defer_loading": True}],
    }


def test_session() -> None:
    translation = to_chat(session(1), TERMS)
    messages = translation.body["messages"]
    assert messages[0] == {"role": "system", "content": "You are an agent.\n\n\nYou help with software."}
    assert messages[-3]["content"] == "Running."
    assert messages[-3]["reasoning_content"] == "Turn 0."
    assert [call["id"] for call in messages[-3]["tool_calls"]] == ["call_0_0", "call_0_1"]
    assert [m["role"] for m in messages[-2:]] == ["tool", "tool"]
    assert [m["content"] for m in messages[-2:]] == ["0", "[tool error]\n1"]
    assert [t["function"]["name"] for t in translation.body["tools"]] == ["Bash"]
    assert translation.dropped == ("metadata", "context_management")
    assert translation.body["reasoning_effort"] == "high"


def test_the_prompt_keeps_its_beginning() -> None:
    """Each turn's messages begin with those of the turn before, byte for byte, in every conversation."""
    before = orjson.dumps(hub_messages(session(3)))[:-1]
    after = orjson.dumps(hub_messages(session(4, "2.1.197.b60")))
    assert after.startswith(before)
    assert to_chat(session(3), TERMS).body["tools"] == to_chat(session(4), TERMS).body["tools"]


def hub_messages(request: Any) -> Any:
    return to_chat(request, TERMS).body["messages"]


def test_prefill_stays_last() -> None:
    messages = hub(messages=[HELLO, {"role": "assistant", "content": "The best answer is ("}])["messages"]
    assert messages[-1] == {"role": "assistant", "content": "The best answer is ("}


def test_subagent_of_a_reasoning_model_does_not_think() -> None:
    request = {**session(1), "thinking": {"type": "disabled"}}
    terms = Terms(replace(MODEL, features=frozenset({"reasoning", "tools"})))
    assert to_chat(request, terms).body["reasoning_effort"] == "none"


# --- broken bodies -----------------------------------------------------------------------------------------


def _rich() -> Any:
    request = session(2)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    document = {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}
    reference = {"type": "tool_reference", "tool_name": "adder"}
    request["messages"] += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c9", "name": LONG, "input": {"a": [1]}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c9", "content": [reference, image]}]},
        {"role": "system", "content": [_ephemeral("late")], "output_config": {"effort": "low"}},
        {"role": "user", "content": [document, image, _ephemeral("and now?")]},
    ]
    request["tool_choice"] = {"type": "tool", "name": "Bash", "disable_parallel_tool_use": True}
    request["output_config"] = {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}}
    request["stop_sequences"] = ["END"]
    request["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    return request


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        found += _places(inner, (*path, key))
    return found


RICH = _rich()
PLACES = _places(RICH)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "content", "source", "name", "role"]), inner, max_size=3)
    ),
    max_leaves=4,
)


def _with(place: tuple[Any, ...], value: Any, *, remove: bool = False) -> Any:
    broken = copy.deepcopy(RICH)
    holder = broken
    for key in place[:-1]:
        holder = holder[key]
    if remove:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return broken


def attempt(request: Any) -> RequestError | Translation:
    before = copy.deepcopy(request)
    try:
        return to_chat(request, TERMS)
    except RequestError as error:
        assert error.param
        return error
    finally:
        assert request == before


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PLACES), VALUES)
def test_a_mutated_body_is_translated_or_refused(place: tuple[Any, ...], value: Any) -> None:
    attempt(_with(place, value))


@pytest.mark.parametrize("value", [None, 7, "", "x", [], {}, True, [None], {"type": None}], ids=repr)
def test_any_member_may_have_any_type(value: Any) -> None:
    for place in PLACES:
        attempt(_with(place, value))


def test_any_member_may_be_missing() -> None:
    for place in PLACES:
        attempt(_with(place, None, remove=True))


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from([*TRANSLATED, *DROPPED]), VALUES))
def test_any_body(request: Any) -> None:
    attempt({"model": "m", "messages": [HELLO], **request})

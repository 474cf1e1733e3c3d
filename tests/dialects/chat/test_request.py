"""A hub body as it leaves for the upstream, and what a relayed body must change."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects import HUB_KEY
from gateway.dialects.chat.request import for_upstream, relay_edits
from gateway.json_edit import edit_members
from gateway.profile import Model

JSON = dict[str, Any]

MODEL = Model("m")
COMPLETION = replace(MODEL, max_tokens_field="max_completion_tokens")
THINK = replace(MODEL, reasoning_replay="think")
OFF = replace(MODEL, reasoning_replay="off")
PLACEHOLDER = replace(MODEL, reasoning_placeholder="(lost)")

TOOL = {"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}
STRICT = {"type": "function", "function": {"name": "run", "strict": True, "parameters": {}}}
CALLS = [{"id": "a", "type": "function", "function": {"name": "run", "arguments": "{}"}}]
USAGE = {"include_usage": True}

FIELDS: dict[str, tuple[JSON, Model, set[str], JSON]] = {
    "plain": ({"model": "m", "temperature": 0, "seed": 1}, MODEL, set(), {"model": "m", "temperature": 0, "seed": 1}),
    "nulls": ({"temperature": None, "stop": None, "stream": None}, MODEL, set(), {}),
    "private": ({HUB_KEY: {"a": 1}, "n": 1}, MODEL, set(), {"n": 1}),
    # the answer's length
    "max-tokens": ({"max_tokens": 5}, MODEL, set(), {"max_tokens": 5}),
    "max-tokens-renamed": ({"max_tokens": 5}, COMPLETION, set(), {"max_completion_tokens": 5}),
    "max-completion-tokens": ({"max_completion_tokens": 5}, MODEL, set(), {"max_tokens": 5}),
    "both-limits": ({"max_completion_tokens": 6, "max_tokens": 5}, COMPLETION, set(), {"max_completion_tokens": 5}),
    "null-limit": ({"max_tokens": None, "max_completion_tokens": 6}, MODEL, set(), {"max_tokens": 6}),
    # tools
    "tools": (
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
        MODEL,
        set(),
        {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
    ),
    "empty-tools": ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": False}, MODEL, set(), {}),
    "no-tools": ({"tool_choice": "none", "parallel_tool_calls": True}, MODEL, set(), {}),
    "null-tools": ({"tools": None, "tool_choice": "auto"}, MODEL, set(), {}),
    "strict": ({"tools": [STRICT]}, MODEL, set(), {"tools": [STRICT]}),
    "strict-refused": (
        {"tools": [STRICT, TOOL, {"type": "other"}]},
        MODEL,
        {"strict"},
        {"tools": [{"type": "function", "function": {"name": "run", "parameters": {}}}, TOOL, {"type": "other"}]},
    ),
    # what an upstream refused
    "refused": ({"verbosity": "low", "seed": 1}, MODEL, {"verbosity"}, {"seed": 1}),
    "refused-and-not-there": ({"seed": 1}, MODEL, {"verbosity"}, {"seed": 1}),
    "choice-refused": ({"tools": [TOOL], "tool_choice": "auto"}, MODEL, {"tool_choice"}, {"tools": [TOOL]}),
    "logprobs-refused": ({"logprobs": True, "top_logprobs": 2}, MODEL, {"logprobs"}, {}),
    "required-stay": (
        {"model": "m", "messages": [], "stream": False},
        MODEL,
        {"model", "messages", "stream"},
        {"model": "m", "messages": [], "stream": False},
    ),
    # usage
    "stream": ({"stream": True}, MODEL, set(), {"stream": True, "stream_options": USAGE}),
    "stream-with-options": (
        {"stream_options": {"x": 1, "include_usage": False}, "stream": True},
        MODEL,
        set(),
        {"stream": True, "stream_options": {"x": 1, "include_usage": True}},
    ),
    "stream-with-wrong-options": (
        {"stream_options": [], "stream": True},
        MODEL,
        set(),
        {"stream": True, "stream_options": USAGE},
    ),
    "whole": ({"stream": False, "stream_options": USAGE}, MODEL, set(), {"stream": False}),
    "whole-by-default": ({"stream_options": USAGE}, MODEL, set(), {}),
    "options-refused": ({"stream": True, "stream_options": USAGE}, MODEL, {"stream_options"}, {"stream": True}),
}


@pytest.mark.parametrize(("body", "model", "omit", "sent"), FIELDS.values(), ids=FIELDS.keys())
def test_fields(body: JSON, model: Model, omit: set[str], sent: JSON) -> None:
    before = copy.deepcopy(body)
    upstream = for_upstream(body, model, frozenset(omit))
    assert upstream == sent
    assert body == before
    assert for_upstream(upstream, model, frozenset(omit)) == sent


@pytest.mark.parametrize(
    ("levels", "effort", "sent"),
    [
        (None, "high", "high"),
        (None, "a lot", "a lot"),
        (("low", "high"), "high", "high"),
        (("low", "high"), "medium", "high"),
        (("low", "high"), "minimal", "low"),
        (("low", "high"), "none", "low"),
        (("low", "high"), "ultra", "high"),
        (("low", "medium", "high"), "xhigh", "high"),
        (("high", "max"), "low", "high"),
        (("high", "max"), "xhigh", "max"),
        (("none", "high"), "minimal", "none"),
        (("none", "high"), "low", "high"),
        (("low", "deep"), "deep", "deep"),
        (("low", "deep"), "max", "low"),
        (("low", "high"), "a lot", None),
        (("deep",), "high", None),
        ((), "high", None),
        (("low", "high"), {"a": 1}, None),
    ],
)
def test_effort(levels: tuple[str, ...] | None, effort: Any, sent: str | None) -> None:
    upstream = for_upstream({"reasoning_effort": effort}, replace(MODEL, reasoning_levels=levels))
    assert upstream == ({} if sent is None else {"reasoning_effort": sent})


def assistant(content: Any = None, **members: Any) -> JSON:
    return {"role": "assistant", "content": content, **members}


MESSAGES: dict[str, tuple[JSON, Model, set[str], JSON]] = {
    "field": (assistant("t", reasoning_content="r"), MODEL, set(), assistant("t", reasoning_content="r")),
    "field-refused": (assistant("t", reasoning_content="r"), MODEL, {"reasoning_content"}, assistant("t")),
    "think": (assistant("t", reasoning_content="r"), THINK, set(), assistant("<think>\nr\n</think>\n\nt")),
    "think-before-call": (
        assistant(reasoning_content="r", tool_calls=CALLS),
        THINK,
        set(),
        assistant("<think>\nr\n</think>\n\n", tool_calls=CALLS),
    ),
    "think-before-parts": (
        assistant([{"type": "text", "text": "t"}], reasoning_content="r"),
        THINK,
        set(),
        assistant([{"type": "text", "text": "<think>\nr\n</think>\n\n"}, {"type": "text", "text": "t"}]),
    ),
    "off": (assistant("t", reasoning_content="r"), OFF, set(), assistant("t")),
    "empty": (assistant("t", reasoning_content=""), MODEL, set(), assistant("t")),
    "placeholder": (
        assistant(tool_calls=CALLS),
        PLACEHOLDER,
        set(),
        assistant(tool_calls=CALLS, reasoning_content="(lost)"),
    ),
    "placeholder-as-think": (
        assistant(tool_calls=CALLS),
        replace(PLACEHOLDER, reasoning_replay="think"),
        set(),
        assistant("<think>\n(lost)\n</think>\n\n", tool_calls=CALLS),
    ),
    "placeholder-off": (
        assistant(tool_calls=CALLS),
        replace(PLACEHOLDER, reasoning_replay="off"),
        set(),
        assistant(tool_calls=CALLS),
    ),
    "placeholder-not-needed": (
        assistant(tool_calls=CALLS, reasoning_content="r"),
        PLACEHOLDER,
        set(),
        assistant(tool_calls=CALLS, reasoning_content="r"),
    ),
    "placeholder-only-with-calls": (assistant("t"), PLACEHOLDER, set(), assistant("t")),
    "private": (assistant("t", **{HUB_KEY: {"sealed": "x"}}), MODEL, set(), assistant("t")),
    "private-of-a-user": (
        {"role": "user", "content": "a", HUB_KEY: {}},
        MODEL,
        set(),
        {"role": "user", "content": "a"},
    ),
}


@pytest.mark.parametrize(("message", "model", "omit", "sent"), MESSAGES.values(), ids=MESSAGES.keys())
def test_messages(message: JSON, model: Model, omit: set[str], sent: JSON) -> None:
    before = copy.deepcopy(message)
    first = {"role": "user", "content": "hi"}
    upstream = for_upstream({"messages": [first, message]}, model, frozenset(omit))
    assert upstream == {"messages": [first, sent]}
    assert message == before
    assert upstream["messages"][0] is first, "what stays is not copied"


def test_order_is_kept() -> None:
    body = {"model": "m", "messages": [], "tools": [TOOL], "temperature": 1, "max_tokens": 5, "stream": True}
    names = list(for_upstream(body, COMPLETION))
    assert names == ["model", "messages", "tools", "temperature", "stream", "max_completion_tokens", "stream_options"]
    assert orjson.dumps(for_upstream(body, MODEL)) == orjson.dumps(for_upstream(dict(body), MODEL))


def test_a_large_body_costs_little() -> None:
    text = "x" * 5000
    messages = [
        assistant(text, reasoning_content="r") if n % 2 else {"role": "user", "content": text} for n in range(10_000)
    ]
    body = {"messages": messages, "stream": True}
    began = time.process_time()
    for_upstream(body, MODEL)
    assert time.process_time() - began < 0.5


# --- relayed bodies ----------------------------------------------------------------------------------------

RELAYED: dict[str, tuple[JSON, str | None, JSON]] = {
    "nothing": ({"model": "m", "messages": []}, "m", {}),
    "alias": ({"model": "alias", "messages": []}, "m", {"model": "m"}),
    "case": ({"model": "QWEN"}, "Qwen", {"model": "Qwen"}),
    "no-model": ({"messages": []}, None, {}),
    "model-not-added": ({"messages": []}, "m", {}),
    "odd-model-stays": ({"model": 5}, None, {}),
    "tools": ({"model": "m", "tools": [TOOL], "tool_choice": "auto"}, "m", {}),
    "empty-tools": ({"model": "m", "tools": []}, "m", {"tools": None}),
    "null-tools": ({"model": "m", "tools": None}, "m", {"tools": None}),
    "empty-tools-and-choice": (
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        None,
        {"tools": None, "tool_choice": None},
    ),
    "choice-alone": ({"tool_choice": "auto"}, None, {"tool_choice": None}),
    "odd-tools-stay": ({"tools": {}, "tool_choice": 1}, None, {}),
    "functions-stay": ({"functions": [], "function_call": "auto", "stream": None}, None, {}),
    "all": ({"model": "a", "tools": [], "tool_choice": {}}, "m", {"model": "m", "tools": None, "tool_choice": None}),
}


@pytest.mark.parametrize(("body", "model_id", "edits"), RELAYED.values(), ids=RELAYED.keys())
def test_relay_edits(body: JSON, model_id: str | None, edits: JSON) -> None:
    before = copy.deepcopy(body)
    assert relay_edits(body, model_id) == edits
    assert body == before


def test_an_edited_body_keeps_its_other_bytes() -> None:
    raw = (
        b'{ "tools": [],\n  "model": "ALIAS", "messages": [ {"role":"user", "content":"\\u0041"} ], "tool_choice":"" }'
    )
    edits = relay_edits(orjson.loads(raw), "m")
    changes = {name: None if value is None else orjson.dumps(value) for name, value in edits.items()}
    edited = edit_members(raw, changes)
    assert edited == b'{\n  "model": "m", "messages": [ {"role":"user", "content":"\\u0041"} ]}'
    assert relay_edits(orjson.loads(edited), "m") == {}


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=2) | st.just([]) | st.just({}) | st.just([TOOL])
NAMES = st.sampled_from(
    ["model", "tools", "tool_choice", "stream", "stream_options", "max_tokens", "reasoning_effort", HUB_KEY, "x"]
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(NAMES, VALUES), st.frozensets(NAMES))
def test_any_plain_members(body: JSON, omit: frozenset[str]) -> None:
    before = copy.deepcopy(body)
    relay_edits(body, "m")
    upstream = for_upstream(body, replace(MODEL, reasoning_levels=("low",)), omit)
    assert body == before
    assert None not in upstream.values()
    assert HUB_KEY not in upstream
    assert for_upstream(upstream, replace(MODEL, reasoning_levels=("low",)), omit) == upstream

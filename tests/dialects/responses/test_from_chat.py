"""A hub body as a Responses request."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseInputItemParam, ToolParam
from pydantic import TypeAdapter

from gateway.dialects import HUB_KEY
from gateway.dialects.chat.request import for_upstream
from gateway.dialects.responses.from_chat import FATES, fitted, from_chat, unsent
from gateway.dialects.responses.request import to_chat
from gateway.profile import Model, Terms

JSON = dict[str, Any]
MODEL = fitted(Model("m"))
ASK = {"role": "user", "content": "hi"}
ASKED = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CUSTOM = {"type": "custom", "custom": {"name": "patch"}}


def assistant(content: str | None = None, **members: Any) -> JSON:
    return {"role": "assistant", "content": content, **members}


def called(id: str = "c", name: str = "f", arguments: str = "{}") -> JSON:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def output(id: str = "c", content: str = "done") -> JSON:
    return {"role": "tool", "tool_call_id": id, "content": content}


def said(text: str) -> JSON:
    return {"type": "message", "role": "assistant", "content": text}


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "done"}
THOUGHT = {
    "type": "reasoning",
    "id": "rs_b82e2178ecf4d0c5859dc2e1",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "hm"}],
}


def make(omit: set[str] = frozenset(), model: Model = MODEL, **hub: Any) -> JSON:  # type: ignore[assignment]
    return from_chat({"model": "m", "messages": [ASK], **hub}, model, frozenset(omit))


CONVERSATIONS: dict[str, tuple[list[JSON], list[JSON]]] = {
    "text": ([ASK], [ASKED]),
    "instructions-alone": (
        [{"role": "system", "content": "Be kind."}],
        [{"type": "message", "role": "system", "content": [{"type": "input_text", "text": "Be kind."}]}],
    ),
    "later-instruction": (
        [ASK, {"role": "developer", "content": "Be brief."}, ASK],
        [
            ASKED,
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            ASKED,
        ],
    ),
    "answer": ([ASK, assistant("Hello."), ASK], [ASKED, said("Hello."), ASKED]),
    "call": (
        [ASK, assistant("I look.", tool_calls=[called()]), output()],
        [ASKED, said("I look."), CALL, RESULT],
    ),
    "parallel-calls": (
        [ASK, assistant(tool_calls=[called(), called("d")]), output(), output("d")],
        [ASKED, CALL, {**CALL, "call_id": "d"}, RESULT, {**RESULT, "call_id": "d"}],
    ),
    "custom-call": (
        [ASK, assistant(tool_calls=[called("c", "patch", '{"input": "a\\nb"}')]), output()],
        [
            ASKED,
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "a\nb"},
            {"type": "custom_tool_call_output", "call_id": "c", "output": "done"},
        ],
    ),
    "custom-call-with-odd-arguments": (
        [ASK, assistant(tool_calls=[called("c", "patch", "{}"), called("d", "patch", '{"input": 1}')])],
        [
            ASKED,
            {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "{}"},
            {"type": "custom_tool_call", "call_id": "d", "name": "patch", "input": '{"input": 1}'},
        ],
    ),
    "reasoning": ([ASK, assistant("Hi.", reasoning_content="hm")], [ASKED, THOUGHT, said("Hi.")]),
    "sealed-reasoning": (
        [ASK, assistant("Hi.", reasoning_content="hm", **{HUB_KEY: {"sealed": ["x", "y"]}})],
        [
            ASKED,
            {"type": "reasoning", "summary": [], "encrypted_content": "x"},
            {"type": "reasoning", "summary": [], "encrypted_content": "y"},
            said("Hi."),
        ],
    ),
    "image": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x", "detail": "low"}}]}],
        [{**ASKED, "content": [{"type": "input_image", "image_url": "data:x", "detail": "low"}]}],
    ),
    "image-without-detail": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}],
        [{**ASKED, "content": [{"type": "input_image", "image_url": "data:x", "detail": "auto"}]}],
    ),
    "file": (
        [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file", "file": {"file_id": "f-1"}}]}],
        [{**ASKED, "content": [{"type": "input_text", "text": "a"}, {"type": "input_file", "file_id": "f-1"}]}],
    ),
    "what-chat-has-no-part-for": (
        [{"role": "user", "content": [{"type": "file", "file": {}, HUB_KEY: {"file_url": "https://a"}}]}],
        [{**ASKED, "content": [{"type": "input_file", "file_url": "https://a"}]}],
    ),
}


@pytest.mark.parametrize(("messages", "items"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation(messages: list[JSON], items: list[JSON]) -> None:
    request = make(messages=messages, tools=[TOOL, CUSTOM])
    assert request["input"] == items
    assert "instructions" not in request
    # The type asks for the ids of sealed reasoning as well; the server has never wanted them.
    named = [{"id": "rs_1", **item} if "encrypted_content" in item else item for item in request["input"]]
    TypeAdapter(list[ResponseInputItemParam]).validate_python(named)


@pytest.mark.parametrize("role", ["system", "developer"])
def test_the_head_becomes_the_instructions(role: str) -> None:
    request = make(messages=[{"role": role, "content": "Be kind."}, ASK])
    assert request["instructions"] == "Be kind."
    assert request["input"] == [ASKED]


@pytest.mark.parametrize(
    ("replay", "omit", "items"),
    [
        ("field", set(), [THOUGHT, said("Hi.")]),
        ("field", {"reasoning_content"}, [said("Hi.")]),
        ("think", set(), [said("<think>\nhm\n</think>\n\nHi.")]),
        ("off", set(), [said("Hi.")]),
    ],
)
def test_earlier_reasoning_goes_back_as_the_model_wants_it(replay: Any, omit: set[str], items: list[JSON]) -> None:
    model = Model("m", reasoning_replay=replay)
    request = make(omit, model, messages=[ASK, assistant("Hi.", reasoning_content="hm")])
    assert request["input"][1:] == items


SEARCH = {"type": "web_search"}
FLAT = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False}
FIELDS: dict[str, tuple[JSON, set[str], JSON]] = {
    "nothing": ({}, set(), {}),
    "tools": ({"tools": [TOOL]}, set(), {"tools": [FLAT]}),
    "tool-of-few-words": ({"tools": [{"type": "function", "function": {"name": "f"}}]}, set(), {"tools": [FLAT]}),
    "tool-of-many-words": (
        {"tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": True}}]},
        set(),
        {"tools": [{**FLAT, "description": "d", "strict": True}]},
    ),
    "custom-tool": (
        {"tools": [{"type": "custom", "custom": {"name": "p", "description": None, "format": {"type": "text"}}}]},
        set(),
        {"tools": [{"type": "custom", "name": "p", "format": {"type": "text"}}]},
    ),
    "custom-tool-with-a-grammar": (
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "p",
                        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "s"}},
                    },
                }
            ]
        },
        set(),
        {
            "tools": [
                {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "s"}}
            ]
        },
    ),
    "served-tool": ({"tools": [SEARCH]}, set(), {"tools": [SEARCH]}),
    "search-added": ({HUB_KEY: {"web_search": True}}, set(), {"tools": [SEARCH]}),
    "search-refused": ({HUB_KEY: {"web_search": True}}, {"web_search"}, {}),
    "choice": ({"tools": [TOOL], "tool_choice": "auto"}, set(), {"tools": [FLAT], "tool_choice": "auto"}),
    "choice-of-one": (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        set(),
        {"tools": [FLAT], "tool_choice": {"type": "function", "name": "f"}},
    ),
    "choice-of-some": (
        {
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        },
        set(),
        {
            "tools": [FLAT],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        },
    ),
    "choice-of-a-served-tool": (
        {"tools": [SEARCH], "tool_choice": SEARCH},
        set(),
        {"tools": [SEARCH], "tool_choice": SEARCH},
    ),
    "choice-refused": ({"tools": [TOOL], "tool_choice": "auto"}, {"tool_choice"}, {"tools": [FLAT]}),
    "choice-without-tools": ({"tool_choice": "auto"}, set(), {}),
    "parallel": (
        {"tools": [TOOL], "parallel_tool_calls": False},
        set(),
        {"tools": [FLAT], "parallel_tool_calls": False},
    ),
    "parallel-without-tools": ({"parallel_tool_calls": False}, set(), {}),
    "effort": ({"reasoning_effort": "high"}, set(), {"reasoning": {"effort": "high", "summary": "auto"}}),
    "effort-none": ({"reasoning_effort": "none"}, set(), {"reasoning": {"effort": "none"}}),
    "summary": ({"reasoning": {"summary": "detailed"}}, set(), {"reasoning": {"summary": "detailed"}}),
    "summary-none": (
        {"reasoning_effort": "low", "reasoning": {"summary": "none"}},
        set(),
        {"reasoning": {"effort": "low"}},
    ),
    "summary-refused": ({"reasoning_effort": "low"}, {"reasoning.summary"}, {"reasoning": {"effort": "low"}}),
    "reasoning-refused": ({"reasoning_effort": "low"}, {"reasoning.summary", "reasoning.effort"}, {}),
    "format-text": ({"response_format": {"type": "text"}}, set(), {"text": {"format": {"type": "text"}}}),
    "format-json": (
        {"response_format": {"type": "json_object"}},
        set(),
        {"text": {"format": {"type": "json_object"}}},
    ),
    "format-schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "strict": True}}},
        set(),
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {}, "strict": True}}},
    ),
    "verbosity": ({"verbosity": "low"}, set(), {"text": {"verbosity": "low"}}),
    "verbosity-refused": ({"verbosity": "low"}, {"text.verbosity"}, {}),
    "limit": ({"max_tokens": 100}, set(), {"max_output_tokens": 100}),
    "limit-below-the-least": ({"max_tokens": 3}, set(), {"max_output_tokens": 16}),
    "logprobs": ({"logprobs": True}, set(), {"include": ["message.output_text.logprobs"]}),
    "top-logprobs": (
        {"logprobs": True, "top_logprobs": 2},
        set(),
        {"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
    ),
    "store": ({"store": True}, set(), {"store": True}),
    "store-odd": ({"store": "yes"}, set(), {}),
    "stream": ({"stream": True, "stream_options": {"include_usage": True}}, set(), {"stream": True}),
    "not-stream": ({"stream": False}, set(), {}),
    "obfuscation": (
        {"stream": True, "stream_options": {"include_obfuscation": False}},
        set(),
        {"stream": True, "stream_options": {"include_obfuscation": False}},
    ),
    "copied": (
        {"metadata": {"a": "b"}, "user": "u", "temperature": 0.5, "top_k": 3, "service_tier": None},
        set(),
        {"metadata": {"a": "b"}, "user": "u", "temperature": 0.5, "top_k": 3},
    ),
    "copied-and-refused": ({"temperature": 0.5, "top_k": 3}, {"temperature"}, {"top_k": 3}),
    "unsent": ({"stop": ["x"], "seed": 1, "n": 1, "logit_bias": {}}, set(), {}),
    "sealed-without-reasoning": ({HUB_KEY: {"sealed": True}}, set(), {}),
    "sealed": (
        {"reasoning_effort": "low", HUB_KEY: {"sealed": True}},
        set(),
        {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]},
    ),
}


@pytest.mark.parametrize(("hub", "omit", "members"), FIELDS.values(), ids=FIELDS)
def test_a_field(hub: JSON, omit: set[str], members: JSON) -> None:
    request = make(omit, **hub)
    assert request == {"model": "m", "input": [ASKED], "store": False} | members
    TypeAdapter(list[ToolParam]).validate_python(request.get("tools", []))


def test_efforts_are_mapped_to_the_nearest_that_the_model_knows() -> None:
    levels = Model("m", reasoning_levels=("low", "high"))
    assert make(model=levels, reasoning_effort="xhigh")["reasoning"]["effort"] == "high"
    assert make(model=Model("m", reasoning_levels=()), reasoning_effort="high") == make()


@pytest.mark.parametrize(
    ("hub", "named"),
    [
        (
            {"seed": 1, "stop": "x", "frequency_penalty": 0.5, "prediction": {}},
            "seed stop frequency_penalty prediction",
        ),
        ({"presence_penalty": 0, "stop": None, "n": 1, "modalities": ["text"], "logit_bias": {}}, ""),
        ({"temperature": 1, "top_k": 2, "metadata": {}}, ""),
        ({"logit_bias": {"1": 2}, "audio": {}, "modalities": ["text", "image"]}, "logit_bias audio modalities"),
    ],
)
def test_what_has_no_form_is_named(hub: JSON, named: str) -> None:
    assert unsent(hub) == tuple(named.split())


def test_every_field_has_one_fate() -> None:
    assert set(FATES.values()) == {"mapped", "copied", "unsent"}


def test_the_order_is_the_same_in_every_turn() -> None:
    first = make(tools=[TOOL], reasoning_effort="low", temperature=1)
    second = make(tools=[TOOL], reasoning_effort="low", temperature=1, messages=[ASK, assistant("a"), ASK])
    assert list(first) == list(second)
    assert second["input"][: len(first["input"])] == first["input"]


def test_the_body_is_not_changed() -> None:
    hub = {"model": "m", "messages": [ASK, assistant("a", tool_calls=[called()]), output()], "tools": [TOOL]}
    before = repr(hub)
    from_chat(hub, MODEL)
    assert repr(hub) == before


# --- there and back: a Responses request by way of the hub -----------------------------------------------------

TEXT = {"type": "input_text", "text": "hi"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}
USER = {"type": "message", "role": "user", "content": [TEXT]}
SECOND_CALL, SECOND_RESULT = {**CALL, "call_id": "d"}, {**RESULT, "call_id": "d"}
SCHEMA = {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True}
SURVIVES: dict[str, JSON] = {
    "text": {"input": [USER]},
    "instructions": {"instructions": "Be kind.", "input": [USER]},
    "conversation": {"input": [USER, said("Hello."), USER]},
    "later-instruction": {"input": [USER, {**USER, "role": "developer"}, USER]},
    "image": {"input": [{**USER, "content": [TEXT, IMAGE]}]},
    "file": {"input": [{**USER, "content": [{"type": "input_file", "file_id": "file-1"}]}]},
    "calls": {"input": [USER, said("I look."), CALL, SECOND_CALL, RESULT, SECOND_RESULT], "tools": [FLAT]},
    "reasoning": {"input": [USER, THOUGHT, said("Hello."), USER]},
    "settings": {
        "input": [USER],
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": SCHEMA, "verbosity": "low"},
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "stream": True,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs"],
    },
    "choice": {
        "input": [USER],
        "tools": [FLAT],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
    },
}

LOST: dict[str, tuple[JSON, JSON]] = {
    "the-form-of-plain-input": ({"input": "hi"}, {"input": [USER]}),
    "ids-and-statuses": (
        {"input": [USER, {**CALL, "id": "fc_1", "status": "completed"}, RESULT]},
        {"input": [USER, CALL, RESULT]},
    ),
    "the-seams-of-system-messages": (
        {"instructions": "a", "input": [{"role": "system", "content": "b"}, USER]},
        {"instructions": "a\n\nb", "input": [USER]},
    ),
    "the-seams-of-an-answer": ({"input": [USER, said("a"), said("b")]}, {"input": [USER, said("a\n\nb")]}),
    "a-thought-that-nothing-follows": ({"input": [USER, THOUGHT]}, {"input": [USER]}),
    "where-in-a-turn-the-text-stood": (
        {"input": [USER, CALL, said("a"), RESULT]},
        {"input": [USER, said("a"), CALL, RESULT]},
    ),
    "summaries-beside-the-text": (
        {"input": [USER, {**THOUGHT, "summary": [{"type": "summary_text", "text": "h"}]}, said("a")]},
        {"input": [USER, THOUGHT, said("a")]},
    ),
    "that-a-tool-is-custom": (
        {"input": [USER, {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"}, RESULT]},
        {"input": [USER, {**CALL, "arguments": '{"input":"x"}'}, RESULT]},
    ),
    "images-in-outputs": (
        {"input": [USER, CALL, {**RESULT, "output": [IMAGE]}]},
        {
            "input": [
                USER,
                CALL,
                {**RESULT, "output": "[see the attachment in the next user message]"},
                {
                    **USER,
                    "content": [
                        {"type": "input_text", "text": "[attached to the output of f]"},
                        IMAGE,
                    ],
                },
            ]
        },
    ),
    "what-concerns-openais-servers": (
        {"input": [USER], "metadata": {"a": "b"}, "service_tier": "flex"},
        {"input": [USER]},
    ),
    "no-summary": (
        {"input": [USER], "reasoning": {"effort": "low"}},
        {"input": [USER], "reasoning": {"effort": "low", "summary": "auto"}},
    ),
}
"""What does not survive, and what becomes of it."""


def there_and_back(body: JSON) -> JSON:
    return from_chat(to_chat({"model": "m", **body}, Terms(MODEL)).body, MODEL)


@pytest.mark.parametrize("body", SURVIVES.values(), ids=SURVIVES)
def test_what_survives_the_hub(body: JSON) -> None:
    again = there_and_back(body)
    assert again == {"model": "m", "store": False} | body
    assert there_and_back(again) == again


@pytest.mark.parametrize(("body", "left"), LOST.values(), ids=LOST)
def test_what_does_not_survive_the_hub(body: JSON, left: JSON) -> None:
    assert there_and_back(body) == {"model": "m", "store": False} | left


@pytest.mark.parametrize("body", SURVIVES.values(), ids=SURVIVES)
def test_a_chat_upstream_is_told_the_same_either_way(body: JSON) -> None:
    """Two gateways in a row send what one sends."""
    once = to_chat({"model": "m", **body}, Terms(MODEL)).body
    twice = to_chat(from_chat(once, MODEL), Terms(MODEL)).body
    assert for_upstream(twice, MODEL) == for_upstream(once, MODEL)

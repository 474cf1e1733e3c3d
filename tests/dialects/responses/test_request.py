"""Whole requests: what Codex and front ends send, limits, and bodies broken at random."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.dialects import Translation
from gateway.dialects.responses.compaction import PROMPT
from gateway.dialects.responses.context import Context, Tool
from gateway.dialects.responses.request import compact_to_chat, count_to_chat, to_chat
from gateway.errors import RequestError
from gateway.profile import Limits, Model, Terms

PNG = "data:image/png;base64,iVBORw0KGgo="


def seal(text: str) -> str:
    return "ours" + text


def unseal(envelope: str) -> str | None:
    return envelope[4:] if envelope.startswith("ours") else None


TERMS = Terms(Model("vendor/Model"), seal=seal, unseal=unseal)
QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
NUMBERS = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"]}


def message(role: str, *texts: str) -> dict[str, Any]:
    parts = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "message", "id": f"msg_{role}", "role": role, "content": parts}


def function(name: str, parameters: Any = None) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": f"Does {name}.", "strict": False, "parameters": parameters}


HEAD = [message("developer", "BASE"), message("developer", "skills", "permissions"), message("user", "environment")]
ASK = message("user", "say hi")
PROBE = {
    "type": "namespace",
    "name": "mcp__probe",
    "description": "Tools in the mcp__probe namespace.",
    "tools": [function("add_numbers", NUMBERS)],
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin hunk+ end"},
}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Searches.", "parameters": QUERY}
WEB = {"type": "web_search", "external_web_access": True}
COMMAND = {
    "type": "function_call",
    "id": "fc_1",
    "name": "exec_command",
    "arguments": '{"cmd": "echo A"}',
    "call_id": "call_a",
}
COMMAND_OUTPUT = {"type": "function_call_output", "id": "fco_1", "call_id": "call_a", "output": "A\n"}


def codex(*items: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Return a body with the members that Codex always sends."""
    body = {
        "model": "a-model",
        "stream": True,
        "input": [*HEAD, ASK, *items],
        "tools": [function("exec_command"), WEB],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "k",
        "client_metadata": {"turn_id": "t"},
    }
    return {**body, **members}


BODIES: dict[str, dict[str, Any]] = {
    "first-turn": codex(tools=[function("exec_command"), PROBE, WEB], text={"verbosity": "low"}),
    "lite": codex(
        tools=None,
        input=[
            {
                "type": "additional_tools",
                "id": "at_1",
                "role": "developer",
                "tools": [
                    {**PROBE, "name": "functions", "tools": [{"type": "custom", "name": "exec"}, function("wait")]}
                ],
            },
            *HEAD,
            ASK,
        ],
        reasoning={"effort": "low", "context": "all_turns"},
    ),
    "parallel-calls": codex(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "sum"}],
            "content": [{"type": "reasoning_text", "text": "think"}],
            "encrypted_content": None,
        },
        {
            "type": "message",
            "status": "completed",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "I will look.", "annotations": []}],
            "phase": "commentary",
        },
        COMMAND,
        {**COMMAND, "id": "fc_2", "call_id": "call_b"},
        COMMAND_OUTPUT,
        {**COMMAND_OUTPUT, "id": "fco_2", "call_id": "call_b"},
    ),
    "patch": codex(
        {
            "type": "custom_tool_call",
            "id": "ctc_1",
            "call_id": "p",
            "name": "apply_patch",
            "input": "*** Begin Patch\n",
        },
        {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "p", "output": "Exit code: 0\n"},
        tools=[PATCH],
    ),
    "mcp": codex(
        {
            "type": "function_call",
            "name": "add_numbers",
            "namespace": "mcp__probe",
            "arguments": '{"a": 2, "b": 3}',
            "call_id": "c",
        },
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "sum=5"}]},
        tools=[PROBE],
    ),
    "tool-search": codex(
        {
            "type": "tool_search_call",
            "id": "ts_1",
            "call_id": "s",
            "status": "completed",
            "execution": "client",
            "arguments": {"query": "add"},
        },
        {"type": "tool_search_output", "call_id": "s", "status": "completed", "execution": "client", "tools": [PROBE]},
        {"type": "function_call", "name": "add_numbers", "namespace": "mcp__probe", "arguments": "{}", "call_id": "c"},
        {"type": "function_call_output", "call_id": "c", "output": "5"},
        tools=[SEARCH],
    ),
    "plain-compaction": codex(
        COMMAND, COMMAND_OUTPUT, message("user", "Summarise."), tools=[], parallel_tool_calls=False
    ),
    "trigger": codex(COMMAND, COMMAND_OUTPUT, {"type": "compaction_trigger"}),
    "after-trigger": codex({"type": "compaction", "id": "cmp_1", "encrypted_content": "oursDid X."}),
    "image-and-schema": codex(
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": PNG, "detail": "high"},
                {"type": "input_text", "text": "?"},
            ],
        },
        text={"format": {"type": "json_schema", "name": "o", "strict": True, "schema": NUMBERS}},
    ),
    "image-output": codex(
        {"type": "function_call", "name": "view_image", "arguments": '{"path":"a"}', "call_id": "c"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": PNG}]},
    ),
    "front-end": {
        "model": "a-model",
        "temperature": 0.6,
        "max_tokens": 100,
        "stream": True,
        "store": False,
        "input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}],
    },
    "built-in-tools": {
        "model": "a-model",
        "input": [
            {"role": "user", "content": "go"},
            {"type": "shell_call", "call_id": "a", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "a", "output": [{"stdout": "", "stderr": "", "outcome": {}}]},
            {"type": "local_shell_call", "id": "l", "call_id": "b", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "local_shell_call_output", "id": "b", "output": "x"},
            {"type": "apply_patch_call", "call_id": "d", "operation": {"type": "delete_file", "path": "a"}},
            {"type": "apply_patch_call_output", "call_id": "d", "status": "completed"},
        ],
        "tools": [{"type": "shell"}, {"type": "local_shell"}, {"type": "apply_patch"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "shell"}]},
        "metadata": {"a": "b"},
        "stop": ["x"],
    },
    "instructions": {"model": "a-model", "instructions": "Be brief.", "input": "hi"},
}


def context_of(translation: Translation) -> Context:
    assert isinstance(translation.context, Context)
    return translation.context


def offered(translation: Translation) -> list[str]:
    return [tool["function"]["name"] for tool in translation.body.get("tools", [])]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_bodies_are_translated_and_left_as_they_were(body: dict[str, Any]) -> None:
    before = orjson.dumps(body)
    translation = to_chat(body, TERMS)
    assert orjson.dumps(body) == before
    assert translation.body["model"] == "vendor/Model"
    assert context_of(translation).echo["model"] == "a-model"
    called = [call["function"] for m in translation.body["messages"] for call in m.get("tool_calls") or ()]
    for function in called:
        assert isinstance(orjson.loads(function["arguments"]), dict)
    assert orjson.dumps(translation.body) == orjson.dumps(to_chat(copy.deepcopy(body), TERMS).body)


@pytest.mark.parametrize("name", ["patch", "mcp", "tool-search"])
def test_calls_of_the_history_have_offered_names(name: str) -> None:
    translation = to_chat(BODIES[name], TERMS)
    called = [call["function"]["name"] for m in translation.body["messages"] for call in m.get("tool_calls") or ()]
    assert called
    assert set(called) <= set(offered(translation))
    assert set(offered(translation)) == set(context_of(translation).tools)


def test_a_first_turn_of_codex() -> None:
    translation = to_chat(BODIES["first-turn"], TERMS)
    body = translation.body
    assert offered(translation) == ["exec_command", "mcp__probe__add_numbers"]
    assert translation.dropped == ("tools[2]",)
    members = {name: value for name, value in body.items() if name not in ("messages", "tools")}
    assert members == {
        "model": "vendor/Model",
        "stream": True,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning_effort": "low",
        "verbosity": "low",
    }
    context = context_of(translation)
    assert context.summary
    assert context.seal is seal
    assert not context.compaction
    assert context.tools["mcp__probe__add_numbers"] == Tool("function", "add_numbers", "mcp__probe")


def test_lite_mode_has_its_tools_in_the_history() -> None:
    translation = to_chat(BODIES["lite"], TERMS)
    assert offered(translation) == ["functions__exec", "functions__wait"]
    assert context_of(translation).tools["functions__exec"] == Tool("custom", "exec", "functions")
    assert not context_of(translation).summary


def test_instructions_come_first() -> None:
    messages = to_chat(BODIES["instructions"], TERMS).body["messages"]
    assert messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]


def test_an_empty_string_is_a_question() -> None:
    messages = to_chat({"model": "m", "input": "", "instructions": ""}, TERMS).body["messages"]
    assert messages == [{"role": "user", "content": ""}]


def test_tools_alone_say_nothing_of_how_to_choose() -> None:
    body = to_chat({"model": "m", "input": "a", "tools": [PATCH]}, TERMS).body
    assert set(body) == {"model", "messages", "tools"}


def test_no_tools_are_sent_where_none_are_offered() -> None:
    body = to_chat(BODIES["plain-compaction"], TERMS).body
    assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(body)


def test_allowed_tools_restrict_the_offer() -> None:
    translation = to_chat(BODIES["built-in-tools"], TERMS)
    assert offered(translation) == ["shell"]
    assert translation.body["tool_choice"] == "required"


def test_a_trigger_makes_a_summary_without_tools() -> None:
    format_ = {"format": {"type": "json_object"}}
    translation = to_chat({**BODIES["trigger"], "text": format_, "include": None, "top_logprobs": 2}, TERMS)
    assert translation.body["messages"][-1] == {"role": "user", "content": PROMPT}
    assert {"tools", "tool_choice", "response_format", "logprobs", "top_logprobs"}.isdisjoint(translation.body)
    assert translation.body["stream"] is True
    context = context_of(translation)
    assert (context.compaction, context.seal, context.tools) == (True, seal, {})


def test_a_summary_is_opened_again() -> None:
    last = to_chat(BODIES["after-trigger"], TERMS).body["messages"][-1]
    assert last["role"] == "user"
    assert last["content"].endswith("Did X.")


def test_compact() -> None:
    translation = compact_to_chat({**BODIES["parallel-calls"], "tools": None}, TERMS)
    assert translation.body["messages"][-1] == {"role": "user", "content": PROMPT}
    assert "stream" not in translation.body
    context = context_of(translation)
    assert context.compaction


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        ({}, []),
        ({"instructions": "x"}, [{"role": "system", "content": "x"}]),
        ({"model": "m", "input": "a"}, [{"role": "user", "content": "a"}]),
    ],
    ids=["nothing", "instructions", "input"],
)
def test_count_needs_neither_model_nor_input(body: dict[str, Any], messages: list[Any]) -> None:
    assert count_to_chat(body, TERMS).body["messages"] == messages


def turn(number: int) -> list[dict[str, Any]]:
    """Return what one turn of Codex adds to the history: thought, words, two calls, outputs, the next wish."""
    thoughts = [{"type": "reasoning_text", "text": f"think {number}"}]
    words = [{"type": "output_text", "text": f"Step {number}.", "annotations": []}]
    patch = f"*** Begin Patch {number}"
    return [
        {"type": "reasoning", "id": f"rs_{number}", "summary": [], "content": thoughts},
        {"type": "message", "role": "assistant", "content": words},
        {**COMMAND, "call_id": f"a{number}"},
        {"type": "custom_tool_call", "call_id": f"b{number}", "name": "apply_patch", "input": patch},
        {**COMMAND_OUTPUT, "call_id": f"a{number}"},
        {"type": "custom_tool_call_output", "call_id": f"b{number}", "output": f"Exit code: {number}"},
        message("user", f"go on {number}"),
    ]


def test_a_growing_thread_keeps_its_beginning_byte_for_byte() -> None:
    thread: list[dict[str, Any]] = []
    before = b""
    others: set[bytes] = set()
    for number in range(20):
        thread += turn(number)
        body = to_chat(codex(*thread, tools=[PATCH, PROBE, function("exec_command")]), TERMS).body
        messages = orjson.dumps(body["messages"])
        others.add(orjson.dumps({name: value for name, value in body.items() if name != "messages"}))
        assert messages.startswith(before[:-1])
        before = messages
    assert len(others) == 1
    assert [m["reasoning_content"] for m in body["messages"] if m.get("reasoning_content")] == [
        f"think {number}" for number in range(20)
    ]


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "no-model": ({"input": "a"}, "model"),
    "empty-model": ({"model": "", "input": "a"}, "model"),
    "model-number": ({"model": 1, "input": "a"}, "model"),
    "no-input": ({"model": "m"}, "input"),
    "input-number": ({"model": "m", "input": 1}, "input"),
    "input-object": ({"model": "m", "input": {}}, "input"),
    "input-empty": ({"model": "m", "input": []}, "input"),
    "input-all-left-out": ({"model": "m", "input": [{"type": "web_search_call"}]}, "input"),
    "instructions": ({"model": "m", "input": "a", "instructions": []}, "instructions"),
    "tools": ({"model": "m", "input": "a", "tools": {}}, "tools"),
    "tool-choice": ({"model": "m", "input": "a", "tool_choice": 1}, "tool_choice"),
    "parallel": ({"model": "m", "input": "a", "parallel_tool_calls": "no"}, "parallel_tool_calls"),
    "messages": ({"model": "m", "messages": []}, "messages"),
    "previous": ({"model": "m", "previous_response_id": "r"}, "previous_response_id"),
    "item": ({"model": "m", "input": ["a"]}, "input[0]"),
}


@pytest.mark.parametrize(("body", "param"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        to_chat(body, TERMS)
    assert (caught.value.status, caught.value.param) == (400, param)


LIMITS: dict[str, tuple[dict[str, Any], Limits, int, str, str]] = {
    "items": ({"input": [ASK] * 3}, Limits(max_input_items=2), 400, "too_many_input_items", "MAX_INPUT_ITEMS"),
    "tools": ({"tools": [PROBE, WEB]}, Limits(max_tools=1), 400, "too_many_tools", "MAX_TOOLS"),
    "instructions": (
        {"instructions": "éé"},
        Limits(max_instructions_bytes=3),
        400,
        "instructions_too_large",
        "MAX_INSTRUCTIONS_BYTES",
    ),
    "text": ({"input": "aaa"}, Limits(max_text_bytes=2), 413, "request_too_large", "MAX_TEXT_BYTES"),
}


@pytest.mark.parametrize(("members", "limits", "status", "code", "setting"), LIMITS.values(), ids=LIMITS.keys())
def test_limits(members: dict[str, Any], limits: Limits, status: int, code: str, setting: str) -> None:
    with pytest.raises(RequestError) as caught:
        to_chat({"model": "m", "input": "a", **members}, Terms(Model("m"), limits))
    assert (caught.value.status, caught.value.code) == (status, code)
    assert setting in caught.value.message
    assert any(digit in caught.value.message for digit in "123")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(
        ["message", "function_call", "user", "function", "input_text", "input_image", "input_file", "auto"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "name", "text", "id", "output", "tools", "image_url", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all members, however deep."""
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [place for key, child in children for place in ((*path, key), *places(child, (*path, key)))]


PLACES = [(name, place) for name, body in BODIES.items() for place in places(body)]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), JSON_VALUES, st.booleans())
def test_any_broken_member_is_translated_or_refused(
    where: tuple[str, tuple[Any, ...]], value: Any, remove: bool
) -> None:
    name, place = where
    body = copy.deepcopy(BODIES[name])
    parent: Any = body
    for key in place[:-1]:
        parent = parent[key]
    if remove:
        del parent[place[-1]]
    else:
        parent[place[-1]] = value
    for translate in (to_chat, compact_to_chat, count_to_chat):
        try:
            translation = translate(body, TERMS)
        except RequestError as error:
            assert error.param
            assert error.status in (400, 413)
        else:
            orjson.dumps([translation.body, context_of(translation).echo])
            assert all(path.isprintable() and path.isascii() for path in translation.dropped)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted({"model", "input", "tools", "text", "reasoning", "stop"})), JSON_VALUES))
def test_any_body_is_translated_or_refused(body: dict[str, Any]) -> None:
    try:
        to_chat(body, TERMS)
    except RequestError as error:
        assert error.param

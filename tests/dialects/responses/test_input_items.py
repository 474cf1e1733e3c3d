"""Input items, one by one, as naive hub messages."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.dialects.responses.compaction import PROMPT
from gateway.dialects.responses.content import Intake
from gateway.dialects.responses.input_items import ItemReader
from gateway.dialects.responses.tools import Toolbox
from gateway.errors import RequestError
from gateway.profile import Model, Terms

PNG = "data:image/png;base64,iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}
ADD = {"type": "function", "name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {}}}
PROBE = {"type": "namespace", "name": "mcp__probe", "description": "Probe.", "tools": [ADD]}


def unseal(envelope: str) -> str | None:
    return envelope[4:] if envelope.startswith("ours") else None


def read(*items: Any, tools: list[Any] | None = None) -> tuple[ItemReader, Intake, Toolbox]:
    intake = Intake(Terms(Model("m"), unseal=unseal))
    toolbox = Toolbox(512, intake.dropped)
    toolbox.declare(tools or [], "tools")
    reader = ItemReader(intake, toolbox)
    reader.read(list(items))
    return reader, intake, toolbox


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }


def output(content: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def thought(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "reasoning_content": text}


def summary(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "summary_text", "text": text} for text in texts]


MESSAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "typeless": ({"role": "user", "content": "a"}, {"role": "user", "content": "a"}),
    "null-type": ({"type": None, "role": "user", "content": "a"}, {"role": "user", "content": "a"}),
    "system": ({"type": "message", "role": "system", "content": "a"}, {"role": "system", "content": "a"}),
    "developer": (
        {"type": "message", "id": "m", "role": "developer", "content": [{"type": "input_text", "text": "a"}]},
        {"role": "developer", "content": "a"},
    ),
    "assistant": (
        {
            "type": "message",
            "status": "completed",
            "phase": "commentary",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "b"}],
        },
        {"role": "assistant", "content": "ab"},
    ),
    "image": (
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "<image name=[Image #1]>"},
                {"type": "input_image", "image_url": PNG, "detail": "high"},
                {"type": "input_text", "text": "</image>"},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "<image name=[Image #1]>"},
                IMAGE,
                {"type": "text", "text": "</image>"},
            ],
        },
    ),
    "passthrough-metadata": (
        {"role": "user", "content": "a", "internal_chat_message_metadata_passthrough": {"turn_id": "t"}},
        {"role": "user", "content": "a"},
    ),
}
REASONING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "content": (
        {
            "content": [{"type": "reasoning_text", "text": "full"}],
            "summary": summary("s"),
            "encrypted_content": "oursX",
        },
        thought("full"),
    ),
    "content-string": ({"content": "full"}, thought("full")),
    "sealed": ({"content": [], "summary": summary("s"), "encrypted_content": "oursfull"}, thought("full")),
    "summary": ({"summary": summary("s", "t"), "encrypted_content": None}, thought("s\n\nt")),
    "sealed-empty": ({"summary": summary("s"), "encrypted_content": "ours"}, thought("s")),
}
CALLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "function": (
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        call("f", '{"a": 1}'),
    ),
    "no-arguments": ({"type": "function_call", "call_id": "c1", "name": "f"}, call("f", "")),
    "parsed-arguments": (
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": {"a": 1}},
        call("f", '{"a":1}'),
    ),
    "namespace": (
        {"type": "function_call", "call_id": "c1", "name": "add", "namespace": "mcp__probe", "arguments": "{}"},
        call("mcp__probe__add", "{}"),
    ),
    "empty-namespace": (
        {"type": "function_call", "call_id": "c1", "name": "f", "namespace": "", "arguments": "{}"},
        call("f", "{}"),
    ),
    "id-for-call-id": ({"type": "function_call", "id": "c1", "name": "f", "arguments": "{}"}, call("f", "{}")),
    "custom": (
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": '*** Begin "é"\n'},
        call("apply_patch", '{"input":"*** Begin \\"é\\"\\n"}'),
    ),
    "custom-namespace": (
        {"type": "custom_tool_call", "call_id": "c1", "name": "exec", "namespace": "functions", "input": ""},
        call("functions__exec", '{"input":""}'),
    ),
    "search": (
        {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "add"}},
        call("tool_search", '{"query":"add"}'),
    ),
    "search-string": ({"type": "tool_search_call", "call_id": "c1", "arguments": "{}"}, call("tool_search", "{}")),
    "search-null": ({"type": "tool_search_call", "call_id": "c1", "arguments": None}, call("tool_search", "{}")),
    "local-shell": (
        {
            "type": "local_shell_call",
            "id": "lsh_1",
            "call_id": "c1",
            "action": {"type": "exec", "command": ["ls"], "env": {}, "timeout_ms": None},
        },
        call("local_shell", '{"command":["ls"],"env":{}}'),
    ),
    "local-shell-without-item-id": (
        {"type": "local_shell_call", "call_id": "c1", "action": {"command": ["ls"]}},
        call("local_shell", '{"command":["ls"]}'),
    ),
    "shell": (
        {"type": "shell_call", "call_id": "c1", "action": {"commands": ["ls"], "timeout_ms": None}},
        call("shell", '{"commands":["ls"]}'),
    ),
    "apply-patch": (
        {"type": "apply_patch_call", "call_id": "c1", "operation": {"type": "delete_file", "path": "a"}},
        call("apply_patch", '{"type":"delete_file","path":"a"}'),
    ),
}
OUTPUTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "string": ({"type": "function_call_output", "call_id": "c1", "output": "done"}, output("done")),
    "parts": (
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "Wall time"}, {"type": "input_text", "text": "sum=5"}],
        },
        output("Wall time\nsum=5"),
    ),
    "image": (
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": PNG, "detail": "high"}],
        },
        output([IMAGE]),
    ),
    "object": ({"type": "function_call_output", "call_id": "c1", "output": {"a": 1}}, output('{"a":1}')),
    "number": ({"type": "function_call_output", "call_id": "c1", "output": 5}, output("5")),
    "empty": ({"type": "function_call_output", "call_id": "c1", "output": []}, output("")),
    "custom": ({"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"}, output("ok")),
    "local-shell": ({"type": "local_shell_call_output", "id": "c1", "output": "{}"}, output("{}")),
    "shell": (
        {
            "type": "shell_call_output",
            "call_id": "c1",
            "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "timeout"}}],
        },
        output('[{"stdout":"a","stderr":"","outcome":{"type":"timeout"}}]'),
    ),
    "shell-string": ({"type": "shell_call_output", "call_id": "c1", "output": "a"}, output("a")),
    "patch": (
        {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "no file"},
        output("failed: no file"),
    ),
    "patch-silent": ({"type": "apply_patch_call_output", "call_id": "c1", "status": "completed"}, output("completed")),
    "patch-bare": ({"type": "apply_patch_call_output", "call_id": "c1"}, output("completed")),
}


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        *(pytest.param(*case, id=f"message-{name}") for name, case in MESSAGES.items()),
        *(
            pytest.param({"type": "reasoning", **case[0]}, case[1], id=f"reasoning-{name}")
            for name, case in REASONING.items()
        ),
        *(pytest.param(*case, id=f"call-{name}") for name, case in CALLS.items()),
        *(pytest.param(*case, id=f"output-{name}") for name, case in OUTPUTS.items()),
    ],
)
def test_items(item: dict[str, Any], expected: dict[str, Any]) -> None:
    before = orjson.dumps(item)
    reader, intake, _ = read(item)
    assert reader.messages == [expected]
    assert intake.dropped == []
    assert orjson.dumps(item) == before


@pytest.mark.parametrize("item", [case[0] for case in CALLS.values()], ids=CALLS.keys())
def test_calls_have_the_names_of_the_offered_tools(item: dict[str, Any]) -> None:
    tools: list[Any] = [
        {"type": "function", "name": "f"},
        PROBE,
        {"type": "custom", "name": "apply_patch"},
        {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]},
        {"type": "tool_search", "execution": "client"},
        {"type": "local_shell"},
        {"type": "shell"},
    ]
    reader, _, toolbox = read(item, tools=tools)
    assert reader.messages[0]["tool_calls"][0]["function"]["name"] in toolbox.functions


def test_the_built_in_patch_tool_has_the_name_that_is_offered() -> None:
    reader, _, toolbox = read(CALLS["apply-patch"][0], tools=[{"type": "apply_patch"}])
    assert reader.messages[0]["tool_calls"][0]["function"]["name"] in toolbox.functions


def test_a_local_shell_output_may_name_the_item() -> None:
    item = CALLS["local-shell"][0]
    reader, _, _ = read(item, {"type": "local_shell_call_output", "id": "lsh_1", "output": "x"})
    assert reader.messages[1] == output("x")


LEFT_OUT: dict[str, tuple[dict[str, Any], str]] = {
    **{
        kind: ({"type": kind, "id": "x"}, "input[0]")
        for kind in (
            *("web_search_call", "file_search_call", "image_generation_call", "code_interpreter_call", "computer_call"),
            *("computer_call_output", "mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"),
            *("program", "program_output", "configuration_update", "a_type_to_come"),
        )
    },
    "hosted-search": ({"type": "tool_search_call", "execution": "server", "arguments": {}}, "input[0]"),
    "early-trigger": ({"type": "compaction_trigger"}, "input[0]"),
    "foreign-reasoning": (
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        "input[0].encrypted_content",
    ),
    "foreign-compaction": ({"type": "compaction", "encrypted_content": "gAAA"}, "input[0].encrypted_content"),
}


@pytest.mark.parametrize(("item", "path"), LEFT_OUT.values(), ids=LEFT_OUT.keys())
def test_what_says_nothing_here_is_left_out_and_listed(item: dict[str, Any], path: str) -> None:
    reader, intake, _ = read(item, {"role": "user", "content": "a"})
    assert reader.messages == [{"role": "user", "content": "a"}]
    assert intake.dropped == [path]
    assert not reader.compaction


def test_foreign_reasoning_falls_back_to_its_summary() -> None:
    reader, intake, _ = read({"type": "reasoning", "summary": summary("s"), "encrypted_content": "gAAA"})
    assert reader.messages == [thought("s")]
    assert intake.dropped == ["input[0].encrypted_content"]


@pytest.mark.parametrize(
    "item",
    [{"type": "reasoning", "summary": []}, {"role": "assistant", "content": None}, {"role": "assistant"}],
    ids=["reasoning", "null-content", "no-content"],
)
def test_items_without_words_give_nothing(item: dict[str, Any]) -> None:
    reader, intake, _ = read(item)
    assert (reader.messages, intake.dropped) == ([], [])


def test_found_tools_can_be_called_from_then_on() -> None:
    search = {"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "add"}}
    found = {
        "type": "tool_search_output",
        "call_id": "c1",
        "execution": "client",
        "tools": [PROBE, {"type": "web_search"}],
    }
    again = {**found, "call_id": "c2"}
    reader, intake, toolbox = read(search, found, again, tools=[{"type": "tool_search", "execution": "client"}])
    assert list(toolbox.functions) == ["tool_search", "mcp__probe__add"]
    assert reader.messages[1:] == [output("mcp__probe__add: Adds."), output("mcp__probe__add: Adds.", "c2")]
    assert intake.dropped == ["input[1].tools[1]", "input[2].tools[1]"]


def test_a_found_tool_without_a_description_is_its_name() -> None:
    tool = {"type": "function", "name": "f"}
    reader, _, _ = read({"type": "tool_search_output", "call_id": "c1", "tools": [tool]})
    assert reader.messages == [output("f")]


def test_a_search_may_find_nothing() -> None:
    reader, _, _ = read({"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": []})
    assert reader.messages == [output("No tool was found.")]


def test_tools_of_a_hosted_search_can_be_called_too() -> None:
    _, intake, toolbox = read({"type": "tool_search_output", "execution": "server", "tools": [ADD]})
    assert list(toolbox.functions) == ["add"]
    assert intake.dropped == ["input[0]"]


def test_additional_tools_give_no_message() -> None:
    tools = [{"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}]
    reader, _, toolbox = read({"type": "additional_tools", "role": "developer", "tools": tools})
    assert reader.messages == []
    assert list(toolbox.functions) == ["functions__exec"]


@pytest.mark.parametrize("kind", ["compaction", "compaction_summary"])
def test_a_summary_stands_for_the_history(kind: str) -> None:
    reader, _, _ = read({"type": kind, "id": "cmp_1", "encrypted_content": "oursDid X."})
    (message,) = reader.messages
    assert message["role"] == "user"
    assert message["content"].endswith("Did X.")


def test_a_trigger_at_the_end_asks_for_a_summary() -> None:
    reader, _, _ = read({"role": "user", "content": "a"}, {"type": "compaction_trigger"})
    assert reader.compaction
    assert reader.messages[-1] == {"role": "user", "content": PROMPT}


def test_parallel_calls_stay_in_order() -> None:
    reader, _, _ = read(
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "think"}]},
        {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "A"},
        {"type": "function_call_output", "call_id": "b", "output": "B"},
    )
    assert reader.messages == [
        thought("think"),
        call("f", "{}", "a"),
        call("f", "{}", "b"),
        output("A", "a"),
        output("B", "b"),
    ]


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
FAULTS: dict[str, tuple[Any, str]] = {
    "string": ("hi", "input[0]"),
    "null": (None, "input[0]"),
    "list": ([], "input[0]"),
    "no-type": ({"content": "a"}, "input[0].type"),
    "type-number": ({"type": 1}, "input[0].type"),
    "no-role": ({"type": "message", "content": "a"}, "input[0].role"),
    "role-number": ({"role": 1, "content": "a"}, "input[0].role"),
    "role-tool": ({"role": "tool", "tool_call_id": "c", "content": "a"}, "input[0].role"),
    "role-unknown": ({"role": "critic", "content": "a"}, "input[0].role"),
    "no-content": ({"role": "user"}, "input[0].content"),
    "developer-no-content": ({"role": "developer", "content": None}, "input[0].content"),
    "part": ({"role": "user", "content": [{"type": "smell"}]}, "input[0].content[0]"),
    "system-image": ({"role": "system", "content": [{"type": "input_image", "image_url": PNG}]}, "input[0].content[0]"),
    "reasoning-content": ({"type": "reasoning", "content": 1}, "input[0].content"),
    "reasoning-part": ({"type": "reasoning", "content": ["a"]}, "input[0].content[0]"),
    "reasoning-text": ({"type": "reasoning", "content": [{"text": 1}]}, "input[0].content[0].text"),
    "reasoning-summary": ({"type": "reasoning", "summary": {}}, "input[0].summary"),
    "reasoning-sealed": ({"type": "reasoning", "encrypted_content": 1}, "input[0].encrypted_content"),
    "compaction": ({"type": "compaction"}, "input[0].encrypted_content"),
    "call-name": ({**CALL, "name": None}, "input[0].name"),
    "call-empty-name": ({**CALL, "name": ""}, "input[0].name"),
    "call-namespace": ({**CALL, "namespace": 1}, "input[0].namespace"),
    "call-arguments": ({**CALL, "arguments": [1]}, "input[0].arguments"),
    "call-no-id": ({**CALL, "call_id": None}, "input[0].call_id"),
    "call-id-number": ({**CALL, "call_id": 1}, "input[0].call_id"),
    "call-item-id-number": ({**CALL, "call_id": None, "id": 1}, "input[0].id"),
    "custom-input": ({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": {}}, "input[0].input"),
    "output-missing": ({"type": "function_call_output", "call_id": "c"}, "input[0].output"),
    "output-part": ({"type": "function_call_output", "call_id": "c", "output": [1]}, "input[0].output[0]"),
    "output-no-id": ({"type": "custom_tool_call_output", "output": ""}, "input[0].call_id"),
    "search-execution": ({"type": "tool_search_call", "call_id": "c", "execution": 1}, "input[0].execution"),
    "search-tools": ({"type": "tool_search_output", "call_id": "c"}, "input[0].tools"),
    "additional-tools": ({"type": "additional_tools", "tools": {}}, "input[0].tools"),
    "additional-tool": ({"type": "additional_tools", "tools": [1]}, "input[0].tools[0]"),
    "local-shell-action": ({"type": "local_shell_call", "call_id": "c"}, "input[0].action"),
    "local-shell-output": ({"type": "local_shell_call_output", "id": "c"}, "input[0].output"),
    "shell-action": ({"type": "shell_call", "call_id": "c", "action": []}, "input[0].action"),
    "shell-no-action": ({"type": "shell_call", "call_id": "c"}, "input[0].action"),
    "shell-output": ({"type": "shell_call_output", "call_id": "c", "output": {}}, "input[0].output"),
    "patch-operation": ({"type": "apply_patch_call", "call_id": "c"}, "input[0].operation"),
    "patch-status": ({"type": "apply_patch_call_output", "call_id": "c", "status": 1}, "input[0].status"),
    "patch-output": ({"type": "apply_patch_call_output", "call_id": "c", "output": []}, "input[0].output"),
}


@pytest.mark.parametrize(("item", "param"), FAULTS.values(), ids=FAULTS.keys())
def test_faults_are_named(item: Any, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(item)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    "item", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}, {"type": None, "id": "msg_1"}], ids=str
)
def test_a_reference_is_not_known(item: dict[str, Any]) -> None:
    with pytest.raises(RequestError) as caught:
        read({"role": "user", "content": "a"}, item)
    assert caught.value.param == "input[1]"
    assert "item_reference" in caught.value.message

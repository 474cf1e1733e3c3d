"""`gateway.dialects.messages.turns`: turns of each role into Chat's messages, before they are settled."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects import HUB_KEY
from gateway.dialects.messages.content import Intake
from gateway.dialects.messages.signature import sign
from gateway.dialects.messages.tools import short_name
from gateway.dialects.messages.turns import BILLING_MARK, TOOL_ERROR, system, turns
from gateway.errors import RequestError
from gateway.profile import Model

MODEL = Model("m", files=True)
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
PDF_PART = {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}}


def text(words: str) -> Any:
    return {"type": "text", "text": words, "cache_control": {"type": "ephemeral"}}


def result(content: Any = None, id: str = "c1", **more: Any) -> Any:
    return {"type": "tool_result", "tool_use_id": id, "content": content, **more}


def user(*blocks: Any) -> Any:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> Any:
    return {"role": "assistant", "content": list(blocks)}


def tool(content: Any, id: str = "c1") -> Any:
    return {"role": "tool", "tool_call_id": id, "content": content}


def said(content: Any) -> Any:
    return {"role": "user", "content": content}


def use(input: Any, name: str = "Bash") -> Any:
    return {"type": "tool_use", "id": "c1", "name": name, "input": input}


def call(arguments: str, name: str = "Bash") -> Any:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


LONG = "mcp__" + "x" * 80


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        pytest.param({"role": "user", "content": "hi"}, [said("hi")], id="string"),
        pytest.param(user(text("a"), text("b")), [said("a\nb")], id="texts"),
        pytest.param(user(text("a"), IMAGE), [said([{"type": "text", "text": "a"}, IMAGE_PART])], id="image"),
        pytest.param(user(), [said("")], id="nothing"),
        pytest.param(user(result("ok", is_error=False)), [tool("ok")], id="result"),
        pytest.param(user(result()), [tool("")], id="result-of-nothing"),
        pytest.param(user(result("no", is_error=True)), [tool(f"{TOOL_ERROR}\nno")], id="failed"),
        pytest.param(user(result(is_error=True)), [tool(TOOL_ERROR)], id="failed-in-silence"),
        pytest.param(
            user(result([text("a"), text("b")]), result("B", "c2"), text("and")),
            [tool("a\nb"), tool("B", "c2"), said("and")],
            id="results-then-text",
        ),
        pytest.param(user(text("first"), result("a")), [tool("a"), said("first")], id="text-before-result"),
        pytest.param(user(result([IMAGE])), [tool([IMAGE_PART])], id="image-result"),
        pytest.param(
            user(result([text("here"), IMAGE], is_error=True)),
            [tool([{"type": "text", "text": TOOL_ERROR}, {"type": "text", "text": "here"}, IMAGE_PART])],
            id="mixed-result-of-a-failure",
        ),
        pytest.param(user(result("PDF read"), PDF), [tool("PDF read"), said([PDF_PART])], id="pdf-beside-result"),
        pytest.param(user(result([text("PDF"), PDF])), [tool("PDF"), said([PDF_PART])], id="pdf-in-result"),
        pytest.param(
            user(result([{"type": "tool_reference", "tool_name": "adder"}]), text("Tool loaded.")),
            [tool("The tool adder is loaded."), said("Tool loaded.")],
            id="tool-reference",
        ),
        pytest.param(
            {"role": "assistant", "content": "ok"}, [{"role": "assistant", "content": "ok"}], id="assistant-string"
        ),
        pytest.param(
            assistant(text("Look."), use({"command": "ls"})),
            [{"role": "assistant", "content": "Look.", "tool_calls": [call('{"command":"ls"}')]}],
            id="call",
        ),
        pytest.param(
            assistant(use(None), use("{broken", LONG), use([1])),
            [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [call("{}"), call("{broken", short_name(LONG)), call("[1]")],
                }
            ],
            id="odd-inputs",
        ),
        pytest.param(
            assistant(
                {"type": "thinking", "thinking": "Hm. ", "signature": sign(None)},
                {"type": "thinking", "thinking": "", "signature": "foreign"},
                {"type": "thinking", "thinking": "So.", "signature": sign("opaque")},
                text("a"),
            ),
            [{"role": "assistant", "content": "a", "reasoning_content": "Hm. \nSo.", HUB_KEY: {"sealed": ["opaque"]}}],
            id="thinking",
        ),
        pytest.param(
            assistant({"type": "thinking", "thinking": "Hm.", "signature": ""}),
            [{"role": "assistant", "content": None, "reasoning_content": "Hm."}],
            id="thinking-alone",
        ),
        pytest.param(
            assistant({"type": "thinking", "thinking": "", "signature": "x"}, {"type": "thinking", "thinking": ""}),
            [],
            id="empty-thinking",
        ),
        pytest.param(assistant(), [], id="empty-assistant"),
        pytest.param({"role": "assistant", "content": ""}, [], id="empty-assistant-string"),
        pytest.param({"role": "system", "content": "s"}, [{"role": "system", "content": "s"}], id="system-string"),
        pytest.param(
            {"role": "system", "content": [text("a"), text("b")], "output_config": {"effort": "low"}},
            [{"role": "system", "content": "a\n\nb"}],
            id="system-blocks",
        ),
        pytest.param({"role": "system", "output_config": {"effort": "low"}}, [], id="system-of-effort"),
        pytest.param({"role": "system", "content": ""}, [], id="system-empty"),
    ],
)
def test_turn(turn: Any, expected: list[Any]) -> None:
    assert turns([turn], Intake(MODEL)) == expected


def test_what_is_left_out_is_listed() -> None:
    intake = Intake(MODEL)
    turn = assistant({"type": "redacted_thinking", "data": "x"}, {"type": "server_tool_use"}, text("a"))
    assert turns([turn], intake) == [{"role": "assistant", "content": "a"}]
    assert intake.dropped == ["messages[0].content[0]", "messages[0].content[1]"]


def test_names_that_load_deferred_tools() -> None:
    intake = Intake(MODEL)
    addition = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "added"}}
    removal = {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "removed"}}
    odd = {"type": "tool_addition", "tool": {"type": "tool_definition"}}
    turns([assistant(use({}, "used")), {"role": "system", "content": [addition, removal, odd]}], intake)
    turns([{"role": "system", "content": [{"type": "tool_addition", "tool": 3}]}], intake)
    assert intake.loaded == {"used", "added"}


def test_a_system_message_for_one_turn_goes_with_it() -> None:
    reminder = {"role": "system", "content": "now", "clear_at": "next_user_message"}
    lasting = {"role": "system", "content": "always", "clear_at": "never"}
    messages = [user(text("a")), reminder, lasting, assistant(text("b")), user(text("c")), reminder]
    roles = [(m["role"], m["content"]) for m in turns(messages, Intake(MODEL))]
    assert roles == [("user", "a"), ("system", "always"), ("assistant", "b"), ("user", "c"), ("system", "now")]


BILLING = f"{BILLING_MARK} cc_version=2.1.197.c40; cc_entrypoint=sdk-cli;"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, "", id="absent"),
        pytest.param("Be kind.", "Be kind.", id="string"),
        pytest.param([text("a"), text("\nb")], "a\n\n\nb", id="blocks"),
        pytest.param([text(BILLING), text("a"), text("b")], "a\n\nb", id="billing-block"),
        pytest.param(f"{BILLING}\nBe kind.", "Be kind.", id="billing-line"),
        pytest.param(BILLING, "", id="billing-alone"),
        pytest.param([], "", id="empty"),
    ],
)
def test_system(given: Any, expected: str) -> None:
    assert system({"system": given}, Intake(MODEL)) == expected


@pytest.mark.parametrize(
    ("given", "param"),
    [
        pytest.param(4, "system", id="number"),
        pytest.param([4], "system[0]", id="entry"),
        pytest.param([{"text": "a"}], "system[0].type", id="type"),
        pytest.param([{"type": "text"}], "system[0].text", id="text"),
        pytest.param([IMAGE], "system[0]", id="image"),
    ],
)
def test_system_faults(given: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        system({"system": given}, Intake(MODEL))
    assert raised.value.param == param


@pytest.mark.parametrize(
    ("turn", "param"),
    [
        pytest.param(4, "messages[0]", id="number"),
        pytest.param({"content": ""}, "messages[0].role", id="no-role"),
        pytest.param({"role": "tool", "content": ""}, "messages[0].role", id="role"),
        pytest.param({"role": "user"}, "messages[0].content", id="no-content"),
        pytest.param({"role": "system"}, "messages[0].content", id="no-system-content"),
        pytest.param({"role": "user", "content": 4}, "messages[0].content", id="content"),
        pytest.param({"role": "user", "content": ["a"]}, "messages[0].content[0]", id="block"),
        pytest.param(user({"text": "a"}), "messages[0].content[0].type", id="block-type"),
        pytest.param(user(result(4)), "messages[0].content[0].content", id="result-content"),
        pytest.param(user(result([4])), "messages[0].content[0].content[0]", id="result-block"),
        pytest.param(user(result("", is_error="no")), "messages[0].content[0].is_error", id="is-error"),
        pytest.param(
            user({"type": "tool_result", "content": ""}), "messages[0].content[0].tool_use_id", id="tool-use-id"
        ),
        pytest.param(user({"type": "thinking", "thinking": "x"}), "messages[0].content[0]", id="user-thinks"),
        pytest.param(assistant(IMAGE), "messages[0]", id="assistant-image"),
        pytest.param(assistant({"type": "thinking"}), "messages[0].content[0].thinking", id="thinking"),
        pytest.param(
            assistant({"type": "thinking", "thinking": "", "signature": 4}),
            "messages[0].content[0].signature",
            id="signature",
        ),
        pytest.param(assistant({"type": "tool_use", "id": "c"}), "messages[0].content[0].name", id="call-name"),
        pytest.param(assistant({"type": "tool_use", "name": "f"}), "messages[0].content[0].id", id="call-id"),
        pytest.param(assistant(use({"n": 2**70})), "messages[0].content[0].input", id="number-too-large"),
    ],
)
def test_faults(turn: Any, param: str) -> None:
    with pytest.raises(RequestError) as raised:
        turns([turn], Intake(MODEL))
    assert raised.value.param == param

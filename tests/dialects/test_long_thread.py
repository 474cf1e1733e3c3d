"""A thread of a hundred turns: what the upstream said comes back to it, in its place, to the byte.

The client is as Codex is: it keeps the items it received, adds outputs, and sends all of it each time.
"""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from gateway.bridge import Bridge
from gateway.dialects.chat.decode import Decoder
from gateway.dialects.chat.request import for_upstream
from gateway.dialects.responses.encode import Encoder
from gateway.dialects.responses.request import to_chat
from gateway.profile import Model, Terms
from gateway.seal import Envelope
from gateway.types import JSON

ENVELOPE = Envelope("sk-dummy")
TERMS = Terms(Model("m"), seal=ENVELOPE.seal, unseal=ENVELOPE.open)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
TOOLS: list[JSON] = [
    {"type": "function", "name": "exec_command", "parameters": {"type": "object", "properties": {}}},
    {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    {"type": "namespace", "name": "mcp__files", "tools": [{"type": "function", "name": "read", "parameters": {}}]},
]
NUMBERS = itertools.count(1)


def spoken(turn: int) -> JSON:
    """What the model says in a turn: a thought, sometimes text, and one or two calls of every kind."""
    patch = (
        f"*** Begin Patch\n*** Update File: a.txt\n@@\n-{turn}\n+{turn + 1} “quoted” \\ {chr(0x2028)}\n*** End Patch\n"
    )
    calls = [
        ("exec_command", orjson.dumps({"cmd": f"echo {turn}"}).decode()),
        ("apply_patch", orjson.dumps({"input": patch}).decode()),
        ("mcp__files__read", "{}"),
    ]
    chosen = [calls[turn % 3]] + ([calls[(turn + 1) % 3]] if turn % 4 == 0 else [])
    return {
        "role": "assistant",
        "content": f"Text of turn {turn}." if turn % 5 == 0 else None,
        "reasoning_content": f"Thought of turn {turn}.",
        "tool_calls": [
            {"id": f"call_{turn}_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(chosen)
        ],
    }


def answered(message: JSON, body: JSON) -> list[JSON]:
    """Return the items that the client receives for an answer of the upstream."""
    context = to_chat(body, TERMS).context
    bridge = Bridge(Decoder(TERMS), [], Encoder(context, lambda prefix: f"{prefix}{next(NUMBERS)}", lambda: 1))
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    bridge.whole({"id": "x", "created": 1, "model": "m", "choices": [choice]})
    items: list[JSON] = bridge.body["output"]
    return items


def output_of(item: JSON, turn: int) -> JSON | None:
    match item["type"]:
        case "function_call" if turn % 7 == 0:
            parts = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": PIXEL}]
            return {"type": "function_call_output", "call_id": item["call_id"], "output": parts}
        case "function_call":
            return {"type": "function_call_output", "call_id": item["call_id"], "output": f"out {turn}"}
        case "custom_tool_call":
            return {"type": "custom_tool_call_output", "call_id": item["call_id"], "output": f"patched {turn}"}
        case _:
            return None


@pytest.mark.parametrize("summary", ["auto", None], ids=["summary", "content"])
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
def test_a_thread_of_a_hundred_turns_comes_back_as_it_was(summary: str | None, sealed: bool) -> None:
    body: JSON = {"model": "m", "tools": TOOLS, "reasoning": {"summary": summary}, "stream": True}
    body["include"] = ["reasoning.encrypted_content"] if sealed else []
    body["input"] = [{"role": "user", "content": "Begin."}]
    said: list[JSON] = []
    before: list[Any] = []
    for turn in range(100):
        message = spoken(turn)
        said.append(message)
        items = answered(message, body)
        outputs = [output for item in items if (output := output_of(item, turn))]
        assert len(outputs) == len(message["tool_calls"])
        body = {**body, "input": [*body["input"], *items, *outputs]}
        sent = for_upstream(to_chat(body, TERMS).body, TERMS.model, frozenset())["messages"]
        assert [orjson.dumps(m) for m in sent[: len(before)]] == before
        before = [orjson.dumps(m) for m in sent]
    turns = [m for m in sent if m["role"] == "assistant"]
    assert [m["reasoning_content"] for m in turns] == [m["reasoning_content"] for m in said]
    assert [m["content"] for m in turns] == [m["content"] for m in said]
    assert [[call["id"] for call in m["tool_calls"]] for m in turns] == [
        [call["id"] for call in m["tool_calls"]] for m in said
    ]
    for sent_turn, said_turn in zip(turns, said, strict=True):
        for got, was in zip(sent_turn["tool_calls"], said_turn["tool_calls"], strict=True):
            assert got["function"]["name"] == was["function"]["name"]
            assert orjson.loads(got["function"]["arguments"]) == orjson.loads(was["function"]["arguments"])
    outputs = [m for m in sent if m["role"] == "tool"]
    assert [m["tool_call_id"] for m in outputs] == [call["id"] for m in said for call in m["tool_calls"]]
    images = [m for m in sent if m["role"] == "user" and isinstance(m["content"], list)]
    assert len(images) == sum(1 for turn in range(100) if (turn % 7 == 0 and turn % 3 != 1) or turn % 28 == 0)

"""The conversation of a Messages request, into messages of Chat in the same order.

One turn may become several messages: each `tool_result` of a user's turn is a message of its own, and what
else stands in the turn follows all of them, because Chat wants outputs right behind their calls. What chat
templates demand beyond that is settled in one place for all dialects (`chat.history`).

Reference: Anthropic API reference, "Messages", `system` and `messages`; "Mid-conversation system messages".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dialects import HUB_KEY, shape
from gateway.dialects.messages.content import Intake, blocks_of, joined, parts_of, plain, text_parts
from gateway.dialects.messages.signature import sealed_of
from gateway.dialects.messages.tools import short_name
from gateway.types import JSON

BILLING_MARK = "x-anthropic-billing-header:"
"""Begins the line that Claude Code puts first in the prompt. It differs for each conversation, so an upstream
could never reuse what it computed for the rest of the prompt."""

TOOL_ERROR = "[tool error]"
"""Marks the output of a call that failed; Chat has no member for it."""

_SYSTEM_JOINT = "\n\n"


def system(body: JSON, intake: Intake) -> str:
    """Return the text of `system`, without the billing line. Raises: RequestError."""
    value = body.get("system")
    if value is None:
        return ""
    blocks = blocks_of({"content": value}, "system") if isinstance(value, str) else _system_blocks(value)
    texts = [plain(parts_of(block, f"system[{i}]", intake), f"system[{i}]") for i, block in enumerate(blocks)]
    return _SYSTEM_JOINT.join(text for text in map(_without_billing, texts) if text)


def _system_blocks(value: Any) -> list[JSON]:
    if not isinstance(value, list):
        raise shape.wrong("system", "a string or a list of text blocks", value)
    for index, block in enumerate(value):
        if not isinstance(block, dict):
            raise shape.wrong(f"system[{index}]", "a text block (an object)", block)
        shape.name(block, "type", f"system[{index}]")
    return value


def _without_billing(text: str) -> str:
    return text.partition("\n")[2] if text.startswith(BILLING_MARK) else text


def turns(messages: list[Any], intake: Intake) -> list[JSON]:
    """Translate `messages`. Raises: RequestError."""
    out: list[JSON] = []
    last_user = max((i for i, m in enumerate(messages) if isinstance(m, dict) and m.get("role") == "user"), default=-1)
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise shape.wrong(path, "a message (an object)", message)
        role = shape.name(message, "role", path)
        convert = _ROLES.get(role)
        if convert is None:
            raise shape.fault(f"{path}.role", f"`{path}.role` must be user, assistant or system.")
        if not (message.get("clear_at") == "next_user_message" and index < last_user):
            out += convert(message, path, intake)
    return out


def _user(message: JSON, path: str, intake: Intake) -> list[JSON]:
    results: list[JSON] = []
    rest: list[JSON] = []
    for index, block in enumerate(blocks_of(message, path)):
        where = f"{path}.content[{index}]"
        if block["type"] == "tool_result":
            parts = _result_parts(block, where, intake)
            rest += [part for part in parts if part["type"] == "file"]
            content = joined([part for part in parts if part["type"] != "file"])
            call_id = shape.name(block, "tool_use_id", where)
            results.append({"role": "tool", "tool_call_id": call_id, "content": content})
        else:
            rest += parts_of(block, where, intake)
    return results if results and not rest else [*results, {"role": "user", "content": joined(rest)}]


def _result_parts(block: JSON, path: str, intake: Intake) -> list[JSON]:
    parts = text_parts(TOOL_ERROR) if shape.boolean(block, "is_error", path) else []
    if block.get("content") is not None:
        for index, inner in enumerate(blocks_of(block, path)):
            parts += parts_of(inner, f"{path}.content[{index}]", intake)
    return parts


def _assistant(message: JSON, path: str, intake: Intake) -> list[JSON]:
    parts: list[JSON] = []
    thoughts: list[str] = []
    calls: list[JSON] = []
    sealed: list[str] = []
    for index, block in enumerate(blocks_of(message, path)):
        where = f"{path}.content[{index}]"
        match block["type"]:
            case "thinking":
                thoughts.append(shape.text(block, "thinking", where))
                opaque = sealed_of(shape.optional_text(block, "signature", where) or "")
                sealed += [opaque] if opaque else []
            case "redacted_thinking":
                intake.dropped.append(where)
            case "tool_use":
                calls.append(_call(block, where, intake))
            case _:
                parts += parts_of(block, where, intake)
    out: JSON = {"role": "assistant", "content": plain(parts, path) or None}
    if any(thoughts):
        out["reasoning_content"] = "\n".join(thought for thought in thoughts if thought)
    if sealed:
        out[HUB_KEY] = {"sealed": sealed}
    if calls:
        out["tool_calls"] = calls
    # A turn that holds nothing is left by a client that gave up on it.
    return [out] if len(out) > 2 or out["content"] else []


def _call(block: JSON, path: str, intake: Intake) -> JSON:
    name = shape.name(block, "name", path)
    intake.loaded.add(name)
    given = block.get("input")
    arguments = given if isinstance(given, str) else shape.dump({} if given is None else given, f"{path}.input")
    function = {"name": short_name(name), "arguments": arguments}
    return {"id": shape.name(block, "id", path), "type": "function", "function": function}


def _system(message: JSON, path: str, intake: Intake) -> list[JSON]:
    if message.get("content") is None and message.get("output_config") is not None:
        return []  # carries the effort of one turn only
    texts: list[str] = []
    for index, block in enumerate(blocks_of(message, path)):
        where = f"{path}.content[{index}]"
        if block["type"] == "tool_addition":
            _load(block.get("tool"), intake)
        else:
            texts.append(plain(parts_of(block, where, intake), where))
    text = _SYSTEM_JOINT.join(text for text in texts if text)
    return [{"role": "system", "content": text}] if text else []


def _load(tool: Any, intake: Intake) -> None:
    name = tool.get("name") if isinstance(tool, dict) else None
    if isinstance(name, str):
        intake.loaded.add(name)


_ROLES: dict[str, Callable[[JSON, str, Intake], list[JSON]]] = {
    "user": _user,
    "assistant": _assistant,
    "system": _system,
}

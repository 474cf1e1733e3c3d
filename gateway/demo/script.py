"""What the demo upstream answers: a Chat request to the events of one answer. Pure.

It thinks, it talks, and where the client offers tools it calls one of them, once in a turn:

    user speaks, tools offered   reasoning, a sentence, one call with arguments made by the tool's schema
    a tool's output came back    reasoning, a text that repeats the output
    a JSON form is asked for     an object made by the schema
    else                         reasoning, a text that repeats what the user said

The call must do no harm, for a client runs it: a tool that takes a shell command gets an `echo`; else one is
called whose name says that it only looks, and only where there is none the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from gateway.events import BlockEnd, BlockStart, Delta, Event, Finish, FinishReason, Kind, Start, Usage
from gateway.types import JSON

MODEL = "demo/assistant"
QUIET_MODEL = "demo/quick"

MODELS: list[JSON] = [
    {
        "id": MODEL,
        "object": "model",
        "owned_by": "demo",
        "context_length": 131_072,
        "max_output_length": 8192,
        "input_modalities": ["text", "image"],
        "supported_features": ["tools", "reasoning", "structured_outputs"],
        "pricing": {"prompt": 0, "completion": 0},
    },
    {
        "id": QUIET_MODEL,
        "object": "model",
        "owned_by": "demo",
        "context_length": 32_768,
        "input_modalities": ["text"],
        "supported_features": ["tools"],
        "pricing": {"prompt": 0, "completion": 0},
    },
]

COMMAND = "echo Hello from the demo upstream"

_SHOWN = 300
_DEPTH = 6
_COMMAND_NAMES = ("cmd", "command", "script")
_LOOKS = re.compile(
    r"^(.*[_.-])?(get|list|read|search|find|show|view|current|fetch|lookup|query|time|weather|glob)", re.I
)


def answer(body: JSON, new_call_id: str) -> Iterator[Event]:
    """Yield the events of the answer to a Chat body."""
    messages = [message for message in _list(body.get("messages")) if isinstance(message, dict)]
    tool = _tool(body, messages)
    yield Start(id="chatcmpl-demo", model=str(body.get("model")))
    block = 0
    if body.get("model") != QUIET_MODEL:
        yield from _block(block, "reasoning", _thought(messages, tool))
        block += 1
    written = _text(body, messages, tool)
    yield from _block(block, "text", written)
    if tool is not None:
        arguments = json.dumps(_arguments(tool))
        yield from _block(block + 1, "tool_call", arguments, new_call_id, str(tool["name"]))
    reason: FinishReason = "stop" if tool is None else "tool_calls"
    asked = max(1, len(json.dumps(messages)) // 4)
    yield Finish(reason, usage=Usage(asked, max(1, len(written) // 4)))


def _block(number: int, kind: Kind, text: str, call_id: str | None = None, name: str | None = None) -> Iterator[Event]:
    yield BlockStart(number, kind, call_id, name)
    for piece in re.findall(r"\s*\S+|\s+$", text):
        yield Delta(number, piece)
    yield BlockEnd(number)


def _thought(messages: list[JSON], tool: JSON | None) -> str:
    if tool is not None:
        return f"The client offers tools. I call {tool['name']} once, so that it can be seen to work."
    if messages and messages[-1].get("role") == "tool":
        return "The tool has answered. I tell what it said."
    return "This is the demo: nobody thinks here, but the thinking is streamed as a model's would be."


def _text(body: JSON, messages: list[JSON], tool: JSON | None) -> str:
    if tool is not None:
        return f"I call the tool {tool['name']}."
    schema = _asked_schema(body)
    if schema is not None:
        return json.dumps(_sample(schema))
    last = messages[-1] if messages else {}
    said = _said(last)
    if last.get("role") == "tool":
        return f"The tool answered: {said}\n\nSo tools work through the gateway."
    return (
        f"Hello from the demo upstream of the gateway. You said: {said}\n\n"
        "Your client, the gateway and the way between them work. Put a real model behind the gateway next."
    )


def _said(message: JSON) -> str:
    content = message.get("content")
    if isinstance(content, list):
        content = " ".join(
            str(part.get("text") or f"({part.get('type')})") for part in content if isinstance(part, dict)
        )
    text = " ".join(str(content or "").split())
    return text if len(text) <= _SHOWN else "… " + text[-_SHOWN:]


def _asked_schema(body: JSON) -> JSON | None:
    form = body.get("response_format")
    if not isinstance(form, dict):
        return None
    if form.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    return schema if isinstance(schema, dict) else None


# --- the call -----------------------------------------------------------------------------------------------


def _tool(body: JSON, messages: list[JSON]) -> JSON | None:
    """Return the function to call, None for none."""
    functions: list[JSON] = [tool["function"] for tool in _list(body.get("tools")) if _is_function(tool)]
    choice = body.get("tool_choice")
    if choice == "none" or not functions:
        return None
    forced = choice.get("function", {}).get("name") if isinstance(choice, dict) else None
    if forced is not None:
        return next((function for function in functions if function["name"] == forced), None)
    if choice != "required" and _called_in_this_turn(messages):
        return None
    return min(functions, key=_risk)


def _is_function(tool: Any) -> bool:
    function = tool.get("function") if isinstance(tool, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _called_in_this_turn(messages: list[JSON]) -> bool:
    for message in reversed(messages):
        if message.get("role") == "user":
            return False
        if message.get("role") == "tool":
            return True
    return False


def _risk(function: JSON) -> int:
    if _command_parameter(function) is not None:
        return 0
    return 1 if _LOOKS.match(function["name"]) else 2


def _command_parameter(function: JSON) -> str | None:
    """Return the name of the parameter that takes a shell command, None where the tool is no shell."""
    properties = _properties(function.get("parameters"))
    found = (name for name in _COMMAND_NAMES if isinstance(properties.get(name), dict))
    return next((name for name in found if properties[name].get("type") in ("string", "array")), None)


def _arguments(function: JSON) -> Any:
    parameters = function.get("parameters")
    arguments = _sample(parameters if isinstance(parameters, dict) else {})
    command = _command_parameter(function)
    if command is None or not isinstance(arguments, dict):
        return arguments
    is_list = _properties(parameters)[command].get("type") == "array"
    return {**arguments, command: ["bash", "-c", COMMAND] if is_list else COMMAND}


def _sample(schema: Any, depth: int = 0) -> Any:
    """Return a value that a JSON schema allows, for the forms that tools use."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return None
    for word in ("const", "default"):
        if schema.get(word) is not None:
            return schema[word]
    if _list(schema.get("enum")):
        return schema["enum"][0]
    for word in ("anyOf", "oneOf", "allOf"):
        if _list(schema.get(word)):
            return _sample(schema[word][0], depth + 1)
    kind = schema.get("type")
    return _sample_of(kind[0] if isinstance(kind, list) and kind else kind, schema, depth)


def _sample_of(kind: Any, schema: JSON, depth: int) -> Any:
    match kind:
        case "string":
            return "demo"
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
        case "null":
            return None
        case "array":
            return [_sample(schema.get("items"), depth + 1)] if schema.get("minItems") else []
    properties = _properties(schema)
    needed = schema.get("required")
    names = list(properties) if needed is None else [name for name in _list(needed) if name in properties]
    return {name: _sample(properties[name], depth + 1) for name in names}


def _properties(schema: Any) -> JSON:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    return properties if isinstance(properties, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

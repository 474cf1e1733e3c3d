"""The messages of a chat client, checked and in the hub's form: one naive message for each.

The legacy forms become today's: a `function_call` is a tool call with an id made from its place, a message of
the role `function` answers the latest such call of its name. The call of a custom tool is one of a function
with the arguments `{"input": …}`; which tools are custom is told by the tools that are offered.
Reference: OpenAI API, "Create chat completion", `messages`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.dialects import shape
from gateway.dialects.chat.client_parts import Intake, content, plain_text
from gateway.errors import UnsupportedFeature
from gateway.types import JSON

_JOINT = "\n"


class MessageReader:
    """Reads the messages of one request."""

    def __init__(self, intake: Intake) -> None:
        self.messages: list[JSON] = []
        self._intake = intake
        self._functions: dict[str, str] = {}
        """Ids of the legacy calls that wait for their output, by name."""

    def read(self, messages: list[Any]) -> None:
        """Take all messages. Raises: RequestError, with the path of the message."""
        for index, message in enumerate(messages):
            path = f"messages[{index}]"
            if not isinstance(message, dict):
                raise shape.wrong(path, "a message (an object)", message)
            role = shape.name(message, "role", path)
            take = _ROLES.get(role)
            if take is None:
                known = ", ".join(_ROLES)
                raise shape.fault(f"{path}.role", f"`{path}.role` {shape.shown(role)} is not one of {known}.")
            take(self, message, path)

    def instruction(self, message: JSON, path: str) -> None:
        """Take a message of the roles `system` and `developer`."""
        self._drop_name(message, path)
        text = plain_text(message.get("content"), f"{path}.content", self._intake, _JOINT)
        self.messages.append({"role": message["role"], "content": text})

    def user(self, message: JSON, path: str) -> None:
        """Take a user's message."""
        self._drop_name(message, path)
        parts = content(message.get("content"), f"{path}.content", self._intake)
        self.messages.append({"role": "user", "content": parts})

    def assistant(self, message: JSON, path: str) -> None:
        """Take an answer of earlier: text, reasoning, calls."""
        if message.get("audio") is not None:
            place = f"{path}.audio"
            raise UnsupportedFeature(
                f"`{place}`: audio cannot be sent to this upstream.", param=place, code="unsupported_audio"
            )
        out: JSON = {"role": "assistant", "content": self._said(message, path)}
        thought = self._thought(message, path)
        if thought:
            out["reasoning_content"] = thought
        calls = [
            self._call(call, f"{path}.tool_calls[{index}]")
            for index, call in enumerate(shape.listing(message, "tool_calls", path) or ())
        ]
        legacy = shape.mapping(message, "function_call", path)
        if legacy is not None and not calls:
            calls = [self._legacy_call(legacy, path)]
        if calls:
            out["tool_calls"] = calls
        self.messages.append(out)

    def tool(self, message: JSON, path: str) -> None:
        """Take the output of a call."""
        self._output(shape.name(message, "tool_call_id", path), message, path)

    def function(self, message: JSON, path: str) -> None:
        """Take the output of a legacy call."""
        name = shape.name(message, "name", path)
        self._output(self._functions.pop(name, f"call_{path}"), message, path)

    def _output(self, call_id: str, message: JSON, path: str) -> None:
        given = message.get("content")
        output = "" if given is None else content(given, f"{path}.content", self._intake)
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": output})

    def _said(self, message: JSON, path: str) -> str | None:
        given = message.get("content")
        text = "" if given is None else plain_text(given, f"{path}.content", self._intake, "")
        refusal = shape.optional_text(message, "refusal", path)
        return text or (self._intake.count(refusal) if refusal else None)

    def _thought(self, message: JSON, path: str) -> str:
        for member in ("reasoning_content", "reasoning"):
            if isinstance(message.get(member), str) and message[member]:
                return self._intake.count(message[member])
        return ""

    def _call(self, call: Any, path: str) -> JSON:
        if not isinstance(call, dict):
            raise shape.wrong(path, "a tool call (an object)", call)
        kind = shape.optional_text(call, "type", path) or "function"
        if kind not in ("function", "custom"):
            raise shape.fault(f"{path}.type", f"`{path}.type` must be function or custom.")
        inner = shape.mapping(call, kind, path)
        if inner is None:
            raise shape.wrong(f"{path}.{kind}", "an object", None)
        place = f"{path}.{kind}"
        if kind == "custom":
            arguments = shape.dump({"input": shape.text(inner, "input", place)}, f"{place}.input")
        else:
            arguments = _arguments(inner, place)
        function = {"name": shape.name(inner, "name", place), "arguments": self._intake.count(arguments)}
        return {"id": shape.name(call, "id", path), "type": "function", "function": function}

    def _legacy_call(self, call: JSON, path: str) -> JSON:
        place = f"{path}.function_call"
        name, arguments = shape.name(call, "name", place), self._intake.count(_arguments(call, place))
        self._functions[name] = id = f"call_{path}"
        return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _drop_name(self, message: JSON, path: str) -> None:
        if message.get("name") is not None:
            self._intake.dropped.append(f"{path}.name")


def _arguments(call: JSON, path: str) -> str:
    given = call.get("arguments")
    if isinstance(given, dict):  # some agents keep them parsed
        return shape.dump(given, f"{path}.arguments")
    return shape.optional_text(call, "arguments", path) or ""


_ROLES: dict[str, Callable[[MessageReader, JSON, str], None]] = {
    "system": MessageReader.instruction,
    "developer": MessageReader.instruction,
    "user": MessageReader.user,
    "assistant": MessageReader.assistant,
    "tool": MessageReader.tool,
    "function": MessageReader.function,
}

"""Input items of Responses, into Chat messages one by one, in order.

The messages are naive: each item gives its own, an assistant's reasoning and calls too. `chat.history.settle`
makes one valid history of them afterwards, for all dialects. What decides here:

    message                     a message of its role
    reasoning                   an assistant piece with `reasoning_content`: from `content`, else from our own
                                `encrypted_content`, else from the summary
    every kind of call          an assistant piece with one tool call, under the name by which the upstream
                                knows the tool, so that calls and offered tools fit together
    every kind of output        a `tool` message
    additional_tools, tool_search_output    their tools can be called from then on
    compaction                  the summary it holds, as a user message
    compaction_trigger          our prompt for such a summary
    item_reference              refused: what could be found has been put in its place before
    anything else               left out and listed (calls of hosted tools, item types to come)

Reference: `ResponseInputItemParam` of the OpenAI API.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gateway.dialects import shape
from gateway.dialects.responses import compaction
from gateway.dialects.responses.content import Intake, content, plain_text
from gateway.dialects.responses.tools import Toolbox
from gateway.errors import RequestError
from gateway.types import JSON

_JOINTS = {"user": "\n", "system": "\n", "developer": "\n", "assistant": ""}
"""Roles, and what joins the text parts of one message. Those of an assistant were cut from one text."""


class ItemReader:
    """Reads the input items of one request."""

    def __init__(self, intake: Intake, toolbox: Toolbox) -> None:
        self.messages: list[JSON] = []
        self.compaction = False
        """The request asks for the summary of a compaction item."""
        self._intake = intake
        self._toolbox = toolbox
        self._last = ""
        self._shell_calls: dict[str, str] = {}
        """Call ids of local shell calls, by item id: their outputs may name either."""

    def read(self, items: Sequence[Any], name: str = "input") -> None:
        """Take all items. Raises: RequestError, with the path of the item, which begins with `name`."""
        self._last = f"input[{len(items) - 1}]"
        for index, item in enumerate(items):
            path = f"{name}[{index}]"
            if not isinstance(item, dict):
                raise shape.wrong(path, "an item (an object)", item)
            handler = _HANDLERS.get(_type_of(item, path))
            if handler is None:
                self._intake.dropped.append(path)
            else:
                handler(self, item, path)

    def message(self, item: JSON, path: str) -> None:
        """Take a message of any role."""
        role = shape.text(item, "role", path)
        if role not in _JOINTS:
            advice = " Send a tool's output as a `function_call_output` item." if role == "tool" else ""
            raise shape.fault(f"{path}.role", f"`{path}.role` {shape.shown(role)} is not known.{advice}")
        given, place = item.get("content"), f"{path}.content"
        if role == "user":
            self.messages.append({"role": role, "content": content(given, place, self._intake)})
        elif given is not None or role != "assistant":  # an assistant that only called tools says null in Chat
            text = plain_text(given, place, self._intake, _JOINTS[role])
            self.messages.append({"role": role, "content": text})

    def reasoning(self, item: JSON, path: str) -> None:
        """Take a reasoning item, in the fullest form it has."""
        text = self._texts(item, "content", path, "")
        if not text:
            text = self._unsealed(item, path) or self._texts(item, "summary", path, "\n\n")
        if text:
            self.messages.append({"role": "assistant", "content": None, "reasoning_content": text})

    def compaction_item(self, item: JSON, path: str) -> None:
        """Take the summary that an earlier compaction made."""
        shape.text(item, "encrypted_content", path)
        summary = self._unsealed(item, path)
        if summary:
            self.messages.append(compaction.summary_message(summary))

    def trigger(self, item: JSON, path: str) -> None:
        """Take the wish for a compaction; only as the last item it is still open."""
        if path == self._last:
            self.compaction = True
            self.messages.append(compaction.prompt_message())
        else:
            self._intake.dropped.append(path)

    def reference(self, item: JSON, path: str) -> None:
        """Refuse a reference that nothing could be found for."""
        wanted = shape.shown(item.get("id"))
        raise RequestError(
            f"The item_reference {wanted} is not known here. Send the item itself instead.",
            param=path,
            code="item_not_found",
        )

    def function_call(self, item: JSON, path: str) -> None:
        """Take the call of a function, which may be one of a namespace."""
        arguments = item.get("arguments")
        if arguments is None:
            arguments = ""
        elif isinstance(arguments, dict):  # some agents keep them parsed
            arguments = shape.dump(arguments, f"{path}.arguments")
        elif not isinstance(arguments, str):
            raise shape.wrong(f"{path}.arguments", "a string with JSON", arguments)
        self._call(item, path, self._tool_name(item, path), arguments)

    def custom_call(self, item: JSON, path: str) -> None:
        """Take the call of a freeform tool."""
        arguments = shape.dump({"input": shape.text(item, "input", path)}, f"{path}.input")
        self._call(item, path, self._tool_name(item, path), arguments)

    def search_call(self, item: JSON, path: str) -> None:
        """Take a search for tools, if the client ran it."""
        if not _by_client(item, path):
            self._intake.dropped.append(path)
            return
        arguments = item.get("arguments")
        if not isinstance(arguments, str):
            arguments = shape.dump({} if arguments is None else arguments, f"{path}.arguments")
        self._call(item, path, self._toolbox.name_of(None, "tool_search"), arguments)

    def search_output(self, item: JSON, path: str) -> None:
        """Take what a search found: the tools, and for the model a list of their names."""
        names = self._declare(item, path)
        if not _by_client(item, path):
            self._intake.dropped.append(path)
            return
        self._output(item, path, "\n".join(map(self._found, names)) or "No tool was found.")

    def additional_tools(self, item: JSON, path: str) -> None:
        """Take tools that are declared in the history; Codex does so in its lite mode."""
        self._declare(item, path)

    def local_shell_call(self, item: JSON, path: str) -> None:
        """Take a call of the built-in local shell."""
        action = shape.mapping(item, "action", path)
        if action is None:
            raise shape.wrong(f"{path}.action", "an object", None)
        given = {key: value for key, value in action.items() if key != "type" and value is not None}
        self._call(item, path, self._toolbox.name_of(None, "local_shell"), shape.dump(given, f"{path}.action"))
        if isinstance(item.get("id"), str):
            self._shell_calls[item["id"]] = _call_id(item, path)

    def local_shell_output(self, item: JSON, path: str) -> None:
        """Take the output of the built-in local shell; its `id` may be the item's or the call's."""
        named = _call_id(item, path)
        self._output({**item, "call_id": self._shell_calls.get(named, named)}, path, self._result(item, path))

    def shell_call(self, item: JSON, path: str) -> None:
        """Take a call of the built-in shell."""
        self._object_call(item, path, "action", "shell")

    def shell_output(self, item: JSON, path: str) -> None:
        """Take the output of the built-in shell: a list of objects with `stdout`, `stderr` and `outcome`."""
        value = item.get("output")
        if not isinstance(value, str | list):
            raise shape.wrong(f"{path}.output", "a list", value)
        text = value if isinstance(value, str) else shape.dump(value, f"{path}.output")
        self._output(item, path, self._intake.count(text))

    def patch_call(self, item: JSON, path: str) -> None:
        """Take a call of the built-in patch tool."""
        self._object_call(item, path, "operation", "apply_patch")

    def patch_output(self, item: JSON, path: str) -> None:
        """Take the outcome of the built-in patch tool: a status, and perhaps words."""
        status = shape.optional_text(item, "status", path) or "completed"
        said = shape.optional_text(item, "output", path)
        self._output(item, path, self._intake.count(f"{status}: {said}" if said else status))

    def output(self, item: JSON, path: str) -> None:
        """Take the output of a call: text, content parts, or any JSON."""
        self._output(item, path, self._result(item, path))

    def _object_call(self, item: JSON, path: str, member: str, tool: str) -> None:
        given = shape.mapping(item, member, path)
        if given is None:
            raise shape.wrong(f"{path}.{member}", "an object", None)
        given = {key: value for key, value in given.items() if value is not None}
        self._call(item, path, self._toolbox.name_of(None, tool), shape.dump(given, f"{path}.{member}"))

    def _call(self, item: JSON, path: str, name: str, arguments: str) -> None:
        function = {"name": name, "arguments": self._intake.count(arguments)}
        call = {"id": _call_id(item, path), "type": "function", "function": function}
        self.messages.append({"role": "assistant", "content": None, "tool_calls": [call]})

    def _output(self, item: JSON, path: str, result: str | list[JSON]) -> None:
        self.messages.append({"role": "tool", "tool_call_id": _call_id(item, path), "content": result})

    def _result(self, item: JSON, path: str) -> str | list[JSON]:
        value, place = item.get("output"), f"{path}.output"
        if value is None:
            raise shape.wrong(place, "a string or a list of content parts", None)
        if isinstance(value, str | list):
            return content(value, place, self._intake)
        return self._intake.count(shape.dump(value, place))

    def _tool_name(self, item: JSON, path: str) -> str:
        namespace = shape.optional_text(item, "namespace", path) or None
        return self._toolbox.name_of(namespace, shape.name(item, "name", path))

    def _declare(self, item: JSON, path: str) -> list[str]:
        tools = shape.listing(item, "tools", path)
        if tools is None:
            raise shape.wrong(f"{path}.tools", "a list", None)
        return self._toolbox.declare(tools, f"{path}.tools", again=True)

    def _found(self, name: str) -> str:
        about = self._toolbox.functions[name]["function"].get("description")
        return f"{name}: {about}" if about else name

    def _unsealed(self, item: JSON, path: str) -> str | None:
        """Return the text of `encrypted_content`; None, and listed, where it is not ours or damaged."""
        sealed = shape.optional_text(item, "encrypted_content", path)
        if not sealed:
            return None
        text = self._intake.terms.unseal(sealed)
        if text is None:
            self._intake.dropped.append(f"{path}.encrypted_content")
            return None
        return self._intake.count(text)

    def _texts(self, item: JSON, key: str, path: str, joint: str) -> str:
        """Return the joined texts of a reasoning item's content or summary."""
        place = f"{path}.{key}"
        value = item.get(key)
        if isinstance(value, str):
            return self._intake.count(value)
        texts: list[str] = []
        for index, part in enumerate(shape.listing(item, key, path) or ()):
            if not isinstance(part, dict):
                raise shape.wrong(f"{place}[{index}]", "an object", part)
            texts.append(self._intake.count(shape.text(part, "text", f"{place}[{index}]")))
        return joint.join(texts)


def _type_of(item: JSON, path: str) -> str:
    """Return an item's type. SDKs leave it out of messages, and allow it to be null in references."""
    if item.get("type") is not None:
        return shape.text(item, "type", path)
    if item.get("role") is not None:
        return "message"
    if set(item) - {"type"} == {"id"}:
        return "item_reference"
    raise shape.wrong(f"{path}.type", "a string", None)


def _by_client(item: JSON, path: str) -> bool:
    return shape.optional_text(item, "execution", path) != "server"


def _call_id(item: JSON, path: str) -> str:
    if item.get("call_id") is None and item.get("id") is not None:
        return shape.text(item, "id", path)
    return shape.text(item, "call_id", path)


_HANDLERS: dict[str, Callable[[ItemReader, JSON, str], None]] = {
    "message": ItemReader.message,
    "reasoning": ItemReader.reasoning,
    "function_call": ItemReader.function_call,
    "function_call_output": ItemReader.output,
    "custom_tool_call": ItemReader.custom_call,
    "custom_tool_call_output": ItemReader.output,
    "tool_search_call": ItemReader.search_call,
    "tool_search_output": ItemReader.search_output,
    "additional_tools": ItemReader.additional_tools,
    "local_shell_call": ItemReader.local_shell_call,
    "local_shell_call_output": ItemReader.local_shell_output,
    "shell_call": ItemReader.shell_call,
    "shell_call_output": ItemReader.shell_output,
    "apply_patch_call": ItemReader.patch_call,
    "apply_patch_call_output": ItemReader.patch_output,
    "compaction": ItemReader.compaction_item,
    "compaction_summary": ItemReader.compaction_item,
    "compaction_trigger": ItemReader.trigger,
    "item_reference": ItemReader.reference,
}

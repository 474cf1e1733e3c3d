"""Tool calls as output items: each kind of tool that a client may offer has a call item of its own.

The upstream knows functions only, so every call arrives as a name and JSON arguments. What reaches the
client: a function's arguments as they are, a custom tool's raw input (`freeform`), and for the built-in kinds
an object made of the arguments, which is whole or nothing and so has no deltas.

Reference: OpenAI API, "Responses", the call items; `execution: client` of `tool_search_call` as Codex reads it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.responses import wire
from gateway.dialects.responses.context import Tool
from gateway.dialects.responses.freeform import Freeform
from gateway.dialects.responses.items import Item, status_of
from gateway.events import BlockEnd, Delta
from gateway.types import JSON


class FunctionCall(Item):
    """A call of a function; arguments that are not JSON pass as they came, the client tells the model."""

    def __init__(self, id: str, index: int, call_id: str, tool: Tool) -> None:
        super().__init__(id, index)
        self._call_id = call_id
        self._tool = tool
        self._texts: list[str] = []
        self._head = wire.delta_head(
            {"type": "response.function_call_arguments.delta", "item_id": id, "output_index": index}
        )

    def start(self) -> list[bytes]:
        """See `Block`."""
        return [self.added(self._item("in_progress", ""))]

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        self._texts.append(delta.text)
        return self._head + orjson.dumps(delta.text)

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        arguments = "".join(self._texts)
        frames = []
        if not arguments and not end.cut:
            arguments = "{}"
            frames.append(self._head + b'"{}"')
        frames.append(
            wire.event(
                {
                    "type": "response.function_call_arguments.done",
                    "item_id": self.id,
                    "output_index": self.index,
                    "arguments": arguments,
                }
            )
        )
        frames.append(self.done(self._item(status_of(end.cut), arguments)))
        return frames

    def _item(self, status: wire.Status, arguments: str) -> wire.FunctionCallItem:
        item: wire.FunctionCallItem = {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._tool.name,
            "arguments": arguments,
        }
        if self._tool.namespace is not None:
            item["namespace"] = self._tool.namespace
        return item


class CustomToolCall(Item):
    """A call of a custom tool, which takes raw text."""

    def __init__(self, id: str, index: int, call_id: str, tool: Tool) -> None:
        super().__init__(id, index)
        self._call_id = call_id
        self._tool = tool
        self._freeform = Freeform(tool.name)
        self._texts: list[str] = []
        self._head = wire.delta_head(
            {"type": "response.custom_tool_call_input.delta", "item_id": id, "output_index": index}
        )

    def start(self) -> list[bytes]:
        """See `Block`."""
        return [self.added(self._item("in_progress", ""))]

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        return self._delta(self._freeform.feed(delta.text))

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        last = self._delta(self._freeform.finish(cut=end.cut))
        text = "".join(self._texts)
        return [
            *([last] if last else ()),
            wire.event(
                {
                    "type": "response.custom_tool_call_input.done",
                    "item_id": self.id,
                    "output_index": self.index,
                    "input": text,
                }
            ),
            self.done(self._item(status_of(end.cut), text)),
        ]

    def _delta(self, text: str) -> bytes:
        if not text:
            return b""
        self._texts.append(text)
        return self._head + orjson.dumps(text)

    def _item(self, status: wire.Status, text: str) -> wire.CustomToolCallItem:
        item: wire.CustomToolCallItem = {
            "id": self.id,
            "type": "custom_tool_call",
            "status": status,
            "call_id": self._call_id,
            "name": self._tool.name,
            "input": text,
        }
        if self._tool.namespace is not None:
            item["namespace"] = self._tool.namespace
        return item


Spell = Callable[[str, str, wire.Status, JSON], wire.BuiltinCallItem]
"""Makes a built-in call's item of its id, call id, status and parsed arguments."""


class BuiltinCall(Item):
    """A call of a built-in tool: shown once announced, with its content when that is complete."""

    def __init__(self, id: str, index: int, call_id: str, spell: Spell) -> None:
        super().__init__(id, index)
        self._call_id = call_id
        self._spell = spell
        self._texts: list[str] = []

    def start(self) -> list[bytes]:
        """See `Block`."""
        return [self.added(self._spell(self.id, self._call_id, "in_progress", {}))]

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        self._texts.append(delta.text)
        return b""

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        arguments = _object("".join(self._texts))
        return [self.done(self._spell(self.id, self._call_id, status_of(end.cut), arguments))]


def tool_search_call(id: str, call_id: str, status: wire.Status, arguments: JSON) -> wire.ToolSearchCallItem:
    """Spell a search for tools, which the client runs."""
    return {
        "id": id,
        "type": "tool_search_call",
        "status": status,
        "call_id": call_id,
        "execution": "client",
        "arguments": arguments,
    }


def local_shell_call(id: str, call_id: str, status: wire.Status, arguments: JSON) -> wire.LocalShellCallItem:
    """Spell a command for `local_shell`: one argument list."""
    command = arguments.get("command")
    env = arguments.get("env")
    return {
        "id": id,
        "type": "local_shell_call",
        "status": status,
        "call_id": call_id,
        "action": {
            "type": "exec",
            "command": ["bash", "-lc", command] if isinstance(command, str) else _strings(command),
            "env": {key: value for key, value in env.items() if isinstance(value, str)}
            if isinstance(env, dict)
            else {},
            "timeout_ms": _integer(arguments.get("timeout_ms")),
            "user": _string(arguments.get("user")),
            "working_directory": _string(arguments.get("working_directory") or arguments.get("workdir")),
        },
    }


def shell_call(id: str, call_id: str, status: wire.Status, arguments: JSON) -> wire.ShellCallItem:
    """Spell commands for `shell`: lines for a shell. Models also send the argument list of `local_shell`."""
    commands = arguments.get("commands")
    command = arguments.get("command")
    if isinstance(commands, str):
        commands = [commands]
    elif commands is None and command is not None:
        commands = [command if isinstance(command, str) else shlex.join(_strings(command))]
    return {
        "id": id,
        "type": "shell_call",
        "status": status,
        "call_id": call_id,
        "action": {
            "commands": _strings(commands),
            "timeout_ms": _integer(arguments.get("timeout_ms")),
            "max_output_length": _integer(arguments.get("max_output_length")),
        },
        "environment": None,
    }


def apply_patch_call(id: str, call_id: str, status: wire.Status, arguments: JSON) -> wire.ApplyPatchCallItem:
    """Spell an operation on one file.

    The schema knows no incomplete call, and one that says it is complete would be run: what was cut stays
    in progress. Where the arguments name no operation, an update of a file without a name tells the client.
    """
    operation = arguments.get("operation")
    if not isinstance(operation, dict):
        operation = arguments
    path = _string(operation.get("path")) or ""
    diff = _string(operation.get("diff")) or ""
    spelled: wire.PatchOperation
    match operation.get("type"):
        case "delete_file":
            spelled = {"type": "delete_file", "path": path}
        case "create_file":
            spelled = {"type": "create_file", "path": path, "diff": diff}
        case _:
            spelled = {"type": "update_file", "path": path, "diff": diff}
    return {
        "id": id,
        "type": "apply_patch_call",
        "status": "completed" if status == "completed" else "in_progress",
        "call_id": call_id,
        "operation": spelled,
    }


BUILTIN: dict[str, tuple[str, Spell]] = {
    "tool_search": ("ts_", tool_search_call),
    "local_shell": ("lsh_", local_shell_call),
    "shell": ("sh_", shell_call),
    "apply_patch": ("apc_", apply_patch_call),
}
"""By kind of tool: prefix of the item's id, and what spells the item."""


def _object(arguments: str) -> JSON:
    """Parse arguments; what is no object is an empty one."""
    try:
        value = orjson.loads(arguments)
        orjson.dumps(value)  # reads more levels of nesting than it writes
    except (ValueError, TypeError):
        return {}
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

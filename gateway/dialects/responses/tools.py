"""Tools of Responses, into the function tools of Chat, and the map that leads back.

A chat upstream knows functions only. So every tool that the client itself runs is offered as one:

    function      as it is, its `parameters` made an object schema
    custom        a function with one string `input`; the grammar stands in the description
    namespace     its tools one by one, as `namespace__name`
    tool_search   (run by the client) a function with the client's own parameters
    local_shell, shell, apply_patch   functions with the members of their call items

Tools that OpenAI's servers would run, and types that are not known, are left out and listed. Names upstream
have at most 64 characters; longer ones end in a hash of the whole, so that the same tool has the same name in
every turn and the upstream's prompt cache holds.
Reference: `ToolParam` of the OpenAI API.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.dialects import shape
from gateway.dialects.responses.context import Tool, ToolKind
from gateway.dialects.schema import object_schema
from gateway.errors import RequestError
from gateway.types import JSON

_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_ODD = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64
_HASH = 8

ORDINARY = "functions"
"""The namespace in which Codex puts tools that have none, in its lite mode."""


def flat_name(namespace: str | None, name: str) -> str:
    """Return the name for the upstream: both joined, of allowed characters, at most 64 of them."""
    full = name if namespace is None else f"{namespace}__{name}"
    if len(full) <= _LONGEST and _NAME.match(full):
        return full
    digest = hashlib.sha256(full.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{_ODD.sub('_', full)[: _LONGEST - _HASH - 1]}_{digest}"


@dataclass(slots=True)
class Toolbox:
    """The tools of one request, as they are declared: by `tools`, and by items further on in `input`."""

    limit: int
    """Most tools, from the settings."""
    dropped: list[str]
    """Paths of what was left out; shared with the rest of the translation."""
    tools: dict[str, Tool] = field(default_factory=dict)
    """By upstream name."""
    functions: dict[str, JSON] = field(default_factory=dict)
    """The same as Chat tools."""
    declared: int = 0
    """Different tools so far, and those left out."""

    def declare(self, tools: list[Any], path: str, *, again: bool = False) -> list[str]:
        """Take a list of tools; return the upstream names of those that can be called.

        `again`: a tool that is known already may be declared once more, and the later declaration counts. Two
        searches may find the same tool; within `tools` names are unique.
        Raises: RequestError, for wrong shapes, names taken twice, too many tools.
        """
        return [name for index, tool in enumerate(tools) for name in self._take(tool, f"{path}[{index}]", again)]

    def name_of(self, namespace: str | None, name: str) -> str:
        """Return the upstream name of a tool that history or `tool_choice` speaks of, offered or not.

        Codex takes the namespace `functions` for none, and a thread may change between the two.
        """
        flat = flat_name(namespace, name)
        if flat not in self.tools and namespace in (None, ORDINARY):
            other = flat_name(ORDINARY if namespace is None else None, name)
            if other in self.tools:
                return other
        return flat

    def _take(self, tool: Any, path: str, again: bool) -> list[str]:
        if not isinstance(tool, dict):
            raise shape.wrong(path, "a tool (an object)", tool)
        kind = shape.text(tool, "type", path)
        if kind == "namespace":
            return self._take_namespace(tool, path, again)
        return self._take_one(kind, None, tool, path, again)

    def _take_namespace(self, tool: JSON, path: str, again: bool) -> list[str]:
        namespace = _tool_name(tool, path)
        about = shape.optional_text(tool, "description", path)
        inner = shape.listing(tool, "tools", path)
        if inner is None:
            raise shape.wrong(f"{path}.tools", "a list", None)
        names: list[str] = []
        for index, member in enumerate(inner):
            place = f"{path}.tools[{index}]"
            if not isinstance(member, dict):
                raise shape.wrong(place, "a tool (an object)", member)
            names += self._take_one(shape.text(member, "type", place), namespace, member, place, again, about)
        return names

    def _take_one(
        self, kind: str, namespace: str | None, tool: JSON, path: str, again: bool, about: str | None = None
    ) -> list[str]:
        """Take one tool; `about` describes it where it does not say itself what it is for."""
        read = _KINDS.get(kind)
        offer = None if read is None else read(tool, path)
        if offer is None:
            self._count(path)
            self.dropped.append(path)
            return []
        known = Tool(offer.kind, offer.name, namespace)
        name = flat_name(namespace, offer.name)
        if name not in self.tools:
            self._count(path)
        elif self.tools[name] != known or not again:
            raise _taken(known, self.tools[name], name, path)
        self.tools[name] = known
        self.functions[name] = offer.function_tool(name, about)
        return [name]

    def _count(self, path: str) -> None:
        self.declared += 1
        if self.declared > self.limit:
            raise RequestError(
                f"The request has more than {self.limit} tools (MAX_TOOLS).", param=path, code="too_many_tools"
            )


def _taken(tool: Tool, other: Tool, name: str, path: str) -> RequestError:
    if tool == other:
        message = f"`{path}`: the tool {shape.shown(tool.name)} is declared twice."
    else:
        message = f"`{path}`: {_described(tool)} and {_described(other)} would both be called {shape.shown(name)}."
    return RequestError(message, param=path, code="duplicate_tool_name")


@dataclass(frozen=True, slots=True)
class _Offer:
    """A tool, read and ready to be offered as a function."""

    kind: ToolKind
    name: str
    parameters: JSON
    description: str | None = None
    strict: bool = False

    def function_tool(self, name: str, about: str | None) -> JSON:
        """Return the Chat tool under its upstream name. `strict` only where asked for: false is the default."""
        function: JSON = {"name": name}
        description = self.description or about
        if description:
            function["description"] = description
        function["parameters"] = self.parameters
        if self.strict:
            function["strict"] = True
        return {"type": "function", "function": function}


def _described(tool: Tool) -> str:
    place = "" if tool.namespace is None else f" in {shape.shown(tool.namespace)}"
    return f"the {tool.kind} tool {shape.shown(tool.name)}{place}"


def _tool_name(tool: JSON, path: str) -> str:
    name = shape.name(tool, "name", path)
    if not _NAME.match(name):
        raise shape.fault(
            f"{path}.name", f"`{path}.name` {shape.shown(name)} may only have letters, digits, `_` and `-`."
        )
    return name


def unnested(tool: JSON, kind: str, path: str) -> tuple[JSON, str]:
    """Return the members of a function or custom tool and their path: flat, or nested as Chat has them."""
    inner = shape.mapping(tool, kind, path)
    return (tool, path) if inner is None else (inner, f"{path}.{kind}")


def _function(tool: JSON, path: str) -> _Offer:
    tool, path = unnested(tool, "function", path)
    return _Offer(
        "function",
        _tool_name(tool, path),
        object_schema(tool.get("parameters"), f"{path}.parameters"),
        shape.optional_text(tool, "description", path),
        shape.boolean(tool, "strict", path) is True,
    )


def _custom(tool: JSON, path: str) -> _Offer:
    tool, path = unnested(tool, "custom", path)
    name = _tool_name(tool, path)
    about = shape.optional_text(tool, "description", path) or ""
    grammar = shape.mapping(tool, "format", path) or {}
    path = f"{path}.format"
    if shape.mapping(grammar, "grammar", path) is not None:  # Chat nests it
        grammar, path = grammar["grammar"], f"{path}.grammar"
    definition = shape.optional_text(grammar, "definition", path)
    syntax = shape.optional_text(grammar, "syntax", path) or "lark"
    lines = [about, _FREEFORM]
    if definition:
        lines.append(f"The text must match this {syntax} grammar:\n{definition.strip()}")
    patches = name == "apply_patch" or "*** Begin Patch" in (definition or "")
    lines.append(f"Example of the arguments: {_PATCH_EXAMPLE if patches else _TEXT_EXAMPLE}")
    return _Offer("custom", name, _FREEFORM_PARAMETERS, "\n\n".join(line for line in lines if line))


_FREEFORM = (
    "The tool takes free text. Call it with the one member `input`, a string that holds the whole text as it is "
    "to reach the tool, even if it is said above not to use JSON."
)
_PATCH_EXAMPLE = (
    r'{"input":"*** Begin Patch\n*** Update File: src/greet.py\n@@ def greet():\n'
    r'-    return \"hello\"\n+    return \"good morning\"\n*** End Patch\n"}'
)
_TEXT_EXAMPLE = r'{"input":"first line\nsecond line"}'


def _parameters(required: list[str], **properties: JSON) -> JSON:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


_STRINGS: JSON = {"type": "array", "items": {"type": "string"}}
_FREEFORM_PARAMETERS = _parameters(["input"], input={"type": "string", "description": "The whole text for the tool."})
_SEARCH_PARAMETERS = _parameters(["query"], query={"type": "string", "description": "What the tool should do."})
_SHELL_PARAMETERS = _parameters(
    ["commands"],
    commands={**_STRINGS, "description": "Shell commands, run one after the other."},
    timeout_ms={"type": "integer", "description": "Longest time for all of them, in milliseconds."},
    max_output_length={"type": "integer", "description": "Most characters of output to return."},
)
_LOCAL_SHELL_PARAMETERS = _parameters(
    ["command"],
    command={**_STRINGS, "description": 'The program and its arguments, for instance ["bash", "-lc", "ls"].'},
    env={"type": "object", "additionalProperties": {"type": "string"}, "description": "Environment variables to add."},
    timeout_ms={"type": "integer", "description": "Longest time, in milliseconds."},
    user={"type": "string", "description": "The user to run it as."},
    working_directory={"type": "string", "description": "The directory to run it in."},
)
_PATCH_PARAMETERS = _parameters(
    ["type", "path"],
    type={"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
    path={"type": "string", "description": "The file, relative to the root of the workspace."},
    diff={
        "type": "string",
        "description": "The change in the V4A diff format: `@@` lines name the place, lines beginning with a space, "
        "`-` or `+` are kept, removed or added. Of a new file every line begins with `+`. Not for delete_file.",
    },
)


def _tool_search(tool: JSON, path: str) -> _Offer | None:
    if shape.optional_text(tool, "execution", path) != "client":
        return None
    given = tool.get("parameters")
    parameters = _SEARCH_PARAMETERS if given is None else object_schema(given, f"{path}.parameters")
    about = shape.optional_text(tool, "description", path)
    return _Offer("tool_search", "tool_search", parameters, about or "Finds further tools, which can then be called.")


def _local_shell(tool: JSON, path: str) -> _Offer:
    return _Offer(
        "local_shell",
        "local_shell",
        _LOCAL_SHELL_PARAMETERS,
        "Runs a program on the user's machine; returns its output.",
    )


def _shell(tool: JSON, path: str) -> _Offer | None:
    environment = shape.mapping(tool, "environment", path)
    if environment is not None and shape.optional_text(environment, "type", f"{path}.environment") != "local":
        return None  # a container of OpenAI's
    return _Offer(
        "shell", "shell", _SHELL_PARAMETERS, "Runs shell commands on the user's machine; returns their output."
    )


def _apply_patch(tool: JSON, path: str) -> _Offer:
    return _Offer("apply_patch", "apply_patch", _PATCH_PARAMETERS, "Creates, changes or deletes one file.")


_KINDS: dict[str, Callable[[JSON, str], _Offer | None]] = {
    "function": _function,
    "custom": _custom,
    "tool_search": _tool_search,
    "local_shell": _local_shell,
    "shell": _shell,
    "apply_patch": _apply_patch,
}
"""None from a reader: the tool would run at OpenAI."""

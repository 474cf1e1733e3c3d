"""`tool_choice` of Responses, into that of Chat and the list of tools that are offered.

A choice without any tools says nothing and is left out. One that forces a tool which nobody can run here, or
which is not offered, is refused: an answer without the call would not be what was asked for.
Reference: `ToolChoice…Param` of the OpenAI API.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.dialects import shape
from gateway.dialects.responses.context import ToolKind
from gateway.dialects.responses.tools import Toolbox, unnested
from gateway.errors import RequestError, UnsupportedFeature
from gateway.types import JSON

_MODES = ("none", "auto", "required")
_BUILT_IN: dict[str, ToolKind] = {
    "apply_patch": "apply_patch",
    "shell": "shell",
    "local_shell": "local_shell",
    "tool_search": "tool_search",
}
_HERE = "tool_choice"


@dataclass(frozen=True, slots=True)
class Choice:
    """What is offered, and how the model may choose."""

    functions: list[JSON]
    value: Any = None
    """Chat's `tool_choice`; None to send none."""


def choose(choice: Any, toolbox: Toolbox) -> Choice:
    """Return the offered tools and Chat's `tool_choice`.

    Raises: RequestError, for wrong shapes and tools that are not offered; UnsupportedFeature for hosted ones.
    """
    if choice is None:
        return Choice(list(toolbox.functions.values()))
    if isinstance(choice, str):
        return _mode(choice, _HERE, list(toolbox.functions.values()), toolbox)
    if not isinstance(choice, dict):
        raise shape.wrong(_HERE, "a string or an object", choice)
    kind = shape.text(choice, "type", _HERE)
    if kind == "allowed_tools":
        return _allowed(choice, toolbox)
    if kind not in ("function", "custom") and kind not in _BUILT_IN:
        raise UnsupportedFeature(
            f"`tool_choice` forces a tool of type {shape.shown(kind)}, which cannot run here.",
            param=_HERE,
            code="unsupported_tool_choice",
        )
    names = _named(choice, kind, _HERE, toolbox)
    if not toolbox.declared:
        return Choice([])
    if not names:
        raise _not_offered(choice, kind, _HERE)
    return Choice(list(toolbox.functions.values()), {"type": "function", "function": {"name": names[0]}})


def _mode(mode: str, path: str, functions: list[JSON], toolbox: Toolbox) -> Choice:
    if mode not in _MODES:
        raise shape.fault(path, f"`{path}` must be one of {', '.join(_MODES)}, or an object that names a tool.")
    if mode == "required" and toolbox.declared and not functions:
        raise UnsupportedFeature(
            f"`{path}` requires a tool, but none of those given can run here.",
            param=path,
            code="unsupported_tool_choice",
        )
    return Choice(functions, mode if functions else None)


def _allowed(choice: JSON, toolbox: Toolbox) -> Choice:
    """Offer only the tools of the list. Its entries for hosted tools are left out, as the tools themselves are."""
    choice, path = unnested(choice, "allowed_tools", _HERE)
    entries = shape.listing(choice, "tools", path)
    if entries is None:
        raise shape.wrong(f"{path}.tools", "a list", None)
    if len(entries) > toolbox.limit:
        message = f"`{path}.tools` has more than {toolbox.limit} entries (MAX_TOOLS)."
        raise RequestError(message, param=f"{path}.tools", code="too_many_tools")
    mode = shape.optional_text(choice, "mode", path) or "auto"
    allowed: set[str] = set()
    for index, entry in enumerate(entries):
        allowed.update(_entry(entry, f"{path}.tools[{index}]", toolbox))
    functions = [function for name, function in toolbox.functions.items() if name in allowed]
    return _mode(mode, f"{path}.mode", functions, toolbox)


def _entry(entry: Any, path: str, toolbox: Toolbox) -> list[str]:
    if not isinstance(entry, dict):
        raise shape.wrong(path, "a tool (an object)", entry)
    kind = shape.text(entry, "type", path)
    if kind == "namespace":
        namespace = shape.name(entry, "name", path)
        names = [name for name, tool in toolbox.tools.items() if tool.namespace == namespace]
    elif kind in ("function", "custom") or kind in _BUILT_IN:
        names = _named(entry, kind, path, toolbox)
    else:
        toolbox.dropped.append(path)
        return []
    if not names and toolbox.declared:
        raise _not_offered(entry, kind, path)
    return names


def _named(choice: JSON, kind: str, path: str, toolbox: Toolbox) -> list[str]:
    """Return the upstream name of the tool that is meant, in a list; an empty one where it is not offered.

    A bare name may also be the flattened one, or that of a tool in just one namespace.
    """
    if kind in _BUILT_IN:
        return [name for name, tool in toolbox.tools.items() if tool.kind == _BUILT_IN[kind]]
    choice, path = unnested(choice, kind, path)
    name = shape.name(choice, "name", path)
    namespace = shape.optional_text(choice, "namespace", path)
    flat = toolbox.name_of(namespace, name)
    if flat in toolbox.tools:
        return [flat]
    inside = [key for key, tool in toolbox.tools.items() if tool.name == name and namespace is None]
    return inside if len(inside) == 1 else []


def _not_offered(choice: JSON, kind: str, path: str) -> RequestError:
    name, _ = unnested(choice, kind, path)
    return RequestError(
        f"`{path}` names {shape.shown(name.get('name', kind))}, which is not among the tools.",
        param=path,
        code="tool_not_found",
    )

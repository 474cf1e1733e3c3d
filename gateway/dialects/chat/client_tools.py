"""The tools of a chat client, checked and in Chat's own form.

    function, custom        nested as in Chat; flat, as the Responses API has them, is taken too
    functions               the legacy form of function tools
    web_search_options      the tool `web_search`
    tools that the upstream itself runs (`web_search`, `mcp`, …)    as they are
    any other type          left out and listed

A choice without tools says nothing and is left out; one that names a tool which is not offered is refused.
Reference: OpenAI API, "Create chat completion", `tools`, `tool_choice`, `functions`, `web_search_options`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gateway.dialects import shape
from gateway.dialects.chat.client_parts import Intake
from gateway.dialects.responses.tools import unnested
from gateway.errors import RequestError
from gateway.types import JSON

_NAME = re.compile(r"[A-Za-z0-9_-]+\Z")
_MODES = ("none", "auto", "required")
_CLIENT_RUN = ("function", "custom")
_SERVED = ("web_search", "file_search", "code_interpreter", "image_generation", "mcp")
"""What types of tools begin with that the upstream runs; versions may follow (`web_search_preview`)."""


@dataclass(slots=True)
class Offer:
    """The tools of one request."""

    tools: list[JSON] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Kind of each function and custom tool, by name."""
    legacy: bool = False
    """All of them came as `functions`."""
    absent: bool = True
    """The client sent none."""

    @property
    def custom(self) -> frozenset[str]:
        """Names of the custom tools."""
        return frozenset(name for name, kind in self.names.items() if kind == "custom")


def offer(body: JSON, intake: Intake) -> Offer:
    """Return what a request offers. Raises: RequestError."""
    tools = shape.listing(body, "tools") or []
    functions = shape.listing(body, "functions") or []
    search = shape.mapping(body, "web_search_options")
    limit = intake.terms.limits.max_tools
    if len(tools) + len(functions) > limit:
        raise RequestError(
            f"The request has more than {limit} tools (MAX_TOOLS).", param="tools", code="too_many_tools"
        )
    found = Offer(legacy=bool(functions) and not tools, absent=not (tools or functions or search is not None))
    for index, tool in enumerate(tools):
        _take(tool, f"tools[{index}]", found, intake)
    for index, function in enumerate(functions):
        path = f"functions[{index}]"
        if not isinstance(function, dict):
            raise shape.wrong(path, "a function (an object)", function)
        # Who sends both means the same tools: the newer form counts.
        if not tools or shape.name(function, "name", path) not in found.names:
            _add("function", function, path, found)
    if search is not None:
        found.tools.append(_web_search(search))
    return found


def choice(body: JSON, offered: Offer) -> JSON:
    """Return Chat's members on how tools may be chosen. Raises: RequestError."""
    parallel = shape.boolean(body, "parallel_tool_calls")
    if not offered.tools:
        return {}
    members: JSON = {}
    given = body.get("tool_choice")
    if given is None and body.get("function_call") is not None:
        given = _legacy_choice(body["function_call"])
    if given is not None:
        members["tool_choice"] = _choice(given, "tool_choice", offered)
    if offered.legacy:
        parallel = False  # there is room for one `function_call`
    if parallel is not None:
        members["parallel_tool_calls"] = parallel
    return members


def _take(tool: Any, path: str, found: Offer, intake: Intake) -> None:
    if not isinstance(tool, dict):
        raise shape.wrong(path, "a tool (an object)", tool)
    kind = shape.text(tool, "type", path)
    if kind in _CLIENT_RUN:
        _add(kind, *unnested(tool, kind, path), found)
    elif kind.startswith(_SERVED):
        found.tools.append(tool)
    else:
        intake.dropped.append(path)


def _add(kind: str, tool: JSON, path: str, found: Offer) -> None:
    name = shape.name(tool, "name", path)
    if not _NAME.match(name):
        raise shape.fault(
            f"{path}.name", f"`{path}.name` {shape.shown(name)} may only have letters, digits, `_` and `-`."
        )
    if name in found.names:
        raise shape.fault(f"{path}.name", f"`{path}.name`: there are two tools named {shape.shown(name)}.")
    found.names[name] = kind
    shape.optional_text(tool, "description", path)
    shape.mapping(tool, "parameters", path)
    shape.boolean(tool, "strict", path)
    shape.mapping(tool, "format", path)
    found.tools.append({"type": kind, kind: {key: value for key, value in tool.items() if key != "type"}})


def _web_search(options: JSON) -> JSON:
    place = shape.mapping(options, "user_location", "web_search_options")
    tool: JSON = {"type": "web_search"}
    size = shape.optional_text(options, "search_context_size", "web_search_options")
    if size is not None:
        tool["search_context_size"] = size
    if place is not None:
        inner = shape.mapping(place, "approximate", "web_search_options.user_location") or {}
        tool["user_location"] = {"type": "approximate", **inner}
    return tool


def _legacy_choice(given: Any) -> Any:
    if isinstance(given, str):
        return given
    if not isinstance(given, dict):
        raise shape.wrong("function_call", "a string or an object", given)
    return {"type": "function", "function": {"name": shape.name(given, "name", "function_call")}}


def _choice(given: Any, path: str, offered: Offer) -> str | JSON:
    if isinstance(given, str):
        if given not in _MODES:
            raise shape.fault(path, f"`{path}` must be one of {', '.join(_MODES)}, or an object that names a tool.")
        return given
    if not isinstance(given, dict):
        raise shape.wrong(path, "a string or an object", given)
    kind = shape.text(given, "type", path)
    if kind == "allowed_tools":
        return _allowed(given, path, offered)
    if kind not in _CLIENT_RUN:
        return given
    inner, place = unnested(given, kind, path)
    name = shape.name(inner, "name", place)
    if name not in offered.names:
        raise RequestError(
            f"`{path}` names {shape.shown(name)}, which is not among the tools.", param=path, code="tool_not_found"
        )
    kind = offered.names[name]
    return {"type": kind, kind: {"name": name}}


def _allowed(given: JSON, path: str, offered: Offer) -> JSON:
    inner, place = unnested(given, "allowed_tools", path)
    entries = shape.listing(inner, "tools", place)
    if entries is None:
        raise shape.wrong(f"{place}.tools", "a list", None)
    tools: list[str | JSON] = []
    for index, entry in enumerate(entries):
        where = f"{place}.tools[{index}]"
        if not isinstance(entry, dict):
            raise shape.wrong(where, "a tool (an object)", entry)
        tools.append(_choice(entry, where, offered))
    mode = shape.optional_text(inner, "mode", place) or "auto"
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}

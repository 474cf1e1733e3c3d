"""Tools and the choice between them, into Chat's.

A tool that the client runs becomes a function. Tools that Anthropic's servers run have no counterpart: they
are left out and listed, and a choice that forces one goes with them (Claude Code's web search accepts a plain
answer).

Tools with `defer_loading` are kept from the model until the conversation has loaded them: a `tool_reference`
names them, or they were called before. Claude Code offers placeholders that way, which no model should see.

Names longer than Chat allows are shortened, the same way each time; the encoder restores them.

Reference: Anthropic API reference, "Messages", `tools` and `tool_choice`; "Tool search tool".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from gateway.dialects import shape
from gateway.dialects.schema import object_schema
from gateway.errors import RequestError
from gateway.profile import Limits
from gateway.types import JSON

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_NAME_LIMIT = 64
_HASH_CHARS = 8


@dataclass(slots=True)
class Offer:
    """The tools of one request: Chat's list, and what is needed beside it."""

    functions: list[JSON] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """Names under which the client offered them."""
    served: set[str] = field(default_factory=set)
    """Names of the tools that were left out."""
    dropped: list[str] = field(default_factory=list)


def short_name(name: str) -> str:
    """Return the name that Chat takes; equal for equal names, so that history and tools agree."""
    if len(name) <= _NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    return f"{name[: _NAME_LIMIT - _HASH_CHARS - 1]}_{digest}"


def offer(body: JSON, loaded: Collection[str], limits: Limits) -> Offer:
    """Translate `tools`. `loaded` are the names that the conversation refers to. Raises: RequestError."""
    result = Offer()
    entries = shape.listing(body, "tools") or []
    if len(entries) > limits.max_tools:
        raise RequestError(
            f"The request has {len(entries)} tools; at most {limits.max_tools} are taken (MAX_TOOLS).",
            param="tools",
            code="too_many_tools",
        )
    deferred: list[JSON] = []
    forced = _forced(body)
    for index, entry in enumerate(entries):
        path = f"tools[{index}]"
        if not isinstance(entry, dict):
            raise shape.wrong(path, "a tool (an object)", entry)
        if _is_served(entry, path):
            result.dropped.append(path)
            result.served.add(str(entry.get("name")))
            continue
        name = _name(entry, path, result.names)
        function = _function(entry, name, path)
        if shape.boolean(entry, "defer_loading", path) and name not in loaded and name != forced:
            deferred.append(function)
        else:
            result.functions.append(function)
    if not _can_load(result):
        result.functions += deferred
    return result


def choice(body: JSON, offered: Offer) -> JSON:
    """Translate `tool_choice` to the members of the Chat body that say the same. Raises: RequestError."""
    chosen = shape.mapping(body, "tool_choice")
    if chosen is None:
        return {}
    kind = shape.name(chosen, "type", "tool_choice")
    alone = shape.boolean(chosen, "disable_parallel_tool_use", "tool_choice")
    if kind not in ("auto", "any", "none", "tool"):
        raise shape.fault("tool_choice.type", "`tool_choice.type` must be one of auto, any, tool, none.")
    name = shape.name(chosen, "name", "tool_choice") if kind == "tool" else ""
    if name and name not in offered.names and name not in offered.served and offered.functions:
        raise shape.fault("tool_choice.name", f"`tool_choice.name`: no tool is named {shape.shown(name)}.")
    if not offered.functions or name in offered.served:
        if kind in ("any", "tool"):
            offered.dropped.append("tool_choice")
        return {}
    spelled: JSON = {"tool_choice": _CHOICES.get(kind) or {"type": "function", "function": {"name": short_name(name)}}}
    if alone:
        spelled["parallel_tool_calls"] = False
    return spelled


_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def _forced(body: JSON) -> Any:
    """Return the name in `tool_choice`, whatever it is; `choice` says what is wrong with it."""
    chosen = body.get("tool_choice")
    return chosen.get("name") if isinstance(chosen, dict) else None


def _is_served(entry: JSON, path: str) -> bool:
    """Tell whether the tool is one that Anthropic defines: it has a type of its own and no schema."""
    kind = shape.optional_text(entry, "type", path)
    return kind not in (None, "custom") and entry.get("input_schema") is None


def _name(entry: JSON, path: str, taken: set[str]) -> str:
    name = shape.name(entry, "name", path)
    if not _NAME.fullmatch(name):
        raise shape.fault(f"{path}.name", f"`{path}.name` may hold letters, digits, `_` and `-` only.")
    if name in taken:
        raise shape.fault(f"{path}.name", f"`{path}.name`: {shape.shown(name)} names two tools.")
    taken.add(name)
    return name


def _function(entry: JSON, name: str, path: str) -> JSON:
    function: JSON = {"name": short_name(name)}
    description = shape.optional_text(entry, "description", path)
    if description:
        function["description"] = description
    schema = object_schema(entry.get("input_schema"), f"{path}.input_schema")
    # `$schema` says nothing to a model, and some servers refuse it.
    function["parameters"] = {key: value for key, value in schema.items() if key != "$schema"}
    if shape.boolean(entry, "strict", path):
        function["strict"] = True
    return {"type": "function", "function": function}


def _can_load(offered: Offer) -> bool:
    """Tell whether the model has a way to load deferred tools: a tool of the client, and no search of Anthropic's."""
    return bool(offered.functions) and not any(name.startswith("tool_search_tool") for name in offered.served)

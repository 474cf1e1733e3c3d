"""What a request to an upstream asks, taken apart so that two of them can be compared. Pure.

operation   POST chat/completions     the method, and the path behind the API root
model       as named
messages    `messages`, or `instructions` and `input`, or `prompt`; else the whole body as one piece
tools       `tools`
rest        all other members
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from gateway.types import JSON

_VERSION = re.compile(r"v\d\w*\Z")
_ROOTS = ("chat", "completions", "responses", "messages", "models", "embeddings")
_SPOKEN = ("instructions", "messages", "input", "prompt")
"""Members that hold what is said, in the order in which it is said."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message, input item or tool."""

    place: str
    """Where it stands in the body: `messages[7]`."""
    role: str
    """Who says it: `system`, `user`, `assistant` (also calls and reasoning), `tool` (results); a tool's name."""
    value: Any
    digest: int
    """Equal pieces have equal digests, in this process."""


class Print(NamedTuple):
    """A request, small enough to keep thousands of: digests in place of what is said."""

    operation: str
    model: str | None
    messages: tuple[int, ...]
    tools: tuple[int, ...]
    rest: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, taken apart."""

    operation: str
    model: str | None
    messages: tuple[Piece, ...]
    tools: tuple[Piece, ...]
    rest: int

    @property
    def print(self) -> Print:
        """The same with nothing but digests."""
        messages, tools = (tuple(piece.digest for piece in pieces) for pieces in (self.messages, self.tools))
        return Print(self.operation, self.model, messages, tools, self.rest)


def take_apart(method: str, target: str, body: bytes | None) -> Asked:
    """Take a request apart."""
    operation = f"{method} {_behind_root(target)}"
    try:
        value = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        value = (body or b"").decode("latin-1")
    if not isinstance(value, dict):
        return Asked(operation, None, () if value is None else (_piece("body", value),), (), 0)
    model = value.get("model")
    tools = value.get("tools")
    rest = {name: one for name, one in value.items() if name not in ("model", "tools", *_SPOKEN)}
    messages = [piece for name in _SPOKEN if name in value for piece in _pieces(name, value[name])]
    if not messages:
        messages, rest = [_piece("body", rest)], {}
    return Asked(
        operation,
        model if isinstance(model, str) else None,
        tuple(messages),
        tuple(_pieces("tools", tools)) if isinstance(tools, list) else (),
        _digest(rest),
    )


def _behind_root(target: str) -> str:
    """Return the path behind the API root: upstreams have it at different places."""
    segments = [segment for segment in target.partition("?")[0].split("/") if segment]
    for at in reversed(range(len(segments))):
        if _VERSION.match(segments[at]):
            return "/".join(segments[at + 1 :])
    for at, segment in enumerate(segments):
        if segment in _ROOTS:
            return "/".join(segments[at:])
    return "/".join(segments)


def _pieces(name: str, value: Any) -> list[Piece]:
    if isinstance(value, list):
        return [_piece(f"{name}[{at}]", one) for at, one in enumerate(value)]
    return [_piece(name, value)]


def _piece(place: str, value: Any) -> Piece:
    return Piece(place, _role(place, value), value, _digest(value))


def _role(place: str, value: Any) -> str:
    if not isinstance(value, dict):
        return "system" if place == "instructions" else "user"
    if place.startswith("tools"):
        return tool_name(value)
    kind = str(value.get("type") or "message")
    if kind.endswith("_output"):
        return "tool"
    if kind == "reasoning" or kind.endswith("_call"):
        return "assistant"
    return str(value.get("role") or "user")


def tool_name(tool: JSON) -> str:
    """Return what a declared tool is called."""
    function = tool.get("function")
    inner = function if isinstance(function, dict) else tool
    return str(inner.get("name") or tool.get("type"))


def _digest(value: Any) -> int:
    return hash(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))

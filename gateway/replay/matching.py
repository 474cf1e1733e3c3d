"""Compares a request with recorded ones by small named matchers; each says where two requests differ. Pure.

Three likenesses, tried one after the other, because a client that runs again says some things anew:

    exact      every message and tool is the same
    settled    the same but for paths, dates, ids and durations (`gateway.replay.volatile`)
    position   at the same place of the same conversation: what the recorded model said is the same and in the same
               order, people say much the same, and the results of tools may be anything

Settings (temperature, `stream`, …) never make a miss; of two records that match they choose the nearer one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import orjson

from gateway.replay.asked import Asked, Piece
from gateway.replay.volatile import settled, settled_value
from gateway.types import JSON

Same = Callable[[Piece, Piece], bool]

_SHOWN = 160
"""Characters of a piece that a difference shows."""


class Difference(NamedTuple):
    """The first thing in which a request differs from a recorded one."""

    matcher: str
    place: str
    asked: str
    recorded: str

    def __str__(self) -> str:
        return f"{self.matcher} differs at {self.place}: asked {self.asked}, recorded {self.recorded}"


class Settled:
    """Knows the digests of pieces with all volatile text taken out; equal pieces are worked on once."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def digest(self, piece: Piece) -> int:
        """Return the digest of a piece, settled."""
        found = self._known.get(piece.digest)
        if found is None:
            raw = orjson.dumps(settled_value(piece.value), option=orjson.OPT_SORT_KEYS)
            found = self._known[piece.digest] = hash(raw)
        return found

    def same(self, one: Piece, other: Piece) -> bool:
        """Tell whether two pieces are the same, settled."""
        return one.digest == other.digest or self.digest(one) == self.digest(other)


def exact(one: Piece, other: Piece) -> bool:
    """Tell whether two pieces are the same."""
    return one.digest == other.digest


def in_position(one: Piece, other: Piece) -> bool:
    """Tell whether two pieces of one place belong to the same conversation."""
    if one.role != other.role:
        return False
    if one.place.startswith("tools") or one.role == "tool":
        return True
    if one.role == "assistant":
        return bool(_said(one.value) == _said(other.value))
    return _much_the_same(_text(one.value), _text(other.value))


def _path(asked: Asked, recorded: Asked, same: Same) -> Difference | None:
    if asked.operation == recorded.operation:
        return None
    return Difference("path", "the request line", asked.operation, recorded.operation)


def _model(asked: Asked, recorded: Asked, same: Same) -> Difference | None:
    if (asked.model or "").lower() == (recorded.model or "").lower():
        return None
    return Difference("model", "model", repr(asked.model), repr(recorded.model))


def _messages(asked: Asked, recorded: Asked, same: Same) -> Difference | None:
    return _first("messages", asked.messages, recorded.messages, same)


def _tools(asked: Asked, recorded: Asked, same: Same) -> Difference | None:
    return _first("tools", asked.tools, recorded.tools, same)


MATCHERS: tuple[Callable[[Asked, Asked, Same], Difference | None], ...] = (_path, _model, _messages, _tools)


def difference(asked: Asked, recorded: Asked, same: Same) -> Difference | None:
    """Return the first difference that a matcher finds, None where all match."""
    for matcher in MATCHERS:
        found = matcher(asked, recorded, same)
        if found:
            return found
    return None


def _first(matcher: str, asked: Sequence[Piece], recorded: Sequence[Piece], same: Same) -> Difference | None:
    for one, other in zip_longest(asked, recorded):
        if one is None or other is None:
            return Difference(matcher, (one or other).place, _shown(one), _shown(other))
        if not same(one, other):
            return Difference(matcher, one.place, *_apart(_shown_text(one), _shown_text(other)))
    return None


def _shown(piece: Piece | None) -> str:
    return "nothing" if piece is None else _apart(_shown_text(piece), "")[0]


def _shown_text(piece: Piece) -> str:
    return orjson.dumps(piece.value).decode()


def _apart(one: str, other: str) -> tuple[str, str]:
    """Return both texts from a little before the place where they part."""
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = max(0, at - 40)

    def cut(text: str) -> str:
        piece = text[begin : begin + _SHOWN]
        return f"{'…' if begin else ''}{piece}{'…' if begin + _SHOWN < len(text) else ''}"

    return cut(one), cut(other)


def _said(value: JSON) -> JSON | None:
    """Return what a model said, without what it thought: reasoning may come back sealed, or not at all."""
    if value.get("type") == "reasoning":
        return None
    thought = ("reasoning_content", "reasoning", "reasoning_details")
    return {name: settled_value(one) for name, one in value.items() if name not in thought and one is not None}


def _text(value: Any) -> str:
    """Return all texts of a message."""
    if isinstance(value, str):
        return value
    content = value.get("content") if isinstance(value, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _much_the_same(one: str, other: str) -> bool:
    """Half of the lines are the same, the last one among them: people speak after what a client says of itself."""
    ours, theirs = ([line for line in settled(text).split("\n") if line.strip()] for text in (one, other))
    if ours[-1:] != theirs[-1:]:
        return False
    return 2 * len(set(ours) & set(theirs)) >= max(len(set(ours)), len(set(theirs)))

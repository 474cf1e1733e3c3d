"""Compares a request with recorded ones by small named matchers; each says where two requests differ. Pure.

Three likenesses, tried one after the other, because a client that runs again says some things anew:

    exact      every message and tool is the same
    settled    the same but for paths, dates, ids and durations (`gateway.replay.volatile`)
    position   at the same place of the same conversation: what the recorded model said is the same and in the same
               order, people say much the same, and the results of tools may be anything

Settings (temperature, `stream`, …) never make a miss; of two records that match they choose the nearer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import orjson

from gateway.replay.asked import Asked, Piece
from gateway.replay.volatile import settled_value
from gateway.types import JSON

Same = Callable[["Trait", "Trait"], bool]
"""Likeness of two pieces by their traits."""

Alike = Callable[[Piece, Piece], bool]

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


class Trait(NamedTuple):
    """What there is to compare of one piece; small, so that those of a whole recording can be kept."""

    exact: int
    settled: int
    """The same for pieces that are the same, all volatile text taken out."""
    role: str
    said: int
    """Of what a model said: without its reasoning, which may come back sealed, or not at all."""
    lines: frozenset[int]
    last: int
    """Lines of what people and clients say, and the last one of them."""


class Traits:
    """The traits of all pieces that were seen; equal pieces are worked on once."""

    def __init__(self) -> None:
        self._known: dict[int, Trait] = {}

    def learn(self, pieces: Iterable[Piece]) -> None:
        """Make the traits of these pieces."""
        for piece in pieces:
            if piece.digest not in self._known:
                self._known[piece.digest] = _trait(piece)

    def of(self, piece: Piece) -> Trait:
        """Return the trait of a piece."""
        return self._known.get(piece.digest) or _trait(piece)

    def known(self, digests: Iterable[int]) -> list[Trait]:
        """Return the traits of pieces that were learnt."""
        return [self._known[digest] for digest in digests]


def exact(one: Trait, other: Trait) -> bool:
    """Tell whether two pieces are the same."""
    return one.exact == other.exact


def settled(one: Trait, other: Trait) -> bool:
    """Tell whether two pieces are the same but for what is volatile."""
    return one.settled == other.settled


def in_position(one: Trait, other: Trait) -> bool:
    """Tell whether two pieces at one place belong to the same conversation."""
    if one.role != other.role:
        return False
    if one.role == "assistant":
        return one.said == other.said
    # Half of the lines are the same, the last one among them: people speak after what a client says of itself.
    # The results of tools, and tools of the same name, have no lines here.
    shared = len(one.lines & other.lines)
    return one.last == other.last and 2 * shared >= max(len(one.lines), len(other.lines))


def _path(asked: Asked, recorded: Asked, same: Alike) -> Difference | None:
    if asked.operation == recorded.operation:
        return None
    return Difference("path", "the request line", asked.operation, recorded.operation)


def _model(asked: Asked, recorded: Asked, same: Alike) -> Difference | None:
    if (asked.model or "").lower() == (recorded.model or "").lower():
        return None
    return Difference("model", "model", repr(asked.model), repr(recorded.model))


def _messages(asked: Asked, recorded: Asked, same: Alike) -> Difference | None:
    return _first("messages", asked.messages, recorded.messages, same)


def _tools(asked: Asked, recorded: Asked, same: Alike) -> Difference | None:
    return _first("tools", asked.tools, recorded.tools, same)


MATCHERS: tuple[Callable[[Asked, Asked, Alike], Difference | None], ...] = (_path, _model, _messages, _tools)


def difference(asked: Asked, recorded: Asked, same: Same, traits: Traits) -> Difference | None:
    """Return the first difference that a matcher finds, None where all match."""

    def alike(one: Piece, other: Piece) -> bool:
        return same(traits.of(one), traits.of(other))

    for matcher in MATCHERS:
        found = matcher(asked, recorded, alike)
        if found:
            return found
    return None


def _first(matcher: str, asked: Sequence[Piece], recorded: Sequence[Piece], same: Alike) -> Difference | None:
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


def _trait(piece: Piece) -> Trait:
    value = settled_value(piece.value)
    if piece.role == "assistant":
        return Trait(piece.digest, _hashed(value), piece.role, _hashed(_said(value)), frozenset(), 0)
    if piece.role == "tool" or piece.place.startswith("tools"):
        return Trait(piece.digest, _hashed(value), piece.role, 0, frozenset(), 0)
    lines = [hash(line) for line in _text(value).split("\n") if line.strip()]
    return Trait(piece.digest, _hashed(value), piece.role, 0, frozenset(lines), lines[-1] if lines else 0)


def _hashed(value: Any) -> int:
    return hash(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def _said(value: JSON) -> JSON | None:
    """Return what a model said, without what it thought."""
    if value.get("type") == "reasoning":
        return None
    thought = ("reasoning_content", "reasoning", "reasoning_details")
    return {name: one for name, one in value.items() if name not in thought and one is not None}


def _text(value: Any) -> str:
    """Return all texts of a message."""
    if isinstance(value, str):
        return value
    content = value.get("content") if isinstance(value, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))

"""Compares two answers, or two requests, event by event and member by member; ids and times do not count. Pure.

Ids are drawn anew each time, so each is replaced by its number in the order of appearance: that the same thing has the
same id everywhere in an answer still counts. Sealed texts differ with the key. Frames that only keep a connection
alive come when the clock says so; numbers that run through a stream are checked against their places instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import orjson

from gateway import sse
from gateway.errors import GatewayError
from gateway.jsonbody import load_upstream
from gateway.sse import Frame

SEALED = "‹sealed›"
"""Equal to any text, and to none."""

_IDS = frozenset(
    [
        "id",
        "item_id",
        "call_id",
        "tool_call_id",
        "tool_use_id",
        "response_id",
        "previous_response_id",
        "request_id",
        "first_id",
        "last_id",
    ]
)
_TIMES = frozenset(["created", "created_at", "completed_at"])
_SEALED = frozenset(["encrypted_content", "signature"])
_LEFT_OUT = frozenset(["obfuscation"])
_NUMBER = "sequence_number"
_PING = "ping"
_IN_PROGRESS = "response.in_progress"
"""Sent once where an answer begins, and again to keep the connection alive."""
_BODY = "body"
_ALIGN_UP_TO = 3000
"""Events that are aligned; of more, each is compared with the one at its place."""

_NOTHING = object()


class Event(NamedTuple):
    """One frame of a stream, or all of a whole answer, without what does not count."""

    name: str
    value: Any


class Difference(NamedTuple):
    """One member that differs, in JSON."""

    where: str
    recorded: str
    now: str


def events(body: bytes, is_stream: bool) -> list[Event]:
    """Return what an answer consists of; a frame that a cut left unfinished is none."""
    settling = _Settling()
    if not is_stream:
        return [Event(_BODY, settling.value(_parsed(body)))] if body else []
    parser = sse.Parser()
    found: list[Event] = []
    try:
        frames = parser.feed(body)
    except GatewayError:
        return [Event(_BODY, body.decode("utf-8", "replace"))]
    begun = False
    for place, frame in enumerate(frames):
        value = _parsed(frame.data)
        name = _name(frame, value)
        if name == _PING or (name == _IN_PROGRESS and begun):
            continue
        begun = begun or name == _IN_PROGRESS
        if isinstance(value, dict) and value.get(_NUMBER) == place:
            value = {key: one for key, one in value.items() if key != _NUMBER}
        found.append(Event(name, settling.value(value)))
    return found


def differences(recorded: Sequence[Event], now: Sequence[Event]) -> list[Difference]:
    """Return what differs between two answers."""
    found: list[Difference] = []
    for place, one, other in _aligned(recorded, now):
        if one is None or other is None:
            sides = (_NOTHING if event is None else event.value for event in (one, other))
            name = one.name if one else other.name if other else ""
            found.append(Difference(f"event {place} {name}", *map(_shown, sides)))
        elif one.name != other.name:
            found.append(Difference(f"event {place}", one.name, other.name))
        else:
            where = one.name if one.name == _BODY else f"event {place} {one.name}"
            found += value_differences(one.value, other.value, where)
    return found


def request_differences(recorded: Any, now: Any) -> list[Difference]:
    """Return what differs between two request bodies."""
    return value_differences(_Settling(ids=False).value(recorded), _Settling(ids=False).value(now), "")


def value_differences(one: Any, other: Any, where: str) -> list[Difference]:
    """Return the members that differ between two JSON values."""
    if one == other or _sealed(one, other):
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(f"{where}.{name}" if where else name, name) for name in {**one, **other}]
        return [
            found
            for inner, name in pairs
            for found in value_differences(one.get(name, _NOTHING), other.get(name, _NOTHING), inner)
        ]
    if isinstance(one, list) and isinstance(other, list):
        other = _opened(one, other)
        size = max(len(one), len(other))
        ours, theirs = ([*values, *[_NOTHING] * (size - len(values))] for values in (one, other))
        return [found for at in range(size) for found in value_differences(ours[at], theirs[at], f"{where}[{at}]")]
    return [Difference(where, _shown(one), _shown(other))]


def _sealed(one: Any, other: Any) -> bool:
    """Tell whether two values are the same but for what is sealed in the second."""
    if SEALED in (one, other):
        return True
    if not isinstance(one, str) or not isinstance(other, str) or SEALED not in other:
        return False
    return re.fullmatch(".*".join(map(re.escape, other.split(SEALED))), one, re.DOTALL) is not None


def _opened(recorded: list[Any], now: list[Any]) -> list[Any]:
    """Leave out of a list what is sealed, where the recording gateway could not open it."""
    if len(now) <= len(recorded):
        return now
    legible = [one for one in now if SEALED not in orjson.dumps(one).decode()]
    return legible if len(legible) == len(recorded) else now


def _aligned(recorded: Sequence[Event], now: Sequence[Event]) -> Iterator[tuple[int, Event | None, Event | None]]:
    """Yield pairs that belong together, with the place in the recording, counted from 1."""
    ours, theirs = ([orjson.dumps([*event]) for event in side] for side in (recorded, now))
    if ours == theirs:
        return
    if max(len(ours), len(theirs)) > _ALIGN_UP_TO:
        spans = [("replace", 0, len(ours), 0, len(theirs))]
    else:
        spans = list(SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes())
    for kind, a, b, c, d in spans:
        if kind == "equal":
            continue
        for at in range(max(b - a, d - c)):
            yield a + at + 1, recorded[a + at] if a + at < b else None, now[c + at] if c + at < d else None


class _Settling:
    """Takes out of values what does not count."""

    def __init__(self, *, ids: bool = True) -> None:
        self._ids: dict[str, str] | None = {} if ids else None

    def value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._member(name, one) for name, one in value.items() if name not in _LEFT_OUT}
        if isinstance(value, list):
            return [self.value(one) for one in value]
        return value

    def _member(self, name: str, value: Any) -> Any:
        if name in _IDS and isinstance(value, str) and self._ids is not None:
            return self._ids.setdefault(value, f"‹id {len(self._ids) + 1}›")
        if name in _TIMES and isinstance(value, int | float):
            return "‹time›"
        if name in _SEALED and isinstance(value, str) and value:
            return SEALED
        return self.value(value)


def _parsed(data: bytes) -> Any:
    try:
        return load_upstream(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def _name(frame: Frame, value: Any) -> str:
    if frame.event:
        return frame.event
    if isinstance(value, dict):
        return str(value.get("type") or value.get("object") or "data")
    return "data"


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else orjson.dumps(value).decode()

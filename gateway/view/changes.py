"""What the translation of a request changed: which members moved where, which were left out, which added. Pure.

Both bodies are flattened to their scalar members. A value that stands in both, at different places, has moved: that is
how `input[2].content[0].text` finds its way to `messages[2].content`. Places that differ only in an index are one line,
and so is all that moved together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from gateway.jsonbody import dump, load_upstream
from gateway.types import JSON

_ALIKE = (4, 2, 1, 0)
"""Of several places with the same value, that one is meant whose last so many names are the same."""

MOST = 120
"""Lines of each kind that are shown."""

_DEEPEST = 40
_INDEX = re.compile(r"\[\d+\]")
_PLAIN = (None, True, False, "", 0, 1)
"""Values that are too common to tell where they came from."""


def changes(client: JSON, upstream: JSON) -> JSON:
    """Return the lines `[place, place, count]` of `moved`, and `[place, value, count]` of `left_out` and `added`.

    Declared tools are looked at apart: they are most of a body, and the same in all requests of a conversation.
    """
    parts = [_changes(*(_without_tools(body) for body in (client, upstream)))]
    parts.append(_tool_changes(*(dump(body.get("tools")) for body in (client, upstream))))
    joined: JSON = {"same": sum(part["same"] for part in parts)}
    for kind in ("moved", "left_out", "added"):
        joined[kind] = [line for part in parts for line in part[kind]]
    return joined


def _without_tools(body: JSON) -> JSON:
    return {name: value for name, value in body.items() if name != "tools"}


@lru_cache(maxsize=64)
def _tool_changes(client: bytes, upstream: bytes) -> JSON:
    bodies = ({} if tools == b"null" else {"tools": load_upstream(tools)} for tools in (client, upstream))
    return _changes(*bodies)


def _changes(client: JSON, upstream: JSON) -> JSON:
    ours, theirs = (dict(_leaves(body, "", 0)) if body else {} for body in (client, upstream))
    same = {place for place, value in ours.items() if place in theirs and theirs[place] == value}
    gone = {place: value for place, value in ours.items() if place not in same}
    new = {place: value for place, value in theirs.items() if place not in same}
    moved: Counter[tuple[str, str]] = Counter()
    for alike in _ALIKE:
        places: dict[Any, list[str]] = {}
        for place, value in reversed(new.items()):
            if value not in _PLAIN:
                places.setdefault((type(value), value, _end(place, alike)), []).append(place)
        for place, value in list(gone.items()):
            found = places.get((type(value), value, _end(place, alike)))
            if found:
                to = found.pop()
                moved[_way(_line(place), _line(to))] += 1
                del gone[place], new[to]
    return {
        "same": len(same),
        "moved": [[*pair, count] for pair, count in moved.most_common(MOST)],
        "left_out": _summed(gone),
        "added": _summed(new),
    }


def _leaves(value: Any, place: str, depth: int) -> Iterator[tuple[str, Any]]:
    inner: Iterator[tuple[str, Any]]
    if depth < _DEEPEST and isinstance(value, dict) and value:
        inner = ((f"{place}.{name}" if place else name, one) for name, one in value.items())
    elif depth < _DEEPEST and isinstance(value, list) and value:
        inner = ((f"{place}[{at}]", one) for at, one in enumerate(value))
    else:
        yield place, value if value is None or isinstance(value, str | int | float) else str(value)[:80]
        return
    for where, one in inner:
        yield from _leaves(one, where, depth + 1)


def _summed(leaves: dict[str, Any]) -> list[list[Any]]:
    counts: Counter[str] = Counter()
    shown: JSON = {}
    for place, value in leaves.items():
        line = _line(place)
        counts[line] += 1
        shown.setdefault(line, value)
    return [[line, _short(shown[line]), count] for line, count in counts.most_common(MOST)]


def _line(place: str) -> str:
    return _INDEX.sub("[*]", place)


def _end(place: str, names: int) -> tuple[str, ...]:
    return tuple(_line(place).split(".")[-names:]) if names else ()


def _way(place: str, to: str) -> tuple[str, str]:
    """Return from where to where: of two places that end alike, what stands before that."""
    ours, theirs = place.split("."), to.split(".")
    alike = 0
    while alike < min(len(ours), len(theirs)) - 1 and ours[-1 - alike] == theirs[-1 - alike]:
        alike += 1
    if not alike:
        return place, to
    return ".".join([*ours[:-alike], "…"]), ".".join([*theirs[:-alike], "…"])


def _short(value: Any) -> str:
    text = str(value) if isinstance(value, str) else {None: "null", True: "true", False: "false"}.get(value, str(value))
    return text if len(text) <= 120 else f"{text[:120]}…"

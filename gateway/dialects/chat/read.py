"""Reads the members of Chat answers, whoever wrote them and in whatever form. Pure.

Nothing here raises on a member of the wrong type: what cannot be read is as if it were not there.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from gateway.events import Kind, Usage
from gateway.types import JSON

_CONSTANTS = {"-Infinity": -9999.0}
"""JSON has none; Python's servers write them as log probabilities, for which OpenAI has this number."""


def load(data: bytes) -> Any:
    """Parse JSON that orjson refuses though others send it: NaN, lone surrogates, broken UTF-8.

    Raises: ValueError where it is no JSON at all.
    """
    try:
        value = json.loads(data.decode("utf-8", "replace"), parse_constant=_CONSTANTS.get)
        text = json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    # By way of UTF-16 both halves of a pair find each other, and a lone one becomes U+FFFD.
    return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


class Fragment(NamedTuple):
    """One more fragment of what has begun before."""

    member: str
    """`content`, `reasoning_content`, `reasoning` or `arguments`."""
    call: int | None
    """Index of the call whose arguments go on."""
    text: str


def fragment_of(chunk: Any) -> Fragment | None:
    """Return the fragment of a chunk that says nothing else; None for any other chunk."""
    try:
        (choice,) = chunk["choices"]
        delta = choice["delta"]
    except (KeyError, TypeError, ValueError):
        return None
    if (
        type(delta) is not dict
        or choice.get("finish_reason")
        or choice.get("index")
        or choice.get("logprobs")
        or choice.get("usage")
        or choice.get("error")
        or chunk.get("usage")
        or chunk.get("x_groq")
        or chunk.get("error")
    ):
        return None
    said = [name for name in _SAYING if delta.get(name)]
    if len(said) != 1:
        return None
    (name,) = said
    value = delta[name]
    if name in ("content", "reasoning_content", "reasoning"):
        return Fragment(name, None, value) if type(value) is str else None
    return _fragment_of_call(value) if name == "tool_calls" else None


def _fragment_of_call(pieces: Any) -> Fragment | None:
    """Return the fragment of a piece that only goes on with the arguments of a call."""
    if type(pieces) is not list or len(pieces) != 1:
        return None
    (piece,) = pieces
    if type(piece) is not dict or piece.get("id"):
        return None
    function, index = piece.get("function"), piece.get("index")
    if type(function) is not dict or function.get("name") or type(index) is not int:
        return None
    arguments = function.get("arguments")
    return Fragment("arguments", index, arguments) if type(arguments) is str and arguments else None


_SAYING = ("content", "reasoning_content", "reasoning", "tool_calls", "function_call", "refusal", "annotations")


def said(delta: JSON) -> list[tuple[Kind, str]]:
    """Return what a delta or a message says beside calls. `reasoning` is another name for `reasoning_content`."""
    found: list[tuple[Kind, str]] = []
    for member, kind in _MEMBERS:
        value = delta.get(member)
        if value and not (found and member == "reasoning"):
            found += fragments(value, kind)
    return found


_MEMBERS: tuple[tuple[str, Kind], ...] = (
    ("reasoning_content", "reasoning"),
    ("reasoning", "reasoning"),
    ("content", "text"),
    ("refusal", "refusal"),
)


def word(value: Any) -> str | None:
    """Return a string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def moment(value: Any) -> int | None:
    """Return seconds since the epoch, None for what cannot be any."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _MOST:
        return None
    return int(value)


_MOST = 1 << 53
"""From here on numbers of JSON are not exact; no count of tokens is as large."""


def count(value: Any) -> int | None:
    """Return a whole number from 0, else None."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MOST else None


_PART_KINDS: dict[Any, Kind] = {
    "thinking": "reasoning",
    "reasoning": "reasoning",
    "refusal": "refusal",
}


def fragments(value: Any, kind: Kind) -> list[tuple[Kind, str]]:
    """Return what a `content` or `reasoning` member says: a string, a part, or a list of either.

    Parts are those of Chat (`text`, `refusal`) and of Mistral (`thinking`, which holds parts in its turn).
    """
    if isinstance(value, str):
        return [(kind, value)] if value else []
    if isinstance(value, list):
        return [fragment for part in value for fragment in fragments(part, kind)]
    if not isinstance(value, dict):
        return []
    kind = _PART_KINDS.get(word(value.get("type")), kind)
    for member in ("text", "content", "thinking", "reasoning", "refusal", "summary"):
        found = fragments(value.get(member), kind)
        if found:
            return found
    return []


def usage_of(chunk: JSON, choice: JSON | None = None) -> JSON | None:
    """Return the usage object, where it says anything: beside the choices, in one (Moonshot), or in `x_groq`."""
    for place in (chunk, choice, chunk.get("x_groq")):
        usage = place.get("usage") if type(place) is dict else None
        if type(usage) is dict and any(count(usage.get(name)) for name in _INPUT + _OUTPUT):
            return usage
    return None


_INPUT = ("prompt_tokens", "input_tokens")
_OUTPUT = ("completion_tokens", "output_tokens")
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens")  # DeepSeek, Moonshot


def read_usage(usage: JSON) -> Usage:
    """Return the counts of a usage object; details never exceed what they are details of."""
    taken = _first(usage, _INPUT) or 0
    given = _first(usage, _OUTPUT)
    if given is None:
        given = max((count(usage.get("total_tokens")) or 0) - taken, 0)
    cached = _detail(usage, _INPUT, "cached_tokens") or _first(usage, _CACHED) or 0
    reasoning = _detail(usage, _OUTPUT, "reasoning_tokens") or count(usage.get("reasoning_tokens")) or 0
    return Usage(
        taken,
        given,
        cached_tokens=min(cached, taken),
        reasoning_tokens=min(reasoning, given),
    )


def _detail(usage: JSON, names: tuple[str, ...], member: str) -> int | None:
    for name in names:
        details = usage.get(f"{name}_details")
        if isinstance(details, dict):
            return count(details.get(member))
    return None


def _first(usage: JSON, names: tuple[str, ...]) -> int | None:
    for name in names:
        value = count(usage.get(name))
        if value is not None:
            return value
    return None


def token_logprobs(choice: JSON, kind: str) -> list[Any]:
    """Return the token objects of `logprobs.content` or `.refusal`."""
    logprobs = choice.get("logprobs")
    tokens = logprobs.get(kind) if isinstance(logprobs, dict) else None
    return tokens if isinstance(tokens, list) else []

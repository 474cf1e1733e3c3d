"""Checks of foreign JSON: each returns the value or names the path of the fault.

A member may have any JSON type, because strangers wrote it. A null counts as absent. Paths are those of the
request body (`input[3].content[0].text`); they go into `param`, and so does the member's name into the message.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.errors import RequestError
from gateway.types import JSON

_SHOWN = 80
"""Characters of a client's own word that a message repeats."""


def at(path: str, key: str) -> str:
    """Return the path of a member; the body itself has the empty path."""
    return f"{path}.{key}" if path else key


def shown(word: object) -> str:
    """Return a client's word for a message: quoted and cut."""
    text = str(word)
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def fault(path: str, message: str) -> RequestError:
    """Make the error for a member whose value cannot be."""
    return RequestError(message, param=path)


def wrong(path: str, wanted: str, value: object) -> RequestError:
    """Make the error for a member of the wrong type."""
    if value is None:
        return RequestError(f"`{path}` is missing: {wanted} is needed.", param=path)
    return RequestError(f"`{path}` must be {wanted}, not {_kind(value)}.", param=path)


def text(obj: JSON, key: str, path: str) -> str:
    """Return a string that must be there."""
    value = obj.get(key)
    if not isinstance(value, str):
        raise wrong(at(path, key), "a string", value)
    return value


def name(obj: JSON, key: str, path: str) -> str:
    """Return a string that must be there and not be empty."""
    value = text(obj, key, path)
    if not value:
        raise fault(at(path, key), f"`{at(path, key)}` must not be empty.")
    return value


def optional_text(obj: JSON, key: str, path: str = "") -> str | None:
    """Return a string, or None where it is absent."""
    return None if obj.get(key) is None else text(obj, key, path)


def boolean(obj: JSON, key: str, path: str = "") -> bool | None:
    """Return true or false, or None where it is absent."""
    value = obj.get(key)
    if value is not None and not isinstance(value, bool):
        raise wrong(at(path, key), "true or false", value)
    return value


def mapping(obj: JSON, key: str, path: str = "") -> JSON | None:
    """Return an object, or None where it is absent."""
    value = obj.get(key)
    if value is not None and not isinstance(value, dict):
        raise wrong(at(path, key), "an object", value)
    return value


def listing(obj: JSON, key: str, path: str = "") -> list[Any] | None:
    """Return a list, or None where it is absent."""
    value = obj.get(key)
    if value is not None and not isinstance(value, list):
        raise wrong(at(path, key), "a list", value)
    return value


def number(obj: JSON, key: str, low: float | None = None, high: float | None = None) -> float | None:
    """Return a number of the body within its bounds, or None where it is absent."""
    value = obj.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(key, "a number", value)
    _bounded(key, value, low, high)
    return value


def integer(obj: JSON, key: str, low: int | None = None, high: int | None = None) -> int | None:
    """Return a whole number of the body within its bounds, or None where it is absent.

    `100.0` is taken for 100: JSON does not tell them apart, and some clients write all numbers that way.
    """
    value = number(obj, key)
    if value is None:
        return None
    if isinstance(value, float) and not value.is_integer():
        raise fault(key, f"`{key}` must be a whole number.")
    _bounded(key, value, low, high)
    if abs(value) >= 1 << 53:
        raise fault(key, f"`{key}` is larger than any number that JSON tells exactly.")
    return int(value)


def size_of(text: str) -> int:
    """Return the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def dump(value: object, path: str) -> str:
    """Return a value as JSON text, the same for equal values."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as exc:
        raise fault(path, f"`{path}` is nested too deeply, or a number in it is too large.") from exc


def _bounded(key: str, value: float, low: float | None, high: float | None) -> None:
    if low is not None and value < low:
        raise fault(key, f"`{key}` must be at least {low}.")
    if high is not None and value > high:
        raise fault(key, f"`{key}` must be at most {high}.")


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"

"""JSON in and out: strict towards clients, lenient towards upstreams. Pure.

A client's body is one JSON object by RFC 8259, read as strictly as the strictest upstream would. What decides
where that standard leaves a choice:

    byte order mark             refused (RFC 8259, section 8.1, lets a parser do either)
    NaN, Infinity, 1e999        refused
    invalid UTF-8               refused, as are lone surrogates: no upstream could be sent them
    nesting                     at most `DEPTH_LIMIT` objects and arrays within each other
    number of values            at most `VALUES_LIMIT`: 20 million empty arrays fit into 64 MiB, and would take
                                2 GB of memory and all of a worker's time for ten seconds
    a key that comes twice      the last one counts
    integers over 64 bits       become floats, as they do in JavaScript; a field that must be an integer is
                                refused where it is read

No message repeats what the client sent. The time is linear in the size, whatever the bytes are.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any

import orjson

from gateway.errors import RequestError
from gateway.types import JSON

DEPTH_LIMIT = 500
"""Objects and arrays that may stand within each other, the outermost included."""

VALUES_LIMIT = 300_000
"""Commas and opening brackets that a body may have outside its strings: its values, more or less."""


def load_object(raw: bytes, pause: Callable[[], None] = lambda: None) -> JSON:
    """Return the JSON object of a client's body; `pause` is called between the steps. Raises: RequestError."""
    if len(raw) > VALUES_LIMIT and _too_many(raw, pause):
        raise RequestError(_MANY, code="invalid_json")
    pause()
    try:
        body = orjson.loads(raw)
        fault = None
    except orjson.JSONDecodeError as exc:
        fault = _fault(raw, exc)
    if fault is not None:  # raised out here, because the caught exception holds the whole body
        raise RequestError(fault, code="invalid_json")
    pause()
    if not isinstance(body, dict):
        raise RequestError(f"The request body must be a JSON object, not {_KINDS[type(body)]}.")
    if _too_deep(body):
        raise RequestError(_NESTED, code="invalid_json")
    return body


def dump(value: object) -> bytes:
    """Return compact JSON.

    orjson refuses integers over 64 bits, lone surrogates and nesting deeper than 254; the standard library
    then takes its place, and what no reader would accept becomes U+FFFD.
    """
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return _mended(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def load_upstream(raw: bytes) -> object:
    """Return any JSON value of an upstream, with its faults mended where that is possible.

    Lone surrogates and invalid UTF-8 become U+FFFD, and numbers that are none (NaN, Infinity) null; a byte
    order mark and control characters in strings are let through. Raises: ValueError, and nothing else.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        value = _LENIENT.decode(raw.decode("utf-8-sig", "replace"))
        text = json.dumps(value, ensure_ascii=False)
        mended = _mended(text)
        return value if mended == text else json.loads(mended)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _finite(text: str) -> float | None:
    number = float(text)
    return None if number in (float("inf"), float("-inf")) else number


def _null(_: str) -> None:
    return None


_LENIENT = json.JSONDecoder(parse_float=_finite, parse_constant=_null, strict=False)

_KINDS: dict[type[Any], str] = {
    list: "an array",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


_MANY = f"The request body is not accepted: its JSON has more than {VALUES_LIMIT} values."
_NESTED = f"The request body is not accepted: its JSON is nested deeper than {DEPTH_LIMIT} levels."


def _mended(text: str) -> str:
    """Return text without lone surrogates. Only in UTF-16 do the two halves of a pair find each other."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _fault(raw: bytes, error: orjson.JSONDecodeError) -> str:
    """Say what is wrong with a body and where, without a word of it."""
    if not raw.strip():
        return "The request body is empty; it must be a JSON object."
    if raw.startswith(codecs.BOM_UTF8):
        return "The request body begins with a byte order mark; send plain UTF-8."
    try:
        raw.decode()
    except UnicodeDecodeError as exc:
        return f"The request body is not valid UTF-8 (byte {exc.start})."
    if error.msg.startswith("depth limit"):
        return _NESTED
    return f"The request body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."


_SLICE = 1 << 20
"""Bytes that are looked through before a pause."""

_FEW = 1000
"""Marks of one kind in a slice that are looked for one by one."""

_MARKS = (b",", b"[", b"{")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[,\[{]', re.DOTALL)
"""A string (at the end of a cut body: what there is of it), or a mark."""


def _too_many(raw: bytes, pause: Callable[[], None]) -> bool:
    marks = 0
    for at in range(0, len(raw), _SLICE):
        marks += sum(_count(raw, mark, at, at + _SLICE) for mark in _MARKS)
        pause()
    if marks <= VALUES_LIMIT:
        return False
    # Many of them, but a long text has commas too: only those outside strings count. In correct JSON at most two
    # strings stand before each, so that the look through a faulty one is bounded as well.
    marks = 0
    for seen, token in enumerate(_TOKEN.finditer(raw)):
        marks += token[0] in _MARKS
        if marks > VALUES_LIMIT or seen > 3 * VALUES_LIMIT:
            return True
    return False


def _count(raw: bytes, mark: bytes, at: int, end: int) -> int:
    """Count a mark in a part of the body.

    `find` runs from one to the next at several times the speed at which `count` looks at each byte; where there are
    many that is lost, so the first thousand decide.
    """
    for found in range(_FEW):
        at = raw.find(mark, at, end) + 1
        if not at:
            return found
    return _FEW + raw.count(mark, at, end)


def _too_deep(body: JSON) -> bool:
    level: list[Any] = [body]
    for _ in range(DEPTH_LIMIT):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True

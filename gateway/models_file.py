"""`models.json`: what the operator says of models. Checked at start, read again when it changes.

    {"models": [{"id": …}, …]}      entries by the schema below; an unknown key is a fault
    {"data": [{"id": …}, …]}        an upstream's own list, pasted as it is, also without the object round it;
                                    keys of ours that no upstream has may be added to its entries

A file that breaks while the gateway runs is logged once, and what was last good stays.
"""

from __future__ import annotations

import difflib
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from gateway.models import Overlay
from gateway.models_upstream import Told, parse
from gateway.types import JSON

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_log = logging.getLogger("gateway")

_CHECK_SECS = 1.0
"""How often at most the file's time of change is looked at."""

_FLAG = {"type": ["boolean", "null"]}
_TOKENS = {"type": ["integer", "null"], "minimum": 1}
_TEXT = {"type": ["string", "null"], "minLength": 1}
_WORDS = {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}, "uniqueItems": True}

_TOLD_TOO: dict[str, JSON] = {
    "aliases": _WORDS,
    "display_name": _TEXT,
    "context_window": _TOKENS,
    "max_output_tokens": _TOKENS,
    "input_modalities": _WORDS,
    "features": _WORDS,
    "files": _FLAG,
    "reasoning": _FLAG,
}
"""Keys whose names upstreams use as well, with values of their own."""

_OURS: dict[str, JSON] = {
    "ports": {**_WORDS, "items": {"enum": ["chat", "responses"]}},
    "reasoning_levels": _WORDS,
    "reasoning_replay": {"enum": ["field", "think", "off", None]},
    "reasoning_placeholder": _TEXT,
    "think_opened_by_template": _FLAG,
    "tool_calls_in_text": _FLAG,
    "mid_system": _FLAG,
    "developer_role": _FLAG,
    "max_tokens_field": {"enum": ["max_tokens", "max_completion_tokens", None]},
    "reasoning_aliases": _FLAG,
    "base_instructions": _TEXT,
}
"""Keys that only this gateway has."""

_ID: JSON = {"type": "string", "minLength": 1}

SCHEMA: JSON = {
    "type": "object",
    "required": ["models"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string"},
        "models": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id"],
                "additionalProperties": False,
                "properties": {"id": _ID, **_TOLD_TOO, **_OURS},
            },
        },
    },
}
"""Of the file's own form; every key of an entry is listed in `models.example.json`."""

_PASTED_SCHEMA: JSON = {
    "type": "object",
    "properties": {"data": {"type": "array", "items": {"type": "object", "required": ["id"], "properties": _OURS}}},
}

_State = tuple[int, int, int]
"""Time of change, size and inode of the file; noughts where there is none."""

_AS_TUPLE = frozenset(["aliases", "reasoning_levels"])
_AS_SET = frozenset(["ports", "input_modalities", "features"])


class ModelsFileError(ValueError):
    """The file cannot be used; the message begins with the place of the fault (`models[2].context_window: …`)."""


def read(path: Path) -> tuple[Overlay, ...]:
    """Read and check a file. Raises: ModelsFileError."""
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ModelsFileError(f"it cannot be read: {exc.strerror}") from exc
    return parse_file(raw)


def parse_file(raw: bytes) -> tuple[Overlay, ...]:
    """Return what a file's bytes say. Raises: ModelsFileError."""
    try:
        content = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as exc:
        raise ModelsFileError(f"line {exc.lineno}, column {exc.colno}: it is not JSON: {exc.msg}") from exc
    if isinstance(content, list):
        content = {"data": content}
    if isinstance(content, dict) and "data" in content:
        _refuse_faults(content, _PASTED_SCHEMA)
        return tuple(_pasted(told) for told in parse(content))
    _refuse_faults(content, SCHEMA)
    entries: list[JSON] = content["models"]
    _refuse_repeats(entries)
    return tuple(Overlay(entry["id"], _says(entry, {**_TOLD_TOO, **_OURS})) for entry in entries)


def _pasted(told: Told) -> Overlay:
    """Return an upstream's entry as one of ours: what its list tells, and keys of ours added to it."""
    model, entry = told
    told_of = {
        "aliases": model.aliases,
        "display_name": model.display_name,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "input_modalities": model.input_modalities,
        "features": model.features,
        "created": model.created,
        "owned_by": model.owned_by,
        "price": model.price,
    }
    says = {name: value for name, value in told_of.items() if value is not None}
    return Overlay(model.id, {**says, **_says(entry, _OURS)}, entry)


def _says(entry: JSON, keys: Iterable[str]) -> dict[str, Any]:
    """Return the keys that an entry sets, as `Model` holds them; null counts as absent."""
    return {key: _held(key, entry[key]) for key in keys if entry.get(key) is not None}


def _held(key: str, value: Any) -> Any:
    if key in _AS_TUPLE:
        return tuple(value)
    if key in _AS_SET:
        return frozenset(value)
    # JSON Schema counts 4096.0 as an integer.
    return int(value) if isinstance(value, float) else value


def _refuse_faults(content: Any, schema: JSON) -> None:
    # Most gateways have no file, and pay nothing for this library; where there is one, it is read before the fork.
    from jsonschema import Draft202012Validator

    found = sorted(Draft202012Validator(schema).iter_errors(content), key=_rank)
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ModelsFileError(_worded(found[0]) + more)


def _rank(fault: ValidationError) -> tuple[list[str], bool]:
    """Order faults by place; a mistyped key comes before the complaint that the right one is missing."""
    return [str(step).zfill(8) for step in fault.absolute_path], fault.validator != "additionalProperties"


def _worded(fault: ValidationError) -> str:
    place = fault.json_path.removeprefix("$").removeprefix(".")
    if fault.validator == "additionalProperties":
        schema: Any = fault.schema
        entry: Any = fault.instance
        known = list(schema["properties"])
        unknown = next(name for name in entry if name not in known)
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f", perhaps {near[0]} is meant" if near else f"; the keys are {', '.join(known)}"
        return f"{place}.{unknown}".removeprefix(".") + f": this key is not known{hint}"
    return f"{place or 'the file'}: {fault.message[:300]}"


def _refuse_repeats(entries: list[JSON]) -> None:
    """Raise for an id that two entries have, or an alias that two models have: one would never be used."""
    first: dict[str, str] = {}
    for index, entry in enumerate(entries):
        names = [("id", entry["id"])]
        names += [(f"aliases[{n}]", alias) for n, alias in enumerate(entry.get("aliases") or ())]
        for key, name in names:
            place = f"models[{index}].{key}"
            if name in first:
                raise ModelsFileError(f"{place}: {name!r} stands already in {first[name]}")
            first[name] = place


class ModelsFile:
    """The file as it is now. Without a path it says nothing.

    `read` is for the start of the gateway, where a fault ends it; a worker that is replaced later must come up
    with whatever the file is by then.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._seen: _State | None = None
        self._overlays: tuple[Overlay, ...] = ()
        self._next_check = clock()

    def overlays(self) -> tuple[Overlay, ...]:
        """Return what the file says; the same object as long as it has not changed."""
        if self._path is not None and self._clock() >= self._next_check:
            self._next_check = self._clock() + _CHECK_SECS
            self._look(self._path)
        return self._overlays

    def _look(self, path: Path) -> None:
        state = _state_of(path)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._overlays = read(path)
        except ModelsFileError as exc:
            _log.error("models file refused, the last good one stays: %s", exc)
        else:
            _log.info("models file read", extra={"models": len(self._overlays)})


def _state_of(path: Path) -> _State:
    """Return what differs when a file was written or replaced."""
    try:
        state = os.stat(path)
    except OSError:
        return 0, 0, 0
    return state.st_mtime_ns, state.st_size, state.st_ino

"""Gives the arguments of a leaked call the types that the tool's JSON schema asks for.

In the tagged forms every argument is raw text. It stays text where the schema allows a string; else it is
read as JSON, and stays text where it is none: a client's own check then names the fault to the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.types import JSON

_WORDS = {"true": True, "false": False, "none": None, "null": None}
"""Models write Python's words as well as JSON's."""
_KINDS: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def declared(tools: Any) -> dict[str, JSON]:
    """Return the parameter schemas by the names of the function tools of a Chat body."""
    schemas: dict[str, JSON] = {}
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            schemas[function["name"]] = parameters if isinstance(parameters, dict) else {}
    return schemas


def typed(arguments: Iterable[tuple[str, str]], schema: JSON) -> JSON:
    """Return the named raw texts with their types."""
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    return {name: _value(text, _types(known.get(name), schema, 0)) for name, text in arguments}


def _value(text: str, types: set[str]) -> Any:
    if "null" in types and text.strip().lower() in ("null", "none"):
        return None
    if not types or "string" in types:
        return text
    return as_json(text)


def as_json(text: str) -> Any:
    """Return what a raw text says in JSON, or the text."""
    word = text.strip()
    if word.lower() in _WORDS:
        return _WORDS[word.lower()]
    try:
        return json.loads(word, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _types(schema: Any, root: JSON, depth: int) -> set[str]:
    """Return the JSON types that a schema names, through unions and references into `$defs`."""
    if not isinstance(schema, dict) or depth > 8:
        return set()
    named = schema.get("type")
    types = {named} if isinstance(named, str) else {t for t in _list(named) if isinstance(t, str)}
    for union in ("anyOf", "oneOf", "allOf"):
        for branch in _list(schema.get(union)):
            types |= _types(branch, root, depth + 1)
    if not types:
        types = {_KINDS.get(type(value), "null") for value in [*_list(schema.get("enum")), *_constant(schema)]}
    return types or _types(_referred(schema.get("$ref"), root), root, depth + 1)


def _constant(schema: JSON) -> list[Any]:
    return [schema["const"]] if "const" in schema else []


def _referred(reference: Any, root: JSON) -> Any:
    target: Any = root
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    for step in reference[2:].split("/"):
        target = target.get(step) if isinstance(target, dict) else None
    return target


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

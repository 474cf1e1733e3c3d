"""The JSON schema of a function's arguments, made an object schema.

Chat templates and grammar builders expect `{"type": "object", "properties": …}` and fail on null, on nothing,
or on alternatives at the top. Alternatives are merged: every property is offered, and what all of them
require stays required. Deeper levels are the upstream's to understand.
Reference: JSON Schema 2020-12, Core, 10.2.1 "Keywords for Applying Subschemas with Logic".
"""

from __future__ import annotations

from typing import Any

from gateway.dialects import shape
from gateway.types import JSON

_ANY_OF = ("oneOf", "anyOf")
_MERGED = frozenset((*_ANY_OF, "allOf", "$ref", "not", "enum", "const", "nullable"))
"""Members of the top level that the merged schema does without."""
_DEEPEST = 8
"""Levels of alternatives within alternatives that are looked into."""


def object_schema(value: Any, path: str) -> JSON:
    """Return `parameters` as an object schema; the value itself where it is one already."""
    if value is None or value == []:  # an empty list is PHP's empty object
        return {"type": "object", "properties": {}}
    if not isinstance(value, dict):
        raise shape.wrong(path, "an object", value)
    if value.get("type") == "object" and isinstance(value.get("properties"), dict) and _MERGED.isdisjoint(value):
        return value
    properties: JSON = {}
    required = _gather(value, value, properties, set())
    schema: JSON = {key: member for key, member in value.items() if key not in _MERGED and key != "required"}
    schema["type"] = "object"
    schema["properties"] = properties
    if required:
        schema["required"] = required
    return schema


def _gather(schema: JSON, root: JSON, properties: JSON, seen: set[str], depth: int = 0) -> list[str]:
    """Add the properties of a schema and its branches to `properties`; return the names that it requires.

    `seen` holds the references followed so far: each is followed once, so that the work stays linear.
    """
    for name, member in _object(schema.get("properties")).items():
        properties.setdefault(name, member)
    required = {name: None for name in _list(schema.get("required")) if isinstance(name, str)}  # an ordered set
    if depth == _DEEPEST:
        return list(required)
    for branch in [_target(schema, root, seen), *_branches(schema, "allOf")]:
        required |= dict.fromkeys(_gather(branch, root, properties, seen, depth + 1))
    for key in _ANY_OF:
        needed = [_gather(branch, root, properties, seen, depth + 1) for branch in _branches(schema, key)]
        if needed:
            in_all = set.intersection(*map(set, needed))
            required |= dict.fromkeys(name for name in needed[0] if name in in_all)
    return list(required)


def _branches(schema: JSON, key: str) -> list[JSON]:
    return [branch for branch in _list(schema.get(key)) if isinstance(branch, dict)]


def _target(schema: JSON, root: JSON, seen: set[str]) -> JSON:
    """Return what a `$ref` into `$defs` or `definitions` of the same schema means, else an empty schema."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or reference in seen:
        return {}
    seen.add(reference)
    group, _, name = reference.removeprefix("#/").partition("/")
    return _object(_object(root.get(group)).get(name))


def _object(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []

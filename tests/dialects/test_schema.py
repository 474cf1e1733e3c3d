"""Function parameters as object schemas."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.schema import object_schema
from gateway.errors import RequestError

A: dict[str, Any] = {
    "type": "object",
    "properties": {"a": {"type": "string"}, "k": {"const": "A"}},
    "required": ["k", "a"],
}
B: dict[str, Any] = {"type": "object", "properties": {"b": {"type": "integer"}, "k": {"const": "B"}}, "required": ["k"]}
EMPTY = {"type": "object", "properties": {}}

CASES: dict[str, tuple[Any, Any]] = {
    "null": (None, EMPTY),
    "empty": ({}, EMPTY),
    "empty-list-of-php": ([], EMPTY),
    "no-properties": ({"type": "object"}, EMPTY),
    "properties-list-of-php": ({"type": "object", "properties": []}, EMPTY),
    "no-type": (
        {"properties": {"a": {}}, "required": ["a"]},
        {"properties": {"a": {}}, "type": "object", "required": ["a"]},
    ),
    "nullable": ({"type": ["object", "null"], "properties": {}}, EMPTY),
    "odd-required": ({"type": "object", "required": [1, "a"]}, {**EMPTY, "required": ["a"]}),
    "keeps-the-rest": (
        {"additionalProperties": False, "$defs": {"X": {}}},
        {"additionalProperties": False, "$defs": {"X": {}}, **EMPTY},
    ),
    "one-of": (
        {"oneOf": [A, B]},
        {
            "type": "object",
            "properties": {**A["properties"], **B["properties"], "k": {"const": "A"}},
            "required": ["k"],
        },
    ),
    "any-of-nothing": ({"anyOf": ["x"]}, EMPTY),
    "all-of": (
        {"type": "object", "properties": {"c": {}}, "required": ["c"], "allOf": [A, B]},
        {
            "type": "object",
            "properties": {"c": {}, **A["properties"], "b": {"type": "integer"}},
            "required": ["c", "k", "a"],
        },
    ),
    "ref": (
        {"$ref": "#/$defs/A", "$defs": {"A": A}},
        {"$defs": {"A": A}, "type": "object", "properties": A["properties"], "required": ["k", "a"]},
    ),
    "ref-in-branch": (
        {"anyOf": [{"$ref": "#/definitions/A"}], "definitions": {"A": A}},
        {"definitions": {"A": A}, "type": "object", "properties": A["properties"], "required": ["k", "a"]},
    ),
    "ref-to-itself": ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, None),
    "ref-to-nothing": ({"$ref": "#/$defs/Z"}, EMPTY),
    "ref-odd": ({"$ref": 5}, EMPTY),
    "enum": ({"enum": ["a"]}, EMPTY),
}


@pytest.mark.parametrize(("value", "expected"), [pytest.param(*case, id=name) for name, case in CASES.items()])
def test_schemas(value: Any, expected: Any) -> None:
    schema = object_schema(value, "p")
    assert schema["type"] == "object"
    assert isinstance(schema["properties"], dict)
    assert expected is None or schema == expected


def test_an_object_schema_stays_itself() -> None:
    schema = {"type": "object", "properties": {"a": {"oneOf": []}}}
    assert object_schema(schema, "p") is schema


@pytest.mark.parametrize("value", [True, 1, "object", [{}]], ids=str)
def test_other_types_are_faults(value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        object_schema(value, "tools[0].parameters")
    assert caught.value.param == "tools[0].parameters"


def test_alternatives_within_alternatives_end() -> None:
    schema: Any = {"properties": {"deep": {}}}
    for _ in range(100):
        schema = {"allOf": [schema]}
    assert object_schema(schema, "p") == EMPTY


def test_many_references_are_followed_once() -> None:
    members: dict[str, Any] = {f"p{n}": {} for n in range(1000)}
    schema = {"anyOf": [{"$ref": "#/$defs/A"}] * 1000, "$defs": {"A": {"properties": members}}}
    assert object_schema(schema, "p")["properties"] == members

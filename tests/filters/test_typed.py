from __future__ import annotations

from typing import Any

import pytest

from gateway.filters.typed import as_json, declared, typed


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        pytest.param({"type": "string"}, "5", "5", id="string"),
        pytest.param({"type": "integer"}, "5", 5, id="integer"),
        pytest.param({"type": "integer"}, "five", "five", id="not-an-integer"),
        pytest.param({"type": "number"}, " 0.5\n", 0.5, id="number"),
        pytest.param({"type": "number"}, "NaN", "NaN", id="not-a-number"),
        pytest.param({"type": "boolean"}, "True", True, id="python-true"),
        pytest.param({"type": "boolean"}, "false", False, id="false"),
        pytest.param({"type": "array"}, '["a\nb"]', ["a\nb"], id="array-with-raw-line-end"),
        pytest.param({"type": "object"}, '{"a": 1}', {"a": 1}, id="object"),
        pytest.param({"type": "object"}, "[" * 100_000, "[" * 100_000, id="nested-too-deeply"),
        pytest.param({"type": ["string", "null"]}, "null", None, id="null"),
        pytest.param({"type": ["string", "null"]}, "nullable", "nullable", id="null-or-text"),
        pytest.param({"type": "string"}, "null", "null", id="the-word-null"),
        pytest.param({"type": [7, "integer"]}, "1", 1, id="odd-type"),
        pytest.param({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "1", 1, id="any-of"),
        pytest.param({"oneOf": [{"type": "integer"}, {"type": "string"}]}, "1", "1", id="one-of-with-string"),
        pytest.param({"enum": [1, 2]}, "2", 2, id="enum"),
        pytest.param({"enum": ["1", "2"]}, "2", "2", id="enum-of-strings"),
        pytest.param({"const": None}, "none", None, id="constant"),
        pytest.param({"$ref": "#/$defs/n"}, "5", 5, id="reference"),
        pytest.param({"$ref": "#/$defs/n/type/x"}, "5", "5", id="reference-to-nothing"),
        pytest.param({"$ref": "#/$defs/loop"}, "5", "5", id="reference-in-a-circle"),
        pytest.param({"$ref": "elsewhere.json"}, "5", "5", id="reference-elsewhere"),
        pytest.param({}, "5", "5", id="no-type"),
        pytest.param(None, "5", "5", id="no-schema"),
    ],
)
def test_types(schema: Any, text: str, value: Any) -> None:
    root = {"properties": {"a": schema}, "$defs": {"n": {"type": "integer"}, "loop": {"$ref": "#/$defs/loop"}}}
    assert typed([("a", text)], root) == {"a": value}


def test_schema_without_properties() -> None:
    assert typed([("a", "5")], {"properties": []}) == {"a": "5"}


def test_as_json() -> None:
    assert [as_json(text) for text in ("None", "5", "five")] == [None, 5, "five"]


@pytest.mark.parametrize(
    ("tools", "schemas"),
    [
        pytest.param(
            [{"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}], {"f": {"a": 1}}, id="f"
        ),
        pytest.param([{"function": {"name": "f", "parameters": None}}], {"f": {}}, id="no-parameters"),
        pytest.param([7, {}, {"function": 7}, {"function": {"name": 7}}], {}, id="odd"),
        pytest.param(None, {}, id="none"),
    ],
)
def test_declared(tools: Any, schemas: Any) -> None:
    assert declared(tools) == schemas

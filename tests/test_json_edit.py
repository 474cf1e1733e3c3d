"""Members of a JSON object are changed and every other byte stays."""

from __future__ import annotations

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.json_edit import edit_members

CASES: dict[str, tuple[str, dict[str, str | None], str]] = {
    "nothing-asked": ('{"a": 1}', {}, '{"a": 1}'),
    "empty-object": ("{}", {"a": "1"}, "{}"),
    "empty-object-with-space": (" { } ", {"a": None}, " { } "),
    "not-there": ('{"a":1}', {"b": "2", "c": None}, '{"a":1}'),
    "value": ('{"model":"a","n":1}', {"model": '"b"'}, '{"model":"b","n":1}'),
    "value-keeps-white-space": ('{ "a"\t:\n1 , "b":2}\n', {"a": '"x"'}, '{ "a"\t:\n"x" , "b":2}\n'),
    "first-removed": ('{"a":1,"b":2,"c":3}', {"a": None}, '{"b":2,"c":3}'),
    "middle-removed": ('{"a":1, "b":2, "c":3}', {"b": None}, '{"a":1, "c":3}'),
    "last-removed": ('{"a":1,"b":2,"c":3}', {"c": None}, '{"a":1,"b":2}'),
    "only-one-removed": ('{"a":1}', {"a": None}, "{}"),
    "all-removed": ('{"a":1,"b":[]}\r\n', {"a": None, "b": None}, "{}\r\n"),
    "both": (
        '{"tools":[],"model":"a","tool_choice":"auto"}',
        {"tools": None, "model": '"b"'},
        '{"model":"b","tool_choice":"auto"}',
    ),
    "every-double": ('{"a":1,"b":2,"a":3}', {"a": "4"}, '{"a":4,"b":2,"a":4}'),
    "every-double-removed": ('{"a":1,"b":2,"a":3}', {"a": None}, '{"b":2}'),
    "escaped-key": ('{"mo\\u0064el":"a"}', {"model": '"b"'}, '{"mo\\u0064el":"b"}'),
    "escapes-in-strings": ('{"x":"}\\",\\"a\\":1,\\\\","a":2}', {"a": "3"}, '{"x":"}\\",\\"a\\":1,\\\\","a":3}'),
    "same-key-inside": ('{"x":{"a":1},"y":[{"a":1}],"a":2}', {"a": None}, '{"x":{"a":1},"y":[{"a":1}]}'),
    "brackets-in-strings": ('{"x":["]}",{"y":"{["}],"a":2}', {"a": "3"}, '{"x":["]}",{"y":"{["}],"a":3}'),
    "other-letters": ('{"é":"ü","a":"😀"}', {"a": '"ö"'}, '{"é":"ü","a":"ö"}'),
    "numbers-as-written": ('{"n":1.50e+2,"m":-0.0,"a":0}', {"a": "1"}, '{"n":1.50e+2,"m":-0.0,"a":1}'),
    "scalars": ('{"t":true,"f":false,"n":null,"m":-0.0,"a":0}', {"f": None}, '{"t":true,"n":null,"m":-0.0,"a":0}'),
}


@pytest.mark.parametrize(("text", "changes", "edited"), CASES.values(), ids=CASES.keys())
def test_edit(text: str, changes: dict[str, str | None], edited: str) -> None:
    given_changes = {name: value.encode() if value is not None else None for name, value in changes.items()}
    assert edit_members(text.encode(), given_changes).decode() == edited


KEYS = st.sampled_from(["model", "tools", "a", '"', "\\", "é", "", "\u2028"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=3
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
SPACES = st.text(" \t\r\n", max_size=2)


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, list[tuple[str, Any]]]:
    """Draw the text of an object, in any spelling, and its members, keys that come twice included."""
    members = draw(st.lists(st.tuples(KEYS, VALUES), max_size=6))

    def spelled(value: Any) -> str:
        return json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1])))

    def spaced(text: str) -> str:
        return draw(SPACES) + text + draw(SPACES)

    texts = [spaced(spelled(key)) + ":" + spaced(spelled(value)) for key, value in members]
    return spaced("{" + (",".join(texts) or draw(SPACES)) + "}"), members


@settings(deadline=None, max_examples=200)
@given(objects(), st.dictionaries(KEYS, st.none() | VALUES, max_size=3))
def test_edited_text_means_the_edited_object(drawn: tuple[str, list[tuple[str, Any]]], changes: dict[str, Any]) -> None:
    text, members = drawn
    raw = text.encode()
    given_changes = {name: None if value is None else orjson.dumps(value) for name, value in changes.items()}
    edited = edit_members(raw, given_changes)
    expected = [
        (key, changes.get(key, value)) for key, value in members if key not in changes or changes[key] is not None
    ]
    pairs = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in expected)
    assert json.loads(edited, object_pairs_hook=list) == json.loads(f"{{{pairs}}}", object_pairs_hook=list)
    if not changes.keys() & {key for key, _ in members}:
        assert edited == raw


def test_a_large_body_takes_milliseconds() -> None:
    messages = [{"role": "user", "content": 'He said "so"\n' * 400} for _ in range(400)]
    raw = orjson.dumps({"model": "a", "messages": messages, "tools": []})
    assert len(raw) > 2_000_000
    began = time.process_time()
    edited = edit_members(raw, {"model": b'"b"', "tools": None})
    assert time.process_time() - began < 0.2
    assert edited == orjson.dumps({"model": "b", "messages": messages})


@pytest.mark.parametrize(
    "nest", [b"[]", b'{"":0}', b'""', b"[[[[[[[[[]]]]]]]]]"], ids=["lists", "objects", "texts", "deep"]
)
def test_time_is_linear(nest: bytes) -> None:
    raw = b'{"a":[' + b",".join([nest] * 50_000) + b'],"tools":[]}'
    began = time.process_time()
    assert edit_members(raw, {"tools": None}) == raw[: -len(b',"tools":[]}')] + b"}"
    assert time.process_time() - began < 2


def test_nesting_as_deep_as_a_body_may_have() -> None:
    raw = b'{"a":' + b"[" * 499 + b"]" * 499 + b',"b":1}'
    assert edit_members(raw, {"b": None}) == raw[: -len(b',"b":1}')] + b"}"

"""What is taken as JSON, and what leaves as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import RequestError
from gateway.jsonbody import DEPTH_LIMIT, VALUES_LIMIT, dump, load_object, load_upstream

ACCEPTED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "empty-object": (b"{}", {}),
    "white-space": (b' \r\n\t{ "a" : 1 }\n', {"a": 1}),
    "doubled-key": (b'{"a":1,"b":2,"a":3}', {"a": 3, "b": 2}),
    "escaped-pair": (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
    "nul": (b'{"a":"\\u0000"}', {"a": "\0"}),
    "64-bits": (b'{"a":[18446744073709551615,-9223372036854775808]}', {"a": [2**64 - 1, -(2**63)]}),
    "more-bits": (b'{"a":[18446744073709551616,-9223372036854775809]}', {"a": [float(2**64), -float(2**63)]}),
    "brackets-in-text": (b'{"a":"' + b"[{" * 1000 + b'"}', {"a": "[{" * 1000}),
    "many-lists": (b'{"a":[' + b"[]," * 1000 + b"[[]]]}", {"a": [*[[]] * 1000, [[]]]}),
}

NESTED = "nested deeper than 500 levels"
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "nothing": (b"", "invalid_json", "empty"),
    "only-space": (b" \n ", "invalid_json", "empty"),
    "word": (b"hello", "invalid_json", "line 1, column 1"),
    "cut": (b'{"a":\n [1', "invalid_json", "line 2"),
    "trailing": (b'{"a":1} {}', "invalid_json", "line 1, column 9"),
    "trailing-comma": (b'{"a":1,}', "invalid_json", "line 1, column"),
    "comment": (b'{"a":1 // b\n}', "invalid_json", "line 1, column 8"),
    "single-quotes": (b"{'a':1}", "invalid_json", "line 1, column 2"),
    "raw-newline-in-text": (b'{"a":"b\nc"}', "invalid_json", "line 1, column 8"),
    "nan": (b'{"a":NaN}', "invalid_json", "column 6"),
    "infinity": (b'{"a":-Infinity}', "invalid_json", "column 7"),
    "too-large-a-number": (b'{"a":1e999}', "invalid_json", "column 6"),
    "endless-integer": (b'{"a":' + b"9" * 100_000 + b"}", "invalid_json", "column 6"),
    "invalid-utf-8": (b'{"a":"\xff"}', "invalid_json", "not valid UTF-8 (byte 6)"),
    "surrogate-in-utf-8": (b'{"a":"\xed\xa0\x80"}', "invalid_json", "not valid UTF-8 (byte 6)"),
    "utf-16": ('{"a":1}'.encode("utf-16-le"), "invalid_json", "column 2"),
    "lone-high-surrogate": (b'{"a":"\\ud800"}', "invalid_json", "surrogate"),
    "lone-low-surrogate": (b'{"a":"\\udc00x"}', "invalid_json", "surrogate"),
    "byte-order-mark": (b"\xef\xbb\xbf{}", "invalid_json", "byte order mark"),
    "list": (b"[{}]", "invalid_request_format", "not an array"),
    "text": (b'"secret"', "invalid_request_format", "not a string"),
    "integer": (b"12", "invalid_request_format", "not a number"),
    "float": (b"1.5", "invalid_request_format", "not a number"),
    "boolean": (b"true", "invalid_request_format", "not true or false"),
    "null": (b"null", "invalid_request_format", "not null"),
    "deep-objects": (b'{"a":' * 501 + b"1" + b"}" * 501, "invalid_json", NESTED),
    "deep-lists": (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", "invalid_json", NESTED),
    "deeper": (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "invalid_json", NESTED),
    "deep-and-cut": (b"[" * 100_000, "invalid_json", NESTED),
}


@pytest.mark.parametrize(("raw", "body"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(raw: bytes, body: dict[str, Any]) -> None:
    assert load_object(raw) == body


@pytest.mark.parametrize(("raw", "code", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(raw: bytes, code: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        load_object(raw)
    error = caught.value
    assert (error.status, error.code, error.param) == (400, code, None)
    assert words in error.message
    assert len(error.message) < 200
    assert "secret" not in error.message
    assert error.__context__ is None  # it would hold the body


@pytest.mark.parametrize(("opening", "inner", "closing"), [(b'{"a":', b"1", b"}"), (b'{"a":[', b"[]", b"]}")])
def test_nesting_up_to_the_limit(opening: bytes, inner: bytes, closing: bytes) -> None:
    levels = DEPTH_LIMIT if inner == b"1" else DEPTH_LIMIT // 2 - 1
    raw = opening * levels + inner + closing * levels
    body = load_object(raw)
    assert dump(body) == raw  # deeper than orjson writes


HOSTILE = {
    "opening-brackets": b'{"a":' + b"[" * 4_000_000,
    "empty-lists": b'{"a":[' + b",".join([b"[]"] * 300_000) + b"]}",
    "many-keys": b"{" + b",".join(b'"%d":1' % n for n in range(300_000)) + b"}",
    "same-key": b"{" + b",".join([b'"a":1'] * 300_000) + b"}",
    "many-deep-lists": b'{"a":[' + b",".join([b"[" * 400 + b"]" * 400] * 500) + b"]}",
    "digits": b'{"a":' + b"1" * 4_000_000 + b"}",
    "escapes": b'{"a":"' + b"\\u0041" * 600_000 + b'"}',
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_is_bounded(raw: bytes) -> None:
    began = time.process_time()
    try:
        load_object(raw)
    except RequestError as error:
        assert error.code == "invalid_json"
    assert time.process_time() - began < 3


WRITTEN: dict[str, tuple[object, bytes]] = {
    "plain": ({"b": [1, 2.5, None, True], "a": "é"}, '{"b":[1,2.5,null,true],"a":"é"}'.encode()),
    "large-integer": ({"a": 2**64, "b": "é"}, '{"a":18446744073709551616,"b":"é"}'.encode()),
    "lone-surrogate": ({"a": "x\ud800y"}, '{"a":"x\ufffdy"}'.encode()),
    "pair-in-two-halves": ({"a": "\ud83d" + "\ude00"}, '{"a":"😀"}'.encode()),
}


@pytest.mark.parametrize(("value", "raw"), WRITTEN.values(), ids=WRITTEN.keys())
def test_dump(value: object, raw: bytes) -> None:
    assert dump(value) == raw


def test_dump_refuses_what_is_no_json() -> None:
    with pytest.raises(TypeError):
        dump({"a": {1, 2}})


FROM_UPSTREAM: dict[str, tuple[bytes, object]] = {
    "object": (b'{"a":1}', {"a": 1}),
    "list": (b"[1]", [1]),
    "text": (b'"a"', "a"),
    "lone-surrogate": (b'{"a":"x\\ud83d"}', {"a": "x\ufffd"}),
    "surrogate-in-key": (b'{"\\udc00":1}', {"\ufffd": 1}),
    "invalid-utf-8": (b'{"a":"\xff"}', {"a": "\ufffd"}),
    "nan": (b'{"logprob":NaN,"a":[Infinity,-Infinity]}', {"logprob": None, "a": [None, None]}),
    "beyond-floats": (b'{"a":[1e999,-1e999,1.5]}', {"a": [None, None, 1.5]}),
    "raw-newline": (b'{"a":"b\nc"}', {"a": "b\nc"}),
    "byte-order-mark": (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
    "long-integer": (b'{"a":' + b"9" * 400 + b"}", {"a": int("9" * 400)}),
}


@pytest.mark.parametrize(("raw", "value"), FROM_UPSTREAM.values(), ids=FROM_UPSTREAM.keys())
def test_load_upstream(raw: bytes, value: object) -> None:
    loaded = load_upstream(raw)
    assert loaded == value
    assert json.loads(dump(loaded)) == value


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", b'{"a":', b"[" * 100_000, b"[" * 5000 + b"]" * 5000, b'{"a":' + b"9" * 10_000 + b"}"],
    ids=["nothing", "page", "cut", "deep-and-cut", "deep", "endless-integer"],
)
def test_an_unreadable_answer_is_a_value_error(raw: bytes) -> None:
    with pytest.raises(ValueError):
        load_upstream(raw)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=30) | st.text('{}[]",:\\u0d8aNfn1e9-. ', max_size=30).map(str.encode))
def test_any_bytes(raw: bytes) -> None:
    try:
        body: object = load_object(raw)
    except RequestError as error:
        assert error.code in ("invalid_json", "invalid_request_format")
    else:
        assert body == orjson.loads(raw)
        assert load_upstream(raw) == body
    try:
        dump(load_upstream(raw))
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":[' + b"1," * VALUES_LIMIT + b"1]}",
        b'{"a":[' + b"[]," * VALUES_LIMIT + b"[]]}",
        b'{"a":' + b'"",' * 10 + b'"\\"' * (4 * VALUES_LIMIT),
        b"[" * (VALUES_LIMIT + 1),
        b'""' * (4 * VALUES_LIMIT) + b"," * (VALUES_LIMIT + 1),
    ],
    ids=["numbers", "arrays", "open-string", "open-arrays", "strings-alone"],
)
def test_more_values_than_any_client_sends_are_refused(raw: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        load_object(raw)
    assert caught.value.code == "invalid_json"
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "text",
    ["a, [b] {c} " * 200_000, '\\", [' * 200_000, "x" * 1_000_000],
    ids=["commas", "quotes", "none"],
)
def test_commas_and_brackets_within_texts_are_no_values(text: str) -> None:
    assert load_object(json.dumps({"a": text}).encode()) == {"a": text}

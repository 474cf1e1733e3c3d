"""Checks of foreign JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.dialects import shape
from gateway.errors import RequestError

READERS: dict[str, tuple[Callable[[dict[str, Any]], Any], list[Any], list[Any]]] = {
    "text": (lambda o: shape.text(o, "m", "p"), ["", "a"], [None, 1, True, [], {}]),
    "name": (lambda o: shape.name(o, "m", "p"), ["a"], [None, "", 1.5]),
    "optional-text": (lambda o: shape.optional_text(o, "m", "p"), [None, "a"], [1, [], {}]),
    "boolean": (lambda o: shape.boolean(o, "m", "p"), [None, True, False], [0, "true", []]),
    "mapping": (lambda o: shape.mapping(o, "m", "p"), [None, {}, {"a": 1}], [[], "a", 1]),
    "listing": (lambda o: shape.listing(o, "m", "p"), [None, [], [1]], [{}, "a", False]),
    "number": (lambda o: shape.number({"p.m": o["m"]}, "p.m", 0, 2), [None, 0, 2, 1.5], [True, "1", -0.1, 2.1, []]),
    "integer": (lambda o: shape.integer({"p.m": o["m"]}, "p.m", 1, 20), [None, 1, 20], [1.5, 0, 21, "1", False]),
}


@pytest.mark.parametrize(
    ("read", "value"), [pytest.param(read, v, id=f"{n}-{v}") for n, (read, good, _) in READERS.items() for v in good]
)
def test_good_values_are_returned(read: Callable[[dict[str, Any]], Any], value: Any) -> None:
    assert read({"m": value}) == value


@pytest.mark.parametrize(
    ("read", "value"), [pytest.param(read, v, id=f"{n}-{v}") for n, (read, _, bad) in READERS.items() for v in bad]
)
def test_bad_values_are_named(read: Callable[[dict[str, Any]], Any], value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        read({"m": value})
    assert caught.value.param == "p.m"
    assert "`p.m`" in caught.value.message
    assert (caught.value.status, caught.value.code) == (400, "invalid_request_format")


def test_a_whole_float_is_an_integer() -> None:
    value = shape.integer({"m": 100.0}, "m")
    assert value == 100
    assert isinstance(value, int)


@pytest.mark.parametrize(("path", "expected"), [("", "m"), ("input[0]", "input[0].m")])
def test_at(path: str, expected: str) -> None:
    assert shape.at(path, "m") == expected


def test_long_words_are_cut() -> None:
    assert len(shape.shown("x" * 500)) < 100
    assert shape.shown("short") == "'short'"


def test_dump_is_compact_and_stable() -> None:
    assert shape.dump({"b": 1, "a": "é"}, "p") == '{"b":1,"a":"é"}'


def test_dump_names_what_cannot_be_written() -> None:
    deep: Any = None
    for _ in range(400):
        deep = [deep]
    with pytest.raises(RequestError) as caught:
        shape.dump(deep, "input[0].arguments")
    assert caught.value.param == "input[0].arguments"

"""What a translation changed is found by values, without a word about any dialect."""

from __future__ import annotations

from typing import Any

from gateway.view.changes import MOST, changes

JSON = dict[str, Any]


def test_values_that_stand_elsewhere_have_moved() -> None:
    client: JSON = {
        "model": "m",
        "input": [{"content": [{"text": "hello"}]}, {"content": [{"text": "there"}]}],
        "max_output_tokens": 500,
        "store": False,
    }
    upstream = {"model": "m", "messages": [{"content": "hello"}, {"content": "there"}], "max_tokens": 500, "n": None}
    found = changes(client, upstream)
    assert found["same"] == 1
    assert found["moved"] == [
        ["input[*].content[*].text", "messages[*].content", 2],
        ["max_output_tokens", "max_tokens", 1],
    ]
    assert found["left_out"] == [["store", "false", 1]]
    assert found["added"] == [["n", "null", 1]]


def test_what_moves_together_is_one_line() -> None:
    tool = {"name": "f", "parameters": {"type": "object", "required": ["a"]}}
    found = changes({"tools": [tool]}, {"tools": [{"function": tool}]})
    assert found["moved"] == [["tools[*].…", "tools[*].function.…", 3]]


def test_common_values_do_not_move() -> None:
    found = changes({"a": 1, "b": True, "c": ""}, {"d": 1, "e": True, "f": ""})
    assert found["moved"] == []
    assert len(found["left_out"]) == 3


def test_equal_values_go_one_to_one() -> None:
    found = changes({"a": ["twice", "twice"]}, {"b": ["twice"]})
    assert (found["moved"], found["left_out"]) == ([["a[*]", "b[*]", 1]], [["a[*]", "twice", 1]])


def test_the_place_that_ends_alike_is_meant() -> None:
    found = changes(
        {"a": {"type": "string"}, "b": {"kind": "string"}}, {"x": {"b": {"kind": "string"}, "a": {"type": "string"}}}
    )
    assert found["moved"] == [["a.…", "x.a.…", 1], ["b.…", "x.b.…", 1]]


def test_lines_and_values_are_bounded() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    found = changes({**{f"m{n}": f"v{n}" for n in range(500)}, "long": "x" * 500, "deep": deep, "empty": [{}]}, {})
    assert len(found["left_out"]) == MOST
    assert changes({"long": "x" * 500}, {})["left_out"] == [["long", "x" * 120 + "…", 1]]
    assert changes({"deep": deep}, {})["left_out"][0][1].startswith("[[[")
    assert changes({"n": 2.5}, {})["left_out"] == [["n", "2.5", 1]]

"""Items as they are kept and shown."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.store.items import kept, references, resolved, shown, since_compaction


def new_id(prefix: str) -> str:
    return f"{prefix}new"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(None, [], id="nothing"),
        pytest.param("hi", [{"role": "user", "content": "hi", "id": "msg_new", "type": "message"}], id="a string"),
        pytest.param([{"id": "msg_1", "role": "user"}], [{"id": "msg_1", "role": "user", "type": "message"}], id="id"),
        pytest.param([{"id": "", "type": "reasoning"}], [{"id": "rs_new", "type": "reasoning"}], id="an empty id"),
        pytest.param([{"id": 5, "type": "odd"}], [{"id": "item_new", "type": "odd"}], id="an id that is none"),
    ],
)
def test_kept_items_have_a_type_and_an_id(given: Any, expected: Any) -> None:
    assert kept(given, new_id) == expected


def test_references_are_found_and_resolved_in_their_places() -> None:
    given = [
        {"role": "user", "content": "x"},
        {"type": "item_reference", "id": "a"},
        {"id": "b"},
        {"type": None, "id": "c"},
        {"type": "message", "id": "d"},
        {"type": "item_reference", "id": 5},
        "odd",
    ]
    places = references(given)
    assert places == {1: "a", 2: "b", 3: "c"}
    item = {"type": "message", "id": "a"}
    assert resolved(given, places, {"a": item}) == [given[0], item, *given[2:]]
    assert references("text") == {}


def test_a_compaction_stands_for_what_was_before() -> None:
    items = [{"type": "message"}, {"type": "compaction"}, {"type": "message"}]
    assert since_compaction(items) == items[1:]
    assert since_compaction(items[2:]) == items[2:]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        pytest.param(
            {"type": "message", "role": "assistant", "content": "hi", "phase": None},
            {"content": [{"annotations": [], "logprobs": [], "type": "output_text", "text": "hi"}]},
            id="an assistant's string",
        ),
        pytest.param({"type": "message", "role": "assistant", "content": None}, {"content": []}, id="no content"),
        pytest.param(
            {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "u"}]},
            {"content": [{"detail": "auto", "file_id": None, "type": "input_image", "image_url": "u"}]},
            id="an image",
        ),
        pytest.param(
            {"type": "message", "role": "user", "content": [{"type": "input_file", "file_data": "x"}]},
            {"content": [{"type": "input_file", "file_data": "x"}]},
            id="a file",
        ),
        pytest.param({"type": "function_call", "status": "incomplete"}, {"status": "incomplete"}, id="a status"),
        pytest.param({"type": "function_call_output"}, {"status": "completed"}, id="an output"),
        pytest.param({"type": "reasoning"}, {"summary": []}, id="reasoning"),
        pytest.param({"type": "compaction"}, {}, id="other"),
    ],
)
def test_items_are_shown_as_the_schema_has_them(item: Any, expected: Any) -> None:
    found = shown(item)
    assert {name: found[name] for name in expected} == expected
    assert None not in found.values()

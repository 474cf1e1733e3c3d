from __future__ import annotations

import pytest

from gateway.json_scan import ObjectScan


@pytest.mark.parametrize(
    ("text", "state", "follows"),
    [
        pytest.param("", "blank", None, id="nothing"),
        pytest.param(" \n\t", "blank", None, id="white-space"),
        pytest.param("Paris", "foreign", None, id="foreign"),
        pytest.param("[1]", "foreign", None, id="array"),
        pytest.param(' {"a"', "inside", None, id="begun"),
        pytest.param('{"a": "}', "inside", None, id="bracket-in-string"),
        pytest.param('{"a": "\\"}', "inside", None, id="quote-in-string"),
        pytest.param('{"a": "\\\\"}', "whole", None, id="backslash-in-string"),
        pytest.param('{"a": [{"b": 1}]} \n', "whole", None, id="whole"),
        pytest.param('{"a": 1} {"b": 2}', "whole", 9, id="second-object"),
        pytest.param("{}}", "whole", 2, id="one-bracket-too-many"),
    ],
)
def test_states(text: str, state: str, follows: int | None) -> None:
    scan = ObjectScan()
    assert scan.feed(text) == follows
    assert scan.state == state

    by_character = ObjectScan()
    places = [place for place, character in enumerate(text) if by_character.feed(character) is not None]
    assert by_character.state == state
    assert (places[0] if places else None) == follows

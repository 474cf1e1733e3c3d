"""Where a key is read from, and how little of it is shown."""

from __future__ import annotations

import pytest

from gateway.errors import AuthenticationError
from gateway.keys import Mask, masked, read_key


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"AUTHORIZATION": "Bearer abc"}, "abc"),
        ({"AUTHORIZATION": "bEaReR   abc "}, "abc"),
        ({"X_API_KEY": "abc"}, "abc"),
        ({"API_KEY": "abc"}, "abc"),
        ({"AUTHORIZATION": "Bearer a", "X_API_KEY": "b", "API_KEY": "c"}, "a"),
        ({"AUTHORIZATION": "", "X_API_KEY": " ", "API_KEY": "c"}, "c"),
        ({"AUTHORIZATION": "  ", "X_API_KEY": "b"}, "b"),
        ({}, None),
    ],
)
def test_the_first_header_that_holds_a_key_wins(headers: dict[str, str], key: str | None) -> None:
    assert read_key({f"HTTP_{name}": value for name, value in headers.items()}) == key


@pytest.mark.parametrize("value", ["Basic abc", "Bearer", "sk-bare-key", "Bearer a b", "Bearer a\x01b", "Bearer é"])
def test_another_form_is_refused_with_the_right_one_and_without_the_key(value: str) -> None:
    with pytest.raises(AuthenticationError) as refused:
        read_key({"HTTP_AUTHORIZATION": value})
    assert refused.value.status == 401
    assert refused.value.code == "invalid_api_key"
    assert "sk-bare-key" not in refused.value.message


@pytest.mark.parametrize(
    ("key", "shown"), [(None, None), ("short", "***"), ("123456789012", "***"), ("sk-1234567890", "sk-123...7890")]
)
def test_a_log_line_shows_little_of_a_key(key: str | None, shown: str | None) -> None:
    assert masked(key) == shown


def test_an_upstream_that_repeats_the_key_is_masked() -> None:
    mask = Mask("sk-1234567890", "sk-123...7890")
    assert mask.text("Incorrect key sk-1234567890.") == "Incorrect key sk-123...7890."
    assert mask.body(b"Incorrect key sk-1234567890.") == b"Incorrect key sk-123...7890."
    assert mask.body_of_same_length(b"key sk-1234567890.") == b"key *************."
    assert mask.text("nothing here") == "nothing here"
    assert "sk-1234567890" not in repr(mask)


def test_without_a_key_there_is_nothing_to_mask() -> None:
    mask = Mask(None, "")
    assert mask.text("text") == "text"
    assert mask.body(b"text") == mask.body_of_same_length(b"text") == b"text"

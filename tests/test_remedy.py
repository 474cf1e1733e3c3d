"""What would make a refused request pass."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.profile import Model
from gateway.quirks import NO_QUIRK, Quirk, Quirks
from gateway.remedy import Remedy, remedy_for
from gateway.upstream_error import read_error

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "assistant", "content": "x", "reasoning_content": "y"}],
    "tools": [{"type": "function", "function": {"name": "f", "strict": True}}],
    "stream_options": {"include_usage": True},
    "verbosity": "low",
    "max_tokens": 64000,
}


def remedy(message: str, status: int = 400, body: dict[str, Any] | None = None, **members: Any) -> Remedy | None:
    error = read_error(status, {}, orjson.dumps({"error": {"message": message, **members}}))
    return remedy_for(error, BODY if body is None else body)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Unrecognized request argument supplied: stream_options", Remedy(omit="stream_options")),
        ("Unknown parameter: 'verbosity'.", Remedy(omit="verbosity")),
        ("body.messages.0.reasoning_content: Extra inputs are not permitted", Remedy(omit="reasoning_content")),
        ("property 'strict' is unsupported", Remedy(omit="strict")),
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
         Remedy(max_tokens_field="max_completion_tokens")),
        ("max_tokens must be at most 8192", Remedy(max_tokens=8192)),
        ("Range of max_tokens should be in the range of [1, 8192]", Remedy(max_tokens=8192)),
        ("max_tokens: 64000 exceeds maximum of 4096", Remedy(max_tokens=4096)),
        ("seed is not supported", None),
        ("Something about verbosity levels that says nothing", None),
        ("The model is on fire", None),
    ],
)  # fmt: skip
def test_a_refusal_by_name_tells_its_remedy(message: str, expected: Remedy | None) -> None:
    assert remedy(message) == expected


def test_the_param_names_the_field_as_well() -> None:
    assert remedy("No.", param="verbosity") == Remedy(omit="verbosity")


def test_422_needs_no_words_beside_the_name() -> None:
    assert remedy("verbosity: field", status=422) == Remedy(omit="verbosity")


def test_other_statuses_have_no_remedy() -> None:
    assert remedy("Unknown parameter: 'verbosity'.", status=401) is None


def test_max_completion_tokens_is_swapped_back() -> None:
    body = {"max_completion_tokens": 10}
    assert remedy("unknown field max_completion_tokens", body=body) == Remedy(max_tokens_field="max_tokens")


RESPONSES: dict[str, Any] = {
    "model": "gpt-5",
    "input": [
        {"type": "message"},
        {"type": "reasoning", "id": "rs_1"},
        {"type": "reasoning", "encrypted_content": "x"},
    ],
    "tools": [{"type": "function"}, {"type": "web_search"}],
    "reasoning": {"effort": "minimal", "summary": "auto"},
    "text": {"verbosity": "low"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 64000,
}


@pytest.mark.parametrize(
    ("message", "param", "expected"),
    [
        (
            "Your organization must be verified to generate summaries.",
            "reasoning.summary",
            Remedy(omit="reasoning.summary"),
        ),
        (
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            None,
            Remedy(omit="reasoning.effort"),
        ),
        (
            "The following tools cannot be used with reasoning.effort 'minimal': web_search.",
            "tools",
            Remedy(omit="web_search"),
        ),
        ("Encrypted content is not supported with this model.", "include", Remedy(omit="include")),
        ("Reasoning is not supported.", "reasoning", Remedy(omit="reasoning")),
        ("Metadata is not supported.", "metadata", None),
        ("text.verbosity is not supported", None, Remedy(omit="text.verbosity")),
        ("max_output_tokens must be at most 8192", None, Remedy(max_tokens=8192)),
        ("Unsupported parameter: max_output_tokens", None, Remedy(omit="max_output_tokens")),
        ("Missing required parameter.", "input[1].summary", Remedy(omit="reasoning_content")),
        ("Item 'rs_1' not found.", None, Remedy(omit="reasoning_content")),
        ("Not verified.", "input[2].encrypted_content", None),
        ("No such thing.", "input[7]", None),
        ("Unknown parameter: 'reasoning.mode'.", None, None),
    ],
)
def test_a_responses_upstream_is_understood_as_well(message: str, param: str | None, expected: Remedy | None) -> None:
    assert remedy(message, body=RESPONSES, param=param) == expected


def test_reasoning_may_be_refused_as_not_found() -> None:
    assert remedy("Item with id 'rs_1' not found.", 404, RESPONSES) == Remedy(omit="reasoning_content")
    assert remedy("Unknown parameter: 'text.verbosity'.", 404, RESPONSES) is None


def test_a_prompt_that_fits_gets_what_is_left_for_the_answer() -> None:
    message = (
        "This model's maximum context length is 8192 tokens. However, you requested 65000 tokens "
        "(1000 in the messages, "
        "64000 in the completion)."
    )
    assert remedy(message) == Remedy(fitted=8192 - 1000 - 16)
    assert remedy(message, body={"messages": []}) is None
    assert remedy(message, body={"max_tokens": 10}) is None
    assert remedy("The input (5000 tokens) is longer than the model's context length (4096 tokens).") is None


def test_quirks_add_up_and_are_remembered_without_what_fits_one_prompt() -> None:
    quirks = Quirks()
    quirk = NO_QUIRK.with_remedy(Remedy(omit="a")).with_remedy(Remedy(omit="b")).with_remedy(Remedy(max_tokens=9))
    quirk = quirk.with_remedy(Remedy(fitted=5)).with_remedy(Remedy(max_tokens_field="max_completion_tokens"))
    assert quirk == Quirk(frozenset({"a", "b"}), "max_completion_tokens", 9, 5)
    quirks.remember("m", quirk)
    assert quirks.of("m") == Quirk(frozenset({"a", "b"}), "max_completion_tokens", 9)
    assert quirks.of("other") is NO_QUIRK


def test_quirks_are_applied_to_profile_and_body() -> None:
    quirk = Quirk(max_tokens_field="max_completion_tokens", max_tokens=9, fitted=5)
    assert quirk.applied_to(Model("m")).max_tokens_field == "max_completion_tokens"
    assert NO_QUIRK.applied_to(Model("m")) == Model("m")
    assert quirk.limited({"max_tokens": 100}) == {"max_tokens": 5}
    assert quirk.limited({"max_tokens": 3}) == {"max_tokens": 3}
    assert quirk.limited({}) == {}
    assert NO_QUIRK.limited({"max_tokens": 100}) == {"max_tokens": 100}


def test_the_memory_is_bounded() -> None:
    quirks = Quirks()
    for number in range(1100):
        quirks.remember(str(number), Quirk(max_tokens=number))
    assert quirks.of("0") is NO_QUIRK
    assert quirks.of("1099") == Quirk(max_tokens=1099)

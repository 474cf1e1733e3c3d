from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.chat.read import (
    count,
    fragments,
    load,
    only_fragment,
    read_usage,
    token_logprobs,
    usage_of,
    usual_delta,
    word,
)
from gateway.events import Usage


@pytest.mark.parametrize(
    ("data", "value"),
    [
        pytest.param(b'"a\\ud83db"', "a\ufffdb", id="lone-surrogate"),
        pytest.param(b'"\\ud83d\\ude42"', "\U0001f642", id="pair"),
        pytest.param(b'"a\xffb"', "a\ufffdb", id="broken-utf8"),
        pytest.param(b"[NaN, Infinity, -Infinity]", [None, None, -9999.0], id="no-numbers"),
    ],
)
def test_load(data: bytes, value: Any) -> None:
    assert load(data) == value


@pytest.mark.parametrize("data", [b"{", b"", b"[" * 100_000, b"[DONE]"])
def test_load_refuses(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        load(data)


def chunk(delta: Any, **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


@pytest.mark.parametrize(
    ("value", "usual"),
    [
        pytest.param(chunk({"content": "a"}), True, id="plain"),
        pytest.param(chunk({"content": "a"}, finish_reason="stop"), False, id="the-end"),
        pytest.param(chunk({"content": "a"}, logprobs={"content": []}), False, id="logprobs"),
        pytest.param({"choices": [{"index": 1, "delta": {"content": "a"}}]}, False, id="another-choice"),
        pytest.param(chunk({"content": "a"}) | {"usage": {"prompt_tokens": 1}}, False, id="usage"),
        pytest.param(chunk({"content": "a"}) | {"error": "x"}, False, id="error"),
        pytest.param({"choices": []}, False, id="no-choice"),
        pytest.param([], False, id="no-object"),
        pytest.param(chunk(None), False, id="no-delta"),
    ],
)
def test_usual_delta(value: Any, usual: bool) -> None:
    assert (usual_delta(value) is not None) is usual


@pytest.mark.parametrize(
    ("delta", "name"),
    [
        ({"content": "a"}, "content"),
        ({"role": "assistant"}, None),
        ({"role": "assistant", "content": "a", "tool_calls": None}, "content"),
        ({"content": None, "reasoning_content": "a"}, "reasoning_content"),
        ({"content": "a", "reasoning": "b"}, None),
        ({"content": "", "role": "assistant"}, None),
        ({}, None),
    ],
)
def test_only_fragment(delta: dict[str, Any], name: str | None) -> None:
    assert only_fragment(delta) == name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("a", [("text", "a")], id="string"),
        pytest.param("", [], id="empty"),
        pytest.param({"type": "text", "text": "a"}, [("text", "a")], id="part"),
        pytest.param(["a", {"type": "refusal", "refusal": "b"}], [("text", "a"), ("refusal", "b")], id="list"),
        pytest.param(
            [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}], [("reasoning", "a")], id="mistral"
        ),
        pytest.param([{"type": "image_url"}, 7, None, True, [[]], {"type": 7, "text": {}}], [], id="nothing-known"),
    ],
)
def test_fragments(value: Any, expected: Any) -> None:
    assert fragments(value, "text") == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({"prompt_tokens": 5, "completion_tokens": 3}, Usage(5, 3), id="plain"),
        pytest.param({"input_tokens": 5, "output_tokens": 3.0}, Usage(5, 3), id="names-of-responses"),
        pytest.param({"prompt_tokens": 5, "total_tokens": 8}, Usage(5, 3), id="only-the-total"),
        pytest.param({"prompt_tokens": 5}, Usage(5, 0), id="only-the-prompt"),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": 3, "prompt_cache_hit_tokens": 9, "reasoning_tokens": 9},
            Usage(5, 3, 5, 3),
            id="details-beside-and-too-large",
        ),
        pytest.param(
            {"prompt_tokens": 5, "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": -1}},
            Usage(5, 0),
            id="odd-details",
        ),
        pytest.param({"prompt_tokens": 0, "completion_tokens": 0}, None, id="zeros"),
        pytest.param({"prompt_tokens": "5"}, None, id="no-numbers"),
        pytest.param(7, None, id="no-object"),
    ],
)
def test_usage(usage: Any, expected: Usage | None) -> None:
    found = usage_of({"usage": usage})
    assert (found and read_usage(found)) == expected


@pytest.mark.parametrize("place", ["chunk", "choice", "x_groq"])
def test_places_of_usage(place: str) -> None:
    usage = {"usage": {"prompt_tokens": 5}}
    chunks: dict[str, Any] = {"chunk": (usage, None), "choice": ({}, usage), "x_groq": ({"x_groq": usage}, {})}
    assert usage_of(*chunks[place]) == {"prompt_tokens": 5}


def test_words_and_counts() -> None:
    assert [word(value) for value in ("a", "", None, 7)] == ["a", None, None, None]
    assert [count(value) for value in (1, 1.0, 1.5, -1, True, "1")] == [1, 1, None, None, None, None]


@pytest.mark.parametrize("logprobs", [None, [], {"content": None}, {"content": {}}])
def test_no_logprobs(logprobs: Any) -> None:
    assert token_logprobs({"logprobs": logprobs}, "content") == []

from __future__ import annotations

from typing import Any

import pytest

from gateway.dialects.chat.read import (
    count,
    fragment_of,
    fragments,
    load,
    read_usage,
    said,
    token_logprobs,
    usage_of,
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


def piece(**members: Any) -> dict[str, Any]:
    return chunk({"tool_calls": [{"index": 1, "function": {"arguments": "a"}, **members}]})


@pytest.mark.parametrize(
    ("value", "fragment"),
    [
        pytest.param(chunk({"content": "a"}), ("content", None, "a"), id="plain"),
        pytest.param(chunk({"role": "assistant", "content": "a", "tool_calls": None}), ("content", None, "a"),
                     id="the-rest-is-null"),
        pytest.param(chunk({"content": None, "reasoning_content": "a"}), ("reasoning_content", None, "a"),
                     id="reasoning"),
        pytest.param(piece(), ("arguments", 1, "a"), id="arguments"),
        pytest.param(chunk({"content": "a"}, finish_reason="stop"), None, id="the-end"),
        pytest.param(chunk({"content": "a"}, logprobs={"content": []}), None, id="logprobs"),
        pytest.param({"choices": [{"index": 1, "delta": {"content": "a"}}]}, None, id="another-choice"),
        pytest.param(chunk({"content": "a"}) | {"usage": {"prompt_tokens": 1}}, None, id="usage"),
        pytest.param(chunk({"content": "a"}) | {"error": "x"}, None, id="error"),
        pytest.param(chunk({"content": "a"}, usage={"prompt_tokens": 1}), None, id="usage-of-moonshot"),
        pytest.param(chunk({"content": "a"}) | {"x_groq": {"usage": {}}}, None, id="usage-of-groq"),
        pytest.param(chunk({"content": "a"}, error="x"), None, id="error-in-the-choice"),
        pytest.param({"choices": []}, None, id="no-choice"),
        pytest.param([], None, id="no-object"),
        pytest.param(chunk(None), None, id="no-delta"),
        pytest.param(chunk({}), None, id="nothing-said"),
        pytest.param(chunk({"content": ["a"]}), None, id="parts"),
        pytest.param(chunk({"content": "", "role": "assistant"}), None, id="empty"),
        pytest.param(chunk({"content": "a", "reasoning": "b"}), None, id="two-members"),
        pytest.param(chunk({"refusal": "a"}), None, id="refusal"),
        pytest.param(chunk({"tool_calls": []}), None, id="no-piece"),
        pytest.param(chunk({"tool_calls": {"index": 1}}), None, id="no-list"),
        pytest.param(chunk({"tool_calls": [7]}), None, id="no-call"),
        pytest.param(chunk({"tool_calls": [1, 2]}), None, id="two-pieces"),
        pytest.param(piece(id="a"), None, id="a-new-call"),
        pytest.param(piece(index=None), None, id="no-index"),
        pytest.param(piece(function=None), None, id="no-function"),
        pytest.param(piece(function={"name": "f", "arguments": "a"}), None, id="a-name"),
        pytest.param(piece(function={"arguments": ""}), None, id="no-arguments"),
        pytest.param(piece(function={"arguments": {}}), None, id="arguments-as-object"),
    ],
)  # fmt: skip
def test_fragment_of(value: Any, fragment: tuple[str, int | None, str] | None) -> None:
    assert fragment_of(value) == fragment


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"content": "a"}, [("text", "a")]),
        ({"content": "a", "reasoning": "b", "refusal": "c"}, [("reasoning", "b"), ("text", "a"), ("refusal", "c")]),
        ({"reasoning_content": "a", "reasoning": "a"}, [("reasoning", "a")]),
        ({"reasoning_content": None, "reasoning": [{"text": "a"}]}, [("reasoning", "a")]),
        ({"content": [{"type": "thinking", "thinking": "a"}, "b"]}, [("reasoning", "a"), ("text", "b")]),
        ({"content": ""}, []),
        ({}, []),
    ],
)
def test_said(delta: dict[str, Any], expected: Any) -> None:
    assert said(delta) == expected


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

"""`gateway.tokens`: counts against known ones, estimates, pauses, and what a prompt is made of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from splintr import Tokenizer

from gateway import tokens
from gateway.types import JSON
from tests.test_image_size import PNG, url

PROSE = (Path(__file__).parents[1] / "gateway" / "events.py").read_text()


def reference(text: str) -> int:
    return len(Tokenizer.from_pretrained("cl100k_base").encode_ordinary(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Known counts of cl100k_base, from OpenAI's cookbook and its tokenizer page.
        pytest.param("", 0, id="empty"),
        pytest.param("tiktoken is great!", 6, id="cookbook"),
        pytest.param("antidisestablishmentarianism", 6, id="long-word"),
        pytest.param("2 + 2 = 4", 7, id="digits"),
        pytest.param("お誕生日おめでとう", 9, id="japanese"),
        pytest.param("<|endoftext|>", 7, id="special-token-as-text"),
    ],
)
def test_count_known(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


def test_count_takes_half_a_surrogate_pair() -> None:
    assert tokens.count("a\ud800b") == tokens.count("a?b")


def test_long_text_is_counted_in_slices() -> None:
    text = PROSE * 10
    pauses: list[None] = []
    counted = tokens.count(text, lambda: pauses.append(None))
    assert counted == pytest.approx(reference(text), rel=0.002)
    assert len(pauses) == len(text) // tokens.SLICE


def test_small_texts_share_a_pause() -> None:
    pauses: list[None] = []
    tokens.count_many(["word " * 100] * 40, lambda: pauses.append(None))
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("=" * 200_000, id="one-run"),
        pytest.param(" " * 200_000, id="spaces"),
        pytest.param("漢字かな交じり文" * 25_000, id="japanese"),
        pytest.param("aZ9_" * 50_000, id="no-spaces"),
        pytest.param("😀👩‍👧" * 40_000, id="emoji"),
    ],
)
def test_no_slice_takes_long(text: str) -> None:
    """Generous, because test machines are busy: a slice takes about a millisecond."""
    gaps: list[float] = []
    last = time.thread_time()

    def pause() -> None:
        nonlocal last
        now = time.thread_time()
        gaps.append(now - last)
        last = now

    tokens.load()
    tokens.count(text, pause)
    assert sorted(gaps)[len(gaps) // 2] < 0.005


def test_loading_leaves_nothing_for_the_first_count() -> None:
    counter = tokens._Counter()
    began = time.thread_time()
    counter.count("internationalisierungsfähig gatewaymäßig")
    assert time.thread_time() - began < 0.005


def test_memory_of_the_tokenizer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_CACHED_CHARS", 1000)
    counter = tokens._Counter()
    for number in range(200):
        counter.count(f"word{number} " * 10)
    assert counter._tokenizer.cache_len < 100


@pytest.mark.parametrize("size", [0, 100, tokens.SAMPLE, tokens.SAMPLE + 1, 10 * tokens.SAMPLE])
def test_estimate_is_near(size: int) -> None:
    text = (PROSE * 50)[:size]
    assert tokens.estimate(text) == pytest.approx(reference(text), rel=0.1)


def test_estimate_of_a_mixed_text_is_near() -> None:
    text = PROSE * 5 + '{"type":"string","description":"x"},' * 2000 + "Ein deutscher Satz mit Umlauten: äöü. " * 500
    assert tokens.estimate(text) == pytest.approx(reference(text), rel=0.15)


def test_estimate_is_quick() -> None:
    text = PROSE * 1000
    tokens.estimate(text)
    began = time.thread_time()
    for _ in range(10):
        tokens.estimate(text)
    assert (time.thread_time() - began) / 10 < 0.01


IMAGE = {"type": "image_url", "image_url": {"url": url(PNG)}}


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param({"url": url(PNG)}, 1229, id="by-size"),
        pytest.param({"url": url(PNG), "detail": "low"}, tokens.IMAGE, id="low-detail"),
        pytest.param({"url": url(PNG[:16] + b"\0\0\0\x01\0\0\0\x01")}, tokens.IMAGE, id="one-pixel"),
        pytest.param({"url": url(PNG[:16] + b"\0\0\x20\0\0\0\x20\0")}, 1600, id="huge"),
        pytest.param({"url": url(PNG[:16] + b"\0\0\0\0\0\0\0\0")}, tokens.IMAGE, id="no-pixel"),
        pytest.param({"url": "https://example.com/a.png"}, tokens.IMAGE, id="remote"),
        pytest.param({"url": 7}, tokens.IMAGE, id="odd"),
    ],
)
def test_image_tokens(image: JSON, expected: int) -> None:
    assert tokens.image_tokens(image) == expected


WORDS = "one two three four five"  # 5 tokens
NAME = tokens.count("lookup")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param({"role": "user", "content": WORDS}, 5, id="text"),
        pytest.param({"role": "user", "content": [{"type": "text", "text": WORDS}, IMAGE]}, 5 + 1229, id="image"),
        pytest.param(
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "A" * 8000}}]}, 200, id="file"
        ),
        pytest.param({"role": "assistant", "content": None, "refusal": WORDS}, 5, id="refusal"),
        pytest.param({"role": "assistant", "content": [{"type": "refusal", "refusal": WORDS}]}, 5, id="refusal-part"),
        pytest.param({"role": "assistant", "content": WORDS, "reasoning_content": WORDS}, 10, id="reasoning"),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"function": {"name": "lookup", "arguments": WORDS}}]},
            tokens.PER_CALL + NAME + 5,
            id="call",
        ),
        pytest.param(
            {"role": "assistant", "tool_calls": [{"custom": {"name": "lookup", "input": WORDS}}, {"function": 3}, 3]},
            2 * tokens.PER_CALL + NAME + 5,
            id="custom-call-and-odd-ones",
        ),
        pytest.param({"content": [{"type": "audio"}, {"text": 1}, None, "x"], "tool_calls": {}}, 0, id="odd"),
    ],
)
def test_message(message: JSON, expected: int) -> None:
    assert tokens.count_chat({"messages": [message]}) == tokens.PER_MESSAGE + expected


def test_tools_and_schema_count() -> None:
    function = {"name": "lookup", "description": WORDS, "parameters": {"type": "object", "properties": {}}}
    tool = {"type": "function", "function": function}
    body: JSON = {
        "messages": [],
        "tools": [tool, {"type": "custom", "custom": {"name": "x"}}, {"type": "odd"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
    }
    assert tokens.count_chat(body) == pytest.approx(50, abs=15)
    assert tokens.count_chat({"messages": None, "tools": "x", "response_format": {"type": "text"}}) == 0


def test_numbers_that_orjson_refuses() -> None:
    body: JSON = {"tools": [{"function": {"name": "f", "parameters": {"maximum": 2**70}}}]}
    assert tokens.count_chat(body) > 5


def test_estimate_chat_is_near_the_count() -> None:
    messages: list[Any] = [{"role": "user", "content": PROSE + str(n)} for n in range(20)]
    messages.append({"role": "user", "content": [IMAGE]})
    body: JSON = {"messages": messages}
    assert tokens.estimate_chat(body) == pytest.approx(tokens.count_chat(body), rel=0.1)
    assert tokens.estimate_chat({"messages": messages[-1:]}) == tokens.count_chat({"messages": messages[-1:]})


def test_count_chat_pauses() -> None:
    pauses: list[None] = []
    tokens.count_chat({"messages": [{"content": PROSE * 10}]}, lambda: pauses.append(None))
    assert pauses


@pytest.mark.parametrize("copies", [1, 200], ids=["short", "long"])
def test_estimate_kept_as_a_sample(copies: int) -> None:
    body: JSON = {"messages": [{"role": "user", "content": PROSE}] * copies + [{"role": "user", "content": [IMAGE]}]}
    kept = tokens.Estimate(body)
    assert kept.count() == pytest.approx(tokens.count_chat(body), rel=0.1)


def test_estimate_of_nothing() -> None:
    assert tokens.Estimate({}).count() == 0

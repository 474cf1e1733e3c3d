"""What upstreams say when they refuse, in the words of the real ones."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.upstream_error import CONTEXT_CODE, ContextOverflow, Overflow, error_of, read_error

FORMS = {
    "openai": (
        {"error": {"message": "No.", "type": "invalid_request_error", "param": "n", "code": "bad"}},
        ("No.", "invalid_request_error", "n", "bad"),
    ),
    "error-string": ({"error": "No."}, ("No.", "invalid_request_error", None, None)),
    "detail-string": ({"detail": "No."}, ("No.", "invalid_request_error", None, None)),
    "detail-list": (
        {"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}, "odd", {"msg": "bare"}]},
        ("seed: Extra inputs are not permitted; odd; bare", "invalid_request_error", None, None),
    ),
    "detail-object": ({"detail": {"message": "No."}}, ("No.", "invalid_request_error", None, None)),
    "message": ({"message": "No."}, ("No.", "invalid_request_error", None, None)),
    "vllm": (
        {"object": "error", "message": "No.", "type": "BadRequestError", "param": None, "code": 400},
        ("No.", "invalid_request_error", None, "400"),
    ),
    "openrouter-raw": (
        {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "The real words."}}},
        ("The real words.", "invalid_request_error", None, "400"),
    ),
    "list": ([{"msg": "No."}], ("No.", "invalid_request_error", None, None)),
    "string": ("No.", ("No.", "invalid_request_error", None, None)),
    "number": (3, ("The upstream answered with status 400 (Bad Request).", "invalid_request_error", None, None)),
    "odd-members": (
        {"error": {"message": 3, "type": 4, "param": [], "code": True}},
        ("The upstream answered with status 400 (Bad Request).", "invalid_request_error", None, None),
    ),
}


@pytest.mark.parametrize(("body", "expected"), FORMS.values(), ids=FORMS)
def test_the_message_is_found_in_every_form(body: Any, expected: tuple[str, ...]) -> None:
    error = read_error(400, {}, orjson.dumps(body))
    assert (error.message, error.type, error.param, error.code) == expected
    assert error.status == 400


def test_text_is_its_own_message_and_a_page_is_none() -> None:
    assert read_error(500, {}, b"Internal Server Error").message == "Internal Server Error"
    assert (
        read_error(502, {}, b" <!DOCTYPE html><html>inside").message
        == "The upstream answered with status 502 (Bad Gateway)."
    )
    assert read_error(599, {}, b"").message == "The upstream answered with status 599 (no reason given)."


def test_a_long_message_is_cut() -> None:
    assert len(read_error(400, {}, b"x" * 50_000).message) == 10 * 1024


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (503, "server_error"),
        (418, "invalid_request_error"),
    ],
)
def test_the_type_follows_the_status_where_none_is_given(status: int, kind: str) -> None:
    assert read_error(status, {}, b"{}").type == kind


def test_a_429_gets_a_time_unless_the_quota_is_gone() -> None:
    assert read_error(429, {}, b"{}").headers == {"retry-after": "5"}
    assert read_error(429, {"retry-after": "9"}, b"{}").headers == {"retry-after": "9"}
    gone = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    assert read_error(429, {}, gone).headers == {}


OVERFLOWS = {
    "vllm": (
        "This model's maximum context length is 8192 tokens. However, your prompt contains at least 8193 input tokens, "
        "which exceeds this limit even without any output tokens.",
        Overflow(8193, 8192, None),
    ),
    "vllm-older": (
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4500 in the messages, "
        "500 in the completion). Please reduce the length of the messages or completion.",
        Overflow(4500, 4096, 500),
    ),
    "vllm-max-tokens": (
        "'max_tokens' or 'max_completion_tokens' is too large: 8000. This model's maximum context "
        "length is 4096 tokens "
        "and your request has 100 input tokens (8000 > 4096 - 100).",
        Overflow(100, 4096, 8000),
    ),
    "vllm-oldest": (
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        Overflow(5000, 4096, None),
    ),
    "sglang": (
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        Overflow(5000, 4096, None),
    ),
    "sglang-total": (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
        "requested a total of 6000 "
        "tokens: 5000 tokens from the input messages and 1000 tokens for the completion.",
        Overflow(5000, 4096, 1000),
    ),
    "llamacpp": (
        "request (12021 tokens) exceeds the available context size (8192 tokens), try increasing it",
        Overflow(12021, 8192, None),
    ),
    "llama-cpp-python": (
        "This model's maximum context length is 8192 tokens. However, you requested 12058 tokens "
        "(12010 in the messages, "
        "48 in the completion). Please reduce the length of the messages or completion.",
        Overflow(12010, 8192, 48),
    ),
    "ollama": ("prompt too long; exceeded max context length by 52 tokens", Overflow(None, None, None)),
    "openrouter": (
        "This endpoint's maximum context length is 32768 tokens. However, you requested about "
        "40000 tokens (39000 of text "
        "input, 1000 in the output). Please reduce the length.",
        Overflow(39000, 32768, 1000),
    ),
    "openai": (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "9000 tokens. Please reduce "
        "the length of the messages.",
        Overflow(9000, 8192, None),
    ),
    "openai-responses": (
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        Overflow(None, None, None),
    ),
    "total-only": (
        "This model's maximum context length is 100 tokens. However, you requested 120 tokens.",
        Overflow(120, 100, None),
    ),
}


@pytest.mark.parametrize(("message", "figures"), OVERFLOWS.values(), ids=OVERFLOWS)
def test_a_context_overflow_is_known_in_everybodys_words(message: str, figures: Overflow) -> None:
    for error in (
        read_error(400, {}, orjson.dumps({"error": {"message": message, "code": 400}})),
        error_of({"message": message, "code": 400}),
    ):
        assert isinstance(error, ContextOverflow)
        assert error.code == CONTEXT_CODE
        assert error.status == 400
        assert error.overflow == figures


def test_llamacpp_tells_its_figures_beside_the_message() -> None:
    body = {
        "error": {
            "code": 400,
            "message": "too big",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": 9,
            "n_ctx": 8,
        }
    }
    error = read_error(400, {}, orjson.dumps(body))
    assert isinstance(error, ContextOverflow)
    assert error.overflow == Overflow(9, 8, None)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"message": "m", "code": 429}, 429),
        ({"message": "m", "code": "503"}, 503),
        ({"message": "m", "status": 500}, 500),
        ({"message": "m", "code": "overloaded"}, 502),
        ({"message": "m", "code": 200}, 502),
        ({"message": "m", "type": {"a": 1}, "code": []}, 502),
        ("plain words", 502),
        (None, 502),
    ],
)
def test_an_error_that_came_with_200_tells_its_status_or_is_a_502(value: Any, status: int) -> None:
    assert error_of(value).status == status


@pytest.mark.parametrize("kind", [{"a": 1}, ["a"], 7])
def test_a_type_that_is_no_word_is_none(kind: Any) -> None:
    error = read_error(404, {}, orjson.dumps({"error": {"message": "m", "type": kind}}))
    assert (error.status, error.type, error.message) == (404, "invalid_request_error", "m")

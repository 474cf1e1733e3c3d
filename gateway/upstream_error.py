"""Reads what an upstream says when it refuses: its words, their meaning, and what could be done about them. Pure.

Upstreams differ in every part: an `error` object or string, `detail` as string or list (FastAPI), a bare
`message`, vLLM's `{"object": "error", …}`, a page of HTML from a balancer, codes that are numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gateway.errors import UpstreamStatus, type_of_status
from gateway.jsonbody import load_upstream

MESSAGE_LIMIT = 10 * 1024
"""Longest message that is passed on, in characters."""

RETRY_AFTER_SECS = 5
"""What a 429 without a time gets: Codex gives up at once on a bare 429."""

CONTEXT_CODE = "context_length_exceeded"

_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "usage_limit_reached",
        "billing_hard_limit_reached",
        "quota_exceeded",
    }
)


@dataclass(frozen=True, slots=True)
class Overflow:
    """The figures of a context overflow, in tokens, as far as the upstream told them."""

    prompt: int | None = None
    limit: int | None = None
    output: int | None = None


class ContextOverflow(UpstreamStatus):
    """Prompt, or prompt and answer together, do not fit the model's window."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        overflow: Overflow,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(
            message,
            status=status,
            type="invalid_request_error",
            code=CONTEXT_CODE,
            headers=headers,
        )
        self.overflow = overflow


def read_error(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamStatus:
    """Return the error that an upstream's answer tells of.

    `headers` are those to pass on (`retry-after`, rate limits); `body` is decoded and may be anything.
    """
    found = _find(body)
    message = (_text(found.get("message")) or _reason(status))[:MESSAGE_LIMIT]
    code = _word(found.get("code"))
    if is_context_overflow(code, found.get("type"), message):
        return ContextOverflow(message, status=400, overflow=read_overflow(message, found), headers=headers)
    error = UpstreamStatus(
        message,
        status=status,
        type=_openai_type(found.get("type"), status),
        code=code,
        param=_word(found.get("param")),
        headers=headers,
    )
    return _timed(error)


def error_of(value: Any) -> UpstreamStatus:
    """Return the error of an `error` member that came with status 200, whole or as a frame of a stream.

    Its status is the number in `code` or `status` where that is one of an error, else 502.
    """
    found = _members(value)
    status = next(
        (n for n in (_number(found.get(key)) for key in ("code", "status", "status_code")) if n),
        502,
    )
    message = (_text(found.get("message")) or _reason(status))[:MESSAGE_LIMIT]
    code = _word(found.get("code"))
    if is_context_overflow(code, found.get("type"), message):
        return ContextOverflow(message, status=400, overflow=read_overflow(message, found), headers={})
    kind, param = _openai_type(found.get("type"), status), _word(found.get("param"))
    return _timed(UpstreamStatus(message, status=status, type=kind, code=code, param=param))


def _timed(error: UpstreamStatus) -> UpstreamStatus:
    """Give a 429 a time after which to try again, where waiting helps and the upstream told none."""
    if error.status == 429 and "retry-after" not in error.headers and not quota_is_gone(error):
        error.headers["retry-after"] = str(RETRY_AFTER_SECS)
    return error


def quota_is_gone(error: UpstreamStatus) -> bool:
    """Tell whether waiting does not help: the account's quota is used up."""
    return error.code in _QUOTA_CODES or error.type in _QUOTA_CODES


def _find(body: bytes) -> Mapping[str, Any]:
    try:
        value = load_upstream(body)
    except ValueError:
        text = body.decode("utf-8", "replace").strip()
        return {} if _is_page(text) else {"message": text}
    return _members(value)


def _is_page(text: str) -> bool:
    return text[:200].lstrip().lower().startswith(("<!doctype", "<html", "<head", "<?xml", "<"))


def _members(value: Any) -> Mapping[str, Any]:
    """Find the object that has the message, whatever stands around it."""
    if isinstance(value, str):
        return {"message": value}
    if isinstance(value, list):
        return {"message": _detail(value)}
    if not isinstance(value, dict):
        return {}
    inner = value.get("error")
    if isinstance(inner, dict):
        # OpenRouter puts the provider's own words into metadata.raw.
        metadata = inner.get("metadata")
        raw = metadata.get("raw") if isinstance(metadata, dict) else None
        return {**inner, "message": raw} if isinstance(raw, str) and raw.strip() else inner
    if isinstance(inner, str) and not value.get("message"):
        return {**value, "message": inner}
    if "detail" in value and not value.get("message"):
        return {**value, "message": _detail(value["detail"])}
    return value


def _detail(value: Any) -> str:
    """FastAPI's `detail`: a string, or a list of places and messages."""
    if isinstance(value, list):
        return "; ".join(_one_detail(entry) for entry in value[:20])
    if isinstance(value, dict):
        return _text(value.get("message")) or _text(value.get("msg"))
    return _text(value)


def _one_detail(entry: Any) -> str:
    if not isinstance(entry, dict):
        return _text(entry)
    place = (
        ".".join(str(part) for part in entry.get("loc", []) if part != "body")
        if isinstance(entry.get("loc"), list)
        else ""
    )
    return f"{place}: {_text(entry.get('msg'))}" if place else _text(entry.get("msg"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _word(value: Any) -> str | None:
    """A code or param: a string as it is, a number as text, anything else is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> int | None:
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return int(text) if re.fullmatch(r"[45]\d\d", text) else None


def _openai_type(value: Any, status: int) -> str:
    # vLLM and llama.cpp name exception classes (BadRequestError); those are not types any client knows.
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]*", value):
        return value
    return type_of_status(status)


def _reason(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "no reason given"
    return f"The upstream answered with status {status} ({phrase})."


# --- context overflow --------------------------------------------------------------------------------------

_OVERFLOW_CODES = frozenset(
    {
        CONTEXT_CODE,
        "exceed_context_size_error",
        "context_window_exceeded",
        "model_context_window_exceeded",
    }
)

_OVERFLOW_WORDS = re.compile(
    r"maximum context length"  # vLLM, SGLang, OpenAI, OpenRouter, Chutes, llama_cpp.server, Ollama
    r"|longer than the model's context length|exceeds the model's maximum context"  # SGLang
    r"|maximum allowed (input )?length"  # older SGLang
    r"|exceeds? the available context size|context size has been exceeded"  # llama.cpp
    r"|exceeded max context length|input length exceeds|prompt too long"  # Ollama
    r"|longer than the maximum model length"  # older vLLM
    r"|exceeds the context window|context window of this model"  # OpenAI, Responses
    r"|prompt is too long|exceed context limit",  # Anthropic and its relays
    re.IGNORECASE,
)

_LIMIT = re.compile(
    r"(?:maximum context length (?:is|of)|context length \(|context size \(|maximum model length of|context length of)"
    r"\D{0,12}(\d+)",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"(\d+)\)? (?:tokens )?(?:in the messages|in your prompt|of text input|from the input|in the prompt|input tokens)"
    r"|messages resulted in (\d+)|prompt (?:contains|has)(?: at least)? (\d+)"
    r"|(?:input|request|prompt) \((?:length )?(\d+)(?: tokens)?\)"
    r"|request has (\d+) input|input \((\d+) tokens\)|passed (\d+) input",
    re.IGNORECASE,
)
_OUTPUT = re.compile(
    r"(\d+) (?:tokens )?(?:in the completion|for the completion|in the output|output tokens|of output)"
    r"|is too large: (\d+)",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"requested (?:about |a total of )?(\d+)(?: output)? tokens", re.IGNORECASE)


def is_context_overflow(code: str | None, kind: Any, message: str) -> bool:
    """Tell whether the words of any known upstream mean that the context is exceeded."""
    told = code in _OVERFLOW_CODES or (isinstance(kind, str) and kind in _OVERFLOW_CODES)
    return told or bool(_OVERFLOW_WORDS.search(message))


def read_overflow(message: str, members: Mapping[str, Any]) -> Overflow:
    """Return the figures in an overflow message (and in llama.cpp's members beside it)."""
    limit = _first(_LIMIT, message) or _positive(members.get("n_ctx"))
    prompt = _first(_PROMPT, message) or _positive(members.get("n_prompt_tokens"))
    output = _first(_OUTPUT, message)
    total = _first(_TOTAL, message)
    if total is not None and prompt is None:
        prompt = total - output if output is not None and total > output else total
    return Overflow(prompt, limit, output)


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _first(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return next((int(group) for group in match.groups() if group), None) if match else None

"""What would make an upstream accept a request that it refused, read from its words. Pure.

Each repair is tried once and then remembered for the model (`gateway.quirks`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.errors import UpstreamStatus
from gateway.upstream_error import ContextOverflow, Overflow

_OPTIONAL = (
    "stream_options",
    "reasoning_content",
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
    "logprobs",
    "top_logprobs",
    "response_format",
    "seed",
    "stop",
    "user",
    "top_k",
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "tool_choice",
    "strict",
    "thinking",
    "chat_template_kwargs",
    "temperature",
    "top_p",
    # Of the Responses API. A tool comes before what it may not stand beside.
    "web_search",
    "reasoning.summary",
    "reasoning.effort",
    "reasoning.context",
    "reasoning.mode",
    "text.verbosity",
    "max_output_tokens",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
)
"""Fields that a request can do without, once an upstream refuses them by name."""

_BY_PARAM = ("reasoning", "include", "metadata")
"""The same, but ordinary words as well: named only where `param` is just that."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_INPUT_ITEM = re.compile(r"input\[(\d+)\]")

_REFUSED_WORDS = re.compile(
    r"unsupported|not supported|unrecogni[sz]ed|unknown|unexpected|not permitted|extra inputs|not allowed|invalid"
    r"|extra fields|does not support|no such|must not|must be verified|cannot be (used|set|specified)",
    re.IGNORECASE,
)
_MAX_TOKENS_FIGURE = re.compile(
    r"max_(?:completion_|output_)?tokens.{0,80}?"
    r"(?:must be|at most|less than or equal to|<=|maximum(?: value)?(?: is| of)?"
    r"|exceeds?(?: the)?(?: maximum| limit)?(?: of)?|cannot exceed|range of \[1,|between 1 and)\D{0,40}?(\d+)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What to change before the one repeat: fields to omit, another limit field, a smaller limit."""

    omit: str | None = None
    max_tokens_field: str | None = None
    max_tokens: int | None = None
    """The largest limit that the model takes."""
    fitted: int | None = None
    """The limit that fits behind this prompt; says nothing of the next."""


def remedy_for(error: UpstreamStatus, body: Mapping[str, Any]) -> Remedy | None:
    """Return what would make the upstream accept the request, where its words tell.

    `body` is the request as it was sent, of Chat or of Responses. An upstream may refuse a field by 400 or 422,
    and by 500 where its own validator falls over (llama_cpp.server).
    """
    if error.status in (400, 404) and _refuses_reasoning(error, body):
        return Remedy(omit="reasoning_content")
    if error.status not in (400, 422, 500):
        return None
    message = error.message
    sent = next((name for name in _LIMITS if name in body), None)
    if isinstance(error, ContextOverflow):
        return _fit(error.overflow, body, sent)
    if sent is not None:
        figure = _figure(message)
        if figure and figure < _int(body.get(sent)):
            return Remedy(max_tokens=figure)
        named = sent in message or error.param == sent
        if named and sent in _OTHER_NAME and _REFUSED_WORDS.search(message):
            return Remedy(max_tokens_field=_OTHER_NAME[sent])
    if error.param in _BY_PARAM and error.param in body:
        return Remedy(omit=error.param)
    for name in _OPTIONAL:
        if (
            (error.param == name or _names(message, name))
            and _has(body, name)
            and (error.param == name or error.status == 422 or _REFUSED_WORDS.search(message))
        ):
            return Remedy(omit=name)
    return None


def _fit(overflow: Overflow, body: Mapping[str, Any], sent: str | None) -> Remedy | None:
    """A request that fits but for the length of its answer is sent again with what is left for it."""
    if sent is None or not overflow.limit or not overflow.prompt or overflow.prompt >= overflow.limit:
        return None
    left = overflow.limit - overflow.prompt - max(16, overflow.prompt // 100)
    return Remedy(fitted=left) if 0 < left < _int(body.get(sent)) else None


def _int(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _names(message: str, name: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])", message) is not None


def _has(body: Mapping[str, Any], name: str) -> bool:
    """Tell whether the request holds the field, at the top, in its messages or its tools."""
    outer, _, inner = name.partition(".")
    if inner:
        return inner in (body.get(outer) or {})
    if name in body:
        return True
    if name == "web_search":
        return any(name == tool.get("type") for tool in body.get("tools", ()))
    if name == "reasoning_content":
        return any(name in message for message in body.get("messages", ()))
    if name == "strict":
        return any(name in tool.get("function", {}) for tool in body.get("tools", ()))
    return False


def _refuses_reasoning(error: UpstreamStatus, body: Mapping[str, Any]) -> bool:
    """Tell whether a Responses upstream refuses reasoning in plain text: by its place, or by its id as not found."""
    items = body.get("input")
    if not isinstance(items, list):
        return False
    place = _INPUT_ITEM.match(error.param or "")
    named = int(place[1]) if place else None
    return any(
        item["type"] == "reasoning" and "id" in item and (index == named or item["id"] in error.message)
        for index, item in enumerate(items)
    )


def _figure(message: str) -> int | None:
    match = _MAX_TOKENS_FIGURE.search(message)
    return int(match[1]) if match else None

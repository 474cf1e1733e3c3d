"""The wire of the Messages API: the events and the message that we emit, and errors.

Only what every client takes is emitted: no block types but text, thinking and tool_use.

Reference: Anthropic API reference, "Messages", "Streaming messages", "Errors".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from gateway.errors import GatewayError
from gateway.types import JSON
from gateway.upstream_error import CONTEXT_CODE, ContextOverflow

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal", "model_context_window_exceeded"]


class TextBlock(TypedDict):
    """Text of the answer."""

    type: Literal["text"]
    text: str


class ThinkingBlock(TypedDict):
    """Reasoning of the answer."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class ToolUseBlock(TypedDict):
    """A tool call."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: JSON


ContentBlock = TextBlock | ThinkingBlock | ToolUseBlock


class OutputDetails(TypedDict):
    """Parts of the answer's tokens."""

    thinking_tokens: int


class Usage(TypedDict):
    """Token counts; `input_tokens` does not include what was read from the cache."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: NotRequired[OutputDetails]


class Message(TypedDict):
    """A whole answer, and its beginning within `message_start`."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[ContentBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: Usage


class MessageStart(TypedDict):
    """The first event."""

    type: Literal["message_start"]
    message: Message


class ContentBlockStart(TypedDict):
    """A block begins."""

    type: Literal["content_block_start"]
    index: int
    content_block: ContentBlock


class SignatureDelta(TypedDict):
    """The signature of a thinking block, at its end."""

    type: Literal["signature_delta"]
    signature: str


class ContentBlockDelta(TypedDict):
    """A fragment of a block; those of text are made from a template."""

    type: Literal["content_block_delta"]
    index: int
    delta: SignatureDelta


class ContentBlockStop(TypedDict):
    """A block is complete."""

    type: Literal["content_block_stop"]
    index: int


class StopDelta(TypedDict):
    """Why the answer ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(TypedDict):
    """The last facts of the message; the counts are totals."""

    type: Literal["message_delta"]
    delta: StopDelta
    usage: Usage


class MessageStop(TypedDict):
    """The last event."""

    type: Literal["message_stop"]


class ErrorOut(TypedDict):
    """What is wrong."""

    type: str
    message: str


class ErrorEnvelope(TypedDict):
    """An error, as a body and as the event that ends a broken stream."""

    type: Literal["error"]
    error: ErrorOut
    request_id: NotRequired[str]


Event = MessageStart | ContentBlockStart | ContentBlockDelta | ContentBlockStop | MessageDelta | MessageStop

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_TOO_LONG = "prompt is too long"


def encode_error(error: GatewayError, request_id: str) -> JSON:
    """Return Anthropic's envelope; without a request id (within a stream) that member is left out."""
    body: ErrorEnvelope = {"type": "error", "error": {"type": type_of_status(error.status), "message": _message(error)}}
    if request_id:
        body["request_id"] = request_id
    return dict[str, Any](body)


def type_of_status(status: int) -> str:
    """Return Anthropic's error type for a status."""
    return _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _message(error: GatewayError) -> str:
    """Word a context overflow as Anthropic does: Claude Code compacts when it reads this, and else gives up."""
    if error.code != CONTEXT_CODE or _TOO_LONG in error.message.lower():
        return error.message
    figures = error.overflow if isinstance(error, ContextOverflow) else None
    if figures is None or figures.prompt is None or figures.limit is None or figures.prompt <= figures.limit:
        return f"{_TOO_LONG}: {error.message}"
    return f"{_TOO_LONG}: {figures.prompt} tokens > {figures.limit} maximum"

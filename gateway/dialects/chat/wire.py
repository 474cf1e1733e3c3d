"""The wire of Chat Completions: what we emit, and the words that both directions share.

Reference: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from gateway import sse
from gateway.errors import GatewayError
from gateway.events import FinishReason
from gateway.jsonbody import dump
from gateway.types import JSON

ChatReason = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]

# The first word of each reason is Chat's own; the others are what upstreams send in its place.
_REASONS: dict[FinishReason, tuple[str, ...]] = {
    "stop": ("stop", "eos", "end_turn", "stop_sequence", "eos_token"),
    "length": ("length", "max_tokens", "max_output_tokens", "model_length"),
    "tool_calls": ("tool_calls", "function_call", "tool_use", "tool_call"),
    "content_filter": ("content_filter", "safety", "sensitive"),
}

FINISH_REASONS: dict[str, FinishReason] = {word: reason for reason, words in _REASONS.items() for word in words}
"""Reason of the events by the upstream's word; any other word means `other`."""

CHAT_REASONS: dict[FinishReason, ChatReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "other": "stop",
}


class FunctionOut(TypedDict):
    """Name and JSON arguments of a call."""

    name: str
    arguments: str


class CustomOut(TypedDict):
    """Name and raw input of a call of a custom tool."""

    name: str
    input: str


class FunctionCallOut(TypedDict):
    """A call of a function."""

    id: str
    type: Literal["function"]
    function: FunctionOut


class CustomCallOut(TypedDict):
    """A call of a custom tool."""

    id: str
    type: Literal["custom"]
    custom: CustomOut


class MessageOut(TypedDict):
    """The message of a whole answer."""

    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[JSON]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[FunctionCallOut | CustomCallOut]]
    function_call: NotRequired[FunctionOut]


class LogprobsOut(TypedDict):
    """Log probabilities of the tokens of text and refusal."""

    content: list[Any] | None
    refusal: list[Any] | None


class ChoiceOut(TypedDict):
    """The one choice of a whole answer."""

    index: Literal[0]
    message: MessageOut
    logprobs: LogprobsOut | None
    finish_reason: ChatReason


class InputDetails(TypedDict):
    """Parts of the prompt's tokens."""

    cached_tokens: int


class OutputDetails(TypedDict):
    """Parts of the answer's tokens."""

    reasoning_tokens: int


class UsageOut(TypedDict):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: InputDetails
    completion_tokens_details: OutputDetails


class CompletionOut(TypedDict):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceOut]
    usage: NotRequired[UsageOut]


class ErrorOut(TypedDict):
    """What is wrong; every member is always there."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(TypedDict):
    """An error as OpenAI's clients expect it, in Chat and in Responses."""

    error: ErrorOut


def encode_error(error: GatewayError, request_id: str) -> JSON:
    """Return the OpenAI envelope; the request id stands in a header, not here."""
    body: ErrorEnvelope = {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }
    return dict(body)


def stream_error(error: GatewayError, request_id: str) -> bytes:
    """Return the line that ends a stream which broke; no `[DONE]` follows."""
    return sse.format(None, dump(encode_error(error, request_id)))


_CITATION: JSON = {
    "type": "url_citation",
    "start_index": 0,
    "end_index": 0,
    "url": "",
    "title": "",
}


def annotation_from_chat(value: JSON) -> JSON:
    """Return an annotation of Chat (`{"type": T, T: {…}}`) in the flat form of Responses."""
    kind = value["type"]
    nested = value.get(kind)
    flat = {"type": kind, **nested} if isinstance(nested, dict) else value
    if kind != "url_citation":
        return flat
    # Upstreams leave out what clients of Responses take for granted.
    return {
        **_CITATION,
        **{key: member for key, member in flat.items() if member is not None},
    }


def annotation_to_chat(value: JSON) -> JSON:
    """Return a flat annotation in the nested form of Chat; the inverse of `annotation_from_chat`."""
    kind = value["type"]
    return {
        "type": kind,
        kind: {key: member for key, member in value.items() if key != "type"},
    }

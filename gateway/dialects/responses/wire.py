"""What this dialect emits: output items, events, and the bytes of both.

An event is written in two steps. `event` and `delta_head` make everything of a frame but its end; the encoder
adds `sequence_number` and the closing brace as the last thing (`numbered`), so that the number of an event
is known in one place only, and so that the constant part of a delta is made once for each item.

Reference: OpenAI API, "Responses" and "Streaming events"; Open Responses, "ResponseResource".
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

import orjson

from gateway.types import JSON

Status = Literal["in_progress", "completed", "incomplete"]
ErrorCode = Literal[
    "server_error", "rate_limit_exceeded", "invalid_prompt", "context_length_exceeded", "insufficient_quota"
]


class Logprob(TypedDict):
    """A token's probability, with those of its rivals (which have none of their own)."""

    token: str
    bytes: list[int]
    logprob: float
    top_logprobs: NotRequired[list[Logprob]]


class OutputText(TypedDict):
    type: Literal["output_text"]
    text: str
    annotations: list[JSON]
    logprobs: list[Logprob]


class Refusal(TypedDict):
    type: Literal["refusal"]
    refusal: str


class ReasoningText(TypedDict):
    type: Literal["reasoning_text"]
    text: str


class SummaryText(TypedDict):
    type: Literal["summary_text"]
    text: str


class MessageItem(TypedDict):
    id: str
    type: Literal["message"]
    status: Status
    role: Literal["assistant"]
    content: list[OutputText | Refusal]


class ReasoningItem(TypedDict):
    id: str
    type: Literal["reasoning"]
    status: Status
    summary: list[SummaryText]
    content: NotRequired[list[ReasoningText]]
    encrypted_content: NotRequired[str]


class FunctionCallItem(TypedDict):
    id: str
    type: Literal["function_call"]
    status: Status
    call_id: str
    name: str
    namespace: NotRequired[str]
    arguments: str


class CustomToolCallItem(TypedDict):
    id: str
    type: Literal["custom_tool_call"]
    status: Status
    call_id: str
    name: str
    namespace: NotRequired[str]
    input: str


class ToolSearchCallItem(TypedDict):
    id: str
    type: Literal["tool_search_call"]
    status: Status
    call_id: str
    execution: Literal["client"]
    arguments: JSON


class LocalShellAction(TypedDict):
    type: Literal["exec"]
    command: list[str]
    env: dict[str, str]
    timeout_ms: int | None
    user: str | None
    working_directory: str | None


class LocalShellCallItem(TypedDict):
    id: str
    type: Literal["local_shell_call"]
    status: Status
    call_id: str
    action: LocalShellAction


class ShellAction(TypedDict):
    commands: list[str]
    timeout_ms: int | None
    max_output_length: int | None


class ShellCallItem(TypedDict):
    id: str
    type: Literal["shell_call"]
    status: Status
    call_id: str
    action: ShellAction
    environment: None


class PatchOperation(TypedDict):
    type: Literal["create_file", "update_file", "delete_file"]
    path: str
    diff: NotRequired[str]
    """Absent for `delete_file` only."""


class ApplyPatchCallItem(TypedDict):
    id: str
    type: Literal["apply_patch_call"]
    status: Literal["in_progress", "completed"]
    call_id: str
    operation: PatchOperation


class CompactionItem(TypedDict):
    id: str
    type: Literal["compaction"]
    encrypted_content: str


BuiltinCallItem = ToolSearchCallItem | LocalShellCallItem | ShellCallItem | ApplyPatchCallItem
OutputItem = MessageItem | ReasoningItem | FunctionCallItem | CustomToolCallItem | BuiltinCallItem | CompactionItem


class InputTokensDetails(TypedDict):
    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(TypedDict):
    reasoning_tokens: int


class ResponseUsage(TypedDict):
    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int


class ResponseError(TypedDict):
    code: ErrorCode
    message: str


class IncompleteDetails(TypedDict):
    reason: Literal["max_output_tokens", "content_filter"]


ResponseEventType = Literal[
    "response.created",
    "response.in_progress",
    "response.completed",
    "response.incomplete",
    "response.failed",
]


ContentPartType = Literal["response.content_part.added", "response.content_part.done"]
SummaryPartType = Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]


class ItemEvent(TypedDict):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: OutputItem


class ContentPartEvent(TypedDict):
    type: ContentPartType
    item_id: str
    output_index: int
    content_index: int
    part: OutputText | Refusal | ReasoningText


class SummaryPartEvent(TypedDict):
    type: SummaryPartType
    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText
    status: NotRequired[Literal["incomplete"]]
    """Of a part that was cut; else absent."""


class OutputTextDone(TypedDict):
    type: Literal["response.output_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[Logprob]


class AnnotationAdded(TypedDict):
    type: Literal["response.output_text.annotation.added"]
    item_id: str
    output_index: int
    content_index: int
    annotation_index: int
    annotation: JSON


class RefusalDone(TypedDict):
    type: Literal["response.refusal.done"]
    item_id: str
    output_index: int
    content_index: int
    refusal: str


class ReasoningTextDone(TypedDict):
    type: Literal["response.reasoning_text.done"]
    item_id: str
    output_index: int
    content_index: int
    text: str


class SummaryTextDone(TypedDict):
    type: Literal["response.reasoning_summary_text.done"]
    item_id: str
    output_index: int
    summary_index: int
    text: str


class ArgumentsDone(TypedDict):
    type: Literal["response.function_call_arguments.done"]
    item_id: str
    output_index: int
    arguments: str


class InputDone(TypedDict):
    type: Literal["response.custom_tool_call_input.done"]
    item_id: str
    output_index: int
    input: str


ItemEvents = (
    ItemEvent
    | ContentPartEvent
    | SummaryPartEvent
    | OutputTextDone
    | AnnotationAdded
    | RefusalDone
    | ReasoningTextDone
    | SummaryTextDone
    | ArgumentsDone
    | InputDone
)


class DeltaHead(TypedDict):
    """A delta event but for its `delta` (and a text's `logprobs`)."""

    type: Literal[
        "response.output_text.delta",
        "response.refusal.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
    ]
    item_id: str
    output_index: int
    content_index: NotRequired[int]
    summary_index: NotRequired[int]


def event(members: ItemEvents) -> bytes:
    """Return a frame that waits for its number."""
    return b"event: " + members["type"].encode() + b"\ndata: " + orjson.dumps(members)[:-1]


def response_event(type: ResponseEventType, response: bytes) -> bytes:
    """Return the frame, but for its number, of an event that holds the whole response (given as JSON)."""
    name = type.encode()
    return b'event: %b\ndata: {"type":"%b","response":%b' % (name, name, response)


def delta_head(members: DeltaHead) -> bytes:
    """Return the constant beginning of a delta's frame; the delta as JSON comes next, then the number."""
    return b"event: " + members["type"].encode() + b"\ndata: " + orjson.dumps(members)[:-1] + b',"delta":'


def numbered(frame: bytes, number: int) -> bytes:
    """Complete a frame."""
    return b'%b,"sequence_number":%d}\n\n' % (frame, number)


def logprobs_of(tokens: list[Any]) -> list[Logprob]:
    """Spell Chat's token objects for Responses; entries that are none are left out."""
    return [
        {
            **_logprob(token),
            "top_logprobs": [_logprob(rival) for rival in _objects(token.get("top_logprobs"))],
        }
        for token in _objects(tokens)
    ]


def _objects(value: Any) -> list[JSON]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _logprob(token: JSON) -> Logprob:
    text = token.get("token")
    text = text if isinstance(text, str) else ""
    probability = token.get("logprob")
    octets = token.get("bytes")
    return {
        "token": text,
        # Chat may say null, Responses wants a list
        "bytes": octets if isinstance(octets, list) else list(text.encode("utf-8", "replace")),
        "logprob": float(probability) if isinstance(probability, int | float) else 0.0,
    }

"""Events to a Responses answer: its stream and, by the same code, its whole body.

Theory. An answer has not begun, is running, or has ended. The first event (or the first keep-alive) begins it
with `response.created` and `response.in_progress`; `Finish` or `Failure` ends it with the one terminal event.
Between, every block grows an item (`items`, `calls`) at the next place of `output`; items may overlap, each
frame names its place. Text and refusal blocks that follow one another are parts of one message.

A `Failure` closes nothing: a client would run a half call that looks finished. Items done before stay done.
For a compaction nothing is shown but one `compaction` item, which holds the answer's text sealed.

Reference: OpenAI API, "Responses" and "Streaming events"; Open Responses, "ResponseResource".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeVar, assert_never

import orjson

from gateway.dialects import NewId, Now
from gateway.dialects.responses import wire
from gateway.dialects.responses.calls import BUILTIN, BuiltinCall, CustomToolCall, FunctionCall
from gateway.dialects.responses.context import Context, Tool
from gateway.dialects.responses.items import Block, Item, Message, Reasoning, SummarisedReasoning
from gateway.errors import GatewayError, UpstreamProtocol
from gateway.events import (
    Annotation,
    BlockEnd,
    BlockStart,
    Delta,
    Event,
    Failure,
    Finish,
    FinishReason,
    Start,
    Usage,
)
from gateway.types import JSON

_Item = TypeVar("_Item", bound=Item)

_INCOMPLETE: dict[FinishReason, wire.IncompleteDetails] = {
    "length": {"reason": "max_output_tokens"},
    "content_filter": {"reason": "content_filter"},
}
_CODES: dict[str | None, wire.ErrorCode] = {
    "context_length_exceeded": "context_length_exceeded",
    "invalid_prompt": "invalid_prompt",
    "rate_limit_exceeded": "rate_limit_exceeded",
    "insufficient_quota": "insufficient_quota",
    "billing_hard_limit_reached": "insufficient_quota",
    "quota_exceeded": "insufficient_quota",
    "usage_limit_reached": "insufficient_quota",
}
"""What upstreams call a fault, by code or type, where that says more than the status."""
_TRANSIENT = frozenset({408, 409, 425})


class Encoder:
    """Spells one answer for a Responses client."""

    def __init__(self, context: Context, new_id: NewId, now: Now) -> None:
        self._context = context
        self._new_id = new_id
        self._now = now
        self._number = 0
        self._opening: JSON = {}
        """The members `id`, `object` and `created_at`, once the answer has begun."""
        self._items: list[Item] = []
        self._blocks: dict[int, Block] = {}
        self._message: Message | None = None
        """The last item, if a message: parts may be added to it."""
        self._summary: list[Unshown] = []
        """The texts of a compaction."""
        self._body: JSON = {}

    @property
    def body(self) -> JSON:
        """The response object of the terminal event; empty before the end."""
        return self._body

    def feed(self, event: Event) -> list[bytes]:
        """Take one event; return whole frames, ready to be sent."""
        if isinstance(event, Delta):
            frame = self._blocks[event.block].delta(event)
            if not frame:
                return []
            number = self._number
            self._number = number + 1
            return [wire.numbered(frame, number)]
        return self._numbered(self._spelled(event))

    def keepalive(self) -> bytes:
        """Return a frame that keeps a silent stream alive; Codex's timer does not count comments."""
        if self._body:
            return b""
        frames = self._begin()
        if not frames:
            frames = [wire.response_event("response.in_progress", orjson.dumps(self._response("in_progress")))]
        return b"".join(self._numbered(frames))

    def _numbered(self, frames: list[bytes]) -> list[bytes]:
        """Number and so complete frames; nothing else knows the sequence."""
        number = self._number
        self._number += len(frames)
        return [wire.numbered(frame, number) for number, frame in enumerate(frames, number)]

    def _spelled(self, event: Start | BlockStart | Annotation | BlockEnd | Finish | Failure) -> list[bytes]:
        match event:
            case Start():
                return self._begin()
            case BlockStart():
                frames, block = self._block(event)
                self._blocks[event.block] = block
                return frames + block.start()
            case Annotation():
                return self._blocks[event.block].annotate(event)
            case BlockEnd():
                return self._blocks.pop(event.block).end(event)
            case Finish():
                return self._finish(event)
            case Failure():
                return self._fail(event.error)
            case _:
                assert_never(event)

    def _begin(self) -> list[bytes]:
        """Begin the answer, unless a keep-alive did."""
        if self._opening:
            return []
        self._opening = {"id": self._new_id("resp_"), "object": "response", "created_at": self._now()}
        response = orjson.dumps(self._response("in_progress"))
        return [wire.response_event(type, response) for type in ("response.created", "response.in_progress")]

    def _block(self, event: BlockStart) -> tuple[list[bytes], Block]:
        """Make what takes the events of a new block; the frames come before its own."""
        if self._context.compaction:
            unshown = Unshown()
            if event.kind == "text":
                self._summary.append(unshown)
            return [], unshown
        match event.kind:
            case "text":
                frames, message = self._open_message()
                return frames, message.text()
            case "refusal":
                frames, message = self._open_message()
                return frames, message.refusal()
            case "reasoning":
                kind = SummarisedReasoning if self._context.summary else Reasoning
                return self._leave_message(), self._add("rs_", partial(kind, seal=self._context.seal))
            case "tool_call":
                return self._leave_message(), self._call(event.name or "", event.call_id or "")
            case _:
                assert_never(event.kind)

    def _add(self, prefix: str, make: Callable[[str, int], _Item]) -> _Item:
        """Make an item for the next place of `output`; nothing else makes ids or indexes."""
        item = make(self._new_id(prefix), len(self._items))
        self._items.append(item)
        return item

    def _open_message(self) -> tuple[list[bytes], Message]:
        if self._message is not None:
            return [], self._message
        self._message = self._add("msg_", Message)
        return self._message.start(), self._message

    def _leave_message(self) -> list[bytes]:
        message, self._message = self._message, None
        return [] if message is None else message.leave()

    def _call(self, name: str, call_id: str) -> Block:
        """Begin a call of the tool that the upstream knows as `name`; one that was not offered is a function."""
        tool = self._context.tools.get(name) or Tool("function", name)
        if tool.kind == "function":
            return self._add("fc_", partial(FunctionCall, call_id=call_id, tool=tool))
        if tool.kind == "custom":
            return self._add("ctc_", partial(CustomToolCall, call_id=call_id, tool=tool))
        prefix, spell = BUILTIN[tool.kind]
        return self._add(prefix, partial(BuiltinCall, call_id=call_id, spell=spell))

    def _finish(self, event: Finish) -> list[bytes]:
        frames = self._leave_message()
        if self._context.compaction:
            summary = "\n\n".join(block.text for block in self._summary)
            if not summary.strip():
                # Codex would put an empty item in place of its history.
                return self._fail(UpstreamProtocol("The model wrote no summary of the conversation."))
            frames = self._compaction(summary)
        incomplete = _INCOMPLETE.get(event.reason)
        if incomplete is None:
            self._body = self._response("completed", usage=event.usage)
        else:
            self._body = self._response("incomplete", incomplete=incomplete, usage=event.usage)
        self._keep()
        type: wire.ResponseEventType = "response.incomplete" if incomplete else "response.completed"
        return [*frames, wire.response_event(type, orjson.dumps(self._body))]

    def _compaction(self, summary: str) -> list[bytes]:
        seal = self._context.seal or str
        item = self._add("cmp_", Item)
        return [
            item.added({"id": item.id, "type": "compaction", "encrypted_content": ""}),
            item.done({"id": item.id, "type": "compaction", "encrypted_content": seal(summary)}),
        ]

    def _fail(self, error: GatewayError) -> list[bytes]:
        frames = self._begin()
        self._body = self._response("failed", error={"code": error_code(error), "message": error.message})
        self._keep()
        return [*frames, wire.response_event("response.failed", orjson.dumps(self._body))]

    def _keep(self) -> None:
        """Have the response stored; what it tells of that is what came of it."""
        if self._context.keep is not None:
            self._body["store"] = self._context.keep(self._body)

    def _response(
        self,
        status: Literal["in_progress", "completed", "incomplete", "failed"],
        *,
        error: wire.ResponseError | None = None,
        incomplete: wire.IncompleteDetails | None = None,
        usage: Usage | None = None,
    ) -> JSON:
        """Return the response resource. One in progress shows no output: clients collect that from the stream."""
        items = [] if status == "in_progress" else self._items
        return {
            **self._opening,
            "status": status,
            "completed_at": self._now() if status == "completed" else None,
            "error": error,
            "incomplete_details": incomplete,
            **self._context.echo,
            "output": [item.final for item in items if item.final is not None],
            "usage": None if usage is None else _usage(usage),
        }


class CompactionEncoder(Encoder):
    """Spells the answer of `POST /v1/responses/compact`."""

    @property
    def body(self) -> JSON:
        """The `response.compaction` object, whose output is the one compaction item.

        Raises: UpstreamProtocol where there was no summary to make one of.
        """
        if self._body["status"] == "failed":
            raise UpstreamProtocol(self._body["error"]["message"])
        return {
            "id": self._opening["id"],
            "object": "response.compaction",
            "created_at": self._opening["created_at"],
            "output": self._body["output"],
            "usage": self._body["usage"] or _usage(Usage(0, 0)),
        }


class Unshown:
    """A block of which the client is shown nothing."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        """What it said."""
        return "".join(self._texts)

    def start(self) -> list[bytes]:
        """See `Block`."""
        return []

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        self._texts.append(delta.text)
        return b""

    def annotate(self, annotation: Annotation) -> list[bytes]:
        """See `Block`."""
        return []

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        return []


def error_code(error: GatewayError) -> wire.ErrorCode:
    """Return the code that tells a Responses client what to do: Codex repeats after the first two only.

    `server_error`, `rate_limit_exceeded`; the others are final.
    """
    code = _CODES.get(error.code) or _CODES.get(error.type)
    if code is not None:
        return code
    if error.status == 429:
        return "rate_limit_exceeded"
    if error.status == 402:
        return "insufficient_quota"
    if 400 <= error.status < 500 and error.status not in _TRANSIENT:
        return "invalid_prompt"
    return "server_error"


def stream_error(error: GatewayError, request_id: str) -> bytes:
    """Return the event that ends a relayed stream which broke; its place in the sequence is not known."""
    fault: wire.ResponseError = {"code": error_code(error), "message": error.message}
    response = {"id": request_id, "object": "response", "status": "failed", "error": fault, "output": []}
    return wire.numbered(wire.response_event("response.failed", orjson.dumps(response)), 0)


def _usage(usage: Usage) -> wire.ResponseUsage:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }

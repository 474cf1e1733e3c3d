"""Events to the wire of the Messages API, streamed and whole.

Theory. On this wire one block is open at a time and indexes have no gap, while in the events blocks may
overlap. So blocks are sent in the order in which they began: at most one is *current*, and its fragments go
out as they come; those of *later* blocks are collected and leave in one fragment when their turn comes.

    message_start ( content_block_start content_block_delta* content_block_stop )* message_delta message_stop

A failure ends this at any place with one `error` event: a block that was closed for it would be run.

The arguments of a call go out as they come, because whether they are JSON is known only at their end; a
client that is sent broken ones tells the model. A whole message needs an object: there broken arguments are
wrapped in one.

Reference: Anthropic API reference, "Streaming messages".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import assert_never

import orjson

from gateway import sse, tokens
from gateway.dialects import NewId, Now
from gateway.dialects.chat.history import WRAPPED
from gateway.dialects.messages import wire
from gateway.dialects.messages.context import MessagesContext
from gateway.dialects.messages.signature import sign
from gateway.errors import GatewayError
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure, Finish, Start, Usage
from gateway.types import JSON

_PING = sse.format("ping", b'{"type":"ping"}')
_DELTA_END = b"}}\n\n"

# A refusal is text here; that it is one is told by the stop reason.
_DELTAS = {
    "text": b'{"type":"text_delta","text":',
    "refusal": b'{"type":"text_delta","text":',
    "reasoning": b'{"type":"thinking_delta","thinking":',
    "tool_call": b'{"type":"input_json_delta","partial_json":',
}

_WINDOW_REASONS = frozenset(
    ("model_context_window_exceeded", "context_window_exceeded", "context_length_exceeded", "model_length")
)
"""Words of upstreams for an answer that filled the model's window (`model_length` is Mistral's)."""


class _Block:
    """One block of the answer, from its first event to the whole message."""

    __slots__ = ("ended", "index", "sealed", "start", "texts")

    def __init__(self, index: int, start: BlockStart) -> None:
        self.index = index
        self.start = start
        self.texts: list[str] = []
        self.ended = False
        self.sealed: str | None = None

    def content(self, context: MessagesContext, *, empty: bool = False) -> wire.ContentBlock:
        """Spell the block as it is, or as it begins (`empty`)."""
        text = "" if empty else "".join(self.texts)
        match self.start.kind:
            case "text" | "refusal":
                return {"type": "text", "text": text}
            case "reasoning":
                return {"type": "thinking", "thinking": text, "signature": "" if empty else sign(self.sealed)}
            case "tool_call":
                call_id, name = self.start.call_id or "", self.start.name or ""
                return {"type": "tool_use", "id": call_id, "name": context.tools.get(name, name), "input": _input(text)}
            case kind:
                assert_never(kind)


class Encoder:
    """One answer; see `gateway.dialects.Encoder`."""

    def __init__(self, context: MessagesContext, new_id: NewId, now: Now) -> None:
        self._context = context
        self._begun = False
        self._order: list[_Block] = []
        self._blocks: dict[int, _Block] = {}
        self._current: _Block | None = None
        self._message = _blank(new_id("msg_"), context)
        self._finished = False
        # Of the current block, for the hot path:
        self._number = -1
        self._keep: Callable[[str], object] = list[str]().append
        self._delta_head = b""

    def feed(self, event: Event) -> list[bytes]:
        """Take one event; return whole frames."""
        if type(event) is Delta:
            if event.block != self._number:
                return self._collect(event)
            text = event.text
            self._keep(text)
            return [self._delta_head + orjson.dumps(text) + _DELTA_END]
        return self._rare(event)

    def keepalive(self) -> bytes:
        """Return a ping; before the answer has begun the beginning stands in front of it."""
        return b"".join(self._begin()) + _PING

    @property
    def body(self) -> JSON:
        """The whole message, once `Finish` was taken."""
        if not self._finished:
            raise RuntimeError("the answer has not finished")
        content = [block.content(self._context) for block in self._order]
        return {**self._message, "content": content}

    def _rare(self, event: Start | BlockStart | Delta | Annotation | BlockEnd | Finish | Failure) -> list[bytes]:
        match event:
            case Start():
                return self._begin()
            case BlockStart():
                return self._block_start(event)
            case BlockEnd():
                return self._block_end(event)
            case Finish():
                return self._end(event)
            case Failure():
                return [_error(event.error)]
            case Delta() | Annotation():
                # Remarks have no form that every client takes.
                return []
            case _:
                assert_never(event)

    def _begin(self) -> list[bytes]:
        if self._begun:
            return []
        self._begun = True
        return [_frame({"type": "message_start", "message": self._message})]

    def _block_start(self, event: BlockStart) -> list[bytes]:
        block = _Block(len(self._order), event)
        self._order.append(block)
        self._blocks[event.block] = block
        return [] if self._current else self._open(block)

    def _block_end(self, event: BlockEnd) -> list[bytes]:
        block = self._blocks[event.block]
        block.ended = True
        block.sealed = event.sealed
        if block is not self._current:
            return []
        frames = self._close(block)
        following = block.index + 1
        while following < len(self._order):
            later = self._order[following]
            frames += self._open(later)
            if not later.ended:
                break
            frames += self._close(later)
            following += 1
        return frames

    def _open(self, block: _Block) -> list[bytes]:
        """Make a block the current one; send what it has collected."""
        self._current = block
        self._number = -1 if block.start.kind == "tool_call" else block.start.block
        self._keep = block.texts.append
        self._delta_head = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % block.index
            + _DELTAS[block.start.kind]
        )
        content = block.content(self._context, empty=True)
        return [
            _frame({"type": "content_block_start", "index": block.index, "content_block": content}),
            *self._collected(block),
        ]

    def _collect(self, delta: Delta) -> list[bytes]:
        """Take a fragment of a later block, or of a call whose arguments are blank so far."""
        block = self._blocks[delta.block]
        block.texts.append(delta.text)
        return self._collected(block) if block is self._current else []

    def _collected(self, block: _Block) -> list[bytes]:
        text = "".join(block.texts)
        if block.start.kind == "tool_call":
            # The Python SDK parses the input after each fragment and fails where that is nothing but blank.
            text = text.lstrip()
        if not text:
            return []
        self._number = block.start.block
        return [self._delta_head + orjson.dumps(text) + _DELTA_END]

    def _close(self, block: _Block) -> list[bytes]:
        self._current = None
        self._number = -1
        frames = []
        if block.start.kind == "reasoning":
            signature: wire.SignatureDelta = {"type": "signature_delta", "signature": sign(block.sealed)}
            frames.append(_frame({"type": "content_block_delta", "index": block.index, "delta": signature}))
        frames.append(_frame({"type": "content_block_stop", "index": block.index}))
        return frames

    def _end(self, finish: Finish) -> list[bytes]:
        reason = self._stop_reason(finish)
        sequence = finish.stop_sequence if reason == "stop_sequence" else None
        usage = _usage(finish.usage or self._estimated())
        self._message = {**self._message, "stop_reason": reason, "stop_sequence": sequence, "usage": usage}
        self._finished = True
        delta: wire.StopDelta = {"stop_reason": reason, "stop_sequence": sequence}
        return [
            _frame({"type": "message_delta", "delta": delta, "usage": usage}),
            _frame({"type": "message_stop"}),
        ]

    def _stop_reason(self, finish: Finish) -> wire.StopReason:
        kinds = {block.start.kind for block in self._order}
        if finish.reason == "length":
            return "model_context_window_exceeded" if finish.raw_reason in _WINDOW_REASONS else "max_tokens"
        if finish.reason == "content_filter" or "refusal" in kinds:
            return "refusal"
        # `tool_use` without a call makes Claude Code complain to the model; a call is run whatever the reason.
        if "tool_call" in kinds:
            return "tool_use"
        return "end_turn" if finish.stop_sequence is None else "stop_sequence"

    def _estimated(self) -> Usage:
        text = "".join(text for block in self._order for text in block.texts)
        return Usage(self._context.input_tokens, tokens.estimate(text), estimated=True)


def _blank(id: str, context: MessagesContext) -> wire.Message:
    """Return the message as it begins."""
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": context.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(Usage(context.input_tokens, 0)),
    }


def _usage(usage: Usage) -> wire.Usage:
    out: wire.Usage = {
        "input_tokens": max(0, usage.input_tokens - usage.cached_tokens),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return out


def _input(arguments: str) -> JSON:
    """Return the arguments of a call as an object; what is none is wrapped as it would be in a history."""
    arguments = arguments.lstrip()
    if not arguments:
        return {}
    try:
        value = json.loads(arguments, strict=False)
    except (ValueError, RecursionError):
        return {WRAPPED: arguments}
    return value if isinstance(value, dict) else {WRAPPED: arguments}


def _error(error: GatewayError) -> bytes:
    return sse.format("error", orjson.dumps(wire.encode_error(error, "")))


def _frame(event: wire.Event) -> bytes:
    return sse.format(event["type"], orjson.dumps(event))

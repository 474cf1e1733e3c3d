"""Events to Chat answers: chunks for a stream, and the whole `chat.completion`, out of one encoder.

Chat has one message: text blocks are joined by a blank line, reasoning blocks likewise (as
`reasoning_content`), calls stand in `tool_calls` in the order of their beginning. A call of a custom tool is
told whole when it ends, since its raw input stands inside JSON until then.

A stream ends with `[DONE]`; after a `Failure` with an error line and nothing more.

Reference: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
"""

from __future__ import annotations

from typing import Any, assert_never

import orjson

from gateway import sse
from gateway.dialects import NewId, Now
from gateway.dialects.chat.context import ChatContext
from gateway.dialects.chat.wire import (
    CHAT_REASONS,
    ChatReason,
    ChoiceOut,
    CompletionOut,
    CustomCallOut,
    FunctionCallOut,
    FunctionOut,
    LogprobsOut,
    MessageOut,
    UsageOut,
    annotation_to_chat,
    encode_error,
)
from gateway.events import (
    Annotation,
    BlockEnd,
    BlockStart,
    Delta,
    Event,
    Failure,
    Finish,
    FinishReason,
    Kind,
    Start,
    Usage,
)
from gateway.types import JSON

_MEMBERS: dict[Kind, str] = {
    "text": "content",
    "reasoning": "reasoning_content",
    "refusal": "refusal",
}
_WITH_LOGPROBS = ("text", "refusal")
_PARAGRAPH = "\n\n"


class _Block:
    """An open block: what goes before and after each fragment on the wire, and the text so far."""

    __slots__ = ("after", "before", "call_id", "index", "kind", "name", "text")

    def __init__(self, kind: Kind, text: list[str]) -> None:
        self.kind = kind
        self.text = text
        self.before = b""
        self.after = b""
        self.index = 0
        self.call_id = ""
        self.name = ""


class Encoder:
    """One answer on its way out; see `gateway.dialects.Encoder`."""

    def __init__(self, context: ChatContext, new_id: NewId, now: Now) -> None:
        self._context = context
        self._new_id = new_id
        self._now = now
        self._id = ""
        self._created = 0
        self._head = b""
        self._tail = b""
        self._blocks: dict[int, _Block] = {}
        self._texts: dict[Kind, list[str]] = {}
        self._calls: list[_Block] = []
        self._annotations: list[JSON] = []
        self._logprobs: dict[Kind, list[Any]] = {}
        self._finish: Finish | None = None

    def feed(self, event: Event) -> list[bytes]:
        """Take one event; return whole frames, ready to be sent."""
        if isinstance(event, Delta):
            return self._delta(event)
        match event:
            case Start():
                return self._start(event)
            case BlockStart():
                return self._block_start(event)
            case Annotation():
                annotation = annotation_to_chat(event.value)
                self._annotations.append(annotation)
                return [self._chunk({"annotations": [annotation]})]
            case BlockEnd():
                return self._block_end(self._blocks.pop(event.block))
            case Finish():
                return self._end(event)
            case Failure():
                return [sse.format(None, orjson.dumps(encode_error(event.error, "")))]
            case _:  # pragma: no cover
                assert_never(event)

    def keepalive(self) -> bytes:
        """Return a comment."""
        return sse.comment("keep-alive")

    # --- a stream ------------------------------------------------------------------------------------------

    def _start(self, event: Start) -> list[bytes]:
        self._id = event.id or self._new_id("chatcmpl-")
        self._created = self._now() if event.created is None else event.created
        head: JSON = {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
        }
        head["model"] = self._context.model
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._tail = b',"usage":null}\n\n' if self._context.include_usage else b"}\n\n"
        return [self._chunk({"role": "assistant", "content": ""})]

    def _chunk(
        self,
        delta: JSON,
        logprobs: JSON | None = None,
        reason: ChatReason | None = None,
    ) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": logprobs,
            "finish_reason": reason,
        }
        return b"".join((self._head, b',"choices":[', orjson.dumps(choice), b"]", self._tail))

    def _around(self, delta: bytes) -> tuple[bytes, bytes]:
        """Return the constant parts of a chunk round the JSON text that stands for `%` in its delta."""
        before, after = delta.split(b"%")
        return (
            self._head + b',"choices":[{"index":0,"delta":' + before,
            after + b',"logprobs":null,"finish_reason":null}]' + self._tail,
        )

    def _block_start(self, event: BlockStart) -> list[bytes]:
        if event.kind == "tool_call":
            return self._call_start(event)
        text = self._texts.setdefault(event.kind, [])
        block = self._blocks[event.block] = _Block(event.kind, text)
        block.before, block.after = self._around(b'{"%s":%%}' % _MEMBERS[event.kind].encode())
        if not text:
            return []
        text.append(_PARAGRAPH)
        return [block.before + orjson.dumps(_PARAGRAPH) + block.after]

    def _call_start(self, event: BlockStart) -> list[bytes]:
        block = self._blocks[event.block] = _Block(event.kind, [])
        block.index, block.call_id, block.name = (
            len(self._calls),
            event.call_id or "",
            event.name or "",
        )
        self._calls.append(block)
        if block.name in self._context.custom:
            return []
        function: JSON = {"name": block.name, "arguments": ""}
        if self._context.legacy:
            # A legacy client knows one call; the answer stays whole in `_calls`.
            if block.index:
                return []
            block.before, block.after = self._around(b'{"function_call":{"arguments":%}}')
            return [self._chunk({"function_call": function})]
        block.before, block.after = self._around(
            b'{"tool_calls":[{"index":' + str(block.index).encode() + b',"function":{"arguments":%}}]}'
        )
        call = {
            "index": block.index,
            "id": block.call_id,
            "type": "function",
            "function": function,
        }
        return [self._chunk({"tool_calls": [call]})]

    def _delta(self, event: Delta) -> list[bytes]:
        block = self._blocks[event.block]
        block.text.append(event.text)
        if event.logprobs and block.kind in _WITH_LOGPROBS:
            return [self._with_logprobs(block, event.text, event.logprobs)]
        return [block.before + orjson.dumps(event.text) + block.after] if block.before else []

    def _with_logprobs(self, block: _Block, text: str, tokens: list[Any]) -> bytes:
        self._logprobs.setdefault(block.kind, []).extend(tokens)
        logprobs = _logprobs_out({block.kind: tokens})
        return self._chunk({_MEMBERS[block.kind]: text}, dict(logprobs) if logprobs else None)

    def _block_end(self, block: _Block) -> list[bytes]:
        if block.kind != "tool_call" or block.name not in self._context.custom:
            return []
        return [self._chunk({"tool_calls": [{"index": block.index, **_custom_call(block)}]})]

    def _end(self, event: Finish) -> list[bytes]:
        self._finish = event
        frames = [self._chunk({}, reason=self._reason(event.reason))]
        if self._context.include_usage and event.usage is not None:
            frames.append(self._head + b',"choices":[],"usage":' + orjson.dumps(_usage_out(event.usage)) + b"}\n\n")
        return [*frames, b"data: [DONE]\n\n"]

    def _reason(self, reason: FinishReason) -> ChatReason:
        word = CHAT_REASONS[reason]
        return "function_call" if word == "tool_calls" and self._context.legacy else word

    # --- whole ---------------------------------------------------------------------------------------------

    @property
    def body(self) -> JSON:
        """The whole answer, once `Finish` was taken."""
        finish = self._finish or Finish("other")
        choice: ChoiceOut = {
            "index": 0,
            "message": self._message(),
            "logprobs": _logprobs_out(self._logprobs),
            "finish_reason": self._reason(finish.reason),
        }
        body: CompletionOut = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._created,
            "model": self._context.model,
            "choices": [choice],
        }
        if finish.usage is not None:
            body["usage"] = _usage_out(finish.usage)
        return dict(body)

    def _message(self) -> MessageOut:
        text, refusal = self._joined("text"), self._joined("refusal")
        message: MessageOut = {
            "role": "assistant",
            "content": text if text or not (self._calls or refusal) else None,
            "refusal": refusal or None,
            "annotations": self._annotations,
        }
        reasoning = self._joined("reasoning")
        if reasoning:
            message["reasoning_content"] = reasoning
        if self._calls and self._context.legacy:
            first = self._calls[0]
            message["function_call"] = {
                "name": first.name,
                "arguments": "".join(first.text),
            }
        elif self._calls:
            message["tool_calls"] = [self._call(block) for block in self._calls]
        return message

    def _joined(self, kind: Kind) -> str:
        return "".join(self._texts.get(kind, ()))

    def _call(self, block: _Block) -> FunctionCallOut | CustomCallOut:
        if block.name in self._context.custom:
            return _custom_call(block)
        function: FunctionOut = {"name": block.name, "arguments": "".join(block.text)}
        return {"id": block.call_id, "type": "function", "function": function}


def _custom_call(block: _Block) -> CustomCallOut:
    """Return a call of a custom tool; its raw input is the member `input` of the arguments, or they are."""
    arguments = "".join(block.text)
    try:
        raw = orjson.loads(arguments)["input"]
    except (ValueError, TypeError, KeyError):
        raw = arguments
    if not isinstance(raw, str):
        raw = arguments
    return {
        "id": block.call_id,
        "type": "custom",
        "custom": {"name": block.name, "input": raw},
    }


def _logprobs_out(tokens: dict[Kind, list[Any]]) -> LogprobsOut | None:
    if not tokens:
        return None
    return {"content": tokens.get("text"), "refusal": tokens.get("refusal")}


def _usage_out(usage: Usage) -> UsageOut:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }

"""Chat answers to events: streams and whole answers, of every server that calls itself compatible.

How an answer ends (contract of the gateway, "Streams and bridges"):

    a finish reason was seen           complete, whatever follows or breaks after it
    `[DONE]` without a finish reason   complete, if the arguments of every call parse
    the body ends with neither         broken: `Failure`

Blocks end when the answer does, because some servers send text after their finish reason and usage after
that; only text and reasoning end earlier, where the other kind or a new call begins. `Finish` waits for
`[DONE]` or the end of the body.

Reference: OpenAI API reference, "The chat completion chunk object". Where servers differ from it, the test
named after the difference shows how.
"""

from __future__ import annotations

from typing import Any

import orjson

from gateway.dialects.chat.mould import Mould
from gateway.dialects.chat.read import (
    fragment_of,
    load,
    read_usage,
    said,
    token_logprobs,
    usage_of,
    word,
)
from gateway.dialects.chat.tool_calls import ToolCalls
from gateway.dialects.chat.wire import FINISH_REASONS, annotation_from_chat
from gateway.errors import GatewayError, UpstreamProtocol, UpstreamStatus
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
)
from gateway.profile import Terms
from gateway.sse import Frame
from gateway.types import JSON
from gateway.upstream_error import error_of

_DONE = b"[DONE]"

_BROKEN = ("error", "abort")
"""Finish reasons of OpenRouter, vLLM and SGLang that mean a fault."""


class Decoder:
    """One answer on its way in; see `gateway.dialects.Decoder`."""

    def __init__(self, terms: Terms) -> None:
        # The model's switches matter to the filters that follow, not to the wire.
        self._begun = False
        self._ended = False
        self._mould = Mould()
        self._blocks = 0
        self._block: int | None = None
        """The open block that is not a tool call."""
        self._kind: Kind = "text"
        self._plain: int | None = None
        """The open text block, where plain fragments may go straight to it."""
        self._calls = ToolCalls(self._new_block)
        self._reason: str | None = None
        self._stop: str | None = None
        self._usage: JSON | None = None
        self._logprobs: list[Any] = []
        self._annotations: list[JSON] = []
        self._spoken = False
        """There was text or a refusal."""
        self._deltas = False
        """There was content in deltas."""
        self._legacy: bool | None = None

    def feed(self, frame: Frame) -> list[Event]:
        """Take one frame of a stream."""
        if self._ended:
            return []
        data, mould = frame.data, self._mould
        text = mould.text(data)
        if text is not None and frame.event is None:
            events = self._go_on(mould.member, mould.call, text)
            if events is not None:
                return events
        if self._reason is not None and data == _DONE:
            return self._end()
        try:
            chunk = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._odd(frame)
        if self._begun and frame.event is None:
            fragment = fragment_of(chunk)
            events = None if fragment is None else self._go_on(*fragment)
            if fragment is not None and events is not None:
                mould.cast(data, fragment)
                return events
        return self._chunk(chunk, frame.event == "error")

    def decode(self, body: JSON) -> list[Event]:
        """Take a whole answer instead of a stream; returns all events, the end included."""
        events = [] if self._ended else self._chunk(body, False)
        return events if self._ended else events + self._end()

    def finish(self) -> list[Event]:
        """The body ended in order: close what is open, or fail where nothing told the end."""
        if self._ended:
            return []
        if self._begun and self._reason is None:
            return self._failed(UpstreamProtocol("The upstream's answer broke off before its end."))
        return self._end()

    def fail(self, error: GatewayError) -> list[Event]:
        """The body broke: end in `Failure`, closing nothing; after a finish reason nothing is missing."""
        if self._ended:
            return []
        return self._failed(error) if self._reason is None else self._end()

    def _go_on(self, member: str, call: int | None, text: str) -> list[Event] | None:
        """Take one more fragment of what is open already, see `Fragment`. None where it is not.

        Nothing here that `_chunk` would not do as well; this is what runs a hundred times for each other chunk.
        """
        if member == "content":
            block = self._plain
        elif member == "arguments":
            return self._calls.go_on(call, text)
        else:
            block = self._block if self._kind == "reasoning" and not self._logprobs else None
        return None if block is None else [Delta(block, text)]

    # --- frames --------------------------------------------------------------------------------------------

    def _odd(self, frame: Frame) -> list[Event]:
        """Take a frame that is not JSON to orjson."""
        data = frame.data.strip()
        if data == _DONE:
            return self._end()
        if not data:
            return []
        try:
            chunk = load(data)
        except ValueError:
            if frame.event == "error":
                return self._failed(error_of(data.decode("utf-8", "replace")))
            return self._failed(UpstreamProtocol("The upstream sent a stream frame that is not JSON."))
        return self._chunk(chunk, frame.event == "error")

    def _chunk(self, chunk: Any, is_error: bool) -> list[Event]:
        error = _error_in(chunk, is_error)
        if error is not None:
            return self._failed(error)
        choice = _first_choice(chunk)
        self._usage = usage_of(chunk, choice) or self._usage
        if choice is None:
            return []
        if choice.get("error"):
            return self._failed(error_of(choice["error"]))
        events: list[Event] = []
        if not self._begun:
            self._begin(chunk, events)
        try:
            self._choice(choice, events)
        except UpstreamProtocol as fault:
            return events + self._failed(fault)
        reason = word(choice.get("finish_reason"))
        if reason in _BROKEN:
            return events + self._failed(_broken(reason))
        self._reason = reason or self._reason
        # vLLM tells the stop string it met, SGLang too; a number there is a token.
        self._stop = word(choice.get("stop_reason")) or word(choice.get("matched_stop")) or self._stop
        return events

    def _begin(self, chunk: JSON, events: list[Event]) -> None:
        self._begun = True
        created = chunk.get("created")
        if not isinstance(created, int | float) or isinstance(created, bool):
            created = None
        start = Start(
            word(chunk.get("id")),
            word(chunk.get("model")),
            None if created is None else int(created),
        )
        self._calls.seed = f"{start.id}|{start.created}"
        events.append(start)

    # --- content -------------------------------------------------------------------------------------------

    def _choice(self, choice: JSON, events: list[Event]) -> None:
        delta = self._delta(choice)
        if delta is None or not (delta or choice.get("logprobs")):
            return
        fragments = said(delta)
        pieces = self._pieces(delta)
        self._take_logprobs(choice, fragments, bool(pieces))
        for kind, text in fragments:
            self._write(kind, text, events)
        annotations = delta.get("annotations")
        if isinstance(annotations, list):
            self._annotate(annotations, events)
        if pieces:
            self._call(pieces, events)
        pending = self._logprobs or self._annotations
        self._plain = self._block if self._kind == "text" and not pending else None

    def _delta(self, choice: JSON) -> JSON | None:
        delta, message = choice.get("delta"), choice.get("message")
        if isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role"):
            self._deltas = True
            return delta
        # A whole `message` in a stream stands for deltas, unless it repeats those that came before it.
        if isinstance(message, dict) and not self._deltas:
            return message
        return delta if isinstance(delta, dict) else None

    def _pieces(self, delta: JSON) -> list[Any]:
        """Return pieces of calls; llama_cpp.server says everything twice, also as `function_call`."""
        pieces = delta.get("tool_calls")
        if isinstance(pieces, dict):
            pieces = [pieces]
        if isinstance(pieces, list) and pieces:
            self._legacy = False
            return pieces
        call = delta.get("function_call")
        if self._legacy is False or not isinstance(call, dict):
            return []
        self._legacy = True
        return [{"function": call}]

    def _take_logprobs(self, choice: JSON, said: list[tuple[Kind, str]], calls: bool) -> None:
        if not choice.get("logprobs"):
            return
        kinds = {kind for kind, _ in said}
        if "refusal" in kinds:
            self._logprobs += token_logprobs(choice, "refusal")
        elif "text" in kinds or not (said or calls):
            # A token that is half a character has no text yet; it belongs to the next fragment.
            self._logprobs += token_logprobs(choice, "content")

    def _write(self, kind: Kind, text: str, events: list[Event]) -> None:
        block = self._block
        if block is None or kind != self._kind:
            self._close(events)
            block = self._block = self._new_block()
            self._kind = kind
            self._spoken = self._spoken or kind != "reasoning"
            events.append(BlockStart(block, kind))
        logprobs = None
        if self._logprobs and kind != "reasoning":
            logprobs, self._logprobs = self._logprobs, []
        events.append(Delta(block, text, logprobs))
        if self._annotations and kind == "text":
            events += [Annotation(block, value) for value in self._annotations]
            self._annotations = []

    def _annotate(self, annotations: list[Any], events: list[Event]) -> None:
        """Put remarks on the open text, or keep them for the next."""
        for value in annotations:
            if not isinstance(value, dict) or not word(value.get("type")):
                continue
            flat = annotation_from_chat(value)
            if self._block is not None and self._kind == "text":
                events.append(Annotation(self._block, flat))
            else:
                self._annotations.append(flat)

    def _call(self, pieces: list[Any], events: list[Event]) -> None:
        of_calls = self._calls.feed(pieces)
        if any(isinstance(event, BlockStart) for event in of_calls):
            self._close(events)
        events += of_calls

    def _close(self, events: list[Event], cut: bool = False) -> None:
        if self._block is not None:
            events.append(BlockEnd(self._block, cut=cut))
            self._block = self._plain = None

    def _new_block(self) -> int:
        block = self._blocks
        self._blocks += 1
        return block

    # --- the end -------------------------------------------------------------------------------------------

    def _failed(self, error: GatewayError) -> list[Event]:
        self._ended = True
        return [Failure(error)]

    def _end(self) -> list[Event]:
        """All that comes has come, in order."""
        if not self._begun:
            # llama_cpp.server answers 200 and an empty stream where the prompt is too long.
            return self._failed(UpstreamProtocol("The upstream's answer is empty."))
        calls = self._calls
        of_calls = calls.flush()
        if self._reason is None and not calls.parse:
            return self._failed(UpstreamProtocol("The upstream's answer ended within a tool call."))
        if calls.nameless and not (calls.announced or self._spoken):
            return self._failed(UpstreamProtocol("The upstream called a tool without naming it."))
        self._ended = True
        reason = self._finish_reason()
        cut = reason in ("length", "content_filter")
        events: list[Event] = []
        self._close(events, cut)
        events += of_calls
        events += calls.end(cut)
        usage = None if self._usage is None else read_usage(self._usage)
        events.append(Finish(reason, self._reason, usage, self._stop if reason == "stop" else None))
        return events

    def _finish_reason(self) -> FinishReason:
        reason = FINISH_REASONS.get(self._reason, "other") if self._reason else "stop"
        if reason in ("length", "content_filter"):
            return reason
        if not self._calls.announced:
            return "stop" if reason == "tool_calls" else reason
        # llama_cpp.server says `tool_calls` also where the token limit cut the arguments.
        return "length" if self._calls.broken_off else "tool_calls"


def _first_choice(chunk: JSON) -> JSON | None:
    """Return the choice with index 0 (or none); requests for several choices are not bridged."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            return choice
    return None


def _error_in(chunk: Any, is_error: bool) -> GatewayError | None:
    """Return the fault that a frame tells of in place of a chunk."""
    if is_error:
        return error_of(chunk)
    if not isinstance(chunk, dict):
        return UpstreamProtocol("The upstream sent a stream frame that is not a JSON object.")
    error = chunk.get("error")
    if error:
        outer = {name: chunk[name] for name in ("code", "status") if chunk.get(name)}
        return error_of({**outer, **error} if isinstance(error, dict) else {**outer, "message": _text(error)})
    if "choices" in chunk:
        return None
    # vLLM's older form, and FastAPI's.
    if chunk.get("object") == "error" or chunk.get("type") == "error" or chunk.get("detail"):
        return error_of(chunk)
    return None


def _text(error: Any) -> str:
    return error if isinstance(error, str) else ""


def _broken(reason: str) -> GatewayError:
    return UpstreamStatus(f"The upstream ended its answer with the reason {reason!r}.", status=502)

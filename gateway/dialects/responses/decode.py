"""Responses answers of an upstream to events: streams and whole answers.

How an answer ends:

    a response that is completed or incomplete      complete, whatever the name of the event
    `[DONE]` without one                            complete, if no call is in the middle of its arguments
    a response that failed, `error`                 broken, in the upstream's words
    the body ends with none of these                broken

The answer begins with its first content, not with `response.created`: a failure that comes before it can still
become an HTTP status. Items are found by `output_index`, else by their id, because there are servers without
the one (llama.cpp) and servers whose ids change from event to event (GitHub Copilot). `growing` has what becomes
of each item.

Reference: OpenAI API, "Streaming events" and "The response object". Where servers differ from it, the golden
stream named after the difference shows how.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from gateway.dialects.chat.read import load, moment, read_usage, usage_of, word
from gateway.dialects.responses.growing import (
    ITEMS_LIMIT,
    Blocks,
    Call,
    CustomCall,
    Item,
    Message,
    Reasoning,
    Source,
    logprobs_of,
    objects,
)
from gateway.errors import GatewayError, UpstreamProtocol
from gateway.events import Event, Failure, Finish, FinishReason, Start
from gateway.profile import Terms
from gateway.sse import Frame
from gateway.types import JSON
from gateway.upstream_error import error_of

_DELTAS: dict[str, tuple[Source, str]] = {
    "response.output_text.delta": ("text", "content_index"),
    "response.refusal.delta": ("refusal", "content_index"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index"),
    "response.reasoning_text.delta": ("content", "content_index"),
    "response.function_call_arguments.delta": ("arguments", "content_index"),
    "response.custom_tool_call_input.delta": ("input", "content_index"),
}
"""Events with a fragment: what it belongs to, and the member that tells the part."""

_ENDS = frozenset(["response.completed", "response.incomplete", "response.done", "response.failed"])
_BEGINS = frozenset(["response.created", "response.in_progress", "response.queued"])

_ITEMS: dict[Any, Callable[[Blocks], Item]] = {
    "message": Message,
    "reasoning": Reasoning,
    "function_call": Call,
    "custom_tool_call": CustomCall,
}
_ITEM_OF: dict[Source, Callable[[Blocks], Item]] = {
    "text": Message,
    "refusal": Message,
    "summary": Reasoning,
    "content": Reasoning,
    "arguments": Call,
    "input": CustomCall,
}
"""The item of a fragment that comes unannounced."""

_INCOMPLETE: dict[Any, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}

_CODES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
}
"""Statuses that the codes of a failed response mean; image codes are the client's fault, all others tell none."""


class Decoder:
    """One answer on its way in; see `gateway.dialects.Decoder`."""

    def __init__(self, terms: Terms) -> None:
        # The model's switches matter to the filters that follow, not to the wire.
        self._blocks = Blocks()
        self._ended = False
        self._items: list[Item] = []
        """In the order of their beginning; those that have ended too."""
        self._open: list[Item] = []
        self._by_key: dict[int | str, Item] = {}
        """By output index, and by id."""

    def feed(self, frame: Frame) -> list[Event]:
        """Take one frame of a stream."""
        if self._ended:
            return []
        try:
            event = orjson.loads(frame.data)
        except orjson.JSONDecodeError:
            return self._odd(frame)
        return self._event(event, frame)

    def decode(self, body: JSON) -> list[Event]:
        """Take a whole answer instead of a stream; returns all events, the end included."""
        if self._ended:
            return []
        return self._guarded(self._whole, body)

    def finish(self) -> list[Event]:
        """The body ended in order; where nothing told the end it is broken."""
        if self._ended:
            return []
        broke = "broke off before its end" if self._blocks.begun else "is empty"
        return self._failed(UpstreamProtocol(f"The upstream's answer {broke}."))

    def fail(self, error: GatewayError) -> list[Event]:
        """The body broke: end in `Failure`, closing nothing."""
        return [] if self._ended else self._failed(error)

    # --- frames --------------------------------------------------------------------------------------------

    def _odd(self, frame: Frame) -> list[Event]:
        """Take a frame that is not JSON to orjson."""
        data = frame.data.strip()
        if data == b"[DONE]":
            return self._guarded(self._done, {})
        if not data:
            return []
        try:
            event = load(data)
        except ValueError:
            return self._failed(UpstreamProtocol("The upstream sent a stream frame that is not JSON."))
        return self._event(event, frame)

    def _event(self, event: Any, frame: Frame) -> list[Event]:
        if not isinstance(event, dict):
            return self._failed(UpstreamProtocol("The upstream sent a stream frame that is not a JSON object."))
        kind = word(event.get("type")) or frame.event or ""
        delta = _DELTAS.get(kind)
        out: list[Event] = []
        try:
            if delta is not None:
                self._delta(*delta, event, out)
            else:
                self._rare(kind, event, out)
        except GatewayError as fault:
            return out + self._failed(fault)
        return out

    def _guarded(self, take: Callable[[JSON, list[Event]], None], value: JSON) -> list[Event]:
        """Return the events that a step makes; a fault of the upstream's ends them."""
        out: list[Event] = []
        try:
            take(value, out)
        except GatewayError as fault:
            return out + self._failed(fault)
        return out

    def _delta(self, source: Source, member: str, event: JSON, out: list[Event]) -> None:
        text = event.get("delta")
        if not isinstance(text, str) or not text:
            return
        item = self._item_of(event, _ITEM_OF[source])
        if not item.ended:
            logprobs = event.get("logprobs")
            item.delta(source, _index(event, member), text, logprobs_of(logprobs) if logprobs else None, out)

    def _rare(self, kind: str, event: JSON, out: list[Event]) -> None:
        """Take an event that is no fragment."""
        if kind in ("error", "response.error") or (event.get("error") and "response" not in event):
            raise fault_of(event)
        if kind in _BEGINS:
            self._begin(_object(event.get("response")))
        elif kind in _ENDS:
            self._end(_object(event.get("response")), kind.removeprefix("response."), out)
        elif kind == "response.output_item.added":
            self._added(event, out)
        elif kind == "response.output_item.done":
            self._item_done(event, out)
        elif kind == "response.output_text.annotation.added":
            value = event.get("annotation")
            item = self._item_of(event, Message)
            if isinstance(value, dict) and word(value.get("type")) and not item.ended:
                item.annotate(_index(event, "content_index"), value, out)

    def _begin(self, response: JSON) -> None:
        created = moment(response.get("created_at"))
        self._blocks.start = Start(word(response.get("id")), word(response.get("model")), created)

    # --- items ---------------------------------------------------------------------------------------------

    def _added(self, event: JSON, out: list[Event]) -> None:
        item = _object(event.get("item"))
        made = self._new(_ITEMS.get(word(item.get("type")), Item), event, item)
        if isinstance(made, Call):
            made.announce(item, out)

    def _item_done(self, event: JSON, out: list[Event]) -> None:
        whole = _object(event.get("item"))
        make = _ITEMS.get(word(whole.get("type")), Item)
        item = self._find(event) or self._by_id(whole) or self._new(make, event, whole)
        if not item.ended:
            item.complete(whole, out)
            self._close(item, whole.get("status") == "incomplete", out)

    def _close(self, item: Item, cut: bool, out: list[Event]) -> None:
        self._open.remove(item)
        item.ended = True
        item.end(cut, out)

    def _item_of(self, event: JSON, make: Callable[[Blocks], Item]) -> Item:
        return self._find(event) or self._new(make, event, {})

    def _find(self, event: JSON) -> Item | None:
        index, id = event.get("output_index"), event.get("item_id")
        if isinstance(index, int):
            return self._by_key.get(index)
        if isinstance(id, str):
            return self._by_key.get(id)
        return self._open[-1] if self._open and "item" not in event else None

    def _by_id(self, item: JSON) -> Item | None:
        """Find an item that has not ended by its own id; a second one may have the same."""
        id = item.get("id")
        found = self._by_key.get(id) if isinstance(id, str) else None
        return None if found is None or found.ended else found

    def _new(self, make: Callable[[Blocks], Item], event: JSON, item: JSON) -> Item:
        if len(self._items) >= ITEMS_LIMIT:
            raise UpstreamProtocol(f"The upstream's answer has more than {ITEMS_LIMIT} items.")
        made = make(self._blocks)
        self._items.append(made)
        self._open.append(made)
        index = event.get("output_index")
        for key in (index, item.get("id"), event.get("item_id")):
            if isinstance(key, int | str):
                self._by_key[key] = made
        return made

    # --- the end -------------------------------------------------------------------------------------------

    def _whole(self, body: JSON, out: list[Event]) -> None:
        if body.get("error") and not isinstance(body.get("output"), list):
            raise fault_of(body)
        if not isinstance(body.get("output"), list):
            raise UpstreamProtocol("The upstream's answer is not a response object.")
        self._end(body, "completed", out)

    def _end(self, response: JSON, status: str, out: list[Event]) -> None:
        """Take the response as it is at its end; `status` is for one that tells none.

        Raises: GatewayError where it failed.
        """
        self._begin({**_told(self._blocks.start), **{k: v for k, v in response.items() if v is not None}})
        status = word(response.get("status")) or status
        if status == "failed" or response.get("error"):
            raise fault_of(response)
        if status not in ("completed", "incomplete", "done"):
            raise UpstreamProtocol(f"The upstream's answer ended with the status {status[:40]!r}.")
        raw = word(_object(response.get("incomplete_details")).get("reason"))
        reason: FinishReason = "length" if status == "incomplete" else "stop"
        if raw is not None:
            reason = _INCOMPLETE.get(raw, "other")
        self._take_output(objects(response.get("output")), out)
        self._finish(reason, raw or status, usage_of(response), out)

    def _take_output(self, output: list[JSON], out: list[Event]) -> None:
        """Take the items of the final response: all of them, or what is missing of those that are open."""
        if not self._items:
            for index, whole in enumerate(output):
                self._item_done({"output_index": index, "item": whole}, out)
            return
        for whole in output:
            item = self._by_id(whole)
            if item is not None:
                item.complete(whole, out)
                self._close(item, whole.get("status") == "incomplete", out)

    def _done(self, _: JSON, out: list[Event]) -> None:
        """Take `[DONE]` in the place of an end."""
        if not self._blocks.begun:
            raise UpstreamProtocol("The upstream's answer is empty.")
        self._finish("stop", None, None, out)
        if self._blocks.broken_off:
            out.clear()
            raise UpstreamProtocol("The upstream's answer ended within a tool call.")

    def _finish(self, reason: FinishReason, raw: str | None, usage: JSON | None, out: list[Event]) -> None:
        self._blocks.begin(out)
        cut = reason in ("length", "content_filter")
        for item in list(self._open):
            self._close(item, cut, out)
        if self._blocks.called and reason == "stop":
            reason = "length" if self._blocks.broken_off else "tool_calls"
        out.append(Finish(reason, raw, None if usage is None else read_usage(usage)))
        self._ended = True

    def _failed(self, error: GatewayError) -> list[Event]:
        self._ended = True
        return [Failure(error)]


def fault_of(value: JSON) -> GatewayError:
    """Return the error that an event, a response or an answer tells of, whichever holds it."""
    response = value.get("response")
    error = (response.get("error") if isinstance(response, dict) else None) or value.get("error")
    if isinstance(error, str):
        error = {"message": error}
    found = error if isinstance(error, dict) else {k: value.get(k) for k in ("code", "message", "param", "status_code")}
    code = word(found.get("code"))
    if code is not None and not found.get("status"):
        status = 400 if "image" in code else _CODES.get(code)
        found = {**found, "status": status}
    fault = error_of(found)
    if not found.get("message"):
        fault.message = "The upstream's answer failed; it did not say why."
    return fault


def _told(start: Start) -> JSON:
    return {"id": start.id, "model": start.model, "created_at": start.created}


def _index(event: JSON, member: str) -> int:
    index = event.get(member)
    return index if isinstance(index, int) else 0


def _object(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}

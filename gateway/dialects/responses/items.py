"""The output items of one answer while they grow: messages and reasoning (`calls` has the rest).

Each takes the events of its block (a message: of several) and returns frames that wait for their number
(see `wire`). An item is announced at once with what is known, and `final` is what `output_item.done` and the
response's `output` hold; it stays None where the answer breaks off first.

Reference: OpenAI API, "Streaming events": `output_item.added`, the parts' `added` … `done`, `output_item.done`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import orjson

from gateway.dialects.responses import wire
from gateway.events import Annotation, BlockEnd, Delta

_NO_LOGPROBS = b',"logprobs":[]'


class Block(Protocol):
    """What takes the events of one block."""

    def start(self) -> list[bytes]:
        """Announce it."""

    def delta(self, delta: Delta) -> bytes:
        """Take a fragment; return one frame, or nothing."""

    def annotate(self, annotation: Annotation) -> list[bytes]:
        """Take a remark; blocks other than text have no place for one."""

    def end(self, end: BlockEnd) -> list[bytes]:
        """Close it."""


class Item:
    """An item of the response's `output`, at its place there."""

    def __init__(self, id: str, index: int) -> None:
        self.id = id
        self.index = index
        self.final: wire.OutputItem | None = None

    def added(self, item: wire.OutputItem) -> bytes:
        """Announce the item as it is at its beginning."""
        return wire.event({"type": "response.output_item.added", "output_index": self.index, "item": item})

    def done(self, item: wire.OutputItem) -> bytes:
        """Close the item."""
        self.final = item
        return wire.event({"type": "response.output_item.done", "output_index": self.index, "item": item})

    def annotate(self, annotation: Annotation) -> list[bytes]:
        """See `Block`."""
        return []


def status_of(cut: bool) -> wire.Status:
    """Return the status of an item that is closed."""
    return "incomplete" if cut else "completed"


class Message(Item):
    """A run of text and refusal blocks. It closes when all parts have ended and no more can come."""

    def __init__(self, id: str, index: int) -> None:
        super().__init__(id, index)
        self._parts: list[TextPart | RefusalPart] = []
        self._open = 0
        self._cut = False
        self._last = True

    def start(self) -> list[bytes]:
        """Announce the message."""
        return [self.added(self._item("in_progress"))]

    def text(self) -> Block:
        """Add a part of text."""
        return self._add(TextPart(self, len(self._parts)))

    def refusal(self) -> Block:
        """Add a part of refusal."""
        return self._add(RefusalPart(self, len(self._parts)))

    def part_ended(self, cut: bool) -> list[bytes]:
        """Take note that a part has ended."""
        self._open -= 1
        self._cut = self._cut or cut
        return self._closed()

    def leave(self) -> list[bytes]:
        """Take note that another item has begun, or that the answer ends: no part will be added."""
        self._last = False
        return self._closed()

    def _add(self, part: TextPart | RefusalPart) -> Block:
        self._parts.append(part)
        self._open += 1
        return part

    def _closed(self) -> list[bytes]:
        if self._last or self._open:
            return []
        return [self.done(self._item(status_of(self._cut)))]

    def _item(self, status: wire.Status) -> wire.MessageItem:
        content: list[wire.OutputText | wire.Refusal] = [part.final for part in self._parts]
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": content}


class TextPart:
    """A text block: one part of a message."""

    def __init__(self, message: Message, index: int) -> None:
        self._message = message
        self._index = index
        self._texts: list[str] = []
        self.final: wire.OutputText = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        self._head = wire.delta_head(
            {
                "type": "response.output_text.delta",
                "item_id": message.id,
                "output_index": message.index,
                "content_index": index,
            }
        )

    def start(self) -> list[bytes]:
        """See `Block`."""
        return [_content_part("response.content_part.added", self._message, self._index, self.final)]

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        self._texts.append(delta.text)
        if not delta.logprobs:
            return self._head + orjson.dumps(delta.text) + _NO_LOGPROBS
        logprobs = wire.logprobs_of(delta.logprobs)
        self.final["logprobs"] += logprobs
        return self._head + orjson.dumps(delta.text) + b',"logprobs":' + orjson.dumps(logprobs)

    def annotate(self, annotation: Annotation) -> list[bytes]:
        """See `Block`."""
        annotations = self.final["annotations"]
        annotations.append(annotation.value)
        return [
            wire.event(
                {
                    "type": "response.output_text.annotation.added",
                    "item_id": self._message.id,
                    "output_index": self._message.index,
                    "content_index": self._index,
                    "annotation_index": len(annotations) - 1,
                    "annotation": annotation.value,
                }
            )
        ]

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        self.final["text"] = "".join(self._texts)
        return [
            wire.event(
                {
                    "type": "response.output_text.done",
                    "item_id": self._message.id,
                    "output_index": self._message.index,
                    "content_index": self._index,
                    "text": self.final["text"],
                    "logprobs": self.final["logprobs"],
                }
            ),
            _content_part("response.content_part.done", self._message, self._index, self.final),
            *self._message.part_ended(end.cut),
        ]


class RefusalPart:
    """A refusal block: one part of a message."""

    def __init__(self, message: Message, index: int) -> None:
        self._message = message
        self._index = index
        self._texts: list[str] = []
        self.final: wire.Refusal = {"type": "refusal", "refusal": ""}
        self._head = wire.delta_head(
            {
                "type": "response.refusal.delta",
                "item_id": message.id,
                "output_index": message.index,
                "content_index": index,
            }
        )

    def start(self) -> list[bytes]:
        """See `Block`."""
        return [_content_part("response.content_part.added", self._message, self._index, self.final)]

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        self._texts.append(delta.text)
        return self._head + orjson.dumps(delta.text)

    def annotate(self, annotation: Annotation) -> list[bytes]:
        """See `Block`."""
        return []

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        self.final["refusal"] = "".join(self._texts)
        return [
            wire.event(
                {
                    "type": "response.refusal.done",
                    "item_id": self._message.id,
                    "output_index": self._message.index,
                    "content_index": self._index,
                    "refusal": self.final["refusal"],
                }
            ),
            _content_part("response.content_part.done", self._message, self._index, self.final),
            *self._message.part_ended(end.cut),
        ]


class Reasoning(Item):
    """A reasoning block, its text shown as content (one part `reasoning_text`)."""

    def __init__(self, id: str, index: int, seal: Callable[[str], str] | None) -> None:
        super().__init__(id, index)
        self._seal = seal
        self._texts: list[str] = []
        self._head = wire.delta_head(
            {
                "type": "response.reasoning_text.delta",
                "item_id": id,
                "output_index": index,
                "content_index": 0,
            }
        )

    def start(self) -> list[bytes]:
        """See `Block`."""
        part: wire.ReasoningText = {"type": "reasoning_text", "text": ""}
        item: wire.ReasoningItem = {
            "id": self.id,
            "type": "reasoning",
            "status": "in_progress",
            "summary": [],
            "content": [],
        }
        return [self.added(item), _content_part("response.content_part.added", self, 0, part)]

    def delta(self, delta: Delta) -> bytes:
        """See `Block`."""
        self._texts.append(delta.text)
        return self._head + orjson.dumps(delta.text)

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        text = "".join(self._texts)
        part: wire.ReasoningText = {"type": "reasoning_text", "text": text}
        item: wire.ReasoningItem = {
            "id": self.id,
            "type": "reasoning",
            "status": status_of(end.cut),
            "summary": [],
            "content": [part],
        }
        self._sealed(item, text)
        return [
            wire.event(
                {
                    "type": "response.reasoning_text.done",
                    "item_id": self.id,
                    "output_index": self.index,
                    "content_index": 0,
                    "text": text,
                }
            ),
            _content_part("response.content_part.done", self, 0, part),
            self.done(item),
        ]

    def _sealed(self, item: wire.ReasoningItem, text: str) -> None:
        if self._seal is not None:
            item["encrypted_content"] = self._seal(text)


class SummarisedReasoning(Reasoning):
    """A reasoning block, its text shown as summary (one part `summary_text`) and nowhere else."""

    def __init__(self, id: str, index: int, seal: Callable[[str], str] | None) -> None:
        super().__init__(id, index, seal)
        self._head = wire.delta_head(
            {
                "type": "response.reasoning_summary_text.delta",
                "item_id": id,
                "output_index": index,
                "summary_index": 0,
            }
        )

    def start(self) -> list[bytes]:
        """See `Block`."""
        item: wire.ReasoningItem = {
            "id": self.id,
            "type": "reasoning",
            "status": "in_progress",
            "summary": [],
        }
        part = self._part("response.reasoning_summary_part.added", {"type": "summary_text", "text": ""})
        return [self.added(item), wire.event(part)]

    def end(self, end: BlockEnd) -> list[bytes]:
        """See `Block`."""
        text = "".join(self._texts)
        summary: wire.SummaryText = {"type": "summary_text", "text": text}
        part = self._part("response.reasoning_summary_part.done", summary)
        if end.cut:
            part["status"] = "incomplete"
        item: wire.ReasoningItem = {
            "id": self.id,
            "type": "reasoning",
            "status": status_of(end.cut),
            "summary": [summary],
        }
        self._sealed(item, text)
        return [
            wire.event(
                {
                    "type": "response.reasoning_summary_text.done",
                    "item_id": self.id,
                    "output_index": self.index,
                    "summary_index": 0,
                    "text": text,
                }
            ),
            wire.event(part),
            self.done(item),
        ]

    def _part(self, type: wire.SummaryPartType, part: wire.SummaryText) -> wire.SummaryPartEvent:
        return {
            "type": type,
            "item_id": self.id,
            "output_index": self.index,
            "summary_index": 0,
            "part": part,
        }


def _content_part(
    type: wire.ContentPartType,
    item: Item,
    index: int,
    part: wire.OutputText | wire.Refusal | wire.ReasoningText,
) -> bytes:
    return wire.event(
        {"type": type, "item_id": item.id, "output_index": item.index, "content_index": index, "part": part}
    )

"""The output items of an upstream's Responses answer while they arrive, into blocks.

An item is announced, grows by deltas and comes once more as a whole, with what no delta said. Some servers
leave out the announcement, the deltas or the whole; so each of them is taken for what it says, and of a whole
only what has not come yet. What becomes of the kinds of items:

    message             its text as one block, its refusal as another; the parts of a message join to one text
    reasoning           one block: the parts of the summary, a blank line between them, or the raw text. Where
                        both say the same it is told once; `encrypted_content` is the block's sealed form
    function_call       a call with its arguments
    custom_tool_call    a call with the arguments `{"input": …}`
    all others          nothing: what OpenAI's servers ran shows in the text

A block begins with its first fragment, so that nothing is told of an item that stays empty.
Reference: OpenAI API, "Streaming events"; "The response object", `output`.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import orjson

from gateway.dialects.chat.read import word
from gateway.dialects.chat.wire import annotation_from_chat
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Kind, Start
from gateway.json_scan import ObjectScan
from gateway.types import JSON

Source = Literal["text", "refusal", "summary", "content", "arguments", "input"]
"""What of an item a fragment belongs to."""

ITEMS_LIMIT = 4096
"""Most items in one answer; an upstream that repeats itself without end is stopped there."""

_PARAGRAPH = "\n\n"


class Blocks:
    """The blocks of one answer: numbers them, and begins the answer with the first."""

    def __init__(self) -> None:
        self.start = Start()
        self.begun = False
        self.called = False
        """Some tool was called."""
        self.broken_off = False
        """The arguments of some call end in the middle of their object."""
        self._next = 0
        self._call_ids: set[str] = set()

    def begin(self, out: list[Event]) -> None:
        """Begin the answer, once."""
        if not self.begun:
            self.begun = True
            out.append(self.start)

    def open(self, out: list[Event], kind: Kind, call_id: str | None = None, name: str | None = None) -> int:
        """Begin a block; return its number."""
        self.begin(out)
        block = self._next
        self._next += 1
        out.append(BlockStart(block, kind, call_id, name))
        return block

    def call(self, out: list[Event], call_id: str | None, name: str) -> int:
        """Begin a tool call under an id of its own."""
        self.called = True
        wanted = call_id or f"call_{len(self._call_ids) + 1}"
        unique, count = wanted, 1
        while unique in self._call_ids:
            count += 1
            unique = f"{wanted}_{count}"
        self._call_ids.add(unique)
        return self.open(out, "tool_call", unique, name)


class Item:
    """An item of which nothing is told; the base of the others."""

    def __init__(self, blocks: Blocks) -> None:
        self.ended = False
        self._blocks = blocks
        self._came: dict[tuple[Source, int], list[str]] = {}

    def delta(self, source: Source, index: int, text: str, logprobs: list[Any] | None, out: list[Event]) -> None:
        """Take a fragment."""

    def annotate(self, index: int, value: JSON, out: list[Event]) -> None:
        """Take a remark on a part."""

    def complete(self, item: JSON, out: list[Event]) -> None:
        """Take the item as a whole: what of it has not come yet."""

    def end(self, cut: bool, out: list[Event]) -> None:
        """Close what is open."""

    def _note(self, source: Source, index: int, text: str) -> None:
        self._came.setdefault((source, index), []).append(text)

    def _rest(self, source: Source, index: int, whole: Any) -> str:
        """Return what of a whole text has not come yet; nothing where what came differs from it."""
        if not isinstance(whole, str):
            return ""
        came = "".join(self._came.get((source, index), ()))
        return whole[len(came) :] if whole.startswith(came) else ""


class Message(Item):
    """A message: text, and perhaps a refusal."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self._open: dict[Kind, int] = {}
        self._remarks: dict[int, int] = {}
        """Remarks so far, by part."""

    def delta(self, source: Source, index: int, text: str, logprobs: list[Any] | None, out: list[Event]) -> None:
        """See `Item`."""
        self._note(source, index, text)
        kind: Kind = "refusal" if source == "refusal" else "text"
        out.append(Delta(self._block(kind, out), text, logprobs))

    def annotate(self, index: int, value: JSON, out: list[Event]) -> None:
        """See `Item`."""
        self._remarks[index] = self._remarks.get(index, 0) + 1
        out.append(Annotation(self._block("text", out), annotation_from_chat(value)))

    def complete(self, item: JSON, out: list[Event]) -> None:
        """See `Item`."""
        content = item.get("content")
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        for index, part in enumerate(objects(content)):
            if part.get("type") == "refusal":
                self._complete_part("refusal", index, part.get("refusal"), None, out)
                continue
            self._complete_part("text", index, part.get("text"), logprobs_of(part.get("logprobs")), out)
            remarks = [value for value in objects(part.get("annotations")) if word(value.get("type"))]
            for value in remarks[self._remarks.get(index, 0) :]:
                self.annotate(index, value, out)

    def end(self, cut: bool, out: list[Event]) -> None:
        """See `Item`."""
        out += [BlockEnd(block, cut=cut) for block in self._open.values()]
        self._open = {}

    def _complete_part(
        self, source: Source, index: int, whole: Any, logprobs: list[Any] | None, out: list[Event]
    ) -> None:
        rest = self._rest(source, index, whole)
        if rest:
            # Where fragments came, so did their log probabilities.
            self.delta(source, index, rest, None if (source, index) in self._came else logprobs, out)

    def _block(self, kind: Kind, out: list[Event]) -> int:
        if kind not in self._open:
            self._open[kind] = self._blocks.open(out, kind)
        return self._open[kind]


class Reasoning(Item):
    """Reasoning: a summary, the raw text, or both."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self._block: int | None = None
        self._shown: Source | None = None
        """What came first, and is told as it comes; the other is held."""
        self._texts: dict[Source, list[str]] = {"summary": [], "content": []}
        self._part: int | None = None
        self._sealed: str | None = None

    def delta(self, source: Source, index: int, text: str, logprobs: list[Any] | None, out: list[Event]) -> None:
        """See `Item`."""
        self._note(source, index, text)
        said = self._texts[source]
        if source == "summary":
            if said and index != self._part:
                text = _PARAGRAPH + text
            self._part = index
        said.append(text)
        if self._shown is None:
            self._shown = source
        if self._shown == source:
            self._tell(text, out)

    def complete(self, item: JSON, out: list[Event]) -> None:
        """See `Item`."""
        for index, part in enumerate(objects(item.get("summary"))):
            self._complete_part("summary", index, part.get("text"), out)
        for index, part in enumerate(objects(item.get("content"))):
            self._complete_part("content", index, part.get("text"), out)
        self._sealed = word(item.get("encrypted_content"))

    def end(self, cut: bool, out: list[Event]) -> None:
        """See `Item`."""
        shown = "".join(self._texts[self._shown]).strip() if self._shown else ""
        held = "".join(self._texts["content" if self._shown == "summary" else "summary"])
        if held.strip() not in ("", shown):
            self._tell(_PARAGRAPH + held, out)
        if self._block is None and self._sealed is not None:
            self._block = self._blocks.open(out, "reasoning")
        if self._block is not None:
            out.append(BlockEnd(self._block, self._sealed, cut))

    def _complete_part(self, source: Source, index: int, whole: Any, out: list[Event]) -> None:
        rest = self._rest(source, index, whole)
        if rest:
            self.delta(source, index, rest, None, out)

    def _tell(self, text: str, out: list[Event]) -> None:
        if self._block is None:
            self._block = self._blocks.open(out, "reasoning")
        out.append(Delta(self._block, text))


class Call(Item):
    """A call of a function. It is held until its name is known."""

    source: Source = "arguments"

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self._block: int | None = None
        self._scan = ObjectScan()

    def announce(self, item: JSON, out: list[Event]) -> None:
        """Take name and id, where they are known; then what was held."""
        name = word(item.get("name"))
        if self._block is not None or name is None:
            return
        self._block = self._blocks.call(out, word(item.get("call_id")) or word(item.get("id")), name)
        held = "".join(self._came.get((self.source, 0), ()))
        if held:
            self._tell(self._block, held, out)

    def delta(self, source: Source, index: int, text: str, logprobs: list[Any] | None, out: list[Event]) -> None:
        """See `Item`."""
        self._note(self.source, 0, text)
        if self._block is not None:
            self._tell(self._block, text, out)

    def complete(self, item: JSON, out: list[Event]) -> None:
        """See `Item`."""
        self.announce(item, out)
        whole = item.get(self.source)
        if isinstance(whole, dict):  # some servers keep them parsed
            whole = json.dumps(whole, ensure_ascii=False)
        rest = self._rest(self.source, 0, whole)
        if rest:
            self.delta(self.source, 0, rest, None, out)

    def end(self, cut: bool, out: list[Event]) -> None:
        """See `Item`."""
        if self._block is None:  # nobody can run a call without a name
            return
        if self._scan.state == "inside":
            # llama.cpp says `completed` also where the token limit cut the arguments.
            self._blocks.broken_off = cut = True
        elif self._scan.state == "blank" and not cut:
            out.append(Delta(self._block, "{}"))
        out.append(BlockEnd(self._block, cut=cut))

    def _tell(self, block: int, text: str, out: list[Event]) -> None:
        self._scan.feed(text)
        out.append(Delta(block, text))


class CustomCall(Call):
    """A call of a custom tool: its raw input, as the member `input` of JSON arguments."""

    source: Source = "input"

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self._opened = False

    def end(self, cut: bool, out: list[Event]) -> None:
        """See `Item`."""
        if self._block is not None:
            if not cut:
                out.append(Delta(self._block, '"}' if self._opened else '{"input":""}'))
            out.append(BlockEnd(self._block, cut=cut))

    def _tell(self, block: int, text: str, out: list[Event]) -> None:
        spelled = orjson.dumps(text)[1:-1].decode()
        out.append(Delta(block, spelled if self._opened else f'{{"input":"{spelled}'))
        self._opened = True


def logprobs_of(value: Any) -> list[Any] | None:
    """Return token objects as Chat has them, None where there are none. In deltas OpenAI leaves out `bytes`."""
    tokens = [{"bytes": None, **token} for token in objects(value) if isinstance(token.get("token"), str)]
    for token in tokens:
        token["top_logprobs"] = [{"bytes": None, **rival} for rival in objects(token.get("top_logprobs"))]
    return tokens or None


def objects(value: Any) -> list[JSON]:
    """Return the objects of a list; nothing of anything else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []

"""Takes `<think>…</think>` at the very start of the text out as reasoning.

Servers without a reasoning parser leave the tags of Qwen, DeepSeek and their kin in the text. The reasoning
is kept exactly; of the text after it only blank lines right behind the closing tag go. Tags anywhere else
are text, and so is everything where the upstream sends reasoning of its own or calls a tool first.

States, each one only left for a later one:

    start      white space, or the beginning of `<think>`: held
    reasoning  inside; the beginning of `</think>` is held
    gap        behind the closing tag; white space is held
    text       nothing more to do

Where the model's chat template opens `<think>` itself, the state after `start` is always `reasoning`, and
what comes is streamed as such from the first character.
"""

from __future__ import annotations

import re
from typing import Literal

from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure

_OPEN = "<think>"
_CLOSE = "</think>"
_BLOCK = 1_000_000
"""Number of the reasoning block."""
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")


class ThinkFilter:
    """See `gateway.dialects.Filter`. `opened`: the template has opened the tag."""

    def __init__(self, *, opened: bool = False) -> None:
        self._opened = opened
        self._state: Literal["start", "reasoning", "gap", "text"] = "start"
        self._text: BlockStart | None = None
        """The text block, as long as the client has not been told of it."""
        self._held: list[Event] = []
        """Events of the text block that wait in the states `start` and `gap`."""
        self._rest = ""
        """Text that is held: joined from `_held`, or the beginning of a closing tag."""
        self._reasoning = False

    @property
    def done(self) -> bool:
        """See `gateway.dialects.Filter`."""
        return self._state == "text"

    def feed(self, event: Event) -> list[Event]:
        """Take one event; return what takes its place."""
        if self._state == "text":
            return [event]
        if self._text is None:
            return self._before(event)
        if isinstance(event, Delta) and event.block == self._text.block:
            return self._delta(event)
        if isinstance(event, BlockEnd) and event.block == self._text.block:
            return self._end(event)
        if isinstance(event, Annotation) and event.block == self._text.block:
            self._held.append(event)
            return []
        if isinstance(event, Failure):
            held = self._release() if self._state == "start" else []
            return [*held, event]
        return [event]

    def _before(self, event: Event) -> list[Event]:
        if not isinstance(event, BlockStart):
            return [event]
        if event.kind != "text":
            self._state = "text"
            return [event]
        self._text = event
        if self._opened:
            self._state = "reasoning"
        return []

    def _delta(self, event: Delta) -> list[Event]:
        self._rest += event.text
        if self._state == "reasoning":
            return self._in_reasoning()
        self._held.append(event)
        return self._at_start() if self._state == "start" else self._in_gap()

    def _at_start(self) -> list[Event]:
        text = self._rest.lstrip()
        if text.startswith(_OPEN):
            self._state = "reasoning"
            self._rest = text[len(_OPEN) :]
            self._held = []
            return self._in_reasoning()
        return [] if _OPEN.startswith(text) else self._release()

    def _in_reasoning(self) -> list[Event]:
        text = self._rest
        if self._opened:
            # The model may open the tag once more.
            bare = text.lstrip()
            if bare.startswith(_OPEN):
                text = bare[len(_OPEN) :]
            elif _OPEN.startswith(bare):
                return []
            self._opened = False
        inside, tag, after = text.partition(_CLOSE)
        if not tag:
            keep = _overlap(text, _CLOSE)
            self._rest = text[len(text) - keep :]
            return self._reason(text[: len(text) - keep])
        events = self._reason(inside)
        if self._reasoning:
            events.append(BlockEnd(_BLOCK))
        self._state = "gap"
        self._rest = after
        assert self._text is not None
        if after:
            self._held.append(Delta(self._text.block, after))
        return events + (self._in_gap() if after else [])

    def _reason(self, text: str) -> list[Event]:
        if not text:
            return []
        if self._reasoning:
            return [Delta(_BLOCK, text)]
        self._reasoning = True
        return [BlockStart(_BLOCK, "reasoning"), Delta(_BLOCK, text)]

    def _in_gap(self) -> list[Event]:
        if not self._rest.strip():
            return []
        blank = _BLANK_LINES.match(self._rest)
        skip = blank.end() if blank else 0
        held: list[Event] = []
        for event in self._held:
            if isinstance(event, Delta) and skip:
                size = len(event.text)
                if size > skip:
                    held.append(Delta(event.block, event.text[skip:], event.logprobs))
                skip = max(skip - size, 0)
            else:
                held.append(event)
        self._held = held
        return self._release()

    def _release(self) -> list[Event]:
        """Pass on what is held as text; from here on everything passes."""
        assert self._text is not None
        self._state = "text"
        return [self._text, *self._held]

    def _end(self, event: BlockEnd) -> list[Event]:
        """The text block ends before it was known to be text."""
        state, self._state = self._state, "text"
        if state == "start":
            return [*self._release(), event]
        if state == "reasoning":
            events = self._reason(self._rest)
            return [*events, BlockEnd(_BLOCK, cut=event.cut)] if self._reasoning else events
        return []


def _overlap(text: str, tag: str) -> int:
    """Return how many characters at the end of the text may begin the tag."""
    for size in range(min(len(text), len(tag) - 1), 0, -1):
        if text.endswith(tag[:size]):
            return size
    return 0

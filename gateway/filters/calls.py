"""Turns tool calls that leak into the text back into tool calls.

A call is looked for only where its opener begins a line (up to three blanks before it) outside a code fence,
and only for tools that the request declared. From the opener on the text is held; the grammar of that form
(`gateway.filters.leaks`) says when it is a call, and says so as soon as it cannot be one: then the text goes
out as text. Everything round a call stays, but for blank lines right after it and white space before it where
there is no other text.

States within a text block:

    line    inside a line that is nothing but text
    head    at the beginning of a line: it may be a fence or an opener; what may be an opener is held
    call    behind an opener: held

Reference: CommonMark 0.31, section 4.5 "Fenced code blocks".
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import orjson

from gateway.dialects import NewId
from gateway.events import Annotation, BlockEnd, BlockStart, Delta, Event, Failure, Finish
from gateway.filters.leaks import GRAMMARS, Calls, Grammar, NotACall, Reader, Reading, Tools
from gateway.types import JSON

HOLD_LIMIT = 1024 * 1024
"""Most characters that are held as one possible call."""
DOUBT_LIMIT = 16 * 1024
"""After holding more than this for nothing the filter stops looking."""
_HEAD_LIMIT = 1024
"""Longest line of which it matters whether it is a fence."""
_FIRST_BLOCK = 2_000_000
"""Number of the first block that this filter makes."""

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)\Z", re.DOTALL)
_BLANK_LINES = re.compile(r"\A(?:[ \t]*\r?\n)+")


class CallsFilter:
    """See `gateway.dialects.Filter`. `tools`: those of the request, by `gateway.filters.typed.declared`."""

    def __init__(self, tools: Tools, new_id: NewId) -> None:
        self._tools = tools
        self._new_id = new_id
        self._off = not tools
        """Nothing is looked for any more."""
        self._found = False
        self._text: BlockStart | None = None
        """The text block that comes in; None outside one."""
        self._out: int | None = None
        """The text block that goes out; None before its first text."""
        self._blocks = _FIRST_BLOCK
        self._called = False
        """A call was the last thing to go out of this block."""
        self._blank = ""
        """White space that goes out only with text after it."""
        self._fence = ""
        """The run of characters that opened the fence in which the text is."""
        self._head: str | None = ""
        """The line so far, in the state `head`."""
        self._unsaid = ""
        """The part of `_head` that is held."""
        self._reader = Reader()
        self._reading: Reading | None = None
        self._raw: list[str] = []
        self._held = 0
        self._pieces: list[str] = []
        self._logprobs: list[Any] = []
        self._events: list[Event] = []

    @property
    def done(self) -> bool:
        """See `gateway.dialects.Filter`."""
        return self._off and self._text is None and not self._found

    def feed(self, event: Event) -> list[Event]:
        """Take one event; return what takes its place."""
        text = self._text
        if text is None:
            return [event] if type(event) is Delta else self._outside(event)
        if isinstance(event, Delta) and event.block == text.block:
            return self._delta(event)
        if isinstance(event, BlockEnd) and event.block == text.block:
            return self._end(event)
        if isinstance(event, Annotation) and event.block == text.block:
            return self._annotation(event)
        if isinstance(event, Failure):
            self._say(self._unsaid + "".join(self._raw))
            return [*self._taken(), event]
        return self._beside(event)

    def _outside(self, event: Event) -> list[Event]:
        if isinstance(event, BlockStart) and event.kind == "text" and not self._off:
            self._text = event
            self._out = None
            self._called = False
            self._head = self._blank = self._unsaid = self._fence = ""
            return []
        if isinstance(event, Finish) and self._found and event.reason in ("stop", "other"):
            return [dataclasses.replace(event, reason="tool_calls")]
        return self._beside(event)

    def _beside(self, event: Event) -> list[Event]:
        if isinstance(event, BlockStart) and event.kind == "tool_call":
            # The upstream finds the calls itself, so what looks like one in the text is text.
            self._off = True
        return [event]

    def _delta(self, event: Delta) -> list[Event]:
        in_line = self._head is None and self._reading is None and self._out == event.block
        if in_line and "\n" not in event.text:
            return [event]
        self._logprobs += event.logprobs or []
        self._take(event.text)
        return self._taken()

    def _annotation(self, event: Annotation) -> list[Event]:
        block = self._open()
        return [*self._taken(), Annotation(block, event.value)]

    def _end(self, event: BlockEnd) -> list[Event]:
        while self._reading is not None:
            # What was cut may be half a call, so it is none; otherwise a closing tag may be missing.
            self._reader.ended = True
            self._take(self._give_up() if event.cut else self._read(self._reading))
        self._say(self._unsaid)
        if self._out is None and not self._called:
            self._open()
            self._pieces.append(self._blank)
        events = self._taken()
        if self._out is not None:
            events.append(dataclasses.replace(event, block=self._out))
        self._text = None
        return events

    # --- text in -------------------------------------------------------------------------------------------

    def _take(self, text: str) -> None:
        while text:
            if self._reading is not None:
                self._raw.append(text)
                self._held += len(text)
                self._reader.text += text
                text = self._read(self._reading)
            elif self._off:
                self._say(self._unsaid + text)
                self._unsaid = text = ""
            elif self._head is None:
                text = self._line(text)
            else:
                text = self._line_head(self._head, text)

    def _line(self, text: str) -> str:
        line, newline, rest = text.partition("\n")
        self._say(line + newline)
        if newline:
            self._head = ""
        return rest

    def _line_head(self, head: str, text: str) -> str:
        line, newline, rest = text.partition("\n")
        head += line
        unsaid = self._unsaid + line
        solid = head.lstrip(" ")
        indent = len(head) - len(solid)
        if indent <= 3 and not self._fence:
            opener = next((opener for opener in GRAMMARS if solid.startswith(opener)), None)
            if opener is not None:
                self._start_call(head[: indent + len(opener)], GRAMMARS[opener])
                return solid[len(opener) :] + newline + rest
            if not newline and any(opener.startswith(solid) for opener in GRAMMARS):
                self._head, self._unsaid = head, unsaid
                return ""
        self._say(unsaid + newline)
        self._unsaid = ""
        may_be_fence = len(head) < _HEAD_LIMIT and (self._fence or solid[:1] in "`~")
        if newline and may_be_fence:
            self._follow_fence(head)
        self._head = "" if newline else head if may_be_fence else None
        return rest

    def _follow_fence(self, line: str) -> None:
        found = _FENCE.match(line)
        if found is None:
            return
        run, info = found.groups()
        if not self._fence:
            if run[0] == "~" or "`" not in info:
                self._fence = run
        elif run.startswith(self._fence) and not info.strip():
            self._fence = ""

    # --- a possible call -----------------------------------------------------------------------------------

    def _start_call(self, raw: str, grammar: Grammar) -> None:
        self._reader = Reader()
        self._reading = grammar(self._reader, self._tools)
        self._raw = [raw]
        self._held = len(raw)
        self._unsaid = ""

    def _read(self, reading: Reading) -> str:
        """Let the grammar read on; return text that is to be taken anew."""
        try:
            next(reading)
        except NotACall:
            return self._give_up()
        except StopIteration as done:
            self._call(done.value)
            self._reading = None
            self._raw = []
            self._head = ""
            return self._reader.text
        return self._give_up() if self._held > HOLD_LIMIT else ""

    def _give_up(self) -> str:
        """It is no call: return its text, of which at least the first line is nothing but text."""
        raw = "".join(self._raw)
        self._off = self._off or self._held > DOUBT_LIMIT
        self._reading = self._head = None
        self._raw = []
        return raw

    def _call(self, calls: Calls) -> None:
        self._flush()
        if self._out is not None:
            self._events.append(BlockEnd(self._out))
            self._out = None
        self._blank = ""
        self._logprobs = []
        self._called = self._found = True
        for call in calls:
            block = self._new_block()
            self._events += (
                BlockStart(block, "tool_call", call_id=self._new_id("call_"), name=call.name),
                Delta(block, _dump(call.arguments)),
                BlockEnd(block),
            )

    # --- events out ----------------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if self._out is None:
            text = self._blank + text
            if self._called:
                text = _BLANK_LINES.sub("", text)
            if not text.strip():
                self._blank = text
                return
            self._blank = ""
            self._open()
        self._pieces.append(text)

    def _open(self) -> int:
        """Return the number of the text block that goes out; begin it if need be."""
        assert self._text is not None
        if self._out is None:
            self._out = self._new_block() if self._called else self._text.block
            self._events.append(BlockStart(self._out, "text"))
        return self._out

    def _flush(self) -> None:
        text = "".join(self._pieces)
        self._pieces = []
        if text and self._out is not None:
            self._events.append(Delta(self._out, text, self._logprobs or None))
            self._logprobs = []

    def _taken(self) -> list[Event]:
        self._flush()
        events, self._events = self._events, []
        return events

    def _new_block(self) -> int:
        self._blocks += 1
        return self._blocks


def _dump(arguments: JSON) -> str:
    try:
        return orjson.dumps(arguments).decode()
    except TypeError:
        # Half a surrogate pair, or a number beyond 64 bits.
        return json.dumps(arguments)

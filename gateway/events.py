"""The neutral vocabulary of answers: what decoders say and encoders spell.

Theory. An answer is one run of the grammar

    Start ( BlockStart (Delta | Annotation)* BlockEnd )* ( Finish | Failure )    or    Failure

where blocks may overlap (parallel tool calls interleave on the wire), each block number is used once, and
`Finish` comes only after every block has ended. `Failure` ends all open blocks at once: nothing is closed
for them, because a client would run a call that looks finished. A lone `Failure` is an answer that failed
before it began, and may still become an HTTP status.

Decoders own boundaries, encoders own spelling: every oddity of an upstream ends in its decoder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from gateway.errors import GatewayError

Kind = Literal["text", "reasoning", "refusal", "tool_call"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one exchange.

    `input_tokens` includes `cached_tokens`, `output_tokens` includes `reasoning_tokens` (the Chat way of
    counting). `estimated`: the upstream told nothing, the figures are ours.
    """

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Start:
    """The answer begins. `created` is in seconds since the epoch; what the upstream left out is None."""

    id: str | None = None
    model: str | None = None
    created: int | None = None


@dataclass(frozen=True, slots=True)
class BlockStart:
    """A block begins. `call_id` and `name` are set for tool calls, and only for them."""

    block: int
    kind: Kind
    call_id: str | None = None
    name: str | None = None


@dataclass(slots=True)
class Delta:
    """A fragment of a block's text (of a tool call: of its JSON arguments); never empty.

    `logprobs` are Chat's token objects (`token`, `logprob`, `bytes`, `top_logprobs`), asked for or None.
    Not to be changed either, but not frozen: that would make the most frequent object cost three times as much.
    """

    block: int
    text: str
    logprobs: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark on a text block, in the form of Responses (`{"type": "url_citation", "url": …}`)."""

    block: int
    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BlockEnd:
    """A block is complete. `sealed` is opaque reasoning of the upstream, to be handed back later.

    `cut`: the answer ended for length or by a content filter within this block, so a tool call's arguments
    may be half of what they were to be.
    """

    block: int
    sealed: str | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is complete.

    `raw_reason` is the upstream's own word. `stop_sequence` is the stop string met, where the upstream tells.
    """

    reason: FinishReason
    raw_reason: str | None = None
    usage: Usage | None = None
    stop_sequence: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer broke; ends the stream instead of `Finish`."""

    error: GatewayError


Event = Start | BlockStart | Delta | Annotation | BlockEnd | Finish | Failure


class GrammarError(ValueError):
    """A sequence of events that the grammar does not allow."""


def check(events: Iterable[Event]) -> None:
    """Raise `GrammarError` unless the events are one whole answer by the grammar above."""
    grammar = _Grammar()
    for position, event in enumerate(events):
        fault = grammar.fault(event)
        if fault:
            raise GrammarError(f"event {position} ({event!r}): {fault}")
    if not grammar.ended:
        raise GrammarError("the answer has no end")


class _Grammar:
    """The state of one run: not begun, begun with a set of open blocks, ended."""

    def __init__(self) -> None:
        self.begun = False
        self.ended = False
        self._open: dict[int, Kind] = {}
        self._seen: set[int] = set()

    def fault(self, event: Event) -> str | None:
        """Take one event; return what is wrong with it, or None."""
        if self.ended:
            return "after the end"
        match event:
            case Start():
                fault = "a second start" if self.begun else None
                self.begun = True
                return fault
            case Failure():
                self.ended = True
                return None
            case _ if not self.begun:
                return "before the start"
            case Finish():
                self.ended = True
                return f"blocks {sorted(self._open)} are open" if self._open else None
            case BlockStart():
                return self._block_start(event)
            case Delta():
                return self._inside(event.block) or (None if event.text else "an empty delta")
            case Annotation():
                return self._inside(event.block)
            case BlockEnd():
                fault = self._inside(event.block)
                self._open.pop(event.block, None)
                return fault
            case _:  # pragma: no cover
                assert_never(event)

    def _block_start(self, event: BlockStart) -> str | None:
        if event.block in self._seen:
            return "a block number used twice"
        self._seen.add(event.block)
        self._open[event.block] = event.kind
        named = bool(event.call_id and event.name)
        if named != (event.kind == "tool_call"):
            return "a tool call, and only that, has an id and a name"
        return None

    def _inside(self, block: int) -> str | None:
        return None if block in self._open else "a block that is not open"

"""The answers that the mock upstream gives, told apart by the model's name.

A delta carries a mark (` t12`, the thirteenth text delta), so that the load can tell which ones are missing
however they were cut again on their way. In paced answers a mark is followed by the time of its sending
(` t12@8412345678901`, monotonic nanoseconds), from which the load takes the delay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

MARK = re.compile(r"[trk]\d+")
STAMP = re.compile(r"@(\d+)")

BURST_DELTAS = 64


@dataclass(frozen=True)
class Piece:
    """One delta: its kind (`text`, `reasoning` or `call`), its text; of a call also its index."""

    kind: str
    text: str
    call: int = 0


@dataclass(frozen=True)
class Scenario:
    """One answer."""

    name: str
    pieces: tuple[Piece, ...]
    interval: float = 0.0
    """Seconds between two deltas; 0: all at once."""
    whole: bool = False

    @property
    def seconds(self) -> float:
        """How long the answer takes."""
        return self.interval * len(self.pieces)

    @cached_property
    def content(self) -> dict[str, str]:
        """All that the client must receive: kind to text."""
        content: dict[str, str] = {}
        for piece in self.pieces:
            content[piece.kind] = content.get(piece.kind, "") + piece.text
        return content

    def missing(self, received: dict[str, str]) -> int:
        """Count the deltas that did not arrive."""
        expected = {mark for text in self.content.values() for mark in MARK.findall(text)}
        return len(expected.difference(*(MARK.findall(text) for text in received.values())))


def _text(count: int) -> tuple[Piece, ...]:
    return tuple(Piece("text", f" t{i}") for i in range(count))


def _call(index: int, count: int) -> tuple[Piece, ...]:
    words = [f"k{index}{i:03}" for i in range(count)]
    texts = ['{"command": "' + words[0], *(f" {word}" for word in words[1:-1]), f' {words[-1]}"}}']
    return tuple(Piece("call", text, index) for text in texts)


def _agent_turn() -> tuple[Piece, ...]:
    """Reasoning, a sentence, two calls: 64 deltas, as a coding model answers."""
    reasoning = tuple(Piece("reasoning", f" r{i}") for i in range(24))
    return (*reasoning, *_text(8), *_call(1, 16), *_call(2, 16))


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("whole", _text(BURST_DELTAS), whole=True),
        Scenario("burst", _text(BURST_DELTAS)),
        Scenario("burst-500", _text(500)),
        Scenario("tools", _agent_turn()),
        Scenario("paced", _text(BURST_DELTAS), interval=0.02),
        Scenario("slow", _text(60), interval=1.0),
    )
}

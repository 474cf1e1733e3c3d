"""The rhythm of a replayed answer: what is sent when, and how it ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gateway.http1 import Headers
from gateway.recording.log import Answer, Attempt, Exchange

Ending = Literal["clean", "cut", "reset", "silent"]
"""`cut`: the connection is closed in the middle. `reset`: it is broken. `silent`: nothing more comes."""

_OWN_TO_A_CONNECTION = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    ]
)
_BROKEN = "broke the connection"
"""How `gateway.upstream` tells a reset from an end."""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer as it is to be sent; times are seconds after the request."""

    status: int | None
    """None: not even a head is sent."""
    headers: Headers
    length: int | None
    """The announced length of the body. None: it is sent in chunks."""
    head_at: float
    pieces: tuple[tuple[float, bytes], ...]
    ending: Ending
    ends_at: float

    def steps(self, speed: float) -> Iterator[tuple[float, bytes]]:
        """Yield the pieces with their times; `speed` 2 halves the times, 0 makes them all 0."""
        for at, data in self.pieces:
            if data:
                yield scaled(at, speed), data


def scaled(seconds: float, speed: float) -> float:
    """Return a time of the recording as one of the replay."""
    return seconds / speed if speed else 0.0


def script(exchange: Exchange, attempt: Attempt) -> Script:
    """Return how the answer of an attempt is to be sent."""
    answer = attempt.answer
    began = attempt.request.offset if attempt.request else answer.offset or 0.0
    pieces = tuple((chunk.offset - began, chunk.data) for chunk in answer.chunks)
    head_at = (answer.offset if answer.offset is not None else answer.ended or began) - began
    last = pieces[-1][0] if pieces else head_at
    ending = _ending(exchange, answer)
    headers = [(name, value) for name, value in answer.headers if name not in _OWN_TO_A_CONNECTION]
    ends_at = last if answer.ended is None else answer.ended - began
    return Script(answer.status, headers, _length(answer, ending), head_at, pieces, ending, ends_at)


def _ending(exchange: Exchange, answer: Answer) -> Ending:
    """Nobody knows how an answer went on that the client or the recorder left: it is cut there."""
    if answer.end == "complete":
        return "clean"
    if answer.end == "timeout":
        return "silent"
    if answer.end == "closed" and exchange.answer.end not in (None, "client_gone"):
        return "clean"
    return "reset" if _BROKEN in str(answer.line.get("error")) else "cut"


def _length(answer: Answer, ending: Ending) -> int | None:
    said = answer.header("content-length")
    if said is None or not said.isdecimal():
        return None
    # What was replaced in the recording (a key) may have had another length.
    return len(answer.body) if ending == "clean" else int(said)

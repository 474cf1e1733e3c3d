"""The laws that every stream obeys, as functions that tests of any dialect call.

A decoder is made by the caller, so the same laws hold Chat, Responses and whatever comes later to account.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gateway import events as grammar
from gateway.dialects import Decoder, Encoder, Filter
from gateway.events import BlockEnd, BlockStart, Delta, Event, Failure, Finish, GrammarError
from gateway.sse import Frame, Parser

MakeDecoder = Callable[[], Decoder]


def decode(make: MakeDecoder, reads: Iterable[bytes]) -> list[Event]:
    """Return the events of a stream that arrives in these reads and then ends in order."""
    parser, decoder = Parser(), make()
    events = [event for read in reads for frame in parser.feed(read) for event in decoder.feed(frame)]
    events += [event for frame in parser.finish() for event in decoder.feed(frame)]
    return events + decoder.finish()


def frames_of(data: bytes) -> list[Frame]:
    """Return the frames of a stream."""
    parser = Parser()
    return [*parser.feed(data), *parser.finish()]


def through(filters: Sequence[Filter], events: Iterable[Event]) -> list[Event]:
    """Return the events after a row of filters."""
    passed = list(events)
    for step in filters:
        passed = [after for event in passed for after in step.feed(event)]
    return passed


def encode(encoder: Encoder, events: Iterable[Event]) -> bytes:
    """Return the stream that an encoder makes of events."""
    return b"".join(frame for event in events for frame in encoder.feed(event))


def cuts(data: bytes, seed: int = 1, times: int = 20) -> Iterator[list[bytes]]:
    """Return the stream in different reads: one, lines, bytes, and at random."""
    yield [data]
    yield data.splitlines(keepends=True)
    yield [data[i : i + 1] for i in range(len(data))]
    draw = random.Random(seed)
    for _ in range(times):
        places = sorted(draw.sample(range(len(data) + 1), min(draw.randint(1, 12), len(data))))
        yield [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def obeys_grammar(events: Sequence[Event]) -> None:
    """Law 1: decoded events pass `check`; a lone failure does as well."""
    try:
        grammar.check(events)
    except GrammarError as error:
        raise AssertionError(f"{error}\n{events}") from error


def is_cut_invariant(make: MakeDecoder, data: bytes) -> None:
    """Law 2: however a stream is cut, its events are the same."""
    whole = plain(decode(make, [data]))
    for reads in cuts(data):
        assert plain(decode(make, reads)) == whole


def cut_fails(make: MakeDecoder, data: bytes, is_end: Callable[[Frame], bool]) -> None:
    """Law 7: cut before the frame that tells the end, an answer ends in `Failure`."""
    frames = frames_of(data)
    end = next((place for place, frame in enumerate(frames) if is_end(frame)), len(frames))
    for place in range(min(end + 1, len(frames))):
        decoder = make()
        events = [event for frame in frames[:place] for event in decoder.feed(frame)] + decoder.finish()
        assert isinstance(events[-1], Failure), f"cut after {place} frames"
        obeys_grammar(events)
        assert decoder.finish() == []


def plain(events: Iterable[Event]) -> list[object]:
    """Return events in a form that compares by value; exceptions do not."""
    return [
        (type(event.error), event.error.status, event.error.message) if isinstance(event, Failure) else event
        for event in events
    ]


def summary(events: Sequence[Event]) -> dict[str, Any]:
    """Return what an answer says, as the expectations beside golden streams spell it."""
    last = events[-1]
    if isinstance(last, Failure):
        return {"failure": last.error.status}
    assert isinstance(last, Finish)
    blocks: dict[int, list[Any]] = {}
    for event in events:
        match event:
            case BlockStart():
                blocks[event.block] = [event.kind, *([event.name] if event.name else []), ""]
            case Delta():
                blocks[event.block][-1] += event.text
            case BlockEnd(cut=True):
                blocks[event.block].append("cut")
            case _:
                pass
    usage = last.usage and [
        last.usage.input_tokens,
        last.usage.output_tokens,
        last.usage.cached_tokens,
        last.usage.reasoning_tokens,
    ]
    return {
        "blocks": list(blocks.values()),
        "finish": last.reason,
        "usage": usage,
        "stop_sequence": last.stop_sequence,
    }

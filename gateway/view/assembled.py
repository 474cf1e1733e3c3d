"""What a model said in one answer, from the upstream's bytes: text, reasoning, calls, how it ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway import sse
from gateway.dialects.registry import CHAT, RESPONSES
from gateway.errors import GatewayError
from gateway.events import BlockStart, Delta, Event, Failure, Finish
from gateway.filters.think import ThinkFilter
from gateway.jsonbody import load_upstream
from gateway.profile import Model, Terms
from gateway.types import JSON

_STEP = 65536


def assembled(path: str, body: bytes, *, streamed: bool, think_opened: bool = False) -> JSON:
    """Return what was said; empty where the bytes are no answer of a model."""
    said: JSON = {"text": [], "reasoning": [], "refusal": [], "calls": []}
    blocks: dict[int, list[str]] = {}
    think = ThinkFilter(opened=think_opened)
    try:
        for raw in _events(path, body, streamed):
            for event in think.feed(raw):
                _take(said, blocks, event)
    except (GatewayError, ValueError) as error:
        said["fault"] = str(error)
    return _joined(said)


def _events(path: str, body: bytes, streamed: bool) -> Iterator[Event]:
    upstream = RESPONSES if path.endswith("/responses") else CHAT
    assert upstream.decoder is not None
    decoder = upstream.decoder(Terms(Model("?")))
    if not streamed:
        value = load_upstream(body)
        if isinstance(value, dict):
            yield from decoder.decode(value)
        return
    parser = sse.Parser()
    for frame in _frames(parser, body):
        yield from decoder.feed(frame)
    yield from decoder.finish()


def _frames(parser: sse.Parser, body: bytes) -> Iterable[sse.Frame]:
    for at in range(0, len(body), _STEP):
        yield from parser.feed(body[at : at + _STEP])
    yield from parser.finish()


def _take(said: JSON, blocks: dict[int, list[str]], event: Event) -> None:
    match event:
        case BlockStart(kind="tool_call"):
            pieces = blocks[event.block] = []
            said["calls"].append({"name": event.name, "id": event.call_id, "arguments": pieces})
        case BlockStart():
            blocks[event.block] = []
            said[event.kind].append(blocks[event.block])
        case Delta():
            blocks[event.block].append(event.text)
        case Finish():
            said["finish"] = event.raw_reason or event.reason
            if event.usage:
                said["usage"] = [event.usage.input_tokens, event.usage.output_tokens]
        case Failure():
            said["fault"] = event.error.message
        case _:
            pass


def _joined(said: JSON) -> JSON:
    """Join the pieces; leave out what is empty."""
    for name in ("text", "reasoning", "refusal"):
        said[name] = "\n\n".join("".join(pieces) for pieces in said[name])
    for call in said["calls"]:
        call["arguments"] = "".join(call["arguments"])
    return {name: value for name, value in said.items() if value}

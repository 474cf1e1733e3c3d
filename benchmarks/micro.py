"""The single steps of the hot path, without any network.

    python -m benchmarks.micro

Streams are the mock's answers and those of real servers that the tests keep. For each: microseconds and bytes
of memory for one frame, through the parser, the decoder, the filters with the encoder, and all in a row. For
requests: microseconds from the body's bytes to the bytes that leave. The best of several runs counts, since
noise only adds.
"""

from __future__ import annotations

import itertools
import timeit
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from benchmarks import bodies
from benchmarks.scenarios import SCENARIOS, Piece, Scenario
from benchmarks.upstream import frames
from gateway import tokens
from gateway.bridge import Bridge
from gateway.dialects import Dialect, Encoder, Filter, Translation
from gateway.dialects.chat.request import for_upstream
from gateway.dialects.registry import CHAT, MESSAGES, RESPONSES
from gateway.filters.calls import CallsFilter
from gateway.filters.think import ThinkFilter
from gateway.filters.typed import declared
from gateway.filters.usage import UsageFilter
from gateway.jsonbody import dump, load_object
from gateway.profile import Model, Terms
from gateway.sse import Parser

GOLDEN_STREAMS = Path(__file__).resolve().parents[1] / "tests" / "golden" / "streams"
_TERMS = Terms(Model("benchmark"))
_ROUNDS = 7
_ROUND_SECS = 0.05

CLIENTS = {"responses": RESPONSES, "messages": MESSAGES}
_REQUESTS = {"responses": bodies.responses("m", tools=True), "messages": bodies.messages("m")}


def stream_of(pieces: tuple[Piece, ...]) -> bytes:
    """Return the upstream's stream for these deltas."""
    return b"".join(frames(Scenario("made", pieces)))


def translate(raw: bytes, client: Dialect, model: Model = _TERMS.model) -> tuple[Translation, bytes]:
    """Take a request the whole way from the client's bytes to the upstream's."""
    assert client.to_chat is not None
    translation = client.to_chat(load_object(raw), Terms(model))
    return translation, dump(for_upstream(translation.body, model))


class Steps:
    """Makes the parts of one client's bridge; each answer needs new ones."""

    def __init__(self, client: Dialect, request: bytes) -> None:
        self._client = client
        self._translation, _ = translate(request, client)
        self._tools = declared(self._translation.body.get("tools"))
        self._estimate = tokens.Estimate(self._translation.body)
        self._ids = itertools.count()

    def filters(self) -> list[Filter]:
        """Return the row of filters, as the gateway does."""
        calls = [CallsFilter(self._tools, self.new_id)] if self._tools else []
        return [ThinkFilter(), *calls, UsageFilter(self._estimate.count, tokens.estimate)]

    def encoder(self) -> Encoder:
        """Return the client's encoder."""
        assert self._client.encoder is not None
        return self._client.encoder(self._translation.context, self.new_id, lambda: 1_760_000_000)

    def bridge(self) -> Bridge:
        """Return the whole row."""
        assert CHAT.decoder is not None
        bridge = Bridge(CHAT.decoder(_TERMS), self.filters(), self.encoder())
        bridge.begun = True
        return bridge

    def new_id(self, prefix: str) -> str:
        """Return an id as long as the gateway's."""
        return f"{prefix}{next(self._ids):048x}"


def steps_of(client: str) -> Steps:
    """Return the steps for a client dialect."""
    return Steps(CLIENTS[client], _REQUESTS[client])


def streams() -> dict[str, bytes]:
    """Return the streams to measure with."""
    made = {f"mock: {name}": stream_of(SCENARIOS[name].pieces) for name in ("burst", "burst-500", "tools")}
    real = {path.stem: path.read_bytes() for path in sorted(GOLDEN_STREAMS.glob("real-*.sse"))}
    return made | real


def best_us(run: Callable[[], object]) -> float:
    """Return the microseconds of one run, the best of several rounds."""
    timer = timeit.Timer(run)
    once = max(timer.timeit(1), 1e-7)
    number = max(1, int(_ROUND_SECS / once))
    return min(timer.repeat(_ROUNDS, number)) / number * 1e6


def kept_bytes(make: Callable[[], object]) -> int:
    """Return the memory that a made thing keeps."""
    make()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    made = make()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del made
    return after - before


def _stream_row(name: str, data: bytes, client: str, steps: Steps) -> str:
    parsed = Parser().feed(data)
    count = len(parsed)

    def decode() -> None:
        assert CHAT.decoder is not None
        decoder = CHAT.decoder(_TERMS)
        for frame in parsed:
            decoder.feed(frame)

    assert CHAT.decoder is not None
    decoder = CHAT.decoder(_TERMS)
    events = [event for frame in parsed for event in decoder.feed(frame)]

    def encode() -> None:
        encoder = steps.encoder()
        for event in events:
            encoder.feed(event)

    def answered() -> Bridge:
        bridge = steps.bridge()
        bridge.feed(data)
        return bridge

    times = [best_us(run) / count for run in (lambda: Parser().feed(data), decode, encode, answered)]
    figures = " | ".join(f"{time:.2f}" for time in times)
    return f"| {name} | {client} | {count} | {figures} | {1e6 / times[-1]:.0f} | {kept_bytes(answered) / count:.0f} |"


def _request_row(name: str, raw: bytes, client: str) -> str:
    translation, _ = translate(raw, CLIENTS[client])
    assert translation is not None
    body = load_object(raw)
    to_chat = CLIENTS[client].to_chat
    assert to_chat is not None
    parts: list[Callable[[], object]] = [
        lambda: load_object(raw),
        lambda: to_chat(body, _TERMS),
        lambda: dump(for_upstream(translation.body, _TERMS.model)),
        lambda: translate(raw, CLIENTS[client]),
    ]
    figures = " | ".join(f"{best_us(part):.0f}" for part in parts)
    return f"| {name} | {client} | {len(raw)} | {figures} |"


def main() -> None:
    """Print both tables."""
    print("| stream | client | frames | parser, µs | decoder | encoder | all | frames/s | bytes kept |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, data in streams().items():
        for client in CLIENTS:
            print(_stream_row(name, data, client, steps_of(client)), flush=True)
    print("\n| request | client | bytes | parse, µs | translate | dump | all |\n|---|---|---|---|---|---|---|")
    thread = bodies.agent_thread("m")
    print(_request_row("short", bodies.responses("m"), "responses"))
    print(_request_row("short", bodies.messages("m"), "messages"))
    print(_request_row("agent, first turn", thread[0], "responses"))
    print(_request_row("agent, 30th turn", thread[-1], "responses"))
    print(_request_row("400 items", bodies.long_thread("m", items=400, total_words=465_000), "responses"))


if __name__ == "__main__":
    main()

"""Golden cases: what real clients sent, what an upstream answered, and what the gateway makes of both, to the byte.

    tests/golden/<client>-<upstream>/<case>/
        request.json             the client's request, trimmed
        upstream_request.json    what leaves for the upstream
        upstream.sse | .json     what the upstream answers
        client.sse | .json       what the client gets

`UPDATE_GOLDEN=1 pytest tests/test_golden.py` writes the made files anew; the difference is then for reading.
"""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from anthropic.types import RawMessageStreamEvent
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.bridge import Bridge
from gateway.dialects import Dialect, Encoder
from gateway.dialects.chat.request import for_upstream
from gateway.dialects.registry import CHAT, MESSAGES, RESPONSES
from gateway.errors import GatewayError, UpstreamProtocol
from gateway.filters.calls import CallsFilter
from gateway.filters.think import ThinkFilter
from gateway.filters.typed import declared
from gateway.filters.usage import UsageFilter
from gateway.profile import Model, Terms
from gateway.seal import Envelope
from gateway.types import JSON
from tests.laws import frames_of
from tests.support.transport import KEY

GOLDEN = Path(__file__).parent / "golden"
CLIENTS = {"responses": RESPONSES, "messages": MESSAGES}
CASES = [case for pair in ("responses-chat", "messages-chat") for case in sorted((GOLDEN / pair).iterdir())]
STREAMED = [case for case in CASES if (case / "upstream.sse").exists()]
UPDATE = os.environ.get("UPDATE_GOLDEN") == "1"

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_stream = pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.name)


@dataclass
class Made:
    """One case, translated and ready for its answer."""

    upstream_request: JSON
    bridge: Bridge
    encoder: Encoder


def make(case: Path) -> Made:
    """Translate the request of a case with ids and a clock that are the same every time."""
    client: Dialect = CLIENTS[case.parent.name.split("-")[0]]
    envelope = Envelope(KEY)
    terms = Terms(Model("test/coder"), seal=envelope.seal, unseal=envelope.open)
    assert client.to_chat and client.encoder and CHAT.decoder
    translation = client.to_chat(orjson.loads((case / "request.json").read_bytes()), terms)
    hub = translation.body
    numbers = itertools.count(1)
    new_id: Callable[[str], str] = lambda prefix: f"{prefix}{next(numbers):04}"  # noqa: E731
    encoder = client.encoder(translation.context, new_id, lambda: 1_700_000_000)
    filters = [
        ThinkFilter(),
        CallsFilter(declared(hub.get("tools")), new_id),
        UsageFilter(lambda: 11, lambda text: len(text)),
    ]
    bridge = Bridge(CHAT.decoder(terms), filters, encoder)
    return Made(for_upstream(hub, terms.model, frozenset()), bridge, encoder)


def stream_of(case: Path, reads: Iterable[bytes]) -> bytes:
    """Return what a streaming client gets for an upstream's stream that arrives in these reads and then ends."""
    bridge = make(case).bridge
    bridge.begun = True
    return b"".join([*(bridge.feed(read) for read in reads), bridge.finish()])


def golden(path: Path, made: bytes) -> None:
    """Compare with the golden file, or write it."""
    if UPDATE:
        path.write_bytes(made)
    assert path.read_bytes() == made


def pretty(value: object) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


@each_case
def test_the_request_leaves_as_it_did(case: Path) -> None:
    golden(case / "upstream_request.json", pretty(make(case).upstream_request))


@each_case
def test_the_answer_arrives_as_it_did(case: Path) -> None:
    if (case / "upstream.sse").exists():
        golden(case / "client.sse", stream_of(case, [(case / "upstream.sse").read_bytes()]))
    else:
        bridge = make(case).bridge
        bridge.whole(orjson.loads((case / "upstream.json").read_bytes()))
        golden(case / "client.json", pretty(bridge.body))


def cuts(data: bytes) -> Iterator[list[bytes]]:
    yield [data[at : at + 1] for at in range(len(data))]
    yield [b"data:" + part for part in data.split(b"data:")[1:]]
    draw = random.Random(7)
    for _ in range(5):
        places = sorted(draw.sample(range(len(data)), 9))
        yield [data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])]


@each_stream
def test_law_however_the_stream_is_cut_into_reads_the_client_gets_the_same(case: Path) -> None:
    expected = (case / "client.sse").read_bytes()
    for reads in cuts((case / "upstream.sse").read_bytes()):
        assert stream_of(case, reads) == expected


@each_stream
def test_law_a_stream_that_ends_early_never_looks_complete(case: Path) -> None:
    data = (case / "upstream.sse").read_bytes()
    ends = {"responses": b"response.failed", "messages": b"event: error"}[case.parent.name.split("-")[0]]
    frames = [b"data:" + part for part in data.split(b"data:")[1:]]
    told = next(at for at, frame in enumerate(frames) if b'"finish_reason": "' in frame or at == len(frames) - 1)
    for cut in range(1, told):
        bridge = make(case).bridge
        bridge.begun = True
        got = bridge.feed(b"".join(frames[:cut])) + bridge.fail(UpstreamProtocol("cut"))
        assert ends in got
        assert b"response.completed" not in got
        assert b"message_stop" not in got


@each_stream
def test_law_streamed_and_whole_are_the_same_answer(case: Path) -> None:
    made = make(case)
    made.bridge.begun = True
    made.bridge.feed((case / "upstream.sse").read_bytes())
    made.bridge.finish()
    if made.bridge.failure is not None:
        return
    frames = [orjson.loads(frame.data) for frame in frames_of((case / "client.sse").read_bytes())]
    if case.parent.name.startswith("responses"):
        assert frames[-1]["response"] == made.encoder.body
    else:
        texts = [f["delta"]["text"] for f in frames if f.get("delta", {}).get("type") == "text_delta"]
        assert "".join(texts) == "".join(b["text"] for b in made.encoder.body["content"] if b["type"] == "text")


@each_stream
def test_law_every_frame_fits_the_published_types(case: Path) -> None:
    responses = case.parent.name.startswith("responses")
    adapter: TypeAdapter[object] = TypeAdapter(ResponseStreamEvent if responses else RawMessageStreamEvent)
    numbers = []
    for frame in frames_of((case / "client.sse").read_bytes()):
        body = orjson.loads(frame.data)
        assert frame.event == body["type"]
        numbers.append(body.get("sequence_number"))
        if body["type"] != "error":
            adapter.validate_python(body)
    if responses:
        assert numbers == list(range(len(numbers)))


@each_stream
def test_law_a_failure_before_anything_is_raised(case: Path) -> None:
    with pytest.raises(GatewayError):
        make(case).bridge.finish()

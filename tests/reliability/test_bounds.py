"""Upstreams without measure: lines, answers and calls without end cost bounded memory and nobody else's time."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from tests.reliability.test_upstream_faults import AFTER_HEAD, BEFORE, WITHIN
from tests.support.answers import Answer, chat_text, chunk, sse
from tests.support.gateway import Gateway
from tests.support.processes import descriptors, forget_peak, peak_memory, wait_until, workers
from tests.support.surfaces import CHAT, RESPONSES, Surface, over_bridged, over_surfaces, streamed_and_whole
from tests.support.upstream import Upstream

MIB = 1024 * 1024
EVENT_STREAM = {"content-type": "text/event-stream"}
LINE = Answer((b"data: ", *[b"x" * MIB] * 200, b"\n\n"), headers=EVENT_STREAM)
FRAME = b"data: " + json.dumps(chunk({"content": "hello"})).encode() + b"\n\n"


def frame(text: str) -> bytes:
    return b"data: " + json.dumps(chunk({"content": text})).encode() + b"\n\n"


@pytest.fixture(scope="module")
def crowded(_session_upstream: Upstream) -> Iterator[Gateway]:
    """A gateway of one worker, whose memory nobody else uses."""
    with Gateway(_session_upstream.url) as gateway:
        yield gateway


def rest(connection: http.client.HTTPConnection, most: int) -> bytes:
    """Read an answer to its end, but no more than `most` bytes; return the last of it."""
    response = connection.getresponse()
    tail = b""
    seen = 0
    while data := response.read1(MIB):
        seen += len(data)
        tail = (tail + data)[-20_000:]
        if seen > most:
            break
    return tail


def drink(sock: socket.socket) -> None:
    """Take all that comes, until the connection ends in any way."""
    with contextlib.suppress(OSError):
        while sock.recv(MIB):
            pass


def ask(gateway: Gateway, surface: Surface, most: int = 1 << 40, *, stream: bool = True) -> bytes:
    """Send the small request; return the end of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", surface.port(gateway), timeout=60)
    with contextlib.closing(connection):
        headers = {"Authorization": "Bearer a-key-of-a-test", "Content-Type": "application/json"}
        connection.request("POST", surface.path, json.dumps(surface.body(stream=stream)), headers)
        return rest(connection, most)


@over_surfaces
@streamed_and_whole
def test_a_line_of_200_mb(crowded: Gateway, upstream: Upstream, surface: Surface, stream: bool) -> None:
    upstream.always(LINE)
    (worker,) = workers(crowded)
    before = forget_peak(worker)
    tail = ask(crowded, surface, stream=stream)
    if surface is CHAT:
        assert tail.endswith(b"xxx\n\n")
    else:
        assert b"stream line of more than 8388608 bytes" in tail
        assert wait_until(lambda: upstream.asked[0].aborted is not None)
    assert peak_memory(worker) - before < 60 * MIB


@over_bridged
def test_a_long_line_after_the_first_frames(crowded: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(Answer((FRAME, *LINE.steps), headers=EVENT_STREAM).silent(0.2, after=1))
    assert "8388608" in surface.failure(surface.post(crowded, stream=True).frames)["message"]


@over_surfaces
def test_a_whole_answer_of_200_mb(crowded: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(Answer((b'{"id": "', *[b"x" * MIB] * 200, b'"}'), headers={"content-type": "application/json"}))
    (worker,) = workers(crowded)
    before = forget_peak(worker)
    tail = ask(crowded, surface, stream=False)
    assert tail.endswith(b'xxx"}') if surface is CHAT else b"larger than 67108864 bytes" in tail
    assert peak_memory(worker) - before < 120 * MIB


@over_bridged
@streamed_and_whole
def test_a_text_without_end_is_ended(crowded: Gateway, upstream: Upstream, surface: Surface, stream: bool) -> None:
    upstream.always(sse(*[frame("x" * 500_000)] * 400))
    (worker,) = workers(crowded)
    before = forget_peak(worker)
    assert b"larger than 134217728 bytes" in ask(crowded, surface, stream=stream)
    assert wait_until(lambda: upstream.asked[0].aborted is not None)
    assert peak_memory(worker) - before < 400 * MIB


@over_surfaces
def test_a_stream_without_end_goes_on_until_its_client_leaves(
    crowded: Gateway, upstream: Upstream, surface: Surface
) -> None:
    upstream.always(sse(*[FRAME * 50] * 100_000))
    (worker,) = workers(crowded)
    before = forget_peak(worker)
    ask(crowded, surface, 4 * MIB)
    left = time.monotonic()
    assert wait_until(lambda: upstream.asked[0].aborted is not None, 3)
    assert (upstream.asked[0].aborted or 0) - left < 1
    assert peak_memory(worker) - before < 100 * MIB


@over_surfaces
@streamed_and_whole
def test_others_get_their_turn_beside_an_answer_without_end(
    crowded: Gateway, upstream: Upstream, surface: Surface, stream: bool
) -> None:
    # Read and written as fast as it comes, so that neither side of the gateway ever has to wait.
    upstream.answers_with(
        lambda request: sse(*[FRAME * 200] * 100_000) if request.json["model"] == "m" else chat_text("quick")
    )
    with surface.send(crowded, stream=stream) as flood:
        reader = threading.Thread(target=drink, args=(flood.sock,))
        reader.start()
        assert wait_until(lambda: len(upstream.asked) == 1)
        for _ in range(3):
            began = time.monotonic()
            assert CHAT.post(crowded, model="other").status == 200
            assert time.monotonic() - began < 2
        assert reader.is_alive()
        flood.sock.shutdown(socket.SHUT_RDWR)
        reader.join()
    assert wait_until(lambda: upstream.asked[0].aborted is not None)


@over_bridged
@streamed_and_whole
def test_100_000_tool_calls(crowded: Gateway, upstream: Upstream, surface: Surface, stream: bool) -> None:
    def call(number: int) -> bytes:
        function = {"name": "run", "arguments": "{}"}
        piece = {"index": number, "id": f"call_{number}", "type": "function", "function": function}
        return b"data: " + json.dumps(chunk({"tool_calls": [piece]})).encode() + b"\n\n"

    upstream.always(sse(*[b"".join(call(n) for n in range(at, at + 1000)) for at in range(0, 100_000, 1000)]))
    (worker,) = workers(crowded)
    before = forget_peak(worker)
    assert b"more than 1024 tool calls" in ask(crowded, surface, stream=stream)
    assert wait_until(lambda: upstream.asked[0].aborted is not None)
    assert peak_memory(worker) - before < 60 * MIB


def reached(upstream: Upstream, count: int) -> bool:
    return len(upstream.asked) == count


def test_nothing_is_left_open(crowded: Gateway, upstream: Upstream) -> None:
    """Sockets of both sides are let go, whichever way an exchange ends."""
    faults = [param.values[0] for param in (*BEFORE, *AFTER_HEAD, *WITHIN)]
    (worker,) = workers(crowded)

    def rounds(count: int) -> None:
        for _ in range(count):
            for fault in faults:
                upstream.always(fault)
                for surface in (RESPONSES, CHAT):
                    for stream in (True, False):
                        with contextlib.suppress(http.client.HTTPException, OSError):
                            surface.post(crowded, stream=stream)
            upstream.always(chat_text("hi").streamed().late(5))
            for surface in (RESPONSES, CHAT):
                asked = len(upstream.asked)
                with surface.send(crowded, stream=True):
                    assert wait_until(partial(reached, upstream, asked + 1))
                assert wait_until(lambda: upstream.asked[-1].aborted is not None)

    rounds(1)
    upstream.reset()
    assert wait_until(lambda: descriptors(worker) > 0)
    before = descriptors(worker)
    rounds(2)
    assert wait_until(lambda: descriptors(worker) <= before + 2), (before, descriptors(worker))

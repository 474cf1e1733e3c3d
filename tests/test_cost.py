"""What the hot path costs, in figures that no noise can reach: calls and bytes, and ratios of CPU time.

Calls are those of Python and of C functions, counted by the interpreter's profiling hook. What one more delta
(or item) costs is the difference of two runs, so that what every answer costs once does not count. The bounds
stand a little above what it takes today: a change that needs more should be meant.
"""

from __future__ import annotations

import io
import sys
import time
import timeit
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from benchmarks import bodies
from benchmarks.micro import CLIENTS, kept_bytes, steps_of, stream_of, translate
from benchmarks.scenarios import Piece
from gateway import plain_head
from gateway.dialects.registry import RESPONSES
from gateway.sse import Parser
from tests.support.transport import CHAT_PORT, KEY, RESPONSES_PORT, ScriptedTransport, completion, gateway

DELTA_CALLS = {
    ("responses", "text"): 23,
    ("responses", "reasoning"): 22,
    ("responses", "call"): 25,
    ("messages", "text"): 17,
    ("messages", "reasoning"): 17,
    ("messages", "call"): 22,
}
"""From the parser to the client's frame, for each delta."""
ANSWER_CALLS = {"responses": 600, "messages": 440}
"""The same for all else of a short answer."""
ITEM_CALLS = 54
"""From the client's bytes to the upstream's, for each item of the input."""
REQUEST_CALLS = 515
"""The same for a short request with tools."""
EXCHANGE_CALLS = {"/v1/chat/completions": 280, "/v1/responses": 1010, "/v1/messages": 940}
"""From a request's environment to the last byte of its whole answer, without sockets; the first one is relayed."""
HEAD_CALLS = 48
"""To read a plain head of ten lines."""


def calls_of(run: Callable[[], object]) -> int:
    """Count the function calls that a run makes."""
    count = 0

    def notice(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(notice)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


def calls_for(client: str, piece: Piece, count: int) -> int:
    """Count the calls of a streamed answer of so many deltas that arrives in one read."""
    bridge = steps_of(client).bridge()
    data = stream_of((piece,) * count)
    return calls_of(lambda: bridge.feed(data))


def calls_for_one_more(client: str, piece: Piece) -> float:
    """Count the calls of one more delta, where there are many already."""
    return (calls_for(client, piece, 150) - calls_for(client, piece, 50)) / 100


PIECES = {
    "text": Piece("text", " word"),
    "reasoning": Piece("reasoning", " word"),
    "call": Piece("call", " word", 1),
}


@pytest.mark.parametrize(("client", "kind", "bound"), [(*case, bound) for case, bound in DELTA_CALLS.items()])
def test_one_more_delta_costs_few_calls(client: str, kind: str, bound: int) -> None:
    assert calls_for_one_more(client, PIECES[kind]) <= bound, calls_for_one_more(client, PIECES[kind])


@pytest.mark.parametrize(("client", "bound"), ANSWER_CALLS.items())
def test_an_answer_costs_few_calls_beside_its_deltas(client: str, bound: int) -> None:
    fixed = calls_for(client, PIECES["text"], 50) - 50 * calls_for_one_more(client, PIECES["text"])
    assert fixed <= bound, fixed


def test_frames_are_cut_by_few_calls() -> None:
    data = stream_of((PIECES["text"],) * 100)
    assert calls_of(lambda: Parser().feed(data)) <= 100  # there are 104 frames


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_keeps_little_for_each_delta(client: str) -> None:
    def kept(count: int) -> int:
        data = stream_of((PIECES["text"],) * count)

        def answered() -> object:
            bridge = steps_of(client).bridge()
            bridge.feed(data)
            return bridge

        return kept_bytes(answered)

    assert (kept(600) - kept(100)) / 500 <= 200, (kept(600) - kept(100)) / 500


# --- requests -----------------------------------------------------------------------------------------------


def long_thread(items: int) -> bytes:
    """A session whose items are all of the same size."""
    return bodies.long_thread("m", items, items * 20)


def test_one_more_item_costs_few_calls_however_many_there_are() -> None:
    def calls_for_items(items: int) -> int:
        raw = long_thread(items)
        return calls_of(lambda: translate(raw, RESPONSES))

    calls = [calls_for_items(items) for items in (100, 200, 800)]
    few, many = (calls[1] - calls[0]) / 100, (calls[2] - calls[1]) / 600
    assert few <= ITEM_CALLS, few
    assert many <= few * 1.1, (few, many)


def test_a_short_request_costs_few_calls() -> None:
    raw = bodies.responses("m", tools=True)
    assert calls_of(lambda: translate(raw, RESPONSES)) <= REQUEST_CALLS


def request_of(path: str) -> dict[str, Any]:
    """Return the environment of a short request for a whole answer."""
    make = {"/v1/chat/completions": bodies.chat, "/v1/responses": bodies.responses, "/v1/messages": bodies.messages}
    raw = make[path]("m").replace(b'"stream":true', b'"stream":false').replace(b'"stream": true', b'"stream": false')
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_PORT": str(CHAT_PORT if path == "/v1/chat/completions" else RESPONSES_PORT),
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(raw)),
        "HTTP_AUTHORIZATION": f"Bearer {KEY}",
        "wsgi.input": io.BytesIO(raw),
    }


@pytest.mark.parametrize(("path", "bound"), EXCHANGE_CALLS.items())
def test_a_whole_exchange_costs_few_calls(path: str, bound: int) -> None:
    app = gateway(ScriptedTransport(completion(), completion()), models=["m"])

    def run(request: dict[str, Any]) -> None:
        told: list[str] = []
        body = b"".join(app(request, lambda status, headers, exc_info=None: told.append(status)))
        assert told == ["200 OK"]
        assert b"hello" in body

    run(request_of(path))  # what is made once is made now
    request = request_of(path)
    calls = calls_of(lambda: run(request))
    assert calls <= bound, calls


def test_a_plain_head_costs_few_calls() -> None:
    lines = [b"POST /v1/responses HTTP/1.1", b"host: a", *(b"x-header-%d: value" % n for n in range(9))]
    head = b"\r\n".join(lines)
    assert plain_head.read(head)
    calls = calls_of(lambda: plain_head.read(head))
    assert calls <= HEAD_CALLS, calls


def best_seconds(run: Callable[[], object]) -> float:
    """The CPU time of this thread, the best of several runs.

    On the wall clock a process that takes the core away for a moment makes a linear walk look quadratic.
    """
    return min(timeit.repeat(run, number=1, repeat=5, timer=time.thread_time))


def test_time_grows_with_the_items_and_not_with_their_square() -> None:
    few, many = long_thread(500), long_thread(4000)
    ratio = best_seconds(lambda: translate(many, RESPONSES)) / best_seconds(lambda: translate(few, RESPONSES))
    assert ratio < 8 * 3, ratio


@pytest.mark.parametrize("client", CLIENTS)
def test_time_grows_with_the_deltas_and_not_with_their_square(client: str) -> None:
    steps = steps_of(client)

    def seconds(count: int) -> float:
        data = stream_of((PIECES["text"],) * count)
        return best_seconds(lambda: steps.bridge().feed(data))

    ratio = seconds(8000) / seconds(1000)
    assert ratio < 8 * 3, ratio


def test_what_a_stream_keeps_of_a_large_request_is_small() -> None:
    raw = bodies.long_thread("m", 400, 100_000)

    def context() -> object:
        return translate(raw, RESPONSES)[0].context

    assert kept_bytes(context) <= 50_000, kept_bytes(context)

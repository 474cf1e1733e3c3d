"""The end of a gateway, of a worker and of a setting: what is open gets its grace, and then a proper end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import chat_text, chunk, sse
from tests.support.gateway import Gateway
from tests.support.processes import descriptors, wait_until, workers
from tests.support.sockets import Reply, SSEFrame, Stream
from tests.support.surfaces import CHAT, MESSAGES, RESPONSES, SURFACES, Surface
from tests.support.upstream import Upstream

FOREVER = sse(chunk({"content": "one"}), chunk({"content": "two"}), finish="stop").silent(60, after=1)
SHORT = sse(chunk({"content": "one"}), chunk({"content": "two"}), finish="stop").silent(1.2, after=1)
both_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])

Start = Callable[..., Gateway]


@pytest.fixture
def start(upstream: Upstream) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:
        yield lambda **env: stack.enter_context(Gateway(upstream.url, **env))


def begun(gateway: Gateway, surface: Surface) -> tuple[Stream, list[SSEFrame], Iterator[SSEFrame]]:
    """A stream that has brought its first text."""
    stream = surface.stream(gateway)
    frames: list[SSEFrame] = []
    rest = iter(stream)
    while not surface.streamed_text(frames):
        frames.append(next(rest))
    return stream, frames, rest


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Later:
    """A request whose answer is fetched in the background."""

    def __init__(self, ask: Callable[[], Reply]) -> None:
        self.reply: Reply | None = None
        self.fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(ask,))
        self._thread.start()

    def _run(self, ask: Callable[[], Reply]) -> None:
        try:
            self.reply = ask()
        except (OSError, http.client.HTTPException) as fault:
            self.fault = fault

    def result(self) -> Reply:
        self._thread.join(20)
        assert self.reply is not None, self.fault
        return self.reply


@both_signals
def test_streams_finish_within_the_grace(start: Start, upstream: Upstream, number: int) -> None:
    gateway = start(SHUTDOWN_GRACE_SECS="10", WORKERS="2")
    upstream.always(SHORT)
    open_streams = [(surface, *begun(gateway, surface)) for surface in SURFACES]
    whole = Later(lambda: MESSAGES.post(gateway))
    assert upstream.wait_for(lambda: len(upstream.asked) == 4)
    began = time.monotonic()
    gateway.process.send_signal(number)
    assert wait_until(lambda: refuses(gateway.chat_port) and refuses(gateway.responses_port), 2)
    for surface, _, frames, rest in open_streams:
        frames += rest
        assert surface.streamed_text(frames) == "onetwo"
        assert surface.completed(frames)
    assert MESSAGES.text(whole.result().json) == "onetwo"
    assert gateway.process.wait(5) == 0
    assert time.monotonic() - began < 6


@both_signals
def test_after_the_grace_streams_get_a_terminal_event_and_whole_requests_503(
    start: Start, upstream: Upstream, number: int
) -> None:
    gateway = start(SHUTDOWN_GRACE_SECS="1", WORKERS="2")
    upstream.always(FOREVER)
    open_streams = [(surface, *begun(gateway, surface)) for surface in SURFACES]
    upstream.always(chat_text("late").whole().late(60))
    waiting = [
        (surface, Later(lambda surface=surface, stream=stream: surface.post(gateway, stream=stream)))  # type: ignore[misc]
        for surface in SURFACES
        for stream in (True, False)
    ]
    assert upstream.wait_for(lambda: len(upstream.asked) == 9)
    began = time.monotonic()
    gateway.process.send_signal(number)
    for surface, stream, frames, rest in open_streams:
        frames += rest  # no break: the body ends cleanly
        told = surface.failure(frames)
        assert "being stopped" in told["message"]
        assert 0.8 < frames[-1].time - began < 3, stream
    for surface, later in waiting:
        reply = later.result()
        assert reply.status == 503
        assert "being stopped" in surface.error(reply.json)["message"]
    assert gateway.process.wait(5) == 0
    assert time.monotonic() - began < 4
    ends = [line["end"] for line in gateway.log_lines if line["message"] == "exchange"]
    assert ends == ["failed"] * 9
    assert upstream.wait_for(lambda: all(request.aborted for request in upstream.asked), 1)


def test_a_second_signal_ends_at_once(start: Start, upstream: Upstream) -> None:
    gateway = start(SHUTDOWN_GRACE_SECS="30")
    upstream.always(FOREVER)
    stream, _, _ = begun(gateway, RESPONSES)
    with stream:
        gateway.process.send_signal(signal.SIGTERM)
        assert wait_until(lambda: refuses(gateway.chat_port), 2)
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(5) == 0
        assert time.monotonic() - began < 3


@both_signals
def test_idle_connections_do_not_delay_the_end(start: Start, upstream: Upstream, number: int) -> None:
    gateway = start(SHUTDOWN_GRACE_SECS="30", WORKERS="2")
    upstream.always(chat_text("hi"))
    idle = [surface.send(gateway, stream=False) for surface in SURFACES * 3]
    for client in idle:
        client.read_until(b"hi")
    fresh = [gateway.connect() for _ in range(4)]
    time.sleep(0.2)
    began = time.monotonic()
    gateway.process.send_signal(number)
    assert gateway.process.wait(10) == 0
    assert time.monotonic() - began < 2.5
    for client in [*idle, *fresh]:
        assert client.read_all() == b""
        client.close()


def test_a_gateway_without_work_ends_at_once(start: Start) -> None:
    gateway = start(SHUTDOWN_GRACE_SECS="30", WORKERS="2")
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 2.5


def test_a_slow_reader_gets_its_grace_too_and_no_more(start: Start, upstream: Upstream) -> None:
    gateway = start(SHUTDOWN_GRACE_SECS="1")
    big = chunk({"content": "x" * 100_000})
    upstream.always(sse(*[big] * 400))
    with CHAT.send(gateway, stream=True) as client:
        assert upstream.wait_for(lambda: len(upstream.asked) == 1)
        time.sleep(0.3)
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0
        assert time.monotonic() - began < 7
        assert not client.read_all().endswith(b"0\r\n\r\n")


# --- workers ------------------------------------------------------------------------------------------------


def test_a_killed_worker_loses_its_own_streams_only_and_is_replaced(start: Start, upstream: Upstream) -> None:
    gateway = start(WORKERS="2")
    assert wait_until(lambda: len(workers(gateway)) == 2)
    before = set(workers(gateway))
    upstream.always(sse(*[chunk({"content": f"{n} "}) for n in range(15)], finish="stop").slow(0.2))
    results: list[bool] = []

    def read() -> None:
        with contextlib.suppress(http.client.HTTPException, OSError):
            frames = list(RESPONSES.stream(gateway))
            results.append(RESPONSES.completed(frames))
            return
        results.append(False)

    idle = {worker: descriptors(worker) for worker in before}
    threads: list[threading.Thread] = []
    while any(descriptors(worker) < idle[worker] + 4 for worker in before):
        assert len(threads) < 60, "one worker takes all connections"
        threads.append(threading.Thread(target=read))
        threads[-1].start()
        assert upstream.wait_for(lambda: len(upstream.asked) == len(threads))
    killed = before.pop()
    os.kill(killed, signal.SIGKILL)
    for thread in threads:
        thread.join()
    aborted = sum(request.aborted is not None for request in upstream.asked)
    assert 0 < aborted < len(threads)
    assert (results.count(False), results.count(True)) == (aborted, len(threads) - aborted)
    assert wait_until(lambda: len(workers(gateway)) == 2)
    assert before < set(workers(gateway))
    assert killed not in workers(gateway)
    upstream.always(chat_text("hi"))
    assert {RESPONSES.post(gateway).status for _ in range(8)} == {200}


def test_new_workers_take_over_on_a_hang_up_signal(start: Start, upstream: Upstream) -> None:
    gateway = start(WORKERS="2", SHUTDOWN_GRACE_SECS="10")
    upstream.always(SHORT)
    before = set(workers(gateway))
    open_streams = [(surface, *begun(gateway, surface)) for surface in SURFACES]
    gateway.process.send_signal(signal.SIGHUP)
    for surface, _, frames, rest in open_streams:
        frames += rest
        assert surface.completed(frames)
    assert wait_until(lambda: len(workers(gateway)) == 2 and not before & set(workers(gateway)))
    assert RESPONSES.post(gateway).status == 200


# --- settings that change -----------------------------------------------------------------------------------


def test_a_changed_models_file_needs_no_restart(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "models.json"

    def write(models: list[dict[str, Any]]) -> None:
        # As editors do: a new file in the place of the old one.
        fresh = tmp_path / "fresh"
        fresh.write_text(json.dumps({"models": models}))
        fresh.rename(file)

    def served() -> str:
        RESPONSES.post(gateway, model="short")
        return str(upstream.asked[-1].json["model"])

    write([{"id": "vendor/first", "aliases": ["short"]}])
    gateway = start(MODELS_FILE=str(file), WORKERS="2")
    upstream.always(chat_text("hi"))
    assert {served() for _ in range(6)} == {"vendor/first"}
    write([{"id": "vendor/second", "aliases": ["short"]}])
    assert wait_until(lambda: {served() for _ in range(8)} == {"vendor/second"})
    listed = {"short", "vendor/second"}
    assert wait_until(lambda: {model["id"] for model in gateway.get("/v1/models").json["data"]} == listed)
    # Each worker looks for itself, also one that nobody asks.
    assert wait_until(lambda: _lines(gateway, "models file read") == 1 + 2)
    file.write_text('{"models": [{')
    assert wait_until(lambda: _lines(gateway, "models file refused") == 2)
    assert {served() for _ in range(8)} == {"vendor/second"}


def _lines(gateway: Gateway, words: str) -> int:
    return sum(words in line["message"] for line in gateway.log_lines)

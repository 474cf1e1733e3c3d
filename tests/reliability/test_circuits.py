"""The breaker of a running gateway: one state for all workers, one circuit for each model, one probe at a time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.answers import Answer, Close, Pause, chat_text, chunk, dropped, error, sse
from tests.support.gateway import Gateway, free_ports
from tests.support.processes import wait_until, workers
from tests.support.sockets import Reply
from tests.support.surfaces import CHAT, MESSAGES, RESPONSES, SURFACES, Surface, over_surfaces, streamed_and_whole
from tests.support.upstream import Upstream

COOLDOWN = 1.5
SOUND = chat_text("hi")

Ask = Callable[..., Reply]


@pytest.fixture(scope="module")
def guarded(_session_upstream: Upstream) -> Iterator[Gateway]:
    """A gateway of three workers whose circuits open at the third failure. Tests use models of their own."""
    with Gateway(_session_upstream.url, **settings()) as gateway:
        yield gateway


def settings(**more: str) -> dict[str, str]:
    cooldown = str(COOLDOWN)
    return {
        "ENABLE_CIRCUIT_BREAKER": "true",
        "BREAKER_FAILURES": "3",
        "BREAKER_COOLDOWN_SECS": cooldown,
        "WORKERS": "3",
        **more,
    }


def health(gateway: Gateway) -> tuple[int, dict[str, Any]]:
    reply = gateway.get("/health")
    return reply.status, reply.json["circuit_breaker"]


def at_once(count: int, ask: Callable[[], Reply]) -> list[Reply]:
    """Ask so many times at once, so that every worker is asked."""
    replies: list[Reply] = []
    threads = [threading.Thread(target=lambda: replies.append(ask())) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def open_circuit(gateway: Gateway, upstream: Upstream, model: str) -> None:
    upstream.always(error(500))
    for _ in range(3):
        assert CHAT.post(gateway, model=model).status == 500
    assert model in health(gateway)[1]["open_models"]
    upstream.reset()


@over_surfaces
@streamed_and_whole
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(error(503), id="status"),
        pytest.param(dropped(), id="hung-up"),
        pytest.param(
            Answer((b"data: {}\n\n", Pause(0.1), Close()), headers={"content-type": "text/event-stream"}), id="cut"
        ),
    ],
)
def test_failures_of_a_model_open_its_circuit_alone(
    guarded: Gateway, upstream: Upstream, surface: Surface, stream: bool, fault: Answer
) -> None:
    model = f"{surface.name}-{stream}-{fault.status}-{len(fault.steps)}"
    upstream.answers_with(lambda request: fault if request.json["model"] == model else SOUND)
    for _ in range(3):
        surface.post(guarded, stream=stream, model=model)
    asked = len(upstream.asked)
    assert asked == 3
    for reply in at_once(12, lambda: surface.post(guarded, stream=stream, model=model)):
        assert reply.status == 503
        assert 1 <= int(reply.headers["retry-after"]) <= COOLDOWN + 1
        told = surface.error(reply.json)
        assert told.get("code", "overloaded_error") in ("backend_unavailable_circuit_open", "overloaded_error")
        assert model in told["message"]
    assert len(upstream.asked) == asked
    assert surface.post(guarded, stream=stream, model="sound").status == 200
    status, breaker = health(guarded)
    assert (status, breaker["is_open"]) == (200, False)
    assert model in breaker["open_models"]
    assert breaker["consecutive_failures"] >= 3


@pytest.mark.parametrize("fault", [error(400), error(401), error(429), SOUND], ids=["400", "401", "429", "200"])
@over_surfaces
def test_any_other_answer_resets_the_count(
    guarded: Gateway, upstream: Upstream, surface: Surface, fault: Answer
) -> None:
    model = f"mixed-{surface.name}-{id(fault)}"
    upstream.answers(error(500), error(500), fault, error(500), error(500), SOUND)
    replies = [surface.post(guarded, model=model).status for _ in range(6)]
    assert replies[3:] == [500, 500, 200]
    assert model not in health(guarded)[1]["open_models"]


@over_surfaces
def test_one_probe_passes_and_closes_the_circuit(guarded: Gateway, upstream: Upstream, surface: Surface) -> None:
    model = f"probe-{surface.name}"
    open_circuit(guarded, upstream, model)
    time.sleep(COOLDOWN)
    assert model not in health(guarded)[1]["open_models"]
    upstream.always(SOUND.whole().late(0.7))
    replies = [reply.status for reply in at_once(9, lambda: surface.post(guarded, model=model))]
    assert sorted(replies) == [200] + [503] * 8
    assert len(upstream.asked) == 1
    assert {reply.status for reply in at_once(6, lambda: surface.post(guarded, model=model))} == {200}


@over_surfaces
def test_a_probe_that_fails_opens_it_again(guarded: Gateway, upstream: Upstream, surface: Surface) -> None:
    model = f"reopened-{surface.name}"
    open_circuit(guarded, upstream, model)
    time.sleep(COOLDOWN)
    upstream.always(error(500))
    assert surface.post(guarded, model=model).status == 500
    assert surface.post(guarded, model=model).status == 503
    assert len(upstream.asked) == 1


@over_surfaces
def test_while_the_probe_streams_others_pass(guarded: Gateway, upstream: Upstream, surface: Surface) -> None:
    model = f"streaming-{surface.name}"
    open_circuit(guarded, upstream, model)
    time.sleep(COOLDOWN)
    slow = sse(chunk({"content": "one"}), chunk({"content": "two"}), finish="stop").silent(1.0, after=1)
    upstream.answers_with(lambda request: slow if not request.index else SOUND)
    with surface.stream(guarded, model=model) as stream:
        frames = iter(stream)
        next(frames)
        assert wait_until(lambda: surface.post(guarded, model=model).status == 200, 0.8)
        assert surface.completed(list(frames))


@over_surfaces
@streamed_and_whole
def test_a_probe_whose_client_leaves_makes_room_at_once(
    guarded: Gateway, upstream: Upstream, surface: Surface, stream: bool
) -> None:
    model = f"left-{surface.name}-{stream}"
    open_circuit(guarded, upstream, model)
    time.sleep(COOLDOWN)
    upstream.answers_with(lambda request: SOUND if request.index else SOUND.whole().late(20))
    client = surface.send(guarded, stream=stream, model=model)
    assert upstream.wait_for(lambda: len(upstream.asked) == 1)
    assert surface.post(guarded, model=model).status == 503
    client.close()
    assert upstream.wait_for(lambda: upstream.asked[0].aborted is not None, 2)
    assert wait_until(lambda: surface.post(guarded, model=model).status == 200, 1)


def test_clients_that_leave_count_as_nothing(guarded: Gateway, upstream: Upstream) -> None:
    upstream.always(SOUND.streamed().late(20))
    for number in range(4):
        client = RESPONSES.send(guarded, stream=True, model="patience")
        assert upstream.wait_for(lambda count=number + 1: len(upstream.asked) == count)  # type: ignore[misc]
        client.close()
        assert upstream.wait_for(lambda: upstream.asked[-1].aborted is not None, 2)
    upstream.always(SOUND)
    assert RESPONSES.post(guarded, model="patience").status == 200


def test_requests_without_a_model_have_no_circuit_of_their_own(guarded: Gateway, upstream: Upstream) -> None:
    upstream.always(error(500))
    assert {guarded.get("/v1/files", headers={"x-api-key": "some-key"}).status for _ in range(5)} == {500}
    assert "" not in health(guarded)[1]["open_models"]


def test_a_probe_whose_worker_died_is_replaced(upstream: Upstream) -> None:
    with Gateway(upstream.url, **settings()) as gateway:
        open_circuit(gateway, upstream, "m")
        time.sleep(COOLDOWN)
        upstream.answers_with(lambda request: SOUND if request.index else SOUND.whole().late(20))
        with RESPONSES.send(gateway, stream=False):
            assert upstream.wait_for(lambda: len(upstream.asked) == 1)
            for worker in workers(gateway):
                os.kill(worker, signal.SIGKILL)
        began = time.monotonic()
        assert wait_until(lambda: _status(gateway) == 200, COOLDOWN + 3)
        assert time.monotonic() - began > 0.3


def _status(gateway: Gateway) -> int:
    try:
        return RESPONSES.post(gateway).status
    except OSError:
        return 0


def test_an_upstream_that_cannot_be_reached(upstream: Upstream) -> None:
    port = free_ports(1)[0]
    with Gateway(f"http://127.0.0.1:{port}/v1", **settings()) as gateway:
        assert health(gateway) == (
            200,
            {"enabled": True, "is_open": False, "consecutive_failures": 0, "open_models": []},
        )
        # Whatever the model and the dialect, it is the upstream that fails.
        assert [surface.post(gateway, model=surface.name).status for surface in SURFACES] == [502] * 3
        assert health(gateway) == (
            503,
            {"enabled": True, "is_open": True, "consecutive_failures": 3, "open_models": []},
        )
        assert gateway.get("/health").json["status"] == "unhealthy"
        assert gateway.get("/health/live").status == 200
        replies = at_once(12, lambda: MESSAGES.post(gateway, model="other"))
        assert {reply.status for reply in replies} == {503}
        assert {gateway.get("/v1/files", headers={"x-api-key": "some-key"}).status} == {503}
        time.sleep(COOLDOWN)
        # It ages without a request.
        assert health(gateway) == (
            200,
            {"enabled": True, "is_open": False, "consecutive_failures": 0, "open_models": []},
        )
        with socket.create_server(("127.0.0.1", port)) as listener:
            threading.Thread(target=_answer_all, args=(listener,)).start()
            assert CHAT.post(gateway).status == 418
            listener.shutdown(socket.SHUT_RDWR)
        assert health(gateway)[1]["consecutive_failures"] == 0


def _answer_all(listener: socket.socket) -> None:
    # The model list may be asked for as well.
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 418 Teapot\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")

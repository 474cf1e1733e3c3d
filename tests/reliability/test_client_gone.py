"""A client that leaves: its request at the upstream is closed within a second. One that still reads is served."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.answers import Answer, Pause, chat_text, chunk, json_answer, sse
from tests.support.gateway import Gateway
from tests.support.sockets import RawClient, raw_request
from tests.support.surfaces import CHAT, RESPONSES, Surface, over_surfaces, streamed_and_whole
from tests.support.upstream import Upstream

SECONDS = 30.0
"""How long the upstream would go on."""

FRAME = b"data: " + json.dumps(chunk({"content": "hello"})).encode() + b"\n\n"


def leaves_and_is_heard(client: RawClient, upstream: Upstream, count: int = 1) -> None:
    """Hang up; expect the upstream to hear of it within a second."""
    assert upstream.wait_for(lambda: len(upstream.asked) == count), "the request did not reach the upstream"
    time.sleep(0.15)  # the gateway waits now
    left = time.monotonic()
    client.close()
    request = upstream.asked[-1]
    assert upstream.wait_for(lambda: request.aborted is not None, 3), "the upstream was not let go"
    assert request.aborted is not None
    assert request.aborted - left < 1.0


def facts_of(gateway: Gateway, count: int) -> dict[str, Any]:
    """The line of the last exchange, once `count` of them stand in the log."""
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        lines = [line for line in gateway.log_lines if line["message"] == "exchange"]
        if len(lines) >= count:
            return lines[-1]
        time.sleep(0.02)
    raise AssertionError("no line for the exchange")


def exchanges(gateway: Gateway) -> int:
    return sum(line["message"] == "exchange" for line in gateway.log_lines)


@over_surfaces
@streamed_and_whole
def test_before_the_upstreams_head(gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool) -> None:
    upstream.always(chat_text("hi").streamed().late(SECONDS))
    before = exchanges(gateway)
    leaves_and_is_heard(surface.send(gateway, stream=stream), upstream)
    facts = facts_of(gateway, before + 1)
    assert (facts["end"], facts["path"]) == ("client_gone", surface.path)


@over_surfaces
def test_between_head_and_body_of_a_stream(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(sse(FRAME).silent(SECONDS))
    leaves_and_is_heard(surface.send(gateway, stream=True), upstream)


@over_surfaces
def test_in_the_silence_of_a_stream(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(sse(FRAME, FRAME).silent(SECONDS, after=1))
    before = exchanges(gateway)
    client = surface.send(gateway, stream=True)
    client.read_until(b"hello")
    leaves_and_is_heard(client, upstream)
    assert facts_of(gateway, before + 1)["end"] == "client_gone"


@over_surfaces
def test_in_a_stream_that_flows(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(sse(*[FRAME] * 300).slow(0.05))
    before = exchanges(gateway)
    client = surface.send(gateway, stream=True)
    client.read_until(b"hello")
    leaves_and_is_heard(client, upstream)
    assert facts_of(gateway, before + 1)["end"] == "client_gone"


@over_surfaces
def test_after_a_keep_alive_before_the_head(
    gateway_with: Callable[..., Gateway], upstream: Upstream, surface: Surface
) -> None:
    gateway = gateway_with(KEEPALIVE_SECS="1")
    upstream.always(chat_text("hi").streamed().late(SECONDS))
    client = surface.send(gateway, stream=True)
    time.sleep(1.3)
    leaves_and_is_heard(client, upstream)


@over_surfaces
def test_within_a_frame_of_the_upstream(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    # Nothing may be written here on the relay: the client is in the middle of a line.
    upstream.always(sse(FRAME, FRAME[:20], FRAME[20:]).silent(SECONDS, after=2))
    client = surface.send(gateway, stream=True)
    client.read_until(b"hello")
    leaves_and_is_heard(client, upstream)
    assert gateway.get("/health/live").status == 200


@over_surfaces
def test_within_a_whole_answer(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    body = json.dumps({"id": "x" * 5000}).encode()
    whole = Answer((body[:3000], Pause(SECONDS), body[3000:]), headers={"content-type": "application/json"})
    upstream.always(whole)
    client = surface.send(gateway, stream=False)
    if surface is CHAT:
        client.read_until(b"xxx")
    leaves_and_is_heard(client, upstream)
    assert gateway.get("/health/live").status == 200


@over_surfaces
def test_in_the_body_of_an_error(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(Answer((b'{"error":', Pause(SECONDS)), 500))
    leaves_and_is_heard(surface.send(gateway, stream=True), upstream)


def test_during_compaction(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(chat_text("a summary").whole().late(SECONDS))
    client = gateway.connect()
    body = json.dumps({"model": "m", "input": [{"role": "user", "content": "hi"}]}).encode()
    client.send(raw_request("POST", "/v1/responses/compact", body))
    leaves_and_is_heard(client, upstream)


def test_compaction_by_a_trigger_item(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(chat_text("a summary").streamed().late(SECONDS))
    turns = [{"role": "user", "content": "hi"}, {"type": "compaction_trigger"}]
    leaves_and_is_heard(RESPONSES.send(gateway, stream=True, input=turns), upstream)


@pytest.mark.parametrize("late", [True, False], ids=["before-head", "within-body"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("port", ["chat_port", "responses_port"])
def test_on_other_relayed_paths(gateway: Gateway, upstream: Upstream, method: str, port: str, late: bool) -> None:
    answer = Answer((b"some bytes", Pause(SECONDS)), headers={"content-type": "application/octet-stream"})
    upstream.always(answer.late(SECONDS) if late else answer)
    client = gateway.connect(getattr(gateway, port))
    client.send(raw_request(method, "/v1/files/f/content", b"{}" if method == "POST" else b""))
    if not late:
        client.read_until(b"some bytes")
    leaves_and_is_heard(client, upstream)
    assert gateway.get("/health/live").status == 200


@over_surfaces
def test_during_a_slow_fetch_of_the_model_list(upstream: Upstream, surface: Surface) -> None:
    # A gateway of its own: only the first request of a worker waits for the list.
    upstream.models = json_answer({"object": "list", "data": []}).late(1.6)
    upstream.always(chat_text("hi").streamed())
    with Gateway(upstream.url) as gateway:
        client = surface.send(gateway, stream=True)
        assert upstream.wait_for(lambda: len(upstream.requests) == 1)
        left = time.monotonic()
        client.close()
        facts = facts_of(gateway, 1)
        assert time.monotonic() - left < 1.0
        assert facts["end"] == "client_gone"
        assert upstream.wait_for(lambda: upstream.requests[0].ended is not None)
    assert upstream.asked == []


@over_surfaces
def test_a_client_that_sent_more_bytes_and_leaves(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    # Some clients end a body with an empty line that nobody asked for.
    upstream.always(chat_text("hi").streamed().late(SECONDS))
    client = surface.send(gateway, stream=True)
    client.send(b"\r\n")
    leaves_and_is_heard(client, upstream)


def test_a_proxy_that_speaks_http_1_0_and_leaves(gateway: Gateway, upstream: Upstream) -> None:
    # nginx does, unless told otherwise. No interim answer can probe it.
    upstream.always(chat_text("hi").streamed().late(SECONDS))
    client = gateway.connect()
    client.send(RESPONSES.raw(stream=False).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    leaves_and_is_heard(client, upstream)


@over_surfaces
def test_a_client_that_reads_nothing_and_leaves(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    big = b"data: " + json.dumps(chunk({"content": "x" * 100_000})).encode() + b"\n\n"
    upstream.always(sse(*[big] * 400))
    before = exchanges(gateway)
    client = surface.send(gateway, stream=True)
    assert upstream.wait_for(lambda: len(upstream.asked) == 1)
    time.sleep(0.5)
    assert upstream.asked[0].ended is None, "the gateway took what its client does not"
    leaves_and_is_heard(client, upstream)
    assert facts_of(gateway, before + 1)["end"] == "client_gone"


# --- clients that only stop sending -------------------------------------------------------------------------


@over_surfaces
@streamed_and_whole
def test_half_closed_before_the_head(gateway: Gateway, upstream: Upstream, surface: Surface, stream: bool) -> None:
    answer = chat_text("all of it")
    upstream.always((answer.streamed() if stream else answer.whole()).late(1.2))
    with surface.send(gateway, stream=stream) as client:
        client.sock.shutdown(socket.SHUT_WR)
        reply = client.read_all()
    final = reply.rpartition(b"HTTP/1.1 100 Continue\r\n\r\n")[2]
    assert final.startswith(b"HTTP/1.1 200")
    assert final.endswith(b"0\r\n\r\n") if stream else b"all of it" in final
    assert upstream.asked[0].aborted is None


@over_surfaces
def test_half_closed_within_a_stream(gateway: Gateway, upstream: Upstream, surface: Surface) -> None:
    upstream.always(sse(FRAME, FRAME, finish="stop").slow(0.6))
    with surface.send(gateway, stream=True) as client:
        client.read_until(b"hello")
        client.sock.shutdown(socket.SHUT_WR)
        rest = client.read_all()
    assert b"hello" in rest
    assert rest.endswith(b"0\r\n\r\n")
    assert upstream.asked[0].aborted is None


def test_half_closed_within_a_whole_answer(gateway: Gateway, upstream: Upstream) -> None:
    body = json.dumps({"id": "x" * 5000, "last": "word"}).encode()
    upstream.always(Answer((body[:3000], Pause(0.5), body[3000:]), headers={"content-type": "application/json"}))
    with CHAT.send(gateway, stream=False) as client:
        client.read_until(b"xxx")
        client.sock.shutdown(socket.SHUT_WR)
        assert b'"word"}' in client.read_all()

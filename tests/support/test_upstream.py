"""The scripted upstream keeps its promises; tests of the gateway rest on them."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.answers import Answer, Pause, chat_call, chat_text, dropped, error, raw, sse
from tests.support.sockets import Stream, raw_request, request
from tests.support.upstream import Upstream

CHAT = "/v1/chat/completions"


@pytest.fixture(name="server")
def _server() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


def ask(server: Upstream, **body: object) -> Stream:
    return Stream(server.port, CHAT, {"model": "m", "stream": True, **body}, {}, 5)


def test_a_text_comes_streamed_and_whole(server: Upstream) -> None:
    server.always(chat_text("hello there", reasoning="hm"))
    frames = list(ask(server))
    whole = request(server.port, "POST", CHAT, body={"model": "m"}).json

    deltas = [frame.data["choices"][0]["delta"] for frame in frames[:-2]]
    assert "".join(delta.get("content", "") for delta in deltas) == "hello there"
    assert frames[-1].data == "[DONE]"
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "hello there", "reasoning_content": "hm"}


def test_a_call_joins_to_its_arguments(server: Upstream) -> None:
    server.always(chat_call("exec", {"cmd": "ls"}))
    calls = [
        call for frame in list(ask(server))[:-2] for call in frame.data["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert json.loads("".join(call["function"]["arguments"] for call in calls)) == {"cmd": "ls"}
    assert calls[0]["function"]["name"] == "exec"


def test_answers_come_in_order_and_requests_are_kept(server: Upstream) -> None:
    server.answers(error(500, headers={"x-a": "b"}), chat_text("ok"))
    first = request(server.port, "POST", CHAT, body={"n": 1}, headers={"X-Own": "1"})
    second = request(server.port, "POST", CHAT, body={"n": 2})
    third = request(server.port, "POST", CHAT, body={"n": 3})

    assert [first.status, second.status, third.status] == [500, 200, 418]
    assert first.headers["x-a"] == "b"
    assert [body["n"] for body in server.chats] == [1, 2, 3]
    assert server.requests[0].headers["x-own"] == "1"


def test_the_model_list_is_apart_from_the_script(server: Upstream) -> None:
    server.lists("a", "b")
    server.answers(chat_text("ok"))
    listed = request(server.port, "GET", "/v1/models?x=1").json
    assert [entry["id"] for entry in listed["data"]] == ["a", "b"]
    assert request(server.port, "POST", CHAT, body={}).status == 200
    assert len(server.asked) == 1


def test_a_cut_ends_the_body_at_the_byte(server: Upstream) -> None:
    server.always(sse(b"data: 1\n\n", b"data: 2\n\n").cut(12))
    stream = ask(server)
    with pytest.raises(http.client.IncompleteRead) as caught:
        stream.read()
    assert caught.value.partial == b"data: 1\n\ndat"


def test_a_reset_is_a_reset(server: Upstream) -> None:
    server.always(sse(b"data: 1\n\n", b"data: 2\n\n").slow(0.05).reset(9))
    with pytest.raises(ConnectionResetError):
        ask(server).read()


@pytest.mark.parametrize("answer", [dropped(), raw()], ids=["dropped", "nothing"])
def test_a_dropped_request_gets_no_byte(server: Upstream, answer: Answer) -> None:
    server.always(answer)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(server)


def test_raw_bytes_are_sent_as_they_are(server: Upstream) -> None:
    server.always(raw(b"HTTP/1.1 200 OK\r\nX", b": y\r\n\r\nbody"))
    with socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.sendall(raw_request("POST", CHAT, b"{}"))
        assert b"".join(iter(lambda: sock.recv(100), b"")) == b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody"


def test_silence_is_kept_before_the_head_and_within_the_body(server: Upstream) -> None:
    server.answers(chat_text("a").streamed().late(0.2), chat_text("a").streamed().silent(0.2, after=1))
    before = time.monotonic()
    ask(server).close()
    assert time.monotonic() - before >= 0.2
    frames = list(ask(server))
    assert frames[1].time - frames[0].time >= 0.15


def test_an_abort_is_reported_with_its_time(server: Upstream) -> None:
    server.always(Answer((b"data: 1\n\n", Pause(5))))
    stream = ask(server)
    next(iter(stream))
    left = time.monotonic()
    stream.close()
    assert server.wait_for(lambda: server.requests[0].aborted is not None, 2)
    aborted = server.requests[0].aborted
    assert aborted is not None
    assert aborted - left < 0.5


def test_a_drip_sends_single_bytes(server: Upstream) -> None:
    server.always(sse(b"data: 1\n\n", done=False).dripped(1))
    assert ask(server).read() == b"data: 1\n\n"


def test_connections_are_kept_alive_until_a_reset_of_the_server(server: Upstream) -> None:
    server.always(chat_text("ok"))
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    for _ in range(2):
        connection.request("POST", CHAT, body=b"{}")
        connection.getresponse().read()
    assert server.connections == 1
    server.reset()
    assert server.requests == []
    connection.close()

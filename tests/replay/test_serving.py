"""A recording as an upstream, on a real socket: the same bytes, in the same rhythm, with the same end."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.recording.log import Log
from gateway.replay.records import Records
from gateway.replay.serving import Player, Server
from tests.support.recordings import WHOLE, Tape

Serve = Callable[..., Server]


def body(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def hang_up(server: Server) -> None:
    for one in (*server.answers, *server.opened):  # type: ignore[attr-defined]
        one.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(tape: Tape, speed: float = 0.0) -> Server:
            log = stack.enter_context(Log.open(tape.write(tmp_path / "log")))
            notes: list[str] = []
            server = stack.enter_context(Server(("127.0.0.1", 0), Player(Records.of(log), speed, notes.append)))
            server.notes = notes  # type: ignore[attr-defined]
            server.opened, server.answers = [], []  # type: ignore[attr-defined]
            stack.callback(hang_up, server)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


def connect(server: Server) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    server.opened.append(connection)  # type: ignore[attr-defined]
    return connection


def ask(server: Server, text: str = "hi", path: str = "/v1/chat/completions") -> http.client.HTTPResponse:
    connection = connect(server)
    connection.request("POST", path, json.dumps(body(text)), {"content-type": "application/json"})
    answer = connection.getresponse()
    server.answers.append(answer)  # type: ignore[attr-defined]
    return answer


def recorded(*chunks: bytes, text: str = "hi", **more: Any) -> Tape:
    tape = Tape()
    tape.relayed("req_1", body(text), list(chunks), **more)
    return tape


def test_an_answer_is_given_to_the_byte(serve: Serve) -> None:
    server = serve(recorded(b"data: a\n\n", b"\xff\xfe", headers=[["content-type", "text/event-stream"], ["x-a", "b"]]))
    answer = ask(server)
    assert (answer.status, answer.getheader("x-a"), answer.getheader("transfer-encoding")) == (200, "b", "chunked")
    assert answer.read() == b"data: a\n\n\xff\xfe"
    assert server.notes == ["POST /v1/chat/completions: req_1 (exact)"]  # type: ignore[attr-defined]


def test_a_connection_is_kept(serve: Serve) -> None:
    server = serve(recorded(b"x"))
    connection = connect(server)
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", json.dumps(body("hi")))
        assert connection.getresponse().read() == b"x"
    connection.request("POST", "/v1/chat/completions", iter([json.dumps(body("hi")).encode()]), encode_chunked=True)
    assert connection.getresponse().read() == b"x"


def test_errors_have_their_status_and_length(serve: Serve) -> None:
    fault = b'{"error": "slow down"}'
    head = [*WHOLE, ["content-length", str(len(fault))], ["retry-after", "3"]]
    answer = ask(serve(recorded(fault, status=429, headers=head)))
    assert (answer.status, answer.getheader("retry-after"), answer.getheader("content-length")) == (429, "3", "22")
    assert answer.read() == fault


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        pytest.param({"end": "upstream_cut"}, http.client.IncompleteRead, id="chunked"),
        pytest.param(
            {"end": "upstream_cut", "headers": [*WHOLE, ["content-length", "99"]]},
            http.client.IncompleteRead,
            id="length",
        ),
        pytest.param({"end": "upstream_cut", "error": "broke the connection"}, ConnectionResetError, id="reset"),
        pytest.param({"end": None}, http.client.IncompleteRead, id="not-recorded"),
    ],
)
def test_a_cut_is_a_cut(serve: Serve, more: dict[str, Any], fault: type[Exception]) -> None:
    tape = Tape()
    tape.asked("req_1", body("hi"))
    tape.answered("req_1", [b"half"], **more)
    with pytest.raises(fault):
        ask(serve(tape)).read()


def test_no_answer_is_no_answer(serve: Serve) -> None:
    tape = Tape()
    tape.asked("req_1", body("hi"))
    tape.add("upstream-response-end", "req_1", attempt=1, end="unreachable")
    with pytest.raises(http.client.RemoteDisconnected):
        ask(serve(tape))


def test_silence_lasts_until_the_client_leaves(serve: Serve) -> None:
    server = serve(recorded(b"data: a\n\n", end="timeout"))
    answer = ask(server)
    server.opened[0].sock.settimeout(0.2)  # type: ignore[attr-defined]
    with pytest.raises(TimeoutError):
        answer.read()


def test_the_rhythm_is_the_recorded_one_or_a_multiple(serve: Serve) -> None:
    tape = Tape(tick=0.15)
    tape.relayed("req_1", body("hi"), [b"a", b"b"])
    began = time.monotonic()
    ask(serve(tape, speed=1.0)).read()
    assert time.monotonic() - began >= 0.55
    began = time.monotonic()
    ask(serve(tape, speed=3.0)).read()
    assert time.monotonic() - began >= 0.18


def test_a_miss_is_a_404_that_names_the_nearest(serve: Serve) -> None:
    answer = ask(serve(recorded(b"x")), "ho")
    assert answer.status == 404
    error = json.loads(answer.read())["error"]
    assert error["code"] == "no_recorded_answer"
    assert "The nearest record is req_1: messages differs at messages[0]" in error["message"]


def test_models_are_those_of_the_recording(serve: Serve) -> None:
    server = serve(recorded(b"x"))
    connection = connect(server)
    connection.request("GET", "/v1/models")
    assert [model["id"] for model in json.loads(connection.getresponse().read())["data"]] == ["m"]
    connection.request("HEAD", "/v1/models")
    with connection.getresponse() as answer:
        assert (answer.status, answer.read()) == (200, b"")
    connection.request("DELETE", "/v1/models/m")
    assert connection.getresponse().status == 404


def test_recorded_lists_are_joined(serve: Serve) -> None:
    tape = recorded(b"x")
    for id, body in (("req_2", b'{"data": [{"id": "n", "x": 1}, 3]}'), ("req_3", b'{"data": 3}'), ("req_4", b"<html>")):
        tape.request(id, None, "/v1/models")
        tape.told(id, [body], headers=WHOLE)
    connection = connect(serve(tape))
    connection.request("GET", "/v1/models")
    listed = json.loads(connection.getresponse().read())["data"]
    assert listed == [{"id": "n", "x": 1}, {"id": "m", "object": "model", "owned_by": "recording"}]


def test_bodyless_answers_have_no_body(serve: Serve) -> None:
    tape = Tape()
    tape.asked("req_1", body("hi"))
    tape.answered("req_1", [], status=204, headers=[])
    answer = ask(serve(tape))
    assert (answer.status, answer.read()) == (204, b"")


def test_an_odd_status_has_a_phrase(serve: Serve) -> None:
    assert ask(serve(recorded(b"x", status=599))).reason == "Unknown"

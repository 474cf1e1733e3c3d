"""A scripted upstream on a real socket: every byte of its answers is decided by the test.

It is a small threaded HTTP/1.1 server of its own, because a library would not let a test cut a body in the
middle, reset a connection or keep silent at will. A *script* says what is answered:

    upstream.answers(chat_text("hi"), error(500), chat_call("exec_command", {"cmd": "ls"}))   one after another
    upstream.answers_with(lambda request: chat_text("hi") if ... else error(404))               by the request

`GET …/models` is not for the script; it is answered from `upstream.models`. Every request is kept in
`upstream.requests`, with the time when its client went away before the answer's end.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tests.support.answers import JSON, Answer, Chat, Close, Pause, Reset, error, json_answer
from tests.support.responses import Responses


@dataclass
class Request:
    """One request as it came, and how it ended for its client."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case; of repeated ones the values joined by a comma."""
    header_lines: list[tuple[str, str]]
    body: bytes
    time: float
    """Seconds of the monotonic clock when the request was read."""
    connection: int
    """Number of the connection that it came on."""
    aborted: float | None = None
    """When the client was seen to leave before the end of the answer."""
    ended: float | None = None
    """When the answer was sent whole."""
    index: int = 0
    """Number among the requests that the script answers."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> JSON:
        """The body, parsed."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value

    @property
    def streamed(self) -> bool:
        """The request asks for a stream."""
        return bool(self.body) and self.json.get("stream") is True


Scripted = Answer | Chat | Responses
Script = Callable[[Request], Scripted | None]


class Upstream:
    """The scripted upstream; a context manager."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[Request] = []
        self.models: Answer = json_answer({"object": "list", "data": []})
        self.connections = 0
        self._changed = threading.Condition()
        self._script: Script = lambda request: None
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True, name="scripted-upstream")
        self._thread.start()

    def __enter__(self) -> Upstream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The API root, as in BACKEND_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def close(self) -> None:
        """End the server and all its connections."""
        # A close alone does not wake an accept that waits in another thread.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()
        self._thread.join(5)

    def reset(self) -> None:
        """Forget requests and script, drop all connections: as new, on the same port."""
        self._drop_connections()
        with self._changed:
            self.requests = []
            self._script = lambda request: None
        self.models = json_answer({"object": "list", "data": []})

    def lists(self, *ids: str | JSON) -> None:
        """Set the model list: ids, or whole entries."""
        entries = [{"id": entry, "object": "model"} if isinstance(entry, str) else entry for entry in ids]
        self.models = json_answer({"object": "list", "data": entries})

    def answers(self, *answers: Scripted) -> None:
        """Give these answers, one after another; a request beyond them is a 418 that says so."""
        remaining = iter(answers)

        def script(request: Request) -> Scripted:
            return next(remaining, error(418, "the script has no further answer", code="script_exhausted"))

        self.answers_with(script)

    def always(self, answer: Scripted) -> None:
        """Give this answer to every request."""
        self.answers_with(lambda request: answer)

    def answers_with(self, script: Script) -> None:
        """Let a function answer. It is called by one thread at a time; None means the default."""
        self._script = script

    @property
    def chats(self) -> list[JSON]:
        """The bodies of the requests that the script answered, in order."""
        return [request.json for request in self.asked]

    @property
    def asked(self) -> list[Request]:
        """The requests other than those for the model list."""
        with self._changed:
            return [request for request in self.requests if not _asks_models(request)]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Wait until a condition over the requests holds; return whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def _drop_connections(self) -> None:
        with self._changed:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                number = self.connections
                self._open.add(connection)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        # The client may leave between requests, or the test may drop the connection.
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as reader:
            while (request := read_request(reader, connection, number)) is not None:
                if not self._send(connection, request, self._answer_of(request)):
                    break
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def _answer_of(self, request: Request) -> Answer:
        with self._changed:
            request.index = sum(not _asks_models(earlier) for earlier in self.requests)
            self.requests.append(request)
            self._changed.notify_all()
            scripted = None if _asks_models(request) else self._script(request)
        if isinstance(scripted, Chat | Responses):
            return scripted.streamed() if request.streamed else scripted.whole()
        if scripted is not None:
            return scripted
        return self.models if _asks_models(request) else error(404, f"nothing is scripted for {request.target}")

    def _send(self, connection: socket.socket, request: Request, answer: Answer) -> bool:
        """Send an answer; return whether the connection can be used again."""
        reusable = False
        try:
            reusable = _send_answer(connection, answer)
        except OSError:
            request.aborted = time.monotonic()
        else:
            request.ended = time.monotonic()
        with self._changed:
            self._changed.notify_all()
        return reusable


class _ClientLeft(ConnectionError):
    """The client closed its side while the answer was not complete."""


def _asks_models(request: Request) -> bool:
    return request.method == "GET" and request.path.endswith("/models")


def read_request(reader: Any, connection: socket.socket, number: int) -> Request | None:
    """Read one request; None where the client closed before one began."""
    first = reader.readline()
    if not first.strip():
        return None
    method, target, _ = first.decode("latin-1").split(" ", 2)
    lines: list[tuple[str, str]] = []
    while (line := reader.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        lines.append((name, value.strip()))
    headers: dict[str, str] = {}
    for name, value in lines:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = _read_body(reader, headers)
    return Request(method, target, headers, lines, body, time.monotonic(), number)


def _read_body(reader: Any, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", ""):
        parts = []
        while size := int(reader.readline().split(b";")[0], 16):
            parts.append(reader.read(size))
            reader.readline()
        reader.readline()
        return b"".join(parts)
    length = int(headers.get("content-length", "0"))
    body: bytes = reader.read(length)
    if len(body) < length:
        raise ValueError("the request's body was cut")
    return body


def _send_answer(connection: socket.socket, answer: Answer) -> bool:
    """Send head and steps; return whether the connection stays open for a next request."""
    _pause(connection, answer.pause_before_head)
    if not answer.bare:
        connection.sendall(_head(answer))
    chunked = not answer.bare and answer.length is None
    for step in answer.steps:
        if isinstance(step, Pause):
            _pause(connection, step.seconds)
        elif isinstance(step, Close):
            return False
        elif isinstance(step, Reset):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        else:
            _check_client(connection)
            connection.sendall(b"%x\r\n%s\r\n" % (len(step), step) if chunked else step)
    if chunked:
        connection.sendall(b"0\r\n\r\n")
    return not answer.bare


def _head(answer: Answer) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    framing = ("transfer-encoding", "chunked") if answer.length is None else ("content-length", str(answer.length))
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{k}: {v}" for k, v in [*answer.headers.items(), framing])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _check_client(connection: socket.socket) -> None:
    _pause(connection, 0)


def _pause(connection: socket.socket, seconds: float) -> None:
    """Wait, but notice at once when the client leaves. Raises: _ClientLeft."""
    end = time.monotonic() + seconds
    while True:
        poll = select.poll()
        poll.register(connection, select.POLLIN | select.POLLRDHUP)
        left = max(0.0, end - time.monotonic())
        events = poll.poll(left * 1000)
        if events and events[0][1] & (select.POLLRDHUP | select.POLLHUP | select.POLLERR):
            raise _ClientLeft
        if events and left:
            # A next request was sent early; it waits its turn.
            time.sleep(min(left, 0.05))
        if time.monotonic() >= end:
            return

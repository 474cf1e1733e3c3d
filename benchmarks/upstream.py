"""A mock Chat upstream that costs little: raw sockets, one epoll loop, bytes prepared before the first request.

    python -m benchmarks.upstream --port 9000

The model's name in the request says which answer of `benchmarks.scenarios` is given. As with real servers each
event is an HTTP chunk of its own. A burst leaves in one write, its head included; a paced answer sends each
delta alone, in its own rhythm, with the time of sending in its text.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
import re
import select
import socket
import time
from collections.abc import Iterator

from benchmarks.scenarios import SCENARIOS, Piece, Scenario

READ_BYTES = 256 * 1024
NAMES = {1: "exec_command", 2: "update_plan"}
_CREATED = 1_760_000_000
_MODEL = re.compile(rb'"model"\s*:\s*"([^"]+)"')
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_LAST_CHUNK = b"0\r\n\r\n"
_STAMP = "@0000000000000000"


class Connection:
    """One client connection: what it sent so far, what it has not taken yet."""

    __slots__ = ("body_start", "buffer", "closed", "need", "pending", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.body_start = 0
        self.need = 0
        self.pending = b""
        self.closed = False


class Paced:
    """A paced answer: its frames as templates into which the time of sending goes."""

    def __init__(self, scenario: Scenario) -> None:
        self.interval = scenario.interval
        self.opening = _STREAM_HEAD + _chunk(_delta(scenario, {"role": "assistant", "content": ""}))
        texts = [_chunk(_delta(scenario, {"content": piece.text + _STAMP})) for piece in scenario.pieces]
        self.frames: list[tuple[bytes, bytes]] = []
        for text in texts:
            before, _, after = text.partition(_STAMP.encode())
            self.frames.append((before + b"@", after))
        self.closing = b"".join(_chunk(frame) for frame in _ending(scenario, "stop")) + _LAST_CHUNK


class Upstream:
    """The server; `run` serves until the process is ended."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[int, int, Connection, Paced, int]] = []
        self._count = 0
        self._prepared = {name.encode(): _prepared(scenario) for name, scenario in SCENARIOS.items()}
        self._models = _json_answer(_models())

    def run(self) -> None:
        """Serve for ever."""
        gc.disable()  # nothing here makes cycles, and a collection would show as a delay
        while True:
            self._wait()
            self._send_due()
            for fd, events in self._epoll.poll(0):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    self._serve(self._connections[fd], events)

    def _wait(self) -> None:
        """Sleep until something arrives or a delta is due; epoll's own timeout knows only whole milliseconds."""
        timeout = None
        if self._due:
            timeout = max(0.0, (self._due[0][0] - time.monotonic_ns()) / 1e9)
        select.select([self._epoll.fileno()], [], [], timeout)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[sock.fileno()] = Connection(sock)
            self._epoll.register(sock, select.EPOLLIN)

    def _serve(self, connection: Connection, events: int) -> None:
        if events & select.EPOLLOUT:
            self._send(connection, b"")
        if not events & ~select.EPOLLOUT:
            return
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.buffer += data
        self._take_requests(connection)

    def _take_requests(self, connection: Connection) -> None:
        buffer = connection.buffer
        while buffer:
            if not connection.need:
                end = buffer.find(b"\r\n\r\n")
                if end < 0:
                    return
                length = _LENGTH.search(buffer, 0, end + 2)
                connection.body_start = end + 4
                connection.need = end + 4 + (int(length[1]) if length else 0)
            if len(buffer) < connection.need:
                return
            answer = self._answer(buffer, connection.body_start)
            del buffer[: connection.need]
            connection.need = 0
            if isinstance(answer, Paced):
                self._send(connection, answer.opening)
                self._schedule(connection, answer, 0, time.monotonic_ns())
            else:
                self._send(connection, answer)

    def _answer(self, buffer: bytearray, body_start: int) -> bytes | Paced:
        if buffer.startswith(b"GET"):
            return self._models
        model = _MODEL.search(buffer, body_start)
        answer = self._prepared.get(model[1]) if model else None
        return answer or _json_answer({"error": {"message": "unknown scenario"}}, "404 Not Found")

    def _schedule(self, connection: Connection, answer: Paced, index: int, last: int) -> None:
        self._count += 1
        due = last + int(answer.interval * 1e9)
        heapq.heappush(self._due, (due, self._count, connection, answer, index))

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic_ns():
            due, _, connection, answer, index = heapq.heappop(self._due)
            if connection.closed:
                continue
            if index == len(answer.frames):
                self._send(connection, answer.closing)
                continue
            before, after = answer.frames[index]
            self._send(connection, b"%b%016d%b" % (before, time.monotonic_ns(), after))
            self._schedule(connection, answer, index + 1, due)

    def _send(self, connection: Connection, data: bytes) -> None:
        waiting = bool(connection.pending)
        data = connection.pending + data
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.pending = data[sent:]
        if bool(connection.pending) != waiting:
            writable = 0 if waiting else select.EPOLLOUT
            self._epoll.modify(connection.sock, select.EPOLLIN | writable)

    def _close(self, connection: Connection) -> None:
        if not connection.closed:
            connection.closed = True
            del self._connections[connection.sock.fileno()]
            self._epoll.unregister(connection.sock)
            connection.sock.close()


def _prepared(scenario: Scenario) -> bytes | Paced:
    if scenario.whole:
        return _json_answer(_completion(scenario))
    if scenario.interval:
        return Paced(scenario)
    return _STREAM_HEAD + b"".join(_chunk(frame) for frame in frames(scenario)) + _LAST_CHUNK


def frames(scenario: Scenario) -> Iterator[bytes]:
    """Yield the frames of an answer whose deltas come at once."""
    yield _delta(scenario, {"role": "assistant", "content": ""})
    announced: set[int] = set()
    for piece in scenario.pieces:
        if piece.kind == "call" and piece.call not in announced:
            announced.add(piece.call)
            yield _delta(scenario, _announcement(piece))
        yield _delta(scenario, _spelled(piece))
    yield from _ending(scenario, "tool_calls" if announced else "stop")


def _announcement(piece: Piece) -> dict[str, object]:
    function = {"name": NAMES[piece.call], "arguments": ""}
    return {
        "tool_calls": [{"index": piece.call - 1, "id": f"call_{piece.call}", "type": "function", "function": function}]
    }


def _spelled(piece: Piece) -> dict[str, object]:
    match piece.kind:
        case "text":
            return {"content": piece.text}
        case "reasoning":
            return {"reasoning_content": piece.text}
        case _:
            return {"tool_calls": [{"index": piece.call - 1, "function": {"arguments": piece.text}}]}


def _ending(scenario: Scenario, reason: str) -> Iterator[bytes]:
    yield _delta(scenario, {}, reason)
    yield _event({**_envelope(scenario, "chat.completion.chunk"), "choices": [], "usage": _usage(scenario)})
    yield b"data: [DONE]\n\n"


def _delta(scenario: Scenario, delta: dict[str, object], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _event({**_envelope(scenario, "chat.completion.chunk"), "choices": [choice]})


def _completion(scenario: Scenario) -> dict[str, object]:
    message = {"role": "assistant", "content": scenario.content["text"]}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return {**_envelope(scenario, "chat.completion"), "choices": [choice], "usage": _usage(scenario)}


def _envelope(scenario: Scenario, kind: str) -> dict[str, object]:
    return {"id": "chatcmpl-0123456789abcdef", "object": kind, "created": _CREATED, "model": scenario.name}


def _usage(scenario: Scenario) -> dict[str, int]:
    deltas = len(scenario.pieces)
    return {"prompt_tokens": 100, "completion_tokens": deltas, "total_tokens": 100 + deltas}


def _models() -> dict[str, object]:
    told = {"object": "model", "created": _CREATED, "owned_by": "benchmark", "context_length": 1_000_000}
    data = [{"id": name, **told, "supported_features": ["tools", "reasoning"]} for name in SCENARIOS]
    return {"object": "list", "data": data}


def _event(value: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _json_answer(value: dict[str, object], status: str = "200 OK") -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def main() -> None:
    """Start on a port (0: a free one) and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upstream")
    parser.add_argument("--port", type=int, default=0)
    upstream = Upstream(parser.parse_args().port)
    print(upstream.port, flush=True)
    upstream.run()


if __name__ == "__main__":
    main()

"""A recording as an upstream: gives the recorded answers to whoever sends the recorded requests.

    python openai_proxy.py replay traffic.jsonl          prints its URL
    python openai_proxy.py --backend-url URL             the gateway in front of it

A small threaded HTTP/1.1 server of its own, because it must cut answers where the recording is cut, keep silent where
the upstream did, and send each recorded chunk as one. It asks for no key.
"""

from __future__ import annotations

import contextlib
import http
import select
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from gateway import __version__
from gateway.dialects.chat.wire import encode_error
from gateway.errors import NotFound
from gateway.jsonbody import dump
from gateway.replay.asked import take_apart
from gateway.replay.pace import Script, scaled, script
from gateway.replay.records import Miss, Records

Note = Callable[[str], None]

_IDLE_SECS = 120.0
_BODY_LIMIT = 256 * 1024 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Player:
    """Finds answers; one request at a time."""

    records: Records
    speed: float = 1.0
    """How many times faster than recorded; 0: at once."""
    note: Note = lambda text: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, target: str, body: bytes | None) -> Script | Miss:
        """Return the recorded answer to a request, or what comes nearest."""
        with self._lock:
            found = self.records.find(take_apart(method, target, body))
            if isinstance(found, Miss):
                return found
            exchange = self.records.exchange(found.record)
        self.note(f"{method} {target}: {found.record.name} ({found.likeness})")
        return script(exchange, exchange.attempt(found.record.attempt))

    def models(self) -> bytes:
        """Return the models of the lists that were recorded, and those that only requests name."""
        entries = dict(self.records.listed)
        for name in self.records.models:
            entries.setdefault(name, {"id": name, "object": "model", "owned_by": "recording"})
        return dump({"object": "list", "data": list(entries.values())})


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves one player."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], player: Player) -> None:
        self.player = player
        super().__init__(address, Handler)

    @property
    def url(self) -> str:
        """The API root, as in BACKEND_URL."""
        host, port = self.server_address[:2]
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/v1"

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection; the library would end it in order first, also where it is to be broken."""
        self.close_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nobody is told of a client that left; anything else is noted."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.player.note(f"internal error: {type(error).__name__}: {error}")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = f"openai-proxy-replay/{__version__}"
    timeout = _IDLE_SECS
    disable_nagle_algorithm = True
    server: Server
    _bodyless: ClassVar = (204, 304)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Any method is served alike: `do_GET`, `do_POST`, …"""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """The player notes what it answers; this server's own lines say no more."""

    def _serve(self) -> None:
        self._began = time.monotonic()
        body = self._read_body()
        player = self.server.player
        answer = player.answer(self.command, self.path, body)
        if isinstance(answer, Script):
            self._play(answer, player.speed)
        elif self.command in ("GET", "HEAD") and self.path.partition("?")[0].endswith("/models"):
            self._send_json(200, player.models())
        else:
            player.note(f"{self.command} {self.path}: no recorded answer. {explained(answer)}")
            error = NotFound(f"No recorded answer. {explained(answer)}", code="no_recorded_answer")
            self._send_json(404, dump(encode_error(error, "")))

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("content-length")
        return self.rfile.read(min(int(length), _BODY_LIMIT)) if length else None

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(65536).strip():
            pass
        return b"".join(parts)

    def _send_json(self, status: int, body: bytes) -> None:
        self._send_head(status, [("content-type", "application/json"), ("content-length", str(len(body)))])
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_head(self, status: int, headers: list[tuple[str, str]]) -> None:
        try:
            phrase = http.HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
        self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))

    # --- one recorded answer --------------------------------------------------------------------------------

    def _play(self, answer: Script, speed: float) -> None:
        self.close_connection = True  # unless it all ends well
        if not self._wait_until(scaled(answer.head_at, speed)):
            return
        if answer.status is not None:
            self._play_body(answer, speed)
        match answer.ending:
            case "clean":
                self.close_connection = False
            case "silent":
                while self._wait_until(time.monotonic() - self._began + _IDLE_SECS):
                    pass
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            case "cut":
                pass

    def _play_body(self, answer: Script, speed: float) -> None:
        status = answer.status or 200
        has_body = self.command != "HEAD" and status not in self._bodyless
        chunked = has_body and answer.length is None
        framing = ("transfer-encoding", "chunked") if chunked else ("content-length", str(answer.length or 0))
        self._send_head(status, [*answer.headers, framing] if has_body or answer.length else answer.headers)
        if not has_body:
            return
        for at, data in answer.steps(speed):
            if not self._wait_until(at):
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
        self._wait_until(scaled(answer.ends_at, speed))
        if chunked and answer.ending == "clean":
            self.wfile.write(b"0\r\n\r\n")

    def _wait_until(self, at: float) -> bool:
        """Wait until `at` seconds after the request; tell whether the client is still there."""
        while True:
            left = self._began + at - time.monotonic()
            if left <= 0:
                return True
            poll = select.poll()
            poll.register(self.connection, select.POLLIN)
            if poll.poll(left * 1000):
                with contextlib.suppress(BlockingIOError, TimeoutError):
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        return False
                # A next request was sent early; it waits its turn.
                time.sleep(min(0.05, left))


def explained(miss: Miss) -> str:
    """Say what the nearest record is and what differs from it."""
    if miss.nearest is None or miss.difference is None:
        return "The recording holds no request to an upstream."
    return f"The nearest record is {miss.nearest.name}: {miss.difference}."

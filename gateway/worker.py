"""A worker process: accepts connections, serves the requests that come over each, ends in order.

One greenlet for each connection. Its states:

    waiting   nothing of a request has come; the connection may be ended at any time
    reading   part of a head has come (`gateway.heads` keeps the deadline)
    serving   the application runs; what it yields is written as it comes
    closing   the answer is out and the connection not worth keeping

The end: SIGTERM closes the listeners and, at once, all waiting connections that were used before (fresh ones a
moment later, as their first request may be on its way). The others go on, each for its one answer, until the
grace has passed and `Drain` tells them to end. A worker ends when it has no connection left, a little after the
grace at the latest, and dies at once with its master.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache, partial
from typing import Any, Protocol

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException
from gunicorn.util import is_hoppish
from gunicorn.workers.ggevent import GeventWorker

from gateway.connection import send_all
from gateway.cors import Cors
from gateway.errors import GatewayError
from gateway.heads import HeadReader, fault_of, format_refusal
from gateway.http1 import Headers

FIRST_BYTES_SECS = 0.5
"""Time for the first request of a connection that was accepted just before the end began."""

LAST_WORDS_SECS = 3.0
"""Time for terminal events and 503s after the grace, before connections are cut."""

_REFUSAL_SECS = 5.0
"""Longest wait for a client to take a refusal."""

_PR_SET_PDEATHSIG = 1

_M_MMAP_THRESHOLD = -3
_LARGE_BLOCK = 1 << 20
"""Blocks of memory of this size, in bytes, go back to the system as soon as they are done with."""


class Serving(Protocol):
    """What a worker serves: a WSGI application (PEP 3333) that also wants to be called when nobody asks."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""

    def beat(self) -> None:
        """Do what is due without any request; called each second."""


class Worker(GeventWorker):
    """gunicorn's gevent worker with the connection handling of this gateway.

    `self.app` is `gateway.server.Server`: it has the settings, the deadlines and the drain.
    """

    def init_process(self) -> None:
        _die_with(self.ppid)
        _give_back_large_blocks()
        self._waiting: dict[socket.socket, bool] = {}
        self._stopping = Event()
        self._cors = Cors(self.app.settings.cors_allow_origins)
        super().init_process()

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C reaches the whole process group; the master decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        self._stopping.set()

    def run(self) -> None:
        pool = Pool(self.worker_connections)
        servers = [self._serve(sock, pool) for sock in self.sockets]
        while self.alive:
            self.notify()
            self.app.metrics.worker(len(pool), len(pool) + threading.active_count())
            self.wsgi.beat()
            self._stopping.wait(1.0)
        for server in servers:
            server.close()
        self._drain(pool)
        self.app.metrics.flush()

    def _serve(self, sock: Any, pool: Pool) -> StreamServer:
        sock.setblocking(1)
        server = StreamServer(sock, handle=partial(self.handle, sock.getsockname()), spawn=pool)
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    def _drain(self, pool: Pool) -> None:
        grace = self.app.settings.shutdown_grace_secs
        ends = time.monotonic() + grace + LAST_WORDS_SECS
        self.app.drain.begin(grace)
        self._hang_up(fresh=False)
        gevent.spawn_later(FIRST_BYTES_SECS, self._hang_up, fresh=True)
        while len(pool) and time.monotonic() < ends:
            self.notify()
            self.app.metrics.flush()
            pool.join(timeout=0.5)
        if len(pool):
            self.log.warning("%d connections were cut at the end of the grace", len(pool))

    def _hang_up(self, fresh: bool) -> None:
        """End the connections that wait: those that are fresh, or those that were used before."""
        for client, is_fresh in list(self._waiting.items()):
            if is_fresh == fresh:
                # The greenlet that waits reads the end of the connection, or the request that came just now.
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RD)

    # --- one connection -------------------------------------------------------------------------------------

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection; `listener` is the address that accepted it."""
        try:
            self._converse(listener, client, addr)
        except OSError as exc:
            self.log.debug("a connection broke: %s", exc)
        finally:
            client.close()

    def _converse(self, listener: Any, client: Any, addr: Any) -> None:
        reader = HeadReader(self.cfg, client, addr, listener)
        goes_on = True
        while goes_on:
            try:
                request = self._next_request(reader, client)
            except (ParseException, GatewayError) as exc:
                self.log.info("refused a request from %s: %s", addr[0], type(exc).__name__)
                self._refuse(client, exc, reader.refused())
                return
            goes_on = request is not None and self._answer(request, reader, client)

    def _next_request(self, reader: HeadReader, client: Any) -> Any:
        """Return the next request, or None where none will come. Raises: ParseException, RequestTimeout, OSError."""
        fresh = reader.requests == 0
        if not self.alive and not fresh:
            return None
        self._waiting[client] = fresh
        try:
            began = reader.begin(self.app.deadlines.idle if self.alive else FIRST_BYTES_SECS)
        finally:
            del self._waiting[client]
        return reader.request(self.app.deadlines.head) if began else None

    def _answer(self, request: Any, reader: HeadReader, client: Any) -> bool:
        """Serve one request; tell whether the connection goes on."""
        response = Answer(request, client, self.cfg)
        environ = reader.environ(request)
        if request.expects:
            client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ["gateway.body_secs"] = self.app.deadlines.body
        body = request.body

        def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
            if not self.alive or body.unread != 0:
                response.force_close()
            return response.start_response(status, headers, exc_info)

        try:
            self._write(self.wsgi(environ, start_response), response)
        except GatewayError:
            # The application breaks the answer off, and has said why in its log.
            return False
        except OSError:
            raise
        except Exception as exc:
            self.log.exception("the application failed")
            if not response.headers_sent:
                self._refuse(client, exc, environ)
            return False
        if body.unread != 0:
            self._linger(client)
            return False
        return self.alive and not response.should_close()

    def _write(self, answer: Any, response: Any) -> None:
        tells = hasattr(answer, "ended")
        try:
            for data in answer:
                response.write(data, tells and answer.ended)
            response.close()
        finally:
            if hasattr(answer, "close"):
                answer.close()

    def _refuse(self, client: Any, exc: BaseException, environ: Mapping[str, Any]) -> None:
        """Answer a request that does not reach the application; `environ` has what is known of its headers."""
        error = fault_of(exc)
        self.app.metrics.answered(str(client.getsockname()[1]), "", error.status)
        client.settimeout(_REFUSAL_SECS)
        client.sendall(format_refusal(error, self._cors.headers(environ)))
        self._linger(client)

    def _linger(self, client: Any) -> None:
        """Take what still comes for a moment: closing with bytes unread would reset the answer away."""
        client.shutdown(socket.SHUT_WR)
        ends = time.monotonic() + self.app.deadlines.linger
        with contextlib.suppress(TimeoutError):
            while (left := ends - time.monotonic()) > 0:
                client.settimeout(left)
                if not client.recv(65536):
                    return


class Answer(wsgi.Response):
    """gunicorn's response, whose head leaves in one write with what follows it at once."""

    def __init__(self, req: Any, sock: Any, cfg: Any) -> None:
        super().__init__(req, sock, cfg)
        self.headers_sent = False
        self._head = b""
        self._ended = False

    def process_headers(self, headers: Headers) -> None:
        """Take the headers of an answer. Raises: ValueError, where one would break out of its line."""
        for name, value in headers:
            kind = _kind(name)
            if kind is None or _FORBIDDEN.search(value):
                raise ValueError(f"a header that is none: {name[:100]!r}")
            if kind == "length":
                self.response_length = int(value)
            if kind != "of this connection":
                self.headers.append((name, value))

    def send_headers(self) -> None:
        """Make the head ready; it leaves with the next bytes, or when `write` has none."""
        if self.headers_sent:
            return
        self.headers_sent = True
        lines = [
            f"HTTP/{self.req.version[0]}.{self.req.version[1]} {self.status}",
            f"Date: {_http_date(int(time.time()))}",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}",
            *(["Transfer-Encoding: chunked"] if self.chunked else []),
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        self._head = "\r\n".join([*lines, "", ""]).encode("latin-1")

    def write(self, arg: bytes, ends: bool = False) -> None:
        """Write one piece of the body; an empty one sends the head alone. `ends`: no other follows."""
        if self.chunked and arg:
            if self._ended:
                raise RuntimeError("a piece behind the last one")  # it would be taken for another answer
            if not self.headers_sent:
                self.send_headers()
            self.sent += len(arg)
            if ends:
                self._ended = True
                self._send(b"%x\r\n%b\r\n%b" % (len(arg), arg, _LAST_CHUNK))
            else:
                self._send(b"%x\r\n%b\r\n" % (len(arg), arg))
        else:
            super().write(arg)
            self._send(b"")

    def close(self) -> None:
        """End the body, if its last piece has not done so."""
        self.send_headers()
        self._send(_LAST_CHUNK if self.chunked and not self._ended else b"")

    def _emit_body(self, data: bytes) -> None:
        self._send(data)

    def _send(self, data: bytes) -> None:
        if self._head:
            data = self._head + data
            self._head = b""
        if data:
            send_all(self.sock, data)


_LAST_CHUNK = b"0\r\n\r\n"
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_TOKEN = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+")


@lru_cache(maxsize=1024)
def _kind(name: str) -> str | None:
    """Return what the server does with a header: None for one that has no name of a header."""
    if _TOKEN.fullmatch(name) is None:
        return None
    if is_hoppish(name):
        return "of this connection"
    return "length" if name.lower() == "content-length" else "of the answer"


@lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def _give_back_large_blocks() -> None:
    """Have the C library map each large block by itself; where it is not glibc, nothing is done.

    By itself glibc moves that bound up to the largest block that was ever freed. Bodies of some MB then lie among
    small blocks that stay, and a worker keeps several times the memory that it uses.
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK)


def _die_with(master: int) -> None:
    """Have the kernel end this process when its master is gone, however that ended."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != master:
        os.kill(os.getpid(), signal.SIGKILL)

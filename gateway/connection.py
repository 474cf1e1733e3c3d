"""One connection to the upstream: bytes out, bytes in, and waiting for them at little cost.

Why not the socket's own `recv` with a timeout: of each wait it makes a clock and a waiting object anew, and it asks
the kernel twice for bytes that come alone, as the deltas of a model do. Here the watcher lives as long as the
connection, a read that took all there was is followed by waiting instead of asking, and one clock serves many
waits: it rings, looks when the present wait is to end, and is set again.

The socket never blocks but while a request is sent. The waiting greenlet may be thrown at (`gateway.client_watch`).
"""

from __future__ import annotations

import math
import select
import socket
import ssl
import time
from typing import Any

import gevent
from gevent.monkey import get_original
from greenlet import greenlet

READ_SIZE = 65536

_SHORTEST = 0.001
"""Shortest time until the clock rings, in seconds."""

_READABLE, _WRITABLE = 1, 2
"""What the event loop calls the two states of a socket."""

_poll = get_original("select", "poll")


def send_all(sock: socket.socket, data: bytes) -> None:
    """Send all of it, as `sendall`, which asks the kernel for its buffer's size each time. Raises: OSError.

    Nearly always all is taken at once.
    """
    sent = sock.send(data)
    if sent < len(data):
        sock.sendall(memoryview(data)[sent:])


class Connection:
    """A socket, with TLS or without, that one greenlet at a time reads from."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # What TLS has read and not handed out is no news to the kernel: there only asking tells.
        self._tells_all = not isinstance(sock, ssl.SSLSocket)
        self._drained = self._tells_all
        self._hub = gevent.get_hub()
        self._readable = self._hub.loop.io(sock.fileno(), _READABLE)
        self._watches = False
        self._waiting: greenlet | None = None
        self._ends = math.inf
        self._clock: Any = None
        self._rings = math.inf

    def send(self, data: bytes, silence: float) -> None:
        """Send all of it. Raises: OSError; TimeoutError where nothing was taken for `silence` seconds."""
        self._sock.settimeout(silence)
        try:
            send_all(self._sock, data)
        finally:
            self._sock.settimeout(0.0)

    def receive(self, ends: float) -> bytes | None:
        """Return bytes that have arrived (b"" at the end), or None where none come until `ends`.

        `ends` is a time of the monotonic clock. Raises: OSError.
        """
        if self._drained and not self._wait_readable(ends):
            return None
        while True:
            try:
                data = self._sock.recv(READ_SIZE)
            except (BlockingIOError, ssl.SSLWantReadError):
                if not self._wait_readable(ends):
                    return None
            except ssl.SSLWantWriteError:
                if not self._wait_writable(ends):
                    return None
            else:
                self._drained = self._tells_all and len(data) < READ_SIZE
                return data

    def has_news(self) -> bool:
        """Tell whether it was closed or spoke unasked while nothing was expected of it."""
        poll = _poll()
        poll.register(self._sock.fileno(), select.POLLIN | select.POLLRDHUP)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Let go; may be called twice."""
        self._stop_clock()
        self._readable.stop()
        self._readable.close()
        self._sock.close()

    def _wait_readable(self, ends: float) -> bool:
        """Wait until there is something to read; tell whether there was before the time was over."""
        if not self._watches:
            self._watches = True
            self._readable.start(self._on_readable)
        return self._wait(ends)

    def _on_readable(self) -> None:
        """Run in the event loop. What comes while nobody waits is left for the next wait to find."""
        waiting = self._waiting
        if waiting is not None:
            waiting.switch(True)
        else:
            self._stop_watching()

    def _stop_watching(self) -> None:
        self._watches = False
        self._readable.stop()

    def _wait_writable(self, ends: float) -> bool:
        """TLS changes its keys, and the upstream takes nothing at the moment."""
        self._stop_watching()
        watcher = self._hub.loop.io(self._sock.fileno(), _WRITABLE)
        watcher.start(gevent.getcurrent().switch, True)
        try:
            return self._wait(ends)
        finally:
            watcher.stop()
            watcher.close()

    def _wait(self, ends: float) -> bool:
        """Wait for what switches back here; False where the time is over."""
        if ends < self._rings:
            self._set_clock(ends)
        self._ends = ends
        self._waiting = gevent.getcurrent()
        try:
            return bool(self._hub.switch())
        finally:
            self._waiting = None

    def _set_clock(self, rings: float) -> None:
        self._stop_clock()
        self._rings = rings
        self._clock = self._hub.loop.timer(max(_SHORTEST, rings - time.monotonic()))
        self._clock.start(self._ring)

    def _stop_clock(self) -> None:
        self._rings = math.inf
        if self._clock is not None:
            self._clock.stop()
            self._clock.close()
            self._clock = None

    def _ring(self) -> None:
        """Run in the event loop: end the wait whose time is over, or set the clock for its end."""
        self._stop_clock()
        waiting = self._waiting
        if waiting is None:
            return
        if time.monotonic() < self._ends:
            self._set_clock(self._ends)
        else:
            waiting.switch(False)

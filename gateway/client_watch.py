"""Sees that a client has left, while the exchange waits for its upstream.

Theory. The client's socket is watched for reading. Three things make it readable:

    bytes         the client sent a next request early, or a line end that nobody asked for: it is there. The
                  socket stays readable, so from here on a slow clock looks for what may come behind them
    a reset       the client is gone
    end of file   the client closed at least its sending side. It may still be reading, as a few tools do, so
                  it is *probed*: something harmless is written, and a client that is gone answers with a
                  reset. Before the answer's head the probe is an interim `100 Continue` (RFC 9110, 15.2), in
                  a stream it is the dialect's keep-alive frame, which the exchange writes when it is woken

Where nothing harmless can be written, the next bytes of the answer are the probe if they come soon, and else the
client counts as gone: far more clients leave than stop sending. So does at once one of HTTP/1.0 before the head,
which knows no interim answers; nginx, unless told otherwise, is such a client.

The exchange's greenlet tells with `attend` and `dismiss` when it waits and may be interrupted. Only then does
an exception reach it, at the point where it waits, so that no wait needs to know of the watch: `Woken` (look
round, write the probe), `ClientGone` (clean up), or what another party hands to `interrupt` (the gateway is
being stopped). An interruption that comes at another time is raised by the next `attend`.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gevent
from gevent.monkey import get_original
from greenlet import greenlet

_CHECKS = (0.01, 0.04, 0.15, 0.3, 0.4)
"""Waits after a probe before each look at the socket, in seconds; together below one second."""

_UNPROBED_SECS = 0.8
"""How long a client that cannot be probed may wait for the next bytes of its answer, in seconds."""

_BEHIND_BYTES_SECS = 0.3
"""Between two looks at a socket that stays readable, in seconds."""

_BROKEN = select.POLLERR | select.POLLHUP

_poll = get_original("select", "poll")
"""The poll that asks the kernel at once: this room runs in the event loop, where nothing may wait."""


class Woken(BaseException):
    """Thrown into a waiting exchange: the client wants to be probed."""


class ClientGone(BaseException):
    """Thrown into a waiting exchange: nobody will read its answer."""


class ClientWatch:
    """Watches the client of one exchange; make one with `of`."""

    def __init__(self, sock: socket.socket, speaks_interim: bool) -> None:
        self.gone = False
        self.probe_due = False
        """The exchange should write a keep-alive frame, then call `probed`; or call `cannot_probe`."""
        self.unprobed = False
        """The next bytes of the answer are the probe: the exchange should call `probed` when they are written."""
        self._sock = sock
        self._speaks_interim = speaks_interim
        self._answering = False
        self._waiting: greenlet | None = None
        self._wakes = True
        self._pending: BaseException | None = None
        self._loop = gevent.get_hub().loop
        self._readable = self._loop.io(sock.fileno(), 1)
        self._begun = False
        self._timer: Any = None
        self._checks: Iterator[float] = iter(())

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> ClientWatch | NoWatch:
        """Return the watch of a WSGI request; one that sees nothing where the server shows no socket."""
        sock = environ.get("gunicorn.socket")
        if sock is None:
            return NoWatch()
        return cls(sock, environ.get("SERVER_PROTOCOL") == "HTTP/1.1")

    def attend(self, *, wakes: bool = True) -> None:
        """From here on the greenlet waits and may be interrupted; not `Woken` unless `wakes`.

        Raises: an interruption that came before.
        """
        pending = self._pending
        if pending is not None and (wakes or not isinstance(pending, Woken)):
            self._pending = None
            raise pending
        if not self._begun:
            # Not before: while its body is read, a client that ends too soon gets an error and no probe.
            self._begun = True
            self._readable.start(self._on_readable)
        self._waiting = gevent.getcurrent()
        self._wakes = wakes

    def dismiss(self) -> None:
        """The greenlet does not wait any more."""
        self._waiting = None

    def interrupt(self, exception: BaseException) -> None:
        """Raise an exception in the exchange, now if it waits, else when it next does."""
        if self._waiting is None or (isinstance(exception, Woken) and not self._wakes):
            self._pending = exception
        else:
            waiting, self._waiting = self._waiting, None
            waiting.throw(exception)

    def answering(self) -> None:
        """The head of the answer goes out now: interim answers are no longer possible."""
        self._answering = True

    def probed(self) -> None:
        """A probe has been written; look for the reset it may bring."""
        self.probe_due = self.unprobed = False
        self._checks = iter(_CHECKS)
        self._check_later()

    def cannot_probe(self) -> None:
        """Nothing but the answer may be written now."""
        self.probe_due = False
        self.unprobed = True
        self._start_timer(_UNPROBED_SECS, self._tell_gone)

    def close(self) -> None:
        """End the watch; may be called twice."""
        self._waiting = None
        self._readable.stop()
        self._readable.close()
        self._stop_timer()

    def _on_readable(self) -> None:
        self._readable.stop()
        self._judge()

    def _judge(self) -> None:
        seen = self._look()
        if seen & _BROKEN:
            self._tell_gone()
        elif seen & select.POLLRDHUP:
            self._begin_probe(seen)
        else:
            self._start_timer(_BEHIND_BYTES_SECS, self._judge)

    def _look(self) -> int:
        """Return the socket's state without reading from it or waiting."""
        poll = _poll()
        poll.register(self._sock.fileno(), select.POLLRDHUP | select.POLLOUT)
        return sum(state for _, state in poll.poll(0))

    def _begin_probe(self, seen: int) -> None:
        if self._answering:
            self.probe_due = True
            self.interrupt(Woken())
        elif not self._speaks_interim:
            self._tell_gone()
        elif seen & select.POLLOUT:
            try:
                self._sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            except OSError:
                self._tell_gone()
            else:
                self.probed()

    def _check_later(self) -> None:
        delay = next(self._checks, None)
        if delay is not None:
            self._start_timer(delay, self._check)

    def _check(self) -> None:
        if self._look() & _BROKEN:
            self._tell_gone()
        else:
            self._check_later()

    def _start_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._loop.timer(seconds)
        self._timer.start(callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _tell_gone(self) -> None:
        self.gone = True
        self._readable.stop()
        self.interrupt(ClientGone())


class NoWatch:
    """Stands where there is no socket to watch (tests without a server)."""

    gone = False
    probe_due = False
    unprobed = False

    def attend(self, *, wakes: bool = True) -> None:
        """Nothing will interrupt."""

    def interrupt(self, exception: BaseException) -> None:
        """Nobody waits here that could be reached."""

    def dismiss(self) -> None:
        """Nothing would have interrupted."""

    def answering(self) -> None:
        """Nothing to know."""

    def probed(self) -> None:
        """Nothing was due."""

    def cannot_probe(self) -> None:
        """Nothing was due."""

    def close(self) -> None:
        """Nothing to end."""

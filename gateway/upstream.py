"""The way out: one upstream, its connections, and the one place where foreign exceptions become ours.

`Transport` is the seam. Tests put a scripted one in its place; the recorder wraps it. A `Call` is one request
under way. Its waits are short by choice of the caller: `head` and `read` return None when nothing came within
their time, so that the exchange can keep its client company, while the call itself counts the silence.

Connections are dialled by urllib3 (names, TLS, proxies) and read here, see `gateway.http1`.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

import certifi
import gevent
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from gateway.connection import Connection
from gateway.errors import UpstreamHungUp, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.http1 import AnswerReader, Head, Headers, format_request

IDLE_SECS = 30.0
"""A pooled connection that idled longer is not used again: balancers close theirs after 60 s."""

STALE_SECS = 1.0
"""A kept connection that the upstream had closed shows it this soon, in seconds; a later end is a failure."""

_JOIN_BELOW = 16384
"""Bodies below this size leave in one packet with their head, in bytes."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request on its way out. `target` is the path with its query; `headers` lack host and length."""

    method: str
    target: str
    headers: Headers
    body: bytes | None = None


class Call(Protocol):
    """One request under way and its answer."""

    def head(self, wait: float) -> Head | None:
        """Return the head of the answer, or None where it did not come within `wait` seconds.

        Raises: UpstreamUnreachable, UpstreamTimeout, UpstreamProtocol.
        """

    def read(self, wait: float) -> bytes | None:
        """Return body bytes that have arrived (b"" at the end), or None after `wait` seconds without any.

        Raises: UpstreamTimeout, UpstreamProtocol (the answer was cut).
        """

    def close(self) -> None:
        """Let go: a connection whose answer was read to its end is kept, any other is closed at once."""


class Transport(Protocol):
    """Sends requests to the one upstream."""

    def send(self, request: UpstreamRequest) -> Call:
        """Connect and send. Raises: UpstreamUnreachable."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: for a connection, and the longest silence before and within an answer."""

    connect: float = 10.0
    silence: float = 600.0


class HttpTransport:
    """Connections to one origin, kept for reuse (the latest first, so that the rest may grow old)."""

    def __init__(self, url: str, timeouts: Timeouts, *, trust_env: bool = False) -> None:
        self.timeouts = timeouts
        self._dial, self._prefix = _dialler(urlsplit(url), url, timeouts.connect, trust_env)
        self._host = urlsplit(url).netloc.rpartition("@")[2]
        self._idle: list[tuple[Connection, float]] = []
        self._sweeps = False

    def send(self, request: UpstreamRequest) -> HttpCall:
        """Connect and send. Raises: UpstreamUnreachable."""
        return HttpCall(self, request)

    def connection(self, fresh: bool) -> tuple[Connection, bool]:
        """Return a connection and whether it was used before. Raises: UpstreamUnreachable."""
        oldest = time.monotonic() - IDLE_SECS
        while self._idle and not fresh:
            connection, since = self._idle.pop()
            if since > oldest and not connection.has_news():
                return connection, True
            connection.close()
        return self._dial(), False

    def keep(self, connection: Connection) -> None:
        """Take a connection back that may carry another request; those that grow too old are let go."""
        self._idle.append((connection, time.monotonic()))
        if not self._sweeps:
            self._sweeps = True
            gevent.spawn(self._sweep)

    def _sweep(self) -> None:
        """Close what nobody used again, also where no further request comes; end when nothing is left."""
        while self._idle:
            left = self._idle[0][1] + IDLE_SECS - time.monotonic()
            if left > 0:
                gevent.sleep(left)
            else:
                self._idle.pop(0)[0].close()
        self._sweeps = False

    def close(self) -> None:
        """Let all kept connections go."""
        while self._idle:
            self._idle.pop()[0].close()

    def format(self, request: UpstreamRequest) -> bytes:
        """Return the head of a request."""
        length = None if request.body is None else len(request.body)
        headers = [("host", self._host), *request.headers]
        return format_request(request.method, self._prefix + request.target, headers, length)


class HttpCall:
    """A `Call` over a connection."""

    def __init__(self, transport: HttpTransport, request: UpstreamRequest) -> None:
        self._transport = transport
        self._silence = transport.timeouts.silence
        self._reader = AnswerReader(request.method)
        self._request: UpstreamRequest | None = request
        self._early = b""
        self._touched = False
        self._connection: Connection | None = None
        self._send(fresh=False)

    def head(self, wait: float) -> Head | None:
        """See `Call.head`."""
        while self._reader.head is None:
            data = self._receive(wait)
            if data is None:
                return None
            if data:
                self._touched = True
                self._early += self._reader.feed(data)
            elif self._is_stale():
                # The upstream closed a kept connection as the request went out: the one case to send it again.
                self._drop()
                self._send(fresh=True)
            elif not self._touched:
                raise UpstreamHungUp("The upstream closed the connection without an answer.")
            else:
                self._reader.finish()
        self._request = None
        return self._reader.head

    def read(self, wait: float) -> bytes | None:
        """See `Call.read`."""
        if self._early:
            data, self._early = self._early, b""
            return data
        while not self._reader.complete:
            received = self._receive(wait)
            if received is None:
                return None
            if not received:
                self._reader.finish()
                break
            body = self._reader.feed(received)
            if body:
                return body
        return b""

    def close(self) -> None:
        """See `Call.close`."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._reader.reusable and not self._early:
            self._transport.keep(connection)
        else:
            connection.close()

    def _is_stale(self) -> bool:
        return self._reused and not self._touched and time.monotonic() - self._since < STALE_SECS

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, *, fresh: bool) -> None:
        request = self._request
        if request is None:
            raise UpstreamHungUp("The upstream closed the connection.")
        head = self._transport.format(request)
        body = request.body or b""
        self._connection, self._reused = self._transport.connection(fresh)
        self._since = time.monotonic()
        try:
            if len(body) < _JOIN_BELOW:
                self._connection.send(head + body, self._silence)
            else:
                self._connection.send(head, self._silence)
                self._connection.send(body, self._silence)
        except TimeoutError as exc:
            self._drop()
            raise UpstreamTimeout(f"The upstream took nothing of the request for {self._silence:g} seconds.") from exc
        except OSError as exc:
            if self._is_stale():
                self._drop()
                self._send(fresh=True)
                return
            # An upstream may refuse a body it does not want to read; its answer tells more than our write.
            if not self._connection.has_news():
                self._drop()
                raise UpstreamHungUp("The upstream closed the connection while the request was sent.") from exc
        except BaseException:
            self._drop()
            raise
        self._since = time.monotonic()

    def _receive(self, wait: float) -> bytes | None:
        """Return bytes, b"" at the end of the connection, None after `wait` seconds of silence."""
        if self._connection is None:
            return b""
        now = time.monotonic()
        gives_up = self._since + self._silence
        try:
            data = self._connection.receive(min(now + wait, gives_up)) if now < gives_up else None
        except OSError as exc:
            if self._is_stale():
                return b""
            raise self._broken() from exc
        if data:
            self._since = time.monotonic()
        elif data is None and gives_up <= now + wait:
            raise UpstreamTimeout(f"The upstream sent nothing for {self._silence:g} seconds.")
        return data

    def _broken(self) -> UpstreamHungUp | UpstreamProtocol:
        if not self._touched:
            return UpstreamHungUp("The upstream broke the connection without an answer.")
        return UpstreamProtocol("The upstream broke the connection before its answer was complete.")


def _dialler(url: SplitResult, full: str, timeout: float, trust_env: bool) -> tuple[Callable[[], Connection], str]:
    """Return a function that opens a connection, and what stands before the target (behind a plain proxy)."""
    host, port = url.hostname or "", url.port
    through = proxy_of(full) if trust_env else None
    proxy = urlsplit(through) if through else None
    context = tls_context() if url.scheme == "https" else None

    def dial() -> Connection:
        connection: HTTPConnection
        at = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        if context is not None:
            connection = HTTPSConnection(*at, timeout=timeout, ssl_context=context)
            if proxy:
                connection.set_tunnel(host, port or 443)
        else:
            connection = HTTPConnection(*at, timeout=timeout)
        try:
            # The outer clock also bounds the look-up of the name and a host with several silent addresses.
            with gevent.Timeout(timeout, TimeoutError()):
                connection.connect()
        except (OSError, urllib3.exceptions.HTTPError) as exc:
            connection.close()
            raise UpstreamUnreachable(_why(exc)) from exc
        except BaseException:
            connection.close()
            raise
        return Connection(connection.sock)

    prefix = f"http://{url.netloc}" if proxy and context is None else ""
    return dial, prefix


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    from requests.utils import get_environ_proxies  # a large library, and few gateways ask for this

    return get_environ_proxies(url).get(urlsplit(url).scheme)


def tls_context() -> ssl.SSLContext:
    """Trust the certificates that Python packages bring, and those of the machine (a private authority)."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _why(exc: Exception) -> str:
    """Say why a connection failed, without addresses of the inside."""
    match exc:
        case urllib3.exceptions.NameResolutionError():
            return "The upstream's name cannot be resolved."
        case urllib3.exceptions.NewConnectionError():  # a subclass of the next
            return _UNREACHABLE
        case urllib3.exceptions.ConnectTimeoutError() | TimeoutError():
            return "The upstream did not accept a connection in time."
        case ssl.SSLCertVerificationError():
            return f"The upstream's certificate is not trusted: {exc.verify_message}."
        case ssl.SSLError():
            return "No TLS connection to the upstream could be made."
        case _:
            return _UNREACHABLE


_UNREACHABLE = "The upstream cannot be reached."

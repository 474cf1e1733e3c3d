"""One exchange: a client's request and the answer to it, from the first byte to the log line.

The flow, for every path that has an upstream:

    routes ── Exchange(services, environ) ── bridged / relayed ── pieces: Iterator[bytes | None] ── Stream / whole

A flow is a generator of *pieces*: bytes for the client, or None when the upstream has been silent for as long
as a client may be kept waiting. Until the first piece is sent a failure becomes an HTTP status; `Stream` then
sends the pieces, fills silence with the dialect's keep-alive, and closes everything whichever way it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, MutableMapping
from typing import Any, Protocol, TypeVar

from gateway import service_log
from gateway.access import NOBODY, Caller
from gateway.client_watch import ClientGone, ClientWatch, Woken
from gateway.errors import (
    GatewayError,
    ShuttingDown,
    UpstreamError,
    UpstreamProtocol,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.events import Usage
from gateway.http1 import Head
from gateway.metrics import Outcome
from gateway.models import Catalog
from gateway.profile import Model
from gateway.recording.recorder import Recording
from gateway.services import Services
from gateway.turns import give_way
from gateway.upstream import Call, UpstreamRequest

T = TypeVar("T")

_TURN_SECS = 0.002
"""How long an exchange may go on before others get their turn, in seconds."""

_LIST_SECS = 2.0
"""How long an exchange waits for the first list of the upstream's models, in seconds."""

_SHORTEST_WAIT = 0.001
"""Of one read, in seconds."""

_WAITED_SECS = 0.0005
"""A read that took this long has waited, in seconds: meanwhile others had their turn."""

Pieces = Generator[bytes | None, None, None]
"""What a flow yields, see above."""

CLIENT_GONE = 499
"""Status of an answer that nobody was there to read, as nginx counts it."""


class Exchange:
    """The facts of one exchange, gathered as it goes; the log line and the metrics are made from them."""

    def __init__(self, services: Services, environ: MutableMapping[str, Any], surface: str) -> None:
        self.services = services
        self.environ = environ
        self.surface = surface
        self.id: str = environ["gateway.request_id"]
        self.path: str = environ["PATH_INFO"]
        environ["gateway.exchange"] = self
        self.recording: Recording | None = environ.get("gateway.recording")
        self.watch = ClientWatch.of(environ)
        self.caller: Caller = NOBODY
        """Who sent the request; `gateway.inbound` tells."""
        self.model: str | None = None
        self.knows_model = False
        """The model is one of the list, not just a name that a client wrote."""
        self.profile: Model | None = None
        """What is known of the model, where the request is translated."""
        self.status: int | None = None
        self.upstream_status: int | None = None
        self.usage: Usage | None = None
        self.dropped: tuple[str, ...] = ()
        self.end = "complete"
        """`complete`, `failed`, `client_gone` or `refused`."""
        self.fault: str | None = None
        """What the upstream did wrong, as one of few words."""
        self.sent_bytes = 0
        self.waited = 0.0
        """Seconds spent waiting for the upstream."""
        self._started = time.monotonic()
        self._first_byte: float | None = None
        self._overhead: float | None = None
        self._streaming = False
        self._keepalive = services.settings.keepalive_secs
        self._spoke = self._started
        self._silent_since = self._started
        self._yielded = self._started
        self._closed = False
        self._drain_token = services.drain.register(lambda: self.watch.interrupt(ShuttingDown(_STOPPING)))

    @property
    def key(self) -> str | None:
        """The key that goes upstream."""
        return self.caller.key

    @property
    def credential(self) -> str | None:
        """What identifies the client; None where all who send nothing are one."""
        return self.caller.credential

    def send(self, request: UpstreamRequest) -> Call:
        """Send a request upstream. Raises: UpstreamError, ClientGone, ShuttingDown."""
        transport, recording = self.services.transport, self.recording
        if recording is None:
            return self.apart(lambda: transport.send(request))
        return self.apart(lambda: recording.send(transport, request, self.profile))

    def apart(self, step: Callable[[], T]) -> T:
        """Run a step that waits for others and cannot be cut short to speak to the client.

        Raises: what it raises, ClientGone, ShuttingDown.
        """
        began = time.monotonic()
        try:
            self.watch.attend(wakes=False)
            return step()
        finally:
            self.watch.dismiss()
            self.waited += time.monotonic() - began

    def catalog(self) -> Catalog:
        """Return the models that this client sees; the first to ask waits for the upstream's list.

        Raises: ClientGone, ShuttingDown.
        """
        models = self.services.models
        if not models.asked(self.key):
            self.apart(lambda: models.wait(self.key, _LIST_SECS))
        return models.catalog(self.key)

    def wait(self, read: Callable[[float], T | None]) -> T | None:
        """Wait for the upstream by `call.head` or `call.read`; None when it is time to say something instead.

        Raises: what `read` raises, ClientGone, ShuttingDown.
        """
        watch = self.watch
        if watch.probe_due:
            return None
        began = time.monotonic()
        try:
            watch.attend()
            if began - self._yielded > _TURN_SECS:
                # Both sides may be so fast that no read and no write ever waits.
                self._yielded = began
                give_way()
            left = self._silent_since + self._keepalive - began
            found = read(left if left > _SHORTEST_WAIT else _SHORTEST_WAIT)
            if found is None:
                # Where nothing can be said, the next wait is as long as this one was.
                self._silent_since = time.monotonic()
            return found
        except Woken:
            return None
        finally:
            watch.dismiss()
            now = time.monotonic()
            waited = now - began
            self.waited += waited
            if waited > _WAITED_SECS:
                self._yielded = now

    def head(self, call: Call) -> Generator[None, None, Head]:
        """Wait for the head of an answer; yield None for each spell of silence."""
        while (head := self.wait(call.head)) is None:
            yield None
        self.upstream_status = head.status
        self.fault = f"status_{head.status}" if head.status >= 400 else None
        return head

    def body(self, call: Call) -> Iterator[bytes | None]:
        """Yield the body as it arrives, None for each spell of silence."""
        while (data := self.wait(call.read)) != b"":
            yield data

    def silent_for_long(self) -> bool:
        """Tell whether the client has heard nothing for as long as the settings allow."""
        return time.monotonic() - self._spoke >= self._keepalive

    def sending(self, data: bytes) -> None:
        """Note bytes that go to the client now."""
        self._spoke = self._silent_since = time.monotonic()
        if self._first_byte is None:
            self._overhead = self._own_seconds(self._spoke)
            self._first_byte = self._spoke
        self.sent_bytes += len(data)

    def own_milliseconds(self) -> float:
        """Return the time that passed without waiting for client or upstream, until the first byte of the answer."""
        return (self._own_seconds(time.monotonic()) if self._overhead is None else self._overhead) * 1000

    def _own_seconds(self, now: float) -> float:
        receiving: float = self.environ.get("gateway.receiving", 0.0)
        return now - self._started - self.waited - receiving

    def streams(self) -> None:
        """Note that the answer goes out as a stream."""
        self._streaming = True
        self.services.metrics.streams(1)
        self.watch.answering()

    def close(self) -> None:
        """Write the log line, count the exchange and end the watch; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self.watch.close()
        self.services.drain.unregister(self._drain_token)
        if self._streaming:
            self.services.metrics.streams(-1)
        now = time.monotonic()
        self.services.metrics.ended(self._outcome(now))
        service_log.exchange(self.services.log, self._facts(now))

    def _outcome(self, now: float) -> Outcome:
        first = None if self._first_byte is None else self._first_byte - self._started
        return Outcome(
            port=str(self.environ.get("SERVER_PORT")),
            path=self.path,
            status=self.status or (CLIENT_GONE if self.end == "client_gone" else 500),
            end=self.end,
            duration=now - self._started,
            first_byte=first,
            overhead=self.own_milliseconds() / 1000,
            fault=self.fault,
            model=self.model if self.knows_model else None,
            usage=self.usage,
            dropped=len(self.dropped),
        )

    def _facts(self, now: float) -> dict[str, Any]:
        first = None if self._first_byte is None else round((self._first_byte - self._started) * 1000, 1)
        facts: dict[str, Any] = {
            "request_id": self.id,
            "port": self.environ.get("SERVER_PORT"),
            "path": self.path,
            "model": self.model,
            "status": self.status,
            "upstream_status": self.upstream_status,
            "end": self.end,
            "first_byte_ms": first,
            "duration_ms": round((now - self._started) * 1000, 1),
            "bytes": self.sent_bytes,
            "key": self.caller.shown,
        }
        if self.usage is not None:
            facts["input_tokens"] = self.usage.input_tokens
            facts["output_tokens"] = self.usage.output_tokens
        if self.dropped:
            facts["dropped"] = list(self.dropped)
        return facts


_STOPPING = "The gateway is being stopped."


class Answering(Protocol):
    """What makes the pieces of an answer."""

    @property
    def ended(self) -> bool:
        """All of it has been made."""


class _Untold:
    """Stands where only the end of the pieces tells."""

    ended = False


class Stream:
    """The WSGI body of a streamed answer; a class, because a generator that never ran is never cleaned up."""

    def __init__(
        self,
        exchange: Exchange,
        pieces: Pieces,
        first: bytes | None,
        keepalive: Callable[[], bytes],
        done: Callable[[], None],
        answer: Answering | None = None,
    ) -> None:
        """`answer` tells whether the piece that came last ends it, where that is known before the end."""
        self.ended = False
        """What was returned last is the end of the body: the server may say so at once."""
        self._answer = answer or _Untold()
        self._exchange = exchange
        self._pieces = pieces
        self._first = first
        self._keepalive = keepalive
        self._done = done
        self._begun = False
        self._over = False
        self._probing = False
        exchange.streams()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        watch = exchange.watch
        if self._probing:
            self._probing = False
            watch.probed()
        try:
            data = self._next()
        except ClientGone:
            raise StopIteration from None
        except BaseException:
            self._over = True
            raise
        exchange.sending(data)
        self.ended = self._answer.ended
        self._probing = watch.probe_due or watch.unprobed
        return data

    def _next(self) -> bytes:
        if not self._begun:
            self._begun = True
            # It may be large (Responses repeats the instructions in it), and a stream may live long.
            first, self._first = self._first, None
            return first if first is not None else self._keepalive()
        while True:
            piece = next(self._pieces)
            if piece:
                return piece
            if piece is None and (self._exchange.watch.probe_due or self._exchange.silent_for_long()):
                quiet = self._keepalive()
                if quiet:
                    return quiet
                if self._exchange.watch.probe_due:
                    self._exchange.watch.cannot_probe()

    def close(self) -> None:
        """End the exchange: the client has all of it, or is gone."""
        if not self._over:
            self._exchange.end = "client_gone"
        self._pieces.close()
        self._done()
        self._exchange.close()


def begin(pieces: Pieces, exchange: Exchange) -> bytes | None:
    """Return the first piece of a stream, or None where the client must be told something before it comes.

    Raises: GatewayError, which is still free to become an HTTP status.
    """
    for piece in pieces:
        if piece or (piece is None and exchange.silent_for_long()):
            return piece
    return b""


def run(pieces: Pieces) -> None:
    """Run a flow whose answer goes out whole. Raises: GatewayError."""
    for _ in pieces:
        pass


def fail(exchange: Exchange, error: GatewayError) -> None:
    """Note that the exchange ended in an error."""
    exchange.end = "failed" if error.status >= 500 else "refused"
    exchange.status = exchange.status or error.status
    if isinstance(error, UpstreamError):
        exchange.fault = next((word for kind, word in _FAULTS if isinstance(error, kind)), f"status_{error.status}")


_FAULTS: tuple[tuple[type[UpstreamError], str], ...] = (
    (UpstreamUnreachable, "unreachable"),
    (UpstreamTimeout, "timeout"),
    (UpstreamProtocol, "invalid"),
)

"""The traffic recorder: told of both legs of each exchange, never in their way.

    dispatcher   begin(environ)                    Recording, one for each request under /v1
    read_body    recording.received(body)
    Exchange     recording.send(transport, …)      RecordedCall, which tells of what the upstream answers
    dispatcher   recording.head, recording.answer  RecordedBody, which tells of what goes to the client and how it ends

Each of them puts a record into the writer's queue and does nothing else; lines are made elsewhere. Where nothing is
recorded there is no `Recording`, and nothing is wrapped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from gateway import __version__
from gateway.config import Settings, name_of
from gateway.errors import UpstreamHungUp, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.headers import client_headers
from gateway.http1 import Head, Headers
from gateway.profile import Model
from gateway.recording import format
from gateway.recording.file import LogFile
from gateway.recording.lines import Clock, Lines, Secrets
from gateway.recording.writer import Line, Writer, breathe
from gateway.setting import SettingError
from gateway.upstream import Call, Transport, UpstreamRequest

if TYPE_CHECKING:
    from gateway.exchange import Exchange

Put = Callable[..., bool]
"""`Writer.put`."""

KEY = "gateway.recording"
"""Where the WSGI environment holds the recording of its request."""


class Recorder:
    """The recorder of one gateway, made before the fork."""

    def __init__(self, file: LogFile, writer: Writer, clock: Clock, secrets: Secrets) -> None:
        """`secrets` returns credentials that the gateway itself holds: they are replaced wherever they stand."""
        self._file = file
        self._writer = writer
        self._clock = clock
        self._secrets = secrets

    @property
    def lost(self) -> int:
        """Records that were lost, by all workers since the start."""
        return self._file.lost + self._writer.dropped

    def close(self) -> None:
        """Write what is left; the end of the process does it as well."""
        self._writer.close()

    def begin(self, environ: MutableMapping[str, Any]) -> None:
        """Record a request if it is one under `/v1`, and let the environment know."""
        if environ["PATH_INFO"].startswith("/v1/"):
            lines = Lines(self._clock, self._secrets, breathe)
            environ[KEY] = Recording(self._writer, lines, environ)


class Recording:
    """The record of one exchange under way."""

    def __init__(self, writer: Writer, lines: Lines, environ: MutableMapping[str, Any]) -> None:
        self.upstream_cut = False
        """The upstream's answer broke off."""
        self._put: Put = writer.put
        self._drop: Put = writer.drop
        self._lines = lines
        self._environ = environ
        self._began = time.monotonic()
        self._announced = False
        self._status: int | None = None
        self._attempts = 0

    def received(self, body: bytes, encoding: str) -> None:
        """The client's body has come and been decoded."""
        self._announce(body, encoding)

    def send(self, transport: Transport, request: UpstreamRequest, model: Model | None) -> Call:
        """Send a request upstream. Raises: as `transport.send`."""
        self._announce()
        self._attempts += 1
        attempt = self._attempts
        size = len(request.body) if request.body else 0
        self._request(self._lines.upstream_request, size, attempt, request, model)
        try:
            return RecordedCall(transport.send(request), self, attempt, self._lines, self._put)
        except BaseException as error:
            self._put(self._lines, self._lines.upstream_end, 0, attempt, *_end_of(error))
            raise

    def head(self, status: str, headers: Headers) -> None:
        """Status and headers go to the client."""
        self._announce()
        exchange: Exchange | None = self._environ.get("gateway.exchange")
        if exchange is None or exchange.end != "client_gone":
            self._status = int(status[:3])
            self._put(self._lines, self._lines.client_head, 0, self._status, headers.copy())

    def answer(self, body: Iterable[bytes]) -> RecordedBody:
        """Return the WSGI body, whose pieces are recorded on their way."""
        return RecordedBody(body, self, self._lines, self._put)

    def ended(self, exhausted: bool) -> None:
        """The client has all of the answer, or will get no more."""
        self._put(self._lines, self._lines.client_end, 0, self._began, self._facts(exhausted))
        self._environ = {}  # which holds this: without it all of it goes at once

    def _announce(self, body: bytes | None = None, encoding: str = "") -> None:
        """Record the request itself, once: with its body, or when it is known that none is read."""
        if self._announced:
            return
        self._announced = True
        environ = self._environ
        target = environ.get("RAW_URI") or _target(environ)
        size = len(body) if body else 0
        self._request(
            self._lines.client_request,
            size,
            (environ["SERVER_PORT"], environ["gateway.request_id"]),
            environ["REQUEST_METHOD"],
            target,
            client_headers(environ),
            body,
            None if encoding == "identity" else encoding,
        )

    def _request(self, line: Line, size: int, *what: Any) -> None:
        """Record a request. Where it is lost, nothing more is recorded: its headers tell which words to hide."""
        if not self._put(self._lines, line, size, *what):
            self._put = self._drop

    def _facts(self, exhausted: bool) -> dict[str, Any]:
        exchange: Exchange | None = self._environ.get("gateway.exchange")
        if exchange is None:
            refused = (self._status or 500) >= 400
            return {"end": "refused" if refused else "complete" if exhausted else "client_gone", "status": self._status}
        end = exchange.end
        if end == "complete" and not exhausted:
            end = "client_gone"
        elif end == "failed" and self.upstream_cut:
            end = "upstream_cut"
        facts: dict[str, Any] = {"end": end, "status": self._status or exchange.status}
        if exchange.model is not None:
            facts["model"] = exchange.model
        if exchange.usage is not None:
            facts["input_tokens"] = exchange.usage.input_tokens
            facts["output_tokens"] = exchange.usage.output_tokens
        if exchange.dropped:
            facts["dropped"] = list(exchange.dropped)
        return facts


class RecordedCall:
    """A `Call` that tells what comes."""

    def __init__(self, call: Call, recording: Recording, attempt: int, lines: Lines, put: Put) -> None:
        self._put = put
        self._call = call
        self._recording = recording
        self._attempt = attempt
        self._lines = lines
        self._has_head = False
        self._over = False

    def head(self, wait: float) -> Head | None:
        """See `Call.head`."""
        try:
            head = self._call.head(wait)
        except BaseException as error:
            self._broke(error)
            raise
        if head is not None and not self._has_head:
            self._has_head = True
            self._put(self._lines, self._lines.upstream_head, 0, self._attempt, head)
        return head

    def read(self, wait: float) -> bytes | None:
        """See `Call.read`."""
        try:
            data = self._call.read(wait)
        except BaseException as error:
            self._broke(error)
            raise
        if data:
            self._put(self._lines, self._lines.upstream_chunk, len(data), data)
        elif data is not None:
            self._ended("complete", None)
        return data

    def close(self) -> None:
        """See `Call.close`."""
        self._ended("closed", None)
        self._call.close()

    def _broke(self, error: BaseException) -> None:
        # Anything but a fault of the upstream interrupts a wait that may go on: a client to be probed, say.
        if isinstance(error, _FAULTS):
            end, words = _end_of(error)
            self._recording.upstream_cut = end == "upstream_cut"
            self._ended(end, words)

    def _ended(self, end: str, error: str | None) -> None:
        if not self._over:
            self._over = True
            self._put(self._lines, self._lines.upstream_end, 0, self._attempt, end, error)


class RecordedBody:
    """A WSGI body that tells what goes to the client."""

    def __init__(self, body: Iterable[bytes], recording: Recording, lines: Lines, put: Put) -> None:
        self._put = put
        self._body = body
        self._pieces = iter(body)
        self._recording = recording
        self._lines = lines
        self._exhausted = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            data = next(self._pieces)
        except StopIteration:
            self._exhausted = True
            raise
        if data:
            self._put(self._lines, self._lines.client_chunk, len(data), data)
        return data

    def close(self) -> None:
        """The server is done with it, whichever way."""
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            self._recording.ended(self._exhausted)


_FAULTS = (UpstreamUnreachable, UpstreamTimeout, UpstreamProtocol)


def _end_of(error: BaseException) -> tuple[str, str | None]:
    """Return how an upstream's answer ended by this error, and its words."""
    match error:
        case UpstreamHungUp() | UpstreamUnreachable():
            return "unreachable", str(error)
        case UpstreamTimeout():
            return "timeout", str(error)
        case UpstreamProtocol():
            return "upstream_cut", str(error)
        case _:
            return "closed", None


def _target(environ: Mapping[str, Any]) -> str:
    query = environ.get("QUERY_STRING")
    return f"{environ['PATH_INFO']}?{query}" if query else str(environ["PATH_INFO"])


def recorder_of(settings: Settings, secrets: Secrets = tuple) -> Recorder | None:
    """Return the recorder that the settings ask for, its file begun; None for none. Raises: SettingError."""
    if settings.log_file is None:
        return None
    clock = Clock(time.monotonic())

    def first_line() -> bytes:
        facts = {"gateway": __version__, "backend_api": settings.backend_api}
        ports = {f"{surface}_port": settings.port_of(surface) for surface in ("chat", "responses")}
        now = time.monotonic()
        return format.format_line(format.LOG, time.time(), now - clock.began, {**facts, **ports})

    try:
        file = LogFile(settings.log_file, settings.log_max_bytes, first_line)
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingError(name_of("log_file"), f"{str(settings.log_file)!r} cannot be begun: {why}") from None
    return Recorder(file, Writer(file), clock, secrets)

"""The traffic recorder: told of both legs of each exchange, never in their way.

    dispatcher   begin(environ)                    Recording, one for each request under /v1
    read_body    recording.received(body)
    Exchange     recording.send(transport, …)      RecordedCall, which tells of what the upstream answers
    dispatcher   recording.head, recording.answer  RecordedBody, which tells of what goes to the client and how it ends

Each of them puts a record into the worker's queue and does nothing else; lines are made in a process of their own.
Where nothing is recorded there is no `Recording`, and nothing is wrapped.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from gateway import __version__
from gateway.config import Settings, name_of
from gateway.errors import UpstreamHungUp, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.headers import COLLECTED, client_headers
from gateway.http1 import Head, Headers
from gateway.profile import Model
from gateway.recording import format
from gateway.recording.file import LogFile
from gateway.recording.lines import Clock, Secrets
from gateway.recording.process import Process
from gateway.recording.queue import Queue
from gateway.recording.writer import Writer
from gateway.setting import SettingError
from gateway.upstream import Call, Transport, UpstreamRequest

if TYPE_CHECKING:
    from gateway.exchange import Exchange

KEY = "gateway.recording"
"""Where the WSGI environment holds the recording of its request."""


class Recorder:
    """The recorder of one gateway, made before the fork."""

    def __init__(self, file: LogFile, queue: Queue, process: Process) -> None:
        self._file = file
        self._queue = queue
        self._process = process
        self._master = os.getpid()
        self._numbers = itertools.count()

    @property
    def lost(self) -> int:
        """Records that were lost, by all workers since the start."""
        return self._file.lost + self._queue.dropped

    def tend(self) -> None:
        """See that the recorder process runs; for the master."""
        self._process.tend()

    def close(self) -> None:
        """In a worker: hand over what is left. In the master, when no worker is left: write it."""
        if os.getpid() == self._master:
            self._process.stop()
        else:
            self._queue.close()

    def begin(self, environ: MutableMapping[str, Any]) -> None:
        """Record a request if it is one under `/v1`, and let the environment know."""
        if environ["PATH_INFO"].startswith("/v1/"):
            environ[KEY] = Recording(self._queue, next(self._numbers), environ)


class Recording:
    """The record of one exchange under way."""

    __slots__ = (
        *("upstream_cut", "number", "dropped", "put"),
        *("_queue", "_environ", "_began", "_announced", "_status", "_attempts"),
    )

    def __init__(self, queue: Queue, number: int, environ: MutableMapping[str, Any]) -> None:
        self.upstream_cut = False
        """The upstream's answer broke off."""
        self.number = number
        self.dropped = 0
        """Records that found no room."""
        self.put: Callable[..., bool] = queue.put
        """Queues a record of this; see `Queue.put`."""
        self._queue = queue
        self._environ = environ
        self._began = time.monotonic()
        self._announced = False
        self._status: int | None = None
        self._attempts = 0
        if not (environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING")):
            self._announce()  # all of it is here; another one is recorded when its body has come

    def received(self, body: bytes, encoding: str) -> None:
        """The client's body has come and been decoded."""
        self._announce(body, encoding)

    def send(self, transport: Transport, request: UpstreamRequest, model: Model | None) -> Call:
        """Send a request upstream. Raises: as `transport.send`."""
        self._announce()
        self._attempts += 1
        attempt = self._attempts
        body = request.body
        profile = None if model is None else profile_of(model)
        self._request("upstream_request", body, attempt, request.method, request.target, request.headers, profile)
        try:
            return RecordedCall(transport.send(request), self, attempt)
        except BaseException as error:
            self.put(self, "upstream_end", 0, attempt, *_end_of(error))
            raise

    def head(self, status: str, headers: Headers) -> None:
        """Status and headers go to the client."""
        self._announce()
        exchange: Exchange | None = self._environ.get("gateway.exchange")
        if exchange is None or exchange.end != "client_gone":
            self._status = int(status[:3])
            self.put(self, "client_head", 0, self._status, headers.copy())

    def answer(self, body: Iterable[bytes]) -> RecordedBody:
        """Return the WSGI body, whose pieces are recorded on their way."""
        return RecordedBody(body, self)

    def ended(self, exhausted: bool) -> None:
        """The client has all of the answer, or will get no more."""
        self.put(self, "client_end", 0, self._began, self.dropped, self._facts(exhausted))
        self._environ = {}  # which holds this: without it all of it goes at once

    def _announce(self, body: bytes | None = None, encoding: str = "") -> None:
        """Record the request itself, once: with its body, or when it is known that none is read."""
        if self._announced:
            return
        self._announced = True
        environ = self._environ
        target = environ.get("RAW_URI") or _target(environ)
        headers = environ[COLLECTED] = client_headers(environ)
        self._request(
            "client_request",
            body,
            (environ["SERVER_PORT"], environ["gateway.request_id"]),
            environ["REQUEST_METHOD"],
            target,
            headers,
            None if encoding == "identity" else encoding,
        )

    def _request(self, kind: str, body: bytes | None, *what: Any) -> None:
        """Record a request. Where it is lost, nothing more is recorded: its headers tell which words to hide."""
        if not self.put(self, kind, len(body) if body else 0, *what, body):
            self.put = self._queue.drop

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

    __slots__ = ("_attempt", "_call", "_has_head", "_over", "_recording")

    def __init__(self, call: Call, recording: Recording, attempt: int) -> None:
        self._call = call
        self._recording = recording
        self._attempt = attempt
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
            # A named tuple would not travel; both members are plain.
            self._recording.put(self._recording, "upstream_head", 0, self._attempt, head.status, head.headers)
        return head

    def read(self, wait: float) -> bytes | None:
        """See `Call.read`."""
        try:
            data = self._call.read(wait)
        except BaseException as error:
            self._broke(error)
            raise
        if data:
            self._recording.put(self._recording, "upstream_chunk", len(data), data)
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
            self._recording.put(self._recording, "upstream_end", 0, self._attempt, end, error)


class RecordedBody:
    """A WSGI body that tells what goes to the client."""

    __slots__ = ("_body", "_exhausted", "_pieces", "_recording")

    def __init__(self, body: Iterable[bytes], recording: Recording) -> None:
        self._body = body
        self._pieces = iter(body)
        self._recording = recording
        self._exhausted = False

    @property
    def ended(self) -> bool:
        """What was returned last is the end of the body, where that body can tell."""
        return bool(getattr(self._body, "ended", False))

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            data = next(self._pieces)
        except StopIteration:
            self._exhausted = True
            raise
        if data:
            self._recording.put(self._recording, "client_chunk", len(data), data)
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


@lru_cache(maxsize=256)
def profile_of(model: Model) -> dict[str, Any]:
    """Return what is known of a model, as far as it is not the default."""
    known: dict[str, Any] = {"id": model.id}
    for one in fields(model):
        value = getattr(model, one.name)
        if one.default is not MISSING and value != one.default:
            known[one.name] = sorted(value) if isinstance(value, frozenset) else value
    return known


def _target(environ: Mapping[str, Any]) -> str:
    query = environ.get("QUERY_STRING")
    return f"{environ['PATH_INFO']}?{query}" if query else str(environ["PATH_INFO"])


def recorder_of(
    settings: Settings, secrets: Secrets = tuple, forked: Callable[[], None] = lambda: None
) -> Recorder | None:
    """Return the recorder that the settings ask for, its file begun; None for none. Raises: SettingError.

    `secrets` returns credentials that the gateway itself holds; `forked` runs first in the recorder process.
    """
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
    process = Process(Writer(file, clock, secrets).take, file.descriptors, forked)
    return Recorder(file, Queue(process.control, file), process)

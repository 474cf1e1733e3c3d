"""Reads a recording: a file of lines into exchanges, one at a time.

    log = Log.open(path)            one pass that finds where each exchange's lines are
    for entry in log.entries:       in the order in which the exchanges began
        exchange = log.read(entry)  only now are its payloads in memory

A file may end in the middle of a line or of an exchange (kill -9), may begin in the middle of one (rotation), and may
hold damaged lines: all that is readable is read. A line of an unknown version refuses the whole file.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from gateway.bodies import decode
from gateway.errors import GatewayError
from gateway.http1 import Headers
from gateway.recording import format
from gateway.recording.format import FormatError, UnknownVersion, parse_line, raw_payload
from gateway.types import JSON

Progress = Callable[[int], None]
"""Is told how many further bytes have been read."""

_PLAIN_LIMIT = 256 * 1024 * 1024
"""Most that a body may be when it is decompressed, in bytes."""

_OWNER = re.compile(
    rb'\{"v":1,"timestamp":"[^"\\]*","offset":[\d.eE+-]+,"direction":"[a-z-]+","port":\d+,"request_id":"([^"\\]+)"[,}]'
)
"""How nearly all lines begin; others are parsed to see whose they are."""


class LogError(Exception):
    """The file cannot be read as a recording; one line for a person."""


class Chunk(NamedTuple):
    """Bytes of a body as they came in one read, or left in one write."""

    offset: float
    data: bytes


@dataclass(slots=True)
class Request:
    """A request of either leg."""

    offset: float
    timestamp: str
    method: str
    target: str
    headers: Headers
    body: bytes | None
    line: JSON
    """All members of its line but the body."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True)
class Answer:
    """An answer of either leg, as far as it came. `status` None: not even a head."""

    status: int | None = None
    headers: Headers = field(default_factory=list)
    offset: float | None = None
    """When the head came."""
    chunks: list[Chunk] = field(default_factory=list)
    end: str | None = None
    """How it ended, in the words of the format. None: the recording ends before it."""
    ended: float | None = None
    line: JSON = field(default_factory=dict)
    """All members of the line that ended it."""

    @property
    def body(self) -> bytes:
        """All of the body that came."""
        return b"".join(chunk.data for chunk in self.chunks)

    @property
    def is_compressed(self) -> bool:
        """The body was compressed on its way."""
        return (self.header("content-encoding") or "identity").strip().lower() != "identity"

    @property
    def plain_body(self) -> bytes:
        """All of the body, decompressed where that is possible."""
        if not self.is_compressed:
            return self.body
        try:
            return decode(self.body, (self.header("content-encoding") or "").strip().lower(), _PLAIN_LIMIT)
        except GatewayError:
            return self.body

    def header(self, name: str) -> str | None:
        """Return the first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def is_stream(self) -> bool:
        """The answer is a stream of events."""
        return (self.header("content-type") or "").startswith("text/event-stream")


@dataclass(slots=True)
class Attempt:
    """One request to the upstream within an exchange."""

    number: int
    request: Request | None = None
    answer: Answer = field(default_factory=Answer)


@dataclass(slots=True)
class Exchange:
    """A client's request, the answer to it, and what was asked of the upstream for it."""

    id: str
    port: int | None = None
    request: Request | None = None
    """None where its line was rotated away."""
    answer: Answer = field(default_factory=Answer)
    attempts: list[Attempt] = field(default_factory=list)

    def attempt(self, number: int) -> Attempt:
        """Return the attempt of this number, made where there is none."""
        for attempt in self.attempts:
            if attempt.number == number:
                return attempt
        self.attempts.append(Attempt(number))
        return self.attempts[-1]

    @property
    def last(self) -> Attempt | None:
        """The attempt whose answer the client got."""
        return self.attempts[-1] if self.attempts else None


class Entry(NamedTuple):
    """One exchange, not read yet."""

    id: str
    positions: array[int]
    """Where its lines begin, in bytes."""


class Log:
    """A recording that has been looked through."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.head: JSON = {}
        """Members of the first line, where it is there."""
        self.entries: list[Entry] = []
        self.damaged = 0
        """Lines that could not be read, as far as that was noticed."""
        self._file = file

    @classmethod
    def open(cls, path: str | Path, progress: Progress | None = None) -> Log:
        """Look through a file. Raises: LogError."""
        try:
            file = Path(path).open("rb")  # noqa: SIM115 - it stays open for the reads; `close` ends it
        except OSError as exc:
            raise LogError(f"{path}: {exc.strerror or exc}") from None
        log = cls(Path(path), file)
        try:
            log._scan(progress or (lambda size: None))
        except OSError as exc:
            log.close()
            raise LogError(f"{path}: {exc.strerror or exc}") from None
        except LogError:
            log.close()
            raise
        return log

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, entry: Entry) -> Exchange:
        """Read one exchange. Damaged lines are left out and counted."""
        exchange = Exchange(entry.id)
        for position in entry.positions:
            self._file.seek(position)
            try:
                _take(exchange, parse_line(self._file.readline()))
            except (FormatError, KeyError, TypeError, ValueError):
                self.damaged += 1
        exchange.attempts.sort(key=lambda attempt: attempt.number)
        return exchange

    def exchanges(self) -> Iterator[Exchange]:
        """Read all of them, in the order in which they began."""
        for entry in self.entries:
            yield self.read(entry)

    def _scan(self, progress: Progress) -> None:
        positions: dict[str, array[int]] = {}
        position = 0
        for number, raw in enumerate(self._file, 1):
            owner = self._owner(raw, number)
            if owner is not None:
                positions.setdefault(owner, array("Q")).append(position)
            position += len(raw)
            progress(len(raw))
        if position == 0:
            raise LogError(f"{self.path}: the file is empty")
        self.entries = [Entry(*item) for item in positions.items()]

    def _owner(self, raw: bytes, number: int) -> str | None:
        """Return the exchange that a line belongs to. Raises: LogError where the file is no recording."""
        match = _OWNER.match(raw)
        if match:
            return match[1].decode("utf-8", "replace")
        try:
            line = parse_line(raw)
        except UnknownVersion as exc:
            raise LogError(f"{self.path}, line {number}: {exc}") from None
        except FormatError as exc:
            if number == 1:
                raise LogError(f"{self.path}: this is no recording (line 1 is {exc})") from None
            self.damaged += 1
            return None
        if line["direction"] == format.LOG:
            self.head = self.head or line
            return None
        owner = line.get("request_id")
        return owner if isinstance(owner, str) else None


def _take(exchange: Exchange, line: JSON) -> None:
    """Put one line into its exchange; lines of unknown directions are let through."""
    if exchange.port is None:
        exchange.port = line.get("port")
    direction: str = line["direction"]
    if direction == format.CLIENT_REQUEST:
        exchange.request = _request(line)
    elif direction.startswith("downstream-"):
        _answered(exchange.answer, direction.removeprefix("downstream-"), line)
    elif direction == format.UPSTREAM_REQUEST:
        exchange.attempt(line["attempt"]).request = _request(line)
    elif direction.startswith("upstream-"):
        _answered(exchange.attempt(line.get("attempt", 1)).answer, direction.removeprefix("upstream-"), line)


def _request(line: JSON) -> Request:
    body = raw_payload(line, "body")
    for member in ("body", "body_base64"):
        line.pop(member, None)
    return Request(line["offset"], line["timestamp"], line["method"], line["target"], _headers(line), body, line)


def _answered(answer: Answer, part: str, line: JSON) -> None:
    if part == "response-chunk":
        answer.chunks.append(Chunk(line["offset"], raw_payload(line, "data") or b""))
    elif part == "response":
        answer.status, answer.headers, answer.offset = line["status"], _headers(line), line["offset"]
    elif part == "response-end":
        answer.end, answer.ended, answer.line = line["end"], line["offset"], line


def _headers(line: JSON) -> Headers:
    return [(str(name).lower(), str(value)) for name, value in line.get("headers", ())]

"""Plain HTTP clients for tests: whole answers, streams frame by frame with times, and bare sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

KEY = "test-key-0123456789abcdef"


@dataclass(frozen=True)
class Reply:
    """A whole answer, as a client got it."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def frames(self) -> list[SSEFrame]:
        """The body, as the frames of a stream (all of the same time)."""
        frames, _ = _cut_frames(self.body, 0.0)
        return frames


@dataclass(frozen=True)
class SSEFrame:
    """One frame of a stream. `data` is parsed where it is JSON; a comment has `event` None and its text as data."""

    time: float
    event: str | None
    data: Any


def with_key(headers: Mapping[str, str] | None, key: str | None) -> dict[str, str]:
    """Add a bearer key (None: none) to headers."""
    bearer = {} if key is None else {"Authorization": f"Bearer {key}"}
    return {**bearer, **(headers or {})}


def request(
    port: int,
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> Reply:
    """Send one request on a connection of its own and read the whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        data, all_headers = _encode(body, headers)
        connection.request(method, path, body=data, headers=all_headers)
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())


def _encode(body: Any, headers: Mapping[str, str] | None) -> tuple[bytes | None, dict[str, str]]:
    if body is None:
        return None, dict(headers or {})
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return data, {"Content-Type": "application/json", **(headers or {})}


class Stream:
    """One streamed exchange; iterate over it for frames, close it (or leave it) to hang up.

    It closes itself at the end of the body and where the body breaks.
    """

    def __init__(self, port: int, path: str, body: Any, headers: Mapping[str, str], timeout: float) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        data, all_headers = _encode(body, headers)
        self.started = time.monotonic()
        self._connection.request("POST", path, body=data, headers=all_headers)
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = {name.lower(): value for name, value in self._response.getheaders()}

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[SSEFrame]:
        rest = b""
        while piece := self._read(lambda: self._response.read1(65536)):
            frames, rest = _cut_frames(rest + piece, time.monotonic())
            yield from frames
        self.close()

    def read(self) -> bytes:
        """Read the rest of the body. Raises: http.client.IncompleteRead where it breaks off."""
        data = self._read(self._response.read)
        self.close()
        return data

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self._response.close()
        self._connection.close()


def _cut_frames(data: bytes, now: float) -> tuple[list[SSEFrame], bytes]:
    """Cut whole frames off; return them and what is left."""
    *whole, rest = data.split(b"\n\n")
    return [_read_frame(frame.decode(), now) for frame in whole], rest


def _read_frame(text: str, now: float) -> SSEFrame:
    fields = {name: value for name, _, value in (line.partition(": ") for line in text.split("\n"))}
    if "data" not in fields:
        return SSEFrame(now, None, text)
    try:
        data = json.loads(fields["data"])
    except ValueError:
        data = fields["data"]
    return SSEFrame(now, fields.get("event"), data)


class RawClient:
    """A plain socket: what is sent is exactly what the test says."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def read_until(self, mark: bytes) -> bytes:
        """Read until the bytes contain a mark, or the other side closes."""
        data = b""
        while mark not in data and (piece := self.sock.recv(65536)):
            data += piece
        return data

    def read_all(self) -> bytes:
        """Read until the other side closes; a reset counts as an end. Raises: TimeoutError."""
        parts = []
        with contextlib.suppress(ConnectionResetError):
            while piece := self.sock.recv(65536):
                parts.append(piece)
        return b"".join(parts)

    def close(self) -> None:
        """Hang up."""
        self.sock.close()


def raw_request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, key: str | None = KEY
) -> bytes:
    """Return the bytes of a well-formed request, for tests that send or break them as they like."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in with_key(headers, key).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body

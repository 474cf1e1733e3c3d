"""HTTP/1.1 as a client speaks it: a request to bytes, bytes to an answer. No I/O.

Why not the library's own reader: an exchange must take whatever has arrived in one read and pass it on in
one write, wait with a clock of its own, and know whether any byte of an answer came. `http.client` hides all
three behind blocking file objects.

States of a reader: head, then body by one of four framings (none, length, chunked, until close), then end.
Reference: RFC 9112, sections 2 to 7.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gateway.errors import UpstreamProtocol

HEAD_LIMIT = 256 * 1024
"""Longest head, and longest chunk-size line with trailers, taken from an upstream, in bytes."""

Headers = list[tuple[str, str]]
"""Header lines in order; names of answers are in lower case."""


class Head(NamedTuple):
    """Status line and header lines of an answer."""

    status: int
    headers: Headers

    def get(self, name: str) -> str | None:
        """Return the first value of a header; `name` in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) (\d{3})(?: .*)?")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_PLAIN_SIZES = {f"{size:{form}}".encode(): size for size in range(1, 4096) for form in "xX"}
"""Chunk sizes as servers spell them; a look-up costs less than reading digits."""
_HEADER_NAME = re.compile(rb"[0-9A-Za-z!#$%&'*+.^_`|~-]+")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
"""What no header's value has (RFC 9110, 5.5): no client could be sent it."""


def format_request(method: str, target: str, headers: Headers, body_length: int | None) -> bytes:
    """Return the head of a request; `body_length` None means that there is no body.

    Raises: ValueError where a value would break out of its line (RFC 9110, 5.5).
    """
    lines = [f"{method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in headers]]
    if body_length is not None:
        lines.append(f"content-length: {body_length}")
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("a header value holds a line break")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


class AnswerReader:
    """Cuts the bytes of one connection into one answer.

    `head` is set once the final head has arrived (1xx are skipped). `complete` tells that the body has ended
    as its framing says, `reusable` that the connection may carry another request after it.
    """

    def __init__(self, method: str) -> None:
        self._method = method
        self._rest = b""
        self._left = 0
        self._framing = "head"
        self._reusable = True
        self._chunk_open = False
        self._aside = 0
        self.head: Head | None = None

    @property
    def complete(self) -> bool:
        """The whole body has been seen."""
        return self._framing == "end"

    @property
    def reusable(self) -> bool:
        """The answer is complete and the connection stays open behind it."""
        return self.complete and self._reusable and not self._rest

    def feed(self, data: bytes) -> bytes:
        """Take the bytes of one read; return the body bytes among them, without framing.

        Raises: UpstreamProtocol.
        """
        if self._framing == "head":
            data = self._feed_head(data)
            if self._framing == "head":
                return b""
        match self._framing:
            case "chunked" | "trailer":
                return self._dechunk(data)
            case "length":
                body, self._rest = data[: self._left], data[self._left :]
                self._left -= len(body)
                if not self._left:
                    self._framing = "end"
                return body
            case "close":
                return data
            case _:
                self._rest += data
                return b""

    def finish(self) -> None:
        """The connection was closed. Raises: UpstreamProtocol where that cuts the answer."""
        self._reusable = False
        if self._framing == "close":
            self._framing = "end"
        if self._framing != "end":
            raise UpstreamProtocol("The upstream closed the connection before its answer was complete.")

    def _feed_head(self, data: bytes) -> bytes:
        data = self._rest + data
        self._rest = b""
        while True:
            end, after = _head_end(data)
            if end < 0:
                if len(data) > HEAD_LIMIT:
                    raise UpstreamProtocol("The upstream sent too long a head.")
                self._rest = data
                return b""
            head, minor = _parse_head(data[:end])
            data = data[after:]
            if head.status == 101:
                raise UpstreamProtocol("The upstream changes to another protocol, which nobody has asked for.")
            if head.status >= 200:
                self._begin_body(head, minor)
                return data
            self._set_aside(after)

    def _set_aside(self, size: int) -> None:
        """Count what nobody wants, interim heads and trailers. Raises: UpstreamProtocol where it does not end."""
        self._aside += size
        if self._aside > HEAD_LIMIT:
            raise UpstreamProtocol("The upstream sends interim answers or trailers without end.")

    def _begin_body(self, head: Head, minor: int) -> None:
        self.head = head
        tokens = [
            token.strip().lower() for name, value in head.headers if name == "connection" for token in value.split(",")
        ]
        self._reusable = "close" not in tokens and (minor == 1 or "keep-alive" in tokens)
        lengths = {value.strip() for name, value in head.headers if name == "content-length"}
        coding = head.get("transfer-encoding")
        if self._method == "HEAD" or head.status in (204, 304):
            self._framing = "end"
        elif coding is not None:
            # Both framings at once is how answers are smuggled: chunked wins, the connection ends with it.
            self._reusable = self._reusable and not lengths
            if coding.strip().lower() != "chunked":
                raise UpstreamProtocol("The upstream used a transfer coding that is not understood.")
            self._framing = "chunked"
        elif lengths:
            length = lengths.pop()
            if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
                raise UpstreamProtocol("The upstream sent a content length that is not a number.")
            self._left = int(length)
            self._framing = "length" if self._left else "end"
        else:
            self._framing = "close"
            self._reusable = False

    def _dechunk(self, data: bytes) -> bytes:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        out: list[bytes] = []
        at = self._whole_chunks(data, out)
        while at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                out.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._rest = data[at:]
                if len(self._rest) > HEAD_LIMIT:
                    raise UpstreamProtocol("The upstream sent too long a chunk head.")
                break
            line = data[at:end]
            at = end + 2
            if self._take_line(line):
                self._rest = data[at:]
                break
        return out[0] if len(out) == 1 else b"".join(out)

    def _whole_chunks(self, data: bytes, out: list[bytes]) -> int:
        """Take the chunks that are whole and plainly framed, which nearly all are; return where the rest begins."""
        at = 0
        if self._left or self._chunk_open or self._framing != "chunked":
            return at
        while True:
            end = data.find(b"\r\n", at, at + 6)
            size = _PLAIN_SIZES.get(data[at:end]) if end >= 0 else None
            if size is None:
                return at
            begin = end + 2
            end = begin + size
            if data[end : end + 2] != b"\r\n":
                return at
            out.append(data[begin:end])
            at = end + 2

    def _take_line(self, line: bytes) -> bool:
        """Take one line between chunks; tell whether it ends the body."""
        if self._framing == "trailer":
            self._set_aside(len(line))
            if not line:
                self._framing = "end"
            return not line
        if self._chunk_open:
            if line:
                raise UpstreamProtocol("The upstream sent a chunk that is longer than it said.")
            self._chunk_open = False
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise UpstreamProtocol("The upstream sent a chunk size that is not a number.")
        self._left = int(match[1], 16)
        if self._left:
            self._chunk_open = True
        else:
            self._framing = "trailer"
        return False


def _head_end(data: bytes) -> tuple[int, int]:
    """Return where a head ends and where what follows begins; -1 where it has not ended."""
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        return end, end + 4
    end = data.find(b"\n\n")
    return end, end + 2


def _parse_head(block: bytes) -> tuple[Head, int]:
    lines = block.replace(b"\r\n", b"\n").split(b"\n")
    status = _STATUS_LINE.fullmatch(lines[0])
    if status is None:
        raise UpstreamProtocol("The upstream did not answer in HTTP.")
    headers: Headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or _HEADER_NAME.fullmatch(name) is None or _CONTROLS.search(value):
            raise UpstreamProtocol("The upstream sent a header line that is not one.")
        headers.append((name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")))
    return Head(int(status[2]), headers), int(status[1])

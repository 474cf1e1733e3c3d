"""Server-sent events: bytes to frames, frames to bytes. No I/O.

A frame is the part of a stream up to a blank line. Lines end at CR, LF or CRLF and nowhere else:
`str.splitlines` also cuts at U+2028 and U+0085, which stand inside JSON strings, and corrupts text.
Decoding UTF-8 is left to the JSON parser, so a character cut over two reads is no special case.

Reference: WHATWG HTML, section 9.2.6 "Interpreting an event stream".
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import NamedTuple

from gateway.errors import UpstreamProtocol

LINE_LIMIT = 8 * 1024 * 1024
"""Longest line (and longest frame) taken from an upstream, in bytes."""

_MARK = b"\xef\xbb\xbf"


class Frame(NamedTuple):
    """One message of a stream: its event name, if any, and its data lines joined by LF."""

    event: str | None
    data: bytes


_DATA = b"data: "
_BETWEEN = b"\n\n" + _DATA
_make_frame = partial(tuple.__new__, Frame)


class Parser:
    """Cuts a byte stream into frames, however the bytes are cut.

    Every line end becomes LF as bytes arrive; a CR at the end of a read may be half of a CRLF, so a LF that
    begins the next read is then dropped. After that a frame ends at the first empty line.
    """

    def __init__(self, limit: int = LINE_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._after_cr = False
        self._mark: bytes | None = b""
        """What came of a byte order mark; None once it cannot come any more."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take the bytes of one read; return the frames they complete.

        Raises: UpstreamProtocol where a frame exceeds the limit.
        """
        if self._mark is not None:
            data = self._without_mark(self._mark + data)
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        rest = self._rest
        if not rest:
            plain = _plain_frames(data)
            if plain is not None:
                return plain
            blocks = data.split(b"\n\n")
        else:
            searched = len(rest) - 1
            rest += data
            if rest.find(b"\n\n", searched) < 0:
                self._check(len(rest))
                return []
            blocks = bytes(rest).split(b"\n\n")
            rest.clear()
        rest += blocks.pop()
        self._check(len(rest))
        frames = []
        for block in blocks:
            frame = _frame(block)
            if frame is not None:
                frames.append(frame)
        return frames

    def finish(self) -> list[Frame]:
        """The bytes end here: return the last frame if its blank line is missing (some servers leave it out)."""
        block = (self._mark or b"") + bytes(self._rest)
        self._mark = None
        self._rest.clear()
        frame = _frame(block)
        return [] if frame is None else [frame]

    def _without_mark(self, data: bytes) -> bytes:
        """Drop the byte order mark from the first bytes of the stream; hold back what may become one."""
        if len(data) < len(_MARK) and _MARK.startswith(data):
            self._mark = data
            return b""
        self._mark = None
        return data.removeprefix(_MARK)

    def _with_lf(self, data: bytes) -> bytes:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise UpstreamProtocol(f"The upstream sent a stream line of more than {self._limit} bytes.")


def _plain_frames(data: bytes) -> list[Frame] | None:
    """Return the frames of bytes that hold whole ones of a data line each and nothing else, as servers send them."""
    if not data.startswith(_DATA) or not data.endswith(b"\n\n"):
        return None
    ends = data.count(b"\n")
    data = data[len(_DATA) : -2]
    lines = [data] if ends == 2 else data.split(_BETWEEN)
    if ends != 2 * len(lines):
        return None
    # There is a frame for each delta of an answer, so it is made the shortest way.
    return list(map(_make_frame, zip(repeat(None), lines)))


def _frame(block: bytes) -> Frame | None:
    """Parse the lines of one block; None where it holds no data (comments, an `event:` alone)."""
    event: str | None = None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace")
    return Frame(event, b"\n".join(data)) if data else None


def format(event: str | None, data: bytes) -> bytes:
    """Return one frame; `data` is one line (JSON never holds a raw line end)."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"


def comment(text: str = "") -> bytes:
    """Return a comment frame, which clients ignore; it keeps a connection alive."""
    return b": " + text.encode() + b"\n\n"


def ends_frame(tail: bytes) -> bool:
    """Tell whether bytes that end in `tail` (the last four suffice) end a frame, so that one may follow."""
    return tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))

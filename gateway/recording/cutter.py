"""Cleans one body that comes in chunks, so that a credential cut over several is seen whole. Pure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from gateway.recording.credentials import LONGEST, Credentials, Span, starred
from gateway.recording.spelling import SURE, hinted, spelled

Clean = Callable[[bytes], bytes]
"""`Credentials.clean`, or what remembers its results."""

_OPEN = bytes(byte for byte in range(33, 127) if byte not in b'"\\{}[],')
"""What may stand at the end of a chunk and go on in the next one."""

_ENDS = (b"\n", b"}", b"")
"""Ends of a chunk behind which nothing is open, seen at a glance."""

_CONTEXT = 256
"""Bytes before an open end that are kept to see the name that stands before a value."""

_HELD = 64 * 1024
"""Most bytes that are held."""


class Cutter:
    """The cleaner of one body. A chunk whose end may lie within a credential is held until that is clear; then all are
    given out at the cuts that they had.

    Nearly every read of a stream ends with a whole frame, and is given out at once. Only where a request showed the
    model a credential, or a piece of one has come, are frames looked at together (`gateway.recording.spelling`).
    """

    __slots__ = ("_clean", "_context", "_credentials", "_held", "_size", "_wary")

    def __init__(self, clean: Clean, credentials: Credentials) -> None:
        self._clean = clean
        self._credentials = credentials
        self._context = b""
        self._held: list[bytes] = []
        self._size = 0
        self._wary = False

    @property
    def holding(self) -> bool:
        """Some chunks have not been given out."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take a chunk; return those that are clear now, oldest first."""
        credentials = self._credentials
        self._wary = self._wary or credentials.shown or hinted(data, credentials.known)
        if not (self._held or self._context or self._wary) and data[-1:] in _ENDS:
            if data[-1:] != b"\n":
                self._context = data[-_CONTEXT:]
            return [self._clean(data)]
        self._held.append(data)
        self._size += len(data)
        if self._wary and b"\n" not in data and self._size <= _HELD:
            return []  # lines are given out as wholes
        under_way = self._hide_pieces()
        text = b"".join(self._held)
        settled = len(text.rstrip(_OPEN))
        if self._wary:
            # The name before a piece must stay in sight.
            settled = text.rfind(b"\n", 0, min([settled, *(start for start, _ in under_way)])) + 1
        if len(text) > _HELD or (len(text) - settled > 2 * LONGEST and not self._wary):
            return self.finish()
        end = count = 0
        for chunk in self._held:
            end += len(chunk)
            if end > settled:
                break
            count += 1
        return self._give(count) if count else []

    def finish(self) -> list[bytes]:
        """Return what is still held: no further chunk comes."""
        under_way = self._hide_pieces()
        if sum(end - start for start, end in under_way) >= SURE:
            self._hide(under_way)
        return self._give(len(self._held))

    def _hide_pieces(self) -> list[Span]:
        """Put stars in the place of credentials that are spelled out; return where more of one may be under way."""
        if not self._wary:
            return []
        spans, under_way = spelled(self._credentials.clean(b"".join(self._held)), self._credentials.known)
        self._hide(spans)
        return under_way

    def _hide(self, spans: list[Span]) -> None:
        if spans:
            text = starred(b"".join(self._held), spans)
            ends = list(accumulate(map(len, self._held)))
            self._held = [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _give(self, count: int) -> list[bytes]:
        """Give out the first chunks; all of them are looked at, with what stood before."""
        text = self._context + b"".join(self._held)
        clean = self._clean(text)
        given: list[bytes] = []
        at = len(self._context)
        for chunk in self._held[:count]:
            given.append(chunk if clean is text else clean[at : at + len(chunk)])
            at += len(chunk)
        self._context = b"" if text[at - 1 : at] == b"\n" else text[max(0, at - _CONTEXT) : at]
        del self._held[:count]
        self._size = sum(map(len, self._held))
        return given

"""Reads request bodies: bounded in size and time, with their content encoding taken off.

Source: RFC 9110, section 8.4. The limit counts decoded bytes and is checked while decoding, so a small body
that unpacks to gigabytes costs no more than the limit.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, MutableMapping
from typing import Any, Protocol

import zstandard

from gateway.errors import RequestError, RequestTimeout, TooLarge, UnsupportedMediaType
from gateway.turns import give_way

SILENCE_SECS = 30.0
"""How long a body may go without a new byte, where the server does not say (`gateway.body_secs`)."""

_SLICE = 1 << 20
"""Bytes read and unpacked before other exchanges of the worker get their turn."""

_CHUNKED_LEAST, _CHUNKED_MOST = 2048, 16384
_TURN_SECS = 0.002
"""Bytes of a chunked body that are read in one turn, and how long a turn should take: chunks may be one byte."""


def read_body(environ: MutableMapping[str, Any], limit: int) -> bytes:
    """Return the whole body, decoded; `gateway.receiving` tells the seconds that its client took.

    Raises: TooLarge, RequestTimeout, UnsupportedMediaType, RequestError (a corrupt encoding or framing).
    """
    raw = read_raw(environ, limit)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    body = raw if encoding in ("", "identity") else decode(raw, encoding, limit)
    recording = environ.get("gateway.recording")
    if recording is not None:
        recording.received(body, encoding)
    return body


def read_raw(environ: MutableMapping[str, Any], limit: int) -> bytes:
    """Return the whole body as it was sent. Raises: TooLarge, RequestTimeout, RequestError."""
    began = time.monotonic()
    raw = _read(environ, limit)
    environ["gateway.receiving"] = time.monotonic() - began
    return raw


def decode(raw: bytes, encoding: str, limit: int) -> bytes:
    """Take one content encoding off. Raises: as `read_body`."""
    make = _DECODERS.get(encoding)
    if make is None:
        raise UnsupportedMediaType(
            f"The content encoding {encoding[:40]!r} is not understood; gzip, deflate and zstd are, one at a time.",
            param="content-encoding",
        )
    out: list[bytes] = []
    size = 0
    decoder = make(raw)
    for at in range(0, len(raw), _SLICE):
        data = raw[at : at + _SLICE]
        while data:
            try:
                piece = decoder.decompress(data, _SLICE)
            except (zlib.error, zstandard.ZstdError) as exc:
                raise _corrupt(encoding) from exc
            size += len(piece)
            if size > limit:
                raise too_large(limit)
            out.append(piece)
            data = decoder.unconsumed_tail
            give_way()
    if not decoder.eof or decoder.unused_data:
        raise _corrupt(encoding)
    return b"".join(out)


def too_large(limit: int) -> TooLarge:
    """Return the error of a body that exceeds the limit."""
    return TooLarge(f"The request body is larger than {limit} bytes (MAX_BODY_BYTES).")


def _corrupt(encoding: str) -> RequestError:
    return RequestError(f"The body is not valid {encoding}.", code="invalid_content_encoding", param="content-encoding")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unconsumed_tail(self) -> bytes: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Zstd:
    """zstandard's streaming decoder behind zlib's interface."""

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self.eof = False
        self.unconsumed_tail = b""
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Feed a little at a time: the decoder has no bound of its own on what one call returns."""
        step, rest = data[:_ZSTD_STEP], data[_ZSTD_STEP:]
        self.unconsumed_tail = rest
        out = self._decoder.decompress(step)
        self.eof = self._decoder.eof
        if self.eof:
            self.unconsumed_tail = b""
            self.unused_data = self._decoder.unused_data + rest
        return out


_ZSTD_STEP = 512
"""A zstd block of 128 KiB can be 4 bytes long, so this bounds one call to some 16 MiB."""


def _zlib(raw: bytes) -> _Decompressor:
    # "deflate" is zlib by the RFC and raw deflate by some clients; the first byte tells.
    wrapped = len(raw) > 1 and raw[0] & 0x0F == 8 and (raw[0] << 8 | raw[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


_DECODERS: dict[str, Callable[[bytes], _Decompressor]] = {
    "gzip": lambda raw: zlib.decompressobj(zlib.MAX_WBITS | 16),
    "x-gzip": lambda raw: zlib.decompressobj(zlib.MAX_WBITS | 16),
    "deflate": _zlib,
    "zstd": lambda raw: _Zstd(),
}


def _read(environ: MutableMapping[str, Any], limit: int) -> bytes:
    length = environ.get("CONTENT_LENGTH") or None
    if length is not None and int(length) > limit:
        raise too_large(limit)
    source = environ["wsgi.input"]
    sock = environ.get("gunicorn.socket")
    silence = environ.get("gateway.body_secs", SILENCE_SECS)
    if sock is not None:
        sock.settimeout(silence)
    try:
        return _read_chunked(source, limit) if length is None else _read_length(source, int(length))
    except TimeoutError as exc:
        raise RequestTimeout(f"The request body did not go on for {silence:g} seconds.") from exc
    except OSError as exc:
        raise _broken_off() from exc
    finally:
        if sock is not None:
            sock.settimeout(None)


def _read_length(source: Any, length: int) -> bytes:
    """A body whose length is known."""
    pieces: list[bytes] = []
    left = length
    while left > 0:
        piece = source.read(min(left, _SLICE))
        if not piece:
            raise _broken_off()
        pieces.append(piece)
        left -= len(piece)
        if left:
            give_way()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _broken_off() -> RequestError:
    return RequestError("The connection ended before the whole body had come.", code="bad_request")


def _read_chunked(source: Any, limit: int) -> bytes:
    """A body without a length: what gunicorn has unchunked, up to the limit."""
    pieces: list[bytes] = []
    size = 0
    turn = _CHUNKED_LEAST
    began = time.monotonic()
    while piece := source.read(turn):
        size += len(piece)
        if size > limit:
            raise too_large(limit)
        pieces.append(piece)
        quick = time.monotonic() - began < _TURN_SECS
        turn = min(turn * 2, _CHUNKED_MOST) if quick else max(turn // 2, _CHUNKED_LEAST)
        give_way()
        began = time.monotonic()
    return b"".join(pieces)

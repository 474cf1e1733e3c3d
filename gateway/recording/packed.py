"""Looks into a compressed body for credentials. It is recorded as it came, or where it tells one, as stars. Pure.

Compressed bytes cannot be mended in places, and half of a credential in an earlier chunk could not be taken back. So
the chunks are held until the end of the body; one that is too long for that, or that cannot be read, becomes stars.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable

import zstandard

from gateway.recording.credentials import Credentials
from gateway.recording.cutter import Cutter

HELD = 1024 * 1024
"""Longest compressed body that is looked into, in bytes."""

PLAIN = 16 * 1024 * 1024
"""Longest body that it may unpack to, in bytes."""


class Packed:
    """Stands where a `Cutter` does, for a body with a content encoding."""

    __slots__ = ("_credentials", "_encoding", "_held", "_hidden", "_size")

    def __init__(self, credentials: Credentials, encoding: str) -> None:
        self._credentials = credentials
        self._encoding = encoding
        self._held: list[bytes] = []
        self._size = 0
        self._hidden = False

    @property
    def holding(self) -> bool:
        """Some chunks have not been given out."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Take a chunk; return those that are clear now."""
        self._held.append(data)
        self._size += len(data)
        self._hidden = self._hidden or self._size > HELD
        return self._given() if self._hidden else []

    def finish(self) -> list[bytes]:
        """Return what is still held: no further chunk comes."""
        self._hidden = self._hidden or self._tells(b"".join(self._held))
        return self._given()

    def _given(self) -> list[bytes]:
        chunks, self._held = self._held, []
        return [b"*" * len(chunk) for chunk in chunks] if self._hidden else chunks

    def _tells(self, data: bytes) -> bool:
        plain = unpacked(data, self._encoding)
        if plain is None:
            return True
        cutter = Cutter(self._credentials.clean, self._credentials)
        return b"".join([*cutter.feed(plain), *cutter.finish()]) != plain


def unpacked(data: bytes, encoding: str) -> bytes | None:
    """Return what a compressed body holds, as far as it came; None where that cannot be told."""
    unpack = _UNPACK.get(encoding.strip().lower())
    try:
        plain = unpack(data) if unpack else None
    except (zlib.error, zstandard.ZstdError):
        return None
    return plain if plain is None or len(plain) <= PLAIN else None


def _inflated(data: bytes, bits: int) -> bytes | None:
    decoder = zlib.decompressobj(bits)
    plain = decoder.decompress(data, PLAIN + 1)
    return None if decoder.unused_data else plain


def _deflated(data: bytes) -> bytes | None:
    # By the RFC it is zlib's format; some servers leave its head away.
    wrapped = len(data) > 1 and data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
    return _inflated(data, zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS)


def _zstd(data: bytes) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    with decoder.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        return reader.read(PLAIN + 1)


_UNPACK: dict[str, Callable[[bytes], bytes | None]] = {
    "gzip": lambda data: _inflated(data, zlib.MAX_WBITS | 16),
    "x-gzip": lambda data: _inflated(data, zlib.MAX_WBITS | 16),
    "deflate": _deflated,
    "zstd": _zstd,
    "identity": lambda data: data,
}

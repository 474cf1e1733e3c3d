"""Reads width and height from the first bytes of an image. Pure; nothing is decoded.

References: PNG (ISO/IEC 15948, section 11.2.2), GIF89a (section 18), JPEG (ITU-T T.81, annex B), WebP (RFC 9649).
"""

from __future__ import annotations

from base64 import b64decode
from typing import Literal

HEAD_BYTES = 192 * 1024
"""How far into an image its size is looked for: in a JPEG it stands behind the camera's remarks."""

_HEAD_CHARS = HEAD_BYTES // 3 * 4

# Start of frame, of any coding; C4, C8 and CC in the same range are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SHORT_HEAD = 64


def size_of_url(url: str) -> tuple[int, int] | None:
    """Return width and height of the image in a data URL; None for any other URL and for unknown data."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        return None
    size = _size(data, _SHORT_HEAD)
    return size or _size(data, _HEAD_CHARS)


def _size(data: str, chars: int) -> tuple[int, int] | None:
    try:
        return size_of(b64decode(data[:chars] + "=" * (-len(data[:chars]) % 4)))
    except ValueError:
        return None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG, GIF, JPEG or WebP image, from its beginning."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _pair(data, 16, 4, "big")
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _pair(data, 6, 2, "little")
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _pair(data: bytes, at: int, width: int, order: Literal["big", "little"]) -> tuple[int, int] | None:
    """Two numbers of `width` bytes each; None where they are cut off."""
    if len(data) < at + 2 * width:
        return None
    middle = at + width
    return int.from_bytes(data[at:middle], order), int.from_bytes(data[middle : middle + width], order)


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _FRAMES:
            size = _pair(data, at + 5, 2, "big")
            return size and (size[1], size[0])
        at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        size = _pair(data, 26, 2, "little")
        return size and (size[0] & 0x3FFF, size[1] & 0x3FFF)
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X":
        size = _pair(data, 24, 3, "little")
        return size and (size[0] + 1, size[1] + 1)
    return None

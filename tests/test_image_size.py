"""`gateway.image_size` on real beginnings of images, whole and cut."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gateway.image_size import HEAD_BYTES, size_of, size_of_url

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (1280).to_bytes(4, "big") + (720).to_bytes(4, "big") + b"\x08\x02"
GIF = b"GIF89a" + (320).to_bytes(2, "little") + (200).to_bytes(2, "little") + b"\xf7"
WEBP_LOSSY = (
    b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x30\x01\0\x9d\x01\x2a"
    + (0x4000 | 550).to_bytes(2, "little")
    + (368).to_bytes(2, "little")
)
WEBP_LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + (399 | 300 << 14).to_bytes(4, "little")
WEBP_EXTENDED = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (1919).to_bytes(3, "little") + (1079).to_bytes(3, "little")


def jpeg(before: bytes) -> bytes:
    frame = b"\xff\xc0\0\x11\x08" + (600).to_bytes(2, "big") + (800).to_bytes(2, "big") + b"\x03"
    return b"\xff\xd8" + before + frame


def segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


@pytest.mark.parametrize(
    ("data", "size"),
    [
        pytest.param(PNG, (1280, 720), id="png"),
        pytest.param(PNG[:20], None, id="png-cut"),
        pytest.param(GIF, (320, 200), id="gif"),
        pytest.param(jpeg(segment(0xE0, b"JFIF")), (800, 600), id="jpeg"),
        pytest.param(jpeg(segment(0xC4, b"table") + b"\xff"), (800, 600), id="jpeg-table-and-fill-byte"),
        pytest.param(jpeg(b"")[:7], None, id="jpeg-cut-in-frame"),
        pytest.param(b"\xff\xd8" + segment(0xE1, b"x" * 9), None, id="jpeg-without-frame"),
        pytest.param(b"\xff\xd8\0\0\0\0\0", None, id="jpeg-lost"),
        pytest.param(WEBP_LOSSY, (550, 368), id="webp-lossy"),
        pytest.param(WEBP_LOSSY[:27], None, id="webp-lossy-cut"),
        pytest.param(WEBP_LOSSLESS, (400, 301), id="webp-lossless"),
        pytest.param(WEBP_EXTENDED, (1920, 1080), id="webp-extended"),
        pytest.param(WEBP_EXTENDED[:28], None, id="webp-extended-cut"),
        pytest.param(b"RIFF\0\0\0\0WEBPVP9 ", None, id="webp-unknown"),
        pytest.param(b"BM", None, id="bmp"),
        pytest.param(b"", None, id="empty"),
    ],
)
def test_size_of(data: bytes, size: tuple[int, int] | None) -> None:
    assert size_of(data) == size


def url(data: bytes, media: str = "image/png") -> str:
    return f"data:{media};base64,{b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param(url(PNG + b"\0" * 5000), (1280, 720), id="png"),
        pytest.param(url(PNG).rstrip("="), (1280, 720), id="without-padding"),
        pytest.param(url(jpeg(segment(0xE1, b"e" * 60000) + segment(0xE2, b"i" * 60000))), (800, 600), id="late-frame"),
        pytest.param(url(jpeg(segment(0xE1, b"e" * 65000) * (HEAD_BYTES // 65000 + 1))), None, id="too-late-frame"),
        pytest.param("https://example.com/a.png", None, id="remote"),
        pytest.param("data:image/png;base64", None, id="no-comma"),
        pytest.param("data:image/svg+xml,<svg/>", None, id="not-base64"),
        pytest.param("data:image/png;base64,é", None, id="no-ascii"),
        pytest.param("data:image/png;base64,A", None, id="bad-length"),
    ],
)
def test_size_of_url(text: str, size: tuple[int, int] | None) -> None:
    assert size_of_url(text) == size

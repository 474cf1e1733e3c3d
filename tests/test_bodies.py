"""Bodies: encodings taken off, bounds kept."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

import pytest
import zstandard

from gateway.bodies import decode, read_body
from gateway.errors import RequestError, RequestTimeout, TooLarge, UnsupportedMediaType

TEXT = b'{"model": "m", "input": "hello"}' * 1000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


ENCODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
}


def environ(body: bytes, **more: Any) -> dict[str, Any]:
    return {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), **more}


def test_a_plain_body_is_as_it_came() -> None:
    assert read_body(environ(TEXT), 1 << 20) == TEXT
    assert read_body(environ(TEXT, HTTP_CONTENT_ENCODING=" Identity "), 1 << 20) == TEXT


def test_a_body_without_a_length_is_read_to_its_end() -> None:
    assert read_body({"wsgi.input": io.BytesIO(TEXT)}, 1 << 20) == TEXT
    with pytest.raises(TooLarge, match="MAX_BODY_BYTES"):
        read_body({"wsgi.input": io.BytesIO(TEXT)}, 100)


@pytest.mark.parametrize(("encoding", "packed"), ENCODED.items(), ids=ENCODED)
def test_encodings_are_taken_off(encoding: str, packed: bytes) -> None:
    assert read_body(environ(packed, HTTP_CONTENT_ENCODING=encoding), 1 << 20) == TEXT


def test_raw_deflate_is_understood_as_well() -> None:
    assert decode(raw_deflate(TEXT), "deflate", 1 << 20) == TEXT


@pytest.mark.parametrize(("encoding", "packed"), ENCODED.items(), ids=ENCODED)
def test_a_cut_or_corrupt_encoding_is_a_bad_request(encoding: str, packed: bytes) -> None:
    for damaged in (packed[:-5], packed + b"junk", packed + packed, b"\0\1\2\3not packed at all", b""):
        with pytest.raises(RequestError) as refused:
            decode(damaged, encoding, 1 << 20)
        assert refused.value.code == "invalid_content_encoding"


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "compress", "x" * 200])
def test_another_or_a_stacked_encoding_is_not_understood(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        decode(TEXT, encoding, 1 << 20)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress)]
)
def test_a_bomb_is_stopped_at_the_limit(encoding: str, pack: Any) -> None:
    bomb = pack(b"\0" * (200 << 20))
    with pytest.raises(TooLarge):
        decode(bomb, encoding, 1 << 20)


def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    source = io.BytesIO(TEXT)
    with pytest.raises(TooLarge):
        read_body({"wsgi.input": source, "CONTENT_LENGTH": "1000"}, 999)
    assert source.tell() == 0


def test_a_body_that_ends_early_is_a_bad_request() -> None:
    with pytest.raises(RequestError, match="whole body"):
        read_body({"wsgi.input": io.BytesIO(b"ab"), "CONTENT_LENGTH": "3"}, 100)


def test_a_body_that_stalls_is_given_up() -> None:
    class Stalled:
        def read(self, size: int) -> bytes:
            raise TimeoutError

    class Socket:
        timeouts: list[float | None] = []  # noqa: RUF012 (a fake of one test)

        def settimeout(self, seconds: float | None) -> None:
            self.timeouts.append(seconds)

    with pytest.raises(RequestTimeout):
        read_body({"wsgi.input": Stalled(), "CONTENT_LENGTH": "3", "gunicorn.socket": Socket()}, 100)
    assert Socket.timeouts == [30.0, None]

"""Compressed bodies: recorded as they came, unless they tell a credential or cannot be read."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import pytest
import zstandard

from gateway.recording import packed
from gateway.recording.credentials import Credentials
from gateway.recording.packed import Packed, unpacked

KEY = "sk-canary-0123456789abcdef"
TEXT = b'{"error":{"message":"no such model"}}'
TOLD = f'{{"error":{{"message":"bad key {KEY}"}}}}'.encode()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("ZSTD ", zstandard.compress),
}


def through(chunks: list[bytes], encoding: str) -> list[bytes]:
    body = Packed(Credentials([KEY]), encoding)
    given = [one for chunk in chunks for one in body.feed(chunk)]
    assert body.holding or given
    return given + body.finish()


@pytest.mark.parametrize("kind", PACKERS)
def test_a_body_without_credentials_stays_as_it_came(kind: str) -> None:
    encoding, pack = PACKERS[kind]
    data = pack(TEXT)
    assert unpacked(data, encoding) == TEXT
    assert through([data[:9], data[9:]], encoding) == [data[:9], data[9:]]


@pytest.mark.parametrize("kind", PACKERS)
def test_one_that_tells_a_key_becomes_stars(kind: str) -> None:
    encoding, pack = PACKERS[kind]
    data = pack(TOLD)
    assert through([data[:9], data[9:]], encoding) == [b"*" * 9, b"*" * (len(data) - 9)]


def test_a_body_that_is_cut_is_read_as_far_as_it_came() -> None:
    data = gzip.compress(TEXT)[:-9]
    assert through([data], "gzip") == [data]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"no gzip", "gzip"),
        (b"no zstd at all", "zstd"),
        (TEXT, "br"),
        (gzip.compress(TEXT) * 2, "gzip"),
        (gzip.compress(b"x" * 2000), "gzip"),
    ],
    ids=["no gzip", "no zstd", "unknown", "two members", "too long unpacked"],
)
def test_what_cannot_be_looked_into_becomes_stars(monkeypatch: pytest.MonkeyPatch, data: bytes, encoding: str) -> None:
    monkeypatch.setattr(packed, "PLAIN", 1000)
    assert through([data], encoding) == [b"*" * len(data)]


def test_a_body_that_is_too_long_to_hold_becomes_stars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "HELD", 10)
    assert through([b"12345", b"123456", b"7"], "identity") == [b"*****", b"******", b"*"]


def test_plain_bodies_pass() -> None:
    assert unpacked(TEXT, "identity") == TEXT

"""Small bodies that unpack to gigabytes, and JSON made to cost: refused within a second and in bounded memory."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Callable

import pytest
import zstandard

from tests.support import answers
from tests.support.gateway import Gateway
from tests.support.hostile import CHAT, HELLO, MESSAGES, exchange, head
from tests.support.upstream import Upstream

MIB = 1 << 20
SECONDS = 2.0
"""Asked for is one second; the machines that run tests are shared."""


def _packed(decoded: int, coding: str) -> bytes:
    if coding == "zstd":
        return zstandard.compress(bytes(decoded))
    wbits = {"gzip": 31, "deflate": 15}[coding]
    packer = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join([packer.compress(bytes(16 * MIB)) for _ in range(decoded // (16 * MIB))]) + packer.flush()


BOMBS = {
    "gzip": _packed(256 * MIB, "gzip"),
    "deflate": _packed(256 * MIB, "deflate"),
    "zstd": _packed(1024 * MIB, "zstd"),
}


@pytest.mark.parametrize("coding", BOMBS)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/chat/completions", "/v1/files"])
def test_a_decompression_bomb_is_too_large(
    gateway_with: Callable[..., Gateway], upstream: Upstream, coding: str, path: str
) -> None:
    gateway = gateway_with(MAX_BODY_BYTES=str(8 * MIB))
    gateway.post(path, {}, key=None)
    before = gateway.memory("VmHWM")
    began = time.monotonic()
    reply = gateway.post(path, BOMBS[coding], headers={"content-encoding": coding})
    assert reply.status == 413
    assert b"MAX_BODY_BYTES" in reply.body
    assert time.monotonic() - began < SECONDS
    # What is unpacked, what is packed, and what one step may overshoot.
    assert gateway.memory("VmHWM") - before < 2 * 8 * MIB + len(BOMBS[coding]) + 16 * MIB
    assert upstream.asked == []


PLAIN = json.dumps(HELLO).encode()


@pytest.mark.parametrize(
    ("coding", "body", "status", "code"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(PLAIN)), 415, "unsupported_media_type"),
        ("gzip,gzip,gzip,gzip,gzip", b"", 415, "unsupported_media_type"),
        ("br", b"\x0b", 415, "unsupported_media_type"),
        ("x" * 2000, PLAIN, 415, "unsupported_media_type"),
        ("gzip", PLAIN, 400, "invalid_content_encoding"),
        ("deflate", PLAIN, 400, "invalid_content_encoding"),
        ("zstd", PLAIN, 400, "invalid_content_encoding"),
        ("gzip", gzip.compress(PLAIN)[:-9], 400, "invalid_content_encoding"),
        ("deflate", zlib.compress(PLAIN)[:-5], 400, "invalid_content_encoding"),
        ("zstd", zstandard.compress(PLAIN * 50)[:-3], 400, "invalid_content_encoding"),
        ("zstd", b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8, 400, "invalid_content_encoding"),
        ("gzip", b"", 400, "invalid_content_encoding"),
        ("zstd", gzip.compress(PLAIN), 400, "invalid_content_encoding"),
        ("identity", gzip.compress(PLAIN), 400, "invalid_json"),
    ],
    ids=[
        "stacked",
        "five-times",
        "brotli",
        "long-name",
        "not-gzip",
        "not-deflate",
        "not-zstd",
        "cut-gzip",
        "cut-deflate",
        "cut-zstd",
        "zstd-of-2-to-the-64",
        "nothing",
        "gzip-as-zstd",
        "gzip-as-identity",
    ],
)
def test_other_codings_and_broken_ones(
    gateway: Gateway, upstream: Upstream, coding: str, body: bytes, status: int, code: str
) -> None:
    reply = gateway.post("/v1/responses", body, headers={"content-encoding": coding})
    assert (reply.status, reply.json["error"]["code"]) == (status, code)
    assert upstream.asked == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_honest_codings_are_taken_off(gateway: Gateway, upstream: Upstream, coding: str) -> None:
    upstream.always(answers.chat_text("hi"))
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[coding](PLAIN)
    assert gateway.post("/v1/responses", packed, headers={"content-encoding": coding}).status == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/v1/files"])
def test_one_byte_too_many(gateway_with: Callable[..., Gateway], upstream: Upstream, path: str, framing: str) -> None:
    gateway = gateway_with(MAX_BODY_BYTES=str(8 * MIB))
    body = b" " * (8 * MIB - len(PLAIN)) + PLAIN + b" "
    pieces = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
    line = f"Content-Length: {len(body)}" if framing == "length" else "Transfer-Encoding: chunked"
    found = exchange(gateway, head("POST", path, line) + (body if framing == "length" else pieces))
    assert (found.status, found.error["code"]) == (413, "request_too_large")
    assert upstream.asked == []


def _members(count: int) -> bytes:
    return b'{"model":"m","input":"hi",' + b",".join(b'"k%d":1' % i for i in range(count)) + b"}"


JSON_BOMBS = {
    "deep-arrays": b'{"model":"m","input":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep-objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep-and-open": b'{"model":"m","input":' + b"[" * 5_000_000,
    "wide-arrays": b'{"model":"m","input":[' + b"[]," * 5_000_000 + b"[]]}",
    "wide-objects": b'{"model":"m","input":[' + b"{}," * 5_000_000 + b"{}]}",
    "a-million-keys": _members(1_000_000),
    "one-key-a-million-times": b'{"model":"m","input":"hi",' + b'"k":1,' * 1_000_000 + b'"k":1}',
    "empty-strings": b'{"model":"m","input":' + b'""' * 5_000_000 + b"}",
    "open-string": b'{"model":"m","input":"' + b'\\"' * 5_000_000,
    "huge-integer": b'{"model":"m","input":' + b"9" * 5_000_000 + b"}",
    "infinite-float": b'{"model":"m","input":"hi","temperature":1e999}',
    "nan": b'{"model":"m","input":"hi","temperature":NaN}',
    "infinity": b'{"model":"m","input":"hi","temperature":-Infinity}',
    "lone-surrogate": b'{"model":"m","input":"\\ud83d"}',
    "byte-order-mark": b"\xef\xbb\xbf" + PLAIN,
    "utf-16": PLAIN.decode().encode("utf-16"),
    "invalid-utf-8": b'{"model":"m","input":"\xff\xfe"}',
    "overlong-utf-8": b'{"model":"m","input":"\xc0\xaf"}',
    "nul": b'{"model":"m","input":"a\0b"}',
    "trailing-comma": b'{"model":"m","input":"hi",}',
    "two-objects": PLAIN + PLAIN,
    "comment": b'{"model":"m",/* */"input":"hi"}',
    "empty": b"",
    "blank": b" " * 1000,
    "array": b"[]",
    "string": b'"hi"',
    "null": b"null",
}


@pytest.mark.parametrize("name", JSON_BOMBS)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/chat/completions", "/v1/responses/compact"])
def test_json_that_means_harm(gateway: Gateway, upstream: Upstream, path: str, name: str) -> None:
    before = gateway.memory("VmHWM")
    began = time.monotonic()
    reply = gateway.post(path, JSON_BOMBS[name])
    seconds = time.monotonic() - began
    assert reply.status == 400, reply.body[:300]
    error = reply.json["error"]
    assert error["type"] == "invalid_request_error"
    assert "Traceback" not in error["message"] and len(error["message"]) < 300
    assert seconds < SECONDS
    assert gateway.memory("VmHWM") - before < 64 * MIB
    assert upstream.asked == []


def test_of_a_key_that_comes_twice_the_last_one_counts(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    assert gateway.post("/v1/responses", b'{"model":"a","input":"hi","model":"b"}').status == 200
    assert upstream.chats[0]["model"] == "b"


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1e308", "0.1e-400"])
def test_odd_numbers_are_passed_or_refused(gateway: Gateway, upstream: Upstream, number: str) -> None:
    upstream.always(answers.chat_text("hi"))
    for path, body in (("/v1/responses", HELLO), ("/v1/messages", MESSAGES), ("/v1/chat/completions", CHAT)):
        raw = json.dumps({**body, "x": 0}).replace('"x": 0', f'"top_k": {number}').encode()
        assert gateway.post(path, raw).status in (200, 400)


def test_a_long_text_with_many_commas_is_no_bomb(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    assert gateway.post("/v1/responses", {**HELLO, "input": "a,[{" * 500_000}).status == 200

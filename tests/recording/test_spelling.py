"""Pieces of credentials in the texts of a stream."""

from __future__ import annotations

import pytest

from gateway.recording.spelling import hinted, spelled

KEY = b"sk-canary-0123456789abcdef"


def texts(*values: str, name: str = "content") -> bytes:
    return "".join(f'{{"type":"t","{name}":"{value}"}}' for value in values).encode()


def stars(text: bytes) -> tuple[bytes, bytes]:
    found, under_way = spelled(text, [KEY])

    def hidden(spans: list[tuple[int, int]]) -> bytes:
        return b"|".join(text[start:end] for start, end in spans)

    return hidden(found), hidden(under_way)


CASES = [
    (texts("sk-", "canary", "-0123456789abcdef and"), b"sk-|canary|-0123456789abcdef", b""),
    (texts("it is sk-", "can"), b"", b"sk-|can"),
    (texts("sk-", "not"), b"", b""),
    (texts("sk-", "canary-", "not"), b"sk-|canary-", b""),
    (texts("0123456789", "abc", "def"), b"0123456789|abc|def", b""),
    (texts("89abcdef."), b"89abcdef", b""),
    (texts("", "s", "", "k"), b"", b"s|k"),
    (texts("sk-") + texts("canary", name="text"), b"", b"sk-|canary"),
    (texts("sk-canary") + texts("x", name="id") + texts("-0123456789abcdef"), b"sk-canary|-0123456789abcdef", b""),
]


@pytest.mark.parametrize(("text", "found", "under_way"), CASES, ids=[case[0].decode() for case in CASES])
def test_pieces(text: bytes, found: bytes, under_way: bytes) -> None:
    assert stars(text) == (found, under_way)


@pytest.mark.parametrize("at", range(len(KEY) - 5))
def test_any_six_bytes_are_a_hint(at: int) -> None:
    assert hinted(b"xx" + KEY[at : at + 6] + b"yy", (KEY,))


def test_nothing_known_hints_at_nothing() -> None:
    assert not hinted(KEY, ())
    assert not hinted(b"data: hello", (KEY,))

"""A credential that is cut over chunks, or spelled out over frames, is seen whole; all cuts stay where they were."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gateway.recording.credentials import Credentials
from gateway.recording.cutter import Cutter

KEY = "sk-canary-0123456789abcdef"


def cutter_of(*secrets: str, shown: bool = False) -> Cutter:
    credentials = Credentials(secrets)
    credentials.shown = shown
    return Cutter(credentials.clean, credentials)


def through(chunks: list[bytes], secret: str = KEY) -> list[bytes]:
    cutter = cutter_of(secret)
    given = [one for chunk in chunks for one in cutter.feed(chunk)]
    return given + cutter.finish()


TEXT = f'data: {{"content":"it is {KEY}, and "}}\n\ndata: {{"api_key":"abcdef"}}\n\n'.encode()
CLEAN = Credentials([KEY]).clean(TEXT)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 21, 34, 55, 200])
def test_chunks_keep_their_cuts_however_small_they_are(size: int) -> None:
    chunks = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    given = through(chunks)
    assert [len(one) for one in given] == [len(chunk) for chunk in chunks]
    assert b"".join(given) == CLEAN
    assert KEY.encode() not in CLEAN
    assert b"abcdef" not in CLEAN


@pytest.mark.parametrize("at", range(1, len(TEXT)))
def test_a_credential_cut_in_two_is_seen(at: int) -> None:
    assert b"".join(through([TEXT[:at], TEXT[at:]])) == CLEAN


def test_whole_frames_are_given_out_at_once() -> None:
    cutter = cutter_of(KEY)
    frame = b'data: {"content":"hello"}\n\n'
    assert cutter.feed(frame) == [frame]
    assert cutter.feed(b"}") == [b"}"]
    assert cutter.feed(frame) == [frame]
    assert not cutter.holding
    assert cutter.feed(b"abc") == []
    assert cutter.holding
    assert cutter.finish() == [b"abc"]
    assert cutter.finish() == []


def test_a_word_without_end_is_not_held_for_ever() -> None:
    given = through([b"A" * 5000] * 8)
    assert b"".join(given) == b"A" * 40000
    cutter = cutter_of()
    assert sum(len(cutter.feed(b"A" * 5000)) for _ in range(8)) >= 4


# --- spelled out over frames --------------------------------------------------------------------------------

SHAPES: dict[str, Callable[[str], object]] = {
    "chat": lambda piece: {"id": "c-1", "choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]},
    "responses": lambda piece: {"type": "response.output_text.delta", "item_id": "msg_1", "delta": piece},
    "messages": lambda piece: {"type": "content_block_delta", "delta": {"type": "text_delta", "text": piece}},
}


def frames(shape: str, pieces: list[str]) -> list[bytes]:
    return [f"data: {json.dumps(SHAPES[shape](piece))}\n\n".encode() for piece in pieces]


def pieces_of(shape: str, given: list[bytes]) -> str:
    def text(value: object) -> str:
        if isinstance(value, dict):
            return "".join(text(one) for name, one in value.items() if name in NAMES)
        return "".join(map(text, value)) if isinstance(value, list) else str(value)

    NAMES = {"chat": "choices delta content", "responses": "delta", "messages": "delta text"}[shape].split()
    return "".join(text(json.loads(frame[6:])) for frame in b"".join(given).split(b"\n\n") if frame)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 12, 25])
def test_a_model_that_was_shown_a_key_cannot_spell_it_out(shape: str, size: int) -> None:
    text = f"it is {KEY}, I think"
    sent = frames(shape, [text[at : at + size] for at in range(0, len(text), size)])
    cutter = cutter_of(KEY, shown=True)
    given = [one for frame in sent for one in cutter.feed(frame)] + cutter.finish()
    assert pieces_of(shape, given) == f"it is {'*' * len(KEY)}, I think"
    assert [len(one) for one in given] == [len(one) for one in sent]


@pytest.mark.parametrize("size", [6, 8, 13, 20])
def test_pieces_of_some_length_are_seen_where_nobody_was_shown_it(size: int) -> None:
    sent = frames("chat", ["it is ", *(KEY[at : at + size] for at in range(0, len(KEY), size)), " indeed"])
    cutter = cutter_of(KEY)
    given = [one for frame in sent for one in cutter.feed(frame)] + cutter.finish()
    assert pieces_of("chat", given) == f"it is {'*' * len(KEY)} indeed"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 7, 11, 50, 90, 171])
def test_a_key_that_is_spelled_out_and_cut_within_frames(shape: str, size: int) -> None:
    body = b"".join(frames(shape, ["it is ", *(KEY[at : at + 3] for at in range(0, len(KEY), 3)), "."]))
    cutter = cutter_of(KEY, shown=True)
    given = [one for at in range(0, len(body), size) for one in cutter.feed(body[at : at + size])] + cutter.finish()
    assert pieces_of(shape, given) == f"it is {'*' * len(KEY)}."
    assert [len(one) for one in given] == [len(body[at : at + size]) for at in range(0, len(body), size)]


def test_a_piece_at_the_end_of_an_answer() -> None:
    cutter = cutter_of(KEY, shown=True)
    given = [one for frame in frames("chat", ["sk-", "canary"]) for one in cutter.feed(frame)]
    assert given == []
    assert pieces_of("chat", cutter.finish()) == "*********"
    cutter = cutter_of(KEY, shown=True)
    cutter.feed(*frames("chat", ["sk-"]))
    assert pieces_of("chat", cutter.finish()) == "sk-"


def test_words_that_begin_like_a_key_pass() -> None:
    words = ["The ", "s", "ky", " is", " sk-", "etchy", " s", "", "o"]
    sent = frames("responses", words)
    cutter = cutter_of(KEY, shown=True)
    given = [one for frame in sent for one in cutter.feed(frame)] + cutter.finish()
    assert given == sent


def test_what_is_held_is_bounded() -> None:
    cutter = cutter_of(KEY, shown=True)
    given = []
    for frame in frames("chat", ["sk-"]) + [b'data: {"other":"' + b"x" * 10_000 + b'"}\n\n'] * 8:
        given += cutter.feed(frame)
    assert len(given) >= 6

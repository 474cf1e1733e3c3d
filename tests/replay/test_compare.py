"""What counts as a difference between two answers, and what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.replay.compare import SEALED, Difference, differences, events, request_differences


def stream(*frames: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return "".join(f"{head}data: {json.dumps(one) if one != '[DONE]' else one}\n\n" for one in frames).encode()


def compared(one: bytes, other: bytes) -> list[Difference]:
    return differences(events(one, True), events(other, True))


A = {"type": "a", "id": "x1", "created": 1, "item": {"id": "x2", "of": "t"}}


def test_ids_and_times_do_not_count() -> None:
    other = {"type": "a", "id": "y1", "created": 2, "item": {"id": "y2", "of": "t"}}
    assert compared(stream(A, A), stream(other, other)) == []


def test_an_id_must_be_the_same_everywhere() -> None:
    other = {**A, "item": {"id": "x1", "of": "t"}}
    assert [one.where for one in compared(stream(A), stream(other))] == ["event 1 a.item.id"]


def test_keep_alives_do_not_count_and_numbers_go_with_them() -> None:
    progress = {"type": "response.in_progress"}
    plain = stream(
        {"type": "response.created", "sequence_number": 0},
        {**progress, "sequence_number": 1},
        {"type": "b", "sequence_number": 2},
    )
    slow = b": \n\n" + stream(
        {"type": "response.created", "sequence_number": 0},
        {**progress, "sequence_number": 1},
        {**progress, "sequence_number": 2},
        {"type": "b", "sequence_number": 3},
    )
    assert compared(plain, slow) == []
    assert compared(stream({"type": "ping"}, A), stream(A)) == []


def test_a_gap_in_the_numbers_counts() -> None:
    one, other = stream({"type": "b", "sequence_number": 0}), stream({"type": "b", "sequence_number": 1})
    assert compared(one, other) == [Difference("event 1 b.sequence_number", "nothing", "1")]


def test_events_that_are_missing_do_not_shift_the_rest() -> None:
    one, two, three = ({"type": "d", "text": text} for text in "abc")
    assert compared(stream(one, two, three), stream(one, three)) == [
        Difference("event 2 d", '{"type":"d","text":"b"}', "nothing")
    ]
    assert compared(stream(one), stream(one, two))[0].recorded == "nothing"
    assert compared(stream(A, name="a"), stream(A, name="b")) == [Difference("event 1", "a", "b")]


def test_many_events_are_compared_by_place() -> None:
    frames = [{"type": "d", "text": str(number)} for number in range(3100)]
    changed = [*frames[:5], {"type": "d", "text": "x"}, *frames[6:]]
    assert compared(stream(*frames), stream(*changed)) == [Difference("event 6 d.text", '"5"', '"x"')]


def test_a_cut_frame_is_no_event() -> None:
    assert compared(stream(A), stream(A) + b'data: {"ty') == []


@pytest.mark.parametrize("body", [b"data: [DONE]\n\n", b"data: {bad\n\n", b"data: 3\n\n"])
def test_odd_frames_are_compared_as_text(body: bytes) -> None:
    assert compared(body, body) == []
    assert compared(body, stream("other")) != []


def test_a_frame_without_end_is_text() -> None:
    huge = b"data: " + b"x" * (9 * 1024 * 1024)
    assert [event.name for event in events(huge, True)] == ["body"]


def test_whole_answers_are_one_event() -> None:
    one, other = events(b'{"a": [1, 2]}', False), events(b'{"a": [1]}', False)
    assert differences(one, other) == [Difference("body.a[1]", "2", "nothing")]
    assert events(b"", False) == []
    assert differences(events(b"<html>", False), events(b"<htm>", False)) == [Difference("body", '"<html>"', '"<htm>"')]


def test_sealed_texts_are_equal_to_any() -> None:
    assert compared(stream({"encrypted_content": "a"}), stream({"encrypted_content": "b"})) == []
    assert request_differences({"a": "x"}, {"a": SEALED}) == []
    assert request_differences({"a": "Go on. x"}, {"a": f"Go on. {SEALED}"}) == []
    assert request_differences({"a": "Stop. x"}, {"a": f"Go on. {SEALED}"}) != []
    assert request_differences({"m": ["a"]}, {"m": [SEALED, "a"]}) == []
    assert request_differences({"m": ["a"]}, {"m": ["b", "a"]}) != []


def test_ids_of_requests_count() -> None:
    assert request_differences({"id": "a", "obfuscation": 1}, {"id": "b"}) == [Difference("id", '"a"', '"b"')]

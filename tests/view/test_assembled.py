"""What a model said, from the bytes of either upstream dialect, streamed or whole."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.view.assembled import assembled
from tests.support.answers import chat_call, chat_text

CHAT = "/v1/chat/completions"
STREAMS = Path(__file__).parents[1] / "golden" / "responses-streams"


def body_of(answer: object) -> bytes:
    return b"".join(step for step in answer.steps if isinstance(step, bytes))  # type: ignore[attr-defined]


def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    said = chat_call("sh", {"cmd": "ls"}, text="I look.", reasoning="Hm.", id="call_9")
    streamed = assembled(CHAT, body_of(said.streamed()), streamed=True)
    assert streamed == assembled(CHAT, body_of(said.whole()), streamed=False)
    assert streamed == {
        "text": "I look.",
        "reasoning": "Hm.",
        "calls": [{"name": "sh", "id": "call_9", "arguments": '{"cmd": "ls"}'}],
        "finish": "tool_calls",
        "usage": [20, 5],
    }


def test_thinking_in_the_text_is_reasoning() -> None:
    said = assembled(CHAT, body_of(chat_text("<think>Hm.</think>Yes.").streamed()), streamed=True)
    assert (said["reasoning"], said["text"]) == ("Hm.", "Yes.")
    said = assembled(CHAT, body_of(chat_text("Hm.</think>Yes.").streamed()), streamed=True, think_opened=True)
    assert (said["reasoning"], said["text"]) == ("Hm.", "Yes.")


def test_responses_are_read_as_well() -> None:
    body = (STREAMS / "annotations.sse").read_bytes()
    assert assembled("/v1/responses", body, streamed=True)["text"]


def test_a_broken_answer_says_what_came_and_what_broke() -> None:
    cut = body_of(chat_text("one two").streamed().cut(450))
    said = assembled(CHAT, cut, streamed=True)
    assert said["fault"]
    assert assembled(CHAT, b"data: {bad\n\n", streamed=True)["fault"]
    assert assembled(CHAT, b"<html>", streamed=False)["fault"]
    assert assembled(CHAT, b"[]", streamed=False) == {}
    assert assembled(CHAT, json.dumps({"error": {"message": "no"}}).encode(), streamed=False)["fault"]

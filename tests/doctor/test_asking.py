"""One request to a real socket, and what is told of its answer."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import Settings
from gateway.doctor.asking import Answer, Upstream
from tests.support import answers
from tests.support.upstream import Upstream as Scripted

KEY = "sk-secret-key-0123456789"


def ask(upstream: Scripted, answer: Any, *, timeout: float = 5.0, key: str | None = KEY, **env: str) -> Answer:
    upstream.always(answer)
    settings = Settings.load({}, {"BACKEND_URL": upstream.url, "MODELS_FILE": "", **env})
    return Upstream(settings, key, timeout).chat({"model": "m", "messages": []})


def test_a_whole_answer(upstream: Scripted) -> None:
    told = ask(upstream, answers.chat_calls(("a", {"x": 1}), ("b", {}), text="hi", reasoning="hm"))
    assert told.ok
    assert (told.status, told.streamed, told.text, told.reasoning) == (200, False, "hi", "hm")
    assert told.calls == [("a", '{"x": 1}'), ("b", "{}")]
    assert told.usage is not None
    assert upstream.asked[-1].headers["authorization"] == f"Bearer {KEY}"


def test_a_stream(upstream: Scripted) -> None:
    told = ask(upstream, answers.chat_calls(("a", {"x": 1}), text="one two", reasoning="hm").streamed())
    assert told.ok
    assert (told.streamed, told.text, told.calls) == (True, "one two", [("a", '{"x": 1}')])
    assert told.pieces > 3


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (answers.error(404, "no such model"), 404, "status 404: no such model"),
        (answers.error(401, f"bad key {KEY}"), 401, "bad key sk-sec...6789"),
        (answers.json_answer({"error": {"message": "inside"}}), 200, "inside"),
        (answers.body_answer(b"<html>", headers={"content-type": "text/html"}), 200, "not JSON"),
        (answers.json_answer([1]), 200, ""),
        (answers.chat_text("one two").streamed().cut(60), 200, "connection failed"),
        (answers.sse(answers.chunk({"content": "a"}), done=False), 200, ""),
        (answers.dropped(), 0, "connection failed"),
    ],
    ids=["status", "key", "error-in-200", "page", "list", "cut", "no-end", "dropped"],
)
def test_failures_are_answers_too(upstream: Scripted, answer: Any, status: int, words: str) -> None:
    told = ask(upstream, answer)
    assert not told.ok
    assert told.status == status
    assert words in told.fault
    assert KEY not in told.fault


def test_silence_has_an_end(upstream: Scripted) -> None:
    assert "no answer within 0.3 s" in ask(upstream, answers.chat_text("x").whole().late(3), timeout=0.3).fault
    dripping = answers.chat_text("one two three").streamed().slow(0.2)
    assert "did not end in time" in ask(upstream, dripping, timeout=0.5).fault


def test_no_key_no_header(upstream: Scripted) -> None:
    assert ask(upstream, answers.chat_text("x"), key=None).ok
    assert "authorization" not in upstream.asked[-1].headers


def test_an_upstream_that_is_not_there() -> None:
    settings = Settings.load({}, {"BACKEND_URL": "http://127.0.0.1:9/v1", "TRUST_ENV": "true", "MODELS_FILE": ""})
    told = Upstream(settings, None, 1.0).chat({"model": "m", "messages": []})
    assert (told.status, told.fault) == (0, "the connection failed: ConnectionError")

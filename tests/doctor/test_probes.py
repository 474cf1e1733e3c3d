"""Each probe over each kind of answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.doctor import probes
from gateway.doctor.asking import Answer
from gateway.doctor.findings import Finding
from gateway.events import Usage

JSON = dict[str, Any]
BASE = {"model": "m", "max_tokens": 9}
PROBES = {probe.name: probe.run for probe in probes.probes()}


def ok(text: str = "", **members: Any) -> Answer:
    return Answer(200, text=text, **members)


REFUSED = Answer(400, "status 400: no such thing")


def run(name: str, *answers: Answer) -> tuple[Finding, list[JSON]]:
    """Run a probe over scripted answers; return the finding and what was sent."""
    sent: list[JSON] = []
    left = list(answers)

    def ask(body: JSON) -> Answer:
        sent.append(body)
        return left.pop(0)

    return PROBES[name](ask, BASE), sent


CALL = [("get_weather", '{"city": "Paris"}')]


@pytest.mark.parametrize(
    ("name", "answers", "verdict", "says", "words"),
    [
        ("streams", [ok(streamed=True, pieces=5)], "ok", {}, "5 pieces"),
        ("streams", [ok(streamed=True, pieces=1)], "warn", {}, "one piece"),
        ("streams", [ok(pieces=1)], "warn", {}, "whole"),
        ("streams", [REFUSED], "no", {}, "no such thing"),
        ("usage in streams", [ok(usage=Usage(3, 4))], "ok", {}, "3 tokens in, 4 out"),
        ("usage in streams", [ok()], "warn", {}, "estimates"),
        ("usage in streams", [REFUSED], "warn", {}, "leaves it out"),
        ("tools", [ok(calls=CALL)], "ok", {"tools": True}, "Paris"),
        ("tools", [ok(calls=[("get_weather", "{")])], "warn", {"tools": True}, "odd call"),
        ("tools", [ok("<tool_call>get_weather")], "warn", {"tools": True}, "leaks"),
        ("tools", [ok("It is sunny.")], "no", {"tools": False}, "It is sunny."),
        ("tools", [REFUSED], "no", {"tools": False}, "no such thing"),
        ("parallel tools", [ok(calls=CALL * 2)], "ok", {}, "2 of 2 calls"),
        ("parallel tools", [ok(calls=CALL)], "warn", {}, "1 of 2 calls"),
        ("parallel tools", [REFUSED], "no", {}, ""),
        ("tool_choice required", [ok(calls=CALL)], "ok", {}, ""),
        ("tool_choice required", [ok("hi")], "warn", {}, "not enforced"),
        ("tool_choice required", [REFUSED], "no", {}, ""),
        ("json_schema", [ok('{"sum": 5, "word": "odd"}')], "ok", {"structured_outputs": True}, ""),
        ("json_schema", [ok("It is 5.")], "no", {"structured_outputs": False}, "not enforced"),
        ("json_schema", [ok('{"sum": "5"}')], "no", {"structured_outputs": False}, "not enforced"),
        ("json_schema", [REFUSED], "no", {"structured_outputs": False}, ""),
        ("reasoning", [ok("9.9", reasoning="hm")], "ok", {"reasoning": True}, "field"),
        ("reasoning", [ok("<think>hm</think>9.9")], "ok", {"reasoning": True}, "<think>"),
        (
            "reasoning",
            [ok("hm</think>9.9")],
            "ok",
            {"reasoning": True, "think_opened_by_template": True},
            "lone </think>",
        ),
        ("reasoning", [ok("9.9")], "ok", {"reasoning": False}, "none"),
        ("reasoning", [REFUSED], "warn", {}, "no such thing"),
        ("reasoning handed back", [ok("Sunny")], "ok", {"reasoning_replay": "field"}, ""),
        ("reasoning handed back", [REFUSED, ok("Sunny")], "warn", {"reasoning_replay": "off"}, ""),
        ("reasoning handed back", [REFUSED, REFUSED], "no", {}, "a turn after a tool call fails"),
        ("images", [ok("Red.")], "ok", {"images": True}, ""),
        ("images", [ok("Blue.")], "no", {"images": False}, "Blue."),
        ("images", [REFUSED], "no", {"images": False}, "no such thing"),
        ("developer role", [ok("Pineapple")], "ok", {"developer_role": True}, ""),
        ("developer role", [ok("Hi!")], "warn", {"developer_role": False}, "not followed"),
        ("developer role", [REFUSED], "warn", {"developer_role": False}, "no such thing"),
        ("later system message", [ok("PINEAPPLE.")], "ok", {"mid_system": True}, ""),
        ("later system message", [REFUSED], "warn", {"mid_system": False}, "as user messages"),
    ],
)
def test_a_probe(name: str, answers: list[Answer], verdict: str, says: JSON, words: str) -> None:
    finding, sent = run(name, *answers)
    assert (finding.name, finding.verdict, finding.says) == (name, verdict, says)
    assert words in finding.detail
    assert len(sent) == len(answers)
    assert all(body["model"] == "m" and body["max_tokens"] == 9 and body["messages"] for body in sent)


def begin(*answers: Answer) -> tuple[list[Finding], JSON | None]:
    left = list(answers)
    ask: Callable[[JSON], Answer] = lambda body: left.pop(0)  # noqa: E731
    return probes.begin(ask, "m")


def test_the_form_of_the_limit() -> None:
    findings, base = begin(ok("hi"))
    assert base is not None
    assert "max_tokens" in base
    assert findings[1].says == {"max_tokens_field": "max_tokens"}
    findings, base = begin(REFUSED, ok("hi"))
    assert base is not None
    assert "max_completion_tokens" in base
    assert findings[1].says == {"max_tokens_field": "max_completion_tokens"}


def test_a_model_that_does_not_answer_is_left() -> None:
    findings, base = begin(REFUSED, Answer(400, "status 400: other"))
    assert base is None
    assert [(one.name, one.verdict, one.essential) for one in findings] == [("answers", "no", True)]
    assert findings[0].detail == "status 400: no such thing"


def test_long_answers_are_cut() -> None:
    findings, _ = begin(ok("word " * 100))
    assert len(findings[0].detail) < 120
    assert begin(ok())[0][0].detail.endswith("(nothing)")

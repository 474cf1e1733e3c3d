"""Recorded bytes through today's translators: nothing differs, unless something does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.recording.log import Log
from gateway.replay.compare import Difference
from gateway.replay.retranslating import Memory, NotComparable, compare, model_of
from tests.support.recordings import WHOLE, Tape

GOLDEN = Path(__file__).parents[1] / "golden"
RECORDINGS = sorted((GOLDEN / "recordings").glob("*.jsonl"))
CASES = [case for pair in ("responses-chat", "messages-chat") for case in sorted((GOLDEN / pair).iterdir())]


def differences(tape: Tape, folder: Path) -> list[list[Difference] | str]:
    memory = Memory()
    found: list[list[Difference] | str] = []
    with Log.open(tape.write(folder / "log")) as log:
        for exchange in log.exchanges():
            try:
                found.append(compare(exchange, memory))
            except NotComparable as reason:
                found.append(str(reason))
    return found


def test_golden_cases_translate_as_they_did(tmp_path: Path) -> None:
    tape = Tape()
    for number, case in enumerate(CASES):
        tape.golden(f"req_{number}", case)
    found = differences(tape, tmp_path)
    assert {case.name: one for case, one in zip(CASES, found, strict=True) if one} == {}


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_committed_recordings_translate_as_they_did(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made by the real gateway (`make record-fixtures`); a change that is meant needs them made anew."""
    code = main(["replay", str(recording), "--retranslate"])
    assert code == 0, capsys.readouterr().out


ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
WANTED = {"model": "m", "input": "hi", "stream": True}
SENT = {
    "model": "m",
    "messages": [{"role": "user", "content": "hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
FRAME = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"yo"},"finish_reason":"stop"}]}\n\n'


def translated(tape: Tape, case: Path, **upstream: Any) -> None:
    """One golden case, with an upstream that answers otherwise."""
    path = {"responses": "/v1/responses", "messages": "/v1/messages"}[case.parent.name.split("-")[0]]
    tape.request("req_1", (case / "request.json").read_bytes(), path)
    tape.asked("req_1", (case / "upstream_request.json").read_bytes(), model_profile={"id": "test/coder"})
    tape.answered("req_1", **upstream)


PLAIN = GOLDEN / "responses-chat" / "codex-a-plain-text-is-shown-1"


def test_what_differs_is_named(tmp_path: Path) -> None:
    stream = (PLAIN / "upstream.sse").read_bytes()
    tape = Tape()
    tape.request("req_1", (PLAIN / "request.json").read_bytes(), "/v1/responses")
    sent = json.loads((PLAIN / "upstream_request.json").read_bytes())
    tape.asked("req_1", {**sent, "seed": 4}, model_profile={"id": "test/coder"})
    tape.answered("req_1", [stream.replace(b"Hello", b"Hullo")])
    tape.told("req_1", [(PLAIN / "client.sse").read_bytes()], dropped=["old"])
    (found,) = differences(tape, tmp_path)
    assert ("the request, seed", "4", "nothing") in found
    assert any(one[:2] == ("dropped members", "old") for one in found)
    assert any(one[1:] == ('"Hello"', '"Hullo"') for one in found), found


def told_by(status: int, error: dict[str, Any]) -> bytes:
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("upstream", "status", "error"),
    [
        pytest.param(
            {"chunks": [b'{"error": {"message": "no"}}'], "status": 500, "headers": WHOLE},
            500,
            {"message": "no", "type": "server_error", "param": None, "code": None},
            id="refused",
        ),
        pytest.param(
            {"chunks": [b'{"detail": "no"}'], "status": 404, "headers": WHOLE},
            404,
            {
                "message": "no (the nearest names: a, b)",
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            },
            id="unknown-model",
        ),
        pytest.param(
            {"chunks": [b"<html>"]},
            502,
            {
                "message": "The upstream answered with something that is neither JSON nor a stream.",
                "type": "server_error",
                "param": None,
                "code": "upstream_invalid_response",
            },
            id="a-page",
        ),
        pytest.param(
            {"chunks": [b""], "status": 302},
            502,
            {
                "message": "The upstream answered with status 302, which is no answer here.",
                "type": "server_error",
                "param": None,
                "code": "upstream_invalid_response",
            },
            id="a-redirect",
        ),
    ],
)
def test_errors_are_spelled_as_they_were(
    tmp_path: Path, upstream: dict[str, Any], status: int, error: dict[str, Any]
) -> None:
    tape = Tape()
    translated(tape, PLAIN, **upstream)
    tape.told("req_1", [told_by(status, error)], status=status, headers=WHOLE, end="failed")
    assert differences(tape, tmp_path) == [[]]
    tape.lines[-3] = tape.lines[-3].replace(str(status).encode(), b"418")
    (found,) = differences(tape, tmp_path)
    assert found and isinstance(found[0], Difference)
    assert found[0].where == "status"


@pytest.mark.parametrize(
    ("end", "status", "code", "words"),
    [
        ("unreachable", 502, "upstream_unreachable", "The upstream cannot be reached."),
        ("timeout", 504, "upstream_timeout", "The upstream sent nothing for 3 seconds."),
    ],
)
def test_no_answer_at_all(tmp_path: Path, end: str, status: int, code: str, words: str) -> None:
    tape = Tape()
    tape.request("req_1", (PLAIN / "request.json").read_bytes(), "/v1/responses")
    tape.asked("req_1", (PLAIN / "upstream_request.json").read_bytes(), model_profile={"id": "test/coder"})
    tape.add("upstream-response-end", "req_1", attempt=1, end=end, error=words)
    error = {"message": words, "type": "server_error", "param": None, "code": code}
    tape.told("req_1", [told_by(status, error)], status=status, headers=WHOLE)
    assert differences(tape, tmp_path) == [[]]


def test_a_client_that_left_saw_a_part(tmp_path: Path) -> None:
    stream = (PLAIN / "upstream.sse").read_bytes()
    tape = Tape()
    translated(tape, PLAIN, chunks=[stream[: len(stream) // 2]], end="closed")
    tape.told("req_1", [(PLAIN / "client.sse").read_bytes()[:900]], end="client_gone")
    assert differences(tape, tmp_path) == [[]]


def test_repairs_are_found_again(tmp_path: Path) -> None:
    words = "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens "
    words += "(8000 in the messages, 32000 in the completion). Please reduce the length of the messages or completion."
    sent = {**SENT, "max_tokens": 32000, "stream": False}
    del sent["stream_options"]
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    answer["choices"] = [{"index": 0, "message": {"role": "assistant", "content": "yo"}, "finish_reason": "stop"}]
    tape = Tape()
    tape.request("req_1", {"model": "m", "input": "hi", "max_output_tokens": 32000}, "/v1/responses")
    tape.asked("req_1", sent, model_profile={"id": "m"})
    fault = {"error": {"message": words, "type": "BadRequestError", "code": 400}}
    tape.answered("req_1", [json.dumps(fault).encode()], status=400, headers=WHOLE, end="complete")
    tape.asked("req_1", {**sent, "max_tokens": 24688}, attempt=2, model_profile={"id": "m"})
    tape.answered("req_1", [json.dumps(answer).encode()], attempt=2, headers=WHOLE)
    (found,) = differences(tape, tmp_path)
    assert not isinstance(found, str)
    assert [one for one in found if "max_tokens" in one.where] == []


def test_relayed_exchanges_are_compared_as_they_passed(tmp_path: Path) -> None:
    tape = Tape()
    tape.request("req_1", ASKED)
    tape.asked("req_1", ASKED)
    tape.answered("req_1", [FRAME[:10], FRAME[10:]])
    tape.told("req_1", [b": \n\n", FRAME])
    tape.request("req_2", ASKED)
    tape.asked("req_2", ASKED)
    tape.answered("req_2", [FRAME])
    tape.told("req_2", [FRAME.replace(b"yo", b"no")])
    first, second = differences(tape, tmp_path)
    assert first == []
    assert [one[1:] for one in second] == [('"no"', '"yo"')]


def test_a_relayed_answer_that_broke_is_compared_as_far_as_it_came(tmp_path: Path) -> None:
    tape = Tape()
    for id, status, told in (("req_1", 200, [FRAME, b'data: {"error": {}}\n\n']), ("req_2", 502, [b"{}"])):
        tape.request(id, ASKED)
        tape.asked(id, ASKED)
        tape.answered(id, [FRAME], end="upstream_cut", error="It broke.")
        tape.told(id, told, status=status, end="upstream_cut")
    tape.request("req_3", ASKED)
    tape.asked("req_3", ASKED)
    tape.add("upstream-response-end", "req_3", attempt=1, end="unreachable")
    tape.told("req_3", [b"{}"], status=502)
    assert differences(tape, tmp_path) == [[], *["the gateway answered it itself"] * 2]


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    tape = Tape()
    tape.request("req_1", None, "/v1/models")
    tape.told("req_1", [b"{}"], headers=WHOLE)
    tape.request("req_2", {"model": "m", "input": "x"}, "/v1/responses")
    tape.told("req_2", [b"{}"], status=401, headers=WHOLE)
    tape.request("req_3", ASKED)
    tape.asked("req_4", ASKED)
    tape.request("req_5", ASKED)
    tape.told("req_5", [], lost=3)
    tape.request("req_6", {**WANTED, "previous_response_id": "resp_1"}, "/v1/responses")
    tape.asked("req_6", SENT, model_profile={"id": "m"})
    tape.request("req_7", {"model": "m", "input": "fine"}, "/v1/responses")
    tape.told("req_7", [b"{}"], status=400, headers=WHOLE)
    tape.request("req_8", {**WANTED, "input": [{"type": "item_reference", "id": "msg_1"}]}, "/v1/responses")
    tape.asked("req_8", SENT, model_profile={"id": "m"})
    assert differences(tape, tmp_path) == [
        "not a translated path",
        "the gateway answered it itself",
        "it has no answer",
        "the request is not in the recording",
        "records of it were lost",
        "it refers to a stored response",
        "the gateway answered it itself",
        "it refers to a stored response",
    ]


def test_a_refused_request_is_refused_alike(tmp_path: Path) -> None:
    tape = Tape()
    error = {
        "message": "`input` must be a string or a list.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "invalid_request_format",
    }
    tape.request("req_1", {"model": "m", "input": 7}, "/v1/responses")
    tape.told("req_1", [told_by(400, error)], status=400, headers=WHOLE)
    (found,) = differences(tape, tmp_path)
    assert not isinstance(found, str)
    assert {one.where for one in found} <= {"body.error.message"}


def test_a_profile_becomes_a_model_again() -> None:
    model = model_of({"id": "m", "features": ["tools"], "reasoning_levels": ["low"], "mid_system": True, "later": 1})
    assert (model.features, model.reasoning_levels, model.mid_system) == (frozenset(["tools"]), ("low",), True)


def test_the_command_tells_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = Tape()
    tape.golden("req_1", PLAIN)
    log = tape.write(tmp_path / "log")
    assert main(["replay", str(log), "--retranslate"]) == 0
    assert capsys.readouterr().out == "1 exchanges compared, none differ\n"
    log.write_bytes(log.read_bytes().replace(b"Hello", b"Hullo", 1))
    assert main(["replay", str(log), "--retranslate", "--exchange", "1"]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("req_1  POST /v1/responses\n  event ")
    assert shown.endswith("1 exchanges compared, 1 differs\n")
    assert main(["replay", str(log), "--retranslate", "--exchange", "9"]) == 2
    assert "no exchange '9'; there are 1" in capsys.readouterr().err


def test_a_translator_that_fails_is_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = Tape()
    tape.request("req_1", b"{broken", "/v1/responses")
    tape.asked("req_1", SENT, model_profile={"id": "m"})
    tape.answered("req_1", [FRAME])
    tape.told("req_1", [b"x"])
    assert main(["replay", str(tape.write(tmp_path / "log")), "--retranslate"]) == 1
    assert "    + RequestError: The request body is not valid JSON" in capsys.readouterr().out

"""One exchange taken out of a recording: as a command that runs, and as a golden case."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gateway.cli import main
from tests.support.answers import chat_text
from tests.support.gateway import Gateway
from tests.support.recordings import Tape
from tests.support.upstream import Upstream

CASE = Path(__file__).parents[1] / "golden" / "responses-chat" / "codex-a-plain-text-is-shown-1"
TRICKY = 'it\'s $HOME `id` "quoted" \\n\nBODY\n!'


def test_the_command_asks_the_same_again(
    tmp_path: Path, gateway: Gateway, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.always(chat_text("hi"))
    tape = Tape()
    tape.request("req_0", None, "/v1/models")
    body = json.dumps({"model": "export/m", "messages": [{"role": "user", "content": TRICKY}]}, indent=1).encode()
    headers = [["authorization", "Bearer ***"], ["x-note", "it's"], ["host", "x"], ["content-type", "application/json"]]
    tape.request("req_1", body, "/v1/chat/completions?a='b'", headers=headers, port=gateway.responses_port)
    assert main(["replay", str(tape.write(tmp_path / "log")), "--export", "curl"]) == 0
    command = capsys.readouterr().out
    assert "***" not in command
    assert '"authorization: Bearer $OPENAI_API_KEY"' in command
    run = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=20,
        env={"OPENAI_API_KEY": "k-1", "PATH": "/usr/bin"},
    )
    assert run.returncode == 0, run
    assert json.loads(run.stdout)["choices"][0]["message"]["content"] == "hi"
    (asked,) = upstream.asked
    assert asked.body == body + b"\n"
    assert asked.headers["authorization"] == "Bearer k-1"
    assert asked.headers["x-note"] == "it's"


def test_a_request_without_a_body_is_one_line_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = Tape()
    tape.request("req_0", None, "/v1/models", port=5101)
    log = str(tape.write(tmp_path / "log"))
    assert main(["replay", log, "--export", "curl", "--exchange", "1"]) == 0
    assert capsys.readouterr().out.startswith("curl -sS -N -X GET http://127.0.0.1:5101/v1/models \\\n")
    assert main(["replay", log, "--export", "curl"]) == 2
    assert main(["replay", log, "--export", "golden", "--exchange", "req_0"]) == 2
    assert "only a translated exchange with an answer" in capsys.readouterr().err


def test_a_golden_case_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = Tape()
    tape.golden("req_1", CASE)
    tape.request("req_2", {"model": "m", "input": "x"}, "/v1/responses")
    tape.asked("req_2", {"model": "m"})
    tape.answered("req_2", [b'{"id": "c"}'], headers=[["content-type", "application/json"]])
    tape.told("req_2", [b"odd"], headers=[["content-type", "application/json"]])
    log = str(tape.write(tmp_path / "log"))
    case = tmp_path / "responses-chat" / "mine"
    assert main(["replay", log, "--export", "golden", "--folder", str(case)]) == 0
    assert capsys.readouterr().out == f"{case}\n"
    names = {path.name: path.read_bytes() for path in CASE.iterdir()}
    assert {path.name: path.read_bytes() for path in case.iterdir()} == names
    assert main(["replay", log, "--export", "golden", "--exchange", "2", "--folder", str(tmp_path / "whole")]) == 0
    assert json.loads((tmp_path / "whole" / "upstream.json").read_text()) == {"id": "c"}
    assert (tmp_path / "whole" / "client.json").read_text() == "odd\n"
    assert main(["replay", log, "--export", "golden", "--folder", str(case / "request.json")]) == 2

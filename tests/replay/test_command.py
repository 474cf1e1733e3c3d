"""The command as people run it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.cli import main
from tests.support.gateway import ROOT
from tests.support.recordings import Tape

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: No such file or directory"),
        (["."], "Is a directory"),
        ([], "the following arguments are required: LOG"),
        (["x", "--speed", "-1"], "'-1' is no speed"),
        (["x", "--speed", "fast"], "'fast' is no speed"),
        (["x", "--port", "66000"], "'66000' is no port"),
        (["x", "--to", "u", "--retranslate"], "not allowed with argument"),
        (["x", "--export", "pdf"], "invalid choice: 'pdf'"),
    ],
)
def test_a_wrong_use_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", *words]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


def test_an_unknown_version_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "log").write_bytes(b'{"v":2,"direction":"log"}\n')
    assert main(["replay", str(tmp_path / "log")]) == 2
    assert "line 1: version 2 of the format is not known, only version 1" in capsys.readouterr().err


def test_a_log_is_served_until_the_end(tmp_path: Path) -> None:
    tape = Tape()
    tape.relayed("req_1", ASKED, [b"data: x\n\n"])
    tape.lines.append(b"damaged\n")
    log = tape.write(tmp_path / "log")
    command = [sys.executable, str(ROOT / "openai_proxy.py"), "replay", str(log), "--fast"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout and process.stderr
            first = process.stdout.readline()
            assert first.startswith("1 recorded answers, at once: http://127.0.0.1:")
            port = int(first.split(":")[-1].partition("/")[0])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            with closing(connection):
                connection.request("POST", "/v1/chat/completions", json.dumps(ASKED))
                assert connection.getresponse().read() == b"data: x\n\n"
            assert main(["replay", str(log), "--port", str(port)]) == 2
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        notes = process.stderr.read()
    assert "1 damaged lines were left out" in notes
    assert "req_1 (exact)" in notes

"""Recorded requests sent again: a gateway in front of the same recording gives the same answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.recording.log import Log
from gateway.replay.records import Records
from gateway.replay.serving import Player, Server
from tests.support.answers import chat_text
from tests.support.gateway import Gateway, free_ports
from tests.support.record_fixtures import MODELS, RECORDINGS
from tests.support.recordings import WHOLE, Tape
from tests.support.sockets import KEY, request, with_key
from tests.support.upstream import Upstream


@pytest.fixture(scope="module")
def recording() -> Path:
    """Translated answers, whole, streamed, refused, repaired, cut and reset."""
    return RECORDINGS / "responses.jsonl"


@pytest.fixture(scope="module")
def replayed(recording: Path) -> Iterator[Gateway]:
    """A gateway whose upstream is the recording."""
    with Log.open(recording) as log, Server(("127.0.0.1", 0), Player(Records.of(log), 0.0)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with Gateway(server.url, MODELS_FILE=str(MODELS)) as gateway:
            yield gateway
        server.shutdown()


def test_nothing_differs_in_front_of_the_same_recording(
    recording: Path, replayed: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["replay", str(recording), "--to", replayed.responses_url])
    shown = capsys.readouterr().out
    assert code == 0, shown
    assert shown.startswith("14 exchanges compared, none differ; 1 left out: model lists")


def test_what_differs_is_shown(
    tmp_path: Path,
    recording: Path,
    replayed: Gateway,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ant-refused")
    tape = Tape()
    tape.lines = [recording.read_bytes()]
    tape.request(
        "req_a", {"model": "m", "messages": [], "max_tokens": 1}, "/v1/messages", headers=[["x-api-key", "***"]]
    )
    tape.told("req_a", [b"{}"], headers=WHOLE)
    tape.asked("req_b", {"model": "m"})
    tape.request("req_c", {"model": "m"})
    tape.request("req_d", {"model": "m"})
    tape.told("req_d", [b"x"], lost=1)
    tape.request("req_e", None, "/v1/models")
    log = tape.write(tmp_path / "log")
    assert main(["replay", str(log), "--to", replayed.responses_url, "--exchange", "req_a"]) == 1
    shown = capsys.readouterr().out
    assert "req_a  POST /v1/messages\n  status\n    - 200\n    + 401" in shown
    for name in ("req_b", "req_c", "req_d", "req_e"):
        assert main(["replay", str(log), "--to", replayed.responses_url, "--exchange", name]) == 0
    assert "left out: the request is not in the recording" in capsys.readouterr().out


def test_each_port_may_have_an_address_of_its_own(
    tmp_path: Path, replayed: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = Tape()
    for id, port in (("req_chat", 5101), ("req_responses", 5102)):
        tape.request(id, {"input": 7}, "/v1/responses", port=port)
        tape.told(id, [b"{}"], status=404 if port == 5101 else 400, headers=WHOLE)
    log = str(tape.write(tmp_path / "log"))
    main(["replay", log, "--to", replayed.responses_url, "--chat-to", replayed.chat_url])
    assert "status" not in capsys.readouterr().out
    assert main(["replay", log, "--to", replayed.responses_url, "--chat-to", "x"]) == 2
    assert "--chat-to" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["", "127.0.0.1:5102", "ftp://x", "http://x:port"])
def test_an_address_that_is_none_is_refused(recording: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(recording), f"--to={url}"]) == 2
    assert "--to" in capsys.readouterr().err


def test_what_was_stored_is_named_by_its_new_id(
    tmp_path: Path, gateway: Gateway, upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.always(chat_text("hi"))
    log = tmp_path / "log"
    with Gateway(upstream.url, LOG_FILE=str(log)) as recorded:
        first = recorded.post("/v1/responses", {"model": "m", "input": "hi"}).json["id"]
        recorded.post("/v1/responses", {"model": "m", "input": "and?", "previous_response_id": first, "stream": True})
        for method, path in (("GET", f"/v1/responses/{first}/input_items"), ("DELETE", f"/v1/responses/{first}")):
            assert request(recorded.responses_port, method, path, headers=with_key(None, KEY)).status == 200
    assert main(["replay", str(log), "--to", gateway.responses_url]) == 0, capsys.readouterr().out
    assert "4 exchanges compared, none differ" in capsys.readouterr().out


def test_no_gateway_at_all_is_a_difference(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = free_ports(1)
    assert main(["replay", str(recording), "--to", f"http://127.0.0.1:{port}", "--exchange", "2"]) == 1
    assert "none: ConnectionRefusedError" in capsys.readouterr().out

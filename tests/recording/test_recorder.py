"""The taps on both legs, over a scripted transport: what is recorded of an exchange, and how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.access import Access
from gateway.app import Gateway, build, services_of
from gateway.breaker import Breaker
from gateway.config import Settings
from gateway.drain import Drain
from gateway.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.listing import ModelList
from gateway.profile import Model
from gateway.recording.format import parse_line, raw_payload
from gateway.recording.frames import Frames, pack
from gateway.recording.recorder import Recorder, profile_of, recorder_of
from gateway.setting import SettingError
from tests.support.transport import CHAT_PORT, KEY, ScriptedTransport, answer, call, chunk, completion, refusal, sse

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
RESPONSES = {"model": "m", "input": "hi"}
EVENTS = {"content-type": "text/event-stream"}


class Recorded:
    """A gateway that records into a file of the test's."""

    def __init__(self, path: Path, *scripts: Any, **env: str) -> None:
        self.path = path
        self.transport = ScriptedTransport(*scripts)
        environ = {"BACKEND_URL": "http://upstream.example/v1", "WORKERS": "1", "LOG_FILE": str(path)}
        settings = Settings.load({}, environ | env)
        access = Access.of(settings)
        recorder = recorder_of(settings, access.secrets)
        assert recorder is not None
        self.recorder: Recorder = recorder
        self.app: Gateway = build(
            services_of(
                settings,
                breaker=Breaker(enabled=False),
                drain=Drain(),
                access=access,
                transport=self.transport,
                models=ModelList(lambda key: b'{"data": []}'),
                recorder=recorder,
            )
        )

    def lines(self) -> list[dict[str, Any]]:
        """All lines behind the first, when the recorder has written what it was told."""
        self.write()
        return [parse_line(line) for line in self.path.read_bytes().splitlines()][1:]

    def write(self) -> None:
        """Do the work of the recorder process here."""
        for records in Frames().feed(b"".join(pack(self.recorder._queue.take()))):
            self.recorder._process._take({}, records)
        self.recorder.close()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "traffic.jsonl"


def directions(lines: list[dict[str, Any]]) -> list[str]:
    return [line["direction"] for line in lines]


def data_of(lines: list[dict[str, Any]], direction: str) -> list[bytes]:
    return [raw_payload(line, "data") or b"" for line in lines if line["direction"] == direction]


def end_of(lines: list[dict[str, Any]], leg: str = "downstream") -> dict[str, Any]:
    (line,) = [line for line in lines if line["direction"] == f"{leg}-response-end"]
    return line


WHOLE = [
    "downstream-request",
    "upstream-request",
    "upstream-response",
    "upstream-response-chunk",
    "upstream-response-end",
    "downstream-response",
    "downstream-response-chunk",
    "downstream-response-end",
]


def test_a_relayed_exchange(path: Path) -> None:
    recorded = Recorded(path, completion("hello"))
    reply = call(recorded.app, "POST", "/v1/chat/completions?x=1&api_key=abcdefgh", CHAT, port=CHAT_PORT)
    lines = recorded.lines()
    assert directions(lines) == WHOLE
    request, sent, head, *_ = lines
    assert request["target"].endswith("/v1/chat/completions?x=1&api_key=***")
    assert ["authorization", "Bearer ***"] in request["headers"]
    assert raw_payload(request, "body") == raw_payload(sent, "body") == json.dumps(CHAT).encode()
    assert sent["target"] == "/v1/chat/completions?x=1&api_key=***"
    assert (head["attempt"], head["status"]) == (1, 200)
    assert data_of(lines, "upstream-response-chunk") == data_of(lines, "downstream-response-chunk") == [reply.data]
    told = next(line for line in lines if line["direction"] == "downstream-response")
    assert [[name.lower(), value] for name, value in reply.headers.items()] == told["headers"]
    assert {line["request_id"] for line in lines} == {reply.headers["x-request-id"]}
    assert {line["port"] for line in lines} == {CHAT_PORT}
    assert end_of(lines, "upstream")["end"] == "complete"
    assert end_of(lines)["end"] == "complete"
    assert KEY not in path.read_text()


def test_a_translated_stream(path: Path) -> None:
    script = sse(
        chunk(content="hel"), chunk(content="lo"), chunk("stop", usage={"prompt_tokens": 7, "completion_tokens": 3})
    )
    recorded = Recorded(path, script)
    reply = call(recorded.app, "POST", "/v1/responses", {**RESPONSES, "stream": True, "top_logprobs": 3, "seed": 1})
    lines = recorded.lines()
    assert data_of(lines, "upstream-response-chunk") == script.pieces
    assert b"".join(data_of(lines, "downstream-response-chunk")) == reply.data
    assert len(data_of(lines, "downstream-response-chunk")) > 2
    sent = next(line for line in lines if line["direction"] == "upstream-request")
    assert sent["model_profile"]["id"] == "m"
    assert raw_payload(sent, "body") == recorded.transport.sent[0].body
    end = end_of(lines)
    assert (end["end"], end["status"], end["model"]) == ("complete", 200, "m")
    assert (end["input_tokens"], end["output_tokens"]) == (7, 3)
    assert 0 <= end["first_byte_ms"] <= end["duration_ms"]


def test_a_request_that_is_repaired_is_two_attempts(path: Path) -> None:
    unknown = refusal(400, "Unrecognized request argument supplied: stream_options", param="stream_options")
    recorded = Recorded(path, unknown, sse(chunk(content="x"), chunk("stop")))
    call(recorded.app, "POST", "/v1/messages", {**CHAT, "max_tokens": 9, "stream": True})
    lines = recorded.lines()
    assert [line["attempt"] for line in lines if line["direction"] == "upstream-request"] == [1, 2]
    assert [line["attempt"] for line in lines if line["direction"] == "upstream-response-end"] == [1, 2]


@pytest.mark.parametrize(
    ("script", "upstream_end", "end"),
    [
        (answer(b"data: {", UpstreamProtocol("cut"), headers=EVENTS), "upstream_cut", "upstream_cut"),
        (answer(b"data: {", UpstreamTimeout("silent"), headers=EVENTS), "timeout", "failed"),
        (answer(UpstreamUnreachable("gone")), "unreachable", "failed"),
        (UpstreamUnreachable("refused"), "unreachable", "failed"),
        (refusal(429, "slow down"), "complete", "refused"),
        (refusal(500, "broken"), "complete", "failed"),
    ],
    ids=["cut", "timeout", "no answer", "no connection", "429", "500"],
)
def test_how_an_answer_ends(path: Path, script: Any, upstream_end: str, end: str) -> None:
    recorded = Recorded(path, script)
    call(recorded.app, "POST", "/v1/responses", {**RESPONSES, "stream": True})
    lines = recorded.lines()
    assert end_of(lines, "upstream")["end"] == upstream_end
    assert end_of(lines)["end"] == end
    assert end_of(lines)["status"] >= 400


def test_a_stream_that_breaks_within_is_cut(path: Path) -> None:
    recorded = Recorded(path, sse(chunk(content="hello"), done=False))
    recorded.transport._scripts[0].pieces.append(UpstreamProtocol("cut"))  # type: ignore[union-attr]
    reply = call(recorded.app, "POST", "/v1/responses", {**RESPONSES, "stream": True})
    lines = recorded.lines()
    assert reply.status_code == 200
    assert (end_of(lines)["end"], end_of(lines)["status"]) == ("upstream_cut", 200)
    assert end_of(lines, "upstream")["error"] == "cut"


def test_a_client_that_leaves(path: Path) -> None:
    recorded = Recorded(path, sse(*[chunk(content="hello")] * 5, done=False))
    reply = call(recorded.app, "POST", "/v1/responses", {**RESPONSES, "stream": True}, buffered=False)
    next(iter(reply.response))
    reply.close()
    lines = recorded.lines()
    assert end_of(lines)["end"] == "client_gone"
    assert end_of(lines, "upstream")["end"] == "closed"


@pytest.mark.parametrize(
    ("method", "path_", "body", "end"),
    [
        ("GET", "/v1/models", None, "complete"),
        ("GET", "/v1/responses/resp_1", None, "refused"),
        ("POST", "/v1/responses", b"{", "refused"),
        ("POST", "/v1/messages/count_tokens", json.dumps(CHAT).encode(), "complete"),
    ],
)
def test_what_the_gateway_answers_itself(path: Path, method: str, path_: str, body: bytes | None, end: str) -> None:
    recorded = Recorded(path)
    reply = call(recorded.app, method, path_, body)
    lines = recorded.lines()
    assert directions(lines) == [WHOLE[0], *WHOLE[-3:]]
    assert (end_of(lines)["end"], end_of(lines)["status"]) == (end, reply.status_code)
    assert data_of(lines, "downstream-response-chunk") == [reply.data]
    assert raw_payload(lines[0], "body") == body


@pytest.mark.parametrize(
    ("method", "path_"), [("GET", "/health"), ("GET", "/metrics"), ("GET", "/"), ("OPTIONS", "/v1/models")]
)
def test_what_is_no_traffic_is_not_recorded(path: Path, method: str, path_: str) -> None:
    recorded = Recorded(path)
    call(recorded.app, method, path_, key=None)
    assert recorded.lines() == []


def test_health_and_metrics_tell_what_was_lost(path: Path) -> None:
    recorded = Recorded(Path("/dev/full"), completion())
    call(recorded.app, "POST", "/v1/chat/completions", CHAT)
    recorded.write()
    assert recorded.recorder.lost == len(WHOLE)
    assert call(recorded.app, "GET", "/health").json["recorder"] == {"lost_records": len(WHOLE)}
    assert f"gateway_recorder_lost_records_total {len(WHOLE)}\n" in call(recorded.app, "GET", "/metrics").text


def test_where_a_request_finds_no_room_nothing_more_of_it_is_recorded(path: Path) -> None:
    recorded = Recorded(path, refusal(400, f"bad key {KEY}"))
    recorded.recorder._queue._limit = 2000
    call(recorded.app, "POST", "/v1/chat/completions", {**CHAT, "x": "y" * 3000})
    assert recorded.lines() == []
    assert recorded.recorder.lost == len(WHOLE)


def test_a_key_that_the_gateway_holds_is_replaced_too(path: Path, tmp_path: Path) -> None:
    held = "held-canary-0123456789"
    (tmp_path / "key").write_text(held)
    script = refusal(401, f"bad key {held}")
    recorded = Recorded(path, script, BACKEND_KEY_FILE=str(tmp_path / "key"))
    reply = call(recorded.app, "POST", "/v1/chat/completions", CHAT | {"user": held}, key=None, port=CHAT_PORT)
    lines = recorded.lines()
    assert recorded.transport.sent[0].headers[-1] == ("authorization", f"Bearer {held}")
    assert held not in path.read_text()
    assert b"bad key " + b"*" * len(held) in data_of(lines, "upstream-response-chunk")[0]
    assert held not in reply.text


def test_off_is_the_default() -> None:
    assert recorder_of(Settings.load({}, {})) is None


@pytest.mark.parametrize("where", ["", "nowhere/traffic.jsonl"])
def test_a_file_that_cannot_be_begun_ends_the_start(tmp_path: Path, where: str) -> None:
    with pytest.raises(SettingError, match=r"^LOG_FILE \(--log\): '.*' cannot be begun: "):
        recorder_of(Settings.load({"log_file": str(tmp_path / where)}, {}))


def test_the_first_line_names_the_ports_that_are_served(path: Path) -> None:
    recorder = recorder_of(Settings.load({"log_file": str(path), "port": "7"}, {}))
    assert recorder is not None
    recorder.close()
    head = parse_line(path.read_bytes().splitlines()[0])
    assert (head["chat_port"], head["responses_port"]) == (7, None)


def test_the_first_line_names_no_upstream(path: Path) -> None:
    recorded = Recorded(path)
    recorded.lines()
    head = parse_line(path.read_bytes().splitlines()[0])
    assert set(head) == {
        *("v", "timestamp", "offset", "direction"),
        *("gateway", "backend_api", "chat_port", "responses_port"),
    }
    assert head["direction"] == "log"
    assert (head["chat_port"], head["responses_port"]) == (5101, 5102)
    assert 0 <= head["offset"] < 5
    assert abs(time.time() - path.stat().st_mtime) < 60


def test_only_what_is_known_of_a_model_is_told() -> None:
    assert profile_of(Model("m")) == {"id": "m"}
    told = {"id": "m", "aliases": ("n",), "features": ["a", "b"], "mid_system": True}
    assert profile_of(Model("m", aliases=("n",), features=frozenset("ba"), mid_system=True)) == told

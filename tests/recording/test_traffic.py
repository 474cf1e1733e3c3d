"""Recordings of the real gateway: exact on both legs, readable after a kill, and without a single credential."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.recording.format import parse_line, raw_payload
from gateway.recording.log import Log
from gateway.view.command import write as write_page
from tests.support.answers import Answer, body_answer, chat_text, chunk, error, sse
from tests.support.gateway import ROOT, Gateway, free_ports
from tests.support.processes import wait_until
from tests.support.surfaces import CHAT, RESPONSES, SURFACES, Surface, over_surfaces, streamed_and_whole
from tests.support.upstream import Request, Upstream

Line = dict[str, Any]


class Recording:
    """A running gateway of two workers and the file it writes."""

    def __init__(self, gateway: Gateway, path: Path) -> None:
        self.gateway = gateway
        self.path = path

    def lines(self) -> list[Line]:
        """The whole lines of the file, as they are now; a last one may be under way."""
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        return [parse_line(line) for line in whole.split(b"\n")]

    def exchange(self, request_id: str) -> list[Line]:
        """The lines of one exchange, when all of them are there."""

        def lines() -> list[Line]:
            return [line for line in self.lines() if line.get("request_id") == request_id]

        assert wait_until(lambda: any(line["direction"] == "downstream-response-end" for line in lines()))
        return lines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def _recording(_session_upstream: Upstream, folder: Path) -> Iterator[Recording]:
    path = folder / "traffic.jsonl"
    with Gateway(_session_upstream.url, flags=["--log", str(path)], WORKERS="2", KEEPALIVE_SECS="0.3") as gateway:
        yield Recording(gateway, path)


@pytest.fixture
def recording(_recording: Recording, upstream: Upstream) -> Recording:
    return _recording


def data(lines: list[Line], direction: str) -> list[bytes]:
    return [raw_payload(line, "data") or b"" for line in lines if line["direction"] == f"{direction}-chunk"]


def body_of(lines: list[Line], direction: str) -> bytes:
    (line,) = [line for line in lines if line["direction"] == direction]
    return raw_payload(line, "body") or b""


@over_surfaces
@streamed_and_whole
def test_both_legs_are_recorded_byte_for_byte(
    recording: Recording, upstream: Upstream, surface: Surface, stream: bool
) -> None:
    made = chat_text("Grüße, 世界 \u2028 and more")
    answer = made.streamed() if stream else made.whole()
    upstream.always(answer.dripped(37))
    reply = surface.post(recording.gateway, stream=stream)
    lines = recording.exchange(reply.headers["x-request-id"])
    assert reply.status == 200
    assert body_of(lines, "downstream-request") == json.dumps(surface.body(stream=stream)).encode()
    assert body_of(lines, "upstream-request") == upstream.asked[0].body
    sent = b"".join(step for step in answer.steps if isinstance(step, bytes))
    assert b"".join(data(lines, "upstream-response")) == sent
    assert b"".join(data(lines, "downstream-response")) == reply.body
    assert [line["offset"] for line in lines] == sorted(line["offset"] for line in lines)
    assert lines[-1]["end"] == "complete"


def test_keep_alives_are_recorded_as_the_writes_they_are(recording: Recording, upstream: Upstream) -> None:
    upstream.always(chat_text("hello").streamed().silent(0.8, after=1))
    reply = CHAT.post(recording.gateway, stream=True)
    written = data(recording.exchange(reply.headers["x-request-id"]), "downstream-response")
    assert written.count(b": \n\n") >= 1
    assert b"".join(written) == reply.body


def test_what_is_not_text_is_kept_as_base64(recording: Recording, upstream: Upstream) -> None:
    upstream.always(Answer((b"\xff\xfe\x00" * 100,), headers={"content-type": "audio/mpeg"}))
    reply = recording.gateway.post("/v1/audio/speech", b"\x80\x81", port=recording.gateway.chat_port)
    lines = recording.exchange(reply.headers["x-request-id"])
    assert body_of(lines, "downstream-request") == body_of(lines, "upstream-request") == b"\x80\x81"
    assert b"".join(data(lines, "upstream-response")) == b"".join(data(lines, "downstream-response")) == reply.body
    assert "data_base64" in next(line for line in lines if line["direction"] == "upstream-response-chunk")


def test_a_client_that_leaves_and_an_upstream_that_breaks(recording: Recording, upstream: Upstream) -> None:
    ends = []
    upstream.answers(chat_text("a b c d").streamed().slow(0.4), chat_text("a b c d").streamed().cut(500))
    with CHAT.stream(recording.gateway) as stream:
        next(iter(stream))
    ends.append(stream.headers["x-request-id"])
    ends.append(RESPONSES.post(recording.gateway, stream=True).headers["x-request-id"])
    legs = [{line["direction"]: line for line in recording.exchange(id)} for id in ends]
    assert [leg["downstream-response-end"]["end"] for leg in legs] == ["client_gone", "upstream_cut"]
    assert [leg["upstream-response-end"]["end"] for leg in legs] == ["closed", "upstream_cut"]


def test_several_workers_write_whole_lines(recording: Recording, upstream: Upstream) -> None:
    upstream.answers_with(lambda request: chat_text("word " * 200))
    ids: list[str] = []

    def ask(number: int) -> None:
        for turn in range(5):
            surface = SURFACES[(number + turn) % 3]
            reply = surface.post(recording.gateway, stream=bool(turn % 2))
            assert reply.status == 200
            ids.append(reply.headers["x-request-id"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 30
    for id in ids:
        lines = recording.exchange(id)
        assert lines[0]["direction"] == "downstream-request"
        assert lines[-1]["direction"] == "downstream-response-end"
        assert "lost" not in lines[-1]
    assert recording.gateway.get("/health").json["recorder"] == {"lost_records": 0}


# --- credentials --------------------------------------------------------------------------------------------

CANARY = "sk-canary-7f3a9b2c4d5e6f708192a3b4c5d6e7f8"
OTHERS = {
    "x-api-key": "xak-1a2b3c4d5e6f7a8b",
    "x-goog-api-key": "AIzaCanary0123456789abcdefghijklmnopqrs",
    "cookie": "session=cookie-9z8y7x6w5v4u",
    "x-custom-token": "custom-canary-1234567890",
}
QUERY = "query-canary-55aa55aa"
IN_BODY = "body-canary-66bb66bb"
TOLD = "cpk_0123456789abcdef.fedcba9876543210"
SECRETS = [CANARY, *(value.partition("=")[2] or value for value in OTHERS.values()), QUERY, IN_BODY, TOLD]
HEADERS = {"Authorization": f"Bearer {CANARY}", **OTHERS}


def asked_with_canaries(gateway: Gateway, surface: Surface, stream: bool, extra: str) -> tuple[str, bytes]:
    text = f'my key is {CANARY}, and {{"api_key": "{IN_BODY}"}}; {extra}'
    said = {"input": text} if surface.name == "responses" else {"messages": [{"role": "user", "content": text}]}
    body = surface.body(stream=stream) | said
    reply = gateway.post(f"{surface.path}?api_key={QUERY}", body, port=surface.port(gateway), headers=HEADERS, key=None)
    return reply.headers["x-request-id"], reply.body


def repeats_the_key(request: Request) -> Answer:
    """What a careless upstream says: the key whole, in pieces over deltas, and cut over chunks of HTTP."""
    key = request.headers["authorization"].removeprefix("Bearer ")
    if b"refuse" in request.body:
        return error(401, f"Incorrect API key provided: {key}", code="invalid_api_key")
    if not request.streamed:
        return chat_text(f"your key is {key} and {TOLD}").whole()
    pieces = ["the key: ", f"{key}", " again: ", *(key[at : at + 3] for at in range(0, len(key), 3)), f" {TOLD} end"]
    return sse(*(chunk({"content": piece}) for piece in pieces), finish="stop").dripped(11)


def page_of(recording: Path) -> bytes:
    """The page that `view` makes of a recording, what it has packed beside what it shows."""
    path = recording.with_suffix(".html")
    with Log.open(recording) as log:
        write_page(log, path)
    page = path.read_bytes()
    packed = re.findall(rb'<script type="text/plain" id="x\d+">([^<]+)</script>', page)
    assert packed
    return b"\n".join([page, *(gzip.decompress(base64.b64decode(one)) for one in packed)])


@over_surfaces
def test_no_credential_reaches_any_file_or_page(recording: Recording, upstream: Upstream, surface: Surface) -> None:
    upstream.answers_with(repeats_the_key)
    gateway = recording.gateway
    for stream, extra in ((True, "stream"), (False, "whole"), (True, "refuse"), (False, "refuse")):
        request_id, answered = asked_with_canaries(gateway, surface, stream, extra)
        lines = recording.exchange(request_id)
        assert len([line for line in lines if line["direction"] == "upstream-request"]) == 1
        for leg in ("upstream-response", "downstream-response"):
            text = b"".join(data(lines, leg))
            assert len(text) > 100
            if stream and extra == "stream":
                assert CANARY not in text_of(text)
        if extra == "refuse":
            assert CANARY.encode() not in answered
    recorded = recording.path.read_bytes()
    pages = b"".join(gateway.get(path).body for path in ("/metrics", "/health", "/"))
    pages += page_of(recording.path)
    for secret in SECRETS:
        for spelt in (secret.encode(), base64.b64encode(secret.encode())):
            assert spelt not in recorded, secret
            assert spelt not in gateway.log_text.encode(), secret
            assert spelt not in pages, secret


def test_a_compressed_error_that_repeats_the_key_is_recorded_as_stars(recording: Recording, upstream: Upstream) -> None:
    packed = gzip.compress(f'{{"error":{{"message":"no access with {CANARY}"}}}}'.encode())
    upstream.always(body_answer(packed, 401, {"content-encoding": "gzip", "content-type": "application/json"}))
    gateway = recording.gateway
    reply = gateway.post(CHAT.path, CHAT.body(stream=False), port=gateway.chat_port, headers=HEADERS, key=None)
    lines = recording.exchange(reply.headers["x-request-id"])
    assert b"".join(data(lines, "upstream-response")) == b"*" * len(packed)
    assert b"".join(data(lines, "downstream-response")) == reply.body
    assert CANARY.encode() not in reply.body


def text_of(stream: bytes) -> str:
    """All the texts of a stream, one behind the other, whatever the dialect."""
    texts = []
    for line in stream.split(b"\n"):
        if line.startswith(b"data: {"):
            event = json.loads(line[6:])
            delta = event.get("delta")
            texts.append(delta if isinstance(delta, str) else (delta or {}).get("text") or "")
            texts += [choice["delta"].get("content") or "" for choice in event.get("choices", ())]
    return "".join(texts)


# --- the file -----------------------------------------------------------------------------------------------


def test_a_killed_gateway_leaves_a_readable_file(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    upstream.answers_with(lambda request: chat_text("word " * 400).streamed().slow(0.01))
    with Gateway(upstream.url, flags=["--log", str(path)]) as gateway:
        streams = [CHAT.stream(gateway) for _ in range(4)]
        assert wait_until(lambda: path.read_bytes().count(b"downstream-response-chunk") > 20)
        os.killpg(gateway.pid, signal.SIGKILL)
        for stream in streams:
            stream.close()
        gateway.process.wait(5)
        *whole, rest = path.read_bytes().split(b"\n")
        assert len([parse_line(line) for line in whole]) > 20
        assert rest == b"" or not rest.endswith(b"}")
        gateway.process.returncode = 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_grows_to_its_limit_and_is_kept_once(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    path.write_text("what an earlier start left\n")
    upstream.answers_with(lambda request: chat_text("word " * 100))
    with Gateway(upstream.url, LOG_FILE=str(path), LOG_MAX_BYTES="60000", WORKERS="2") as gateway:
        for _ in range(40):
            assert CHAT.post(gateway, stream=True).status == 200
        assert gateway.get("/health").json["recorder"]["lost_records"] == 0
    kept = path.with_name("traffic.jsonl.1")
    for file in (path, kept):
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.stat().st_size <= 60_000
        lines = [parse_line(line) for line in file.read_bytes().splitlines()]
        assert lines[0]["direction"] == "log"
        assert len([line for line in lines if line["direction"] == "log"]) == 1
    assert parse_line(path.read_bytes().splitlines()[-1])["direction"] == "downstream-response-end", "all is written"


@pytest.mark.parametrize("path", ["/nowhere/traffic.jsonl", "/"])
def test_a_path_that_cannot_be_written_ends_the_start(path: str) -> None:
    chat, responses = free_ports(2)
    env = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "CHAT_PORT": str(chat), "RESPONSES_PORT": str(responses)}
    command = [sys.executable, str(ROOT / "openai_proxy.py"), "--log", path]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "LOG_FILE (--log)" in run.stderr

"""The files of requests and answers: what stands in them, and what must not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.codex_proxy import dumps as room
from gateway.codex_proxy.dumps import REDACTED, Dumps, redacted_body, redacted_headers
from gateway.replies import Reply

SECRET = "sk-held-0123456789"


@pytest.fixture
def dumps(tmp_path: Path) -> Dumps:
    return Dumps(tmp_path / "dumps", SECRET)


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "dumps").iterdir())


def told(path: Path) -> Any:
    return json.loads(path.read_text())


def test_an_exchange_is_two_files_for_their_owner_alone(dumps: Dumps, tmp_path: Path) -> None:
    dump = dumps.begin("POST", "/v1/responses", [("accept", "*/*")], b'{"model": "m"}')
    reply = dump.watch(Reply(b'{"id": 1}', 200, [("content-type", "application/json")]))
    assert reply.body == b'{"id": 1}'
    request, response = files(tmp_path)
    assert re.fullmatch(r"000001-[0-9]{13}-request\.json", request.name)
    assert response.name == request.name.replace("request", "response")
    assert {path.stat().st_mode & 0o777 for path in (request, response)} == {0o600}
    assert (tmp_path / "dumps").stat().st_mode & 0o777 == 0o700
    assert told(request) == {
        "method": "POST",
        "url": "/v1/responses",
        "headers": [{"name": "accept", "value": "*/*"}],
        "body": {"model": "m"},
    }
    answered = told(response)
    assert (answered["status"], answered["body"]) == (200, {"id": 1})


def test_a_stream_passes_piece_by_piece_and_is_written_also_where_it_breaks(dumps: Dumps, tmp_path: Path) -> None:
    closed = []

    def broken() -> Iterator[bytes]:
        try:
            yield b"data: 1\n\n"
            yield b"data: 2\n\n"
            yield b"data: 3\n\n"
        finally:
            closed.append(True)

    body: Any = dumps.begin("POST", "/", [], b"").watch(Reply(broken())).body
    assert next(body) == b"data: 1\n\n"
    assert next(body) == b"data: 2\n\n"
    assert len(files(tmp_path)) == 1
    body.close()
    body.close()
    assert closed == [True]
    assert told(files(tmp_path)[1])["body"] == "data: 1\n\ndata: 2\n\n"


def test_a_long_answer_is_cut_in_its_file_alone(dumps: Dumps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BODY_LIMIT", 10)
    body: Any = dumps.begin("POST", "/", [], b"").watch(Reply(iter([b"abcdefgh"] * 3))).body
    assert len(b"".join(body)) == 24
    body.close()
    assert told(files(tmp_path)[1]) == {
        "status": 200,
        "truncated": True,
        "headers": [],
        "body": "abcdefghab",
    }


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "X-Api-Key",
        "api-key",
        "cookie",
        "set-cookie",
        "x-gateway-token",
        "x-auth-token",
        "x-client-secret",
        "x-goog-api-key",
        "Ocp-Apim-Subscription-Apikey",
    ],
)
def test_headers_that_hold_credentials_do_not(name: str) -> None:
    assert redacted_headers([(name, "abc"), ("accept", "*/*")]) == [
        {"name": name, "value": REDACTED},
        {"name": "accept", "value": "*/*"},
    ]


def test_members_that_hold_credentials_do_not() -> None:
    body = {
        "max_tokens": 7,
        "token": "stop",
        "tools": [{"type": "mcp", "authorization": "abc", "headers": {"X-Api-Key": "abc", "Authorization": "abc"}}],
        "api_key": "abc",
        "apikey": "abc",
        "client_secret": "abc",
        "access-token": "abc",
        "password": {"min": "abc"},
    }
    text = json.dumps(redacted_body(json.dumps(body).encode()))
    assert text.count("abc") == 1
    assert text.count(REDACTED) == 7
    assert json.loads(text)["max_tokens"] == 7


@pytest.mark.parametrize("body", [b"no json", b"\xff\xfe", b"[" * 100_000, b""])
def test_what_is_no_json_is_a_text(body: bytes) -> None:
    assert isinstance(redacted_body(body), str)


def test_the_held_key_is_nowhere(dumps: Dumps, tmp_path: Path) -> None:
    body = json.dumps({"input": f"my key is {SECRET}", "x": [SECRET]}).encode()
    dump = dumps.begin("POST", "/", [("x-odd", SECRET)], body)
    dump.watch(Reply(f"data: {SECRET}\n\n".encode()))
    dumps.begin("POST", "/", [], f"no json but {SECRET}".encode())
    assert len(files(tmp_path)) == 3
    for path in files(tmp_path):
        assert SECRET not in path.read_text()


def test_a_disk_that_fails_is_logged_and_harms_nothing(
    dumps: Dumps, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "dumps").rmdir()
    reply = dumps.begin("POST", "/", [], b"{}").watch(Reply(b"ok"))
    assert reply.body == b"ok"
    assert caplog.text.count("a dump cannot be written") == 2


def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(OSError):
        Dumps(Path("/proc/nowhere"), SECRET)

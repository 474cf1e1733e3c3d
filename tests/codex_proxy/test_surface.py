"""What the proxy serves, through its application: one path, opaque or translated, and the held key."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from gateway.access import Access
from gateway.app import Gateway
from gateway.codex_proxy.surface import Manner, build
from gateway.config import Settings
from gateway.drain import Drain
from gateway.errors import UpstreamUnreachable
from gateway.held_key import HeldKey
from gateway.metrics import Metrics
from tests.support.transport import ScriptedTransport, answer, chunk, frames, refusal, sse

KEY = "sk-held-0123456789"
PORT = 7000
OK = answer(b'{"ok": true}', headers={"content-type": "application/json"})


def proxy(transport: ScriptedTransport, *, bridges: bool = False, shutdown: bool = False) -> Gateway:
    settings = Settings(
        host="127.0.0.1",
        port=PORT,
        mode="responses",
        backend_url="http://upstream.example/api/responses?api-version=1",
        backend_api="chat" if bridges else "responses",
        cors_allow_origins="",
    )
    access = Access(HeldKey(KEY.encode()), heeds_clients=False)
    manner = Manner("/api/responses?api-version=1", bridges, shutdown)
    return build(settings, manner, access, Drain(), Metrics(), transport)


def ask(app: Gateway, method: str = "POST", path: str = "/v1/responses", **options: Any) -> TestResponse:
    environ = {"SERVER_PORT": str(PORT), "RAW_URI": path}
    return Client(app).open(path, method=method, environ_overrides=environ, buffered=True, **options)


@pytest.mark.parametrize("body", [b'{"model": "m", "input": "hi"}', b"no json", b"", b"\x28\xb5\x2f\xfd"])
def test_the_body_is_opaque(body: bytes) -> None:
    transport = ScriptedTransport(OK)
    reply = ask(proxy(transport), data=body, headers={"content-encoding": "zstd", "content-type": "text/odd"})
    assert (reply.status_code, reply.data) == (200, b'{"ok": true}')
    (sent,) = transport.sent
    assert (sent.method, sent.target, sent.body) == ("POST", "/api/responses?api-version=1", body)
    assert ("content-encoding", "zstd") in sent.headers
    assert ("content-type", "text/odd") in sent.headers


@pytest.mark.parametrize(
    "sent", [{}, {"authorization": "Bearer dummy"}, {"authorization": "Basic x"}, {"x-api-key": "k"}]
)
def test_the_held_key_takes_the_place_of_any_other(sent: dict[str, str]) -> None:
    transport = ScriptedTransport(OK)
    others = {"cookie": "a=b", "connection": "x-hop", "x-hop": "1", "proxy-authorization": "p", "te": "trailers"}
    assert ask(proxy(transport), data=b"{}", headers={**sent, **others, "x-kept": "1"}).status_code == 200
    headers = dict(transport.sent[0].headers)
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-kept"] == "1"
    assert not {"x-api-key", *others} & set(headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, "/v1/responses") for method in ("GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")),
        *(
            ("POST", path)
            for path in (
                "/v1/responses?",
                "/v1/responses?a=b",
                "/v1/responses/",
                "//v1/responses",
                "/v1//responses",
                "/v1/v1/responses",
                "/responses",
                "/v1/%72esponses",
                "/v1/./responses",
                "/v1/responses/compact",
                "/v1/chat/completions",
                "/v1/messages",
                "/",
                "/shutdown",
                "http://127.0.0.1/v1/responses",
            )
        ),
        *(
            ("GET", path)
            for path in (
                "/",
                "/health",
                "/metrics",
                "/v1/models",
                "/page.json",
                "/shutdown?",
                "/shutdown/",
                "/shutdown?x=1",
            )
        ),
        ("HEAD", "/shutdown"),
        ("OPTIONS", "/shutdown"),
    ],
)
def test_all_else_is_403(method: str, path: str) -> None:
    transport = ScriptedTransport()
    reply = ask(proxy(transport, shutdown=True), method, path)
    assert reply.status_code == 403
    assert not transport.sent
    assert method == "HEAD" or reply.json["error"]["type"] == "permission_error"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost:7000"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "evil.example"},
        {"Host": "evil.example:7000"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/responses"), ("GET", "/shutdown")])
def test_no_page_in_a_browser_gets_at_it(headers: dict[str, str], method: str, path: str) -> None:
    transport = ScriptedTransport()
    reply = ask(proxy(transport, shutdown=True), method, path, headers=headers)
    assert reply.status_code == 403
    assert not [name for name in reply.headers.keys() if name.lower().startswith("access-control")]  # noqa: SIM118
    assert not transport.sent


def test_shutdown_tells_the_master_once_the_answer_is_out(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    assert ask(proxy(ScriptedTransport()), "GET", "/shutdown").status_code == 403
    assert told == []
    reply = ask(proxy(ScriptedTransport(), shutdown=True), "GET", "/shutdown")
    assert (reply.status_code, reply.data) == (200, b"")
    assert told == [(os.getppid(), signal.SIGTERM)]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_passed_on_and_not_followed(status: int) -> None:
    transport = ScriptedTransport(answer(b"", status=status, headers={"location": "http://elsewhere.example/"}))
    reply = ask(proxy(transport), data=b"{}")
    assert (reply.status_code, reply.headers["location"]) == (status, "http://elsewhere.example/")
    assert len(transport.sent) == 1


def test_an_upstream_that_is_not_there_is_a_502() -> None:
    reply = ask(proxy(ScriptedTransport(UpstreamUnreachable("The upstream cannot be reached."))), data=b"{}")
    assert (reply.status_code, reply.json["error"]["code"]) == (502, "upstream_unreachable")


@pytest.mark.parametrize("bridges", [False, True])
def test_an_upstream_that_repeats_the_key_tells_it_to_nobody(bridges: bool) -> None:
    app = proxy(ScriptedTransport(refusal(401, f"bad key {KEY}")), bridges=bridges)
    reply = ask(app, json={"model": "m", "input": "hi"})
    assert reply.status_code == 401
    assert "sk-held" not in reply.text


# --- bridged ------------------------------------------------------------------------------------------------


def test_bridged_requests_go_through_the_gateway_s_translator() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": "{}"}}
    transport = ScriptedTransport(sse(chunk(content="hi"), chunk(tool_calls=[call]), chunk("tool_calls")))
    body = {
        "model": "m",
        "input": "hi",
        "stream": True,
        "temperature": 0.5,
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
    }
    reply = ask(proxy(transport, bridges=True), json=body)
    events = frames(reply.text)
    assert [event["type"] for event in events][:3] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert [item["type"] for item in events[-1]["response"]["output"]] == ["message", "function_call"]
    (sent,) = transport.sent
    assert sent.target == "/api/chat/completions?api-version=1"
    assert dict(sent.headers)["authorization"] == f"Bearer {KEY}"
    assert json.loads(sent.body or b"")["temperature"] == 0.5


def test_a_bridge_reads_its_bodies() -> None:
    app = proxy(ScriptedTransport(), bridges=True)
    assert ask(app, data=b"no json").status_code == 400
    assert ask(app, json={"input": "hi"}).json["error"]["param"] == "model"
    assert ask(app, "GET").status_code == 403

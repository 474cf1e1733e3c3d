"""A key that the gateway holds, through the application: what goes upstream, and what clients may learn of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.app import Gateway
from tests.support.transport import (
    CHAT_PORT,
    RESPONSES_PORT,
    ScriptedTransport,
    answer,
    call,
    chunk,
    completion,
    gateway,
    refusal,
    sse,
)

HELD = "sk-held-0123456789"
OWN = "sk-own-0123456789"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
PATHS = [
    pytest.param(CHAT_PORT, "/v1/chat/completions", CHAT, id="chat"),
    pytest.param(RESPONSES_PORT, "/v1/responses", {"model": "m", "input": "hi"}, id="responses"),
    pytest.param(RESPONSES_PORT, "/v1/messages", {**CHAT, "max_tokens": 9}, id="messages"),
    pytest.param(CHAT_PORT, "/v1/embeddings", {"model": "m", "input": "hi"}, id="relay"),
]

Make = Callable[..., Gateway]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a gateway that holds a key; with `tokens` it is one for a LAN."""
    (tmp_path / "key").write_text(f"{HELD}\n")
    (tmp_path / "tokens").write_text("token-of-anna\ntoken-of-bert\n")

    def make(transport: ScriptedTransport, *, tokens: bool = False, **env: str) -> Gateway:
        lan = {"HOST": "0.0.0.0", "CLIENT_TOKENS_FILE": str(tmp_path / "tokens")} if tokens else {}
        return gateway(transport, BACKEND_KEY_FILE=str(tmp_path / "key"), **lan, **env)

    return make


def keys_sent(transport: ScriptedTransport) -> list[str]:
    return [value for request in transport.sent for name, value in request.headers if name == "authorization"]


@pytest.mark.parametrize(("port", "path", "body"), PATHS)
@pytest.mark.parametrize(("key", "sent"), [(None, HELD), (OWN, OWN)], ids=["none", "own"])
def test_the_held_key_is_for_clients_that_send_none(
    make: Make, port: int, path: str, body: Any, key: str | None, sent: str
) -> None:
    transport = ScriptedTransport(completion())
    assert call(make(transport), "POST", path, body, port=port, key=key).status_code == 200
    assert keys_sent(transport) == [f"Bearer {sent}"]


def test_xcode_s_locally_hosted_provider_works(make: Make) -> None:
    """It knows a port of localhost, and sends no key."""
    transport = ScriptedTransport(sse(chunk(content="hi"), chunk("stop")))
    app = make(transport)
    headers = {"Host": "localhost:5101", "User-Agent": "Xcode/26.0"}
    assert call(app, "GET", "/v1/models?", port=CHAT_PORT, key=None, headers=headers).status_code == 200
    body = {**CHAT, "stream": True, "tools": []}
    reply = call(app, "POST", "/v1/chat/completions", body, port=CHAT_PORT, key=None, headers=headers)
    assert reply.text.endswith("data: [DONE]\n\n")
    assert keys_sent(transport) == [f"Bearer {HELD}"]


@pytest.mark.parametrize(("port", "path", "body"), PATHS)
def test_a_token_is_asked_for_and_stays_here(make: Make, port: int, path: str, body: Any) -> None:
    transport = ScriptedTransport(completion(), completion())
    app = make(transport, tokens=True)
    for key in (None, "token-of-annq", OWN):
        reply = call(app, "POST", path, body, port=port, key=key)
        assert reply.status_code == 401
        assert "token" in reply.text
    assert not transport.sent
    assert call(app, "POST", path, body, port=port, key="token-of-anna").status_code == 200
    both = {"x-gateway-token": "token-of-bert"}
    assert call(app, "POST", path, body, port=port, key=OWN, headers=both).status_code == 200
    assert keys_sent(transport) == [f"Bearer {HELD}", f"Bearer {OWN}"]
    assert "token-of" not in repr([(request.headers, request.body) for request in transport.sent])


@pytest.mark.parametrize(("port", "path", "body"), PATHS)
@pytest.mark.parametrize("packed", [False, True])
def test_an_upstream_that_repeats_the_key_tells_it_to_nobody(
    make: Make, port: int, path: str, body: Any, packed: bool
) -> None:
    if packed:
        error = gzip.compress(json.dumps({"error": {"message": f"bad key {HELD}"}}).encode())
        told = answer(error, status=401, headers={"content-type": "application/json", "content-encoding": "gzip"})
    else:
        told = refusal(401, f"bad key {HELD}", code=HELD)
    reply = call(make(ScriptedTransport(told)), "POST", path, body, port=port, key=None)
    assert reply.status_code == 401
    assert "content-encoding" not in reply.headers
    assert "bad key ***" in reply.text
    # Not even as much of it as a log line shows of a client's own.
    assert "sk-held" not in reply.text


@pytest.mark.parametrize(
    "told",
    [
        answer(b"\x0b\x02\x80 no gzip", status=400, headers={"content-encoding": "br"}),
        answer(b"x" * 70_000, HELD.encode(), status=500, headers={"content-length": "70018"}),
    ],
    ids=["unreadable", "too-long"],
)
def test_an_error_that_cannot_be_looked_through_does_not_pass(make: Make, told: Any) -> None:
    reply = call(make(ScriptedTransport(told)), "POST", "/v1/chat/completions", CHAT, port=CHAT_PORT, key=None)
    assert reply.status_code == told.status
    assert reply.json is not None
    assert HELD not in reply.text


def test_a_stream_that_fails_does_not_tell_it(make: Make) -> None:
    failing = sse(chunk(content="a"), {"error": {"message": f"no more for {HELD}"}}, done=False)
    body = {"model": "m", "input": "hi", "stream": True}
    reply = call(make(ScriptedTransport(failing)), "POST", "/v1/responses", body, key=None)
    assert "no more for ***" in reply.text


@pytest.mark.parametrize("port", [CHAT_PORT, RESPONSES_PORT])
@pytest.mark.parametrize("path", ["/", "/health", "/health/live", "/metrics", "/v1/models", "/v1/responses", "/x"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("stranger", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_strangers_get_a_403_in_json_everywhere(
    make: Make, port: int, path: str, method: str, stranger: dict[str, str]
) -> None:
    reply = call(make(ScriptedTransport()), method, path, port=port, key=OWN, headers=stranger)
    assert reply.status_code == 403
    assert reply.json is not None
    assert reply.json["error"]["code"] == "forbidden"
    assert not [name for name in reply.headers.keys() if name.lower().startswith("access-control-")]  # noqa: SIM118


def test_messages_clients_are_refused_in_their_own_dialect(make: Make) -> None:
    reply = call(make(ScriptedTransport()), "POST", "/v1/messages", {}, headers={"Host": "evil.example"})
    assert reply.json is not None
    assert reply.json["type"] == "error"
    assert reply.json["error"]["type"] == "permission_error"


def test_with_a_host_and_tokens_strangers_are_kept_off_by_the_token(make: Make) -> None:
    app = make(ScriptedTransport(completion()), tokens=True)
    headers = {"Host": "gateway.lan", "Origin": "https://chat.lan"}
    assert call(app, "GET", "/health", key=None, headers=headers).status_code == 200
    assert call(app, "POST", "/v1/chat/completions", CHAT, key=None, headers=headers).status_code == 401
    reply = call(app, "POST", "/v1/chat/completions", CHAT, key="token-of-anna", headers=headers)
    assert reply.status_code == 200
    # Pages may read nothing unless the operator names them.
    assert "access-control-allow-origin" not in reply.headers
    named = make(ScriptedTransport(), tokens=True, CORS_ALLOW_ORIGINS="https://chat.lan")
    told = call(named, "GET", "/health", key=None, headers=headers)
    assert told.headers["access-control-allow-origin"] == "https://chat.lan"


def test_an_anthropic_key_is_refused_where_it_is_the_client_s_own(make: Make, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-ant-held\n")
    transport = ScriptedTransport(completion())
    app = gateway(transport, BACKEND_KEY_FILE=str(tmp_path / "key"))
    body = {**CHAT, "max_tokens": 9}
    assert call(app, "POST", "/v1/messages", body, key="sk-ant-own").status_code == 401
    # This one the operator has put there for this upstream.
    assert call(app, "POST", "/v1/messages", body, key=None).status_code == 200


def test_the_log_shows_nothing_of_the_held_key(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gateway")
    app = make(ScriptedTransport(completion(), completion()), tokens=True)
    call(app, "POST", "/v1/chat/completions", CHAT, key="token-of-anna")
    facts = [record.__dict__["facts"]["key"] for record in caplog.records if "facts" in record.__dict__]
    assert facts == ["token-...anna"]
    caplog.clear()
    call(make(ScriptedTransport(completion())), "POST", "/v1/chat/completions", CHAT, key=None)
    facts = [record.__dict__["facts"]["key"] for record in caplog.records if "facts" in record.__dict__]
    assert facts == ["held"]


def sealed_by(make: Make, key: str, headers: dict[str, str] | None = None) -> str:
    """Return the envelope in which a client gets its reasoning."""
    transport = ScriptedTransport(completion("ok", reasoning_content="deep thought"))
    body = {"model": "m", "input": "hi", "include": ["reasoning.encrypted_content"]}
    reply = call(make(transport, tokens=True), "POST", "/v1/responses", body, key=key, headers=headers)
    assert reply.json is not None
    return str(reply.json["output"][0]["encrypted_content"])


def opened_by(make: Make, envelope: str, key: str) -> bool:
    transport = ScriptedTransport(completion())
    items = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": envelope},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "go on"},
    ]
    call(make(transport, tokens=True), "POST", "/v1/responses", {"model": "m", "input": items}, key=key)
    return b"deep thought" in (transport.sent[0].body or b"")


def test_clients_that_share_the_held_key_cannot_open_each_other_s_envelopes(make: Make) -> None:
    envelope = sealed_by(make, "token-of-anna")
    assert opened_by(make, envelope, "token-of-anna")
    assert not opened_by(make, envelope, "token-of-bert")

"""Other paths: relayed to the API root, or told where they are served."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from werkzeug.test import Client

from gateway.app import Port
from gateway.config import Settings
from gateway.routes.relay import other_port
from tests.support.transport import CHAT_PORT, KEY, RESPONSES_PORT, ScriptedTransport, answer, call, gateway


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("port", [CHAT_PORT, RESPONSES_PORT])
def test_any_method_goes_to_the_api_root(method: str, port: int) -> None:
    transport = ScriptedTransport(answer(b"ok", status=201, headers={"content-type": "text/plain"}))
    body = None if method in ("GET", "DELETE") else b"raw \x00 bytes"
    reply = call(transport, method, "/v1/files/a?limit=1", body, port=port, headers={"Content-Type": "x/y"})
    assert (reply.status_code, reply.data) == (201, b"ok")
    sent = transport.sent[0]
    assert (sent.method, sent.target, sent.body) == (method, "/api/v1/files/a?limit=1", body)


def test_head_has_the_length_and_no_body() -> None:
    transport = ScriptedTransport(answer(headers={"content-length": "5"}))
    reply = call(transport, "HEAD", "/v1/files/a")
    assert reply.headers["content-length"] == "5"
    assert reply.data == b""


def test_the_upstreams_query_is_kept() -> None:
    transport = ScriptedTransport(answer(b"ok"))
    app = gateway(transport, BACKEND_URL="http://upstream.example/openai/v1?api-version=2")
    call(app, "GET", "/v1/files?limit=1")
    assert transport.sent[0].target == "/openai/v1/files?api-version=2&limit=1"


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/resp_1", "/v1/messages", "/messages/count_tokens"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_chat_port_names_the_other_port(path: str, method: str) -> None:
    reply = call(ScriptedTransport(), method, path, port=CHAT_PORT)
    assert reply.status_code == 404
    assert "5102" in reply.text


def test_a_chat_port_alone_names_no_port_that_nobody_serves() -> None:
    settings = Settings.load({"port": "7804"}, {})
    services: Any = SimpleNamespace(settings=settings)
    reply = Client(Port([other_port(services)], logging.getLogger("test"))).post("/v1/responses")
    assert reply.status_code == 404
    assert "is served on no port of this gateway" in reply.text


def test_without_a_key_nothing_is_relayed() -> None:
    transport = ScriptedTransport()
    assert call(transport, "GET", "/v1/files", key=None).status_code == 401
    assert transport.sent == []


def test_where_no_key_is_required_none_is_sent() -> None:
    transport = ScriptedTransport(answer(b"ok"))
    reply = call(gateway(transport, REQUIRE_KEY="false"), "GET", "/v1/files", key=None)
    assert reply.status_code == 200
    assert "authorization" not in dict(transport.sent[0].headers)


def test_a_key_of_anthropics_is_not_relayed_below_messages_either() -> None:
    transport = ScriptedTransport()
    headers = {"x-api-key": "sk-ant-dummy-000000"}
    reply = call(transport, "POST", "/v1/messages/batches", b"{}", key=None, headers=headers)
    assert reply.status_code == 401
    assert transport.sent == []


def test_an_answer_without_a_content_type_gets_none() -> None:
    reply = call(ScriptedTransport(answer(b"")), "GET", "/v1/files/a")
    assert "content-type" not in reply.headers


def test_a_key_in_a_long_error_is_masked_at_its_length() -> None:
    body = b"x" * 70_000 + KEY.encode()
    script = answer(body, status=500, headers={"content-length": str(len(body))})
    reply = call(ScriptedTransport(script), "GET", "/v1/files/a")
    assert len(reply.data) == len(body)
    assert KEY not in reply.text

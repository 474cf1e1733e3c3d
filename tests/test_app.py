"""What holds for every request: ids, paths, CORS, errors in the caller's dialect."""

from __future__ import annotations

import pytest

from tests.support.transport import CHAT_PORT, RESPONSES_PORT, ScriptedTransport, call, completion

PORTS = pytest.mark.parametrize("port", [CHAT_PORT, RESPONSES_PORT])


@PORTS
@pytest.mark.parametrize("path", ["/", "/health", "/health/live"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_and_index_need_no_key(port: int, path: str, method: str) -> None:
    reply = call(ScriptedTransport(), method, path, port=port, key=None)
    assert reply.status_code == 200
    assert bool(reply.data) is (method == "GET")


@PORTS
def test_health_has_the_members_that_monitors_read(port: int) -> None:
    reply = call(ScriptedTransport(), "GET", "/health", port=port, key=None)
    assert reply.json is not None
    assert reply.json["status"] == "healthy"
    assert reply.json["circuit_breaker"] == {
        "enabled": True,
        "is_open": False,
        "consecutive_failures": 0,
        "open_models": [],
    }
    assert "upstream.example" not in reply.text


@PORTS
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/anything", "/nowhere"])
def test_preflights_are_answered_here_without_a_key(port: int, path: str) -> None:
    asked = {"Origin": "http://page.example", "Access-Control-Request-Headers": "authorization,x-odd"}
    reply = call(ScriptedTransport(), "OPTIONS", path, port=port, key=None, headers=asked)
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-headers"] == "authorization,x-odd"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/v1/../x", 400), ("POST", "/health", 405), ("POST", "/v1/responses", 401)],
)
def test_every_error_is_json_with_cors_and_an_id(method: str, path: str, status: int) -> None:
    reply = call(ScriptedTransport(), method, path, key=None)
    assert reply.status_code == status
    assert reply.json is not None
    assert set(reply.json["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["x-request-id"].startswith("req_")


def test_a_405_says_what_is_allowed() -> None:
    reply = call(ScriptedTransport(), "POST", "/health", key=None)
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/v1/messages", "/messages", "/v1/messages/count_tokens"])
def test_messages_paths_speak_anthropic_also_in_errors(path: str) -> None:
    reply = call(ScriptedTransport(), "POST", path, {}, key=None)
    assert reply.status_code == 401
    assert reply.json is not None
    assert reply.json["type"] == "error"
    assert reply.json["error"]["type"] == "authentication_error"
    assert reply.json["request_id"] == reply.headers["request-id"]


def test_websockets_are_told_to_use_http() -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade"}
    assert call(ScriptedTransport(), "GET", "/v1/responses", headers=headers).status_code == 426


@pytest.mark.parametrize("path", ["/responses", "/v1/v1/responses", "//v1/responses/", "/v1/responses"])
def test_every_spelling_of_a_path_works(path: str) -> None:
    reply = call(ScriptedTransport(completion()), "POST", path, {"model": "m", "input": "hi"})
    assert reply.status_code == 200


def test_a_fault_of_ours_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    reply = call(ScriptedTransport(KeyError("secret inside")), "POST", "/v1/responses", {"model": "m", "input": "hi"})
    assert reply.status_code == 500
    assert reply.json is not None
    assert reply.json["error"]["code"] == "internal_error"
    assert "secret inside" not in reply.text
    assert "secret inside" in caplog.text

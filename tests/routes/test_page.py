"""`/` for people and for curl, and the state that the page asks for."""

from __future__ import annotations

import pytest

from tests.support.transport import CHAT_PORT, RESPONSES_PORT, ScriptedTransport, call, gateway

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

PORTS = pytest.mark.parametrize("port", [CHAT_PORT, RESPONSES_PORT])


@PORTS
@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}], ids=["none", "curl"])
def test_curl_gets_text(port: int, headers: dict[str, str]) -> None:
    reply = call(ScriptedTransport(), "GET", "/", port=port, key=None, headers=headers)
    assert reply.mimetype == "text/plain"
    assert "/v1/models" in reply.text
    assert str(CHAT_PORT + RESPONSES_PORT - port) in reply.text
    assert reply.headers["vary"].lower().startswith("accept")


@PORTS
def test_a_browser_gets_the_page_with_its_policy(port: int) -> None:
    reply = call(ScriptedTransport(), "GET", "/", port=port, key=None, headers=BROWSER)
    assert reply.status_code == 200
    assert reply.mimetype == "text/html"
    assert reply.text.startswith("<!doctype html>")
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("headers", [{}, BROWSER])
def test_head(headers: dict[str, str]) -> None:
    reply = call(ScriptedTransport(), "HEAD", "/", key=None, headers=headers)
    assert (reply.status_code, reply.data) == (200, b"")


@PORTS
def test_the_state(port: int) -> None:
    app = gateway(ScriptedTransport(), models=["m"])
    reply = call(app, "GET", "/page.json", port=port, key=None)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.json is not None
    assert reply.json["port"] == port
    assert [model["name"] for model in reply.json["models"]] == ["m"]
    # Any page of the web may read this, so it names no host of the inside.
    assert (
        "10.0.0.9" not in call(gateway(ScriptedTransport(), BACKEND_URL="http://10.0.0.9/v1"), "GET", "/page.json").text
    )


def test_a_malformed_key_is_as_good_as_none() -> None:
    reply = call(ScriptedTransport(), "GET", "/page.json", key=None, headers={"Authorization": "Basic x"})
    assert reply.status_code == 200

"""Cross-origin answers by the setting."""

from __future__ import annotations

import pytest

from gateway.cors import Cors

ORIGIN = "http://page.example"


def test_any_origin_may_read_every_answer() -> None:
    headers = dict(Cors("*").headers({}))
    assert headers["access-control-allow-origin"] == "*"
    assert "retry-after" in headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in headers


def test_a_preflight_echoes_what_was_asked() -> None:
    asked = {
        "HTTP_ORIGIN": ORIGIN,
        "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization,x-stainless-os",
        "HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK": "true",
    }
    headers = dict(Cors("*").preflight(asked))
    assert headers["access-control-allow-headers"] == "authorization,x-stainless-os"
    assert headers["access-control-max-age"] == "600"
    assert headers["access-control-allow-private-network"] == "true"
    assert "POST" in headers["access-control-allow-methods"]


def test_a_plain_preflight_gets_no_more_than_it_asked() -> None:
    headers = dict(Cors("*").preflight({}))
    assert "access-control-allow-headers" not in headers
    assert "access-control-allow-private-network" not in headers


@pytest.mark.parametrize(("origin", "allowed"), [(ORIGIN, True), ("http://other.example", False), (None, False)])
def test_a_list_of_origins_admits_those_alone(origin: str | None, allowed: bool) -> None:
    cors = Cors(f"{ORIGIN}, http://second.example")
    environ = {"HTTP_ORIGIN": origin} if origin else {}
    headers = dict(cors.headers(environ))
    assert headers["vary"] == "Origin"
    assert headers.get("access-control-allow-origin") == (ORIGIN if allowed else None)
    assert bool(cors.preflight(environ)) is allowed


def test_switched_off_nothing_is_said() -> None:
    cors = Cors("")
    assert cors.headers({"HTTP_ORIGIN": ORIGIN}) == []
    assert cors.preflight({"HTTP_ORIGIN": ORIGIN}) == []

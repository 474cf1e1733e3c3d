"""Tricks with paths: whatever a path is spelled like, it is served as one route with that route's check of the key,
and nothing outside the upstream's API root is ever asked for."""

from __future__ import annotations

import json

import pytest

from tests.support import answers
from tests.support.gateway import Gateway
from tests.support.hostile import HELLO, exchange, head
from tests.support.upstream import Upstream

BODY = json.dumps(HELLO).encode()
LENGTH = f"Content-Length: {len(BODY)}"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses",
        "//v1/responses",
        "/v1//responses/",
        "/v1/v1/responses",
        "/v1/v1/v1/responses",
        "/responses",
        "/v1/%72esponses",
        "/v1%2fresponses",
        "/%76%31/responses",
        "/v1/responses?key=x",
        "/v1/responses?",
        "http://elsewhere.example/v1/responses",
        "http://user:word@elsewhere.example:99/v1/responses?a=b",
    ],
)
@pytest.mark.parametrize("host", ["gateway", "elsewhere.example", "127.0.0.1:1", "[::1]", ""])
def test_each_spelling_is_the_same_route(gateway: Gateway, upstream: Upstream, path: str, host: str) -> None:
    upstream.always(answers.chat_text("hi"))
    data = head("POST", path, LENGTH).replace(b"Host: gateway", b"Host: " + host.encode())
    without_key = head("POST", path, LENGTH, key=None).replace(b"Host: gateway", b"Host: " + host.encode())
    assert exchange(gateway, without_key + BODY).status == 401
    assert exchange(gateway, data + BODY).status == 200
    assert [request.target for request in upstream.asked] == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/./admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E%2E%2Fadmin",
        "/v1/x%2f..%2f..%2fadmin",
        "/v1/x/..",
        "/v1/..%5c..%5cadmin",
        "/v1/x\\..\\admin",
        "/v1/x%00y",
        "/v1/x%0d%0aHost:%20evil",
        "/v1/x%7f",
        "/../v1/models/x",
        "http://elsewhere.example/v1/../admin",
        "/v1/x#/../../admin",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_dot_segments_and_controls_are_refused(gateway: Gateway, upstream: Upstream, method: str, path: str) -> None:
    found = exchange(gateway, head(method, path))
    assert (found.status, found.error["code"]) == (400, "bad_request")
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/v1/embeddings", "/v1/embeddings"),
        ("/v1/a%2fb", "/v1/a%2fb"),
        ("/v1/%252e%252e/x", "/v1/%252e%252e/x"),
        ("/v1/...", "/v1/..."),
        ("/v1/x;a=b", "/v1/x;a=b"),
        ("/v1/x?u=http://elsewhere.example/../..", "/v1/x?u=http://elsewhere.example/../.."),
        ("/v1/x?a#b", "/v1/x?a"),
        ("/v1/@elsewhere.example/x", "/v1/@elsewhere.example/x"),
        ("//elsewhere.example/v1/x", None),
        ("/admin", None),
        ("/v12/x", None),
        ("/", None),
    ],
)
def test_only_what_stands_under_the_root_is_relayed(
    gateway: Gateway, upstream: Upstream, path: str, target: str | None
) -> None:
    upstream.always(answers.json_answer({}))
    found = exchange(gateway, head("GET", path))
    assert [request.target for request in upstream.asked] == ([target] if target else [])
    assert target or found.status in (200, 404)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1//files", "/v1/v1/files/x", "/embeddings", "/v1/%66iles"])
def test_a_relayed_path_needs_a_key_in_every_spelling(gateway: Gateway, upstream: Upstream, path: str) -> None:
    assert exchange(gateway, head("GET", path, key=None)).error["code"] == "missing_api_key"
    assert upstream.asked == []


@pytest.mark.parametrize("line", ["CONNECT elsewhere.example:443", "OPTIONS *", "TRACE /v1/x", "BREW /v1/models"])
def test_other_methods_are_no_way_in(gateway: Gateway, upstream: Upstream, line: str) -> None:
    method, path = line.split()
    assert exchange(gateway, head(method, path)).status in (204, 400, 404, 405)
    assert upstream.asked == []

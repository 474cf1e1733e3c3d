"""Values that a client chooses and that reach the upstream, or come back: none breaks out of its place."""

from __future__ import annotations

import json

import pytest

from tests.support import answers
from tests.support.gateway import Gateway
from tests.support.hostile import CHAT, HELLO, MESSAGES, exchange, head
from tests.support.sockets import KEY
from tests.support.upstream import Upstream

CANARY = "X-Injected"
EVIL = f"a\r\n{CANARY}: 1\r\n\r\nGET /v1/smuggled HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        {**HELLO, "model": EVIL},
        {**HELLO, "user": EVIL},
        {**HELLO, "metadata": {EVIL: EVIL}},
        {**HELLO, "instructions": EVIL},
        {**HELLO, EVIL: EVIL},
        {**HELLO, "prompt_cache_key": EVIL, "safety_identifier": EVIL},
        {**HELLO, "tools": [{"type": EVIL}]},
    ],
    ids=["model", "user", "metadata", "instructions", "member", "echoed", "dropped"],
)
def test_line_breaks_in_a_body_stay_in_the_body(gateway: Gateway, upstream: Upstream, body: dict[str, object]) -> None:
    upstream.always(answers.chat_text("hi"))
    reply = gateway.post("/v1/responses", body)
    assert reply.status == 200, reply.body
    assert CANARY.lower() not in reply.headers
    (asked,) = upstream.asked
    assert CANARY.lower() not in asked.headers
    assert asked.target == "/v1/chat/completions"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/responses"])
@pytest.mark.parametrize("query", ["a=%0d%0aX-Injected:%201", "a=%00", "a=%20HTTP/1.1%0d%0aX-Injected:1"])
def test_a_query_stays_a_query(gateway: Gateway, upstream: Upstream, path: str, query: str) -> None:
    upstream.always(answers.chat_text("hi"))
    body = CHAT if "chat" in path else HELLO
    assert gateway.post(f"{path}?{query}", body).status == 200
    (asked,) = upstream.asked
    assert CANARY.lower() not in asked.headers
    assert "\r" not in asked.target and "\0" not in asked.target


@pytest.mark.parametrize(
    "header", ["Authorization: Bearer a\x80b", "Authorization: Bearer a b", "x-api-key: a\xffb", "api-key: a b"]
)
def test_a_key_is_of_characters_that_keys_have(gateway: Gateway, upstream: Upstream, header: str) -> None:
    found = exchange(gateway, head("POST", "/v1/responses", header, "Content-Length: 0", key=None))
    assert (found.status, found.error["code"]) == (401, "invalid_api_key")
    assert upstream.asked == []


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/responses", HELLO), ("/v1/messages", MESSAGES)],
    ids=["responses", "messages"],
)
def test_a_bridged_request_takes_only_the_allowed_headers_along(
    gateway: Gateway, upstream: Upstream, path: str, body: dict[str, object]
) -> None:
    upstream.always(answers.chat_text("hi"))
    sent = {
        "traceparent": "00-1-2-01",
        "openai-organization": "org",
        "cookie": "a=b",
        "origin": "https://a.example",
        "x-forwarded-for": "1.2.3.4",
        "forwarded": "for=1.2.3.4",
        "x-secret": "1",
        "x-request-id": EVIL[:1],
        "te": "trailers",
    }
    assert gateway.post(path, body, headers=sent).status == 200
    allowed = {"host", "content-length", "content-type", "accept", "accept-encoding", "user-agent", "x-request-id"}
    assert set(upstream.asked[0].headers) == allowed | {"authorization", "traceparent", "openai-organization"}


DROPPED = {
    "connection": "keep-alive, x-named",
    "x-named": "1",
    "proxy-authorization": "Basic eA==",
    "proxy-anything": "1",
    "te": "trailers",
    "trailer": "x",
    "cookie": "a=b",
    "origin": "https://a.example",
    "referer": "https://a.example/",
    "sec-fetch-mode": "cors",
    "forwarded": "for=1.2.3.4",
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-host": "evil",
    "x-real-ip": "1.2.3.4",
    "x-api-key": "second-key-0123456789",
    "api-key": "third-key-0123456789",
}


def test_a_relayed_request_leaves_the_hop_and_the_browser_behind(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    reply = gateway.post("/v1/chat/completions", CHAT, headers={**DROPPED, "x-kept": "1"})
    assert reply.status == 200
    headers = upstream.asked[0].headers
    assert headers["x-kept"] == "1"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["host"] == f"127.0.0.1:{upstream.port}"
    assert not set(headers) & set(DROPPED)


@pytest.mark.parametrize("named", ["authorization", "x-api-key", "content-length", "host", "content-type"])
def test_connection_cannot_talk_the_gateway_out_of_its_own_headers(
    gateway: Gateway, upstream: Upstream, named: str
) -> None:
    upstream.always(answers.chat_text("hi"))
    assert gateway.post("/v1/chat/completions", CHAT, headers={"connection": named}).status == 200
    headers = upstream.asked[0].headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert int(headers["content-length"]) == len(upstream.asked[0].body)


@pytest.mark.parametrize("member", ["api_base", "base_url", "api_key", "api_version", "custom_llm_provider"])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages", "/v1/chat/completions"])
def test_a_body_cannot_choose_another_upstream(gateway: Gateway, upstream: Upstream, path: str, member: str) -> None:
    upstream.always(answers.chat_text("hi"))
    body = {"/v1/responses": HELLO, "/v1/messages": MESSAGES, "/v1/chat/completions": CHAT}[path]
    assert gateway.post(path, {**body, member: "http://127.0.0.1:9/v1"}).status == 200
    assert upstream.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_urls_of_images_are_never_fetched(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    url = f"http://127.0.0.1:{upstream.port}/secret.png"
    part = {"type": "input_image", "image_url": url}
    assert gateway.post("/v1/responses", {**HELLO, "input": [{"role": "user", "content": [part]}]}).status == 200
    assert [request.path for request in upstream.requests if "models" not in request.path] == ["/v1/chat/completions"]
    assert url in json.dumps(upstream.chats[0])


def test_no_key_is_written_to_the_log_or_told(gateway: Gateway, upstream: Upstream) -> None:
    key = "sk-canary-4711-abcdefghij-0815"
    inner = key[6:-4]
    upstream.answers(answers.error(401, f"Incorrect API key provided: {key}"), answers.error(401, key))
    replies = [
        gateway.post("/v1/responses", HELLO, key=key),
        gateway.post("/v1/chat/completions", CHAT, key=None, headers={"x-api-key": key}),
        gateway.post("/v1/messages", {"model": 1}, key=key),
        gateway.post(f"/{key}", HELLO, key=None, headers={"authorization": key}),
        gateway.post("/v1/responses", b"{" + key.encode(), key=key),
        gateway.get("/metrics"),
    ]
    assert all(inner.encode() not in reply.body for reply in replies[:3] + replies[4:])
    exchange(gateway, f"GET / HTTP/1.1\r\nAuthorization Bearer {key}\r\n\r\n".encode())
    assert inner not in gateway.log_text


# --- pages in browsers --------------------------------------------------------------------------------------


def test_any_page_may_call_and_none_brings_credentials(gateway: Gateway, upstream: Upstream) -> None:
    upstream.always(answers.chat_text("hi"))
    origin = {"origin": "https://page.example"}
    for reply in (
        gateway.post("/v1/responses", HELLO, headers=origin),
        gateway.post("/v1/responses", b"{", headers=origin),
        gateway.post("/v1/responses", HELLO, headers=origin, key=None),
        gateway.get("/nothing", headers=origin),
    ):
        assert reply.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in reply.headers
        assert "x-request-id" in reply.headers["access-control-expose-headers"]


def test_a_preflight_needs_no_key_and_is_answered_here(gateway: Gateway, upstream: Upstream) -> None:
    asks = (
        "Origin: https://page.example",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization, x-stainless-os",
        "Access-Control-Request-Private-Network: true",
    )
    found = exchange(gateway, head("OPTIONS", "/v1/responses", *asks, key=None))
    assert found.status == 204
    assert found.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    assert found.headers["access-control-max-age"] == "600"
    assert found.headers["access-control-allow-private-network"] == "true"
    assert upstream.asked == []

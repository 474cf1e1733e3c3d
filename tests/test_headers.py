"""Which headers pass, both ways."""

from __future__ import annotations

from gateway.headers import answered, answered_bridged, for_bridged, for_relayed

ENVIRON = {
    "HTTP_HOST": "gateway.example",
    "HTTP_AUTHORIZATION": "Bearer spelled",
    "HTTP_X_API_KEY": "spelled",
    "HTTP_API_KEY": "spelled",
    "HTTP_COOKIE": "a=b",
    "HTTP_ORIGIN": "http://page.example",
    "HTTP_REFERER": "http://page.example/x",
    "HTTP_SEC_FETCH_MODE": "cors",
    "HTTP_X_FORWARDED_FOR": "10.0.0.1",
    "HTTP_FORWARDED": "for=10.0.0.1",
    "HTTP_CONNECTION": "keep-alive, X-Private",
    "HTTP_X_PRIVATE": "named by Connection",
    "HTTP_PROXY_AUTHORIZATION": "secret",
    "HTTP_TRANSFER_ENCODING": "chunked",
    "HTTP_EXPECT": "100-continue",
    "HTTP_USER_AGENT": "client/1",
    "HTTP_ACCEPT": "*/*",
    "HTTP_OPENAI_ORGANIZATION": "org-1",
    "HTTP_TRACEPARENT": "00-1-2-01",
    "HTTP_X_STAINLESS_OS": "Linux",
    "HTTP_CONTENT_ENCODING": "gzip",
    "CONTENT_TYPE": "application/json",
    "CONTENT_LENGTH": "12",
    "SERVER_PORT": "5101",
}


def test_relayed_requests_keep_end_to_end_headers_only() -> None:
    assert for_relayed(ENVIRON, "the-key", decoded=True) == [
        ("user-agent", "client/1"),
        ("accept", "*/*"),
        ("openai-organization", "org-1"),
        ("traceparent", "00-1-2-01"),
        ("x-stainless-os", "Linux"),
        ("content-type", "application/json"),
        ("authorization", "Bearer the-key"),
    ]
    undecoded = for_relayed(ENVIRON, None, decoded=False)
    assert ("content-encoding", "gzip") in undecoded
    assert "authorization" not in dict(undecoded)


def test_bridged_requests_send_the_allow_list() -> None:
    headers = dict(for_bridged(ENVIRON, "the-key", "req_1", stream=True))
    assert headers.pop("user-agent").startswith("openai-proxy/")
    assert headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "accept-encoding": "identity",
        "x-request-id": "req_1",
        "authorization": "Bearer the-key",
        "traceparent": "00-1-2-01",
        "openai-organization": "org-1",
    }
    assert dict(for_bridged({}, None, "req_1", stream=False))["accept"] == "application/json"


def test_answers_lose_what_belongs_to_the_connection_or_to_others() -> None:
    upstream = [
        ("content-type", "text/event-stream"),
        ("x-request-id", "up-1"),
        ("retry-after", "3"),
        ("set-cookie", "a=b"),
        ("openai-model", "other"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("access-control-allow-origin", "https://upstream.example"),
        ("x-gateway-warnings", "forged"),
        ("x-ratelimit-remaining-requests", "9"),
        ("server", "nginx"),
        ("x-private", "kept when relayed"),
    ]
    assert answered(upstream) == [
        ("content-type", "text/event-stream"),
        ("x-request-id", "up-1"),
        ("retry-after", "3"),
        ("x-ratelimit-remaining-requests", "9"),
        ("x-private", "kept when relayed"),
    ]
    assert answered_bridged(upstream) == [
        ("x-request-id", "up-1"),
        ("retry-after", "3"),
        ("x-ratelimit-remaining-requests", "9"),
    ]

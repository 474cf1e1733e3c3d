"""Which headers pass: to the upstream when bridged or relayed, and back to the client. Pure.

Source: RFC 9110, section 7.6.1 (hop-by-hop fields) and the rules of this gateway: translated requests send an
allow-list, relayed ones all end-to-end fields but those that would tell the upstream of the client's browser,
cookies, address or key spelling.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway import __version__
from gateway.http1 import Headers

USER_AGENT = f"openai-proxy/{__version__}"

_HOP_BY_HOP = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
_NOT_RELAYED = _HOP_BY_HOP | frozenset(
    [
        "host",
        "content-length",
        "expect",
        "origin",
        "referer",
        "cookie",
        "cookie2",
        "forwarded",
        "via",
        "authorization",
        "x-api-key",
        "api-key",
        "x-gateway-token",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ]
)
_NOT_RELAYED_PREFIXES = ("sec-", "x-forwarded-", "proxy-", "access-control-request-")
_BRIDGED = {
    f"HTTP_{name.upper().replace('-', '_')}": name for name in ("traceparent", "openai-organization", "openai-project")
}
"""By their names in the environment of a WSGI request."""

_NOT_ANSWERED = _HOP_BY_HOP | frozenset(
    [
        "set-cookie",
        "set-cookie2",
        "openai-model",
        "server",
        "date",
        "alt-svc",
        "strict-transport-security",
        "content-length",
        "vary",
    ]
)
_KEPT_FROM_BRIDGED = ("retry-after", "retry-after-ms", "x-should-retry")

COLLECTED = "gateway.headers"
"""Where in the environment the recorder leaves what `client_headers` returned."""

STREAM_HEADERS: Headers = [("cache-control", "no-cache"), ("x-accel-buffering", "no")]
"""On every stream: no cache and no reverse proxy holds it back."""


def client_headers(environ: Mapping[str, Any]) -> Headers:
    """Return the header lines of a WSGI request, names in lower case."""
    headers = [(key[5:].replace("_", "-").lower(), value) for key, value in environ.items() if key.startswith("HTTP_")]
    for key, name in (
        ("CONTENT_TYPE", "content-type"),
        ("CONTENT_LENGTH", "content-length"),
    ):
        if environ.get(key):
            headers.append((name, environ[key]))
    return headers


def for_bridged(environ: Mapping[str, Any], key: str | None, request_id: str, stream: bool) -> Headers:
    """Return the headers of a translated request: the allow-list and nothing else."""
    headers = [
        ("content-type", "application/json"),
        ("accept", "text/event-stream" if stream else "application/json"),
        ("accept-encoding", "identity"),
        ("user-agent", USER_AGENT),
        ("x-request-id", request_id),
    ]
    if key:
        headers.append(("authorization", f"Bearer {key}"))
    headers += [(name, environ[key]) for key, name in _BRIDGED.items() if environ.get(key)]
    return headers


def for_relayed(environ: Mapping[str, Any], key: str | None, *, decoded: bool) -> Headers:
    """Return the headers of a relayed request. `decoded`: the body's content encoding was taken off."""
    headers = environ.get(COLLECTED) or client_headers(environ)
    dropped = _NOT_RELAYED | _named_by_connection(headers)
    if decoded:
        dropped |= {"content-encoding"}
    kept = [
        (name, value) for name, value in headers if name not in dropped and not name.startswith(_NOT_RELAYED_PREFIXES)
    ]
    if key:
        kept.append(("authorization", f"Bearer {key}"))
    return kept


def answered(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the headers of a relayed answer that go on to the client."""
    lines = list(headers)
    dropped = _NOT_ANSWERED | _named_by_connection(lines)
    return [
        (name, value)
        for name, value in lines
        if name not in dropped and not name.startswith(("access-control-", "x-gateway-"))
    ]


def answered_bridged(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the upstream's headers that go with a translated answer: request id, rate limits, when to retry."""
    return [
        (name, value)
        for name, value in headers
        if name == "x-request-id" or name in _KEPT_FROM_BRIDGED or "ratelimit" in name
    ]


def _named_by_connection(headers: Headers) -> frozenset[str]:
    return frozenset(
        token.strip().lower() for name, value in headers if name == "connection" for token in value.split(",")
    )

"""Answers: what a handler returns, and those that the gateway itself gives, JSON bodies and errors.

A `Reply` is a WSGI application of its own, so that a table of handlers, Flask and the server take it alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from gateway.dialects.chat import wire as openai
from gateway.dialects.messages import wire as anthropic
from gateway.errors import GatewayError
from gateway.http1 import Headers
from gateway.jsonbody import dump

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

JSON_TYPE = ("content-type", "application/json")

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Reply:
    """Status, headers (names in lower case) and body; a body that is no bytes is sent piece by piece, then closed."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes | Iterator[bytes], status: int = 200, headers: Headers | None = None) -> None:
        self.body = body
        self.status = status
        self.headers = headers or []

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        status, body, headers = self.status, self.body, self.headers.copy()
        line = _STATUS_LINES.get(status) or f"{status} Unknown"
        if not isinstance(body, bytes):
            return _streamed(line, headers, body, start_response)
        if status >= 200 and status not in (204, 304) and not any(name == "content-length" for name, _ in headers):
            headers.append(("content-length", str(len(body))))
        start_response(line, headers)
        return () if environ["REQUEST_METHOD"] == "HEAD" else (body,)


def _streamed(status: str, headers: Headers, body: Iterator[bytes], start_response: StartResponse) -> Iterator[bytes]:
    try:
        start_response(status, headers)
    except BaseException:
        # A server closes only what it was handed.
        close = getattr(body, "close", None)
        if close is not None:
            close()
        raise
    return body


def json_reply(body: Any, status: int = 200, headers: Headers | None = None) -> Reply:
    """Return a JSON answer; `body` is an object, or bytes that are JSON already."""
    data = body if isinstance(body, bytes) else dump(body)
    return Reply(data, status, [JSON_TYPE, *(headers or [])])


def speaks_anthropic(environ: Mapping[str, Any]) -> bool:
    """Tell whether errors to this client are spelled in the Messages dialect."""
    return str(environ.get("PATH_INFO", "")).startswith("/v1/messages") or "HTTP_ANTHROPIC_VERSION" in environ


def error_reply(error: GatewayError, environ: Mapping[str, Any]) -> Reply:
    """Return an error in the dialect of the path."""
    request_id = str(environ.get("gateway.request_id", ""))
    headers = [(name.lower(), value) for name, value in error.headers.items()]
    if speaks_anthropic(environ):
        body = anthropic.encode_error(error, request_id)
        headers.append(("request-id", request_id))
    else:
        body = openai.encode_error(error, request_id)
    return json_reply(body, error.status, headers)

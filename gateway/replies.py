"""Builds the answers that the gateway itself gives: JSON bodies and errors in the caller's dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from gateway.dialects.chat import wire as openai
from gateway.dialects.messages import wire as anthropic
from gateway.errors import GatewayError
from gateway.http1 import Headers
from gateway.jsonbody import dump

JSON_TYPE = ("content-type", "application/json")


def json_reply(body: Any, status: int = 200, headers: Headers | None = None) -> Response:
    """Return a JSON answer; `body` is an object, or bytes that are JSON already."""
    data = body if isinstance(body, bytes) else dump(body)
    return Response(data, status, [JSON_TYPE, *(headers or [])])


def untyped(response: Response, headers: Headers) -> Response:
    """Take off the content type that Flask gives each answer, where these headers name none."""
    if not any(name == "content-type" for name, _ in headers):
        response.headers.pop("content-type", None)
    return response


def speaks_anthropic(environ: Mapping[str, Any]) -> bool:
    """Tell whether errors to this client are spelled in the Messages dialect."""
    return str(environ.get("PATH_INFO", "")).startswith("/v1/messages") or "HTTP_ANTHROPIC_VERSION" in environ


def error_reply(error: GatewayError, environ: Mapping[str, Any]) -> Response:
    """Return an error in the dialect of the path."""
    request_id = str(environ.get("gateway.request_id", ""))
    headers = [(name.lower(), value) for name, value in error.headers.items()]
    if speaks_anthropic(environ):
        body = anthropic.encode_error(error, request_id)
        headers.append(("request-id", request_id))
    else:
        body = openai.encode_error(error, request_id)
    return json_reply(body, error.status, headers)

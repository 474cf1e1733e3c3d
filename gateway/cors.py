"""Cross-origin rules, so that pages in browsers may call the gateway directly. Pure.

Source: the Fetch standard, section 3.2. Requested headers are echoed, since a literal `*` does not cover
`Authorization` and every fixed list misses some client's header. No credentials: no client uses cookies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.http1 import Headers

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED = (
    "x-request-id, request-id, retry-after, x-gateway-warnings, x-gateway-overhead-ms, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    "x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)
_REQUESTED_LIMIT = 4096


class Cors:
    """The rule of one setting: `*`, a comma-separated list of origins, or empty for none."""

    def __init__(self, allowed: str) -> None:
        self._any = allowed.strip() == "*"
        self._origins = frozenset(origin.strip() for origin in allowed.split(",") if origin.strip())
        self._always: Headers = (
            [("access-control-allow-origin", "*"), ("access-control-expose-headers", _EXPOSED)] if self._any else []
        )

    def headers(self, environ: Mapping[str, Any]) -> Headers:
        """Return what goes on every answer, errors too."""
        if self._any or not self._origins:
            return self._always
        varies = ("vary", "Origin")
        origin = environ.get("HTTP_ORIGIN")
        if origin not in self._origins:
            return [varies]
        return [varies, ("access-control-allow-origin", origin), ("access-control-expose-headers", _EXPOSED)]

    def preflight(self, environ: Mapping[str, Any]) -> Headers:
        """Return what a preflight's answer has beside those."""
        if not self._any and environ.get("HTTP_ORIGIN") not in self._origins:
            return []
        headers = [("access-control-allow-methods", _METHODS), ("access-control-max-age", "600")]
        requested = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")[:_REQUESTED_LIMIT]
        if requested:
            headers.append(("access-control-allow-headers", requested))
        if environ.get("HTTP_ACCESS_CONTROL_REQUEST_PRIVATE_NETWORK", "").lower() == "true":
            headers.append(("access-control-allow-private-network", "true"))
        headers.append(("vary", "Access-Control-Request-Headers"))
        return headers

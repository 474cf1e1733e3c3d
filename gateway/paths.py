"""Request paths: one spelling for each route, and the way from a client's path to the upstream's. Pure.

People type base URLs with `/v1`, without it, twice, and with a slash too many; all of these mean the same.
Paths are matched after one percent-decoding; dot segments are refused before and after it, so nothing outside
the upstream's API root can be reached.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from gateway.errors import RequestError

_SLASHES = re.compile(r"/{2,}")
_V1 = re.compile(r"^(?:/v1)+(?=/|$)")
_BARE = re.compile(r"^/(?:chat/completions|completions|responses|messages|models|embeddings)(?=/|$)")
_RIGHT = frozenset(["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/models"])
"""What nearly all clients ask for, spelled as it is to be."""
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def normalise(path: str) -> str:
    """Return the one spelling of a decoded path. Raises: RequestError for dot segments and control characters."""
    if path in _RIGHT:
        return path
    _check(path)
    path = _SLASHES.sub("/", path).rstrip("/") or "/"
    if _BARE.match(path):
        return "/v1" + path
    return _V1.sub("/v1", path)


def relayed_target(raw_target: str, root: str, root_query: str) -> str:
    """Return the upstream's target for a client's raw one (path and query, not decoded).

    `root` is the path of the upstream's API root, `root_query` a query that belongs to it (Azure's
    `api-version`). Raises: RequestError.
    """
    if not raw_target.startswith("/"):
        # The absolute form, which proxies are sent (RFC 9112, 3.2.2).
        raw_target = re.sub(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?]*", "", raw_target) or "/"
    path, _, query = raw_target.partition("?")
    _check(unquote(path))
    path = normalise(path)
    queries = "&".join(part for part in (root_query, query.partition("#")[0]) if part)
    return root + path.removeprefix("/v1") + (f"?{queries}" if queries else "")


def _check(path: str) -> None:
    if _FORBIDDEN.search(path) or any(segment in (".", "..") for segment in path.split("/")):
        raise RequestError("The path holds dot segments or characters that no path has.", code="bad_request")

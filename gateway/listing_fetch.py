"""Fetches the upstream's model list over HTTP, by urllib3: `requests` would be loaded by every worker for this alone.

No redirect is followed (it could carry a client's key elsewhere), proxies of the environment are used only
where the settings say so, and neither a slow nor an endless answer holds a fetch beyond its time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import urllib3

from gateway.headers import USER_AGENT
from gateway.upstream import proxy_of, tls_context

Fetch = Callable[[str | None], bytes]
"""Returns the body of the list, asked for with this key or without one. Raises: ListUnavailable."""

TIMEOUT_SECS = 10.0
BODY_LIMIT = 16 * 1024 * 1024
"""Longest list taken, in bytes."""

_READ_SIZE = 65536
# 400: Google's and some others' answer to a missing key.
_WANTS_KEY = frozenset([400, 401, 402, 403])


class ListUnavailable(Exception):
    """The upstream gave no list. `refused`: with a key, or another one, it might."""

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


def fetcher(url: str, *, trust_env: bool = False, timeout: float = TIMEOUT_SECS) -> Fetch:
    """Return a function that fetches the list at `url`; each call takes `timeout` seconds at most."""
    parts = urlsplit(url)
    # A name and password in the URL would go out in the place of the client's key.
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    pool = _pool(url, proxy_of(url) if trust_env else None)

    def fetch(key: str | None) -> bytes:
        try:
            return _get(pool, url, key, timeout, time.monotonic() + timeout)
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise ListUnavailable(f"the model list cannot be had: {type(exc).__name__}") from exc

    return fetch


def _pool(url: str, proxy: str | None) -> urllib3.PoolManager:
    """Return what connects to the upstream, itself or through a proxy; a name and password of that go to the proxy."""
    context = tls_context() if url.startswith("https:") else None
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context)
    auth = urlsplit(proxy).netloc.rpartition("@")[0]
    headers = urllib3.make_headers(proxy_basic_auth=auth) if auth else None
    return urllib3.ProxyManager(proxy, ssl_context=context, proxy_headers=headers)


def _get(pool: urllib3.PoolManager, url: str, key: str | None, timeout: float, deadline: float) -> bytes:
    headers = {"accept": "application/json", "accept-encoding": "gzip, deflate", "user-agent": USER_AGENT}
    if key:
        headers["authorization"] = f"Bearer {key}"
    answer = pool.request(
        "GET", url, headers=headers, timeout=timeout, redirect=False, retries=False, preload_content=False
    )
    try:
        if answer.status != 200:
            raise ListUnavailable(
                f"the upstream answers its model list with status {answer.status}",
                refused=answer.status in _WANTS_KEY,
            )
        body = b""
        while data := answer.read1(_READ_SIZE, decode_content=True):
            body += data
            if len(body) > BODY_LIMIT:
                raise ListUnavailable(f"the upstream's model list is longer than {BODY_LIMIT} bytes")
            if time.monotonic() > deadline:
                raise ListUnavailable(f"the upstream's model list took longer than {timeout:g} seconds")
        return body
    finally:
        # Not for another fetch: that is a minute away, and the last one may have been cut short.
        answer.close()

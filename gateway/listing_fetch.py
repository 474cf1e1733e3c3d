"""Fetches the upstream's model list over HTTP, once a minute at most, so plain `requests` serves.

No redirect is followed (it could carry a client's key elsewhere), proxies of the environment are used only
where the settings say so, and neither a slow nor an endless answer holds a fetch beyond its time.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from gateway.headers import USER_AGENT

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
    adapter = TlsAdapter() if parts.scheme == "https" else HTTPAdapter()

    def fetch(key: str | None) -> bytes:
        deadline = time.monotonic() + timeout
        with requests.Session() as session:
            # With trust_env the session would also put a password of ~/.netrc in the place of the key.
            session.trust_env = False
            session.mount(url, adapter)
            try:
                return _get(session, url, key, get_environ_proxies(url) if trust_env else {}, timeout, deadline)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as exc:
                raise ListUnavailable(f"the model list cannot be had: {type(exc).__name__}") from exc

    return fetch


def _get(
    session: requests.Session, url: str, key: str | None, proxies: dict[str, str], timeout: float, deadline: float
) -> bytes:
    headers = {"accept": "application/json", "user-agent": USER_AGENT}
    if key:
        headers["authorization"] = f"Bearer {key}"
    with session.get(
        url, headers=headers, proxies=proxies, timeout=timeout, allow_redirects=False, stream=True
    ) as answer:
        if answer.status_code != 200:
            raise ListUnavailable(
                f"the upstream answers its model list with status {answer.status_code}",
                refused=answer.status_code in _WANTS_KEY,
            )
        body = b""
        while data := answer.raw.read1(_READ_SIZE, decode_content=True):
            body += data
            if len(body) > BODY_LIMIT:
                raise ListUnavailable(f"the upstream's model list is longer than {BODY_LIMIT} bytes")
            if time.monotonic() > deadline:
                raise ListUnavailable(f"the upstream's model list took longer than {timeout:g} seconds")
        return body


class TlsAdapter(HTTPAdapter):
    """Trusts the certificates of the machine beside those that `requests` brings, as the gateway's transport."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context(cafile=certifi.where())
        self._tls.load_default_certs()
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See `HTTPAdapter`."""
        super().init_poolmanager(*args, **options, ssl_context=self._tls)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """See `HTTPAdapter`."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._tls)

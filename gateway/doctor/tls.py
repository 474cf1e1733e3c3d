"""TLS of `requests` as the gateway's own transport has it."""

from __future__ import annotations

from typing import Any

from requests.adapters import HTTPAdapter

from gateway.upstream import tls_context


class TlsAdapter(HTTPAdapter):
    """Trusts the certificates of the machine beside those that `requests` brings."""

    def __init__(self) -> None:
        self._tls = tls_context()
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See `HTTPAdapter`."""
        super().init_poolmanager(*args, **options, ssl_context=self._tls)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        """See `HTTPAdapter`."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._tls)

"""TLS towards the upstream: what counts is that our context reaches the pool, directly and through a proxy."""

from __future__ import annotations

import requests

from gateway.doctor.tls import TlsAdapter


def test_the_machine_s_certificates_are_trusted_too() -> None:
    adapter = TlsAdapter()
    with requests.Session() as session:
        session.mount("https://", adapter)
        request = requests.Request("GET", "https://upstream.invalid/v1/models").prepare()
        for proxies in ({}, {"https": "http://proxy.invalid:3128"}):
            pool = adapter.get_connection_with_tls_context(request, True, proxies)
            assert pool.conn_kw["ssl_context"] is adapter._tls

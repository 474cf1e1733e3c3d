"""Which requests reach a gateway that holds a key."""

from __future__ import annotations

import pytest

from gateway.guard import refuse_strangers

PORTS = ["", ":5102", ":1"]


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "[::1]"])
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "https://127.0.0.1", "http://[::1]:5102"])
def test_this_machine_passes(host: str, port: str, origin: str | None) -> None:
    environ = {"HTTP_HOST": host + port} | ({} if origin is None else {"HTTP_ORIGIN": origin})
    assert refuse_strangers(environ) is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HTTP_HOST": ""},
        {"HTTP_HOST": "gateway.example"},
        {"HTTP_HOST": "localhost.evil.example"},
        {"HTTP_HOST": "evil.example:5102"},
        {"HTTP_HOST": "127.0.0.1.evil.example"},
        {"HTTP_HOST": "127.0.0.1:"},
        {"HTTP_HOST": "127.0.0.1@evil.example"},
        {"HTTP_HOST": "localhost\n"},
        {"HTTP_HOST": "192.168.1.5:5102"},
        {"HTTP_HOST": "localhost", "HTTP_ORIGIN": "https://evil.example"},
        {"HTTP_HOST": "localhost", "HTTP_ORIGIN": "null"},
        {"HTTP_HOST": "localhost", "HTTP_ORIGIN": ""},
        {"HTTP_HOST": "localhost", "HTTP_ORIGIN": "http://localhost.evil.example"},
        {"HTTP_HOST": "localhost", "HTTP_ORIGIN": "http://localhost:3000/"},
        {"HTTP_HOST": "localhost", "HTTP_ORIGIN": "vscode-webview://localhost"},
        {"HTTP_HOST": "localhost", "HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_SEC_FETCH_MODE": "no-cors"},
    ],
)
def test_strangers_are_refused(environ: dict[str, str]) -> None:
    refusal = refuse_strangers(environ)
    assert refusal is not None
    assert (refusal.status, refusal.type, refusal.code) == (403, "permission_error", "forbidden")


@pytest.mark.parametrize(
    "fetch",
    [("same-origin", "cors"), ("none", "navigate"), ("cross-site", "navigate"), ("same-site", "cors")],
)
def test_the_gateway_s_own_page_and_links_to_it_work(fetch: tuple[str, str]) -> None:
    site, mode = fetch
    environ = {"HTTP_HOST": "localhost:5102", "HTTP_SEC_FETCH_SITE": site, "HTTP_SEC_FETCH_MODE": mode}
    assert refuse_strangers(environ) is None

"""Fetching the list from a scripted upstream over real sockets."""

from __future__ import annotations

import gzip

import pytest

from gateway import listing_fetch
from gateway.listing_fetch import ListUnavailable, fetcher
from tests.support.answers import Answer, Close, Pause, body_answer, dropped, error, json_answer, raw
from tests.support.upstream import Upstream

LIST = b'{"data": []}'


def test_the_request(upstream: Upstream) -> None:
    upstream.models = body_answer(LIST)
    fetch = fetcher(f"{upstream.url}/models?api-version=7")
    assert fetch(None) == LIST
    assert fetch("sk-key") == LIST
    without, with_key = upstream.requests
    assert (without.method, without.target) == ("GET", "/v1/models?api-version=7")
    assert "authorization" not in without.headers
    assert with_key.headers["authorization"] == "Bearer sk-key"
    assert with_key.headers["user-agent"].startswith("openai-proxy/")


@pytest.mark.parametrize("length", [None, "known"])
def test_a_compressed_list(upstream: Upstream, length: str | None) -> None:
    packed = gzip.compress(LIST)
    headers = {"content-encoding": "gzip"}
    upstream.models = body_answer(packed, headers=headers) if length else Answer((packed[:9], packed[9:]), 200, headers)
    assert fetcher(f"{upstream.url}/models")(None) == LIST


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        pytest.param(error(401), True, id="401"),
        pytest.param(error(403), True, id="403"),
        pytest.param(error(400), True, id="400"),
        pytest.param(error(404), False, id="404"),
        pytest.param(body_answer(b"Internal Server Error", 500), False, id="500"),
        pytest.param(body_answer(b"", 302, {"location": "http://127.0.0.1:9/stolen"}), False, id="redirect"),
        pytest.param(dropped(), False, id="no-answer"),
        pytest.param(raw(b"nonsense\r\n\r\n"), False, id="no-http"),
        pytest.param(Answer((b"x", Close()), 200, {}, length=100), False, id="cut"),
        pytest.param(body_answer(b"in no way packed", headers={"content-encoding": "gzip"}), False, id="not-gzip"),
    ],
)
def test_what_is_no_list(upstream: Upstream, answer: Answer, refused: bool) -> None:
    upstream.models = answer
    with pytest.raises(ListUnavailable) as unavailable:
        fetcher(f"{upstream.url}/models")("sk-secret")
    assert unavailable.value.refused is refused
    assert "127.0.0.1" not in str(unavailable.value)
    assert "sk-secret" not in str(unavailable.value)


def test_an_upstream_that_is_not_there() -> None:
    with pytest.raises(ListUnavailable, match=r"^the model list cannot be had: NewConnectionError$"):
        fetcher("http://127.0.0.1:9/v1/models")(None)


def test_a_silent_upstream(upstream: Upstream) -> None:
    upstream.models = Answer((Pause(5), LIST))
    with pytest.raises(ListUnavailable):
        fetcher(f"{upstream.url}/models", timeout=0.2)(None)


def test_an_upstream_that_trickles(upstream: Upstream) -> None:
    upstream.models = Answer(tuple(step for _ in range(100) for step in (b" ", Pause(0.1))))
    with pytest.raises(ListUnavailable, match=r"longer than 0\.5 seconds"):
        fetcher(f"{upstream.url}/models", timeout=0.5)(None)


def test_an_endless_list(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_fetch, "BODY_LIMIT", 1000)
    upstream.models = body_answer(b" " * 5000)
    with pytest.raises(ListUnavailable, match="longer than 1000 bytes"):
        fetcher(f"{upstream.url}/models")(None)


def test_a_proxy_of_the_environment_is_used_only_if_trusted(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", upstream.url.removesuffix("/v1"))
    upstream.models = json_answer({"data": []})
    with pytest.raises(ListUnavailable):
        fetcher("http://upstream.invalid/v1/models")(None)
    assert upstream.requests == []
    fetcher("http://upstream.invalid/v1/models", trust_env=True)("sk-key")
    assert [request.target for request in upstream.requests] == ["http://upstream.invalid/v1/models"]
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-key"


def test_a_password_in_the_address_is_not_sent(upstream: Upstream) -> None:
    fetcher(upstream.url.replace("//", "//user:word@") + "/models")("sk-key")
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-key"


def test_a_password_for_the_proxy_goes_to_the_proxy(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", upstream.url.removesuffix("/v1").replace("//", "//user:word@"))
    upstream.models = json_answer({"data": []})
    fetcher("http://upstream.invalid/v1/models", trust_env=True)("sk-key")
    headers = upstream.requests[0].headers
    assert (headers["authorization"], headers["proxy-authorization"]) == ("Bearer sk-key", "Basic dXNlcjp3b3Jk")


def test_an_upstream_of_tls_that_is_not_there() -> None:
    with pytest.raises(ListUnavailable):
        fetcher("https://127.0.0.1:9/v1/models")(None)

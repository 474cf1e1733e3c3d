"""One spelling for each path, and no way out of the upstream's API root."""

from __future__ import annotations

import pytest

from gateway.errors import RequestError
from gateway.paths import normalise, relayed_target


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        ("/models", "/v1/models"),
        ("/models/a/b", "/v1/models/a/b"),
        ("/v1/v1/models", "/v1/models"),
        ("//v1//responses", "/v1/responses"),
        ("/responses/resp_1/input_items", "/v1/responses/resp_1/input_items"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/health", "/health"),
        ("/", "/"),
        ("", "/"),
        ("/v1", "/v1"),
        ("/v1beta/models", "/v1beta/models"),
        ("/modelsx", "/modelsx"),
    ],
)
def test_every_spelling_is_one_path(path: str, expected: str) -> None:
    assert normalise(path) == expected


@pytest.mark.parametrize("path", ["/v1/../admin", "/v1/./x", "/..", "/v1/a\\b", "/v1/a\r\nb", "/v1/\0"])
def test_dot_segments_and_control_characters_are_refused(path: str) -> None:
    with pytest.raises(RequestError):
        normalise(path)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/v1/files?limit=2&x=%20", "/api/v1/files?v=1&limit=2&x=%20"),
        ("/v1/models?", "/api/v1/models?v=1"),
        ("/v1/v1/files/", "/api/v1/files?v=1"),
        ("/v1/a%2Fb", "/api/v1/a%2Fb?v=1"),
        ("http://elsewhere.example/v1/files", "/api/v1/files?v=1"),
        ("/v1/files#part", "/api/v1/files%23part?v=1"),
    ],
)
def test_relayed_paths_keep_their_spelling_and_query(raw: str, expected: str) -> None:
    assert relayed_target(raw.replace("#", "%23"), "/api/v1", "v=1") == expected


@pytest.mark.parametrize("raw", ["/v1/%2e%2e/admin", "/v1/..%2fadmin", "/v1/%2E%2E%2F", "/v1/a/..", "/v1/%0d%0aX: y"])
def test_nothing_outside_the_root_can_be_reached(raw: str) -> None:
    with pytest.raises(RequestError):
        relayed_target(raw, "/v1", "")

"""The texts to paste: complete, and safe whatever a model is called."""

from __future__ import annotations

import json
import tomllib

import pytest

from gateway.setup.texts import BY_ID, CLIENTS, Addresses, fill, safe_url

AT = Addresses("http://gw.lan:5101", "http://gw.lan:5102")

EVERY_TEXT = [text for client in CLIENTS for text in (client.note, *(snippet.text for snippet in client.snippets))]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.id)
def test_every_text_is_filled(client) -> None:  # type: ignore[no-untyped-def]
    assert client.snippets
    for snippet in client.snippets:
        text = fill(snippet.text, AT, "v/m-1.2:x")
        assert "{chat}" not in text
        assert "{responses}" not in text
        assert "{model}" not in text
        assert text.endswith("\n")
        if snippet.language == "toml":
            assert tomllib.loads(text)["model"] == "v/m-1.2:x"
        if snippet.language == "json":
            assert json.loads(text)["env"]["ANTHROPIC_MODEL"] == "v/m-1.2:x"


def test_each_client_is_pointed_at_its_port() -> None:
    for client in CLIENTS:
        own = "{responses}" if client.surface == "responses" else "{chat}"
        assert any(own in snippet.text for snippet in client.snippets)
    assert {"codex", "claude", "xcode", "lobechat", "openwebui", "continue", "aider", "curl"} == set(BY_ID)


@pytest.mark.parametrize(
    "name", ['a"b', "a'b", "$(reboot)", "`x`", "a b", "a\nb", "a;b", "<b>", "", "-rf", "{chat}", "a\\b", "ü"]
)
def test_a_name_that_might_do_harm_is_not_pasted(name: str) -> None:
    assert fill("--model {model}", AT, name) == "--model MODEL"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("http://gw.lan:5101", True),
        ("https://gw.example/path/x", True),
        ("http://[::1]:5101", True),
        ("http://a b", False),
        ("http://a'", False),
        ("ftp://a", False),
        ("http://a/$(x)", False),
    ],
)
def test_addresses_are_safe_too(url: str, safe: bool) -> None:
    assert safe_url(url) is safe

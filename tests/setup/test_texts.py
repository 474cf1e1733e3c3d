"""The texts to paste: complete, and safe whatever a model is called."""

from __future__ import annotations

import json
import tomllib

import pytest

from gateway.setup.texts import BY_ID, CLIENTS, KEY_RULES, Addresses, KeyRule, fill, for_key, safe_url

AT = Addresses("http://gw.lan:5101", "http://gw.lan:5102")


@pytest.mark.parametrize("rule", KEY_RULES)
@pytest.mark.parametrize("name", list(BY_ID))
def test_every_text_is_filled(name: str, rule: KeyRule) -> None:
    client = for_key(BY_ID[name], rule)
    assert client.snippets
    for snippet in client.snippets:
        text = fill(snippet.text, AT, "v/m-1.2:x")
        assert "{chat}" not in text
        assert "{responses}" not in text
        assert "{model}" not in text
        assert "{port}" not in text
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


def told(client: str, rule: KeyRule) -> str:
    """Return all that a client is told."""
    made = for_key(BY_ID[client], rule)
    return "\n".join([*made.note, *(snippet.text for snippet in made.snippets)])


@pytest.mark.parametrize("client", ["codex", "curl", "xcode"])
def test_where_the_gateway_holds_the_key_none_is_asked_for(client: str) -> None:
    text = told(client, "held")
    assert "your-key" not in text
    assert "KEY" not in text
    assert "env_key" not in text
    assert "Authorization" not in text
    assert fill("{port}", AT, "m") == "5101"
    assert fill("{port}", Addresses("https://gw.example", ""), "m") == "443"


def test_who_insists_on_a_key_is_told_what_to_give_it() -> None:
    assert "OPENAI_API_KEY=your-key" in told("aider", "own")
    assert "OPENAI_API_KEY=any-word" in told("aider", "any")
    assert "OPENAI_API_KEY=your-token" in told("aider", "token")
    assert "a key of your own" in told("aider", "held")
    assert "GATEWAY_API_KEY=your-token" in told("codex", "token")
    assert "Port  {port}" in told("xcode", "any")
    assert "Port  {port}" not in told("xcode", "own")


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

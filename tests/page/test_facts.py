"""What the page is told."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.config import Settings
from gateway.models import Catalog, Overlay, fallback
from gateway.models_upstream import parse
from gateway.page.facts import facts, upstream_name

BREAKER = {"enabled": True, "is_open": False, "consecutive_failures": 0, "open_models": []}
LIST = {
    "data": [
        {
            "id": "v/all",
            "context_length": 1000,
            "supported_features": ["tools", "reasoning"],
            "input_modalities": ["text", "image"],
            "pricing": {"prompt": 0.1, "completion": 0.2},
        },
        {"id": "v/none"},
    ]
}


def load(**environ: str) -> Settings:
    return Settings.load({}, environ | {"MODELS_FILE": ""})


def test_models_with_all_that_is_known() -> None:
    overlay = Overlay("v/all", {"aliases": ("mine",), "reasoning_aliases": True})
    told = facts(load(), "responses", Catalog(parse(LIST), [overlay]), BREAKER)
    everything: dict[str, Any] = {
        "name": "v/all",
        "of": None,
        "context": 1000,
        "tools": True,
        "vision": True,
        "reasoning": True,
        "price": (0.1, 0.2),
        "ports": ["chat", "responses"],
    }
    assert told["models"][0] == everything
    assert told["models"][1] == {**everything, "name": "mine", "of": "v/all"}
    unknown = {"context": None, "tools": None, "vision": None, "reasoning": False, "price": None, "ports": ["chat"]}
    assert told["models"][2] == {"name": "v/none", "of": None, **unknown}
    assert len(told["models"]) == 3
    assert told["list_known"] is True
    assert (told["surface"], told["port"], told["ports"]) == ("responses", 5102, {"chat": 5101, "responses": 5102})
    assert told["breaker"] == BREAKER
    assert {client["id"] for client in told["clients"]} >= {"codex", "claude", "xcode"}
    assert set(told["clients"][0]["snippets"][0]) == {"where", "text"}


def test_no_list() -> None:
    told = facts(load(), "chat", fallback(), BREAKER)
    assert told["list_known"] is False
    assert told["models"]


def test_one_port_alone() -> None:
    settings = Settings.load({"port": "7", "mode": "chat"}, {"MODELS_FILE": ""})
    assert facts(settings, "chat", fallback(), BREAKER)["ports"] == {"chat": 7, "responses": None}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://llm.chutes.ai/v1", "llm.chutes.ai"),
        ("https://8.8.8.8/v1", "8.8.8.8"),
        ("http://192.168.1.5:8000/v1", "a server of this network"),
        ("http://127.0.0.1:8000/v1", "a server of this network"),
        ("http://[fe80::1]:8000/v1", "a server of this network"),
        ("http://gpu:8000/v1", "a server of this network"),
        ("http://gpu.lan:8000/v1", "a server of this network"),
    ],
)
def test_hosts_of_the_inside_are_not_named(url: str, name: str) -> None:
    assert upstream_name(load(BACKEND_URL=url)) == name


def test_the_demo_is_called_so() -> None:
    assert upstream_name(Settings(demo=True)) == "the demo upstream"


@pytest.mark.parametrize(
    ("environ", "rule"),
    [
        ({}, "own"),
        ({"REQUIRE_KEY": "false"}, "any"),
        ({"BACKEND_KEY_FILE": __file__}, "held"),
        ({"BACKEND_KEY_FILE": __file__, "CLIENT_TOKENS_FILE": __file__, "HOST": "0.0.0.0"}, "token"),
    ],
    ids=["own", "any", "held", "token"],
)
def test_clients_are_told_what_to_send(environ: dict[str, str], rule: str) -> None:
    told = facts(load(**environ), "chat", fallback(), BREAKER)
    assert told["key"] == rule
    codex = "".join(snippet["text"] for snippet in told["clients"][0]["snippets"])
    assert ("env_key" in codex) is (rule != "held")

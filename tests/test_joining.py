"""Joining two dialects: what the live flow and recordings share. The rest is shown by tests/routes and tests/replay."""

from __future__ import annotations

import pytest

from gateway import joining
from gateway.dialects import Dialect, Translation
from gateway.dialects.registry import CHAT, MESSAGES, RESPONSES
from gateway.profile import Model, Terms
from gateway.quirks import NO_QUIRK, Quirk

TERMS = Terms(Model("vendor/m"))
IDS = (lambda prefix: prefix + "1", lambda: 0)


def test_a_hub_body_names_the_model_and_says_who_keeps_sealed_reasoning() -> None:
    said = Translation({"model": "alias", "messages": []}, None)
    assert joining.hub(RESPONSES, said, TERMS) == {"model": "vendor/m", "messages": []}
    assert joining.hub(MESSAGES, said, TERMS)["_gateway"] == {"sealed": True}
    assert said.body["model"] == "alias"


def test_a_body_is_spelled_with_what_was_learnt() -> None:
    spell = joining.speller(CHAT, {"model": "m", "messages": [], "max_tokens": 900, "seed": 1})
    assert spell(Model("m"), NO_QUIRK)["max_tokens"] == 900
    spelled = spell(Model("m"), Quirk(omit=frozenset(["seed"]), max_tokens=500))
    assert (spelled["max_tokens"], "seed" in spelled) == (500, False)


def test_what_is_no_dialect_of_that_side_is_refused() -> None:
    with pytest.raises(TypeError, match="messages is no upstream's dialect"):
        joining.speller(MESSAGES, {})
    for client, upstream in ((Dialect("none", CHAT.encode_error), CHAT), (CHAT, MESSAGES)):
        with pytest.raises(TypeError, match="no bridge"):
            joining.bridge(client, upstream, TERMS, {}, Translation({}, None), IDS)

"""Counts the tokens of a request here, for the paths that ask for nothing else."""

from __future__ import annotations

from collections.abc import Callable

from gateway import tokens
from gateway.bridged import terms_of
from gateway.dialects import Translation
from gateway.exchange import Exchange
from gateway.jsonbody import load_object
from gateway.profile import Model, Terms
from gateway.turns import give_way
from gateway.types import JSON


def count(exchange: Exchange, to_chat: Callable[[JSON, Terms], Translation], raw: bytes) -> int:
    """Return the tokens of the prompt that a request makes. Raises: RequestError."""
    body = load_object(raw)
    # Some count without naming a model; then nothing is known of it.
    terms = (
        terms_of(exchange, body["model"]) if body.get("model") else Terms(Model(""), exchange.services.settings.limits)
    )
    translation = to_chat(body, terms)
    total = tokens.count_chat(translation.body, pause=give_way)
    exchange.status = 200
    exchange.close()
    return total

"""Counts the tokens of a request here, for the paths that ask for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway import tokens
from gateway.bridged import terms_of
from gateway.dialects import Translation
from gateway.exchange import Exchange
from gateway.jsonbody import load_object
from gateway.profile import Model, Terms
from gateway.store.turn import Turn, open_turn
from gateway.turns import give_way, pause_for
from gateway.types import JSON


def count(
    exchange: Exchange, to_chat: Callable[[JSON, Terms], Translation], raw: bytes, *, reads_store: bool = False
) -> int:
    """Return the tokens of the prompt that a request makes. `reads_store`: it may go on from stored responses.

    Raises: RequestError, StoreDown.
    """
    pause = pause_for(raw)
    body = load_object(raw, pause)
    turn = open_turn(exchange, body, keeps=False) if reads_store else Turn(body)
    # Some count without naming a model; then nothing is known of it.
    limits = exchange.services.settings.limits
    terms = terms_of(exchange, body["model"], pause) if body.get("model") else Terms(Model(""), limits)
    translation = to_chat(turn.body, replace(terms, earlier=turn.earlier))
    total = tokens.count_chat(translation.body, pause=give_way)
    exchange.status = 200
    exchange.close()
    return total

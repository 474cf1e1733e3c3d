"""`/v1/responses` and what stands under it.

A Chat upstream has nothing of the kind, so all of it is served here. For a Responses upstream all of it is
relayed: here what names a model, everything else by `routes.relay`.
"""

from __future__ import annotations

from gateway import bridged, relayed
from gateway.bodies import read_body
from gateway.counting import count
from gateway.dialects.registry import COMPACTION, RESPONSES
from gateway.dialects.responses.request import count_to_chat
from gateway.inbound import exchanging, json_body
from gateway.replies import Environ, Reply, json_reply
from gateway.routes import Routes, post_only, stored
from gateway.routes.relay import target_of
from gateway.services import Services

_NAMING_A_MODEL = ("/v1/responses", "/v1/responses/compact", "/v1/responses/input_tokens")


def create(services: Services, surface: str) -> Routes:
    """Return the routes of one surface."""
    relays = services.settings.backend_api == "responses"
    return _relayed(services, surface) if relays else _served(services, surface)


def _relayed(services: Services, surface: str) -> Routes:
    routes = Routes("responses")

    def relay(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            raw = read_body(environ, services.settings.max_body_bytes)
            body = relayed.responses_body(exchange, raw)
            return relayed.answer(exchange, target_of(services, environ), body, decoded=True, dialect=RESPONSES)

    for rule in _NAMING_A_MODEL:
        post_only(routes, rule, relay)
    return routes


def _served(services: Services, surface: str) -> Routes:
    routes = Routes("responses")

    def respond(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            return bridged.answer(exchange, RESPONSES, json_body(services, environ))

    def compact(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            return bridged.answer(exchange, COMPACTION, json_body(services, environ))

    def input_tokens(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            total = count(exchange, count_to_chat, json_body(services, environ), reads_store=True)
            return json_reply({"object": "response.input_tokens", "input_tokens": total})

    post_only(routes, "/v1/responses", respond)
    post_only(routes, "/v1/responses/compact", compact)
    post_only(routes, "/v1/responses/input_tokens", input_tokens)
    stored.add(routes, services, surface)
    return routes

"""`/v1/messages` and its token counter."""

from __future__ import annotations

from gateway import bridged
from gateway.counting import count
from gateway.dialects.messages.request import to_chat
from gateway.dialects.registry import MESSAGES
from gateway.inbound import exchanging, json_body
from gateway.keys import refuse_foreign_key
from gateway.replies import Environ, Reply, json_reply
from gateway.routes import Routes, post_only
from gateway.services import Services


def create(services: Services, surface: str) -> Routes:
    """Return the routes of one surface."""
    routes = Routes("messages")

    def send(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            refuse_foreign_key(exchange.caller.own)
            return bridged.answer(exchange, MESSAGES, json_body(services, environ))

    def count_tokens(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            refuse_foreign_key(exchange.caller.own)
            return json_reply({"input_tokens": count(exchange, to_chat, json_body(services, environ))})

    post_only(routes, "/v1/messages", send)
    post_only(routes, "/v1/messages/count_tokens", count_tokens)
    return routes

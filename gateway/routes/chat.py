"""`/v1/chat/completions`: relayed on both ports to a Chat upstream, upgraded for a Responses upstream.

The chat port relays in any case: it is what it is there for.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from gateway import bridged, relayed
from gateway.bodies import read_body
from gateway.dialects.registry import CHAT
from gateway.inbound import exchanging, json_body
from gateway.routes import post_only
from gateway.services import Services


def create(services: Services, surface: str) -> Blueprint:
    """Return the routes of one surface."""
    routes = Blueprint("chat", __name__)
    settings = services.settings

    def complete() -> Response:
        with exchanging(services, surface) as exchange:
            raw = read_body(request.environ, settings.max_body_bytes)
            body = relayed.chat_body(exchange, raw)
            query = request.environ.get("QUERY_STRING", "")
            target = settings.chat_target
            if query:
                target += ("&" if "?" in target else "?") + query
            return relayed.answer(exchange, target, body, decoded=True)

    def upgrade() -> Response:
        with exchanging(services, surface) as exchange:
            return bridged.answer(exchange, CHAT, json_body(services))

    upgraded = surface == settings.backend_api == "responses"
    post_only(routes, "/v1/chat/completions", upgrade if upgraded else complete)
    return routes

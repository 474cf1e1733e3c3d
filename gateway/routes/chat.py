"""`/v1/chat/completions`: relayed on both ports to a Chat upstream, upgraded for a Responses upstream.

The chat port relays in any case: it is what it is there for.
"""

from __future__ import annotations

from gateway import bridged, relayed
from gateway.bodies import read_body
from gateway.dialects.registry import CHAT
from gateway.inbound import exchanging, json_body
from gateway.replies import Environ, Reply
from gateway.routes import Routes, post_only
from gateway.services import Services


def create(services: Services, surface: str) -> Routes:
    """Return the routes of one surface."""
    routes = Routes("chat")
    settings = services.settings

    def complete(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            raw = read_body(environ, settings.max_body_bytes)
            body = relayed.chat_body(exchange, raw)
            query = environ.get("QUERY_STRING", "")
            target = settings.chat_target
            if query:
                target += ("&" if "?" in target else "?") + query
            return relayed.answer(exchange, target, body, decoded=True)

    def upgrade(environ: Environ) -> Reply:
        with exchanging(services, surface, environ) as exchange:
            return bridged.answer(exchange, CHAT, json_body(services, environ))

    upgraded = surface == settings.backend_api == "responses"
    post_only(routes, "/v1/chat/completions", upgrade if upgraded else complete)
    return routes

"""`/v1/chat/completions`, relayed on both ports."""

from __future__ import annotations

from flask import Blueprint, Response, request

from gateway import relayed
from gateway.bodies import read_body
from gateway.inbound import exchanging
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

    post_only(routes, "/v1/chat/completions", complete)
    return routes

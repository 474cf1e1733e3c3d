"""`/v1/responses` and what stands under it."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway import bridged
from gateway.counting import count
from gateway.dialects.registry import CHAT, COMPACTION, RESPONSES
from gateway.dialects.responses.request import count_to_chat
from gateway.errors import NotFound
from gateway.inbound import exchanging, json_body
from gateway.replies import json_reply
from gateway.routes import post_only
from gateway.services import Services


def create(services: Services, surface: str) -> Blueprint:
    """Return the routes of one surface."""
    routes = Blueprint("responses", __name__)

    def respond() -> Response:
        with exchanging(services, surface) as exchange:
            return bridged.answer(exchange, RESPONSES, CHAT, json_body(services))

    def compact() -> Response:
        with exchanging(services, surface) as exchange:
            return bridged.answer(exchange, COMPACTION, CHAT, json_body(services))

    def input_tokens() -> Response:
        with exchanging(services, surface) as exchange:
            total = count(exchange, count_to_chat, json_body(services))
            return json_reply({"object": "response.input_tokens", "input_tokens": total})

    @routes.route("/v1/responses/<path:rest>", methods=["GET", "POST", "DELETE"])
    def stored(rest: str) -> Response:
        raise NotFound(f"There is no stored response at {rest[:100]!r}; this gateway keeps none.")

    post_only(routes, "/v1/responses", respond)
    post_only(routes, "/v1/responses/compact", compact)
    post_only(routes, "/v1/responses/input_tokens", input_tokens)
    return routes

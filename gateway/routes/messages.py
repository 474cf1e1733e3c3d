"""`/v1/messages` and its token counter."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway import bridged
from gateway.counting import count
from gateway.dialects.messages.request import to_chat
from gateway.dialects.registry import MESSAGES
from gateway.errors import AuthenticationError
from gateway.exchange import Exchange
from gateway.inbound import exchanging, json_body
from gateway.replies import json_reply
from gateway.routes import post_only
from gateway.services import Services


def create(services: Services, surface: str) -> Blueprint:
    """Return the routes of one surface."""
    routes = Blueprint("messages", __name__)

    def send() -> Response:
        with exchanging(services, surface) as exchange:
            _check_key(exchange)
            return bridged.answer(exchange, MESSAGES, json_body(services))

    def count_tokens() -> Response:
        with exchanging(services, surface) as exchange:
            _check_key(exchange)
            return json_reply({"input_tokens": count(exchange, to_chat, json_body(services))})

    post_only(routes, "/v1/messages", send)
    post_only(routes, "/v1/messages/count_tokens", count_tokens)
    return routes


def _check_key(exchange: Exchange) -> None:
    """Raise for a key of Anthropic's: passing it on would hand it to another provider."""
    if exchange.key is not None and exchange.key.startswith("sk-ant-"):
        raise AuthenticationError(
            "This is a key of Anthropic's. It would be sent to another provider, so it is refused; use a key of the "
            "upstream behind this gateway.",
            code="invalid_api_key",
        )

"""`/`: a page for people, and a few lines of text for those who ask with curl. No key is needed."""

from __future__ import annotations

from flask import request

from gateway import __version__
from gateway.page.document import page
from gateway.page.facts import facts
from gateway.replies import Reply, json_reply
from gateway.routes import Routes
from gateway.services import Services

_WAIT_SECS = 2.0


def create(services: Services, surface: str) -> Routes:
    """Return the routes of one surface."""
    routes = Routes("page")
    settings = services.settings

    @routes.get("/")
    def index() -> Reply:
        headers = [("vary", "accept"), ("cache-control", "no-cache")]
        if "text/html" not in request.environ.get("HTTP_ACCEPT", ""):
            return Reply(
                _text(services, surface).encode(), 200, [*headers, ("content-type", "text/plain; charset=utf-8")]
            )
        html, policy = page()
        return Reply(
            html,
            200,
            [
                *headers,
                ("content-type", "text/html; charset=utf-8"),
                ("content-security-policy", policy),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
            ],
        )

    @routes.get("/page.json")
    def state() -> Reply:
        key = services.access.guess(request.environ).key
        services.models.wait(key, _WAIT_SECS)
        body = facts(settings, surface, services.models.catalog(key), services.breaker.state())
        return json_reply(body, 200, [("cache-control", "no-store")])

    return routes


def _text(services: Services, surface: str) -> str:
    speaks = {"chat": "/v1/chat/completions", "responses": "/v1/responses and /v1/messages"}
    names = {"chat": "chat port", "responses": "responses port"}
    lines = [f"openai-proxy {__version__}, {names[surface]}: {speaks[surface]}."]
    lines += [
        f"The {names[port.surface]} is {port.number}." for port in services.settings.ports if port.surface != surface
    ]
    lines.append("Models: /v1/models. Health: /health. Open this address in a browser to set up a client.")
    return "\n".join([*lines, ""])

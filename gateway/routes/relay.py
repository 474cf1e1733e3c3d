"""Every other path under `/v1`: relayed to the upstream's API root, by any method.

On the chat port the paths of the other dialects are a 404 that names the port where they are served.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from gateway import relayed
from gateway.bodies import read_body
from gateway.errors import NotFound
from gateway.inbound import exchanging
from gateway.paths import relayed_target
from gateway.routes import EVERY_METHOD
from gateway.services import Services


def create(services: Services, surface: str) -> Blueprint:
    """Return the routes of one surface."""
    routes = Blueprint("relay", __name__)
    settings = services.settings

    @routes.route("/v1/<path:rest>", methods=EVERY_METHOD)
    def relay(rest: str) -> Response:
        with exchanging(services, surface) as exchange:
            environ = request.environ
            raw = environ.get("RAW_URI") or environ["PATH_INFO"]
            target = relayed_target(raw, settings.backend_root_path, settings.backend_query)
            has_body = bool(environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING"))
            body = read_body(environ, settings.max_body_bytes) if has_body else None
            return relayed.answer(exchange, target, body, decoded=True)

    return routes


def other_port(services: Services) -> Blueprint:
    """Return the 404s of the chat port for the dialects that the responses port serves."""
    routes = Blueprint("other_port", __name__)
    port = services.settings.responses_port

    def elsewhere(rest: str = "") -> Response:
        raise NotFound(f"{request.path[:100]} is served on the responses port, {port}; this is the chat port.")

    for rule in ("/v1/responses", "/v1/responses/<path:rest>", "/v1/messages", "/v1/messages/<path:rest>"):
        routes.add_url_rule(rule, rule.replace("/", "_"), elsewhere, methods=EVERY_METHOD)
    return routes

"""Every other path under `/v1`: relayed to the upstream's API root, by any method.

On the chat port the paths of the other dialects are a 404 that names the port where they are served.
"""

from __future__ import annotations

from flask import request

from gateway import relayed
from gateway.bodies import read_body
from gateway.dialects.registry import CHAT, RESPONSES
from gateway.errors import NotFound
from gateway.inbound import exchanging
from gateway.keys import refuse_foreign_key
from gateway.paths import relayed_target
from gateway.replies import Environ, Reply
from gateway.routes import EVERY_METHOD, Routes
from gateway.services import Services


def create(services: Services, surface: str) -> Routes:
    """Return the routes of one surface."""
    routes = Routes("relay")
    settings = services.settings

    @routes.route("/v1/<path:rest>", methods=EVERY_METHOD)
    def relay(rest: str) -> Reply:
        environ = request.environ
        with exchanging(services, surface, environ) as exchange:
            if rest.startswith("messages/"):
                refuse_foreign_key(exchange.caller.own)
            has_body = bool(environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING"))
            body = read_body(environ, settings.max_body_bytes) if has_body else None
            dialect = RESPONSES if rest.startswith("responses/") else CHAT
            return relayed.answer(exchange, target_of(services, environ), body, decoded=True, dialect=dialect)

    return routes


def target_of(services: Services, environ: Environ) -> str:
    """Return where a relayed request goes: its path under the upstream's API root, with its query."""
    settings = services.settings
    raw = environ.get("RAW_URI") or environ["PATH_INFO"]
    return relayed_target(raw, settings.backend_root_path, settings.backend_query)


def other_port(services: Services) -> Routes:
    """Return the 404s of the chat port for the dialects that the responses port serves."""
    routes = Routes("other_port")
    port = services.settings.port_of("responses")
    where = "on no port of this gateway" if port is None else f"on the responses port, {port}"

    def elsewhere(rest: str = "") -> Reply:
        raise NotFound(f"{request.path[:100]} is served {where}; this is the chat port.")

    for rule in ("/v1/responses", "/v1/responses/<path:rest>", "/v1/messages", "/v1/messages/<path:rest>"):
        routes.add_url_rule(rule, rule.replace("/", "_"), elsewhere, methods=EVERY_METHOD)
    return routes

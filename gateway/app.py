"""The WSGI application: one Flask app for each surface, and the dispatcher in front of them.

The dispatcher does what holds for every request, whatever serves it: an id, one spelling of the path, the
surface of the accepting socket's port, CORS. The port is the listener's own (`SERVER_PORT`), never that of the
`Host` header, which a client controls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from gateway import errors, tokens
from gateway.breaker import Breaker
from gateway.client_watch import ClientGone
from gateway.config import Settings
from gateway.cors import Cors
from gateway.drain import Drain
from gateway.errors import GatewayError
from gateway.exchange import CLIENT_GONE
from gateway.http1 import Headers
from gateway.listing import ModelList
from gateway.metrics import Metrics
from gateway.paths import normalise
from gateway.replies import error_reply, untyped
from gateway.routes import chat, health, messages, metrics, models, page, relay, responses
from gateway.services import Services, new_id
from gateway.upstream import HttpTransport, Timeouts, Transport

StartResponse = Callable[..., Any]
Environ = dict[str, Any]


def build(
    settings: Settings,
    *,
    breaker: Breaker,
    drain: Drain,
    counts: Metrics | None = None,
    transport: Transport | None = None,
    models: ModelList | None = None,
) -> Gateway:
    """Return the application, made before the fork; what it counts with is loaded now and shared by all workers.

    `transport` and `models` are given in tests, which have no upstream.
    """
    tokens.load()
    if transport is None:
        timeouts = Timeouts(settings.backend_connect_timeout_secs, settings.backend_timeout_secs)
        transport = HttpTransport(settings.backend_origin, timeouts, trust_env=settings.trust_env)
    counts = counts or Metrics()
    models = models or ModelList.of(settings)
    models.look()
    services = Services(settings, transport, models, breaker, drain, counts)
    return Gateway(services, {surface: create_app(services, surface) for surface in ("chat", "responses")})


def create_app(services: Services, surface: str) -> Flask:
    """Return the Flask app of one surface."""
    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False
    app.register_blueprint(health.create(services))
    app.register_blueprint(metrics.create(services))
    app.register_blueprint(page.create(services, surface))
    app.register_blueprint(models.create(services.models, surface, services.settings))
    app.register_blueprint(chat.create(services, surface))
    if surface == "chat":
        app.register_blueprint(relay.other_port(services))
    else:
        app.register_blueprint(responses.create(services, surface))
        app.register_blueprint(messages.create(services, surface))
    app.register_blueprint(relay.create(services, surface))
    app.register_error_handler(GatewayError, _known)
    app.register_error_handler(HTTPException, _from_flask)

    def unknown(error: Exception) -> Response:
        services.log.exception("internal error", extra={"request_id": request.environ["gateway.request_id"]})
        return _known(GatewayError("The gateway failed; its log tells why."))

    app.register_error_handler(Exception, unknown)
    return app


class Gateway:
    """The dispatcher."""

    def __init__(self, services: Services, apps: dict[str, Flask]) -> None:
        self._surface_of = services.settings.surface_of
        self._metrics = services.metrics
        self._models = services.models
        self._apps = apps
        self._cors = Cors(services.settings.cors_allow_origins)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        request_id = environ["gateway.request_id"] = new_id("req_")
        cors = self._cors.headers(environ)
        began = time.monotonic()

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            known = {name.lower(): value for name, value in headers}
            if "x-request-id" not in known:
                headers.append(("x-request-id", request_id))
            if environ["PATH_INFO"].startswith("/v1/messages") and "request-id" not in known:
                headers.append(("request-id", known.get("x-request-id", request_id)))
            exchange = environ.get("gateway.exchange")
            if exchange is None:
                self._metrics.answered(environ["SERVER_PORT"], environ["PATH_INFO"], int(status[:3]))
            if not known.get("content-type", "").startswith("text/event-stream"):
                own = (time.monotonic() - began) * 1000 if exchange is None else exchange.own_milliseconds()
                headers.append(("x-gateway-overhead-ms", f"{own:.2f}"))
            headers += cors
            return start_response(status, headers, exc_info)

        try:
            return self._app(environ)(environ, start)
        except ClientGone:
            return Response(status=CLIENT_GONE)(environ, start)

    def beat(self) -> None:
        """Do what is due without any request: called each second by every worker."""
        self._models.look()

    def _app(self, environ: Environ) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return untyped(Response(status=204, headers=self._cors.preflight(environ)), [])
        try:
            environ["PATH_INFO"] = normalise(environ["PATH_INFO"])
            if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
                raise errors.UpgradeRequired("WebSockets are not spoken here; send the request by HTTP POST.")
        except GatewayError as error:
            return error_reply(error, environ)
        return self._apps[self._surface_of(int(environ["SERVER_PORT"]))]


def _known(error: GatewayError) -> Response:
    return error_reply(error, request.environ)


def _from_flask(error: HTTPException) -> Response:
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return _known(
            errors.MethodNotAllowed(f"{request.method} is not allowed here; use {allowed}.", headers={"allow": allowed})
        )
    if error.code == 404:
        return _known(errors.NotFound(f"There is nothing at {request.method} {request.path[:200]}."))
    known = errors.RequestError(error.description or error.name, code="bad_request")
    known.status = error.code or 400
    return _known(known)

"""The WSGI application: the routes of each surface, and the dispatcher in front of them.

The dispatcher does what holds for every request, whatever serves it: an id, one spelling of the path, the
surface of the accepting socket's port, CORS. The port is the listener's own (`SERVER_PORT`), never that of the
`Host` header, which a client controls.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from gateway import errors, guard, tokens
from gateway.access import Access
from gateway.breaker import Breaker
from gateway.client_watch import ClientGone
from gateway.config import Settings
from gateway.cors import Cors
from gateway.drain import Drain
from gateway.errors import GatewayError
from gateway.exchange import CLIENT_GONE
from gateway.http1 import Headers
from gateway.ids import new_id
from gateway.listing import ModelList
from gateway.metrics import Metrics
from gateway.paths import normalise
from gateway.recording.recorder import KEY, Recorder, Recording
from gateway.replies import Environ, Reply, StartResponse, error_reply
from gateway.routes import Routes, chat, health, messages, metrics, models, page, relay, responses
from gateway.services import Services
from gateway.store.guarded import GuardedStore
from gateway.upstream import HttpTransport, Timeouts, Transport

Guard = Callable[[Environ], GatewayError | None]
"""Returns what to answer a request that is not served, None for any other."""


def build(services: Services) -> Gateway:
    """Return the application, made before the fork; what it counts with is loaded now and shared by all workers."""
    tokens.load()
    ports = {surface: Port.of(services, surface) for surface in ("chat", "responses")}
    return Gateway(services, ports, guard.refuse_strangers if services.settings.guarded else None)


def services_of(
    settings: Settings,
    *,
    breaker: Breaker,
    drain: Drain,
    access: Access,
    counts: Metrics | None = None,
    recorder: Recorder | None = None,
    transport: Transport | None = None,
    models: ModelList | None = None,
    store: GuardedStore | None = None,
) -> Services:
    """Return what all exchanges share. `transport` and `models` are given in tests, which have no upstream."""
    if transport is None:
        timeouts = Timeouts(settings.backend_connect_timeout_secs, settings.backend_timeout_secs)
        transport = HttpTransport(settings.backend_origin, timeouts, trust_env=settings.trust_env)
    counts = counts or Metrics()
    models = models or ModelList.of(settings)
    models.look()
    return Services(settings, transport, models, breaker, drain, access, counts, recorder, store=store)


class Port:
    """The routes of one surface: the table of whole paths, and a Flask app for all that is not in it."""

    def __init__(self, routes: Sequence[Routes], log: logging.Logger) -> None:
        self._table = {path: handler for part in routes for path, handler in part.table.items()}
        self._log = log
        self._flask = _Flask(__name__, static_folder=None)
        self._flask.url_map.strict_slashes = False
        for part in routes:
            self._flask.register_blueprint(part)
        self._flask.register_error_handler(Exception, lambda error: self._failed(error, request.environ))

    @classmethod
    def of(cls, services: Services, surface: str) -> Port:
        """Return one surface with all its routes."""
        only = (
            [relay.other_port(services)]
            if surface == "chat"
            else [responses.create(services, surface), messages.create(services, surface)]
        )
        routes = [
            health.create(services),
            metrics.create(services),
            page.create(services, surface),
            models.create(services.models, surface, services.settings, services.access),
            chat.create(services, surface),
            *only,
            relay.create(services, surface),
        ]
        return cls(routes, services.log)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        handler = self._table.get(environ["PATH_INFO"])
        if handler is None:
            return self._flask(environ, start_response)
        try:
            reply = handler(environ)
        except Exception as error:
            reply = self._failed(error, environ)
        return reply(environ, start_response)

    def _failed(self, error: Exception, environ: Environ) -> Reply:
        """Return the answer to an exception; one that is no known error is logged, and only there told of."""
        known = _known(error, environ)
        if known is None:
            self._log.exception("internal error", extra={"request_id": environ.get("gateway.request_id")})
            known = GatewayError("The gateway failed; its log tells why.")
        return error_reply(known, environ)


class _Flask(Flask):
    """Flask, which sends a `Reply` as it is."""

    def make_response(self, rv: Any) -> Any:
        return rv if isinstance(rv, Reply) else super().make_response(rv)


def _known(error: Exception, environ: Environ) -> GatewayError | None:
    """Return the error that a client is told of, None where there is nothing to tell."""
    match error:
        case GatewayError():
            return error
        case MethodNotAllowed():
            method = environ["REQUEST_METHOD"]
            allowed = ", ".join(sorted(error.valid_methods or ()))
            return errors.MethodNotAllowed(f"{method} is not allowed here; use {allowed}.", headers={"allow": allowed})
        case NotFound():
            return errors.NotFound(f"There is nothing at {environ['REQUEST_METHOD']} {request.path[:200]}.")
        case HTTPException():
            known = errors.RequestError(error.description or error.name, code="bad_request")
            known.status = error.code or 400
            return known
        case _:
            return None


class Gateway:
    """The dispatcher."""

    def __init__(self, services: Services, ports: dict[str, Port], guard: Guard | None = None) -> None:
        """`guard` says which requests are refused before anything else."""
        self._guard = guard
        self._metrics = services.metrics
        self._models = services.models
        self._access = services.access
        self._recorder = services.recorder
        self._ports = {str(port.number): ports[port.surface] for port in services.settings.ports}
        """By their numbers, as the server names them."""
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
            if KEY in environ:
                environ[KEY].head(status, headers)
            return start_response(status, headers, exc_info)

        try:
            answer = self._app(environ)(environ, start)
        except ClientGone:
            answer = Reply(b"", CLIENT_GONE)(environ, start)
        recording: Recording | None = environ.get(KEY)
        return answer if recording is None else recording.answer(answer)

    def beat(self) -> None:
        """Do what is due without any request: called each second by every worker."""
        self._models.look()
        self._access.look()

    def _app(self, environ: Environ) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
        refusal = self._guard(environ) if self._guard else None
        if refusal is not None:
            return error_reply(refusal, environ)
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return Reply(b"", 204, self._cors.preflight(environ))
        try:
            environ["PATH_INFO"] = normalise(environ["PATH_INFO"])
            if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
                raise errors.UpgradeRequired("WebSockets are not spoken here; send the request by HTTP POST.")
        except GatewayError as error:
            return error_reply(error, environ)
        if self._recorder is not None:
            self._recorder.begin(environ)
        return self._ports[environ["SERVER_PORT"]]

"""What the proxy serves: `POST /v1/responses`, and with `--http-shutdown` the way to end it. All else is 403.

The flows are the gateway's own. Relayed, the body is opaque: it is not read, only passed on, and the answer's bytes
come back as they arrive. Bridged (`--bridge-to-chat`), the request is translated as on the responses port. In both the
held key takes the place of whatever the client sends.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

from gateway import bridged, relayed, tokens
from gateway.access import Access
from gateway.app import Gateway, Guard, Port, services_of
from gateway.bodies import read_raw
from gateway.breaker import Breaker
from gateway.codex_proxy.dumps import Dumps
from gateway.config import Settings
from gateway.dialects.registry import RESPONSES
from gateway.drain import Drain
from gateway.errors import Forbidden, GatewayError
from gateway.exchange import Exchange
from gateway.guard import foreign_host
from gateway.headers import client_headers
from gateway.inbound import exchanging, json_body
from gateway.metrics import Metrics
from gateway.replies import Environ, Reply
from gateway.routes import Routes
from gateway.services import Services
from gateway.upstream import Transport

RESPONSES_PATH = "/v1/responses"
SHUTDOWN_PATH = "/shutdown"


@dataclass(frozen=True)
class Manner:
    """How the proxy serves."""

    target: str
    """Path and query of the upstream, exactly as given."""
    bridges: bool = False
    shutdown: bool = False
    dumps: Dumps | None = None


def build(
    settings: Settings,
    manner: Manner,
    access: Access,
    drain: Drain,
    metrics: Metrics,
    transport: Transport | None = None,
) -> Gateway:
    """Return the application; `transport` is given in tests, which have no upstream."""
    if manner.bridges:
        tokens.load()
    services = services_of(
        settings, breaker=Breaker(enabled=False), drain=drain, access=access, counts=metrics, transport=transport
    )
    return Gateway(services, {"responses": Port([create(services, manner)], services.log)}, gate(manner))


def gate(manner: Manner) -> Guard:
    """Return the rule of what is served: an exact path without a query, and never a browser's page."""
    served = {("POST", RESPONSES_PATH)} | ({("GET", SHUTDOWN_PATH)} if manner.shutdown else set())

    def refuse(environ: Environ) -> GatewayError | None:
        if (environ["REQUEST_METHOD"], environ.get("RAW_URI") or environ["PATH_INFO"]) not in served:
            return Forbidden(f"Only POST {RESPONSES_PATH}, without a query, is served here.")
        if "HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ:
            return Forbidden("Pages in a browser may not use this proxy.")
        if foreign_host(environ):
            return Forbidden("This proxy answers only to localhost, 127.0.0.1 and [::1].")
        return None

    return refuse


def create(services: Services, manner: Manner) -> Routes:
    """Return the routes."""
    routes = Routes("codex_proxy")

    def respond(environ: Environ) -> Reply:
        with exchanging(services, "responses", environ) as exchange:
            raw = _body(services, manner, environ)
            if manner.dumps is None:
                return _answer(exchange, manner, raw)
            dump = manner.dumps.begin("POST", RESPONSES_PATH, client_headers(environ), raw)
            return dump.watch(_answer(exchange, manner, raw))

    routes.table[RESPONSES_PATH] = respond
    routes.table[SHUTDOWN_PATH] = lambda environ: Reply(_LastWords(), 200, [("content-length", "0")])
    return routes


class _LastWords:
    """A body of nothing, after which the master ends all in order."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise StopIteration

    def close(self) -> None:
        os.kill(os.getppid(), signal.SIGTERM)


def _body(services: Services, manner: Manner, environ: Environ) -> bytes:
    if manner.bridges:
        return json_body(services, environ)
    return read_raw(environ, services.settings.max_body_bytes)


def _answer(exchange: Exchange, manner: Manner, raw: bytes) -> Reply:
    if manner.bridges:
        return bridged.answer(exchange, RESPONSES, raw)
    return relayed.answer(exchange, manner.target, raw, decoded=False, dialect=RESPONSES)

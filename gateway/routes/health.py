"""`/health` and `/health/live`: the same on both ports, without a key."""

from __future__ import annotations

import time

from flask import Blueprint, Response

from gateway import __version__
from gateway.replies import json_reply
from gateway.services import Services


def create(services: Services) -> Blueprint:
    """Return the routes, the same on both surfaces."""
    routes = Blueprint("health", __name__)
    started = time.monotonic()

    @routes.get("/health")
    def health() -> Response:
        breaker = services.breaker.state()
        healthy = not breaker["is_open"]
        body = {
            "status": "healthy" if healthy else "unhealthy",
            "circuit_breaker": breaker,
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - started, 1),
        }
        return json_reply(body, 200 if healthy else 503)

    @routes.get("/health/live")
    def live() -> Response:
        return json_reply({"status": "alive"})

    return routes

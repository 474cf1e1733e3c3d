"""`/health` and `/health/live`: the same on both ports, without a key."""

from __future__ import annotations

import time

from gateway import __version__
from gateway.replies import Reply, json_reply
from gateway.routes import Routes
from gateway.services import Services


def create(services: Services) -> Routes:
    """Return the routes, the same on both surfaces."""
    routes = Routes("health")
    started = time.monotonic()

    @routes.get("/health")
    def health() -> Reply:
        breaker = services.breaker.state()
        healthy = not breaker["is_open"]
        body = {
            "status": "healthy" if healthy else "unhealthy",
            "circuit_breaker": breaker,
            "version": __version__,
            "uptime_seconds": round(time.monotonic() - started, 1),
        }
        if services.recorder is not None:
            body["recorder"] = {"lost_records": services.recorder.lost}
        return json_reply(body, 200 if healthy else 503)

    @routes.get("/health/live")
    def live() -> Reply:
        return json_reply({"status": "alive"})

    return routes

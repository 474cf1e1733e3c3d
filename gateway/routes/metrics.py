"""`/metrics`: what the gateway has counted, for Prometheus; the same on both ports, without a key."""

from __future__ import annotations

from gateway.metrics import CONTENT_TYPE
from gateway.replies import Reply
from gateway.routes import Routes
from gateway.services import Services


def create(services: Services) -> Routes:
    """Return the route."""
    routes = Routes("metrics")

    @routes.get("/metrics")
    def metrics() -> Reply:
        return Reply(services.metrics.render(services.breaker.state()), 200, [("content-type", CONTENT_TYPE)])

    return routes

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
        lost = services.recorder.lost if services.recorder is not None else 0
        return Reply(services.metrics.render(services.breaker.state(), lost), 200, [("content-type", CONTENT_TYPE)])

    return routes

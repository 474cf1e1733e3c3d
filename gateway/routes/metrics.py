"""`/metrics`: what the gateway has counted, for Prometheus; the same on both ports, without a key."""

from __future__ import annotations

from flask import Blueprint, Response

from gateway.metrics import CONTENT_TYPE
from gateway.services import Services


def create(services: Services) -> Blueprint:
    """Return the route."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(services.metrics.render(services.breaker.state()), 200, [("content-type", CONTENT_TYPE)])

    return routes

"""The paths of each surface: read the request, run its flow, return the answer."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from gateway.errors import MethodNotAllowed

EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def post_only(routes: Blueprint, rule: str, view: Callable[[], Response], name: str | None = None) -> None:
    """Serve a path by POST; another method gets 405 here and is not relayed. `name`: of a view used twice."""

    def serve() -> Response:
        if request.method != "POST":
            raise MethodNotAllowed(f"{request.method} is not allowed here; use POST.", headers={"allow": "POST"})
        return view()

    routes.add_url_rule(rule, name or view.__name__, serve, methods=EVERY_METHOD)

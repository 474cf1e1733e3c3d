"""The paths of each surface: read the request, run its flow, return the answer.

Two kinds of them. A path that clients ask all the time is one whole string with one handler: it stands in a table
and is looked up without Flask, whose contexts and rules would cost a relayed request a quarter of all it costs.
Paths with variables, and those that are asked for seldom, are Flask's.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint

from gateway.errors import MethodNotAllowed
from gateway.replies import Environ, Reply

EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

Handler = Callable[[Environ], Reply]


class Routes(Blueprint):
    """The paths of one subject: Flask's rules, and beside them `table`."""

    def __init__(self, name: str) -> None:
        super().__init__(name, __name__)
        self.table: dict[str, Handler] = {}
        """Whole paths, as `paths.normalise` spells them."""


def post_only(routes: Routes, path: str, handler: Handler) -> None:
    """Serve a whole path by POST; another method gets 405 here and is not relayed."""

    def serve(environ: Environ) -> Reply:
        if environ["REQUEST_METHOD"] != "POST":
            method = environ["REQUEST_METHOD"]
            raise MethodNotAllowed(f"{method} is not allowed here; use POST.", headers={"allow": "POST"})
        return handler(environ)

    routes.table[path] = serve

"""`GET /v1/models` and `GET /v1/models/{id}`, in the form that the client speaks; no key is needed.

A body is made once for each catalog and kept with it, so a list costs little more than the answer's head.
"""

from __future__ import annotations

import gzip
from typing import Protocol

from flask import request
from werkzeug.wrappers import Request

from gateway import models_wire
from gateway.access import Access
from gateway.errors import MethodNotAllowed, NotFound
from gateway.jsonbody import dump
from gateway.listing import ModelList
from gateway.models import Catalog, Surface
from gateway.replies import Environ, Reply, json_reply
from gateway.routes import EVERY_METHOD, Routes

_WAIT_SECS = 2.0
_NEAR = 5
_PACKED_FROM = 16 * 1024
"""Size in bytes from which a list is packed."""

_PACKING = 1
"""Fast: a long list takes 2 ms, once a minute, and shrinks to a twentieth all the same."""

# OpenAI's API deletes fine-tuned models by this path: that is for the upstream to say.
_ONE_METHODS = [method for method in EVERY_METHOD if method != "DELETE"]


class PortSettings(Protocol):
    """The settings that the answers name."""

    def port_of(self, surface: str) -> int | None:
        """Return the number of the port that serves a surface, None where none does."""


def create(models: ModelList, surface: str, settings: PortSettings, access: Access) -> Routes:
    """Return the routes of one surface."""
    routes = Routes("models")
    here: Surface = "chat" if surface == "chat" else "responses"
    other: Surface = "responses" if here == "chat" else "chat"
    other_port = settings.port_of(other)

    def current(environ: Environ) -> Catalog:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{method} is not allowed here; use GET.", headers={"allow": "GET, HEAD"})
        key = access.guess(environ).key
        models.wait(key, _WAIT_SECS, fresh=True)
        return models.catalog(key)

    def list_models(environ: Environ) -> Reply:
        catalog = current(environ)
        if not _speaks_anthropic(environ):
            return _prepared(catalog, here, environ)
        arguments = Request(environ).args
        query = tuple(arguments.get(name) for name in ("limit", "after_id", "before_id"))
        return json_reply(models_wire.anthropic_page(catalog, here, *query))

    @routes.route("/v1/models/<path:id>", methods=_ONE_METHODS)
    def one_model(id: str) -> Reply:
        environ = request.environ
        catalog = current(environ)
        line = catalog.find(here, id)
        if line is None:
            raise _not_found(catalog, id)
        return json_reply(
            models_wire.anthropic_model(line) if _speaks_anthropic(environ) else models_wire.openai_model(line)
        )

    def _not_found(catalog: Catalog, id: str) -> NotFound:
        message = f"The model {id[:200]!r} is not in the list of this port."
        if other_port is not None and catalog.find(other, id) is not None:
            message += f" It is listed on port {other_port}."
        elif near := catalog.near(id, _NEAR):
            message += f" The nearest names: {', '.join(near)}."
        return NotFound(message, code="model_not_found", param="model")

    routes.table["/v1/models"] = list_models
    return routes


def _prepared(catalog: Catalog, surface: Surface, environ: Environ) -> Reply:
    """Return OpenAI's list; packed for clients that ask, since Codex's catalog repeats a prompt for each model."""
    body = catalog.made(("openai", surface), lambda: dump(models_wire.openai_list(catalog, surface)))
    if len(body) < _PACKED_FROM:
        return json_reply(body)
    vary = ("vary", "accept-encoding")
    if not Request(environ).accept_encodings["gzip"]:
        return json_reply(body, 200, [vary])
    packed = catalog.made(("packed", surface), lambda: gzip.compress(body, _PACKING, mtime=0))
    return json_reply(packed, 200, [vary, ("content-encoding", "gzip")])


def _speaks_anthropic(environ: Environ) -> bool:
    return "HTTP_ANTHROPIC_VERSION" in environ

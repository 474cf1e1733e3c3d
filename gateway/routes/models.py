"""`GET /v1/models` and `GET /v1/models/{id}`, in the form that the client speaks; no key is needed.

A body is made once for each catalog and kept with it, so a list costs little more than the answer's head.
"""

from __future__ import annotations

import gzip
from typing import Protocol

from flask import Blueprint, Response, request

from gateway import models_wire
from gateway.errors import MethodNotAllowed, NotFound
from gateway.jsonbody import dump
from gateway.keys import optional_key
from gateway.listing import ModelList
from gateway.models import Catalog, Surface
from gateway.replies import json_reply
from gateway.routes import EVERY_METHOD

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

    @property
    def chat_port(self) -> int:
        """`CHAT_PORT`."""

    @property
    def responses_port(self) -> int:
        """`RESPONSES_PORT`."""


def create(models: ModelList, surface: str, settings: PortSettings) -> Blueprint:
    """Return the routes of one surface."""
    routes = Blueprint("models", __name__)
    here: Surface = "chat" if surface == "chat" else "responses"
    other: Surface = "responses" if here == "chat" else "chat"
    other_port = settings.responses_port if here == "chat" else settings.chat_port

    def current() -> Catalog:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(f"{request.method} is not allowed here; use GET.", headers={"allow": "GET, HEAD"})
        key = optional_key(request.environ)
        models.wait(key, _WAIT_SECS, fresh=True)
        return models.catalog(key)

    @routes.route("/v1/models", methods=EVERY_METHOD)
    def list_models() -> Response:
        catalog = current()
        if not _speaks_anthropic():
            return _prepared(catalog, here)
        query = tuple(request.args.get(name) for name in ("limit", "after_id", "before_id"))
        return json_reply(models_wire.anthropic_page(catalog, here, *query))

    @routes.route("/v1/models/<path:id>", methods=_ONE_METHODS)
    def one_model(id: str) -> Response:
        catalog = current()
        line = catalog.find(here, id)
        if line is None:
            raise _not_found(catalog, id)
        return json_reply(models_wire.anthropic_model(line) if _speaks_anthropic() else models_wire.openai_model(line))

    def _not_found(catalog: Catalog, id: str) -> NotFound:
        message = f"The model {id[:200]!r} is not in the list of this port."
        if catalog.find(other, id) is not None:
            message += f" It is listed on port {other_port}."
        elif near := catalog.near(id, _NEAR):
            message += f" The nearest names: {', '.join(near)}."
        return NotFound(message, code="model_not_found", param="model")

    return routes


def _prepared(catalog: Catalog, surface: Surface) -> Response:
    """Return OpenAI's list; packed for clients that ask, since Codex's catalog repeats a prompt for each model."""
    body = catalog.made(("openai", surface), lambda: dump(models_wire.openai_list(catalog, surface)))
    if len(body) < _PACKED_FROM:
        return json_reply(body)
    vary = ("vary", "accept-encoding")
    if not request.accept_encodings["gzip"]:
        return json_reply(body, 200, [vary])
    packed = catalog.made(("packed", surface), lambda: gzip.compress(body, _PACKING, mtime=0))
    return json_reply(packed, 200, [vary, ("content-encoding", "gzip")])


def _speaks_anthropic() -> bool:
    return "HTTP_ANTHROPIC_VERSION" in request.environ

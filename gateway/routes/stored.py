"""`/v1/responses/{id}` and what stands under it: responses that were stored, read and removed.

Reference: OpenAI API, "Get", "Delete", "Cancel a model response" and "List input items".
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import orjson
from flask import request

from gateway.errors import MethodNotAllowed, NotFound, RequestError
from gateway.exchange import Exchange
from gateway.inbound import exchanging
from gateway.jsonbody import dump
from gateway.replies import Reply, json_reply
from gateway.routes import EVERY_METHOD, Routes
from gateway.services import Services
from gateway.store import Found
from gateway.store.items import shown
from gateway.store.turn import owner_of
from gateway.types import JSON

_PAGE, _LONGEST_PAGE = 20, 100


def add(routes: Routes, services: Services, surface: str) -> None:
    """Add these paths to the routes of a surface."""

    def one(id: str) -> Reply:
        with exchanging(services, surface, request.environ) as exchange:
            _allow("GET", "HEAD", "DELETE")
            if request.method == "DELETE":
                return _deleted(exchange, id)
            if request.args.get("stream", "").lower() == "true":
                raise RequestError("A stored response is not streamed; leave `stream` out.", param="stream")
            found = _found(exchange, id)
            return _reply(exchange, f'{found.head[:-1]},"output":{found.output}}}'.encode())

    def input_items(id: str) -> Reply:
        with exchanging(services, surface, request.environ) as exchange:
            _allow("GET", "HEAD")
            return _reply(exchange, _page(orjson.loads(_found(exchange, id).input)))

    def cancel(id: str) -> Reply:
        with exchanging(services, surface, request.environ) as exchange:
            _allow("POST")
            _found(exchange, id)
            raise RequestError("Only answers in the background can be cancelled, and none are made here.")

    def unknown(rest: str) -> Reply:
        raise NotFound(f"There is nothing at {request.path[:100]}.")

    for rule, view in (
        ("/v1/responses/<id>", one),
        ("/v1/responses/<id>/input_items", input_items),
        ("/v1/responses/<id>/cancel", cancel),
        ("/v1/responses/<path:rest>", unknown),
    ):
        routes.add_url_rule(rule, f"stored_{view.__name__}", view, methods=EVERY_METHOD)


def _allow(*methods: str) -> None:
    if request.method not in methods:
        allowed = ", ".join(methods)
        raise MethodNotAllowed(f"{request.method} is not allowed here; use {allowed}.", headers={"allow": allowed})


def _found(exchange: Exchange, id: str) -> Found:
    store = exchange.services.store
    found = store and store.ask(owner_of(exchange), lambda it, who: it.get(who, id))
    return found or _unknown(exchange, id)


def _deleted(exchange: Exchange, id: str) -> Reply:
    store = exchange.services.store
    if not (store and store.ask(owner_of(exchange), lambda it, who: it.delete(who, id))):
        _unknown(exchange, id)
    return _reply(exchange, {"id": id, "object": "response", "deleted": True})


def _unknown(exchange: Exchange, id: str) -> NoReturn:
    none = "" if exchange.services.store else "; this gateway keeps none"
    raise NotFound(f"There is no stored response {id[:100]!r}{none}.")


def _reply(exchange: Exchange, body: Any) -> Reply:
    data = body if isinstance(body, bytes) else dump(body)
    exchange.status = 200
    exchange.sending(data)
    exchange.close()
    return json_reply(data)


def _page(items: list[JSON]) -> JSON:
    """Return one page of items, as the query asks. Raises: RequestError."""
    query = request.args
    limit, order, after = query.get("limit", str(_PAGE)), query.get("order", "desc"), query.get("after")
    if not (re.fullmatch("[0-9]{1,9}", limit) and 1 <= int(limit) <= _LONGEST_PAGE):
        raise RequestError(f"`limit` must be a whole number from 1 to {_LONGEST_PAGE}.", param="limit")
    if order not in ("asc", "desc"):
        raise RequestError("`order` must be `asc` or `desc`.", param="order")
    if order == "desc":
        items = items[::-1]
    begin = 0
    if after:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise RequestError(f"`after` names no input item of this response: {after[:100]!r}.", param="after")
        begin = places[0] + 1
    page = [shown(item) for item in items[begin : begin + int(limit)]]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": begin + len(page) < len(items),
    }

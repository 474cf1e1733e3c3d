"""One request that may go on from stored responses, and whose answer may become one.

Before the translation the request is given its history: the items of the response that it goes on from stand before
its own, and each reference gives way to its item. So translators know nothing of a store. When the encoder has
spelled the last event of the answer, and before that leaves, the answer is kept.

What cannot be found stays in the request, and the translator refuses it as it does where there is no store.

    store: false            not kept; it may go on from what is stored
    refused before it began nothing is kept, as the client knows no id
    broken off              kept as `failed`, with the items that were whole; so is one whose client has left
    cut by a token limit    kept as `incomplete`, with what there was of its last item
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from gateway.dialects import NewId, Translation
from gateway.dialects.responses.context import Context
from gateway.errors import RequestError
from gateway.exchange import Exchange
from gateway.jsonbody import dump
from gateway.metrics import Metrics
from gateway.store import Kept, Thread
from gateway.store.guarded import GuardedStore
from gateway.store.items import kept, references, resolved, since_compaction
from gateway.turns import give_way
from gateway.types import JSON

_LARGE = 256 * 1024
"""Texts above this length are not worked on in one go with what comes next."""


def owner_of(exchange: Exchange) -> str | None:
    """Return what tells one client's responses from another's."""
    return exchange.credential


@dataclass(frozen=True, slots=True)
class Turn:
    """A request with its history."""

    body: JSON
    """The request; its references are resolved, and the response that it goes on from is taken out."""
    earlier: Sequence[JSON] = ()
    """The items that come before its own."""
    keep: _Keep | None = None
    """What keeps its answer."""

    def keeping(self, translation: Translation) -> Translation:
        """Return the translation of the request; its context tells that the answer is kept, and has it kept."""
        if self.keep is None:
            return translation
        return replace(translation, context=self.keep.context(translation.context, self.body.get("input")))


def open_turn(exchange: Exchange, body: JSON, *, keeps: bool) -> Turn:
    """Give a request its history. `keeps`: its answer is one that can be kept. Raises: RequestError, StoreDown."""
    store = exchange.services.store
    if store is None:
        return Turn(body)
    owner = owner_of(exchange)
    previous = body.get("previous_response_id")
    earlier: Sequence[JSON] | None = None
    if isinstance(previous, str):
        earlier = _earlier(store, owner, previous)
        if earlier is not None:
            body = {name: value for name, value in body.items() if name != "previous_response_id"}
    places = references(body.get("input"))
    if places:
        found = store.ask(owner, lambda it, who: it.find(who, list(places.values())))
        body = {**body, "input": resolved(body["input"], places, found)}
    known = None if earlier is None else previous
    keep = None
    services = exchange.services
    wanted = keeps and body.get("store") is not False
    if wanted and not store.works:
        services.metrics.stored(False)
        wanted = False
    if wanted or (keeps and known is not None):
        keep = _Keep(store if wanted else None, services.metrics, owner, known, services.new_id)
    return Turn(body, earlier or (), keep)


def _earlier(store: GuardedStore, owner: str | None, previous: str) -> Sequence[JSON] | None:
    """Return the items of a response and of all before it; None where it is not known."""
    thread: Thread | None = store.ask(owner, lambda it, who: it.thread(who, previous))
    if thread is None:
        return None
    if not thread.whole:
        raise RequestError(
            "A response that the previous one goes on from is no longer kept. Send the earlier items in `input`.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    items: list[JSON] = orjson.loads(thread.items)
    if len(thread.items) > _LARGE:
        give_way()
    return since_compaction(items)


@dataclass(frozen=True, slots=True)
class _Keep:
    """Keeps one answer."""

    store: GuardedStore | None
    """None: the answer is not kept, and only tells what it goes on from."""
    metrics: Metrics
    owner: str | None
    previous: str | None
    new_id: NewId

    def context(self, context: Context, given: Any) -> Context:
        """See `Turn`; `given` is the input, which has been checked by now."""
        echo = {**context.echo, "previous_response_id": self.previous}
        if self.store is None:
            return replace(context, echo=echo)
        items = kept(given, self.new_id)
        text = dump(items).decode()
        if len(text) > self.store.bounds.bytes // 4:
            # It would drive out too much of what others need.
            return replace(context, echo=echo)
        ids = tuple(item["id"] for item in items)
        return replace(context, echo={**echo, "store": True}, keep=partial(self._keep, self.store, text, ids))

    def _keep(self, store: GuardedStore, given: str, ids: tuple[str, ...], response: JSON) -> bool:
        head = {name: value for name, value in response.items() if name != "output"}
        output = response["output"]
        entry = Kept(
            id=response["id"],
            previous=self.previous,
            head=dump(head).decode(),
            input=given,
            output=dump(output).decode(),
            ids=(*ids, *(item["id"] for item in output)),
        )
        done = store.keep(self.owner, entry)
        self.metrics.stored(done)
        return done

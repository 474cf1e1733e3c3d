"""Joins a client's dialect to the upstream's for one exchange: the hub form, its spelling, the bridge back. No I/O.

    hub(client, translation, terms)       what both directions share
    speller(upstream, hub)                hub to the body for the wire; called anew for each repeat
    bridge(client, upstream, …)           the answer's way back

The live flow (`gateway.bridged`) and the translation of recordings (`gateway.replay.retranslating`) join alike.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway import tokens
from gateway.bridge import Bridge
from gateway.dialects import HUB_KEY, Dialect, Filter, NewId, Now, Translation
from gateway.errors import GatewayError
from gateway.filters.calls import CallsFilter
from gateway.filters.think import ThinkFilter
from gateway.filters.typed import declared
from gateway.filters.usage import UsageFilter
from gateway.profile import Model, Terms
from gateway.quirks import Quirk
from gateway.types import JSON

Spell = Callable[[Model, Quirk], JSON]
"""Returns the body for the wire, for a model and what it was found to refuse."""


def hub(client: Dialect, translation: Translation, terms: Terms) -> JSON:
    """Return the hub body of a translated request."""
    body = {**translation.body, "model": terms.model.id}
    if client.keeps_sealed:
        body[HUB_KEY] = {**body.get(HUB_KEY, {}), "sealed": True}
    return body


def speller(upstream: Dialect, body: JSON) -> Spell:
    """Return what spells a hub body for the upstream."""
    from_chat = upstream.from_chat
    if from_chat is None:
        raise TypeError(f"{upstream.name} is no upstream's dialect")

    def spell(model: Model, quirk: Quirk) -> JSON:
        renamed = {**body, "model": model.id}
        return from_chat(quirk.limited(renamed), quirk.applied_to(model), quirk.omit)

    return spell


def bridge(
    client: Dialect,
    upstream: Dialect,
    terms: Terms,
    body: JSON,
    translation: Translation,
    ids: tuple[NewId, Now],
    mask: Callable[[GatewayError], None] | None = None,
) -> Bridge:
    """Return the bridge for the answer to a hub body, which came of this translation."""
    if client.encoder is None or upstream.decoder is None:
        raise TypeError(f"no bridge from {client.name} to {upstream.name}")
    new_id, now = ids
    encoder = client.encoder(translation.context, new_id, now)
    filters = _filters(body, terms.model, new_id, translation.input_tokens)
    return Bridge(upstream.decoder(terms), filters, encoder, mask)


def _filters(body: JSON, model: Model, new_id: NewId, input_tokens: int | None) -> list[Filter]:
    filters: list[Filter] = [ThinkFilter(opened=model.think_opened_by_template)]
    tools = declared(body.get("tools")) if model.tool_calls_in_text else {}
    if tools:
        filters.append(CallsFilter(tools, new_id))
    count_input = tokens.Estimate(body).count if input_tokens is None else lambda: input_tokens
    filters.append(UsageFilter(count_input, tokens.estimate))
    return filters

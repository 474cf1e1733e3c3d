"""What the page shows: the state of the gateway and all models, as one JSON object."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gateway import __version__
from gateway.config import Settings
from gateway.models import Catalog, Surface
from gateway.profile import Model
from gateway.setup.texts import CLIENTS, Client, KeyRule, for_key
from gateway.types import JSON

_SURFACES: tuple[Surface, ...] = ("chat", "responses")


def facts(settings: Settings, surface: str, catalog: Catalog, breaker: Mapping[str, Any]) -> JSON:
    """Return what the page of one surface shows."""
    ports: dict[str, int] = {port.surface: port.number for port in settings.ports}
    served = {name: ports.get(name) for name in _SURFACES}
    rule = key_rule(settings)
    return {
        "version": __version__,
        "surface": surface,
        "port": ports[surface],
        "ports": served,
        "upstream": {"name": upstream_name(settings), "speaks": settings.backend_api},
        "breaker": breaker,
        "list_known": not catalog.is_fallback,
        "key": rule,
        "clients": [_client(for_key(client, rule)) for client in CLIENTS],
        "models": _models(catalog),
    }


def upstream_name(settings: Settings) -> str:
    """Return what the upstream is called: its host's name, but for hosts of the inside, which others need not know."""
    if settings.demo:
        return "the demo upstream"
    host = urlsplit(settings.backend_origin).hostname or ""
    try:
        inside = not ipaddress.ip_address(host).is_global
    except ValueError:
        inside = "." not in host or host.endswith((".local", ".lan", ".internal", ".home.arpa", ".localhost"))
    return "a server of this network" if inside else host


def key_rule(settings: Settings) -> KeyRule:
    """Return what clients have to send."""
    if settings.holds_key:
        return "held" if settings.client_tokens_file is None else "token"
    return "own" if settings.require_key else "any"


def _client(client: Client) -> JSON:
    return {
        "id": client.id,
        "title": client.title,
        "surface": client.surface,
        "note": client.note,
        "snippets": [{"where": one.where, "text": one.text} for one in client.snippets],
    }


def _models(catalog: Catalog) -> list[JSON]:
    lines: dict[str, JSON] = {}
    for surface in _SURFACES:
        for line in catalog.listed(surface):
            if line.kind == "reasoning":
                continue
            told = lines.setdefault(line.name, _model(line.name, line.model))
            told["ports"].append(surface)
    return list(lines.values())


def _model(name: str, model: Model) -> JSON:
    return {
        "name": name,
        "of": None if name == model.id else model.id,
        "context": model.context_window,
        "tools": None if model.features is None else model.calls_tools,
        "vision": None if model.input_modalities is None else model.sees_images,
        "reasoning": model.reasons,
        "price": model.price,
        "ports": [],
    }

"""Reads an upstream's model list, whatever extras its server puts in. Pure.

Strangers wrote it: an entry without an id is passed over, a member of the wrong type counts as not told, and
nothing is guessed. Who sends which member:

    Chutes            context_length, max_model_len, max_output_length, supported_features, pricing (numbers)
    OpenRouter        context_length, top_provider, architecture, supported_parameters, pricing (strings)
    vLLM, SGLang      max_model_len
    llama.cpp         meta.n_ctx, architecture, aliases
    Ollama            models[].name, capabilities (a list)
    Groq              context_window, max_completion_tokens
    Mistral           max_context_length, capabilities (an object), aliases
    LM Studio         loaded_context_length, max_context_length, capabilities (a list)
    Fireworks         supports_tools, supports_image_input
    DeepInfra         metadata.context_length, metadata.pricing
    Copilot           capabilities.limits, capabilities.supports
    Anthropic         display_name, max_input_tokens, created_at

Reference: OpenAI API reference, "List models".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from gateway.profile import TOOL_WORDS, Model
from gateway.types import JSON

_CONTEXT_WINDOW = (
    "context_length",
    "max_model_len",
    "context_window",
    "loaded_context_length",
    "max_context_length",
    "meta.n_ctx",
    "top_provider.context_length",
    "metadata.context_length",
    "capabilities.limits.max_context_window_tokens",
    "max_input_tokens",
)
_MAX_OUTPUT = (
    "max_output_length",
    "max_output_tokens",
    "max_completion_tokens",
    "top_provider.max_completion_tokens",
    "capabilities.limits.max_output_tokens",
)
_MODALITIES = ("input_modalities", "architecture.input_modalities", "modalities.input")
_FEATURES = ("supported_features", "features", "supported_parameters", "capabilities")
_SPOKEN_OF = ("capabilities.supports", "capabilities")
_IMAGES = (
    "supports_image_input",
    "supports_vision",
    "capabilities.vision",
    "capabilities.supports.vision",
)
_PRICES = (
    ("pricing.prompt", "pricing.completion"),
    ("price.input.usd", "price.output.usd"),
    ("pricing.input", "pricing.output"),
    ("metadata.pricing.input_tokens", "metadata.pricing.output_tokens"),
)


class Told(NamedTuple):
    """One model as the upstream's list tells of it: what was understood, and the entry as it came."""

    model: Model
    entry: JSON


def parse(listed: Any) -> tuple[Told, ...]:
    """Return the models of a list that has been read as JSON; of two with one id the first counts.

    Taken are `{"data": [...]}`, `{"models": [...]}` and a bare list. Raises: ValueError for anything else.
    """
    found: dict[str, Told] = {}
    for entry in _entries(listed):
        told = _told(entry)
        if told is not None:
            found.setdefault(told.model.id, told)
    return tuple(found.values())


def _entries(listed: Any) -> list[Any]:
    if isinstance(listed, list):
        return listed
    if isinstance(listed, dict):
        # llama.cpp sends both; its `models` is Ollama's form and tells less.
        for name in ("data", "models"):
            if isinstance(listed.get(name), list):
                entries: list[Any] = listed[name]
                return entries
    raise ValueError("it has no list of models")


def _told(entry: Any) -> Told | None:
    if not isinstance(entry, dict):
        return None
    id = next(_texts(entry, "id", "model", "name"), None)
    if id is None:
        return None
    name = next(_texts(entry, "display_name", "name"), None)
    model = Model(
        id=id,
        aliases=tuple(alias for alias in _strings(entry.get("aliases")) or () if alias != id),
        display_name=name if name != id else None,
        context_window=_count(entry, _CONTEXT_WINDOW),
        max_output_tokens=_count(entry, _MAX_OUTPUT),
        input_modalities=_modalities(entry),
        features=_features(entry),
        created=_created(entry),
        owned_by=next(_texts(entry, "owned_by"), None),
        price=_price(entry),
    )
    return Told(model, entry)


def _at(entry: JSON, path: str) -> Any:
    """Return the member at a dotted path, None where there is none."""
    value: Any = entry
    for name in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _texts(entry: JSON, *names: str) -> Iterator[str]:
    for name in names:
        value = entry.get(name)
        if isinstance(value, str) and value.strip():
            yield value


def _strings(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(item for item in value if isinstance(item, str) and item)


def _number(value: Any) -> float | None:
    """Return a number that may be written as a string; a Boolean is none, and neither is NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e15 else None


def _count(entry: JSON, paths: tuple[str, ...]) -> int | None:
    for path in paths:
        number = _number(_at(entry, path))
        if number is not None and number >= 1:
            return int(number)
    return None


def _created(entry: JSON) -> int | None:
    number = _number(entry.get("created"))
    if number is not None:
        return int(number) if number > 0 else None
    try:
        return int(datetime.fromisoformat(str(entry.get("created_at"))).timestamp())
    except (ValueError, OverflowError, OSError):
        return None


def _modalities(entry: JSON) -> frozenset[str] | None:
    for path in _MODALITIES:
        words = _strings(_at(entry, path))
        if words:
            return frozenset(word.lower() for word in words)
    for path in _IMAGES:
        sees = _at(entry, path)
        if isinstance(sees, bool):
            return frozenset(["text", "image"] if sees else ["text"])
    return None


def _features(entry: JSON) -> frozenset[str] | None:
    for path in _FEATURES:
        words = _strings(_at(entry, path))
        if words is not None:
            return frozenset(word.lower() for word in words)
    for path in _SPOKEN_OF:
        spoken = _at(entry, path)
        # Azure's and Anthropic's objects of this name do not speak of tools, so they tell nothing here.
        if isinstance(spoken, dict) and not TOOL_WORDS.isdisjoint(spoken):
            return frozenset(word for word, holds in spoken.items() if holds is True)
    if isinstance(entry.get("supports_tools"), bool):
        return frozenset(["tools"] if entry["supports_tools"] else [])
    return None


def _price(entry: JSON) -> tuple[float, float] | None:
    """Return the price of a million tokens: figures are that, strings the price of one token (OpenRouter)."""
    for paths in _PRICES:
        found = [_at(entry, path) for path in paths]
        numbers = [_number(value) for value in found]
        prices = [
            round(number * 1e6 if isinstance(value, str) else number, 6)
            for number, value in zip(numbers, found, strict=True)
            if number is not None and number >= 0
        ]
        if len(prices) == 2:
            return prices[0], prices[1]
    return None

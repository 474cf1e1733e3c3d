"""What the gateway knows of one model, and the terms on which a request for it is translated. Pure values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.types import JSON

TOOL_WORDS = frozenset(["tools", "function_calling", "tool_calling", "tool_use", "tool_calls", "supports_tools"])
"""How lists of upstreams say that a model calls tools."""

_REASONING_WORDS = frozenset(["reasoning", "thinking", "extended_thinking", "reasoning_effort", "supports_reasoning"])
_REASONING_NAMES = ("gpt-5", "o1", "o3", "o4")


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the upstream: what its list tells, overlaid by the operator's `models.json`.

    None means that nobody told; nothing here is a guess. The keys are those of `models.json`.
    """

    id: str
    """Name that the upstream knows."""
    aliases: tuple[str, ...] = ()
    """Further names that clients may use."""
    ports: frozenset[str] | None = None
    """Where it is listed: `chat`, `responses`. None: by the rules of `gateway.models`."""
    display_name: str | None = None
    context_window: int | None = None
    """Tokens of prompt and answer together."""
    max_output_tokens: int | None = None
    input_modalities: frozenset[str] | None = None
    """`text`, `image`, …"""
    features: frozenset[str] | None = None
    """`tools`, `reasoning`, `structured_outputs`, … in the words of the upstream's list."""
    reasoning_levels: tuple[str, ...] | None = None
    """Efforts the model knows, from least to most; others are mapped to the nearest. None: passed as sent."""
    reasoning_replay: Literal["field", "think", "off"] = "field"
    """How earlier reasoning goes back: as `reasoning_content`, as `<think>` text, or not at all."""
    reasoning_placeholder: str | None = None
    """Text to stand for lost reasoning where the upstream demands some with each call."""
    think_opened_by_template: bool = False
    """The chat template opens `<think>` itself, so a lone `</think>` ends the reasoning."""
    tool_calls_in_text: bool = True
    """Recover tool calls that leak into the text."""
    mid_system: bool = False
    """A system message may stand later than at the head."""
    developer_role: bool = False
    """The role `developer` may be sent."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    files: bool = False
    """Takes `file` parts."""
    reasoning: bool | None = None
    """Takes reasoning settings (Responses upstream). None: by name and features."""
    reasoning_aliases: bool = False
    """Listed with its `:res-…:sum-…` aliases."""
    base_instructions: str | None = None
    """The prompt that Codex's catalog carries. None: the project's own."""
    created: int | None = None
    """Seconds since the epoch, as the upstream's list tells."""
    owned_by: str | None = None
    price: tuple[float, float] | None = None
    """US dollars for a million tokens of prompt and of answer; only shown."""

    @property
    def sees_images(self) -> bool:
        """False only where it is known that images are not taken."""
        return self.input_modalities is None or "image" in self.input_modalities

    @property
    def calls_tools(self) -> bool:
        """True only where the upstream's list says so."""
        return self.features is not None and not self.features.isdisjoint(TOOL_WORDS)

    @property
    def reasons(self) -> bool:
        """True where the operator, the upstream's list or the name says so."""
        if self.reasoning is not None:
            return self.reasoning
        if self.features is not None and not self.features.isdisjoint(_REASONING_WORDS):
            return True
        return self.id.rpartition("/")[2].startswith(_REASONING_NAMES)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a request, from the settings of the same names (`MAX_INPUT_ITEMS` …)."""

    max_text_bytes: int = 5 * 1024 * 1024
    max_instructions_bytes: int = 1024 * 1024
    max_input_items: int = 10_000
    max_tools: int = 512


def _no_seal(text: str) -> str:
    return text


def _no_unseal(envelope: str) -> str | None:
    return None


def _no_pause() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Terms:
    """What a translator of requests is told beside the body.

    `seal` puts text into an opaque envelope that only this client's key opens again; `unseal` returns the
    text, or None for a foreign or damaged envelope. Both belong to the client's key.
    """

    model: Model
    limits: Limits = Limits()
    seal: Callable[[str], str] = _no_seal
    unseal: Callable[[str], str | None] = _no_unseal
    effort: str | None = None
    """Reasoning effort that the model's name asks for (`:res-…`)."""
    summary: str | None = None
    """Reasoning summary that it asks for (`:sum-…`); `none` for none."""
    web_search: bool = False
    """A chat client that offers no tools gets a web search."""
    pause: Callable[[], None] = _no_pause
    """Called between the steps of the work on a long history."""
    earlier: Sequence[JSON] = ()
    """Items of stored responses that come before the request's own."""

"""The three forms in which a model list is told: OpenAI's, Codex's catalog, Anthropic's. Pure.

References: OpenAI API reference, "Models"; Anthropic API reference, "List models"; Codex's catalog as its
command line reads it (one bad entry makes Codex drop the whole answer).

An entry in OpenAI's form keeps what the upstream's own entry has (prices, parameters), since front ends read
it there; what is known of the model stands over it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, TypedDict

from gateway.errors import RequestError
from gateway.models import Catalog, Listed, Surface
from gateway.profile import Model
from gateway.prompts import AGENT
from gateway.types import JSON

_EPOCH = "1970-01-01T00:00:00Z"
_PAGE = 20
_LONGEST_PAGE = 1000

_EFFORTS = {
    "none": "Answers without reasoning first",
    "minimal": "Hardly any reasoning; the fastest answers",
    "low": "Brief reasoning; fast answers",
    "medium": "Reasoning in proportion to everyday tasks",
    "high": "Thorough reasoning for difficult tasks",
    "xhigh": "The most reasoning, for the hardest tasks",
}
_COMMON_EFFORTS = ("low", "medium", "high")


class CodexEffort(TypedDict):
    """One entry of Codex's effort picker."""

    effort: str
    description: str


class CodexTruncation(TypedDict):
    """How much of a tool's output Codex keeps."""

    mode: Literal["tokens", "bytes"]
    limit: int


class CodexModel(TypedDict):
    """One entry of Codex's catalog."""

    slug: str
    display_name: str
    description: str | None
    default_reasoning_level: str | None
    supported_reasoning_levels: list[CodexEffort]
    shell_type: Literal["unified_exec"]
    visibility: Literal["list"]
    supported_in_api: bool
    priority: int
    upgrade: None
    base_instructions: str
    supports_reasoning_summaries: bool
    supports_reasoning_summary_parameter: bool
    support_verbosity: bool
    default_verbosity: None
    apply_patch_tool_type: Literal["freeform"]
    truncation_policy: CodexTruncation
    supports_parallel_tool_calls: bool
    context_window: int | None
    max_context_window: int | None
    auto_compact_token_limit: None
    experimental_supported_tools: list[str]
    input_modalities: list[str]
    supports_search_tool: bool
    use_responses_lite: bool


class AnthropicModel(TypedDict):
    """One model in Anthropic's form."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    lifecycle: Literal["active"]
    deprecated_at: None
    retires_at: None
    line: None
    max_input_tokens: int | None
    max_tokens: int | None
    capabilities: None


class AnthropicPage(TypedDict):
    """One page of models in Anthropic's form."""

    data: list[AnthropicModel]
    has_more: bool
    first_id: str | None
    last_id: str | None


def openai_list(catalog: Catalog, surface: Surface) -> JSON:
    """Return OpenAI's list; on the responses port Codex's catalog stands in the same object."""
    lines = catalog.listed(surface)
    body: JSON = {"object": "list", "data": [openai_model(line) for line in lines]}
    if surface == "responses":
        # Codex chooses effort and summary itself, so it needs no aliases for them.
        own = [line for line in lines if line.kind != "reasoning"]
        body["models"] = [codex_model(line, priority) for priority, line in enumerate(own, 1)]
    return body


def openai_model(line: Listed) -> JSON:
    """Return one model in OpenAI's form."""
    model = line.model
    known: JSON = {
        "context_length": model.context_window,
        "max_output_length": model.max_output_tokens,
        "input_modalities": _sorted(model.input_modalities),
        "supported_features": _sorted(model.features),
        "display_name": model.display_name,
    }
    return {
        **line.entry,
        **{name: value for name, value in known.items() if value is not None},
        "id": line.name,
        "object": "model",
        "created": model.created or 0,
        "owned_by": model.owned_by or "upstream",
    }


def codex_model(line: Listed, priority: int) -> CodexModel:
    """Return one entry of Codex's catalog; `priority` is its place in the picker, from 1."""
    model = line.model
    return {
        "slug": line.name,
        "display_name": _label(line),
        "description": None,
        # None: Codex sends no effort unless its user chose one, and the upstream's own default holds.
        "default_reasoning_level": None,
        "supported_reasoning_levels": [
            {"effort": effort, "description": _EFFORTS.get(effort, f"Effort {effort}")} for effort in _efforts(model)
        ],
        "shell_type": "unified_exec",
        "visibility": "list",
        "supported_in_api": True,
        "priority": priority,
        "upgrade": None,
        "base_instructions": model.base_instructions or AGENT,
        # This and `supports_parallel_tool_calls`: older Codex versions refuse an entry without them.
        "supports_reasoning_summaries": True,
        "supports_reasoning_summary_parameter": True,
        "support_verbosity": model.features is not None and "verbosity" in model.features,
        "default_verbosity": None,
        "apply_patch_tool_type": "freeform",
        "truncation_policy": {"mode": "tokens", "limit": 10_000},
        "supports_parallel_tool_calls": True,
        "context_window": model.context_window,
        "max_context_window": model.context_window,
        "auto_compact_token_limit": None,
        "experimental_supported_tools": [],
        "input_modalities": ["text", "image"] if model.sees_images else ["text"],
        "supports_search_tool": False,
        "use_responses_lite": False,
    }


def anthropic_model(line: Listed) -> AnthropicModel:
    """Return one model in Anthropic's form."""
    model = line.model
    return {
        "type": "model",
        "id": line.name,
        "display_name": _label(line),
        "created_at": _rfc3339(model.created),
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "line": None,
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_output_tokens,
        "capabilities": None,
    }


def anthropic_page(
    catalog: Catalog, surface: Surface, limit: str | None, after_id: str | None, before_id: str | None
) -> AnthropicPage:
    """Return the page that the query asks for. Raises: RequestError."""
    size = _page_size(limit)
    if after_id and before_id:
        raise RequestError("`after_id` and `before_id` exclude each other.", param="before_id")
    lines = [line for line in catalog.listed(surface) if line.kind != "reasoning"]
    if before_id:
        rest = lines[: _place(lines, before_id, "before_id")]
        page = rest[-size:]
    else:
        rest = lines[_place(lines, after_id, "after_id") + 1 :] if after_id else lines
        page = rest[:size]
    return {
        "data": [anthropic_model(line) for line in page],
        "has_more": len(rest) > len(page),
        "first_id": page[0].name if page else None,
        "last_id": page[-1].name if page else None,
    }


def _page_size(limit: str | None) -> int:
    if not limit:
        return _PAGE
    if limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= _LONGEST_PAGE:
        return int(limit)
    raise RequestError(f"`limit` must be a number from 1 to {_LONGEST_PAGE}.", param="limit")


def _place(lines: list[Listed], id: str, param: str) -> int:
    for place, line in enumerate(lines):
        if line.name == id:
            return place
    raise RequestError(f"`{param}` names no model of this list.", param=param)


def _label(line: Listed) -> str:
    """Return the name to show; an alias shows itself, or two lines would look the same."""
    return line.model.display_name or line.name if line.kind == "model" else line.name


def _efforts(model: Model) -> tuple[str, ...]:
    if model.reasoning_levels is not None:
        return model.reasoning_levels
    return _COMMON_EFFORTS if model.reasons else ()


def _rfc3339(seconds: int | None) -> str:
    try:
        return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return _EPOCH


def _sorted(words: frozenset[str] | None) -> list[str] | None:
    """Return the words in a fixed order, `text` before other kinds of input."""
    return None if words is None else sorted(words, key=lambda word: (word != "text", word))

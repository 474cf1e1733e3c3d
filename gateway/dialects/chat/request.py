"""The last step before a Chat upstream: a hub body, spelled as this model takes it. Also what a relayed body
must change. Pure; nothing is copied that does not change.

    reasoning_content           as it is, as `<think>` text, or not at all, by `reasoning_replay`
    max_tokens                  under the name by `max_tokens_field`
    reasoning_effort            the nearest of `reasoning_levels`
    tools, tool_choice, …       only where there are tools: vLLM and others refuse an empty list
    stream_options              usage is asked for in streams, and only there
    nulls, `HUB_KEY`            never sent
    what was refused by name    left out (`gateway.remedy` reads it from the refusal)

Members keep the order of the hub body, so the bytes are the same in every turn.
Reference: OpenAI API, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.dialects import HUB_KEY
from gateway.profile import Model
from gateway.types import JSON

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
"""Words for reasoning effort, from least to most."""

_REQUIRED = frozenset(["model", "messages", "stream"])
_PRIVATE = frozenset([HUB_KEY, "reasoning_content"])
"""Members of a hub message that do not simply go on."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_WITH_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")


def for_upstream(body: JSON, model: Model, omit: frozenset[str] = frozenset()) -> JSON:
    """Return the body as it leaves for this model, without the fields named in `omit`."""
    refused = omit - _REQUIRED
    upstream = {name: value for name, value in body.items() if value is not None and name not in refused}
    upstream.pop(HUB_KEY, None)
    _rename_limit(upstream, model)
    _fit_tools(upstream, strict="strict" not in refused)
    _fit_effort(upstream, model)
    if "logprobs" in refused:
        upstream.pop("top_logprobs", None)
    options = upstream.pop("stream_options", None)
    if upstream.get("stream") is True and "stream_options" not in refused:
        upstream["stream_options"] = (options if isinstance(options, dict) else {}) | {"include_usage": True}
    if "messages" in upstream:
        replay = "off" if "reasoning_content" in refused else model.reasoning_replay
        placeholder = model.reasoning_placeholder
        upstream["messages"] = [_spelled(message, replay, placeholder) for message in upstream["messages"]]
    return upstream


def relay_edits(body: Mapping[str, Any], model_id: str | None) -> dict[str, Any]:
    """Return the members of a relayed body that must change: the new value, or None to leave the member out.

    `model_id` is the upstream's name of the model; None leaves the name as it is.
    """
    edits: dict[str, Any] = {}
    if model_id is not None and body.get("model", model_id) != model_id:
        edits["model"] = model_id
    if body.get("tools") in (None, []):
        edits |= dict.fromkeys(name for name in ("tools", "tool_choice") if name in body)
    return edits


def _rename_limit(upstream: JSON, model: Model) -> None:
    limits = [upstream.pop(name) for name in _LIMITS if name in upstream]
    if limits:
        upstream[model.max_tokens_field] = limits[0]


def _fit_tools(upstream: JSON, *, strict: bool) -> None:
    """Leave out what is about tools where there are none; leave out `strict` where it is refused."""
    if not upstream.get("tools"):
        for name in _WITH_TOOLS:
            upstream.pop(name, None)
    elif not strict:
        upstream["tools"] = [_without_strict(tool) for tool in upstream["tools"]]


def _without_strict(tool: JSON) -> JSON:
    function = tool.get("function")
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    return {**tool, "function": {name: value for name, value in function.items() if name != "strict"}}


def _fit_effort(upstream: JSON, model: Model) -> None:
    if "reasoning_effort" not in upstream:
        return
    nearest = nearest_effort(upstream["reasoning_effort"], model)
    if nearest is None:
        del upstream["reasoning_effort"]
    else:
        upstream["reasoning_effort"] = nearest


def nearest_effort(effort: Any, model: Model) -> Any:
    """Return the level of the model nearest to an effort, of two the higher; None where nothing tells which is near.

    Where nobody told its levels, every effort is passed as it is.
    """
    levels = model.reasoning_levels
    if levels is None or effort in levels:
        return effort
    known = [level for level in levels if level in EFFORTS]
    if effort not in EFFORTS or not known:
        return None
    rank = EFFORTS.index(effort)
    return min(known, key=lambda level: (abs(EFFORTS.index(level) - rank), -EFFORTS.index(level)))


def _spelled(message: JSON, replay: str, placeholder: str | None) -> JSON:
    """Return one message as it leaves; itself, where nothing is to be changed."""
    thought = message.get("reasoning_content")
    if not thought and placeholder and message.get("tool_calls"):
        thought = placeholder
    if not thought and _PRIVATE.isdisjoint(message):
        return message
    out = {name: value for name, value in message.items() if name not in _PRIVATE}
    if thought and replay == "field":
        out["reasoning_content"] = thought
    elif thought and replay == "think":
        out["content"] = thinking(thought, out.get("content"))
    return out


def thinking(thought: str, content: Any) -> Any:
    """Put a thought in front of the content."""
    text = f"<think>\n{thought}\n</think>\n\n"
    if isinstance(content, list):
        return [{"type": "text", "text": text}, *content]
    return text + (content or "")

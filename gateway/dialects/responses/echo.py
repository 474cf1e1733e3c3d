"""What the response resource repeats of its request: every member, with the defaults of OpenAI.

Clients and SDKs of strict languages parse these members; sampling values, `store`, `background`,
`service_tier`, `truncation` and `text` are never null. Reference: `Response` of the OpenAI API, and
`ResponseResource` of the Open Responses specification.
"""

from __future__ import annotations

from typing import Any

from gateway.dialects.responses import fields
from gateway.dialects.responses.tools import unnested
from gateway.types import JSON

_SECRETS = ("authorization", "headers")
"""Members of a remote MCP server's tool that are credentials and do not come back."""

_DEFAULTS: JSON = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": None,
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": 1.0,
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def echo(body: JSON) -> JSON:
    """Return the members that repeat a checked request.

    `store` is false: nothing is kept. A store, where there is one, puts in what it does (`gateway.store.turn`).
    """
    members = {name: default if body.get(name) is None else body[name] for name, default in _DEFAULTS.items()}
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    members["max_output_tokens"] = fields.token_limit(body)
    summary = (reasoning.get("summary") or reasoning.get("generate_summary")) if fields.wants_summary(body) else None
    members["reasoning"] = {"effort": reasoning.get("effort"), "summary": summary}
    members["store"] = False
    members["text"] = {"format": fields.text_format(text), "verbosity": text.get("verbosity") or "medium"}
    members["tool_choice"] = _tool_choice(body.get("tool_choice"))
    members["tools"] = [_tool(tool) for tool in body.get("tools") or ()]
    return members


def _tool_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice or "auto"
    inner, _ = unnested(choice, choice["type"], "tool_choice")
    return choice if inner is choice else {"type": choice["type"], **inner}


def _tool(tool: JSON) -> JSON:
    kind = tool["type"]
    if kind == "function":
        flat, _ = unnested(tool, kind, "tools")
        return {"type": kind, "description": None, "parameters": None, "strict": False, **_given(flat)}
    if kind == "custom":
        flat, _ = unnested(tool, kind, "tools")
        return {"type": kind, "format": {"type": "text"}, **_given(flat)}
    if kind == "mcp":
        return {key: value for key, value in tool.items() if key not in _SECRETS}
    return tool


def _given(tool: JSON) -> JSON:
    return {key: value for key, value in tool.items() if value is not None}

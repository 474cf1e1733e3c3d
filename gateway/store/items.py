"""Items as they are kept and shown. Pure.

What a client sends as `input` may be a string or sparse items; kept items have an id each, and are shown in the
form of the published schema (`ResponseItem` of the OpenAI API).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.dialects import NewId
from gateway.types import JSON

_PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "compaction": "cmp_",
}
_REFERENCE = ("item_reference", None)


def kept(given: Any, new_id: NewId) -> list[JSON]:
    """Return the items of a checked `input`, each with its type and an id."""
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    return [_with_id(item, new_id) for item in given or ()]


def _with_id(item: JSON, new_id: NewId) -> JSON:
    kind = item.get("type") or "message"
    id = item.get("id")
    if not isinstance(id, str) or not id:
        id = new_id(_PREFIXES.get(kind, "item_"))
    return {**item, "id": id, "type": kind}


def references(given: Any) -> dict[int, str]:
    """Return the ids that references of an `input` name, by their places. It looks at each item of every request."""
    if not isinstance(given, list):
        return {}
    perhaps = [place for place, item in enumerate(given) if type(item) is dict and item.get("type") in _REFERENCE]
    return {place: given[place]["id"] for place in perhaps if _refers(given[place])}


def _refers(item: JSON) -> bool:
    """Tell whether an item is a reference; SDKs may leave its type out."""
    named = isinstance(item.get("id"), str)
    return named and (item.get("type") is not None or set(item) - {"type"} == {"id"})


def resolved(given: list[Any], places: dict[int, str], found: dict[str, JSON]) -> list[Any]:
    """Return the input with the items in the place of their references; those not found stay."""
    return [found.get(places[place], item) if place in places else item for place, item in enumerate(given)]


def since_compaction(items: Sequence[JSON]) -> Sequence[JSON]:
    """Return the items from the last compaction on: it stands for all that came before it."""
    for place in range(len(items) - 1, -1, -1):
        if items[place].get("type") in ("compaction", "compaction_summary"):
            return items[place:]
    return items


def shown(item: JSON) -> JSON:
    """Return a kept item in the form of the published schema."""
    kind = item["type"]
    shown = {name: value for name, value in item.items() if value is not None}
    if kind == "message" or kind.endswith(("_call", "_output")):
        shown.setdefault("status", "completed")
    if kind == "message":
        shown["content"] = _content(item.get("content"), item.get("role"))
    elif kind == "reasoning":
        shown.setdefault("summary", [])
    return shown


def _content(content: Any, role: Any) -> list[JSON]:
    text = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": text, "text": content}] if isinstance(content, str) else content or []
    return [_part(part, text) for part in parts]


def _part(part: JSON, text: str) -> JSON:
    kind = part.get("type")
    if kind == "text":
        part = {**part, "type": text}
    if part["type"] == "output_text":
        return {"annotations": [], "logprobs": [], **part}
    if kind == "input_image":
        return {"detail": "auto", "file_id": None, **part}
    return part

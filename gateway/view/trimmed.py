"""Makes payloads small enough for a page: long texts, long lists, and what is still too long. Pure."""

from __future__ import annotations

from typing import Any

from gateway.jsonbody import dump, load_upstream

_STEPS = ((20_000, 400), (4_000, 200), (1_000, 80), (300, 40), (80, 12))
"""Longest text in characters and longest list, one step after the other until all fits."""
_LARGE = (str, dict, list)


def trimmed_body(raw: bytes | None, limit: int) -> tuple[Any, int]:
    """Return a body as JSON (or as text where it is none) in at most about `limit` bytes, and its true size."""
    if raw is None:
        return None, 0
    if raw[:1] not in (b"{", b"["):
        return trimmed_text(raw, limit), len(raw)
    try:
        value = load_upstream(raw)
    except ValueError:
        return trimmed_text(raw, limit), len(raw)
    if len(raw) <= limit:
        return value, len(raw)
    value = _with_brief_tools(value)
    # The first steps would be in vain where far too much is there.
    for text, items in _STEPS[min(len(_STEPS) - 1, (len(raw) // limit).bit_length() // 3) :]:
        small = _small(value, text, items)
        if len(dump(small)) <= limit:
            return small, len(raw)
    return trimmed_text(raw, limit), len(raw)


def trimmed_text(raw: bytes, limit: int) -> str:
    """Return bytes as text, its middle left out where it is too long."""
    text = raw[: 4 * limit].decode("utf-8", "replace") if len(raw) > 4 * limit else raw.decode("utf-8", "replace")
    if len(raw) <= limit:
        return text
    return f"{text[:limit]}… ({len(raw) - limit:,} more bytes)"


def _with_brief_tools(value: Any) -> Any:
    """Leave of declared tools their names: they are long and the same in each request."""
    tools = value.get("tools") if isinstance(value, dict) else None
    if not isinstance(tools, list):
        return value
    brief = []
    for tool in tools:
        inner = tool.get("function", tool) if isinstance(tool, dict) else {}
        name = inner.get("name") if isinstance(inner, dict) else None
        size = len(dump(tool))
        brief.append({"name": name, "…": f"{size:,} bytes"} if name and size > 200 else tool)
    return {**value, "tools": brief}


def _small(value: Any, text: int, items: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if len(value) <= text else f"{value[:text]}… ({len(value) - text:,} more characters)"
    if kind is dict:
        return {name: _small(one, text, items) if type(one) in _LARGE else one for name, one in value.items()}
    if kind is list:
        if len(value) <= items:
            return [_small(one, text, items) for one in value]
        # The end of a conversation says more than its middle.
        head, tail = value[: items // 4], value[-(items - items // 4) :]
        left = f"… ({len(value) - items:,} more)"
        return [*(_small(one, text, items) for one in head), left, *(_small(one, text, items) for one in tail)]
    return value

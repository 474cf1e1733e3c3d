"""Reads Chat Completions bodies, as the upstream got them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

JSON = dict[str, Any]


def texts_of(body: JSON, role: str) -> list[str]:
    """Return the texts of a Chat body's messages of one role, parts joined."""
    return [text_of(message) for message in body["messages"] if message["role"] == role]


def outputs_of(body: JSON) -> list[str]:
    """Return the texts of a Chat body's tool messages."""
    return texts_of(body, "tool")


def whole_text(body: JSON) -> str:
    """Return all texts of a Chat body."""
    return "\n".join(text_of(message) for message in body["messages"])


def text_of(message: JSON) -> str:
    """Return a Chat message's text, whatever its form."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content or ""


def images_of(body: JSON) -> list[str]:
    """Return the URLs of all image parts of a Chat body."""
    parts = [part for message in body["messages"] for part in _parts(message)]
    return [part["image_url"]["url"] for part in parts if part.get("type") == "image_url"]


def _parts(message: JSON) -> Iterable[JSON]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def tool_names(body: JSON) -> list[str]:
    """Return the names of the function tools that a Chat body offers."""
    return [tool["function"]["name"] for tool in body.get("tools", [])]

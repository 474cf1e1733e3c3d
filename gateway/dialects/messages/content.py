"""Content blocks of Messages, into Chat's parts.

Nothing is fetched. What the model cannot take, a PDF above all, leaves a note in its place and is listed, but is
no error: the block stays in the client's history and would end the session. A block type that nobody knows
is an error, because left out it would change what was said.

Reference: Anthropic API reference, "Messages", content blocks; "PDF support"; "Search results".
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.dialects import shape
from gateway.dialects.chat.history import NO_IMAGE
from gateway.dialects.messages.tools import short_name
from gateway.errors import UnsupportedFeature
from gateway.profile import Model
from gateway.types import JSON

NO_FILE = "[A document was here; this model cannot read it.]"

_TEXT_TYPES = frozenset(f"application/{name}" for name in ("json", "xml", "yaml", "x-yaml", "toml", "javascript"))

_SERVED_ENDS = ("_tool_use", "_tool_result")
_SERVED = frozenset(
    (
        "server_tool_use",
        "container_upload",
        "fallback",
        "mcp_tool_listing",
        "tool_addition",
        "tool_removal",
        "browser_state",
    )
)
"""Blocks about what Anthropic's servers did or keep; with other types that end in `_tool_use` or `_tool_result`."""


@dataclass(slots=True)
class Intake:
    """What the translation of one request gathers on its way.

    `dropped`: paths of what was left out. `loaded`: names of tools that the conversation refers to.
    """

    model: Model
    dropped: list[str] = field(default_factory=list)
    loaded: set[str] = field(default_factory=set)

    def note(self, text: str, path: str) -> list[JSON]:
        """Return a note in the place of a block that is left out, and list the block."""
        self.dropped.append(path)
        return text_parts(text)


def text_parts(text: str) -> list[JSON]:
    """Return the parts of a text: one, or none where it is empty."""
    return [{"type": "text", "text": text}] if text else []


def blocks_of(holder: JSON, path: str) -> list[JSON]:
    """Return the blocks of a `content` member; a string is one block of text. Raises: RequestError."""
    value = holder.get("content")
    path = f"{path}.content"
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list):
        raise shape.wrong(path, "a string or a list of content blocks", value)
    for index, block in enumerate(value):
        if not isinstance(block, dict):
            raise shape.wrong(f"{path}[{index}]", "a content block (an object)", block)
        shape.name(block, "type", f"{path}[{index}]")
    return value


def parts_of(block: JSON, path: str, intake: Intake) -> list[JSON]:
    """Translate one block. Raises: RequestError."""
    kind: str = block["type"]
    convert = _BLOCKS.get(kind)
    if convert is not None:
        return convert(block, path, intake)
    if kind in _SERVED or kind.endswith(_SERVED_ENDS):
        intake.dropped.append(path)
        return []
    raise UnsupportedFeature(
        f"`{path}`: content of type {shape.shown(kind)} cannot be sent to this model.",
        param=path,
        code="unsupported_content_block",
    )


def joined(parts: list[JSON]) -> str | list[JSON]:
    """Return Chat content: a string where there is only text, because many chat templates take nothing else."""
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def plain(parts: list[JSON], path: str) -> str:
    """Return content that in Chat is text only. Raises: UnsupportedFeature."""
    content = joined(parts)
    if isinstance(content, str):
        return content
    raise UnsupportedFeature(f"`{path}`: only a user's message can hold images and files.", param=path)


def _text(block: JSON, path: str, intake: Intake) -> list[JSON]:
    return text_parts(shape.text(block, "text", path))


def _image(block: JSON, path: str, intake: Intake) -> list[JSON]:
    source, kind = _source(block, path)
    where = f"{path}.source"
    match kind:
        case "base64":
            media, data = shape.name(source, "media_type", where), shape.name(source, "data", where)
            url = f"data:{media};base64,{data}"
        case "url":
            url = shape.name(source, "url", where)
        case "file":
            return intake.note(NO_IMAGE, path)
        case _:
            raise shape.fault(f"{where}.type", f"`{where}.type` must be base64 or url.")
    if not intake.model.sees_images:
        return intake.note(NO_IMAGE, path)
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document(block: JSON, path: str, intake: Intake) -> list[JSON]:
    source, kind = _source(block, path)
    where = f"{path}.source"
    title = shape.optional_text(block, "title", path)
    context = shape.optional_text(block, "context", path)
    head = text_parts(
        "\n".join(f"{key}: {value}" for key, value in (("Document", title), ("Context", context)) if value)
    )
    match kind:
        case "text":
            return head + text_parts(shape.text(source, "data", where))
        case "content":
            inner = blocks_of(source, where)
            return head + [
                part for i, one in enumerate(inner) for part in parts_of(one, f"{where}.content[{i}]", intake)
            ]
        case "base64":
            return head + _data(source, where, title, path, intake)
        case "url":
            url = shape.name(source, "url", where)
            return head + intake.note(f"{NO_FILE[:-1]} Its address: {url}]", path)
        case "file":
            return head + intake.note(NO_FILE, path)
        case _:
            raise shape.fault(f"{where}.type", f"`{where}.type` must be text, content, base64 or url.")


def _data(source: JSON, where: str, title: str | None, path: str, intake: Intake) -> list[JSON]:
    """Base64 data of a document: text becomes text, an image an image, the rest a file where the model takes files."""
    media, data = shape.name(source, "media_type", where).lower(), shape.text(source, "data", where)
    if media.startswith("image/"):
        return _image({"source": {**source, "type": "base64"}}, path, intake)
    if media.startswith("text/") or media in _TEXT_TYPES:
        try:
            return text_parts(b64decode(data, validate=True).decode("utf-8-sig", "replace"))
        except ValueError as exc:
            raise shape.fault(f"{where}.data", f"`{where}.data` is not base64.") from exc
    if not intake.model.files:
        return intake.note(NO_FILE, path)
    file = {"filename": title or "document.pdf", "file_data": f"data:{media};base64,{data}"}
    return [{"type": "file", "file": file}]


def _search_result(block: JSON, path: str, intake: Intake) -> list[JSON]:
    title, source = shape.text(block, "title", path), shape.text(block, "source", path)
    parts = text_parts(f"Search result: {title}\nSource: {source}")
    for index, inner in enumerate(blocks_of(block, path)):
        parts += parts_of(inner, f"{path}.content[{index}]", intake)
    return parts


def _tool_reference(block: JSON, path: str, intake: Intake) -> list[JSON]:
    name = shape.name(block, "tool_name", path)
    intake.loaded.add(name)
    return text_parts(f"The tool {short_name(name)} is loaded.")


def _compaction(block: JSON, path: str, intake: Intake) -> list[JSON]:
    return text_parts(shape.optional_text(block, "content", path) or "")


def _source(block: JSON, path: str) -> tuple[JSON, str]:
    source: Any = block.get("source")
    if not isinstance(source, dict):
        raise shape.wrong(f"{path}.source", "an object", source)
    return source, shape.name(source, "type", f"{path}.source")


_BLOCKS: dict[str, Callable[[JSON, str, Intake], list[JSON]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
    "compaction": _compaction,
}

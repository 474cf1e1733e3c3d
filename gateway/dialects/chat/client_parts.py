"""Content of a chat client's messages, checked and in Chat's own form.

Clients of the Responses API's front ends leave its forms in (`input_text`, `input_image`, `input_file`), and so
does whoever copied from its guide; they are taken as well. Nothing is fetched. Audio and parts that are not
known are refused: left out, they would change what the user said.

What Chat has no member for (an image by its file id, a file by its address) is a `file` part whose private
member holds what a Responses upstream is to be told instead.
Reference: OpenAI API, "Create chat completion", `messages`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.dialects import HUB_KEY, shape
from gateway.errors import TooLarge, UnsupportedFeature
from gateway.profile import Terms
from gateway.types import JSON

_URLS = ("data:", "http://", "https://")


@dataclass(slots=True)
class Intake:
    """What the translation of one request gathers on its way: members left out, and the size of all text."""

    terms: Terms
    dropped: list[str] = field(default_factory=list)
    text_bytes: int = 0

    def count(self, text: str) -> str:
        """Count a text and return it. Raises: TooLarge, where all texts together exceed the limit."""
        self.text_bytes += shape.size_of(text)
        limit = self.terms.limits.max_text_bytes
        if self.text_bytes > limit:
            raise TooLarge(
                f"The text of the request is longer than {limit} bytes (MAX_TEXT_BYTES), not counting images.",
                param="messages",
            )
        return text


def content(value: Any, path: str, intake: Intake) -> str | list[JSON]:
    """Return content: a string as it is, of parts each in Chat's form. Raises: RequestError."""
    if isinstance(value, str):
        return intake.count(value)
    if not isinstance(value, list):
        raise shape.wrong(path, "a string or a list of content parts", value)
    return [_part(part, f"{path}[{index}]", intake) for index, part in enumerate(value)]


def plain_text(value: Any, path: str, intake: Intake, joint: str = "\n") -> str:
    """Return content that may be text only (of an instruction, of an assistant). Raises: RequestError."""
    parts = content(value, path, intake)
    if isinstance(parts, str):
        return parts
    for index, part in enumerate(parts):
        if part["type"] != "text":
            place = f"{path}[{index}]"
            raise UnsupportedFeature(
                f"`{place}`: only a user message or a tool's output can hold images and files.", param=place
            )
    return joint.join(part["text"] for part in parts)


def _part(part: Any, path: str, intake: Intake) -> JSON:
    if isinstance(part, str):
        return _text(intake.count(part))
    if not isinstance(part, dict):
        raise shape.wrong(path, "a content part (an object)", part)
    kind = shape.text(part, "type", path)
    read = _PARTS.get(kind)
    if read is not None:
        return read(part, path, intake)
    if "audio" in kind:
        raise UnsupportedFeature(
            f"`{path}`: audio cannot be sent to this upstream.", param=path, code="unsupported_audio"
        )
    raise UnsupportedFeature(
        f"`{path}`: content of type {shape.shown(kind)} cannot be sent to this upstream.", param=path
    )


def _text(text: str) -> JSON:
    return {"type": "text", "text": text}


def _text_part(part: JSON, path: str, intake: Intake) -> JSON:
    return _text(intake.count(shape.text(part, "text", path)))


def _refusal(part: JSON, path: str, intake: Intake) -> JSON:
    # As text: the model should see that it refused.
    return _text(intake.count(shape.text(part, "refusal", path)))


def _image(part: JSON, path: str, intake: Intake) -> JSON:
    given = part.get("image_url")
    detail = shape.optional_text(part, "detail", path)
    if given is None and part.get("file_id") is not None:
        spelled = {"type": "input_image", "detail": detail or "auto"}
        return {"type": "file", "file": {"file_id": shape.name(part, "file_id", path)}, HUB_KEY: spelled}
    place = f"{path}.image_url"
    if isinstance(given, dict):
        detail = shape.optional_text(given, "detail", place) or detail
        url = shape.text(given, "url", place)
    else:  # as in the Responses API
        url = shape.text(part, "image_url", path)
    if not url[:8].lower().startswith(_URLS):
        raise UnsupportedFeature(
            f"`{place}` must be a data URL or begin with https://.", param=place, code="unsupported_image"
        )
    return {"type": "image_url", "image_url": {"url": url} if detail is None else {"url": url, "detail": detail}}


def _file(part: JSON, path: str, intake: Intake) -> JSON:
    inner = shape.mapping(part, "file", path)
    if inner is not None:
        part, path = inner, f"{path}.file"
    file = {
        name: value
        for name in ("filename", "file_data", "file_id")
        if (value := shape.optional_text(part, name, path)) is not None
    }
    url = shape.optional_text(part, "file_url", path)
    if url is not None:
        return {"type": "file", "file": file, HUB_KEY: {"file_url": url}}
    if "file_data" not in file and "file_id" not in file:
        raise shape.fault(path, f"`{path}` holds no file: `file_data` or `file_id` is needed.")
    return {"type": "file", "file": file}


_PARTS: dict[str, Callable[[JSON, str, Intake], JSON]] = {
    "text": _text_part,
    "input_text": _text_part,
    "output_text": _text_part,
    "refusal": _refusal,
    "image_url": _image,
    "input_image": _image,
    "file": _file,
    "input_file": _file,
    "document": _file,
}

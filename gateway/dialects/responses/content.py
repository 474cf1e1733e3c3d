"""Content parts of Responses, into those of Chat.

Text stays text. An image becomes an `image_url` part, or a short note where the model does not see images.
A file whose text is in the request becomes text; any other file goes on as a `file` part where the model
takes files, else it is refused with advice. Nothing is fetched. A part that is not known is refused: left out,
it would change what the user said.
Reference: `ResponseInputContent`, `ResponseOutputText` and `ResponseOutputRefusal` of the OpenAI API.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from gateway.dialects import shape
from gateway.dialects.chat.history import NO_IMAGE
from gateway.errors import RequestError, TooLarge, UnsupportedFeature
from gateway.profile import Terms
from gateway.types import JSON

_TEXTS = frozenset(("input_text", "output_text", "text"))
"""Part types that hold plain text; `text` is Chat's word, which some front ends send here too."""

_DETAILS = {"low": "low", "high": "high", "auto": "auto", "original": "high"}

_TEXT_TYPES = frozenset(
    f"application/{name}" for name in ("json", "xml", "yaml", "x-yaml", "toml", "javascript", "x-sh", "sql", "x-ndjson")
)

_FILE_ADVICE = (
    "Send the text of the file instead: as an `input_text` part, or in `file_data` as a base64 data URL of type text/*."
)


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
                param="input",
            )
        return text


def content(value: Any, path: str, intake: Intake, joint: str = "\n") -> str | list[JSON]:
    """Return Chat content: a string where there is only text (parts joined by `joint`), else parts.

    Chat templates of many models take nothing but a string.
    """
    if isinstance(value, str):
        return intake.count(value)
    if not isinstance(value, list):
        raise shape.wrong(path, "a string or a list of content parts", value)
    parts = [_part(part, f"{path}[{index}]", intake) for index, part in enumerate(value)]
    if all(part["type"] == "text" for part in parts):
        return joint.join(part["text"] for part in parts)
    return parts


def plain_text(value: Any, path: str, intake: Intake, joint: str = "\n") -> str:
    """Return content of a message that in Chat holds text only (system, assistant)."""
    result = content(value, path, intake, joint)
    if isinstance(result, str):
        return result
    index = next(i for i, part in enumerate(result) if part["type"] != "text")
    raise UnsupportedFeature(
        f"`{path}[{index}]`: only a user message or a tool's output can hold images and files.",
        param=f"{path}[{index}]",
    )


def _part(part: Any, path: str, intake: Intake) -> JSON:
    if not isinstance(part, dict):
        raise shape.wrong(path, "a content part (an object)", part)
    kind = shape.text(part, "type", path)
    if kind in _TEXTS:
        return {"type": "text", "text": intake.count(shape.text(part, "text", path))}
    convert = _PARTS.get(kind)
    if convert is None:
        raise UnsupportedFeature(
            f"`{path}`: content of type {shape.shown(kind)} cannot be sent to this model.", param=path
        )
    return convert(part, path, intake)


def _refusal(part: JSON, path: str, intake: Intake) -> JSON:
    # As text: few chat servers know a refusal part, and the model should see that it refused.
    return {"type": "text", "text": intake.count(shape.text(part, "refusal", path))}


def _image(part: JSON, path: str, intake: Intake) -> JSON:
    url = part.get("image_url")
    if isinstance(url, dict):  # Chat's nested form
        part = {"detail": url.get("detail"), **part, "image_url": url.get("url")}
        url = part["image_url"]
    if url is None and part.get("file_id") is not None:
        raise UnsupportedFeature(
            f"`{path}`: an image by `file_id` cannot be sent to this model. Send it as a data URL in `image_url`.",
            param=f"{path}.file_id",
            code="unsupported_image",
        )
    url = shape.text(part, "image_url", path)
    if not url[:8].lower().startswith(("data:", "http://", "https://")):
        raise UnsupportedFeature(
            f"`{path}.image_url` must be a data URL or begin with https://.",
            param=f"{path}.image_url",
            code="unsupported_image",
        )
    detail = shape.optional_text(part, "detail", path)
    if detail is not None and detail not in _DETAILS:
        raise shape.fault(f"{path}.detail", f"`{path}.detail` must be one of {', '.join(_DETAILS)}.")
    if not intake.terms.model.sees_images:
        intake.dropped.append(path)
        return {"type": "text", "text": NO_IMAGE}
    image = {"url": url} if detail is None else {"url": url, "detail": _DETAILS[detail]}
    return {"type": "image_url", "image_url": image}


def _file(part: JSON, path: str, intake: Intake) -> JSON:
    filename = shape.optional_text(part, "filename", path)
    data = shape.optional_text(part, "file_data", path)
    url = shape.optional_text(part, "file_url", path)
    if data is None and url is not None and url[:5].lower() == "data:":
        data = url
    if data is not None:
        text = _inline_text(data, path)
        if text is not None:
            return {"type": "text", "text": intake.count(_titled(text, filename))}
    return _whole_file(part, path, intake, filename, data)


def _whole_file(part: JSON, path: str, intake: Intake, filename: str | None, data: str | None) -> JSON:
    """Return the `file` part for a file that is not text, where the model takes files."""
    file_id = shape.optional_text(part, "file_id", path)
    if data is None and file_id is None and part.get("file_url") is None:
        raise shape.fault(path, f"`{path}` holds no file: `file_data` is needed. {_FILE_ADVICE}")
    file = {
        key: value
        for key, value in (("filename", filename), ("file_data", data), ("file_id", file_id))
        if value is not None
    }
    if not intake.terms.model.files or (data is None and file_id is None):
        raise UnsupportedFeature(
            f"`{path}`: this file cannot be sent to this model. {_FILE_ADVICE}", param=path, code="unsupported_file"
        )
    return {"type": "file", "file": file}


def _titled(text: str, filename: str | None) -> str:
    return text if filename is None else f"File {filename}:\n\n{text}"


def _inline_text(data: str, path: str) -> str | None:
    """Return the text of a data URL or of bare base64; None where it is not text."""
    if data[:5].lower() != "data:":
        return _readable(_from_base64(data, path))
    head, comma, payload = data[5:].partition(",")
    if not comma:
        raise shape.fault(path, f"`{path}` holds a data URL without a comma.")
    media, *settings = (word.strip().lower() for word in head.split(";"))
    if media and not media.startswith("text/") and media not in _TEXT_TYPES and not media.endswith(("+json", "+xml")):
        return None
    return _readable(_from_base64(payload, path) if "base64" in settings else unquote_to_bytes(payload))


def _from_base64(data: str, path: str) -> bytes:
    try:
        return b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise RequestError(f"`{path}` holds file data that is not base64.", param=path) from exc


def _readable(data: bytes) -> str | None:
    """Return the text of bytes, None where they are none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


_PARTS: dict[str, Callable[[JSON, str, Intake], JSON]] = {
    "refusal": _refusal,
    "input_image": _image,
    "image_url": _image,
    "input_file": _file,
}

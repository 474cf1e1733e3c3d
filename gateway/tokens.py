"""Counts tokens without asking anyone: text by a byte-pair encoding, images by their size.

The encoding is cl100k_base, its table ships with the package `splintr-rs`. Each upstream model has a
vocabulary of its own: for English and program text they differ by a few per cent, for other scripts newer
ones need fewer tokens, so this count errs on the high side.

Text is counted in slices of about a millisecond, and `pause` is called between them: one long computation
would stop every other stream of the worker. The table is loaded at the first count; `load` does it earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from math import ceil
from typing import Any

from splintr import Tokenizer

from gateway.image_size import size_of_url
from gateway.jsonbody import dump
from gateway.types import JSON

SLICE = 8192
"""Characters counted at a time. A cut inside of a word costs one token at most."""

SAMPLE = 2 * SLICE
"""Characters that an estimate looks at; a text that is no longer is counted in full."""

PER_MESSAGE = 3
"""Tokens that a chat template spends on a message: its marks and its role."""

PER_CALL = 3
"""Tokens round the name and the arguments of a call, or round a tool."""

IMAGE = 85
"""Tokens of an image of unknown size, and of the smallest one."""

_IMAGE_MOST = 1600
_IMAGE_EDGE = 1568
_PIXELS_A_TOKEN = 750

_FILE_CHARS_A_TOKEN = 40
"""Base64 characters a token, for a file whose pages are not known. A page of text has about 20 a token, a scan 900."""

_CACHED_CHARS = 1_000_000
"""The tokenizer remembers the words it has met, without a bound on bytes; after this much text it starts anew."""

_WINDOWS = 8


def load() -> None:
    """Load the table now (some 50 ms and 20 MB), rather than at the first count."""
    _counter()


def count(text: str, pause: Callable[[], None] | None = None) -> int:
    """Return the tokens of a text. `pause` is called after each slice."""
    return count_many((text,), pause)


def count_many(texts: Iterable[str], pause: Callable[[], None] | None = None) -> int:
    """Return the tokens of several texts, each counted by itself. `pause` is called after each slice's worth."""
    counter = _counter()
    total = done = 0
    for text in texts:
        for at in range(0, len(text), SLICE):
            piece = text[at : at + SLICE]
            total += counter.count(piece)
            done += len(piece)
            if pause is not None and done >= SLICE:
                pause()
                done = 0
    return total


def estimate(text: str) -> int:
    """Return about the tokens of a text, in bounded time: of a long one a sample is counted."""
    size = len(text)
    if size <= SAMPLE:
        return count(text)
    width = SAMPLE // _WINDOWS
    starts = ((size - width) * window // (_WINDOWS - 1) for window in range(_WINDOWS))
    return count_many(text[start : start + width] for start in starts) * size // SAMPLE


def count_chat(body: JSON, pause: Callable[[], None] | None = None) -> int:
    """Return the tokens of the prompt that a Chat body makes: messages, calls, reasoning, tools, images, schema."""
    texts, fixed = prompt(body)
    return count_many(texts, pause) + fixed


def estimate_chat(body: JSON) -> int:
    """Return about what `count_chat` returns, in bounded time."""
    texts, fixed = prompt(body)
    return estimate("\n".join(texts)) + fixed


def prompt(body: JSON) -> tuple[list[str], int]:
    """Return the texts of which the prompt of a Chat body is made, and the tokens of what is no text.

    Members of other shapes than Chat's count nothing.
    """
    texts: list[str] = []
    fixed = 0
    for message in _objects(body.get("messages")):
        fixed += PER_MESSAGE + add_texts(message, texts)
    for tool in _objects(body.get("tools")):
        fixed += PER_CALL
        texts.append(dump(tool.get("function") or tool.get("custom") or tool).decode())
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("json_schema"):
        texts.append(dump(form["json_schema"]).decode())
    return texts, fixed


def add_texts(message: JSON, texts: list[str]) -> int:
    """Add the texts of a Chat message to others; return the tokens of its images and files."""
    fixed = 0
    for key in ("reasoning_content", "content", "refusal"):
        value = message.get(key)
        if type(value) is str:
            texts.append(value)
        elif value:
            fixed += sum(_add_part(part, texts) for part in _objects(value))
    for call in _objects(message.get("tool_calls")):
        fixed += PER_CALL
        spelled = call.get("function") or call.get("custom")
        if isinstance(spelled, dict):
            texts += [spelled[key] for key in ("name", "arguments", "input") if isinstance(spelled.get(key), str)]
    return fixed


def image_tokens(image: JSON) -> int:
    """Return the tokens of an image (`url`, `detail`), by its size where the data tells it.

    Source: Anthropic's rule of one token for 750 pixels, after the longer edge is brought down to 1568.
    """
    url = image.get("url")
    size = size_of_url(url) if isinstance(url, str) and image.get("detail") != "low" else None
    if size is None:
        return IMAGE
    width, height = size
    scale = min(1.0, _IMAGE_EDGE / max(width, height, 1))
    return max(IMAGE, min(_IMAGE_MOST, round(width * scale * height * scale / _PIXELS_A_TOKEN)))


def _add_part(part: JSON, texts: list[str]) -> int:
    match part:
        case {"type": "image_url", "image_url": dict(image)}:
            return image_tokens(image)
        case {"type": "file", "file": {"file_data": str(data)}}:
            return max(IMAGE, len(data) // _FILE_CHARS_A_TOKEN)
        case {"text": str(text)} | {"refusal": str(text)}:
            texts.append(text)
    return 0


def _objects(value: Any) -> list[JSON]:
    return [entry for entry in value if isinstance(entry, dict)] if type(value) is list else []


class _Counter:
    """The tokenizer, with its memory kept in bounds."""

    def __init__(self) -> None:
        self._tokenizer = Tokenizer.from_pretrained("cl100k_base")
        self._cached = 0
        # The first word that is no token by itself makes it build its merge tables, the larger part of loading.
        self.count("qzxvkwjq")

    def count(self, text: str) -> int:
        self._cached += len(text)
        if self._cached > _CACHED_CHARS:
            self._tokenizer.clear_cache()
            self._cached = 0
        try:
            # Ordinary: a special token spelled out in a text is text.
            return len(self._tokenizer.encode_ordinary(text))
        except UnicodeEncodeError:  # half of a surrogate pair
            return len(self._tokenizer.encode_ordinary(text.encode("utf-8", "replace").decode()))


@cache
def _counter() -> _Counter:
    return _Counter()


class Estimate:
    """The tokens of a prompt, counted only when somebody asks; keeps a sample of it and not the prompt."""

    def __init__(self, body: JSON) -> None:
        texts, self._fixed = prompt(body)
        self._size = sum(map(len, texts))
        if self._size > SAMPLE:
            share = SAMPLE / self._size
            texts = [text[: ceil(len(text) * share)] for text in texts]
        self._sample = texts

    def count(self) -> int:
        """Return the estimate of `count_chat`, in bounded time."""
        sampled = sum(map(len, self._sample))
        return self._fixed + (count_many(self._sample) * self._size // sampled if sampled else 0)

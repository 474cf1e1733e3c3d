"""Reads an answer of any dialect strictly and compares it with what the upstream sent.

Every frame is parsed as JSON, whoever sent it, so that no server gains by the order of its members or by the
way it cuts its frames.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from benchmarks.scenarios import MARK, STAMP, Scenario

JSON = dict[str, Any]
Fragments = Iterator[tuple[str, str]]


class AnswerError(Exception):
    """The answer is not what it should be; says why."""


class ModelsAnswer:
    """The list of models."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, data: bytes, now: int) -> None:
        """Take bytes of the body."""
        self._parts.append(data)

    def finish(self) -> int:
        """The body has ended; return the deltas that are missing. Raises: AnswerError."""
        if not _load(b"".join(self._parts)).get("data"):
            raise AnswerError("the list of models is empty")
        return 0


class WholeAnswer:
    """An answer in one JSON object."""

    def __init__(self, dialect: str, scenario: Scenario) -> None:
        self._parts: list[bytes] = []
        self._read = _WHOLE[dialect]
        self._scenario = scenario

    def feed(self, data: bytes, now: int) -> None:
        """Take bytes of the body."""
        self._parts.append(data)

    def finish(self) -> int:
        """The body has ended; return the deltas that are missing. Raises: AnswerError."""
        received = _joined(self._read(_load(b"".join(self._parts))))
        return 0 if received == self._scenario.content else self._scenario.missing(received)


class StreamedAnswer:
    """A stream of server-sent events."""

    def __init__(self, dialect: str, scenario: Scenario, delays: array[int]) -> None:
        self.first: int | None = None
        """When the first delta came (monotonic nanoseconds)."""
        self.arrived = 0
        """Deltas that came so far, by their marks; one that is cut within its mark is seen only at the end."""
        self._read, self._last = _STREAMED[dialect]
        self._scenario = scenario
        self._stamped = scenario.interval > 0
        self._delays = delays
        self._rest = b""
        self._texts: dict[str, list[str]] = {}
        self._ended = False

    def feed(self, data: bytes, now: int) -> None:
        """Take bytes of the body that arrived `now`. Raises: AnswerError."""
        data = self._rest + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        *frames, self._rest = data.split(b"\n\n")
        for frame in frames:
            value = _data(frame)
            if value is None:
                continue
            if value == b"[DONE]":
                self._ended = self._ended or self._last == "[DONE]"
                continue
            event = _load(value)
            for kind, text in self._read(event):
                self._take(kind, text, now)
            if event.get("type") == self._last:
                self._ended = True

    def finish(self) -> int:
        """The body has ended; return the deltas that are missing. Raises: AnswerError."""
        received = {kind: "".join(texts) for kind, texts in self._texts.items()}
        if self._stamped:
            received = {kind: STAMP.sub("", text) for kind, text in received.items()}
        missing = 0 if received == self._scenario.content else self._scenario.missing(received)
        if not self._ended:
            raise AnswerError(f"the stream has no {self._last}, {missing} deltas are missing")
        if not missing and received != self._scenario.content:
            raise AnswerError(f"the content was altered: {received}")
        return missing

    def _take(self, kind: str, text: str, now: int) -> None:
        if self.first is None:
            self.first = now
        self._texts.setdefault(kind, []).append(text)
        self.arrived += len(MARK.findall(text))
        if self._stamped:
            stamp = STAMP.search(text)
            if stamp:
                self._delays.append(now - int(stamp[1]))


def _data(frame: bytes) -> bytes | None:
    for line in frame.split(b"\n"):
        if line.startswith(b"data:"):
            return line[5:].strip()
    return None


def _load(data: bytes) -> JSON:
    try:
        value = orjson.loads(data)
    except ValueError as error:
        raise AnswerError(f"not JSON ({error}): {data[:200]!r}") from None
    if not isinstance(value, dict):
        raise AnswerError(f"not an object: {data[:200]!r}")
    return value


def _joined(fragments: Fragments) -> dict[str, str]:
    content: dict[str, str] = {}
    for kind, text in fragments:
        content[kind] = content.get(kind, "") + text
    return content


# --- Chat -----------------------------------------------------------------------------------------------


def _chat_event(chunk: JSON) -> Fragments:
    if "error" in chunk:
        raise AnswerError(str(chunk["error"]))
    for choice in chunk.get("choices") or ():
        yield from _chat_message(choice.get("delta") or {})


def _chat_whole(body: JSON) -> Fragments:
    if not body.get("choices"):
        raise AnswerError(f"no choices: {str(body)[:200]}")
    return _chat_message(body["choices"][0]["message"])


def _chat_message(message: JSON) -> Fragments:
    if message.get("content"):
        yield "text", message["content"]
    if message.get("reasoning_content"):
        yield "reasoning", message["reasoning_content"]
    for call in message.get("tool_calls") or ():
        arguments = (call.get("function") or {}).get("arguments")
        if arguments:
            yield "call", arguments


# --- Responses ------------------------------------------------------------------------------------------

_RESPONSES_DELTAS = {
    "response.output_text.delta": "text",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.function_call_arguments.delta": "call",
}


def _responses_event(event: JSON) -> Fragments:
    kind = _RESPONSES_DELTAS.get(event["type"])
    if kind is not None:
        yield kind, event["delta"]
    elif event["type"] in ("response.failed", "response.incomplete", "error"):
        raise AnswerError(str(event)[:300])


def _responses_whole(body: JSON) -> Fragments:
    for item in body.get("output") or ():
        if item["type"] == "message":
            for part in item["content"]:
                yield "text", part["text"]


# --- Messages -------------------------------------------------------------------------------------------

_MESSAGES_DELTAS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("reasoning", "thinking"),
    "input_json_delta": ("call", "partial_json"),
}


def _messages_event(event: JSON) -> Fragments:
    if event["type"] == "content_block_delta":
        kind, member = _MESSAGES_DELTAS.get(event["delta"]["type"], ("", ""))
        if kind and event["delta"][member]:
            yield kind, event["delta"][member]
    elif event["type"] == "error":
        raise AnswerError(str(event)[:300])


def _messages_whole(body: JSON) -> Fragments:
    for block in body.get("content") or ():
        if block["type"] == "text":
            yield "text", block["text"]


_STREAMED: dict[str, tuple[Callable[[JSON], Fragments], str]] = {
    "chat": (_chat_event, "[DONE]"),
    "responses": (_responses_event, "response.completed"),
    "messages": (_messages_event, "message_stop"),
}
_WHOLE: dict[str, Callable[[JSON], Fragments]] = {
    "chat": _chat_whole,
    "responses": _responses_whole,
    "messages": _messages_whole,
}

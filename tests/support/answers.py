"""Answers of a scripted upstream, to the byte: what is sent, how it is framed, where it is late, cut or reset.

`chat_text`, `chat_call` and `chat_calls` make a `Chat`, which is streamed or whole as the request asks; all else
makes an `Answer`, whose methods say what goes wrong with it (`chat_text("hi").streamed().cut(100)`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

JSON = dict[str, Any]

USAGE: JSON = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}


# --- what an answer is made of ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pause:
    """Silence, in seconds, while the connection is watched for the client leaving."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """The connection is closed here: the body is cut."""


@dataclass(frozen=True)
class Reset:
    """The connection is reset here: the client sees ECONNRESET, not an end."""


Step = bytes | Pause | Close | Reset


@dataclass(frozen=True)
class Answer:
    """One answer: a head (None: the steps bring their own) and the steps of its body.

    Where `length` is None the body is chunked, one chunk for each step of bytes.
    """

    steps: tuple[Step, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    bare: bool = False
    """The steps are the whole answer, head included; the connection is closed after it."""
    pause_before_head: float = 0.0

    def cut(self, at: int | None = None) -> Answer:
        """Break the connection after `at` bytes of the body (None: after all of it, its end unsaid)."""
        return replace(self, steps=(*_first_bytes(self.steps, at), Close()))

    def reset(self, at: int | None = None) -> Answer:
        """Reset the connection after `at` bytes of the body; 0 resets right after the head."""
        return replace(self, steps=(*_first_bytes(self.steps, at), Reset()))

    def silent(self, seconds: float, after: int = 0) -> Answer:
        """Keep silent after the first `after` steps (0: between head and body)."""
        return replace(self, steps=(*self.steps[:after], Pause(seconds), *self.steps[after:]))

    def late(self, seconds: float) -> Answer:
        """Keep silent before the head."""
        return replace(self, pause_before_head=seconds)

    def slow(self, seconds: float) -> Answer:
        """Keep silent before each step."""
        spaced = [part for step in self.steps for part in (Pause(seconds), step)]
        return replace(self, steps=tuple(spaced))

    def dripped(self, size: int, seconds: float = 0.0) -> Answer:
        """Send the body in pieces of `size` bytes, with a pause before each."""
        pieces: list[Step] = []
        for step in self.steps:
            if not isinstance(step, bytes):
                pieces.append(step)
                continue
            for start in range(0, len(step), size):
                pieces += [Pause(seconds), step[start : start + size]] if seconds else [step[start : start + size]]
        return replace(self, steps=tuple(pieces))

    def with_headers(self, **headers: str) -> Answer:
        """Add headers; an underscore in a name stands for a dash."""
        return replace(self, headers={**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}})


def _first_bytes(steps: Sequence[Step], count: int | None) -> Iterator[Step]:
    for step in steps:
        if count is None or not isinstance(step, bytes):
            yield step
            continue
        if count <= 0:
            return
        yield step[:count]
        count -= len(step)


# --- builders -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chat:
    """A Chat Completions answer that is streamed or whole as the request asks."""

    chunks: tuple[JSON, ...]
    message: JSON
    finish: str
    usage: JSON | None = field(default_factory=lambda: dict(USAGE))

    def streamed(self) -> Answer:
        """The answer as a stream of frames, one step each."""
        return sse(*self.chunks, finish=self.finish, usage=self.usage)

    def whole(self) -> Answer:
        """The answer as one object."""
        choice = {"index": 0, "message": self.message, "finish_reason": self.finish}
        body: JSON = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "upstream-model"}
        return json_answer({**body, "choices": [choice], **({"usage": self.usage} if self.usage else {})})

    def with_usage(self, prompt: int, completion: int) -> Chat:
        """The same answer with other token counts."""
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return replace(self, usage=usage)


def chat_text(text: str, *, reasoning: str = "", finish: str = "stop") -> Chat:
    """A text, word by word, after reasoning if there is any."""
    chunks = [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk({"reasoning_content": piece}) for piece in _words(reasoning)]
    chunks += [chunk({"content": piece}) for piece in _words(text)]
    message: JSON = {"role": "assistant", "content": text}
    if reasoning:
        message["reasoning_content"] = reasoning
    return Chat(tuple(chunks), message, finish)


def chat_call(name: str, arguments: Any, *, text: str = "", reasoning: str = "", id: str = "call_1") -> Chat:
    """One tool call; arguments that are not a string are written as JSON."""
    return chat_calls((name, arguments), text=text, reasoning=reasoning, ids=[id])


def chat_calls(*calls: tuple[str, Any], text: str = "", reasoning: str = "", ids: Sequence[str] | None = None) -> Chat:
    """Parallel tool calls, each with its arguments in two pieces, after reasoning and text if there are any."""
    before = chat_text(text, reasoning=reasoning)
    chunks = list(before.chunks)
    whole: list[JSON] = []
    for index, (name, arguments) in enumerate(calls):
        written = arguments if isinstance(arguments, str) else json.dumps(arguments)
        identity = ids[index] if ids else f"call_{index + 1}"
        middle = len(written) // 2
        opening = {"name": name, "arguments": written[:middle]}
        chunks.append(
            chunk({"tool_calls": [{"index": index, "id": identity, "type": "function", "function": opening}]})
        )
        chunks.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": written[middle:]}}]}))
        whole.append({"id": identity, "type": "function", "function": {"name": name, "arguments": written}})
    message = {**before.message, "content": text or None, "tool_calls": whole}
    return Chat(tuple(chunks), message, "tool_calls")


def chunk(delta: JSON, *, finish: str | None = None) -> JSON:
    """One chunk of a Chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "upstream-model"}
    return {**head, "choices": [choice]}


def sse(
    *frames: JSON | bytes, finish: str | None = None, usage: JSON | None = None, done: bool = True, status: int = 200
) -> Answer:
    """A stream of frames (bytes go as they are), then the finish chunk, usage and `[DONE]` where asked for."""
    steps = [frame if isinstance(frame, bytes) else _data(frame) for frame in frames]
    if finish is not None:
        steps.append(_data(chunk({}, finish=finish)))
    if usage is not None:
        steps.append(_data({**chunk({}), "choices": [], "usage": usage}))
    if done:
        steps.append(b"data: [DONE]\n\n")
    return Answer(tuple(steps), status, {"content-type": "text/event-stream; charset=utf-8"})


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A whole JSON body with its length."""
    return body_answer(json.dumps(value).encode(), status, {"content-type": "application/json", **(headers or {})})


def body_answer(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A whole body with its length."""
    return Answer((body,) if body else (), status, headers or {}, length=len(body))


def error(
    status: int,
    message: str = "scripted fault",
    *,
    type: str = "server_error",
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error in OpenAI's envelope."""
    fault = {"message": message, "type": type, "param": None, "code": code}
    return json_answer({"error": fault}, status, headers)


def raw(*steps: Step) -> Answer:
    """These bytes and nothing else, the head included; then the connection is closed."""
    return Answer(steps, bare=True)


def dropped() -> Answer:
    """The connection is closed without any answer."""
    return raw(Close())


def _data(value: JSON) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _words(text: str) -> list[str]:
    """Cut a text into pieces that join to it again."""
    pieces: list[str] = []
    for word in text.split(" "):
        pieces.append((" " if pieces else "") + word)
    return [piece for piece in pieces if piece]

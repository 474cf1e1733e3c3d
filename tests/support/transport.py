"""The gateway without sockets: a scripted transport, and a client that calls the WSGI application.

transport = ScriptedTransport(answer(b'{"choices": …}'))
reply = call(transport, "POST", "/v1/responses", {"model": "m", "input": "hi"})
transport.sent[0].body
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from werkzeug.test import Client, TestResponse

from gateway.access import Access
from gateway.app import Gateway, build, services_of
from gateway.breaker import Breaker
from gateway.config import Settings
from gateway.drain import Drain
from gateway.errors import UpstreamUnreachable
from gateway.http1 import Head, Headers
from gateway.listing import ModelList
from gateway.listing_fetch import ListUnavailable
from gateway.store.guarded import GuardedStore
from gateway.upstream import UpstreamRequest

KEY = "sk-dummy-0123456789"
CHAT_PORT, RESPONSES_PORT = 5101, 5102

Piece = bytes | Exception | None
"""Bytes of the body, a fault in its place, or None for a spell of silence."""


@dataclass
class Scripted:
    """One answer of the upstream."""

    pieces: list[Piece]
    status: int = 200
    headers: Headers = field(default_factory=list)


def answer(*pieces: Piece, status: int = 200, headers: dict[str, str] | None = None) -> Scripted:
    """Return an answer that arrives in these pieces."""
    return Scripted(list(pieces), status, list((headers or {}).items()))


def sse(*chunks: Any, done: bool = True) -> Scripted:
    """Return a stream of Chat chunks, each in a read of its own."""
    frames: list[Piece] = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks]
    if done:
        frames.append(b"data: [DONE]\n\n")
    return Scripted(frames, headers=[("content-type", "text/event-stream")])


def chunk(finish: str | None = None, usage: dict[str, int] | None = None, **delta: Any) -> dict[str, Any]:
    """Return one Chat chunk."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return body | ({"usage": usage} if usage else {})


def completion(content: str | None = "hello", finish: str = "stop", **message: Any) -> Scripted:
    """Return a whole Chat answer."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "up",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    return answer(json.dumps(body).encode(), headers={"content-type": "application/json"})


def refusal(status: int, message: str, headers: dict[str, str] | None = None, **members: Any) -> Scripted:
    """Return an error in OpenAI's form."""
    body = json.dumps({"error": {"message": message, **members}}).encode()
    return answer(body, status=status, headers={"content-type": "application/json"} | (headers or {}))


class ScriptedCall:
    """See `gateway.upstream.Call`."""

    def __init__(self, script: Scripted) -> None:
        self._head: Head | None = Head(script.status, script.headers)
        self._pieces = list(script.pieces)
        self.closed = False

    def head(self, wait: float) -> Head | None:
        """Return the head, or raise a fault that stands first and is for the head."""
        if self._pieces and isinstance(self._pieces[0], UpstreamUnreachable):
            raise self._pieces[0]
        return self._head

    def read(self, wait: float) -> bytes | None:
        """Return the next piece."""
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        """Note that the exchange let go."""
        self.closed = True


class ScriptedTransport:
    """Answers from a list and keeps what it was sent."""

    def __init__(self, *scripts: Scripted | Exception) -> None:
        self.sent: list[UpstreamRequest] = []
        self.calls: list[ScriptedCall] = []
        self._scripts = list(scripts)

    def send(self, request: UpstreamRequest) -> ScriptedCall:
        """Take a request. Raises: the fault that is scripted."""
        self.sent.append(request)
        script = self._scripts.pop(0)
        if isinstance(script, Exception):
            raise script
        call = ScriptedCall(script)
        self.calls.append(call)
        return call

    def body(self, number: int = 0) -> dict[str, Any]:
        """Return the body of a request that was sent."""
        body: dict[str, Any] = json.loads(self.sent[number].body or b"null")
        return body


def gateway(
    transport: ScriptedTransport, models: Iterable[Any] = (), *, store: GuardedStore | None = None, **env: str
) -> Gateway:
    """Return the application over a scripted transport; `models` is the upstream's list (none: it has none)."""
    listed = json.dumps({"data": [{"id": m} if isinstance(m, str) else m for m in models]}).encode()

    def fetch(key: str | None) -> bytes:
        if not models:
            raise ListUnavailable("there is no list")
        return listed

    settings = Settings.load({}, {"BACKEND_URL": "http://upstream.example/api/v1", "WORKERS": "1"} | env)
    breaker = Breaker(enabled=settings.enable_circuit_breaker, failures=settings.breaker_failures)
    return build(
        services_of(
            settings,
            breaker=breaker,
            drain=Drain(),
            access=Access.of(settings),
            transport=transport,
            models=ModelList(fetch),
            store=store,
        )
    )


def call(
    transport: ScriptedTransport | Gateway,
    method: str,
    path: str,
    body: Any = None,
    *,
    port: int = RESPONSES_PORT,
    key: str | None = KEY,
    headers: dict[str, str] | None = None,
    **client: Any,
) -> TestResponse:
    """Send one request to the application; a body that is not bytes is sent as JSON."""
    app = transport if isinstance(transport, Gateway) else gateway(transport)
    sent = dict(headers or {})
    if key is not None:
        sent.setdefault("Authorization", f"Bearer {key}")
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    if data is not None:
        sent.setdefault("Content-Type", "application/json")
    environ = {"SERVER_PORT": str(port)}
    client.setdefault("buffered", True)  # the server closes what it has sent, and so does this
    return Client(app).open(path, method=method, data=data, headers=sent, environ_overrides=environ, **client)


def frames(text: str) -> list[dict[str, Any]]:
    """Return the data of each frame of a stream."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]

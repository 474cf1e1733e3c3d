"""The demo upstream: a small Chat server on loopback, served by the gateway's own workers.

    make demo        python openai_proxy.py --demo

It listens on a port of 127.0.0.1 that the system chooses. Its socket is one more listener of the same
processes, and `Beside` sends what arrives there to the demo and all else to the gateway; so requests take the
whole way a real one takes, through sockets and back, with no key and no network.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from flask import Flask, Response, request

from gateway.config import Settings
from gateway.demo.script import MODELS, answer
from gateway.dialects.chat.context import ChatContext
from gateway.dialects.chat.encode import Encoder
from gateway.ids import new_id, now
from gateway.jsonbody import load_object
from gateway.replies import Reply, json_reply
from gateway.types import JSON
from gateway.worker import Serving

PACE_SECS = 0.02
"""Pause between two pieces, so that streaming can be seen."""


def attach(settings: Settings) -> tuple[socket.socket, Settings]:
    """Open the demo's socket; return it and the settings of a gateway in front of it."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=256)
    url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
    return sock, replace(settings, backend_url=url, backend_api="chat", require_key=False)


class Beside:
    """The gateway, and the demo on a port of its own."""

    def __init__(self, gateway: Serving, port: int, pace: float = PACE_SECS) -> None:
        self._gateway = gateway
        self._port = str(port)
        self._demo = create_app(pace)

    def beat(self) -> None:
        """Nothing is due but the gateway's own."""
        self._gateway.beat()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        serving = self._demo if environ["SERVER_PORT"] == self._port else self._gateway
        return serving(environ, start_response)


def create_app(pace: float = PACE_SECS) -> Flask:
    """Return the demo server."""
    app = Flask(__name__, static_folder=None)

    @app.get("/v1/models")
    def models() -> Reply:
        return json_reply({"object": "list", "data": MODELS})

    @app.post("/v1/chat/completions")
    def chat() -> Reply | Response:
        body = load_object(request.get_data())
        options = body.get("stream_options")
        usage = isinstance(options, dict) and options.get("include_usage") is True
        encoder = Encoder(ChatContext(str(body.get("model")), usage), new_id, now)
        if body.get("stream") is True:
            return Response(_paced(body, encoder, pace), 200, [("content-type", "text/event-stream")])
        for event in answer(body, new_id("call_")):
            encoder.feed(event)
        return json_reply(encoder.body)

    return app


def _paced(body: JSON, encoder: Encoder, pace: float) -> Iterator[bytes]:
    for event in answer(body, new_id("call_")):
        frames = encoder.feed(event)
        if frames:
            yield b"".join(frames)
            time.sleep(pace)

"""The three dialects that a client may speak, so that one test runs over each of them.

for surface in SURFACES: reply = surface.post(gateway); assert surface.error(reply).code == "…"
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.sockets import RawClient, Reply, SSEFrame, Stream, raw_request

JSON = dict[str, Any]


@dataclass(frozen=True)
class Surface:
    """One dialect on the port that serves it."""

    name: str
    path: str

    def port(self, gateway: Gateway) -> int:
        """The port of the gateway that speaks it."""
        return gateway.chat_port if self.name == "chat" else gateway.responses_port

    def body(self, *, stream: bool, model: str = "m", **members: Any) -> JSON:
        """A small request."""
        said = {"input": "hi"} if self.name == "responses" else {"messages": [{"role": "user", "content": "hi"}]}
        limit = {"max_tokens": 100} if self.name == "messages" else {}
        return {"model": model, **said, **limit, "stream": stream, **members}

    def post(self, gateway: Gateway, *, stream: bool = False, timeout: float = 30.0, **members: Any) -> Reply:
        """Send the small request; return the whole answer, frames and all."""
        body = self.body(stream=stream, **members)
        return gateway.post(self.path, body, port=self.port(gateway), timeout=timeout)

    def stream(self, gateway: Gateway, timeout: float = 30.0, **members: Any) -> Stream:
        """Send the small request; read its answer frame by frame."""
        return gateway.stream(self.path, self.body(stream=True, **members), port=self.port(gateway), timeout=timeout)

    def send(self, gateway: Gateway, *, stream: bool, **members: Any) -> RawClient:
        """Send the small request over a plain socket."""
        client = gateway.connect(self.port(gateway))
        client.send(self.raw(stream=stream, **members))
        return client

    def raw(self, *, stream: bool, **members: Any) -> bytes:
        """The bytes of the small request."""
        return raw_request("POST", self.path, json.dumps(self.body(stream=stream, **members)).encode())

    def text(self, body: Any) -> str:
        """The text of a whole answer."""
        match self.name:
            case "responses":
                items = [item for item in body["output"] if item["type"] == "message"]
                return "".join(part["text"] for item in items for part in item["content"])
            case "messages":
                return "".join(block["text"] for block in body["content"] if block["type"] == "text")
            case _:
                return str(body["choices"][0]["message"]["content"])

    def streamed_text(self, frames: Sequence[SSEFrame]) -> str:
        """The text of a streamed answer, from its deltas."""
        return "".join(self._delta(frame.data) for frame in frames if isinstance(frame.data, dict))

    def _delta(self, data: JSON) -> str:
        match self.name:
            case "responses":
                return str(data["delta"]) if data["type"] == "response.output_text.delta" else ""
            case "messages":
                return str(data["delta"].get("text", "")) if data["type"] == "content_block_delta" else ""
            case _:
                return "".join(choice["delta"].get("content") or "" for choice in data.get("choices", ()))

    def error(self, body: Any) -> JSON:
        """The error of a refusal, checked for the members of its dialect."""
        error: JSON = body["error"]
        if self.name == "messages":
            assert body["type"] == "error"
            assert set(error) == {"type", "message"}
        else:
            assert set(error) == {"message", "type", "param", "code"}
        return error

    def completed(self, frames: Sequence[SSEFrame]) -> bool:
        """Tell whether a stream ended as one that is complete."""
        match self.name:
            case "responses":
                return frames[-1].event == "response.completed"
            case "messages":
                return frames[-1].event == "message_stop"
            case _:
                return frames[-1].data == "[DONE]"

    def failure(self, frames: Sequence[SSEFrame]) -> JSON:
        """The error that ends a stream; nothing in the stream may look complete."""
        events = [frame.event for frame in frames]
        last = frames[-1].data
        match self.name:
            case "responses":
                assert events[-1] == "response.failed", events
                assert not any(event and event.endswith(".done") for event in events), events
                numbers = [frame.data["sequence_number"] for frame in frames]
                assert numbers == list(range(len(frames)))
                assert last["response"]["status"] == "failed"
                failed: JSON = last["response"]["error"]
                return failed
            case "messages":
                assert events[-1] == "error", events
                assert not {"content_block_stop", "message_stop", "message_delta"} & set(events)
            case _:
                assert all(frame.data != "[DONE]" for frame in frames)
        return self.error(last)


RESPONSES = Surface("responses", "/v1/responses")
MESSAGES = Surface("messages", "/v1/messages")
CHAT = Surface("chat", "/v1/chat/completions")

BRIDGED = [RESPONSES, MESSAGES]
SURFACES = [*BRIDGED, CHAT]

over_surfaces = pytest.mark.parametrize("surface", SURFACES, ids=lambda surface: surface.name)
over_bridged = pytest.mark.parametrize("surface", BRIDGED, ids=lambda surface: surface.name)
streamed_and_whole = pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])

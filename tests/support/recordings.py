"""Writes small recordings in the form of `docs/recorder.md`, each line of a test's own choosing.

tape = Tape()
tape.exchange(CHAT_REQUEST, answer=[b"data: …"])           one exchange, relayed
tape.write(path)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.recording import format
from gateway.recording.format import format_line, payload

JSON = dict[str, Any]

WALL = 1_795_795_305.0
STREAM = [["content-type", "text/event-stream"]]
WHOLE = [["content-type", "application/json"]]


class Tape:
    """A recording under way; its clock goes on by `tick` seconds with each line."""

    def __init__(self, tick: float = 0.01) -> None:
        self.lines: list[bytes] = []
        self.tick = tick
        self.clock = 0.0
        self.add(format.LOG, gateway="2.0.0", backend_api="chat", chat_port=5101, responses_port=5102)

    def add(self, direction: str, id: str | None = None, port: int = 5102, **members: Any) -> None:
        """Add one line; payloads are bytes."""
        shaped: JSON = {}
        for name, value in members.items():
            shaped |= payload(name, value) if isinstance(value, bytes) else {name: value}
        at = {"port": port, "request_id": id} if id else {}
        self.lines.append(format_line(direction, WALL + self.clock, self.clock, shaped, **at))  # type: ignore[arg-type]
        self.clock += self.tick

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock += seconds

    def request(self, id: str, body: JSON | bytes | None, target: str = "/v1/chat/completions", **more: Any) -> None:
        """The client's request."""
        self._request(format.CLIENT_REQUEST, id, body, target, **more)

    def asked(self, id: str, body: JSON | bytes | None, target: str = "/v1/chat/completions", **more: Any) -> None:
        """The request to the upstream."""
        self._request(format.UPSTREAM_REQUEST, id, body, target, **{"attempt": 1, **more})

    def _request(self, direction: str, id: str, body: JSON | bytes | None, target: str, **more: Any) -> None:
        members: JSON = {"method": "POST" if body is not None else "GET", "target": target}
        members["headers"] = [["content-type", "application/json"], ["authorization", "Bearer ***"]]
        if body is not None:
            members["body"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.add(direction, id, **{**members, **more})

    def answered(
        self,
        id: str,
        chunks: Sequence[bytes],
        *,
        status: int = 200,
        end: str | None = "complete",
        attempt: int = 1,
        headers: Sequence[Sequence[str]] = STREAM,
        **facts: Any,
    ) -> None:
        """What the upstream answers."""
        self.add(format.UPSTREAM_HEAD, id, attempt=attempt, status=status, headers=list(headers))
        for data in chunks:
            self.add(format.UPSTREAM_CHUNK, id, attempt=attempt, data=data)
        if end:
            self.add(format.UPSTREAM_END, id, attempt=attempt, end=end, **facts)

    def told(
        self,
        id: str,
        chunks: Sequence[bytes],
        *,
        status: int = 200,
        end: str | None = "complete",
        headers: Sequence[Sequence[str]] = STREAM,
        **facts: Any,
    ) -> None:
        """What the client gets."""
        self.add(format.CLIENT_HEAD, id, status=status, headers=list(headers))
        for data in chunks:
            self.add(format.CLIENT_CHUNK, id, data=data)
        if end:
            self.add(format.CLIENT_END, id, end=end, status=status, **facts)

    def relayed(self, id: str, body: JSON, chunks: Sequence[bytes], **more: Any) -> None:
        """A whole exchange in which both legs are the same."""
        self.request(id, body)
        self.asked(id, body)
        self.answered(id, chunks, **more)
        ends = {"end": more["end"]} if more.get("end") in (None, "upstream_cut") and "end" in more else {}
        self.told(id, chunks, **{**{k: v for k, v in more.items() if k in ("status", "headers")}, **ends})

    def golden(self, id: str, case: Path) -> None:
        """The exchange that a golden case is."""
        path = {"responses": "/v1/responses", "messages": "/v1/messages"}[case.parent.name.split("-")[0]]
        self.request(id, (case / "request.json").read_bytes(), path)
        self.asked(id, (case / "upstream_request.json").read_bytes(), model_profile={"id": "test/coder"})
        self.answered(id, _frames((case / "upstream.sse").read_bytes()))
        self.told(id, _frames((case / "client.sse").read_bytes()))

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        path.write_bytes(b"".join(self.lines))
        return path


def _frames(stream: bytes) -> list[bytes]:
    return [frame + b"\n\n" for frame in stream.split(b"\n\n") if frame]

"""What tests with hostile clients share: refusals read from bare sockets, latencies of the others meanwhile."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support import answers
from tests.support.answers import Answer
from tests.support.gateway import Gateway
from tests.support.sockets import KEY, RawClient

JSON = dict[str, Any]

HELLO: JSON = {"model": "m", "input": "hi"}
CHAT: JSON = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
MESSAGES: JSON = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}

ATTEMPTS = 5
"""Other work on the machine slows a measurement down now and then; a gateway at fault slows every one."""
PATIENCE = 0.1
"""A latency that is good in any case, in seconds: below it, twice as much says nothing."""


WORDS = answers.sse(*[answers.chunk({"content": "word " * 2000})] * 6).steps[0]
assert isinstance(WORDS, bytes)
MEGABYTES = 64


def endless(frame: bytes = WORDS) -> Answer:
    """An answer of tens of megabytes, as fast as it is taken."""
    return Answer((frame,) * (MEGABYTES * 1_000_000 // len(frame)), headers={"content-type": "text/event-stream"})


@dataclass(frozen=True)
class Raw:
    """One answer read from a bare socket."""

    status: int
    headers: dict[str, str]
    body: bytes
    rest: bytes
    """What came after it."""
    closed: bool
    seconds: float

    @property
    def error(self) -> JSON:
        """The error that it tells, in OpenAI's envelope."""
        error: JSON = json.loads(self.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error


def exchange(gateway: Gateway, data: bytes, *, port: int | None = None, timeout: float = 10.0) -> Raw:
    """Send bytes on a connection of their own; return the answer and what became of the connection."""
    began = time.monotonic()
    with RawClient(port or gateway.responses_port, timeout) as client:
        with contextlib.suppress(OSError):  # the gateway may refuse before it has all
            client.send(data)
        got = b""
        while b"\r\n\r\n" not in got and (piece := client.sock.recv(65536)):
            got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        while len(body) < length and (piece := client.sock.recv(65536)):
            body += piece
        seconds = time.monotonic() - began
        closed, rest = _after(client, body[length:], headers.get("connection") == "keep-alive")
        return Raw(int(first.split()[1]), headers, body[:length], rest, closed, seconds)


def _after(client: RawClient, rest: bytes, kept: bool) -> tuple[bool, bytes]:
    """Tell whether the connection was closed, and what came before that; `kept`: it was promised to stay."""
    client.sock.settimeout(0.1 if kept else 2.0)
    try:
        while piece := client.sock.recv(65536):
            rest += piece
    except TimeoutError:
        return False, rest
    except ConnectionResetError:
        pass
    return True, rest


def head(method: str = "POST", path: str = "/v1/responses", *lines: str, key: str | None = KEY) -> bytes:
    """Return the head of a request, its end included; latin-1, so that any byte can be said."""
    auth = [] if key is None else [f"Authorization: Bearer {key}"]
    all_lines = [f"{method} {path} HTTP/1.1", "Host: gateway", "Content-Type: application/json", *auth, *lines]
    return "\r\n".join([*all_lines, "", ""]).encode("latin-1")


def p99(gateway: Gateway, times: int = 100) -> float:
    """Return how long the slowest of a hundred bridged requests takes, the very slowest left out; in seconds."""
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        reply = gateway.post("/v1/responses", HELLO)
        assert reply.status == 200, reply.body
        seconds.append(time.monotonic() - began)
    return sorted(seconds)[int(times * 0.99) - 1]


def others_are_served(gateway: Gateway, meanwhile: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
    """Check that the latency of other clients at most doubles while something goes on."""
    told = []
    for _ in range(ATTEMPTS):
        before = p99(gateway)
        with meanwhile():
            during = p99(gateway)
        print(f"p99 {before * 1000:.1f} ms, meanwhile {during * 1000:.1f} ms")
        if during <= max(2 * before, PATIENCE):
            return
        told.append(f"p99 {before * 1000:.1f} ms became {during * 1000:.1f} ms")
    raise AssertionError("; ".join(told))

"""Asks the upstream, as the gateway would: one request, and all that can be told of its answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import requests
import urllib3
from requests.utils import get_environ_proxies

from gateway import sse
from gateway.config import Settings
from gateway.dialects.registry import UPSTREAMS
from gateway.dialects.responses.from_chat import from_chat
from gateway.doctor.tls import TlsAdapter
from gateway.errors import GatewayError
from gateway.events import BlockStart, Delta, Event, Failure, Finish, Kind, Usage
from gateway.headers import USER_AGENT
from gateway.jsonbody import load_upstream
from gateway.keys import Mask, masked
from gateway.profile import Model, Terms
from gateway.types import JSON
from gateway.upstream_error import read_error

_READ_SIZE = 65536
_BODY_LIMIT = 8 * 1024 * 1024


@dataclass
class Answer:
    """One answer, whole or streamed."""

    status: int = 0
    """0 where there was no answer."""
    fault: str = ""
    """What went wrong, in one line; empty where nothing did."""
    streamed: bool = False
    pieces: int = 0
    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Name and arguments of each."""
    usage: Usage | None = None
    seconds: float = 0.0
    kinds: dict[int, Kind] = field(default_factory=dict)
    """What each block is."""

    @property
    def ok(self) -> bool:
        """An answer came and is complete."""
        return not self.fault


class Ask(Protocol):
    """Sends one Chat body; what the probes are given."""

    def __call__(self, body: JSON) -> Answer:
        """Return the answer; a failure is one, too."""


class Upstream:
    """The upstream of the settings, with a key."""

    def __init__(self, settings: Settings, key: str | None, timeout: float) -> None:
        self._settings = settings
        self._key = key
        self._timeout = timeout
        self._dialect = UPSTREAMS[settings.backend_api]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("https://", TlsAdapter())

    def chat(self, body: JSON) -> Answer:
        """Send a Chat body: as it is, or in the dialect that the upstream speaks."""
        if self._settings.backend_api == "responses":
            body = from_chat(body, Model(str(body.get("model"))))
        url = self._settings.backend_origin + self._settings.backend_target
        headers = {"accept": "application/json, text/event-stream", "user-agent": USER_AGENT}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        proxies = get_environ_proxies(url) if self._settings.trust_env else {}
        answer = Answer()
        began = time.monotonic()
        try:
            with self._session.post(
                url,
                json=body,
                headers=headers,
                proxies=proxies,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as reply:
                self._read(reply, answer, str(body.get("model")), began + self._timeout)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            answer.fault = _reason(error, self._timeout)
        except GatewayError as error:
            answer.fault = error.message
        answer.fault = Mask(self._key, masked(self._key) or "").text(" ".join(answer.fault.split())[:300])
        answer.seconds = time.monotonic() - began
        return answer

    def _read(self, reply: requests.Response, answer: Answer, model: str, deadline: float) -> None:
        answer.status = reply.status_code
        answer.streamed = reply.headers.get("content-type", "").startswith("text/event-stream")
        if reply.status_code != 200:
            body = reply.raw.read(_BODY_LIMIT, decode_content=True)
            headers = {
                name.lower(): value for name, value in reply.headers.items() if name.lower() != "content-encoding"
            }
            answer.fault = f"status {reply.status_code}: {read_error(reply.status_code, headers, body).message}"
            return
        make_decoder = self._dialect.decoder
        assert make_decoder is not None, "every upstream's dialect has it"
        decoder = make_decoder(Terms(Model(model)))
        if not answer.streamed:
            body = reply.raw.read(_BODY_LIMIT, decode_content=True)
            try:
                whole = load_upstream(body)
            except ValueError:
                answer.fault = "the answer is not JSON"
                return
            _take(decoder.decode(whole if isinstance(whole, dict) else {}), answer)
            return
        parser = sse.Parser()
        while data := reply.raw.read1(_READ_SIZE, decode_content=True):
            for frame in parser.feed(data):
                _take(decoder.feed(frame), answer)
            if time.monotonic() > deadline:
                answer.fault = "the stream did not end in time"
                return
        for frame in parser.finish():
            _take(decoder.feed(frame), answer)
        _take(decoder.finish(), answer)


def _take(events: Iterable[Event], answer: Answer) -> None:
    for event in events:
        match event:
            case BlockStart(kind="tool_call"):
                answer.calls.append((event.name or "", ""))
                answer.kinds[event.block] = "tool_call"
            case BlockStart():
                answer.kinds[event.block] = event.kind
            case Delta():
                answer.pieces += 1
                _add(event, answer)
            case Finish():
                answer.usage = event.usage
            case Failure():
                answer.fault = event.error.message


def _add(delta: Delta, answer: Answer) -> None:
    kind: Kind = answer.kinds[delta.block]
    if kind == "tool_call":
        order = [block for block, of in answer.kinds.items() if of == "tool_call"].index(delta.block)
        name, arguments = answer.calls[order]
        answer.calls[order] = (name, arguments + delta.text)
    elif kind == "reasoning":
        answer.reasoning += delta.text
    else:
        answer.text += delta.text


def _reason(error: Exception, timeout: float) -> str:
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return f"no answer within {timeout:g} s"
    return f"the connection failed: {type(error).__name__}"

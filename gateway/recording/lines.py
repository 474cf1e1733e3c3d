"""Makes the lines of one exchange: in order, without credentials. Runs in the recorder process.

Lines are put together from prepared parts, since there are several for each request; `gateway.recording.format` says
what a line is, and a test compares. A chunk that may end within a credential waits for the next one of its leg
(`credentials.Cutter`), and what comes behind it in the exchange waits with it.
"""

from __future__ import annotations

import base64
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from gateway import __version__
from gateway.http1 import Headers
from gateway.jsonbody import dump
from gateway.recording import format
from gateway.recording.credentials import Credentials
from gateway.recording.cutter import Cutter
from gateway.recording.packed import Packed

(
    _CLIENT_REQUEST,
    _UPSTREAM_REQUEST,
    _UPSTREAM_HEAD,
    _UPSTREAM_CHUNK,
    _UPSTREAM_END,
    _CLIENT_HEAD,
    _CLIENT_CHUNK,
    _CLIENT_END,
) = (
    b'"direction":"%b"' % direction.encode()
    for direction in (
        format.CLIENT_REQUEST,
        format.UPSTREAM_REQUEST,
        format.UPSTREAM_HEAD,
        format.UPSTREAM_CHUNK,
        format.UPSTREAM_END,
        format.CLIENT_HEAD,
        format.CLIENT_CHUNK,
        format.CLIENT_END,
    )
)

Secrets = Callable[[], Iterable[str]]


class Clock:
    """Spells times. `began` is when the recording was begun, in seconds of the monotonic clock."""

    def __init__(self, began: float) -> None:
        self.began = began
        self._second = -1
        self._text = b""
        self._shift = 0.0

    def line(self, at: float, *parts: bytes) -> bytes:
        """Return a whole line of what happened at a time of the monotonic clock; `parts` are its further members.

        They are joined only here: a line may be megabytes long.
        """
        wall = at + self._shift
        if int(wall) != self._second:
            # Looked at anew each second: clocks are set, and the monotonic one stands still while a laptop sleeps.
            self._shift = time.time() - time.monotonic()
            wall = at + self._shift
            self._second = int(wall)
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._second)).encode()
        micros = int((wall - self._second) * 1_000_000)
        times = b'{"v":1,"timestamp":"%b.%06dZ","offset":%.6f,' % (self._text, micros, at - self.began)
        return b"".join((times, *parts, b"}\n"))


class Lines:
    """The lines of one exchange. Each method makes those of one record, which happened `at` a monotonic time."""

    def __init__(self, clock: Clock, secrets: Iterable[str]) -> None:
        """`secrets` are credentials to hide beside those of the exchange."""
        self.lost = 0
        """Lines that could not be written."""
        self.broken = False
        """A line could not be made; noted by the writer, which makes no further one then."""
        self._clock = clock
        self._credentials = Credentials(secrets)

    def client_request(
        self,
        at: float,
        owner: tuple[str, str],
        method: str,
        target: str,
        headers: Headers,
        encoding: str | None,
        body: bytes | None,
    ) -> list[bytes]:
        """The request as it was received; `owner`: port and id; `encoding`: what its body was compressed with.

        It is the first of all records.
        """
        self._begin(*owner)
        facts: dict[str, Any] = {"method": method, "target": self._credentials.target(target)}
        facts["headers"] = self._credentials.headers(headers)
        if encoding:
            facts["content_encoding"] = encoding
        facts["gateway"] = __version__
        return self._out(at, *self._request(_CLIENT_REQUEST, facts, body))

    def _begin(self, port: str, request_id: str) -> None:
        self._owner = b',"port":%b,"request_id":"%b"' % (port.encode(), request_id.encode())
        self._client = Leg(b"%b%b," % (_CLIENT_CHUNK, self._owner), Cutter(self._cleaned, self._credentials))
        self._upstream = self._client
        self._waiting: deque[_Waiting] = deque()
        self._first_byte: float | None = None
        self._seen = self._clean = b""
        self._spelt: tuple[str, bytes, list[bytes]] = ("", b"", [])

    def upstream_request(
        self,
        at: float,
        attempt: int,
        method: str,
        target: str,
        headers: Headers,
        profile: dict[str, Any] | None,
        body: bytes | None,
    ) -> list[bytes]:
        """A request that goes to the upstream; `profile`, of the model, is set where it was translated."""
        facts: dict[str, Any] = {
            "attempt": attempt,
            "method": method,
            "target": self._credentials.target(target),
            "headers": self._credentials.headers(headers),
        }
        if profile is not None:
            facts["model_profile"] = profile
        members = b'%b%b,"attempt":%d,' % (_UPSTREAM_CHUNK, self._owner, attempt)
        self._upstream = Leg(members, Cutter(self._cleaned, self._credentials))
        lines = self._out(at, *self._request(_UPSTREAM_REQUEST, facts, body))
        self._forget()  # a long stream should not hold a large body
        return lines

    def upstream_head(self, at: float, attempt: int, status: int, headers: Headers) -> list[bytes]:
        """The upstream's status and headers."""
        self._look_into(self._upstream, headers)
        facts = {"attempt": attempt, "status": status, "headers": self._credentials.headers(headers)}
        return self._out(at, self._facts(_UPSTREAM_HEAD, facts))

    def upstream_chunk(self, at: float, data: bytes) -> list[bytes]:
        """Bytes of the upstream's body, as they came in one read."""
        return self._chunk(at, self._upstream, data)

    def upstream_end(self, at: float, attempt: int, end: str, error: str | None) -> list[bytes]:
        """How the upstream's answer ended."""
        if error:
            members = self._facts(_UPSTREAM_END, {"attempt": attempt, "end": end, "error": error})
        else:
            members = b'%b%b,"attempt":%d,"end":"%b"' % (_UPSTREAM_END, self._owner, attempt, end.encode())
        return [*self._settled(self._upstream), *self._out(at, members)]

    def client_head(self, at: float, status: int, headers: Headers) -> list[bytes]:
        """The status and headers that go to the client."""
        headers = [(name.lower(), value) for name, value in headers]
        self._look_into(self._client, headers)
        return self._out(
            at, self._facts(_CLIENT_HEAD, {"status": status, "headers": self._credentials.headers(headers)})
        )

    def client_chunk(self, at: float, data: bytes) -> list[bytes]:
        """Bytes of the body that go to the client in one write."""
        if self._first_byte is None:
            self._first_byte = at
        return self._chunk(at, self._client, data)

    def client_end(self, at: float, began: float, dropped: int, facts: dict[str, Any]) -> list[bytes]:
        """How the exchange ended; the last of its lines. `began` as `at`; `dropped` records did not come here."""
        if self._first_byte is not None:
            facts["first_byte_ms"] = round((self._first_byte - began) * 1000, 3)
        facts["duration_ms"] = round((at - began) * 1000, 3)
        lost = self.lost + dropped
        if lost:
            facts["lost"] = lost
        line = self._facts(_CLIENT_END, facts)
        return [*self._settled(self._upstream), *self._settled(self._client), *self._out(at, line)]

    # --- members ------------------------------------------------------------------------------------------------

    def _facts(self, direction: bytes, facts: dict[str, Any]) -> bytes:
        # Headers and parameters that are named like credentials have lost them already.
        spelt = self._credentials.clean(dump(facts), names=False)
        return b"%b%b,%b" % (direction, self._owner, spelt[1:-1])

    def _request(self, direction: bytes, facts: dict[str, Any], body: bytes | None) -> list[bytes]:
        members = self._facts(direction, facts)
        if body is None:
            return [members]
        clean = self._cleaned(body, learn=True)
        return [members, b",", *self._payload("body", clean)]

    # What is relayed passes here twice, once on each leg: it is looked at and spelled once.

    def _cleaned(self, data: bytes, learn: bool = False) -> bytes:
        if data is not self._seen:
            self._seen, self._clean = data, self._credentials.clean(data, learn=learn)
        return self._clean

    def _payload(self, name: str, data: bytes) -> list[bytes]:
        if data is not self._spelt[1] or name != self._spelt[0]:
            self._spelt = (name, data, payload(name, data))
        return self._spelt[2]

    def _forget(self) -> None:
        self._seen = self._clean = b""
        self._spelt = ("", b"", [])

    # --- chunks and order ---------------------------------------------------------------------------------------

    def _chunk(self, at: float, leg: Leg, data: bytes) -> list[bytes]:
        if not self._waiting and not leg.cutter.holding:
            given = leg.cutter.feed(data)
            if given:
                return [self._clock.line(at, leg.members, *self._payload("data", given[0]))]
            self._waiting.append(_Waiting(at, leg))
            return []
        self._waiting.append(_Waiting(at, leg))
        return self._settle(leg, leg.cutter.feed(data))

    def _look_into(self, leg: Leg, headers: Headers) -> None:
        for name, value in headers:
            if name == "content-encoding" and value.strip().lower() != "identity":
                leg.cutter = Packed(self._credentials, value)

    def _settled(self, leg: Leg) -> list[bytes]:
        return self._settle(leg, leg.cutter.finish()) if leg.cutter.holding else []

    def _settle(self, leg: Leg, given: Sequence[bytes]) -> list[bytes]:
        """Give the chunks of a leg that are clear now their lines; return all lines that need not wait any more."""
        waiting = (one for one in self._waiting if one.leg is leg and one.line is None)
        for data, one in zip(given, waiting, strict=False):
            one.line = self._clock.line(one.at, leg.members, *self._payload("data", data))
        lines = []
        while self._waiting and (line := self._waiting[0].line) is not None:
            lines.append(line)
            self._waiting.popleft()
        return lines

    def _out(self, at: float, *parts: bytes) -> list[bytes]:
        line = self._clock.line(at, *parts)
        if not self._waiting:
            return [line]
        self._waiting.append(_Waiting(at, None, line))
        return []


class Leg:
    """The body of one answer, on its way to the client or from the upstream."""

    __slots__ = ("cutter", "members")

    def __init__(self, members: bytes, cutter: Cutter | Packed) -> None:
        self.members = members
        """What the lines of its chunks begin with."""
        self.cutter = cutter


class _Waiting:
    """A line that waits, and may not be made yet."""

    __slots__ = ("at", "leg", "line")

    def __init__(self, at: float, leg: Leg | None, line: bytes | None = None) -> None:
        self.at = at
        self.leg = leg
        self.line = line


def payload(name: str, data: bytes) -> list[bytes]:
    """Return a member that holds exactly these bytes, as `format.payload` does, in parts."""
    try:
        return [b'"%b":' % name.encode(), orjson.dumps(data.decode())]
    except UnicodeDecodeError:
        return [b'"%b_base64":"' % name.encode(), base64.b64encode(data), b'"']

"""`replay LOG --to URL`: recorded requests of clients, sent to a running gateway, its answers against the recording.

They go one after another, in the recorded order, as fast as they are answered. Ids that a client was told and names
again are those of this run. Headers of the connection are the
connection's own; where a key stood, the key of the environment variable goes out, or a stand-in: a gateway whose
upstream needs none (`replay LOG` as an upstream) asks only that there be one.
"""

from __future__ import annotations

import argparse
import http.client
import os
from contextlib import closing
from dataclasses import replace
from urllib.parse import urlsplit

from gateway.http1 import Headers
from gateway.progress import Progress
from gateway.recording.log import Exchange, Log, Request
from gateway.replay.compare import Difference
from gateway.replay.drawn import Drawn
from gateway.replay.report import Report, chosen
from gateway.replay.retranslating import Told, compare_answers
from gateway.setting import SettingError

STAND_IN = "key-of-a-replay"

_TIMEOUT_SECS = 600.0
_KEYS = {"authorization": "Bearer {}", "x-api-key": "{}", "api-key": "{}"}
_STARS = "***"
"""What the recorder puts in place of a credential."""
_NOT_SENT = frozenset(
    (
        *("host", "content-length", "content-encoding", "connection", "keep-alive", "transfer-encoding", "te"),
        *("trailer", "upgrade", "expect", "accept-encoding", "cookie", "proxy-authorization"),
    )
)


def run(log: Log, given: argparse.Namespace) -> int:
    """Send, print what differs; return the exit code. Raises: LogError, SettingError."""
    key = os.environ.get(given.key_env) or STAND_IN
    gateway = Gateway(given.to, key)
    by_port = {log.head.get("chat_port"): Gateway(given.chat_to, key, "--chat-to")} if given.chat_to else {}
    report, drawn = Report(), Drawn()
    entries = chosen(log, given.exchange)
    with Progress("sending", len(entries)) as progress:
        for entry in entries:
            exchange = log.read(entry)
            if exchange.request is None:
                report.skip("the request is not in the recording")
            elif exchange.request.path.endswith("/models"):
                report.skip("model lists change by themselves")
            elif exchange.answer.status is None:
                report.skip("it has no answer")
            elif exchange.answer.line.get("lost"):
                report.skip("records of it were lost")
            else:
                request = _renewed(exchange.request, drawn)
                report.add(exchange, _compare(by_port.get(exchange.port, gateway), exchange, request, drawn))
            progress.add()
    return report.end()


class Gateway:
    """Where the requests go. Raises: SettingError for an address that is none."""

    def __init__(self, url: str, key: str, flag: str = "--to") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingError(flag, f"{url[:200]!r} is no http or https URL")
        try:
            self._port = parts.port
        except ValueError as exc:
            raise SettingError(flag, str(exc)) from None
        self._host = parts.hostname
        self._tls = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/").removesuffix("/v1")
        self._key = key

    def ask(self, request: Request) -> Told:
        """Send one request. Raises: OSError, http.client.HTTPException."""
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        with closing(kind(self._host, self._port, timeout=_TIMEOUT_SECS)) as connection:
            connection.putrequest(request.method, self._prefix + request.target, skip_accept_encoding=True)
            for name, value in sent_headers(request, self._key):
                connection.putheader(name, value)
            if request.body is not None:
                connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body)
            with connection.getresponse() as answer:
                return _read(answer)


def sent_headers(request: Request, key: str) -> Headers:
    """Return the headers of a recorded request as they go out again."""
    headers: Headers = []
    for name, value in request.headers:
        if name in _KEYS:
            headers.append((name, _KEYS[name].format(key)))
        elif name not in _NOT_SENT and _STARS not in value:
            headers.append((name, value))
    return headers


def _renewed(request: Request, drawn: Drawn) -> Request:
    body = None if request.body is None else drawn.renewed(request.body)
    return replace(request, target=drawn.renewed(request.target.encode()).decode(), body=body)


def _compare(gateway: Gateway, exchange: Exchange, request: Request, drawn: Drawn) -> list[Difference]:
    try:
        told = gateway.ask(request)
    except (OSError, http.client.HTTPException) as error:
        return [Difference("answer", f"status {exchange.answer.status}", f"none: {type(error).__name__}: {error}")]
    drawn.learn(exchange.answer.plain_body, told.body)
    return compare_answers(exchange, told)


def _read(answer: http.client.HTTPResponse) -> Told:
    try:
        body = answer.read()
    except http.client.IncompleteRead as cut:
        body = cut.partial
    return Told(answer.status, body, answer.getheader("content-type", "").startswith("text/event-stream"))

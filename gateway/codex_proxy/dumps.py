"""Files of what was asked and answered, for people who look for a fault: `--dump-dir`.

    000001-1795796748142-request.json     method, url, headers, body
    000001-1795796748142-response.json    status, headers, body

The names and the form are those of codex-responses-api-proxy. Credentials are taken out first: headers and members
that hold one by their name, and the held key wherever it stands. A file is for its owner alone (0600). Writing is the
work of a thread, and a disk that fails is logged and harms no exchange.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent

from gateway.http1 import Headers
from gateway.replies import Reply

_log = logging.getLogger("gateway")

REDACTED = "[REDACTED]"

BODY_LIMIT = 16 * 1024 * 1024
"""How much of an answer is kept for its file, in bytes."""

_SECRET_HEADER = re.compile(r"cookie|authorization|api-?key|token|secret|password")
_SECRET_MEMBER = re.compile(
    r"(?:.*_)?(?:authorization|api_?key|password|secret|(?:access|refresh|id|auth|bearer)_token|cookie)"
)


class Dumps:
    """The folder; it is made, if it is not there, for its owner alone."""

    def __init__(self, folder: Path, secret: str) -> None:
        """`secret` is taken out of every text. Raises: OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        self._folder = folder
        self._secret = secret
        self._numbers = itertools.count(1)

    def begin(self, method: str, url: str, headers: Headers, body: bytes) -> Dump:
        """Write a request; return what takes its answer."""
        dump = Dump(self, f"{next(self._numbers):06}-{int(time.time() * 1000)}")
        self.write(f"{dump.name}-request.json", {"method": method, "url": url}, headers, body)
        return dump

    def write(self, name: str, facts: dict[str, Any], headers: Headers, body: bytes) -> None:
        """Write one file, in a thread; this greenlet waits for it and others go on."""
        gevent.get_hub().threadpool.apply(self._write, (name, facts, headers, body))

    def _write(self, name: str, facts: dict[str, Any], headers: Headers, body: bytes) -> None:
        told = {**facts, "headers": redacted_headers(headers), "body": redacted_body(body)}
        text = json.dumps(told, indent=2, ensure_ascii=False)
        if self._secret:
            text = text.replace(self._secret, REDACTED)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(self._folder / name, flags, 0o600), "wb") as file:
                file.write(text.encode("utf-8", "replace"))
        except OSError as error:
            _log.warning("a dump cannot be written: %s", error.strerror)


class Dump:
    """One exchange of which the request has been written."""

    def __init__(self, dumps: Dumps, name: str) -> None:
        self.name = name
        self._dumps = dumps

    def watch(self, reply: Reply) -> Reply:
        """Return the answer; it is written now if it is whole, else when it has gone out or broken off."""
        if isinstance(reply.body, bytes):
            self.end(reply.status, reply.headers, reply.body)
        else:
            reply.body = _Watched(reply.body, self, reply.status, reply.headers)
        return reply

    def end(self, status: int, headers: Headers, body: bytes, *, whole: bool = True) -> None:
        """Write the answer; `whole`: nothing of its body is left out."""
        facts: dict[str, Any] = {"status": status}
        if not whole:
            facts["truncated"] = True
        self._dumps.write(f"{self.name}-response.json", facts, headers, body)


class _Watched:
    """The body of an answer on its way out."""

    def __init__(self, body: Iterator[bytes], dump: Dump, status: int, headers: Headers) -> None:
        self._body = body
        self._dump: Dump | None = dump
        self._status = status
        self._headers = headers
        self._pieces: list[bytes] = []
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data = next(self._body)
        if self._size <= BODY_LIMIT:
            self._pieces.append(data)
        self._size += len(data)
        return data

    def close(self) -> None:
        """End the answer and write it; may be called twice."""
        close = getattr(self._body, "close", None)
        if close is not None:
            close()
        dump, self._dump = self._dump, None
        if dump is not None:
            body = b"".join(self._pieces)[:BODY_LIMIT]
            dump.end(self._status, self._headers, body, whole=self._size <= BODY_LIMIT)


def redacted_headers(headers: Headers) -> list[dict[str, str]]:
    """Return header lines as a dump has them."""
    return [
        {"name": name, "value": REDACTED if _SECRET_HEADER.search(name.lower()) else value} for name, value in headers
    ]


def redacted_body(body: bytes) -> Any:
    """Return a body as a dump has it: JSON where it is some, else a text."""
    try:
        return _redacted(json.loads(body))
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def _redacted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: REDACTED if _is_secret(name, member) else _redacted(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_redacted(member) for member in value]
    return value


def _is_secret(name: str, member: Any) -> bool:
    return isinstance(member, str) and bool(_SECRET_MEMBER.fullmatch(name.lower().replace("-", "_")))

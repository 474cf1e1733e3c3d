"""Heads of requests as nearly all clients write them, read in a few steps. Pure.

A head is *plain* if no two readers of HTTP could take it differently: GET or POST, a target without escapes, each
header once and on one line, at most one length, no transfer coding and no expectation. All others are for
gunicorn's parser, which decides what to refuse. So this room never takes what that parser would not; a test holds
the two side by side.

Source: RFC 9112, sections 3 and 5; RFC 9110, sections 5.5 and 5.6.2.
"""

from __future__ import annotations

import re
from functools import lru_cache

PLAIN_LIMIT = 8192
"""Longest plain head, in bytes: so no line of it can be too long."""

_FIELDS = 100

_REQUEST_LINE = re.compile(r"(GET|POST) ((/(?:[\w.~-][\w.~/-]*)?)(?:\?([!\"$-~]*))?) HTTP/1\.1", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LENGTH = re.compile(r"[0-9]{1,15}", re.ASCII)

_NOT_PLAIN = frozenset(["EXPECT", "TRANSFER-ENCODING"])


class PlainHead:
    """One plain head: what of gunicorn's request the server uses, under the names that it has there."""

    __slots__ = ("body", "headers", "length", "method", "must_close", "path", "query", "uri")

    version = (1, 1)
    expects = False
    """The client waits for `100 Continue`."""

    def __init__(self, method: str, uri: str, path: str, query: str, fields: dict[str, str]) -> None:
        self.method = method
        self.uri = uri
        self.path = path
        self.query = query
        self.headers = list(fields.items())
        """Names in capitals."""
        self.length = int(fields.get("CONTENT-LENGTH", 0))
        """Of the body, in bytes."""
        self.must_close = fields.get("CONNECTION", "").lower() == "close"
        self.body: object = None

    def force_close(self) -> None:
        """End the connection behind the answer."""
        self.must_close = True

    def should_close(self) -> bool:
        """Tell whether the connection ends behind the answer."""
        return self.must_close


def read(head: bytes) -> PlainHead | None:
    """Read a head, its empty line not included; None if it is not plain."""
    if len(head) > PLAIN_LIMIT:
        return None
    text = head.decode("latin-1")
    first, *lines = text.split("\r\n")
    line = _REQUEST_LINE.fullmatch(first)
    if line is None or len(lines) > _FIELDS or _CONTROL.search(text):
        return None
    if not text.count("\r") == text.count("\n") == len(lines):
        return None
    fields: dict[str, str] = {}
    for field in lines:
        spelled, colon, value = field.partition(":")
        name = _capitals(spelled)
        if not colon or name is None or name in fields:
            return None
        fields[name] = value.strip(" \t")
    if "HOST" not in fields or not _NOT_PLAIN.isdisjoint(fields):
        return None
    if not _LENGTH.fullmatch(fields.get("CONTENT-LENGTH", "0")):
        return None
    return PlainHead(line[1], line[2], line[3], line[4] or "", fields)


@lru_cache(maxsize=1024)
def _capitals(name: str) -> str | None:
    """Return a header's name in capitals, None where it is no plain one."""
    return name.upper() if _NAME.fullmatch(name) else None

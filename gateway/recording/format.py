"""The lines of a recording, version 1: one JSON object a line, each an event of one exchange. Pure.

    {"v": 1, "timestamp": "2026-11-27T16:01:45.123456Z", "offset": 3.141593, "direction": "upstream-response-chunk",
     "port": 5102, "request_id": "req_…", "attempt": 1, "data": "data: {…}\n\n"}

What the writer and all readers share: the names, the choice between text and base64, and the check of the version.
`docs/recorder.md` lists the members of each direction. A reader lets through members that it does not know.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from gateway.jsonbody import dump
from gateway.types import JSON

VERSION: Final = 1

LOG: Final = "log"
"""The first line of each file."""
CLIENT_REQUEST: Final = "downstream-request"
UPSTREAM_REQUEST: Final = "upstream-request"
UPSTREAM_HEAD: Final = "upstream-response"
UPSTREAM_CHUNK: Final = "upstream-response-chunk"
UPSTREAM_END: Final = "upstream-response-end"
CLIENT_HEAD: Final = "downstream-response"
CLIENT_CHUNK: Final = "downstream-response-chunk"
CLIENT_END: Final = "downstream-response-end"

_BASE64 = "_base64"


class FormatError(ValueError):
    """A line that is none of this format."""


class UnknownVersion(FormatError):
    """A line of a version that this program does not know: no line of its file can be trusted."""


def format_line(
    direction: str,
    wall: float,
    offset: float,
    members: Mapping[str, object],
    *,
    port: int | None = None,
    request_id: str | None = None,
) -> bytes:
    """Return one line with its end.

    `wall` is in seconds since the epoch, `offset` in seconds since the log was begun. `members` are those of the
    direction, with payloads from `payload`.
    """
    line: JSON = {"v": VERSION, "timestamp": timestamp(wall), "offset": round(offset, 6), "direction": direction}
    if port is not None:
        line["port"] = port
    if request_id is not None:
        line["request_id"] = request_id
    line.update(members)
    return dump(line) + b"\n"


def timestamp(wall: float) -> str:
    """Return a time as recordings spell it: UTC with microseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def payload(name: str, raw: bytes) -> dict[str, str]:
    """Return the member that holds exactly these bytes: text where they are UTF-8, else base64."""
    try:
        return {name: raw.decode()}
    except UnicodeDecodeError:
        return {name + _BASE64: base64.b64encode(raw).decode("ascii")}


def raw_payload(line: Mapping[str, object], name: str) -> bytes | None:
    """Return the bytes that `payload` was given, None where the line has none. Raises: FormatError."""
    text = line.get(name)
    if isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    coded = line.get(name + _BASE64)
    if not isinstance(coded, str):
        return None
    try:
        return base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(f"`{name}{_BASE64}` is not valid base64") from None


def parse_line(raw: bytes) -> JSON:
    """Return the members of one line. Raises: FormatError, UnknownVersion."""
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise FormatError("not valid JSON") from None
    if not isinstance(line, dict) or "v" not in line or not isinstance(line.get("direction"), str):
        raise FormatError("not a line of a recording")
    if line["v"] != VERSION or isinstance(line["v"], bool):
        raise UnknownVersion(f"version {str(line['v'])[:20]} of the format is not known, only version {VERSION}")
    return line

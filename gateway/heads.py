"""Request heads: read under a deadline and within bounds, parsed, refused in JSON.

gunicorn's parser reads the socket itself, for as long as the client likes. So the head is read here, up to its
end, and then handed over; the parser finds all it needs in its buffer and says what is wrong with it. What it
lets pass and a gateway must not is checked after it. A head that is plain need not go that way, see
`gateway.plain_head`.

Source: RFC 9112, sections 2.2, 3.2 and 6.3; RFC 6585 for 431.
"""

from __future__ import annotations

import re
import secrets
import socket
import time
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, NoMoreData, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import SocketUnreader
from gunicorn.http.wsgi import base_environ

from gateway import plain_head
from gateway.dialects.chat.wire import encode_error
from gateway.errors import GatewayError, RequestError, RequestTimeout
from gateway.http1 import Headers
from gateway.jsonbody import dump

REQUEST_LINE_LIMIT = 16 * 1024
HEADER_LINES_LIMIT = 100
HEADER_LINE_LIMIT = 8 * 1024

HEAD_LIMIT = 256 * 1024
"""Longest head in all, in bytes: what a client that never ends its head can make us keep."""

_READ_SIZE = 16 * 1024
_LARGEST_READ = 1 << 18


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a client may take, in seconds."""

    head: float = 30.0
    """From the first byte of a head to its last."""
    idle: float = 60.0
    """Without any byte, between requests and before the first."""
    body: float = 30.0
    """Without a new byte of a body."""
    linger: float = 2.0
    """For the rest of a body that nobody wants, so that the client can read the answer before the end."""


class _Message(Request):
    """gunicorn's request, with this gateway's bound on the request line (its own ends at 8190 bytes)."""

    def read_line(self, unreader: Any, buf: Any, limit: int = 0) -> Any:
        return super().read_line(unreader, buf, REQUEST_LINE_LIMIT)

    @property
    def expects(self) -> bool:
        """The client waits for `100 Continue`."""
        return bool(self._expected_100_continue)


class _ChunkedBody(Body):
    """A chunked body, whose faults of framing are the client's, wherever they are met."""

    def _read_reader(self, size: int) -> bytes:
        try:
            data: bytes = super()._read_reader(size)
        except (ParseException, NoMoreData) as exc:
            raise RequestError("The body is not framed as HTTP demands, or breaks off.", code="bad_request") from exc
        return data

    @property
    def unread(self) -> int | None:
        """Bytes that nobody has read yet; None where only reading would tell."""
        return None if self.failed or self.reader.parser is not None else 0


class _PlainBody:
    """A body of a length that is known. One read takes what has come, not more."""

    def __init__(self, unreader: SocketUnreader, length: int) -> None:
        self.unread = length
        self._unreader = unreader

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, b"" at the end or where the client hangs up; all of them without a size."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_LARGEST_READ), b""))
        wanted = min(size, self.unread)
        if not wanted:
            return b""
        data: bytes = self._unreader.take_buffered() or self._unreader.sock.recv(min(wanted, _LARGEST_READ))
        if len(data) > wanted:
            self._unreader.unread(data[wanted:])
            data = data[:wanted]
        self.unread -= len(data)
        return data


_ORIGIN = re.compile(rb"\r\norigin:[ \t]*([\x21-\x7e]*)[ \t]*\r\n", re.IGNORECASE)


class HeadReader:
    """The requests of one connection, one after the other."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        """`client` and `server` are the addresses of the two ends."""
        self.requests = 0
        """How many have begun."""
        self._doubtful: bytes | bytearray = b""
        """What has come of a head that may yet be refused."""
        self._cfg = cfg
        self._sock = sock
        self._client = client
        self._unreader = SocketUnreader(sock)
        self._environ = {
            **base_environ(cfg),
            "gunicorn.socket": sock,
            "wsgi.url_scheme": "http",
            "SCRIPT_NAME": "",
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "REMOTE_ADDR": client[0],
            "REMOTE_PORT": str(client[1]),
        }

    def begin(self, idle_secs: float) -> bool:
        """Wait for the first byte of a head; False where none comes. Raises: OSError."""
        data = self._unreader.take_buffered()
        if not data:
            self._sock.settimeout(idle_secs)
            try:
                data = self._sock.recv(_READ_SIZE)
            except TimeoutError:
                return False
        self._unreader.unread(data)
        return bool(data)

    def request(self, head_secs: float) -> Any:
        """Return the request that has begun, None where the client hangs up instead.

        Raises: ParseException, RequestTimeout, OSError.
        """
        self.requests += 1
        self._sock.settimeout(None)
        data = self._unreader.take_buffered()
        end = data.find(b"\r\n\r\n")
        plain = plain_head.read(data[:end]) if end >= 0 else None
        if plain is not None:
            self._unreader.unread(data[end + 4 :])
            plain.body = _PlainBody(self._unreader, plain.length)
            return plain
        whole = self._whole(data, head_secs)
        if whole is None:
            return None
        self._sock.settimeout(None)
        message = self._parsed(whole)
        self._doubtful = b""
        return message

    def refused(self) -> dict[str, str]:
        """Return of the environment of a head that was refused what the headers of the refusal depend on."""
        found = _ORIGIN.search(self._doubtful)
        return {} if found is None else {"HTTP_ORIGIN": found[1].decode("latin-1")}

    def _whole(self, begun: bytes, head_secs: float) -> bytes | None:
        """Return the bytes that have come when a head is complete, None where it never will be."""
        ends = time.monotonic() + head_secs
        data = self._doubtful = bytearray(begun)
        seen = 0
        while not _is_whole(data, seen):
            seen = len(data)
            piece = _receive(self._sock, ends)
            if not piece:
                return None
            data += piece
        return bytes(data)

    def _parsed(self, data: bytes) -> Any:
        """Have gunicorn's parser read a head."""
        self._unreader.unread(data)
        message = _Message(self._cfg, self._unreader, self._client, self.requests)
        _check_framing(message)
        reader = message.body.reader
        known = isinstance(reader, LengthReader)
        message.body = _PlainBody(self._unreader, reader.length) if known else _ChunkedBody(reader)
        return message

    def environ(self, request: Any) -> dict[str, Any]:
        """Return the WSGI environment of a request (PEP 3333; RFC 3875, section 4.1.18, for repeated headers)."""
        environ = {
            **self._environ,
            "wsgi.input": request.body,
            "REQUEST_METHOD": request.method,
            "RAW_URI": request.uri,
            "PATH_INFO": unquote_to_bytes(request.path).decode("latin-1") if "%" in request.path else request.path,
            "QUERY_STRING": request.query,
            "SERVER_PROTOCOL": "HTTP/1.1" if request.version == (1, 1) else "HTTP/{}.{}".format(*request.version),
        }
        for name, value in request.headers:
            key = _environ_key(name)
            before = environ.get(key)
            environ[key] = value if before is None else f"{before},{value}"
        return environ


@lru_cache(maxsize=1024)
def _environ_key(name: str) -> str:
    key = name.replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"


def _receive(sock: socket.socket, ends: float) -> bytes:
    left = ends - time.monotonic()
    if left > 0:
        sock.settimeout(left)
        try:
            return sock.recv(_READ_SIZE)
        except TimeoutError:
            pass
    raise RequestTimeout("The head of the request was not complete in time.")


def _is_whole(data: bytearray, seen: int) -> bool:
    """Tell whether a head is complete; `seen`: bytes that were looked at before.

    Raises: ParseException where more bytes cannot make it right.
    """
    if data.find(b"\r\n\r\n", max(0, seen - 3)) >= 0:
        return True
    if len(data) > REQUEST_LINE_LIMIT + 4 and data.find(b"\r\n", 2, REQUEST_LINE_LIMIT + 4) < 0:
        raise LimitRequestLine(len(data), REQUEST_LINE_LIMIT)
    line_end = data.rfind(b"\n")
    if line_end >= 0 and len(data) - line_end > HEADER_LINE_LIMIT + 4:
        raise LimitRequestHeaders("a header line without end")
    if len(data) > HEAD_LIMIT:
        raise LimitRequestHeaders("the head is too long")
    if not data[:1].isalpha() and data[:1] != b"\r":
        raise ParseException("no method; perhaps TLS")
    if data.count(b"\n", seen) != data.count(b"\r\n", max(0, seen - 1)):
        raise ParseException("a line feed alone")
    return False


_KEYS = ("AUTHORIZATION", "X-API-KEY", "API-KEY")
"""Headers that hold a key: sent twice, their values would be joined to one that nobody meant."""


def _check_framing(message: Any) -> None:
    """Refuse what could be read in two ways. Raises: ParseException."""
    names = [name for name, _ in message.headers]
    if message.version >= (1, 1) and "HOST" not in names:
        raise ParseException("no Host")
    if any(names.count(name) > 1 for name in _KEYS):
        raise ParseException("two keys")
    codings = [value.lower() for name, value in message.headers if name == "TRANSFER-ENCODING"]
    if codings and codings != ["chunked"]:
        raise ParseException("a transfer coding that is not understood")


# --- refusals -----------------------------------------------------------------------------------------------


def fault_of(exc: BaseException) -> GatewayError:
    """Return the error that a client is told of; what it sent is not repeated."""
    match exc:
        case GatewayError():
            return exc
        case LimitRequestLine():
            return _refusal(414, f"The request line is longer than {REQUEST_LINE_LIMIT} bytes.", "uri_too_long")
        case LimitRequestHeaders():
            words = f"More than {HEADER_LINES_LIMIT} header lines, or one longer than {HEADER_LINE_LIMIT} bytes."
            return _refusal(431, words, "headers_too_large")
        case ExpectationFailed():
            return _refusal(417, "Only `Expect: 100-continue` is understood.", "expectation_failed")
        case ParseException():
            return _refusal(400, "The request is not valid HTTP.", "bad_request")
        case _:
            return GatewayError("The gateway failed; its log tells why.")


def _refusal(status: int, message: str, code: str) -> RequestError:
    error = RequestError(message, code=code)
    error.status = status
    return error


def format_refusal(error: GatewayError, headers: Headers) -> bytes:
    """Return a whole answer that says what is wrong and that the connection ends."""
    request_id = f"req_{secrets.token_hex(24)}"
    body = dump(encode_error(error, request_id))
    lines = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        f"x-request-id: {request_id}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body

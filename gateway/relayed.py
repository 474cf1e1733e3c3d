"""The relayed flow: the client's bytes go to the upstream and the upstream's come back, neither translated.

Nothing of the answer is parsed. A comment or an error line is inserted into a stream only where the bytes so
far end a frame; a body that breaks off is broken off towards the client as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

from gateway import sse
from gateway.asking import decoded_error
from gateway.dialects import Dialect
from gateway.dialects.chat import wire as chat_wire
from gateway.dialects.chat.request import relay_edits
from gateway.dialects.registry import CHAT
from gateway.errors import GatewayError, UpstreamProtocol
from gateway.exchange import Exchange, Pieces, Stream, fail
from gateway.headers import STREAM_HEADERS, answered, answered_bridged, for_relayed
from gateway.http1 import Head
from gateway.json_edit import edit_members
from gateway.jsonbody import dump, load_object
from gateway.replies import Reply
from gateway.turns import pause_for
from gateway.upstream import Call, UpstreamRequest
from gateway.upstream_error import read_error

_ERROR_LIMIT = 64 * 1024
_ARRIVED_READS = 16
"""Reads that are joined into the first write of an answer that is no stream."""


def chat_body(exchange: Exchange, raw: bytes) -> bytes:
    """Return a chat body as it leaves: as received, but for the members that must change. Raises: RequestError."""
    body = load_object(raw, pause_for(raw))
    requested = body.get("model")
    model_id = requested
    if isinstance(requested, str) and requested:
        catalog = exchange.catalog()
        model_id = catalog.resolve(requested).id
        exchange.model = model_id
        exchange.knows_model = catalog.known(requested)
    return _edited(raw, relay_edits(body, model_id if isinstance(model_id, str) else None))


def responses_body(exchange: Exchange, raw: bytes) -> bytes:
    """Return a Responses body as it leaves: as `chat_body`. Raises: RequestError.

    A reasoning alias becomes the model's name and the setting that it stands for; what the client says wins.
    """
    body = load_object(raw, pause_for(raw))
    requested = body.get("model")
    if not isinstance(requested, str) or not requested:
        return _edited(raw, relay_edits(body, None))
    catalog = exchange.catalog()
    named = catalog.named(requested)
    exchange.model = named.model.id
    exchange.knows_model = catalog.known(named.model.id)
    wanted = {"effort": named.effort, "summary": None if named.summary == "none" else named.summary}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    given = body.get("reasoning")
    if wanted and (given is None or isinstance(given, dict)):
        own = {name: value for name, value in (given or {}).items() if value is not None}
        raw = dump({**body, "reasoning": {**wanted, **own}})
    return _edited(raw, relay_edits(body, named.model.id))


def _edited(raw: bytes, changes: Mapping[str, Any]) -> bytes:
    if not changes:
        return raw
    return edit_members(raw, {name: None if value is None else dump(value) for name, value in changes.items()})


def answer(exchange: Exchange, target: str, body: bytes | None, *, decoded: bool, dialect: Dialect = CHAT) -> Reply:
    """Relay one request; `dialect` is that of the answer. Raises: GatewayError while the answer has not begun."""
    environ = exchange.environ
    method = str(environ["REQUEST_METHOD"])
    flow = _Relay(exchange, dialect.stream_error or chat_wire.stream_error)
    request = UpstreamRequest(method, target, for_relayed(environ, exchange.key, decoded=decoded), body)
    head, first = flow.begin(request)
    exchange.status = head.status
    headers = answered(head.headers)
    if flow.complete:
        flow.close()
        exchange.sending(first)
        exchange.close()
        if method == "HEAD" and (length := head.get("content-length")):
            headers.append(("content-length", length))
        return Reply(first, head.status, headers)
    if flow.is_stream:
        headers = [*(h for h in headers if h[0] not in ("cache-control", "x-accel-buffering")), *STREAM_HEADERS]
    elif (length := head.get("content-length")) and head.get("transfer-encoding") is None:
        headers.append(("content-length", length))
    stream = Stream(exchange, flow.pieces(), first, flow.keepalive, flow.close)
    return Reply(stream, head.status, headers)


class _Relay:
    """One relayed exchange under way."""

    def __init__(self, exchange: Exchange, spell: Callable[[GatewayError, str], bytes]) -> None:
        self.complete = False
        self.is_stream = False
        self._exchange = exchange
        self._spell = spell
        self._permit = exchange.services.breaker.enter(exchange.model)
        self._call: Call | None = None
        self._tail = b"\n\n"

    def begin(self, request: UpstreamRequest) -> tuple[Head, bytes]:
        """Send the request; return the head of the answer and what of its body has come with it."""
        exchange = self._exchange
        try:
            self._call = exchange.send(request)
            head = _last(exchange.head(self._call))
            self.is_stream = (head.get("content-type") or "").startswith("text/event-stream")
            if head.status >= 400:
                self._refused(head)
                return self._masked(head, self._error_body(head))
            if self.is_stream:
                return head, b""
            return head, self._arrived()
        except BaseException as error:
            self._ended_by(error)
            self.close()
            raise

    def pieces(self) -> Pieces:
        """Yield the answer's bytes as they come, None for silence."""
        exchange = self._exchange
        call = self._call
        if call is None:
            return
        wait, read = exchange.wait, call.read
        try:
            while (data := wait(read)) != b"":
                if data:
                    self._permit.answering()
                    self._tail = (self._tail + data)[-4:] if len(data) < 4 else data[-4:]
                yield data
            self._end()
        except GatewayError as error:
            self._ended_by(error)
            if not (self.is_stream and sse.ends_frame(self._tail)):
                raise  # the server breaks the connection off, as the upstream did
            yield self._spell(error, exchange.id)

    def keepalive(self) -> bytes:
        """Return a comment where one may stand, else nothing."""
        return sse.comment() if self.is_stream and sse.ends_frame(self._tail) else b""

    def close(self) -> None:
        """Let the upstream go and tell the breaker; may be called twice."""
        if self._call is not None:
            self._call.close()
            self._call = None
        self._permit.abandoned()

    def _arrived(self) -> bytes:
        """Return what of the body came with the head: a small answer then leaves in one write."""
        call = self._call
        pieces: list[bytes] = []
        data: bytes | None = b""
        while call and len(pieces) < _ARRIVED_READS:
            data = self._exchange.wait(lambda _: call.read(0.0))
            if not data:
                break
            pieces.append(data)
        if pieces:
            self._permit.answering()
        if data == b"":
            self._end()
        self._tail = pieces[-1][-4:] if pieces else self._tail
        return b"".join(pieces)

    def _error_body(self, head: Head) -> bytes:
        """Errors are read whole (they are small), so that the client's key can be masked in them."""
        exchange = self._exchange
        body = b""
        try:
            for data in exchange.body(self._call) if self._call else ():
                body += data or b""
                if len(body) > _ERROR_LIMIT:
                    return body
        except UpstreamProtocol:
            # Its status is known; words that were cut off do not change it.
            raise read_error(head.status, dict(answered_bridged(head.headers)), b"") from None
        self._end()
        return body

    def _masked(self, head: Head, body: bytes) -> tuple[Head, bytes]:
        """Return an error without the key that its upstream may repeat.

        Raises: UpstreamStatus, where a key that is not the client's own could stand in what nobody can read.
        """
        caller = self._exchange.caller
        mask = caller.mask
        plain = decoded_error(head, body) if self.complete else b""
        if body and not plain and not caller.own and caller.held:
            raise read_error(head.status, dict(answered_bridged(head.headers)), b"")
        if not self.complete:
            # Its length is announced, so what masks the key has the key's length.
            return head, mask.body_of_same_length(body)
        masked = mask.body(plain)
        if masked == plain:
            return head, body
        # It leaves as plain text, since packing it again would help nobody.
        return Head(head.status, [line for line in head.headers if line[0] != "content-encoding"]), masked

    def _refused(self, head: Head) -> None:
        if head.status >= 500:
            self._permit.failed()
        else:
            self._permit.succeeded()
        self._exchange.end = "failed" if head.status >= 500 else "refused"

    def _end(self) -> None:
        """All of the answer has come."""
        self.complete = True
        self._permit.succeeded()

    def _ended_by(self, error: BaseException) -> None:
        if isinstance(error, GatewayError):
            fail(self._exchange, error)
        self._permit.ended_by(error)


def _last(silence: Generator[None, None, Head]) -> Head:
    """Run a wait whose spells of silence nobody needs to hear of."""
    while True:
        try:
            next(silence)
        except StopIteration as stop:
            head: Head = stop.value
            return head

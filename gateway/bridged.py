"""The translated flow: a client's request in its dialect, answered by an upstream that speaks another.

load, translate ── ask (repairs) ── bridge: decode, filter, encode ── stream or whole
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway import joining
from gateway.asking import Asked
from gateway.bridge import Bridge
from gateway.dialects import Dialect
from gateway.dialects.registry import UPSTREAMS
from gateway.errors import GatewayError, RequestError, UpstreamProtocol
from gateway.exchange import Exchange, Pieces, Stream, begin, fail, run
from gateway.headers import STREAM_HEADERS, answered_bridged, for_bridged
from gateway.http1 import Head, Headers
from gateway.jsonbody import dump, load_object, load_upstream
from gateway.profile import Terms
from gateway.replies import Reply, json_reply
from gateway.seal import Envelope
from gateway.store.turn import Turn, open_turn
from gateway.turns import pause_for
from gateway.types import JSON
from gateway.upstream import Call, UpstreamRequest

WHOLE_LIMIT = 64 * 1024 * 1024
"""Largest whole answer of an upstream, in bytes."""

STREAM_LIMIT = 128 * 1024 * 1024
"""Longest streamed answer of an upstream that is translated, in bytes: what it says is kept for the end."""

_WARNINGS_LIMIT = 1000
"""Longest `x-gateway-warnings` value, in characters."""


@dataclass(slots=True)
class Translated:
    """A request that has been translated, and what its answer needs."""

    body: JSON
    stream: bool
    asked: Asked
    bridge: Bridge
    stored: bool
    """The answer may be stored."""
    warnings: Headers


def answer(exchange: Exchange, client: Dialect, raw: bytes) -> Reply:
    """Answer a request of a client dialect through the upstream. Raises: GatewayError before the first byte."""
    # Each step on a large body takes a millisecond or two; between them other exchanges get their turn.
    pause = pause_for(raw)
    body = load_object(raw, pause)
    turn = open_turn(exchange, body, keeps=client.keeps_answers) if client.reads_store else Turn(body)
    translated = translate(exchange, client, turn, pause)
    pause()
    return respond(exchange, translated)


def terms_of(exchange: Exchange, requested: object, pause: Callable[[], None]) -> Terms:
    """Return the terms for a request that names this model. Raises: RequestError."""
    if not isinstance(requested, str) or not requested.strip():
        raise RequestError("`model` is missing; it names the model to use.", param="model", code="model_required")
    settings = exchange.services.settings
    catalog = exchange.catalog()
    named = catalog.named(requested)
    exchange.model = named.model.id
    exchange.knows_model = catalog.known(named.model.id)
    exchange.profile = UPSTREAMS[settings.backend_api].fitted(named.model)
    envelope = Envelope(exchange.caller.sealing_key, settings.envelope_secret)
    return Terms(
        exchange.profile,
        settings.limits,
        envelope.seal,
        envelope.open,
        effort=named.effort,
        summary=named.summary,
        web_search=settings.auto_web_search,
        pause=pause,
    )


def translate(exchange: Exchange, client: Dialect, turn: Turn, pause: Callable[[], None]) -> Translated:
    """Translate a request. The body is not kept: a stream may live long, and its request may be large."""
    body = turn.body
    services = exchange.services
    upstream = UPSTREAMS[services.settings.backend_api]
    if client.to_chat is None:
        raise TypeError(f"{client.name} is no client's dialect of a translation")
    terms = terms_of(exchange, body.get("model"), pause)
    if turn.earlier:
        terms = replace(terms, earlier=turn.earlier)
    translation = client.to_chat(body, terms)
    hub = joining.hub(client, translation, terms)
    exchange.dropped = (*translation.dropped, *upstream.unsent(hub))
    bridge = joining.bridge(
        client,
        upstream,
        terms,
        hub,
        turn.keeping(translation),
        (services.new_id, services.now),
        exchange.caller.mask.error,
    )
    asked = Asked(exchange, terms.model, str(body["model"]), joining.speller(upstream, hub))
    return Translated(hub, hub.get("stream") is True, asked, bridge, turn.keep is not None, _warnings(exchange.dropped))


def respond(exchange: Exchange, translated: Translated) -> Reply:
    """Run the exchange; return its answer, streamed or whole as asked. Raises: GatewayError."""
    bridge = translated.bridge
    flow = _Flow(exchange, translated)
    pieces = flow.pieces()
    if not translated.stream:
        run(pieces)
        exchange.status = 200
        exchange.usage = bridge.usage
        data = dump(bridge.body)
        exchange.sending(data)
        exchange.close()
        return json_reply(data, 200, [*flow.headers, *translated.warnings])
    first = begin(pieces, exchange)
    bridge.begun = True
    exchange.status = 200
    stream = Stream(exchange, pieces, first, bridge.keepalive, flow.done, bridge)
    headers = [
        ("content-type", "text/event-stream; charset=utf-8"),
        *STREAM_HEADERS,
        *flow.headers,
        *translated.warnings,
    ]
    return Reply(stream, 200, headers)


class _Flow:
    """One translated exchange under way."""

    def __init__(self, exchange: Exchange, translated: Translated) -> None:
        self.headers: Headers = []
        self._exchange = exchange
        self._asked = translated.asked
        self._bridge = translated.bridge
        self._stream = translated.stream
        self._stored = translated.stored

    def pieces(self) -> Pieces:
        """Yield the client's bytes, None for silence. Raises: GatewayError until the bridge has begun."""
        bridge = self._bridge
        try:
            with self._exchange.services.breaker.enter(self._asked.model.id) as self._permit:
                call, head = yield from self._asked.call(self._request)
                # The request is done with: a long stream should not hold a large body.
                del self._asked
                self.headers = answered_bridged(head.headers)
                try:
                    yield from self._translated(call, head)
                finally:
                    call.close()
                if bridge.failure is not None:
                    raise bridge.failure
        except GatewayError as error:
            fail(self._exchange, error)
            if not bridge.begun:
                raise
            yield bridge.fail(error)
        except Exception:
            if not bridge.begun:
                raise
            self._exchange.services.log.exception("internal error in a stream")
            fail(self._exchange, GatewayError(_INTERNAL))
            yield bridge.fail(GatewayError(_INTERNAL))

    def done(self) -> None:
        """Note what only the end of the stream tells."""
        if self._stored and not self._bridge.ended and self._exchange.end == "client_gone":
            self._bridge.fail(GatewayError(_CLIENT_LEFT))
        self._exchange.usage = self._bridge.usage

    def _request(self, body: JSON) -> UpstreamRequest:
        exchange = self._exchange
        headers = for_bridged(exchange.environ, exchange.key, exchange.id, self._stream)
        return UpstreamRequest("POST", exchange.services.settings.backend_target, headers, dump(body))

    def _translated(self, call: Call, head: Head) -> Pieces:
        """Translate the body as it arrives, or as a whole where the upstream answers with one JSON object."""
        if (head.get("content-encoding") or "identity").strip().lower() != "identity":
            raise UpstreamProtocol("The upstream sent a compressed answer although none was asked for.")
        bridge, wait, read = self._bridge, self._exchange.wait, call.read
        start = b""
        begun = False
        size = 0
        while (data := wait(read)) != b"":
            if data is None:
                yield None
                continue
            if not begun:
                start = data.lstrip()[:1]
                if start == b"{":
                    yield from self._whole(data, self._exchange.body(call))
                    return
                if start in (b"<", b"["):
                    raise UpstreamProtocol("The upstream answered with something that is neither JSON nor a stream.")
            size += len(data)
            if size > STREAM_LIMIT:
                raise UpstreamProtocol(f"The upstream's answer is larger than {STREAM_LIMIT} bytes.")
            piece = bridge.feed(data)
            if start and not begun:
                begun = True
                self._permit.answering()
            yield piece
            if bridge.ended:
                # The last bytes of the framing follow at once; with them the connection can be used again.
                with suppress(GatewayError):
                    read(0.005)
                return
        yield bridge.finish()

    def _whole(self, data: bytes, body: Iterator[bytes | None]) -> Pieces:
        parts = [data]
        size = len(data)
        for more in body:
            if more is None:
                yield None
                continue
            size += len(more)
            if size > WHOLE_LIMIT:
                raise UpstreamProtocol(f"The upstream's answer is larger than {WHOLE_LIMIT} bytes.")
            parts.append(more)
        try:
            value = load_upstream(b"".join(parts))
        except ValueError as exc:
            raise UpstreamProtocol("The upstream's answer is not valid JSON.") from exc
        if not isinstance(value, dict):
            raise UpstreamProtocol("The upstream's answer is not a JSON object.")
        yield self._bridge.whole(value)


_INTERNAL = "The gateway failed; its log tells why."
_CLIENT_LEFT = "The client left before the end of the answer."


def _warnings(dropped: tuple[str, ...]) -> Headers:
    if not dropped:
        return []
    text = ", ".join(dict.fromkeys(dropped)).encode("ascii", "replace").decode()
    text = "".join(c if " " <= c <= "~" else "?" for c in text)
    return [("x-gateway-warnings", text[:_WARNINGS_LIMIT])]

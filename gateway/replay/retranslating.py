"""`replay LOG --retranslate`: recorded requests and upstream bytes through today's translators, against the recording.

No server and no key: everything that a translation depends on is in the recording (the model's profile stands in the
request to the upstream), but for what is sealed with the client's key. Where both sides speak the same dialect the
answer's events are compared as they passed.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from gateway import joining
from gateway.asking import NEAREST, explain_missing_model
from gateway.bridge import Bridge
from gateway.dialects import Dialect, Translation
from gateway.dialects.registry import CHAT, COMPACTION, MESSAGES, RESPONSES
from gateway.dialects.responses.context import Context
from gateway.errors import GatewayError, RequestError, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from gateway.headers import answered_bridged
from gateway.jsonbody import dump, load_object, load_upstream
from gateway.models import split_alias
from gateway.paths import normalise
from gateway.profile import Limits, Model, Terms
from gateway.progress import Progress
from gateway.quirks import NO_QUIRK, Quirk
from gateway.recording.log import Answer, Attempt, Exchange, Log
from gateway.remedy import remedy_for
from gateway.replay.compare import SEALED, Difference, differences, events, request_differences
from gateway.replay.report import Report, chosen
from gateway.store.items import references
from gateway.types import JSON
from gateway.upstream_error import read_error

CLIENTS = {
    "/v1/responses": RESPONSES,
    "/v1/responses/compact": COMPACTION,
    "/v1/messages": MESSAGES,
    "/v1/chat/completions": CHAT,
}
_NAMES = re.compile(re.escape(NEAREST).encode() + rb'[^"]*')
_SEALED = re.compile(r"\.(?:encrypted_content|signature)$")
_ERROR_LIMIT = 64 * 1024
_BOUNDLESS = Limits(1 << 40, 1 << 40, 1 << 40, 1 << 40)
"""What the recording gateway let through is not refused here."""


class NotComparable(Exception):
    """An exchange that this cannot judge, and why."""


@dataclass(slots=True)
class Told:
    """What a client is told."""

    status: int
    body: bytes
    is_stream: bool


@dataclass(slots=True)
class Memory:
    """What the gateway had learnt of each model by then."""

    quirks: dict[str, Quirk] = field(default_factory=dict)


def run(log: Log, given: argparse.Namespace) -> int:
    """Translate anew, print what differs; return the exit code. Raises: LogError."""
    report, memory = Report(), Memory()
    entries = chosen(log, given.exchange)
    with Progress("translating", len(entries)) as progress:
        for entry in entries:
            exchange = log.read(entry)
            try:
                report.add(exchange, compare(exchange, memory))
            except NotComparable as reason:
                report.skip(str(reason))
            except Exception as error:  # a fault of a translator is what is looked for here
                fault = f"{type(error).__name__}: {error}"
                report.add(exchange, [Difference("translation", f"status {exchange.answer.status}", fault)])
            progress.add()
    return report.end()


def compare(exchange: Exchange, memory: Memory) -> list[Difference]:
    """Return what today's translators do differently in one exchange. Raises: NotComparable."""
    _check(exchange)
    attempt = exchange.last
    if attempt is None or attempt.request is None:
        return _refused(exchange)
    if "model_profile" not in attempt.request.line:
        return _relayed(exchange, attempt.answer)
    return _Anew(exchange, memory).differences()


def _relayed(exchange: Exchange, upstream: Answer) -> list[Difference]:
    """What the upstream said must have passed as it was; of an answer that broke, what came of it."""
    broken = upstream.end not in ("complete", "closed")
    if upstream.status is None or (broken and exchange.answer.status != upstream.status):
        raise NotComparable("the gateway answered it itself")
    told = Told(upstream.status, upstream.plain_body, upstream.is_stream)
    return compare_answers(exchange, told, partly=broken)


def compare_answers(exchange: Exchange, told: Told, *, partly: bool = False) -> list[Difference]:
    """Return what differs between the recorded answer of an exchange and another one.

    `partly`: only as far as both go, as where the client left.
    """
    answer = exchange.answer
    if answer.status is None:
        return []
    if answer.status != told.status:
        return [Difference("status", str(answer.status), f"{told.status} {told.body[:200].decode('utf-8', 'replace')}")]
    recorded = events(_without_names(answer.status, answer.plain_body), answer.is_stream)
    now = events(_without_names(told.status, told.body), told.is_stream)
    if partly or exchange.answer.end in (None, "client_gone"):
        shorter = min(len(recorded), len(now))
        recorded, now = recorded[:shorter], now[:shorter]
    return differences(recorded, now)


def _without_names(status: int, body: bytes) -> bytes:
    """Leave out which models are near one that does not exist: that depends on the list."""
    return _NAMES.sub(b"", body) if status == 404 else body


def model_of(profile: JSON) -> Model:
    """Return the model that a recorded profile describes; members that this version does not know are left out."""
    known: JSON = {}
    for name, kind in Model.__annotations__.items():
        if name in profile:
            value = profile[name]
            if isinstance(value, list):
                value = frozenset(value) if "frozenset" in str(kind) else tuple(value)
            known[name] = value
    return Model(**known)


def client_dialect(exchange: Exchange) -> Dialect:
    """Return the dialect of an exchange's client. Raises: NotComparable."""
    try:
        return CLIENTS[normalise(exchange.request.path if exchange.request else "/")]
    except (KeyError, RequestError):
        raise NotComparable("not a translated path") from None


def _check(exchange: Exchange) -> None:
    if exchange.request is None:
        raise NotComparable("the request is not in the recording")
    if exchange.answer.line.get("lost"):
        raise NotComparable("records of it were lost")
    if exchange.answer.status is None and not exchange.attempts:
        raise NotComparable("it has no answer")


def _refused(exchange: Exchange) -> list[Difference]:
    """An exchange that never reached the upstream: what the translators refuse must be refused alike."""
    client = client_dialect(exchange)
    if exchange.answer.status != 400:
        raise NotComparable("the gateway answered it itself")
    try:
        body = load_object((exchange.request and exchange.request.body) or b"")
        _translate(client, body, Model(str(body.get("model"))), web_search=True)
    except RequestError as error:
        return compare_answers(exchange, _refusal(error, client, exchange))
    raise NotComparable("the gateway answered it itself")


def _translate(client: Dialect, body: JSON, model: Model, *, web_search: bool) -> tuple[Terms, Translation]:
    if client.to_chat is None:
        raise NotComparable("not a translated path")
    name = body.get("model")
    alias = split_alias(name) if isinstance(name, str) and name != model.id else None
    terms = Terms(
        model,
        _BOUNDLESS,
        seal=lambda text: SEALED,
        unseal=lambda envelope: SEALED,
        effort=alias and alias.effort,
        summary=alias and alias.summary,
        web_search=web_search,
    )
    return terms, client.to_chat(body, terms)


def _refusal(error: GatewayError, client: Dialect, exchange: Exchange) -> Told:
    return Told(error.status, dump(client.encode_error(error, exchange.id)), False)


class _Anew:
    """One translated exchange, translated again."""

    def __init__(self, exchange: Exchange, memory: Memory) -> None:
        self._exchange = exchange
        self._memory = memory
        self._client = client_dialect(exchange)
        asked = exchange.attempts[0].request
        assert exchange.request is not None and asked is not None
        self._upstream = RESPONSES if asked.path.endswith("/responses") else CHAT
        self._model = model_of(asked.line["model_profile"])
        self._body = load_object(exchange.request.body or b"")
        if self._body.get("previous_response_id") or references(self._body.get("input")):
            raise NotComparable("it refers to a stored response")
        sent = _json(asked.body)
        web_search = any(
            isinstance(tool, dict) and tool.get("type") == "web_search" for tool in sent.get("tools") or ()
        )
        self._web_search = web_search

    def differences(self) -> list[Difference]:
        try:
            terms, translation = _translate(self._client, self._body, self._model, web_search=self._web_search)
        except RequestError as error:
            return compare_answers(self._exchange, _refusal(error, self._client, self._exchange))
        hub = joining.hub(self._client, translation, terms)
        found = self._requests(joining.speller(self._upstream, hub))
        found += self._dropped((*translation.dropped, *self._upstream.unsent(hub)))
        numbers = itertools.count(1)
        ids = (lambda prefix: f"{prefix}{next(numbers)}", lambda: 0)
        told = replace(translation, context=_told_of_store(translation.context, self._exchange.answer))
        bridge = joining.bridge(self._client, self._upstream, terms, hub, told, ids)
        last = self._exchange.attempts[-1]
        return found + compare_answers(self._exchange, self._answer(bridge, last))

    def _requests(self, spell: joining.Spell) -> list[Difference]:
        """Compare what each attempt sends; repairs are found again from what the upstream refused."""
        found: list[Difference] = []
        quirk = self._first_quirk(spell)
        for attempt in self._exchange.attempts:
            if attempt.request is None:
                continue
            model = model_of(attempt.request.line.get("model_profile") or {"id": self._model.id})
            differing = request_differences(_json(attempt.request.body), _plain(spell(model, quirk)))
            place = "the request" if attempt.number == 1 else f"the request of attempt {attempt.number}"
            found += [one._replace(where=f"{place}, {one.where}") for one in differing]
            if (attempt.answer.status or 0) >= 400:
                remedy = remedy_for(_error_of(attempt.answer), _json(attempt.request.body))
                quirk = quirk.with_remedy(remedy) if remedy else quirk
        if quirk is not NO_QUIRK:
            self._memory.quirks[self._model.id] = quirk
        return found

    def _first_quirk(self, spell: joining.Spell) -> Quirk:
        """Each worker learns on its own: what one knew by then, another may not have."""
        learnt = self._memory.quirks.get(self._model.id, NO_QUIRK)
        first = self._exchange.attempts[0].request
        recorded = _json(first.body) if first else {}

        def count(quirk: Quirk) -> int:
            return len(request_differences(recorded, _plain(spell(self._model, quirk))))

        return min((NO_QUIRK, learnt), key=count)

    def _dropped(self, dropped: tuple[str, ...]) -> list[Difference]:
        recorded = self._exchange.answer.line.get("dropped")
        if not isinstance(recorded, list):
            return []
        # An envelope that the recording gateway could not open was dropped there; here none is opened.
        left, now = (
            [str(place) for place in places if not _SEALED.search(str(place))] for places in (recorded, dropped)
        )
        return (
            [] if left == now else [Difference("dropped members", ", ".join(left) or "none", ", ".join(now) or "none")]
        )

    def _answer(self, bridge: Bridge, attempt: Attempt) -> Told:
        answer = self._exchange.answer
        bridge.begun = answer.status == 200 and answer.is_stream
        out: list[bytes] = []
        try:
            for piece in _pieces(bridge, attempt.answer, self._exchange):
                out.append(piece)
                bridge.begun = bridge.begun or bool(piece and answer.is_stream)
            if bridge.failure is not None and not answer.is_stream:
                raise bridge.failure
        except GatewayError as error:
            if not bridge.begun:
                return _refusal(error, self._client, self._exchange)
            out.append(bridge.fail(error))
        body = b"".join(out) if answer.is_stream else dump(bridge.body)
        return Told(200, body, answer.is_stream)


def _told_of_store(context: Any, answer: Answer) -> Any:
    """Whether a response was stored is no translator's doing: its encoder is told what the recording says."""
    if not isinstance(context, Context):
        return context
    for event in events(answer.plain_body, answer.is_stream):
        told = event.value.get("response", event.value) if isinstance(event.value, dict) else {}
        if isinstance(told, dict) and "store" in told:
            return replace(context, echo={**context.echo, "store": told["store"]})
    return context


def _pieces(bridge: Bridge, answer: Answer, exchange: Exchange) -> Iterator[bytes]:
    """Yield the client's bytes for the recorded ones of the upstream. Raises: GatewayError."""
    if answer.status is None:
        raise _fault(answer)
    if answer.status >= 300:
        raise _error_of(answer)
    start = answer.body.lstrip()[:1]
    if start in (b"<", b"["):
        raise UpstreamProtocol("The upstream answered with something that is neither JSON nor a stream.")
    if start == b"{":
        yield bridge.whole(_whole(answer))
        return
    for chunk in answer.chunks:
        yield bridge.feed(chunk.data)
        if bridge.ended:
            return
    if answer.end == "complete":
        yield bridge.finish()
    elif exchange.answer.end not in (None, "client_gone"):
        raise _fault(answer)


def _whole(answer: Answer) -> JSON:
    if answer.end not in ("complete", "closed"):
        raise _fault(answer)
    try:
        value = load_upstream(answer.body)
    except ValueError as exc:
        raise UpstreamProtocol("The upstream's answer is not valid JSON.") from exc
    if not isinstance(value, dict):
        raise UpstreamProtocol("The upstream's answer is not a JSON object.")
    return value


def _fault(answer: Answer) -> GatewayError:
    """Return what the recording gateway made of an answer that broke."""
    kinds = {"timeout": UpstreamTimeout, "unreachable": UpstreamUnreachable}
    return kinds.get(str(answer.end), UpstreamProtocol)(str(answer.line.get("error") or "The answer was cut."))


def _error_of(answer: Answer) -> Any:
    if answer.status is not None and answer.status < 400:
        return UpstreamProtocol(f"The upstream answered with status {answer.status}, which is no answer here.")
    error = read_error(answer.status or 502, dict(answered_bridged(answer.headers)), answer.plain_body[:_ERROR_LIMIT])
    return explain_missing_model(error, [])


def _json(body: bytes | None) -> JSON:
    try:
        value = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _plain(body: JSON) -> Any:
    """Return a body as it is on the wire."""
    return orjson.loads(dump(body))

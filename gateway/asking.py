"""Asks the upstream one translated request: send, wait, understand a refusal, repair it once, send again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

from gateway.bodies import decode
from gateway.errors import GatewayError, UpstreamProtocol, UpstreamStatus
from gateway.exchange import Exchange
from gateway.headers import answered_bridged
from gateway.http1 import Head
from gateway.profile import Model
from gateway.quirks import Quirk
from gateway.remedy import remedy_for
from gateway.types import JSON
from gateway.upstream import Call, UpstreamRequest
from gateway.upstream_error import read_error

ERROR_BODY_LIMIT = 64 * 1024
"""How much of an error's body is read, in bytes."""

NEAREST = " (the nearest names:"
"""What stands behind the upstream's words on a model that it does not know, whatever they end in."""

_REPAIRS = 6
"""Repeats of one request at most: each repairs another field."""


class Asked:
    """One request to the upstream with its repairs.

    `spell(model, quirk)` returns the body for the wire; it is called anew for each repeat.
    """

    def __init__(self, exchange: Exchange, model: Model, requested: str, spell: Callable[[Model, Quirk], JSON]) -> None:
        self.model = model
        self._exchange = exchange
        self._requested = requested
        self._spell = spell
        self._quirks = exchange.services.quirks

    def call(self, make: Callable[[JSON], UpstreamRequest]) -> Generator[None, None, tuple[Call, Head]]:
        """Return the call whose answer has a status of success, and its head; yield None for silence.

        Raises: GatewayError.
        """
        quirk = self._quirks.of(self.model.id)
        for left in reversed(range(_REPAIRS)):
            body = self._spell(self.model, quirk)
            call = self._exchange.send(make(body))
            try:
                head = yield from self._exchange.head(call)
                if 200 <= head.status < 300:
                    self._learn(quirk)
                    return call, head
                error = yield from read_refusal(self._exchange, call, head)
            except BaseException:
                call.close()
                raise
            call.close()
            repaired = self._repaired(error, body, quirk) if left else None
            if repaired is None:
                raise self._explained(error)
            quirk = repaired
        raise AssertionError("the last repeat raises")

    def _learn(self, quirk: Quirk) -> None:
        if quirk is not self._quirks.of(self.model.id):
            self._quirks.remember(self.model.id, quirk)

    def _repaired(self, error: UpstreamStatus, body: JSON, quirk: Quirk) -> Quirk | None:
        """Return what to send with instead, or None where the refusal stands."""
        remedy = remedy_for(error, body)
        if remedy is None:
            return quirk if error.status == 404 and self._renamed() else None
        repaired = quirk.with_remedy(remedy)
        return None if repaired == quirk else repaired

    def _renamed(self) -> bool:
        """Read the model list anew; tell whether it knows the name in another case."""
        models = self._exchange.services.models
        self._exchange.apart(lambda: models.refresh(self._exchange.key))
        found = models.catalog(self._exchange.key).named(self._requested).model
        if found.id == self.model.id:
            return False
        self.model = found
        return True

    def _explained(self, error: UpstreamStatus) -> GatewayError:
        if error.status != 404:
            return error
        catalog = self._exchange.services.models.catalog(self._exchange.key)
        return explain_missing_model(error, catalog.near(self._requested, 5))


def explain_missing_model(error: UpstreamStatus, near: Sequence[str]) -> UpstreamStatus:
    """A 404 of the upstream nearly always means the model: say so, and which names are near."""
    if error.status == 404 and error.code in (None, "404"):
        error.code = "model_not_found"
        error.param = "model"
        if near:
            error.message += f"{NEAREST} {', '.join(near)})"
    return error


def read_refusal(exchange: Exchange, call: Call, head: Head) -> Generator[None, None, UpstreamStatus]:
    """Read the body of an error; return what it tells. Raises: UpstreamProtocol for a redirect."""
    if head.status < 400:
        raise UpstreamProtocol(f"The upstream answered with status {head.status}, which is no answer here.")
    body = b""
    try:
        for data in exchange.body(call):
            if data is None:
                yield None
                continue
            body += data
            if len(body) >= ERROR_BODY_LIMIT:
                break
    except UpstreamProtocol:
        # Its status is known; words that were cut off do not change it.
        pass
    error = read_error(head.status, dict(answered_bridged(head.headers)), decoded_error(head, body[:ERROR_BODY_LIMIT]))
    exchange.caller.mask.error(error)
    return error


def decoded_error(head: Head, body: bytes) -> bytes:
    """Return an error's body with its content encoding taken off; nothing where that cannot be done."""
    encoding = (head.get("content-encoding") or "").strip().lower()
    if encoding in ("", "identity"):
        return body
    try:
        return decode(body, encoding, ERROR_BODY_LIMIT * 16)
    except GatewayError:
        return b""

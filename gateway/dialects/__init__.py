"""The dialects: one package each, joined here by one record.

Requests meet in Chat: a client dialect has `to_chat`, an upstream dialect that is not Chat has `from_chat`.
Answers meet in events: an upstream dialect has a decoder, a client dialect an encoder. Nothing under this
folder does I/O, reads a clock or draws a random id; `now` and `new_id` come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gateway.errors import GatewayError
from gateway.events import Event
from gateway.profile import Model, Terms
from gateway.sse import Frame
from gateway.types import JSON

HUB_KEY = "_gateway"
"""Private member of hub messages: what Chat cannot hold (sealed reasoning, item ids). It never leaves the
process; `chat.request.for_upstream` removes it."""

NewId = Callable[[str], str]
"""Makes an id from its prefix: `new_id("msg_")`."""

Now = Callable[[], int]
"""Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A request, translated.

    `body` is a new Chat Completions body (the hub form), `context` what the client dialect's encoder must
    echo or look up, `dropped` the paths of request members that were left out (`tools[2]`, `truncation`).
    """

    body: JSON
    context: Any
    dropped: tuple[str, ...] = ()
    input_tokens: int | None = None
    """An estimate of the prompt's tokens, where the answer begins with one."""


class Decoder(Protocol):
    """Upstream wire to events. Tolerates every oddity; each method may be called again after the end."""

    def feed(self, frame: Frame) -> list[Event]:
        """Take one frame of a stream."""

    def decode(self, body: JSON) -> list[Event]:
        """Take a whole answer instead of a stream; returns all events, the end included."""

    def finish(self) -> list[Event]:
        """The body ended in order: close what is open, or fail where nothing told the end."""

    def fail(self, error: GatewayError) -> list[Event]:
        """The body broke: end in `Failure`, closing nothing."""


class Encoder(Protocol):
    """Events to the client's wire."""

    def feed(self, event: Event) -> list[bytes]:
        """Take one event; return whole frames, ready to be sent."""

    def keepalive(self) -> bytes:
        """Return a frame that keeps a silent stream alive; valid at any point, also before `Start`."""

    @property
    def body(self) -> JSON:
        """The whole answer, once `Finish` was taken."""


class Filter(Protocol):
    """Event to events, between decoder and encoder."""

    @property
    def done(self) -> bool:
        """From here on everything passes as it is: the filter may be left out."""

    def feed(self, event: Event) -> list[Event]:
        """Take one event; return what takes its place."""


def _as_it_is(model: Model) -> Model:
    return model


def _nothing(body: JSON) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one wire format brings. A member that a dialect does not need is None."""

    name: str
    encode_error: Callable[[GatewayError, str], JSON]
    """Spells an error for the client: (error, request id) to the body's object."""
    stream_error: Callable[[GatewayError, str], bytes] | None = None
    """Spells an error as the frame that ends a relayed stream, of which nothing else is known."""

    # As the client's dialect:
    to_chat: Callable[[JSON, Terms], Translation] | None = None
    encoder: Callable[[Any, NewId, Now], Encoder] | None = None
    keeps_sealed: bool = False
    """Its clients hand sealed reasoning back on the next turn."""
    reads_store: bool = False
    """Its requests may go on from stored responses."""
    keeps_answers: bool = False
    """Its answers may be stored."""

    # As the upstream's dialect:
    from_chat: Callable[[JSON, Model, frozenset[str]], JSON] | None = None
    """Spells a hub body for the wire, as this model takes it, without the fields that it was found to refuse."""
    unsent: Callable[[JSON], tuple[str, ...]] = _nothing
    """Names the members of a hub body that ask for something and have no form on this wire."""
    fitted: Callable[[Model], Model] = _as_it_is
    """What is known of a model, and what all models take that are spoken to in this dialect."""
    decoder: Callable[[Terms], Decoder] | None = None

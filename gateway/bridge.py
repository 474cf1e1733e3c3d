"""Joins two dialects for one answer: upstream bytes, frames, events, filters, events, client bytes. No I/O.

This is the path that runs per chunk. One call takes all that arrived in one read and returns all that leaves
in one write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gateway.dialects import Decoder, Encoder, Filter
from gateway.errors import GatewayError
from gateway.events import BlockStart, Delta, Event, Failure, Finish, Start, Usage
from gateway.sse import Parser
from gateway.types import JSON


class Bridge:
    """One answer on its way.

    Until `begun` is set (the exchange sets it when the client has been sent anything) a failure is raised, so
    that it can become an HTTP status; from then on it is spelled in the client's stream.
    """

    def __init__(
        self,
        decoder: Decoder,
        filters: Sequence[Filter],
        encoder: Encoder,
        mask: Callable[[GatewayError], None] | None = None,
    ) -> None:
        """`mask` takes the client's key out of an error before the client is told of it."""
        self.begun = False
        self.ended = False
        self.failure: GatewayError | None = None
        self.usage: Usage | None = None
        self.model: str | None = None
        """What the upstream calls its model."""
        self.calls = 0
        """Tool calls in the answer."""
        self._parser = Parser()
        self._decoder = decoder
        self._filters = filters
        self._encoder = encoder
        self._mask = mask

    @property
    def body(self) -> JSON:
        """The whole answer, after its end."""
        return self._encoder.body

    def feed(self, data: bytes) -> bytes:
        """Take the bytes of one read; return the client's. Raises: GatewayError before the answer has begun."""
        out: list[bytes] = []
        try:
            decode = self._decoder.feed
            self._encode((decode(frame) for frame in self._parser.feed(data)), out)
        except GatewayError as error:
            return self._failed(error, out)
        return b"".join(out)

    def finish(self) -> bytes:
        """The upstream's body has ended in order. Raises: as `feed`."""
        out: list[bytes] = []
        try:
            self._encode(map(self._decoder.feed, self._parser.finish()), out)
            self._encode((self._decoder.finish(),), out)
        except GatewayError as error:
            return self._failed(error, out)
        return b"".join(out)

    def whole(self, body: JSON) -> bytes:
        """Take a whole answer in place of a stream. Raises: as `feed`."""
        out: list[bytes] = []
        try:
            self._encode((self._decoder.decode(body),), out)
        except GatewayError as error:
            return self._failed(error, out)
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """The exchange broke: end the answer with it. Raises: the error, before the answer has begun."""
        return self._failed(error, [])

    def keepalive(self) -> bytes:
        """Return a frame that keeps a silent stream alive."""
        return self._encoder.keepalive()

    def _failed(self, error: GatewayError, out: list[bytes]) -> bytes:
        if self.ended:
            return b"".join(out)
        if not self.begun:
            self.failure = error
            raise error
        # A decoder that has ended says no more; what went wrong then is the encoding of its end.
        self._encode((self._decoder.fail(error) or [Failure(error)],), out)
        return b"".join(out)

    def _encode(self, batches: Iterable[list[Event]], out: list[bytes]) -> None:
        """Filter and encode what each frame says."""
        filters, encode = self._filters, self._encoder.feed
        for batch in batches:
            events = batch
            for step in filters:
                if len(events) == 1:
                    events = step.feed(events[0])
                else:
                    events = [after for event in events for after in step.feed(event)]
            noticed = False
            for event in events:
                if type(event) is Delta:
                    out += encode(event)
                    continue
                noticed = True
                self._notice(event)
                out += encode(event)
                if isinstance(event, Finish | Failure):
                    self.ended = True
            if noticed:
                # Only where something begins or ends has a filter done its part.
                filters = self._filters = [step for step in filters if not step.done]

    def _notice(self, event: Event) -> None:
        match event:
            case Failure():
                if self._mask is not None:
                    self._mask(event.error)
                if not self.begun and self.failure is None:
                    raise event.error
                self.failure = event.error
            case Finish():
                self.usage = event.usage
            case Start():
                self.model = event.model
            case BlockStart(kind="tool_call"):
                self.calls += 1
            case _:
                pass

"""Stored responses: what was asked and answered, kept so that a client can go on from it by its id.

    turn            one request: its history before the translation, its answer kept at its end
    guarded         a store as exchanges use it: bounded waits, owners, a store that is down
    sqlite, redis   where responses are kept
    items           items as they are kept and shown (pure)
    opening         from the setting to the store

Each response keeps its own input, its own output and who came before it; a thread is put together when somebody
goes on from it, so that what is kept grows with what was said and not with its square. A response counts from when
it was last used: made, or gone on from by a response that was kept. So the oldest go first, and no thread loses its
beginning while it is alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.errors import StoreDown
from gateway.types import JSON


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a store may hold, all owners together."""

    responses: int = 1000
    bytes: int = 256 * 1024 * 1024
    age: float = 24 * 3600.0
    """Seconds since the last use."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One response as it is handed to a store. The texts are JSON."""

    id: str
    previous: str | None
    """Id of the response that it goes on from."""
    head: str
    """The response object without its `output`."""
    input: str
    """A list of its own input items, each with its id."""
    output: str
    """A list of its output items."""
    ids: tuple[str, ...]
    """The ids of all these items, in order."""

    @property
    def size(self) -> int:
        """What it counts for, in bytes or so."""
        return len(self.head) + len(self.input) + len(self.output) + _OVERHEAD


_OVERHEAD = 500
"""What a response costs beside its texts, in bytes."""


@dataclass(frozen=True, slots=True)
class Thread:
    """All items of a response and of those before it, from the first, as a JSON list."""

    items: str
    whole: bool
    """False: one of those before it is no longer kept."""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored response; the texts are those of `Kept`."""

    head: str
    input: str
    output: str


class SecretChanged(StoreDown):
    """The store was emptied while others use it: owners are to be hashed anew."""


class Store(Protocol):
    """Where responses are kept. `owner` is a keyed hash of whose they are; what is another's is not there.

    Every method raises StoreDown where the store does not work, and SecretChanged where the owner's hash is an old one.
    """

    bounds: Bounds
    quick: bool
    """A short response may be kept on the spot, by `keep_here`."""

    def secret(self) -> bytes:
        """Return the key of the hashes, made at random when the store was."""

    def keep(self, owner: bytes, kept: Kept) -> None:
        """Keep a response: all of it, or nothing. The oldest make room for it."""

    def keep_here(self, owner: bytes, kept: Kept) -> bool:
        """Keep a response without waiting for anything; tell whether that could be done. Never raises."""

    def thread(self, owner: bytes, id: str) -> Thread | None:
        """Return what a request that goes on from this response begins with."""

    def find(self, owner: bytes, ids: list[str]) -> dict[str, JSON]:
        """Return items by their ids; those that are not known are missing."""

    def get(self, owner: bytes, id: str) -> Found | None:
        """Return one response."""

    def delete(self, owner: bytes, id: str) -> bool:
        """Remove a response; tell whether it was there."""

    def close(self) -> None:
        """The gateway ends: leave nothing behind that should not last."""

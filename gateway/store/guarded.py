"""A store as exchanges use it: whose a response is, how long anybody waits, what a store that is down means.

Two kinds of use. Who *needs* what is stored gets a 503 where the store does not work. An answer that is to be
*kept* goes out all the same: keeping it holds its end back for a moment at most, and where it fails the answer says
`store: false` and the log has a warning. While one response takes too long, and for a second after a failure, no other
is offered to the store: one that hangs does not hold back every answer.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import gevent

from gateway.errors import StoreDown
from gateway.store import Bounds, Kept, SecretChanged, Store

T = TypeVar("T")

_KEEP_SECS = 0.5
"""Longest time that the end of an answer is held back; a store that works needs a millisecond or two."""

_PAUSE_SECS = 1.0
"""How long a store that failed is left alone by answers."""

_QUIET_SECS = 30.0
"""Least time between two warnings."""


class GuardedStore:
    """A store, guarded."""

    def __init__(self, store: Store, log: logging.Logger | None = None) -> None:
        self._store = store
        self._log = log or logging.getLogger("gateway")
        self._secret: bytes | None = None
        self._tried_again_at = 0.0
        self._late: gevent.Greenlet[..., bool] | None = None
        """What still keeps a response whose answer has not waited for it."""
        self._warned_at = float("-inf")
        self._failures = 0
        """Since the last warning."""

    @property
    def bounds(self) -> Bounds:
        """What the store may hold."""
        return self._store.bounds

    @property
    def works(self) -> bool:
        """False while the store keeps somebody waiting, and for a moment after a failure."""
        if self._late is not None and not self._late.ready():
            return False
        return time.monotonic() >= self._tried_again_at

    def ask(self, credential: str | None, step: Callable[[Store, bytes], T]) -> T:
        """Return what a step finds in the store, given the owner. Raises: StoreDown."""
        try:
            found = self._as_owner(credential, step)
        except StoreDown as error:
            self._failed(error)
            raise
        self._tried_again_at = 0.0
        return found

    def keep(self, credential: str | None, kept: Kept) -> bool:
        """Keep a response; tell whether that is certain."""
        if not self.works:
            self._failures += 1
            return False
        if self._store.quick and self._store.keep_here(self._owner(credential), kept):
            return True
        writing = gevent.spawn(self._keep, credential, kept)
        writing.join(_KEEP_SECS)
        if not writing.ready():
            self._late = writing
            self._warn(f"It took longer than {_KEEP_SECS} s.")
            return False
        return bool(writing.value)

    def _keep(self, credential: str | None, kept: Kept) -> bool:
        try:
            self._as_owner(credential, lambda store, owner: store.keep(owner, kept))
        except StoreDown as error:
            self._failed(error)
            return False
        except Exception:  # a fault of ours must not end the answer, which has nothing to do with it
            self._log.exception("internal error in the store")
            return False
        return True

    def close(self) -> None:
        """The gateway ends."""
        self._store.close()

    def _as_owner(self, credential: str | None, step: Callable[[Store, bytes], T]) -> T:
        try:
            return step(self._store, self._owner(credential))
        except SecretChanged:
            self._secret = None
            return step(self._store, self._owner(credential))

    def _owner(self, credential: str | None) -> bytes:
        """Return the hash that stands for a client; all clients without a key are one."""
        if self._secret is None:
            self._secret = self._store.secret()
        return hmac.digest(self._secret, b"" if credential is None else b"key " + credential.encode(), "sha256")

    def _failed(self, error: StoreDown) -> None:
        self._tried_again_at = time.monotonic() + _PAUSE_SECS
        self._warn(str(error.__cause__ or error))

    def _warn(self, reason: str) -> None:
        now = time.monotonic()
        self._failures += 1
        if now - self._warned_at >= _QUIET_SECS:
            facts = {"reason": reason, "failures": self._failures}
            self._log.warning("stored responses fail", extra={"facts": facts})
            self._warned_at, self._failures = now, 0

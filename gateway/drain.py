"""The end of a process, as open exchanges see it: a grace in which they go on, then a word that it is over.

States: *serving*, *draining* (no new connection is taken, open exchanges go on) and *over* (the grace has
passed, every registered exchange has been told and ends itself: a stream with a terminal event, a whole answer
with 503). Nothing leads back. One object for each process: a process is stopped as a whole.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import gevent


class Drain:
    """Who wants to know of the end registers; the server begins it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._tokens = itertools.count(1)
        self._ends: float | None = None
        self._over = False
        self._timer: Any = None

    @property
    def draining(self) -> bool:
        """The process is being stopped."""
        return self._ends is not None

    def begin(self, grace: float) -> None:
        """Begin the grace, in seconds; may be called twice."""
        if self._ends is None:
            self._ends = self._clock() + grace
            self._timer = gevent.get_hub().loop.timer(max(grace, 0.0))
            self._timer.start(self._end)

    def remaining(self) -> float | None:
        """Return the seconds left of the grace; None while the process is not being stopped."""
        return None if self._ends is None else max(0.0, self._ends - self._clock())

    def register(self, callback: Callable[[], None]) -> int:
        """Have a callback called when the grace is over (soon, if it is); return a token for `unregister`.

        It runs once, in the event loop, where it may throw into a waiting greenlet and may not wait itself.
        """
        token = next(self._tokens)
        self._callbacks[token] = callback
        if self._over:
            self._tell_soon(token)
        return token

    def unregister(self, token: int) -> None:
        """Forget a callback; may be called twice."""
        self._callbacks.pop(token, None)

    def _end(self) -> None:
        self._over = True
        for token in self._callbacks:
            self._tell_soon(token)

    def _tell_soon(self, token: int) -> None:
        # Each in a turn of its own, so that one that fails does not keep the rest from hearing.
        gevent.get_hub().loop.run_callback(self._tell, token)

    def _tell(self, token: int) -> None:
        callback = self._callbacks.pop(token, None)
        if callback is not None:
            callback()

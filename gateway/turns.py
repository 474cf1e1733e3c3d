"""Gives other exchanges their turn within a long piece of work.

`gevent.sleep(0)` is not enough: the loop runs up to fifty such callbacks before it looks at sockets and clocks
again, so work in turns of 5 ms would keep everyone else waiting for 250 ms. A timer that is due at once comes after
exactly one look.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

LARGE = 256 * 1024
"""Bodies above this size, in bytes, are not worked on in one go."""


def pause_for(body: bytes) -> Callable[[], None]:
    """Return what stands between the steps of the work on a body: a turn of the others, if it is a large one."""
    return give_way if len(body) > LARGE else _go_on


def _go_on() -> None:
    pass


def give_way() -> None:
    """Let all that is ready run, then go on."""
    hub = gevent.get_hub()
    timer = hub.loop.timer(0.0)
    try:
        hub.wait(timer)
    finally:
        timer.close()

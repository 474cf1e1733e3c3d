"""Gives other exchanges their turn within a long piece of work.

`gevent.sleep(0)` is not enough: the loop runs up to fifty such callbacks before it looks at sockets and clocks
again, so work in turns of 5 ms would keep everyone else waiting for 250 ms. A timer that is due at once comes after
exactly one look.
"""

from __future__ import annotations

import gevent


def give_way() -> None:
    """Let all that is ready run, then go on."""
    hub = gevent.get_hub()
    timer = hub.loop.timer(0.0)
    try:
        hub.wait(timer)
    finally:
        timer.close()

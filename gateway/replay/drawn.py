"""Ids that a gateway draws, over a second run of the same requests: what goes on from a response must name the new one.

A client names ids that it was told before: of a response that it goes on from, of items that it refers to. In another
run they are others, so each answer teaches which id of the recording is now which. Pure.
"""

from __future__ import annotations

import re

_DRAWN = re.compile(rb"\b[a-z]+_[0-9a-f]{48}\b")
"""As `gateway.services.new_id` makes them."""


class Drawn:
    """Ids of the recording, and what they are now."""

    def __init__(self) -> None:
        self._now: dict[bytes, bytes] = {}

    def learn(self, recorded: bytes, told: bytes) -> None:
        """Take the ids of an answer and of the same answer in this run; answers that differ in them teach nothing."""
        before, now = (list(dict.fromkeys(_DRAWN.findall(body))) for body in (recorded, told))
        if len(before) == len(now):
            self._now.update(zip(before, now, strict=True))

    def renewed(self, data: bytes) -> bytes:
        """Return the bytes of a request with the ids as they are now."""
        return _DRAWN.sub(lambda found: self._now.get(found[0], found[0]), data) if self._now else data

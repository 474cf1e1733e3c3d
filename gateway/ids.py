"""A fresh id and the time: what pure rooms may not make by themselves and are handed as `new_id` and `now`."""

from __future__ import annotations

import os
import time


def new_id(prefix: str) -> str:
    """Return a fresh id, as long as OpenAI's."""
    return prefix + os.urandom(24).hex()


def now() -> int:
    """Return the seconds since the epoch."""
    return int(time.time())

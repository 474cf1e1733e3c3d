"""A progress bar for long work on a terminal; silent where nobody looks.

with Progress("reading", total) as progress:
    progress.add(n)
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

_EVERY_SECS = 0.1
_FIRST_SECS = 0.4
"""Work that is over before this shows no bar."""


class Progress:
    """One bar, on the last line of standard error; a context manager."""

    def __init__(self, what: str, total: int, stream: TextIO | None = None) -> None:
        self._what = what
        self._total = max(1, total)
        self._stream = stream or sys.stderr
        self._done = 0
        self._shown = False
        self._began = time.monotonic()
        self._next = self._began + _FIRST_SECS if self._stream.isatty() else float("inf")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def add(self, count: int = 1) -> None:
        """Note that so much more is done."""
        self._done += count
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _EVERY_SECS
            self._show(now)

    def _show(self, now: float) -> None:
        share = min(1.0, self._done / self._total)
        left = (now - self._began) * (1 - share) / share if share else 0.0
        width = max(10, min(40, shutil.get_terminal_size().columns - len(self._what) - 24))
        bar = "█" * round(width * share)
        self._stream.write(f"\r\x1b[K{self._what} {bar:░<{width}} {share:4.0%}  {left:.0f} s left")
        self._stream.flush()
        self._shown = True

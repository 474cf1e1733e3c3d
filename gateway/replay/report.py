"""What a comparison with a recording prints: per exchange what differs, and the sum at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from gateway.recording.log import Entry, Exchange, Log, LogError
from gateway.replay.compare import Difference

_MOST = 20
"""Differences that are shown of one exchange."""
_WIDTH = 300


class Report:
    """Prints as it goes; quiet about exchanges in which nothing differs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.compared = 0
        self.differing = 0
        self.left_out: dict[str, int] = {}
        self._stream = stream or sys.stdout

    def skip(self, reason: str) -> None:
        """Count an exchange that cannot be compared."""
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    def add(self, exchange: Exchange, differences: Sequence[Difference]) -> None:
        """Tell what differs in an exchange."""
        self.compared += 1
        if not differences:
            return
        self.differing += 1
        request = exchange.request
        self._say(f"{exchange.id}  {f'{request.method} {request.target}' if request else ''}".rstrip())
        for one in differences[:_MOST]:
            self._say(f"  {one.where}")
            self._say(f"    - {_cut(one.recorded)}")
            self._say(f"    + {_cut(one.now)}")
        if len(differences) > _MOST:
            self._say(f"  … and {len(differences) - _MOST} more")

    def end(self) -> int:
        """Print the sum; return the exit code."""
        verb = "differs" if self.differing == 1 else "differ"
        text = f"{self.compared} exchanges compared, {self.differing or 'none'} {verb}"
        for reason, count in self.left_out.items():
            text += f"; {count} left out: {reason}"
        self._say(text)
        return 1 if self.differing else 0

    def _say(self, text: str) -> None:
        print(text, file=self._stream)


def chosen(log: Log, name: str | None) -> list[Entry]:
    """Return the exchange of this id or number (from 1 on), or all. Raises: LogError."""
    if name is None:
        return log.entries
    found = [entry for entry in log.entries if entry.id == name]
    if not found and name.isdecimal() and 1 <= int(name) <= len(log.entries):
        found = [log.entries[int(name) - 1]]
    if not found:
        raise LogError(f"{log.path}: no exchange {name!r}; there are {len(log.entries)}")
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"

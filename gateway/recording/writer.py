"""Makes lines of records and writes them. Runs in the recorder process.

Records come in batches, each of one worker (`gateway.recording.queue`), and are written at once. What cannot be written
is lost, counted, and told in the service log; for a moment nothing more is tried then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from logging import Logger, getLogger
from typing import Final, Protocol

from gateway.recording.frames import Record
from gateway.recording.lines import Clock, Lines, Secrets

_BATCH_BYTES = 1024 * 1024
_BACK_OFF_SECS = 1.0
"""After a failure to write, records are let go for as long without trying."""
_TELL_AGAIN_SECS = 60.0

BEGIN: Final = "client_request"
END: Final = "client_end"
_MAKERS: dict[str, Callable[..., list[bytes]]] = {
    BEGIN: Lines.client_request,
    "upstream_request": Lines.upstream_request,
    "upstream_head": Lines.upstream_head,
    "upstream_chunk": Lines.upstream_chunk,
    "upstream_end": Lines.upstream_end,
    "client_head": Lines.client_head,
    "client_chunk": Lines.client_chunk,
    END: Lines.client_end,
}
"""What makes the lines of a record, by its kind."""

Exchanges = dict[int, Lines]
"""The exchanges of one worker that are under way, by their numbers."""


class File(Protocol):
    """Where lines go; see `gateway.recording.file`."""

    def append(self, lines: list[bytes]) -> tuple[int, OSError | None]:
        """Write lines; return how many are there, and what kept the others, which are counted as lost."""

    def count_lost(self, records: int) -> None:
        """Count records that were not written."""


class Writer:
    """Writes what all workers tell."""

    def __init__(self, file: File, clock: Clock, secrets: Secrets, log: Logger | None = None) -> None:
        """`secrets` returns credentials that the gateway itself holds: they are replaced wherever they stand."""
        self._file = file
        self._clock = clock
        self._secrets = secrets
        self._log = log or getLogger("gateway")
        self._told = -_TELL_AGAIN_SECS
        self._rests_until = 0.0

    def take(self, exchanges: Exchanges, records: Sequence[Record]) -> None:
        """Write a batch of records of one worker."""
        lines: list[bytes] = []
        owners: list[Lines] = []
        size = skipped = 0
        for number, kind, at, *what in records:
            owner = self._owner(exchanges, number, kind)
            if owner is None or owner.broken:
                skipped += 1
                continue
            try:
                made = _MAKERS[kind](owner, at, *what)
            except Exception as error:
                owner.broken = True
                self._tell(f"{type(error).__name__} while a line was made")
                skipped += 1
                continue
            for line in made:
                lines.append(line)
                owners.append(owner)
                size += len(line)
            if size >= _BATCH_BYTES:
                self._write(lines, owners)
                lines, owners, size = [], [], 0
        self._write(lines, owners)
        if skipped:
            self._file.count_lost(skipped)

    def _owner(self, exchanges: Exchanges, number: int, kind: str) -> Lines | None:
        """Return the exchange of a record; None where its request is not known, which tells what to hide."""
        if kind == BEGIN:
            exchanges[number] = Lines(self._clock, self._secrets())
        elif kind == END:
            return exchanges.pop(number, None)
        return exchanges.get(number)

    def _write(self, lines: list[bytes], owners: list[Lines]) -> None:
        if not lines:
            return
        lost = owners
        if time.monotonic() < self._rests_until:
            self._file.count_lost(len(lines))
        else:
            written, error = self._file.append(lines)
            lost = owners[written:]
            if error is not None:
                self._rests_until = time.monotonic() + _BACK_OFF_SECS
                self._tell(error.strerror or type(error).__name__)
        for owner in lost:
            owner.lost += 1

    def _tell(self, why: str) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_AGAIN_SECS:
            self._told = now
            self._log.warning("records of the traffic are lost: %s; the traffic goes on", why)

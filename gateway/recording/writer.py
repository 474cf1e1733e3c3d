"""Takes records off the request path: a bounded queue, and a thread that makes lines of them and writes them.

    put (any greenlet)  ──  queue, bounded in bytes  ──  thread: line(…) -> lines  ──  LogFile

Putting costs an append. The thread is one of the operating system's, not a greenlet, so a slow disk holds nobody up.
It gathers for a moment before it looks, since one look at a hundred records costs little more than at one; and it
lets go of the interpreter often, since while it computes no stream of the worker goes on.

What cannot be queued or written is lost, counted, and told in the service log: traffic never waits for a record.
"""

from __future__ import annotations

import atexit
import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from logging import Logger, getLogger
from typing import Any, Protocol

import gevent
from gevent.monkey import get_original

QUEUE_BYTES = 32 * 1024 * 1024
"""Longest queue of a worker, in bytes; a single record that is longer is lost as well."""

OVERHEAD = 300
"""What a record holds beside its payload, in bytes, about."""

_GATHER_SECS = 0.05
_BATCH_BYTES = 256 * 1024
_TURN_SECS = 0.002
"""How long the thread computes at a time, in seconds."""
_PAUSE_SECS = 0.0001
_SWITCH_SECS = 0.0002
"""How long the event loop waits for the interpreter while the thread computes; Python's default is 5 ms."""
_BACK_OFF_SECS = 1.0
"""After a failure to write, records are let go for as long without trying."""
_TELL_AGAIN_SECS = 60.0
_LAST_SECS = 3.0
"""Time to write what is left when the process ends, in seconds."""

# The originals: those that gevent puts in their place are for greenlets, and the thread is none.
_sleep = get_original("time", "sleep")
_start_thread = get_original("_thread", "start_new_thread")
_allocate_lock = get_original("_thread", "allocate_lock")


def breathe() -> None:
    """Let the other threads go on; called in the thread, within work that takes long."""
    _sleep(_PAUSE_SECS)


Line = Callable[..., list[bytes]]
"""Makes lines of one record; runs in the thread. It is called with the record's time and what else was put."""


class Owner(Protocol):
    """Whose records they are."""

    lost: int
    """Lines of it that the thread could not write."""
    dropped: int
    """Records of it that found no room in the queue."""
    broken: bool
    """A line of it could not be made, so no further one is: it might hold what that one would have told to hide."""


class File(Protocol):
    """Where lines go; see `gateway.recording.file`."""

    def append(self, lines: list[bytes]) -> tuple[int, OSError | None]:
        """Write lines; return how many are there, and what kept the others, which are counted as lost."""

    def count_lost(self, records: int) -> None:
        """Count records that were not written."""


class Writer:
    """The queue of one process and its thread, which is started with the first record (so after the fork)."""

    def __init__(self, file: File, log: Logger | None = None, limit: int = QUEUE_BYTES) -> None:
        self._file = file
        self._log = log or getLogger("gateway")
        self._limit = limit
        self._records: deque[tuple[Any, ...]] = deque()
        self._put_bytes = 0
        self._taken_bytes = 0
        self._dropped = 0
        self._counted = 0
        self._process = 0
        self._sleeping: list[None] = []
        self._closing = False
        self._failure: str | None = None
        self._told = -_TELL_AGAIN_SECS
        self._rests_until = 0.0

    def put(self, owner: Owner, line: Line, size: int, *what: Any) -> bool:
        """Queue a record of about this size, in bytes, of which `line` makes lines; tell whether there was room."""
        size += OVERHEAD
        if self._put_bytes - self._taken_bytes + size > self._limit:
            return self.drop(owner)
        self._put_bytes += size
        self._records.append((owner, line, size, time.monotonic(), what))
        if self._sleeping or not self._process:
            self._rouse()
        return True

    def drop(self, owner: Owner, *_: Any) -> bool:
        """Count a record that is not written; return False."""
        self._dropped += 1
        owner.dropped += 1
        self._tell("the disk does not keep up")
        self._rouse()
        return False

    @property
    def dropped(self) -> int:
        """Records of this process that found no room and are not in the file's count yet."""
        return self._dropped - self._counted

    def close(self) -> None:
        """Write what is left; may be called twice."""
        if self._process != os.getpid() or self._closing:
            return
        self._closing = True
        self._rouse()
        self._ended.acquire(timeout=_LAST_SECS)

    # --- in the event loop --------------------------------------------------------------------------------------

    def _rouse(self) -> None:
        if not self._process:
            self._start()
        with suppress(IndexError):
            # Whoever takes the token wakes the thread, or is the thread and need not be woken.
            self._sleeping.pop()
            self._wake.release()

    def _start(self) -> None:
        self._process = os.getpid()
        self._wake, self._ended = _allocate_lock(), _allocate_lock()
        self._wake.acquire()
        self._ended.acquire()
        self._news = gevent.get_hub().loop.async_(ref=False)
        self._news.start(self._tell_failure)
        atexit.register(self.close)
        sys.setswitchinterval(_SWITCH_SECS)
        _start_thread(self._run, ())

    def _tell_failure(self) -> None:
        if self._failure is not None:
            self._tell(self._failure)

    def _tell(self, why: str) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_AGAIN_SECS:
            self._told = now
            self._log.warning("records of the traffic are lost: %s; the traffic goes on", why)

    # --- in the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing:
            self._rest()
            if not self._closing:
                _sleep(_GATHER_SECS)
            self.drain()
        self.drain()
        self._ended.release()

    def _rest(self) -> None:
        """Wait until something is put."""
        self._sleeping.append(None)
        if self._records or self._closing:
            try:
                self._sleeping.pop()
                return
            except IndexError:
                pass  # taken: the other side wakes us now
        self._wake.acquire()

    def drain(self) -> None:
        """Make lines of what is queued and write them; runs in the thread."""
        lines: list[bytes] = []
        owners: list[Owner] = []
        written = 0
        turn_ends = time.monotonic() + _TURN_SECS
        while self._records:
            owner, line, size, at, what = self._records.popleft()
            if size >= _BATCH_BYTES and lines:
                # A long line is written alone, since joining it to others would copy it.
                self._write(lines, owners)
                lines, owners, written = [], [], 0
            try:
                made = line(at, *what) if not owner.broken else self._skipped()
            except Exception as error:
                made = self._unmade(owner, error)
            for one in made:
                lines.append(one)
                owners.append(owner)
            self._taken_bytes += size
            written += size
            if written >= _BATCH_BYTES:
                self._write(lines, owners)
                lines, owners, written = [], [], 0
            if time.monotonic() > turn_ends:
                breathe()
                turn_ends = time.monotonic() + _TURN_SECS
        self._write(lines, owners)
        dropped = self.dropped
        if dropped:
            self._file.count_lost(dropped)
            self._counted += dropped

    def _skipped(self) -> list[bytes]:
        self._file.count_lost(1)
        return []

    def _unmade(self, owner: Owner, error: Exception) -> list[bytes]:
        owner.broken = True
        self._fail(f"{type(error).__name__} while a line was made")
        return self._skipped()

    def _write(self, lines: list[bytes], owners: list[Owner]) -> None:
        if not lines:
            return
        if time.monotonic() < self._rests_until:
            self._file.count_lost(len(lines))
            lost = owners
        else:
            written, error = self._file.append(lines)
            lost = owners[written:]
            if error is not None:
                self._rests_until = time.monotonic() + _BACK_OFF_SECS
                self._fail(error.strerror or type(error).__name__)
        for owner in lost:
            owner.lost += 1

    def _fail(self, why: str) -> None:
        """Have the event loop say it: loggers hold locks that only greenlets may wait for."""
        self._failure = why
        if not self._closing:
            self._news.send()

"""Hands the records of one worker to the recorder process: a bounded queue that is sent on every few moments.

    put (any greenlet)  ──  queue, bounded in bytes  ──  frames, one for each 50 ms  ──  socket

Putting costs an append. A greenlet packs what has gathered and sends what the socket takes at once; where the recorder
does not keep up, the queue grows, and what finds no room in it is lost and counted: traffic never waits for a record.

A worker makes the pair of sockets itself and sends one end to the recorder, over the one that all were forked with.
Where that end is closed the recorder has died. Its successor does not know what was to be hidden in the exchanges
under way, so it takes nothing of them; over a new pair it knows them by being unknown.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from _socket import socketpair  # of plain ones; all that is made by `socket` is gevent's
from logging import Logger, getLogger
from typing import Any, Protocol

import gevent
import gevent.socket
from gevent.monkey import get_original

from gateway.recording.frames import LARGE, Record, pack

QUEUE_BYTES = 32 * 1024 * 1024
"""Longest queue of a worker, in bytes; a single record that is longer is lost as well."""

OVERHEAD = 300
"""What a record holds beside its payload, in bytes, about."""

_GATHER_SECS = 0.05
_BATCH_BYTES = 256 * 1024
_AGAIN_SECS = 0.5
"""After this time it is tried anew to reach a recorder that does not take anything."""
_TELL_AGAIN_SECS = 60.0
_LAST_SECS = 3.0
"""Time to send what is left when the process ends, in seconds."""

# The originals: what gevent puts in their place waits by itself, and cannot any more when the process ends.
_poll = get_original("select", "poll")
_sleep = get_original("time", "sleep")


class Owner(Protocol):
    """Whose records they are: an exchange."""

    number: int
    """Its number among the exchanges of this process."""
    dropped: int
    """Records of it that found no room."""


class Counter(Protocol):
    """Where losses are counted for all processes."""

    def count_lost(self, records: int) -> None:
        """Count records that will not be written."""


class Queue:
    """The queue of one process. Made before the fork; each process that puts something has its own from then on."""

    def __init__(self, control: Any, counter: Counter, log: Logger | None = None, limit: int = QUEUE_BYTES) -> None:
        """`control` is the socket that leads to the recorder."""
        self._control = control
        self._counter = counter
        self._log = log or getLogger("gateway")
        self._limit = limit
        self._records: list[Record] = []
        self._bytes = 0
        self._large = False
        self._sending = False
        self._socket: Any = None
        self._parts: list[memoryview] = []
        self._under_way = (0, 0)
        self._uncounted = 0
        self._told = -_TELL_AGAIN_SECS

    def put(self, owner: Owner, kind: str, size: int, *what: Any) -> bool:
        """Queue a record with a payload of this size, in bytes; tell whether there was room."""
        size += OVERHEAD
        if self._bytes + size > self._limit:
            return self.drop(owner)
        self._bytes += size
        if size > LARGE:
            self._large = True
        self._records.append((owner.number, kind, time.monotonic(), *what))
        if not self._sending:
            self._rouse()
        return True

    def drop(self, owner: Owner, *_: Any) -> bool:
        """Count a record that is not written; return False."""
        owner.dropped += 1
        self._uncounted += 1
        self._tell("the disk does not keep up")
        if not self._sending:
            self._rouse()
        return False

    @property
    def dropped(self) -> int:
        """Records of this process that are lost and not in the count of all yet."""
        return self._uncounted

    def take(self) -> list[Record]:
        """Return what is queued, which is then gone from here."""
        records, self._records = self._records, []
        self._bytes = 0
        return records

    def close(self) -> None:
        """Send what is left: the process ends. No greenlet runs any more."""
        ends = time.monotonic() + _LAST_SECS
        while not self._idle and (left := ends - time.monotonic()) > 0:
            if not self._send() and self._socket is not None:
                poll = _poll()
                poll.register(self._socket, select.POLLOUT)
                poll.poll(left * 1000)
            elif self._socket is None:
                _sleep(0.01)
        if not self._idle:
            self._uncounted += len(self._records) + self._under_way[0]
        self._count()
        if self._socket is not None:
            self._socket.close()

    # --- sending ------------------------------------------------------------------------------------------------

    @property
    def _idle(self) -> bool:
        return not self._records and not self._parts

    def _rouse(self) -> None:
        self._sending = True
        gevent.spawn_later(_GATHER_SECS, self._run)

    def _run(self) -> None:
        try:
            self._count()
            while not self._idle:
                if self._send():
                    gevent.sleep(0)  # others have their turn between two frames
                elif self._socket is None:
                    gevent.sleep(_AGAIN_SECS)
                else:
                    with contextlib.suppress(TimeoutError):
                        gevent.socket.wait_write(self._socket.fileno(), _AGAIN_SECS)
            self._count()
        finally:
            self._sending = False

    def _send(self) -> bool:
        """Send as much as goes at once of a frame; False where the socket, or the recorder, takes nothing now."""
        try:
            if self._socket is None:
                self._connect()
            if not self._parts:
                self._next_frame()
            part = self._parts[0]
            sent = self._socket.send(part)
        except BlockingIOError:
            return False
        except (OSError, ValueError) as error:
            self._break_off(error)
            return True
        if sent < len(part):
            self._parts[0] = part[sent:]
        else:
            del self._parts[0]
        if not self._parts:
            self._settle()
        return True

    def _connect(self) -> None:
        """Give the recorder one end of a new pair. Raises: BlockingIOError where it does not come to take it."""
        ours, theirs = socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            ours.setblocking(False)
            socket.send_fds(self._control, [b"+"], [theirs.fileno()])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours

    def _next_frame(self) -> None:
        records, size = self._records, self._bytes
        if size <= _BATCH_BYTES:
            self._records = []
        else:
            count = size = 0
            for record in records:
                size += _size(record)
                count += 1
                if size >= _BATCH_BYTES:
                    break
            records = self._records[:count]
            del self._records[:count]
        self._under_way = (len(records), size)
        self._parts = pack(records, self._large)
        self._large = self._large and bool(self._records)

    def _settle(self) -> None:
        """What was under way is no more: it is sent, or lost."""
        self._bytes = self._bytes - self._under_way[1] if self._records else 0
        self._under_way = (0, 0)
        self._parts = []

    def _break_off(self, error: Exception) -> None:
        self._uncounted += self._under_way[0]
        self._settle()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._tell("the recorder ended" if isinstance(error, OSError) else "a record that cannot be sent")

    def _count(self) -> None:
        if self._uncounted:
            self._counter.count_lost(self._uncounted)
            self._uncounted = 0

    def _tell(self, why: str) -> None:
        now = time.monotonic()
        if now - self._told >= _TELL_AGAIN_SECS:
            self._told = now
            self._log.warning("records of the traffic are lost: %s; the traffic goes on", why)


def _size(record: Record) -> int:
    payload = record[-1]
    return OVERHEAD + (len(payload) if isinstance(payload, bytes) else 0)

"""The recorder process: makes and writes the lines of all workers, so that none of this is work of theirs.

    master    Process.tend()   forks it before the first worker, and again where it has died
              Process.stop()   when the workers have ended: what they sent is still written
    workers   control socket   each sends one end of its own pair of sockets (`gateway.recording.queue`)
    recorder  Process._serve   reads what comes over all pairs, until it is told to stop and all of them have ended

It is forked from the master, so it is hardened like it and knows a held key only from memory that it shares. The
control socket outlives it: what is sent while there is none waits for the next one. Signals that end a gateway mean
nothing to it, since those who manage services send them to all processes; it is killed when the master is gone.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
from _socket import socketpair  # of plain ones; all that is made by `socket` is gevent's
from collections.abc import Callable
from contextlib import suppress
from logging import Logger, getLogger
from typing import Any, NoReturn

from gevent.monkey import get_original

from gateway.recording.frames import Frames, Record

_READ_BYTES = 256 * 1024
_STOP = b"."
_STOP_SECS = 5.0
"""Time to write what is left, in seconds."""

_COLLECT_AFTER = 20_000
"""New objects between two looks for garbage: a batch of records is thousands, and soon gone by itself."""

_NICE = 5
"""Where all cores are busy it gets a quarter of one beside a worker: enough to keep up, and traffic comes first."""

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
NAME = b"recorder"
"""How lists of processes show it."""

_poll = get_original("select", "poll")
_fork, _waitpid = get_original("os", "fork"), get_original("os", "waitpid")

Take = Callable[[dict[int, Any], list[Record]], None]
"""`Writer.take`."""


class Process:
    """The process as the master sees it. `control` is the socket over which workers find it."""

    def __init__(
        self, take: Take, kept: tuple[int, ...], forked: Callable[[], None], log: Logger | None = None
    ) -> None:
        """`kept` are the descriptors that it needs; `forked` runs first in it."""
        self._take = take
        self._kept = kept
        self._forked = forked
        self._log = log or getLogger("gateway")
        self._inbox: Any
        self._inbox, self.control = socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.setblocking(False)
        self._master = 0
        self._pid = 0
        self._watch = -1

    def tend(self) -> None:
        """Start it where it does not run; called by the master now and then."""
        if self._watch >= 0:
            if not self._ended(0):
                return
            self._forget()
            self._log.error("the recorder process has ended and is started anew; what it had at hand is lost")
        try:
            self._start()
        except OSError as error:
            self._log.error("the recorder process cannot be started: %s", error.strerror)

    def _start(self) -> None:
        self._master = os.getpid()
        watch, held = os.pipe()
        try:
            self._pid = _fork()
            if not self._pid:
                self._live(held)
            self._watch = watch
        except OSError:
            os.close(watch)
            raise
        finally:
            os.close(held)

    def stop(self) -> None:
        """End it when it has written all; for the master, when no worker is left."""
        if self._watch >= 0:
            with suppress(OSError):
                self.control.send(_STOP)
            if not self._ended(_STOP_SECS):
                self._log.warning("the recorder process is cut off: the disk does not keep up")
                os.kill(self._pid, signal.SIGKILL)
            self._forget()
        self._inbox.close()
        self.control.close()

    def _ended(self, seconds: float) -> bool:
        """Tell whether nobody holds the other end of the pipe any more, which only that process has."""
        poll = _poll()
        poll.register(self._watch, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _forget(self) -> None:
        with suppress(ChildProcessError):  # the master reaps all its children
            _waitpid(self._pid, 0)
        os.close(self._watch)
        self._watch = -1

    # --- in the process -----------------------------------------------------------------------------------------

    def _live(self, held: int) -> NoReturn:
        try:
            self._become(held)
            self._serve()
        except BaseException:
            self._log.exception("the recorder process failed")
        finally:
            os._exit(0)

    def _become(self, held: int) -> None:
        """Let go of what the master has, and die with it."""
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != self._master:
            os._exit(0)
        libc.prctl(_PR_SET_NAME, NAME, 0, 0, 0)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        gc.set_threshold(_COLLECT_AFTER)
        os.nice(_NICE)
        kept = {0, 1, 2, held, self._inbox.fileno(), *self._kept}
        null = os.open(os.devnull, os.O_RDWR)
        for name in os.listdir("/proc/self/fd"):
            # Not closed: objects that still name these would close what gets their numbers later.
            if int(name) not in kept and int(name) != null:
                with suppress(OSError):
                    os.dup2(null, int(name), inheritable=False)
        self._forked()

    def _serve(self) -> None:
        poll = _poll()
        poll.register(self._inbox, select.POLLIN)
        workers: dict[int, _Connection] = {}
        stopping = False
        while workers or not stopping:
            for descriptor, _ in poll.poll():
                if descriptor == self._inbox.fileno():
                    message, descriptors, _, _ = socket.recv_fds(self._inbox, 16, 1)
                    stopping = stopping or message == _STOP
                    for one in descriptors:
                        workers[one] = _Connection(one, self._take)
                        poll.register(one, select.POLLIN)
                elif not workers[descriptor].read():
                    poll.unregister(descriptor)
                    workers.pop(descriptor).close()


class _Connection:
    """What comes from one worker."""

    def __init__(self, descriptor: int, take: Take) -> None:
        self._descriptor = descriptor
        self._take = take
        self._frames = Frames()
        self._exchanges: dict[int, Any] = {}

    def read(self) -> bool:
        """Take what has come; False where no more will."""
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except OSError:
            return False
        for records in self._frames.feed(data):
            self._take(self._exchanges, records)
        return bool(data)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

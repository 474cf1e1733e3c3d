"""The file of a recording: whole lines, one batch at a time.

The master begins it before the fork: what a previous start left is kept once, as `PATH.1`. One process at a time
writes it, under a lock. When the file is full it becomes `PATH.1` in turn and a new one is begun; whoever writes next,
after that process was killed, sees by a shared number that it must open it anew.

What is shared lies in memory that all processes map: that number, the length that the file has after the last whole
batch (a process that is killed while it writes leaves part of a line, which the next one cuts off), and how many
records were lost, which workers count too. The locks are the kernel's, which frees them when a process dies; the one
for counting is held for no write to the disk, since workers wait for it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

_MODE = 0o600
_GENERATION, _LENGTH, _LOST = 0, 8, 16
_NUMBER = struct.Struct("<Q")
_BARE = 1024
"""A file of this length, in bytes, holds hardly more than its first line: nothing would be won by another one."""


class LogFile:
    """The file; made in the master."""

    def __init__(self, path: Path, limit: int, first_line: Callable[[], bytes]) -> None:
        """Begin the file. `limit` in bytes, `first_line` makes the line that each file begins with.

        Raises: OSError where it cannot be begun. That there is no room is no such reason.
        """
        self.path = Path(os.path.realpath(path))
        self.kept = Path(f"{self.path}.1")
        """Where the older part is."""
        self._limit = limit
        self._first_line = first_line
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self._generation = 0
        self._is_file = True
        self._refuse_if_in_use()
        self._lock, self._counting = os.memfd_create("recording"), os.memfd_create("lost records")
        self._descriptor = self._begin()
        with _locked(self._lock), contextlib.suppress(OSError):
            self._part([b""], 0)

    def close(self) -> None:
        """Close it in this process."""
        os.close(self._descriptor)
        os.close(self._lock)
        os.close(self._counting)

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What the process that writes must keep open."""
        return self._descriptor, self._lock, self._counting

    @property
    def lost(self) -> int:
        """Records that were not written, by all workers since the start."""
        return self._number(_LOST)

    def count_lost(self, records: int) -> None:
        """Count records that were not written."""
        with _locked(self._counting):
            self._set(_LOST, self._number(_LOST) + records)

    def append(self, lines: Sequence[bytes]) -> tuple[int, OSError | None]:
        """Write whole lines; return how many of them are there, and what kept the others, which are counted as lost."""
        with _locked(self._lock):
            written, error = 0, None
            try:
                while written < len(lines) and error is None:
                    part = self._part(lines, written)
                    missing, error = self._write(b"".join(part), self._number(_LENGTH))
                    written += len(part) - missing
            except OSError as cause:
                error = cause
            if error is not None:
                self.count_lost(len(lines) - written)
            return written, error

    # --- under the lock -----------------------------------------------------------------------------------------

    def _part(self, lines: Sequence[bytes], begin: int) -> Sequence[bytes]:
        """Make the file ready for lines; return those that it has room for, one at least. Raises: OSError."""
        self._follow()
        length = self._mended_length()
        if length > _BARE and length + len(lines[begin]) > self._limit and self._is_file:
            self._rotate()
            length = 0
        if not length:
            _, error = self._write(self._first_line(), 0)
            if error is not None:
                raise error
        if not self._is_file:
            return lines[begin:]
        room = self._limit - self._number(_LENGTH)
        sizes = accumulate(len(line) for line in lines[begin:])
        return lines[begin : begin + max(1, sum(size <= room for size in sizes))]

    def _write(self, data: bytes, length: int) -> tuple[int, OSError | None]:
        """Write lines behind this length; return how many are not there, and what kept them."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            # What is there of the last line goes; the whole ones before it stay.
            whole = data.rfind(b"\n", 0, len(data) - len(left)) + 1
            if self._is_file:
                os.ftruncate(self._descriptor, length + whole)
                self._set(_LENGTH, length + whole)
            return data.count(b"\n", whole), error
        self._set(_LENGTH, length + len(data))
        return 0, None

    def _mended_length(self) -> int:
        """Return the file's length, without the part of a line that a killed worker has left."""
        if not self._is_file:
            return self._number(_LENGTH)
        length = os.fstat(self._descriptor).st_size
        whole = self._number(_LENGTH)
        if length > whole:
            os.ftruncate(self._descriptor, whole)
        elif length < whole:
            self._set(_LENGTH, length)  # someone has emptied it
        return self._number(_LENGTH)

    def _refuse_if_in_use(self) -> None:
        """Raise: OSError where another gateway writes the file: each would move away what the other has."""
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(self.path).st_mode):
                return
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise OSError(errno.EBUSY, "another gateway writes it") from None
            finally:
                os.close(descriptor)

    def _begin(self) -> int:
        """Open the file, empty. Raises: OSError."""
        with contextlib.suppress(FileNotFoundError):
            kind = os.stat(self.path).st_mode
            if stat.S_ISCHR(kind):
                # /dev/null, /dev/full: nothing to keep and nothing to rotate.
                self._is_file = False
                return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            if not stat.S_ISREG(kind):
                raise OSError(errno.EINVAL, "it is not a plain file")
            os.replace(self.path, self.kept)
            os.chmod(self.kept, _MODE)
        return self._open(os.O_CREAT | os.O_EXCL)

    def _open(self, flags: int = 0) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, _MODE)
        # Held as long as any process of this gateway has it open; it tells the next one that starts.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return descriptor

    def _rotate(self) -> None:
        descriptor = self._begin()
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._generation += 1
        self._set(_GENERATION, self._generation)
        self._set(_LENGTH, 0)

    def _follow(self) -> None:
        """Open the file that another worker has begun."""
        generation = self._number(_GENERATION)
        if generation != self._generation:
            descriptor = self._open()
            os.close(self._descriptor)
            self._descriptor = descriptor
            self._generation = generation

    def _number(self, at: int) -> int:
        number: int = _NUMBER.unpack_from(self._shared, at)[0]
        return number

    def _set(self, at: int, number: int) -> None:
        _NUMBER.pack_into(self._shared, at, number)


@contextlib.contextmanager
def _locked(lock: int) -> Iterator[None]:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.lockf(lock, fcntl.LOCK_UN)

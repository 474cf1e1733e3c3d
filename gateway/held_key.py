"""A key that the gateway holds: read once, kept in locked memory of a process that nobody may look into.

    standard input or a file ── HeldKey ── reveal(), for each request that goes upstream

It never stands in the environment, the argument list, a log or a repr. What Python can do is done: the key lies in
a page of its own that is not swapped out (`mlock`, best effort) and not dumped, and `harden` keeps debuggers of the
same user and core dumps from the whole process. What it cannot do: a request on its way out is a copy like any other.

Source: prctl(2), PR_SET_DUMPABLE; mlock(2): locks are not inherited over a fork, the rest is.
"""

from __future__ import annotations

import contextlib
import ctypes
import getpass
import logging
import mmap
import os
import re
import resource
from pathlib import Path

_log = logging.getLogger("gateway")

KEY_LIMIT = 1016
"""Longest key, in characters: what codex-responses-api-proxy takes."""

_ALLOWED = re.compile(rb"[A-Za-z0-9_.-]+")
_PR_SET_DUMPABLE = 4
_LIBC = ctypes.CDLL(None, use_errno=True)


class KeyRefused(ValueError):
    """What was given is no key; the message says why and does not repeat it."""


class HeldKey:
    """One key in locked memory, which all workers of a gateway share."""

    def __init__(self, key: bytes | memoryview) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)
        self._page[: len(key)] = key
        self._length = len(key)
        with contextlib.suppress(OSError):
            self._page.madvise(mmap.MADV_DONTDUMP)
        self.lock()

    def __repr__(self) -> str:
        return "HeldKey(***)"

    def lock(self) -> None:
        """Keep the key from being swapped out; each process does so for itself. May be refused by the system."""
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        if _LIBC.mlock(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE)):
            _log.warning("the memory of the held key cannot be locked: %s", os.strerror(ctypes.get_errno()))

    def reveal(self) -> str:
        """Return the key, for the header of one request."""
        return self._page[: self._length].decode("ascii")


def from_stdin() -> HeldKey:
    """Read the key from the first line of standard input, which is nobody's to read afterwards. Raises: KeyRefused."""
    key = _typed() if os.isatty(0) else read_key(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return key


def _typed() -> HeldKey:
    """Ask for the key on a terminal, where it should not stay on the screen."""
    try:
        key = getpass.getpass("API key: ").encode()
    except EOFError:
        key = b""
    _check(key)
    return HeldKey(key)


def from_file(path: Path) -> HeldKey:
    """Read the key from the first line of a file. Raises: KeyRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KeyRefused(f"the file cannot be read: {error.strerror}") from None
    try:
        return read_key(descriptor)
    finally:
        os.close(descriptor)


def read_key(descriptor: int) -> HeldKey:
    """Read a key up to the end of its line or of the input. No copy of it is left behind. Raises: KeyRefused."""
    buffer = bytearray(KEY_LIMIT + 2)
    try:
        length = _read_line(descriptor, buffer)
        with memoryview(buffer) as view, view[:length] as key:
            _check(key)
            return HeldKey(key)
    finally:
        buffer[:] = bytes(len(buffer))


def _read_line(descriptor: int, buffer: bytearray) -> int:
    """Read until the first line or the buffer is complete; return the length of the line, without its end."""
    size = 0
    while size < len(buffer) and buffer.find(b"\n", 0, size) < 0:
        try:
            with memoryview(buffer) as view, view[size:] as free:
                read = os.readv(descriptor, [free])
        except OSError as error:
            raise KeyRefused(f"it cannot be read: {error.strerror}") from None
        if not read:
            break
        size += read
    end = buffer.find(b"\n", 0, size)
    length = size if end < 0 else end
    return length - 1 if buffer[length - 1 : length] == b"\r" else length


def _check(key: bytes | memoryview) -> None:
    if not len(key):
        raise KeyRefused("a key must be given, in one line")
    if len(key) > KEY_LIMIT:
        raise KeyRefused(f"the key is longer than {KEY_LIMIT} characters")
    if not _ALLOWED.fullmatch(key):
        raise KeyRefused("the key may hold only ASCII letters, digits, `-`, `_` and `.`")


def harden() -> None:
    """Let no process of this user trace this one or read its memory, and write no core dump of it.

    Holds for what is forked from here, and until a program is executed.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        _log.warning(
            "other processes of this user can read the memory of this one: %s", os.strerror(ctypes.get_errno())
        )

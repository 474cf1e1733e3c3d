"""A folder of one running gateway: readable by nobody else, gone when the gateway ends.

It is made before the fork, by the master, which holds a lock in it for its whole life. By that lock the next start
knows the folders of gateways that were killed, and removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_OWNER = "owner"
_MEMORY = Path("/dev/shm")
_ROOM = 8 * 1024 * 1024
"""Bytes that must be free in memory: what does not fit into a mapped file there ends the process."""


class RunFolder:
    """The folder; make it first, `remove` it last."""

    def __init__(self, prefix: str, parent: Path | None = None, room: int = _ROOM) -> None:
        """Make the folder: under `parent`, else in memory where so many bytes are free. Raises: OSError."""
        parent = parent or memory_folder(room) or Path(tempfile.gettempdir())
        _sweep(parent, prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        self.in_memory = self.path.is_relative_to(_MEMORY)
        self._master = os.getpid()
        self._owner = locked(self.path / _OWNER, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder, if this is the process that made it."""
        if os.getpid() == self._master:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._owner)


def memory_folder(room: int = _ROOM) -> Path | None:
    """Return a folder that needs no disk; None where there is none, or not so many bytes free in it."""
    with contextlib.suppress(OSError):
        found = os.statvfs(_MEMORY)
        if os.access(_MEMORY, os.W_OK) and found.f_bavail * found.f_frsize >= room:
            return _MEMORY
    return None


def locked(path: Path, mode: int) -> int:
    """Return a descriptor that holds a lock on a file, which is made where it is missing. Raises: OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of gateways that were killed."""
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if (left / _OWNER).exists():
                os.close(locked(left / _OWNER, fcntl.LOCK_EX | fcntl.LOCK_NB))
                shutil.rmtree(left)

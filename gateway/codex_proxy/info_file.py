"""The file that tells others where the proxy listens and which process to signal.

One line, `{"port":18991,"pid":27447}`, readable by everybody: an unprivileged user is to find the proxy that a
privileged one has started. It is written beside its place and renamed into it, so that nobody reads half of it and
a link that stands there is replaced, never followed. It is removed at the end, unless another proxy's stands there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from pathlib import Path

_MODE = 0o644


class InfoFile:
    """The file of one proxy; `path` None: there is none."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._writer = os.getpid()
        self._line = b""

    def write(self, port: int) -> None:
        """Write the port and this process; folders that are missing are made. Raises: OSError."""
        if self._path is None:
            return
        self._line = json.dumps({"port": port, "pid": self._writer}, separators=(",", ":")).encode() + b"\n"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(self._line)
                os.fchmod(descriptor, _MODE)
            os.rename(beside, self._path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Remove the file, if this process wrote it and it still stands there."""
        if self._path is None or not self._line or os.getpid() != self._writer:
            return
        with contextlib.suppress(OSError):
            if not self._path.is_symlink() and self._path.read_bytes() == self._line:
                self._path.unlink()

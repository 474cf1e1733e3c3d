"""Writes a settings file of somebody else's program: whole or not at all, and with what was there kept beside it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

_NEW_FILE_MODE = 0o600
_OTHERS = 0o007
"""What those may do who are neither the owner nor of the group."""
_BOM = b"\xef\xbb\xbf"


def read(path: Path) -> str:
    """Return the text of a file, nothing where there is none; lines end in `\\n`, and no mark stands in front.

    Raises: OSError, UnicodeDecodeError.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""


def replace(path: Path, text: str, *, secret: bool = False) -> Path | None:
    """Give a file a new text; return where the old one is kept, None where there was none or nothing changes.

    The file that a link points to is written, not the link. A file keeps its mode, its line ends and the mark that
    some editors put in front; a new one is its owner's. One that now has a `secret` is not for everybody to read.
    Raises: OSError.
    """
    path = path.resolve()
    old = path.read_bytes() if path.exists() else None
    data = _as_before(text.encode(), old or b"")
    if old == data:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = None
    mode = _NEW_FILE_MODE
    if old is not None:
        mode = path.stat().st_mode & 0o777
        backup = _free_name(path)
        _write(backup, old, mode)
    _write(path, data, mode & ~_OTHERS if secret else mode)
    return backup


def _as_before(data: bytes, old: bytes) -> bytes:
    if b"\r\n" in old:
        data = data.replace(b"\n", b"\r\n")
    return _BOM + data if old.startswith(_BOM) else data


def _free_name(path: Path) -> Path:
    stem = f"{path.name}.backup-{time.strftime('%Y%m%d-%H%M%S')}"
    names = [stem, *(f"{stem}-{n}" for n in range(2, 100))]
    return next(path.with_name(name) for name in names if not path.with_name(name).exists())


def _write(path: Path, data: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

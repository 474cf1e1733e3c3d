"""`view LOG [-o page.html]`: a recording as one page that a browser opens from the disk.

The page holds what was said, so only its owner may read it (mode 0600). Exit code 0; 2 for wrong flags and files that
cannot be read or written.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from gateway.cli import PROGRAM, Parser
from gateway.progress import Progress
from gateway.recording.log import Log, LogError
from gateway.replay.command import open_log
from gateway.setting import SettingError
from gateway.view.document import block, closing, opening
from gateway.view.told import told

PAGE_BYTES = 96 * 1024 * 1024
"""What all details together may have before they are packed; a tenth to a third of it is the page."""

_MOST, _LEAST = 2 * 1024 * 1024, 16 * 1024
"""What one exchange may have of it."""


def main(words: Sequence[str]) -> int:
    """Run the command; return the exit code. Raises: SettingError."""
    given = _parser().parse_args(words)
    try:
        with open_log(given.log) as log:
            path = Path(given.output or f"{given.log}.html")
            write(log, path)
    except LogError as error:
        raise SettingError("view", str(error)) from None
    print(path)
    return 0


def write(log: Log, path: Path) -> None:
    """Write the page of a log. Raises: LogError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _write(log, file)
        os.replace(beside, path)
    except OSError as exc:
        raise LogError(f"{path}: {exc.strerror or exc}") from None
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _write(log: Log, file: BinaryIO) -> None:
    limit = max(_LEAST, min(_MOST, PAGE_BYTES // max(1, len(log.entries))))
    detailed = PAGE_BYTES // limit
    rows: list[list[Any]] = []
    file.write(opening(log.path.name))
    with Progress("making the page", len(log.entries)) as progress:
        for number, entry in enumerate(log.entries):
            row, detail = told(log.read(entry), limit)
            rows.append(row)
            # Of very many exchanges the latest are the ones to look into.
            if number >= len(log.entries) - detailed:
                file.write(block(number, detail))
            progress.add()
    facts = {
        name: log.head.get(name) for name in ("gateway", "timestamp", "backend_api", "chat_port", "responses_port")
    }
    file.write(closing({**facts, "name": log.path.name, "damaged": log.damaged, "limit": limit}, rows))


def _parser() -> Parser:
    parser = Parser(
        prog=f"{PROGRAM} view",
        description="Make one HTML page of a recording: every exchange as a picture and side by side.",
        allow_abbrev=False,
    )
    parser.add_argument("log", metavar="LOG", help="the recording (what --log PATH wrote)")
    parser.add_argument("-o", "--output", metavar="PAGE", help="where the page goes (default: LOG.html)")
    return parser

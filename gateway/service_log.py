"""The service's own log: JSON lines on standard error, one for each exchange and each thing worth knowing.

Everything goes through the standard library's `logging`, so that what libraries say has the same form; only the lines
of exchanges go straight to standard error, for a quarter of the cost. The gateway's loggers are children of `gateway`;
their level is the setting, that of all others `warning`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from gunicorn.glogging import Logger
from pythonjsonlogger.json import JsonFormatter

LOGGER = "gateway"


def configure(level: str) -> None:
    """Set up logging for this process; `level` as in the settings. May be called again."""
    global _stream
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp=True,
            json_serializer=_dump,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(LOGGER).setLevel(level.upper())
    logging.captureWarnings(True)
    _stream = sys.stderr
    descriptor = _descriptor()
    if descriptor is not None and not os.get_blocking(descriptor):
        _stream = None
    # What no line shows is not looked up (Python's logging HOWTO, "Optimization"); there is a line for each exchange.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class _Formatter(JsonFormatter):
    """The library's formatter; a record that brings all its `facts` as one dictionary takes the short way."""

    def format(self, record: logging.LogRecord) -> str:
        facts = record.__dict__.get("facts")
        if facts is None:
            return super().format(record)
        return _line(record.levelname, record.name, record.getMessage(), record.created, facts)


def exchange(log: logging.Logger, facts: dict[str, Any]) -> None:
    """Write the line of one exchange, the same as `log.info` would."""
    if not log.isEnabledFor(logging.INFO):
        return
    descriptor = _descriptor()
    if descriptor is None:
        log.info("exchange", extra={"facts": facts})
        return
    line = _line("INFO", log.name, "exchange", time.time(), facts).encode("utf-8", "replace") + b"\n"
    # Where nobody reads any more there is nobody to be told of it.
    with suppress(OSError):
        while line:
            line = line[os.write(descriptor, line) :]


_stream: TextIO | None = None
"""Where lines go; None before the log is set up, and where that may not be waited for."""


def _descriptor() -> int | None:
    try:
        return None if _stream is None else _stream.fileno()
    except (OSError, ValueError):  # no file, or closed
        return None


def _line(level: str, logger: str, message: str, created: float, facts: dict[str, Any]) -> str:
    now = datetime.fromtimestamp(created, UTC).isoformat()
    return _dump({"level": level, "logger": logger, "message": message, **facts, "timestamp": now})


def _dump(record: Any, **options: Any) -> str:
    try:
        return orjson.dumps(record, default=str).decode()
    except TypeError:
        # A lone surrogate or a huge number that a stranger sent.
        return json.dumps(record, default=str)


class ServerLog(Logger):
    """What gunicorn says, as lines of this log. Its remarks on each start and signal are for debugging."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.error_log = self.access_log = logging.getLogger(f"{LOGGER}.server")
        self._access_log_enabled = False

    def info(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.error_log.debug(msg, *args, **kwargs)

    def reopen_files(self) -> None:
        """There are none: standard error is whoever started the gateway's to rotate."""

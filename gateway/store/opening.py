"""From the setting to the store: made before the fork, so that its faults end the start.

off             none
memory          an SQLite file in memory, gone with this gateway
sqlite:PATH     an SQLite file that lasts
redis://…       a server that gateways on several hosts share
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway.config import Settings, name_of
from gateway.run_folder import RunFolder
from gateway.setting import SettingError
from gateway.store import Bounds, Store
from gateway.store.guarded import GuardedStore
from gateway.store.sqlite import SqliteStore, UnusableFile

SERVERS = ("redis", "rediss", "unix")
"""Schemes of a store that is a server."""

_FOLDER = "openai-proxy-store-"
_SPARE = 32 * 1024 * 1024
"""What the file may need beyond the bound on its content, in bytes."""


def open_store(settings: Settings) -> GuardedStore | None:
    """Return the store that is set, None for none. Raises: SettingError."""
    kind = settings.responses_store
    if kind == "off" or settings.backend_api != "chat":
        return None  # an upstream that speaks Responses keeps them itself
    bounds = Bounds(settings.store_max_responses, settings.store_max_bytes, settings.store_max_age_secs)
    return GuardedStore(_opened(kind, bounds))


def _opened(kind: str, bounds: Bounds) -> Store:
    scheme, _, path = kind.partition(":")
    if scheme in SERVERS:
        from gateway.store.redis import RedisStore  # a library that only this needs

        try:
            return RedisStore(kind, bounds)
        except ValueError:
            raise SettingError(name_of("responses_store"), "the URL of the server cannot be used") from None
    try:
        if scheme == "sqlite":
            return SqliteStore(Path(path), bounds)
        folder = RunFolder(_FOLDER, room=bounds.bytes + bounds.bytes // 4 + _SPARE)
        return SqliteStore(folder.path / "responses.db", bounds, folder)
    except (UnusableFile, sqlite3.Error, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingError(name_of("responses_store"), f"the store cannot be opened: {reason}") from error

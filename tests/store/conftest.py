"""Both kinds of store, empty, for what holds for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.store import Bounds, Store
from gateway.store.redis import RedisStore
from gateway.store.sqlite import SqliteStore
from tests.support.redis_server import RedisServer

MakeStore = Callable[..., Store]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A running server."""
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "redis"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    """Return a function that opens the same store anew, with these bounds."""
    if request.param == "sqlite":
        return lambda **bounds: SqliteStore(tmp_path / "responses.db", Bounds(**bounds))
    server: RedisServer = request.getfixturevalue("redis_server")
    redis.Redis(port=server.port).flushall()

    def make(**bounds: Any) -> Store:
        return RedisStore(server.url, Bounds(**bounds))

    return make

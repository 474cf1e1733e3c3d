"""From the setting to the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.setting import SettingError
from gateway.store import Bounds, opening
from gateway.store.opening import open_store
from gateway.store.redis import RedisStore
from gateway.store.sqlite import SqliteStore


def settings(store: str, **env: str) -> Settings:
    return Settings.load({}, {"RESPONSES_STORE": store} | env)


@pytest.mark.parametrize("env", [{"RESPONSES_STORE": "off"}, {"BACKEND_API": "responses"}])
def test_there_may_be_none(env: dict[str, str]) -> None:
    assert open_store(Settings.load({}, env)) is None


def test_memory_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.run_folder._MEMORY", tmp_path)
    asked = {"STORE_MAX_RESPONSES": "5", "STORE_MAX_BYTES": "1000", "STORE_MAX_AGE_SECS": "60"}
    guard = open_store(settings("memory", **asked))
    assert guard is not None
    assert guard.bounds == Bounds(5, 1000, 60)
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith(opening._FOLDER)
    guard.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_opened_by_its_path(tmp_path: Path) -> None:
    guard = open_store(settings(f"sqlite:{tmp_path}/Mine.db"))
    assert guard is not None
    assert isinstance(guard._store, SqliteStore)
    assert (tmp_path / "Mine.db").exists()


def test_a_server_is_not_asked_at_the_start() -> None:
    guard = open_store(settings("redis://:secret@127.0.0.1:1/3"))
    assert guard is not None
    assert isinstance(guard._store, RedisStore)


@pytest.mark.parametrize("store", ["sqlite:/nowhere/at/all.db", "sqlite:/", "redis://:secret@host:port"])
def test_what_cannot_be_opened_ends_the_start(store: str) -> None:
    with pytest.raises(SettingError, match=r"RESPONSES_STORE: the (store cannot|URL)") as caught:
        open_store(settings(store))
    assert "secret" not in str(caught.value)

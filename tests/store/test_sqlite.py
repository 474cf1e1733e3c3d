"""The SQLite store: its file, its workers, what a kill leaves (`test_contract` has what holds for every store)."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import StoreDown
from gateway.run_folder import RunFolder
from gateway.store import Bounds
from gateway.store.sqlite import SqliteStore, UnusableFile
from tests.store.test_contract import ME, chain, ids_of, kept
from tests.support.gateway import ROOT


def test_the_file_is_private(tmp_path: Path) -> None:
    path = tmp_path / "responses.db"
    SqliteStore(path, Bounds()).keep(ME, kept("a"))
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_a_strangers_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE t (x)")
    with pytest.raises(UnusableFile, match="another program"):
        SqliteStore(path, Bounds())
    path = tmp_path / "newer.db"
    SqliteStore(path, Bounds())
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(UnusableFile, match="form 99"):
        SqliteStore(path, Bounds())
    path = tmp_path / "text.db"
    path.write_text("no database, but text")
    with pytest.raises(sqlite3.DatabaseError):
        SqliteStore(path, Bounds())


def test_a_fault_of_the_file_is_a_store_that_is_down(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "responses.db", Bounds())
    store._run(lambda db: db.execute("DROP TABLE items"))
    with pytest.raises(StoreDown) as caught:
        store.keep(ME, kept("a"))
    assert "items" not in str(caught.value)
    assert store._run(lambda db: db.execute("SELECT responses FROM totals").fetchone()) == (0,), "nothing is half kept"


def test_it_goes_with_its_folder(tmp_path: Path) -> None:
    folder = RunFolder("store-", tmp_path)
    store = SqliteStore(folder.path / "responses.db", Bounds(), folder)
    store.keep(ME, kept("a"))
    store.close()
    assert list(tmp_path.iterdir()) == []
    lasting = SqliteStore(tmp_path / "responses.db", Bounds())
    lasting.close()
    assert (tmp_path / "responses.db").exists()


def test_what_is_short_is_kept_in_memory_on_the_spot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.run_folder._MEMORY", tmp_path)
    folder = RunFolder("store-", tmp_path)
    store = SqliteStore(folder.path / "responses.db", Bounds(), folder)
    assert store.quick
    assert store.keep_here(ME, kept("a"))
    assert not store.keep_here(ME, kept("b", "a"))
    assert not store.keep_here(ME, kept("c", text="x" * 100_000))
    assert ids_of(store, "a") == ["in_a", "out_a"]

    def meanwhile(other: sqlite3.Connection) -> bool:
        other.execute("BEGIN IMMEDIATE")
        try:
            return store.keep_here(ME, kept("d"))
        finally:
            other.execute("ROLLBACK")

    assert not store._run(meanwhile), "another worker writes"
    assert store.keep_here(ME, kept("d"))
    store.close()


def test_what_is_written_moves_into_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "responses.db", Bounds())
    for number in range(30):
        store.keep(ME, kept(str(number), text="x" * 100_000))
    assert store._pool is not None
    store._pool.join()
    assert (tmp_path / "responses.db").stat().st_size > 1_000_000


KEEPING = """
import itertools, os, sys
from pathlib import Path
from gateway.store import Bounds
from gateway.store.sqlite import SqliteStore
from tests.store.test_contract import ME, kept
store = SqliteStore(Path(sys.argv[1]), Bounds(responses=100_000))
store.keep(ME, kept("made-before-the-fork"))
worker = os.fork()
name = "a" if worker else "b"
previous = None
for number in itertools.count():
    id = f"{name}{number}"
    store.keep(ME, kept(id, previous, "x" * 3000))
    os.write(1, f"{id}\\n".encode())
    previous = id
"""


def test_what_was_told_to_be_kept_is_there_after_a_kill(tmp_path: Path) -> None:
    for attempt in range(3):
        path = tmp_path / f"responses-{attempt}.db"
        writer = subprocess.Popen(
            [sys.executable, "-c", KEEPING, str(path)], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
        )
        assert writer.stdout is not None
        told = [writer.stdout.readline().decode().strip() for _ in range(60)]
        os.killpg(writer.pid, signal.SIGKILL)
        told += writer.stdout.read().decode().split()
        writer.wait(5)
        writer.stdout.close()
        store = SqliteStore(path, Bounds(responses=100_000))
        for name in "ab":
            last = max((int(id[1:]) for id in told if id.startswith(name)), default=None)
            if last is not None:
                wanted = [f"{side}_{name}{n}" for n in range(last + 1) for side in ("in", "out")]
                assert ids_of(store, f"{name}{last}") == wanted
        assert store._run(lambda db: db.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
        rows = "SELECT count(*) FROM responses", "SELECT count(*) FROM items", "SELECT responses FROM totals"
        responses, items, total = (store._run(lambda db, row=row: db.execute(row).fetchone()[0]) for row in rows)
        assert (items, total) == (2 * responses, responses), "no half response"


def test_a_process_opens_connections_of_its_own(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "responses.db", Bounds())
    chain(store, "a")
    before = store._pool
    store._process = -1
    chain(store, "b")
    assert store._pool is not before

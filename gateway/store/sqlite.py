"""Responses in an SQLite file that all workers of one gateway share.

    responses   one small row each, since it changes with each use: whose it is, what it goes on from
    heads       one row each: its object without output
    items       one row each: its input items, then its output items, in order
    totals      how many responses there are and how large they are together, kept by triggers

Work is done by threads of gevent's pool, because a disk may stop a worker's event loop for long. A statement gives
the interpreter's lock back and has to wait for it again, which under load takes longer than the statement: so each
step has few of them, and a whole thread of responses comes as one value of one row. Only a short response that goes
into memory is kept on the spot: that takes a tenth of a millisecond, and the way to a thread and back takes more.

WAL keeps readers and the one writer apart. A worker that is killed leaves a transaction that never was. With
`synchronous=NORMAL` a crash of the machine may cost the last few seconds, never the file. Checkpoints wait for the
disk, so they run beside the answers and not within a commit.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
from gevent.threadpool import ThreadPool

from gateway.errors import StoreDown
from gateway.run_folder import RunFolder
from gateway.store import Bounds, Found, Kept, Thread
from gateway.types import JSON

T = TypeVar("T")

APPLICATION_ID = 0x67775354
"""Marks the file as ours."""
VERSION = 1

_THREADS = 4
_BUSY_SECS = 2.0
"""How long a step waits for the writer of another worker."""
_CHECKPOINT_PAGES = 300
"""Length of the log from which on it is moved into the file: a long one falls out of the processor's caches."""
_CHECKPOINT_BYTES, _PAGES_EACH = _CHECKPOINT_PAGES * 4096, 10
"""The same for a file that lasts, by what one worker has written; and the pages that any response takes."""
_SHORT, _FEW = 64 * 1024, 32
"""What is kept on the spot: bytes, and items."""
_SLACK = 32
"""Room is made for one in so many of those that the bounds allow, so that not every response has to make some."""

_SCHEMA = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE secret (value BLOB NOT NULL);
CREATE TABLE responses (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner BLOB NOT NULL,
    previous INTEGER,
    used REAL NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE heads (n INTEGER PRIMARY KEY, head TEXT NOT NULL);
CREATE INDEX oldest ON responses (used, n, size);
CREATE TABLE items (n INTEGER NOT NULL, place INTEGER NOT NULL, is_output INTEGER NOT NULL, id TEXT, item TEXT);
CREATE INDEX items_of ON items (n, place);
CREATE INDEX items_by_id ON items (id);
CREATE TABLE totals (responses INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER came AFTER INSERT ON responses BEGIN
    UPDATE totals SET responses = responses + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER went AFTER DELETE ON responses BEGIN
    DELETE FROM heads WHERE n = old.n;
    DELETE FROM items WHERE n = old.n;
    UPDATE totals SET responses = responses - 1, bytes = bytes - old.size;
END;
"""

_CHAIN = """
WITH RECURSIVE chain(n, previous, depth) AS (
    SELECT n, previous, 0 FROM responses WHERE id = :id AND owner = :owner AND used > :oldest
    UNION ALL
    SELECT r.n, r.previous, depth + 1 FROM chain JOIN responses r ON r.n = chain.previous
)
"""
# The order of a subquery is what group_concat sees.
_THREAD = f"""{_CHAIN}
SELECT
    (SELECT previous FROM chain ORDER BY depth DESC LIMIT 1),
    (SELECT group_concat(item, ',') FROM
        (SELECT item FROM chain JOIN items USING (n) ORDER BY depth DESC, place))
WHERE EXISTS (SELECT 1 FROM chain)
"""
# A response that goes on from one that is gone names a row that never is.
_INSERT = """
INSERT INTO responses (id, owner, previous, used, size) VALUES (:id, :owner,
    CASE WHEN :previous IS NOT NULL THEN
        ifnull((SELECT n FROM responses WHERE id = :previous AND owner = :owner), -1) END, :now, :size)
"""
_INSERT_ITEMS = """
INSERT INTO items
SELECT :n, key, 0, json_extract(value, '$.id'), value FROM json_each(:input)
UNION ALL
SELECT :n, key + json_array_length(:input), 1, json_extract(value, '$.id'), value FROM json_each(:output)
"""
_TOUCH = f"{_CHAIN} UPDATE responses SET used = :now WHERE n IN (SELECT n FROM chain WHERE depth > 0)"
_FIND = """
SELECT items.id, item FROM items JOIN responses USING (n)
WHERE items.id IN (SELECT value FROM json_each(:ids)) AND owner = :owner AND used > :oldest ORDER BY n, place
"""
_GET = """
SELECT head,
    (SELECT group_concat(item, ',') FROM (SELECT item FROM items WHERE n = r.n AND NOT is_output ORDER BY place)),
    (SELECT group_concat(item, ',') FROM (SELECT item FROM items WHERE n = r.n AND is_output ORDER BY place))
FROM responses r JOIN heads USING (n) WHERE id = :id AND owner = :owner AND used > :oldest
"""

_REMOVE_OLD = "DELETE FROM responses WHERE n IN (SELECT n FROM responses WHERE used <= ? ORDER BY used LIMIT ?)"


class UnusableFile(Exception):
    """The file is no store of ours."""


class SqliteStore:
    """Made by the master, before the fork; workers open connections of their own."""

    def __init__(self, path: Path, bounds: Bounds, folder: RunFolder | None = None) -> None:
        """Open the store, made where it is missing. `folder`: it goes with this folder when the gateway ends.

        Raises: UnusableFile, sqlite3.Error, OSError.
        """
        self.bounds = bounds
        self.quick = folder is not None and folder.in_memory
        self._path = path
        self._folder = folder
        self._idle: deque[sqlite3.Connection] = deque()
        self._here: sqlite3.Connection | None = None
        """For what is done on the spot."""
        self._pool: ThreadPool | None = None
        self._process = 0
        self._written = 0
        """Bytes since the last checkpoint."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with contextlib.closing(self._connect()) as connection:
            self._secret = _prepare(connection)

    def secret(self) -> bytes:
        """See `Store`."""
        return self._secret

    def keep(self, owner: bytes, kept: Kept) -> None:
        """See `Store`."""
        self._run(lambda connection: self._keep(connection, owner, kept))
        self._written += kept.size + _PAGES_EACH * 4096
        if self._written >= _CHECKPOINT_BYTES and self._pool is not None and self._folder is None:
            self._written = 0
            self._pool.spawn(self._checkpoint)

    def keep_here(self, owner: bytes, kept: Kept) -> bool:
        """See `Store`; where another worker writes, a thread has the time to wait for it."""
        if kept.previous is not None or kept.size > _SHORT or len(kept.ids) > _FEW:
            return False
        self._begin()
        try:
            if self._here is None:
                self._here = self._connect(busy_secs=0.0)
            self._keep(self._here, owner, kept)
        except sqlite3.Error:
            return False  # `keep` tells what is wrong
        return True

    def thread(self, owner: bytes, id: str) -> Thread | None:
        """See `Store`."""
        row = self._row(_THREAD, self._named(owner, id))
        return None if row is None else Thread(_listed(row[1]), whole=row[0] is None)

    def find(self, owner: bytes, ids: list[str]) -> dict[str, JSON]:
        """See `Store`."""
        values = {"ids": orjson.dumps(ids).decode(), "owner": owner, "oldest": self._oldest()}
        rows = self._run(lambda connection: connection.execute(_FIND, values).fetchall())
        return {id: orjson.loads(item) for id, item in rows}

    def get(self, owner: bytes, id: str) -> Found | None:
        """See `Store`."""
        row = self._row(_GET, self._named(owner, id))
        return None if row is None else Found(row[0], _listed(row[1]), _listed(row[2]))

    def delete(self, owner: bytes, id: str) -> bool:
        """See `Store`."""
        statement = "DELETE FROM responses WHERE id = :id AND owner = :owner AND used > :oldest"
        values = self._named(owner, id)
        return self._run(lambda connection: connection.execute(statement, values).rowcount) > 0

    def close(self) -> None:
        """See `Store`."""
        if self._folder is not None:
            self._folder.remove()

    def _named(self, owner: bytes, id: str) -> dict[str, Any]:
        return {"id": id, "owner": owner, "oldest": self._oldest()}

    def _oldest(self) -> float:
        return time.time() - self.bounds.age

    def _row(self, statement: str, values: dict[str, Any]) -> Any:
        return self._run(lambda connection: connection.execute(statement, values).fetchone())

    def _keep(self, connection: sqlite3.Connection, owner: bytes, kept: Kept) -> None:
        now = time.time()
        values = {
            "id": kept.id,
            "owner": owner,
            "previous": kept.previous,
            "now": now,
            "size": kept.size,
            "oldest": 0.0,
        }
        with _transaction(connection):
            n = connection.execute(_INSERT, values).lastrowid
            connection.execute("INSERT INTO heads VALUES (?, ?)", (n, kept.head))
            connection.execute(_INSERT_ITEMS, {"n": n, "input": kept.input, "output": kept.output})
            if kept.previous is not None:
                connection.execute(_TOUCH, values)
            self._make_room(connection, now)

    def _make_room(self, connection: sqlite3.Connection, now: float) -> None:
        """Remove some of what is too old, then, where the bounds are passed, the oldest."""
        bounds = self.bounds
        connection.execute(_REMOVE_OLD, (now - bounds.age, _SLACK))
        responses, size = connection.execute("SELECT responses, bytes FROM totals").fetchone()
        if responses <= bounds.responses and size <= bounds.bytes:
            return
        going: list[int] = []
        more = responses - bounds.responses + bounds.responses // _SLACK if responses > bounds.responses else 0
        for n, one in connection.execute("SELECT n, size FROM responses ORDER BY used, n"):
            if len(going) >= more and size <= bounds.bytes:
                break
            going.append(n)
            size -= one
        connection.execute("DELETE FROM responses WHERE n IN (SELECT value FROM json_each(?))", (str(going),))

    # --- connections and threads ------------------------------------------------------------------------------

    def _run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """Run a step in a thread, while other exchanges go on. Raises: StoreDown."""
        self._begin()
        assert self._pool is not None
        done: Any = self._pool.spawn(self._tried, step).get()
        found: T
        found, error = done
        if error is not None:
            raise StoreDown("The store of responses does not work at the moment.") from error
        return found

    def _begin(self) -> None:
        """Let go of what was opened before a fork: it is not to be used after it."""
        if self._process != os.getpid():
            self._process, self._pool, self._idle, self._here = os.getpid(), ThreadPool(_THREADS), deque(), None

    def _tried(self, step: Callable[[sqlite3.Connection], Any]) -> tuple[Any, sqlite3.Error | None]:
        """Run a step; its fault is returned, since the pool would print one that is raised."""
        try:
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                return step(connection), None
            finally:
                self._idle.append(connection)
        except sqlite3.Error as error:
            return None, error

    def _checkpoint(self) -> None:
        """Move what was written into the file proper, as far as no reader is in the way; the next one goes on."""
        self._tried(lambda connection: connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())

    def _connect(self, busy_secs: float = _BUSY_SECS) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=busy_secs, isolation_level=None, check_same_thread=False)
        lasts = self._folder is None
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if lasts else 'OFF'}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {0 if lasts else _CHECKPOINT_PAGES}")
        # What was removed is overwritten where that costs no further page; else it is when the page is used again.
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        return connection


def _prepare(connection: sqlite3.Connection) -> bytes:
    """Make the tables where there are none; return the secret. Raises: UnusableFile, sqlite3.Error."""
    mine, version, tables = (
        connection.execute(statement).fetchone()[0]
        for statement in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema")
    )
    if tables and mine != APPLICATION_ID:
        raise UnusableFile("the file is a database of another program")
    if tables and version != VERSION:
        raise UnusableFile(f"the file was made by another version (form {version}, not {VERSION})")
    connection.execute("PRAGMA journal_mode = WAL")
    if not tables:
        with _transaction(connection):
            for statement in _statements(_SCHEMA):
                connection.execute(statement)
            connection.execute("INSERT INTO secret VALUES (?)", (secrets.token_bytes(32),))
    secret: bytes = connection.execute("SELECT value FROM secret").fetchone()[0]
    return secret


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script: sqlite3's own `executescript` would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _listed(texts: str | None) -> str:
    return f"[{texts or ''}]"

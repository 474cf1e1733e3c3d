"""A store as exchanges use it: bounded waits, a store that is down, whose a response is."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import gevent
import pytest

from gateway.errors import StoreDown
from gateway.store import Bounds, Kept
from gateway.store import guarded as room
from gateway.store.guarded import GuardedStore

ONE = Kept("resp_1", None, "{}", "[]", "[]", ())


class Store:
    """A store that does what a test wants."""

    bounds = Bounds()
    quick = False

    def __init__(self) -> None:
        self.owners: list[bytes] = []
        self.fault: Exception | None = None
        self.slow = 0.0

    def secret(self) -> bytes:
        return b"secret"

    def keep(self, owner: bytes, kept: Kept) -> None:
        gevent.sleep(self.slow)
        if self.fault is not None:
            raise self.fault
        self.owners.append(owner)

    def keep_here(self, owner: bytes, kept: Kept) -> bool:
        self.owners.append(b"here")
        return kept.previous is None

    def get(self, owner: bytes, id: str) -> Any:
        self.keep(owner, ONE)
        return None

    thread = find = delete = get

    def close(self) -> None:
        self.owners.clear()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def guarded(store: Store) -> GuardedStore:
    return GuardedStore(store)


def warnings(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [vars(record)["facts"] for record in caplog.records if record.levelname == "WARNING"]


def test_a_key_is_kept_as_a_hash_that_only_this_store_makes(store: Store, guarded: GuardedStore) -> None:
    for credential in ("key-1", "key-2", None, "", "key-1"):
        assert guarded.keep(credential, ONE)
    one, two, none, empty, again = store.owners
    assert len({one, two, none, empty}) == 4
    assert one == again
    assert len(one) == 32
    guarded.close()
    assert store.owners == []


def test_who_needs_what_is_stored_is_told_that_the_store_is_down(store: Store, guarded: GuardedStore) -> None:
    assert guarded.ask("key", lambda it, who: it.get(who, "resp_1")) is None
    store.fault = StoreDown("down")
    with pytest.raises(StoreDown):
        guarded.ask("key", lambda it, who: it.get(who, "resp_1"))
    assert not guarded.works
    store.fault = None
    guarded.ask("key", lambda it, who: it.get(who, "resp_1"))
    assert guarded.works, "what works again is used again at once"


def test_a_store_that_fails_is_left_alone_for_a_moment(
    store: Store, guarded: GuardedStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.fault = StoreDown("down")
    assert not guarded.keep("key", ONE)
    store.fault = None
    assert not guarded.keep("key", ONE)
    assert store.owners == []
    monkeypatch.setattr(room, "_PAUSE_SECS", 0.0)
    monkeypatch.setattr(guarded, "_tried_again_at", 0.0)
    assert guarded.keep("key", ONE)
    assert warnings(caplog) == [{"reason": "down", "failures": 1}]
    monkeypatch.setattr(room, "_QUIET_SECS", 0.0)
    store.fault = StoreDown("at the moment")
    store.fault.__cause__ = OSError("connection refused")
    guarded.keep("key", ONE)
    assert warnings(caplog)[1] == {"reason": "connection refused", "failures": 2}


def test_the_end_of_an_answer_waits_only_so_long(
    store: Store, guarded: GuardedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_KEEP_SECS", 0.02)
    store.slow = 0.2
    began = time.monotonic()
    assert not guarded.keep("key", ONE)
    assert time.monotonic() - began < 0.2
    assert not guarded.works
    assert not guarded.keep("key", ONE), "nobody else is kept waiting"
    gevent.sleep(0.25)
    assert len(store.owners) == 1, "the first is kept all the same"
    assert guarded.works


def test_what_is_short_is_kept_on_the_spot(store: Store, guarded: GuardedStore) -> None:
    store.quick = True
    assert guarded.keep("key", ONE)
    assert store.owners == [b"here"]
    assert guarded.keep("key", replace(ONE, previous="resp_0"))
    assert len(store.owners) == 3


def test_a_fault_of_ours_ends_no_answer(store: Store, guarded: GuardedStore, caplog: pytest.LogCaptureFixture) -> None:
    store.fault = ZeroDivisionError()
    assert not guarded.keep("key", ONE)
    assert "internal error in the store" in caplog.text

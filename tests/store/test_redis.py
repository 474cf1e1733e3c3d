"""The Redis store: its keys, a server that fails (`test_contract` has what holds for every store)."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from gateway.errors import StoreDown
from gateway.store import Bounds
from gateway.store.guarded import GuardedStore
from gateway.store.redis import RedisStore
from tests.store.test_contract import ME, chain, ids_of, kept
from tests.support.redis_server import RedisServer


@pytest.fixture
def client(redis_server: RedisServer) -> Any:
    found = redis.Redis(port=redis_server.port)
    found.flushall()
    return found


def test_everything_expires_by_itself_what_is_told_of_last(redis_server: RedisServer, client: Any) -> None:
    store = RedisStore(redis_server.url, Bounds(age=100.5))
    assert len(store.secret()) == 32
    chain(store, "a", "b")
    ttls = {key.decode().removeprefix("openai-proxy:"): client.ttl(key) for key in client.keys("*")}
    assert ttls.pop("secret") == -1
    assert {name: round(ttl, -1) for name, ttl in ttls.items()} == {
        "r:a": 300, "r:b": 300, f"i:{ME.hex()}": 200, "used": 200, "sizes": 200, "bytes": 200,
    }  # fmt: skip


def test_nothing_is_left_of_what_was_removed(redis_server: RedisServer, client: Any) -> None:
    store = RedisStore(redis_server.url, Bounds(responses=2))
    chain(store, *"abcdef")
    assert store.delete(ME, "e")
    assert store.delete(ME, "f")
    assert sorted(client.keys("*")) == [b"openai-proxy:bytes", b"openai-proxy:secret"]
    assert client.get("openai-proxy:bytes") == b"0"


def test_a_response_that_the_server_dropped_is_a_hole(redis_server: RedisServer, client: Any) -> None:
    store = RedisStore(redis_server.url, Bounds(responses=4))
    chain(store, *"abc")
    client.delete("openai-proxy:r:b")
    assert ids_of(store, "c") == "broken"
    assert store.find(ME, ["out_b"]) == {}
    chain(store, *"wxyz")
    assert client.get("openai-proxy:bytes") == str(4 * kept("a").size).encode()


def test_keeping_twice_is_keeping_once(redis_server: RedisServer, client: Any) -> None:
    store = RedisStore(redis_server.url, Bounds())
    store.keep(ME, kept("a"))
    store.keep(ME, kept("a"))
    assert client.get("openai-proxy:bytes") == str(kept("a").size).encode()


def test_gateways_agree_on_owners_after_the_server_was_emptied(redis_server: RedisServer, client: Any) -> None:
    one, two = (GuardedStore(RedisStore(redis_server.url, Bounds())) for _ in range(2))
    assert one.keep("key", kept("a"))
    assert two.ask("key", lambda store, owner: store.get(owner, "a"))
    client.flushall()
    assert one.keep("key", kept("b"))
    assert two.ask("key", lambda store, owner: store.get(owner, "b"))
    client.flushall()
    new = GuardedStore(RedisStore(redis_server.url, Bounds()))
    assert new.keep("key", kept("c"))
    assert one.keep("key", kept("d"))
    for each in (one, two, new):
        for id in "cd":
            assert each.ask("key", lambda store, owner, id=id: store.get(owner, id))
        assert each.ask("other", lambda store, owner: store.get(owner, "c")) is None


def test_a_server_that_is_not_there_is_a_store_that_is_down() -> None:
    store = RedisStore("redis://:secret@127.0.0.1:1/0", Bounds())
    steps = (store.secret, lambda: store.get(ME, "a"), lambda: store.keep(ME, kept("a")))
    for step in steps:
        with pytest.raises(StoreDown) as caught:
            step()
        assert "127.0.0.1" not in str(caught.value)
    store.close()


def test_a_server_that_was_started_anew_is_used_again() -> None:
    with RedisServer() as server:
        store = RedisStore(server.url, Bounds())
        chain(store, "a")
        server.stop()
        server.start()
        assert store.get(ME, "a") is None
        chain(store, "b")
        assert ids_of(store, "b") == ["in_b", "out_b"]

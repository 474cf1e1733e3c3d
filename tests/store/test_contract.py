"""What holds for every store: threads, items, owners, bounds."""

from __future__ import annotations

import json
import time
from typing import Any

import gevent

from gateway.store import Kept, Store
from tests.store.conftest import MakeStore

ME, OTHER = b"m" * 32, b"o" * 32


def kept(id: str, previous: str | None = None, text: str = "") -> Kept:
    """A response of one input item and one output item."""
    given, answer = {"id": f"in_{id}", "text": text}, {"id": f"out_{id}", "text": text}
    head = json.dumps({"id": id})
    return Kept(id, previous, head, json.dumps([given]), json.dumps([answer]), (given["id"], answer["id"]))


def chain(store: Store, *ids: str, text: str = "") -> None:
    """Keep responses that go on from one another."""
    for previous, id in zip([None, *ids], ids, strict=False):
        store.keep(ME, kept(id, previous, text))


def ids_of(store: Store, id: str, owner: bytes = ME) -> Any:
    """Return the ids of a thread's items; None where it is not known, `broken` where it has a hole."""
    thread = store.thread(owner, id)
    if thread is None:
        return None
    return [item["id"] for item in json.loads(thread.items)] if thread.whole else "broken"


def there(store: Store, *ids: str) -> list[str]:
    return [id for id in ids if store.get(ME, id) is not None]


def test_a_thread_is_put_together_from_its_responses(make_store: MakeStore) -> None:
    store = make_store()
    chain(store, "a", "b", "c")
    store.keep(ME, kept("d", "b"))
    assert ids_of(store, "c") == ["in_a", "out_a", "in_b", "out_b", "in_c", "out_c"]
    assert ids_of(store, "d") == ["in_a", "out_a", "in_b", "out_b", "in_d", "out_d"]
    assert ids_of(store, "x") is None


def test_a_response_without_items_is_part_of_a_thread(make_store: MakeStore) -> None:
    store = make_store()
    store.keep(ME, Kept("a", None, "{}", "[]", "[]", ()))
    assert ids_of(store, "a") == []
    store.keep(ME, kept("b", "a"))
    assert ids_of(store, "b") == ["in_b", "out_b"]


def test_a_response_is_found_as_it_was_kept(make_store: MakeStore) -> None:
    store = make_store()
    one = kept("a", text="größer 😀\u2028\x00\\ud800 \"'")
    store.keep(ME, one)
    again = make_store()
    found = again.get(ME, "a")
    assert found is not None
    assert (json.loads(found.head), json.loads(found.input)) == (json.loads(one.head), json.loads(one.input))
    assert json.loads(found.output) == json.loads(one.output)
    assert again.secret() == store.secret()
    assert len(store.secret()) == 32


def test_items_are_found_by_their_ids(make_store: MakeStore) -> None:
    store = make_store()
    chain(store, "a", "b")
    store.keep(ME, Kept("c", None, "{}", json.dumps([{"id": "out_a", "text": "newer"}]), "[]", ("out_a",)))
    found = store.find(ME, ["out_a", "in_b", "nothing"])
    assert found == {"out_a": {"id": "out_a", "text": "newer"}, "in_b": {"id": "in_b", "text": ""}}


def test_what_is_another_owners_is_not_there(make_store: MakeStore) -> None:
    store = make_store()
    chain(store, "a", "b")
    assert ids_of(store, "b", OTHER) is None
    assert store.get(OTHER, "a") is None
    assert store.find(OTHER, ["out_a"]) == {}
    assert not store.delete(OTHER, "a")
    assert there(store, "a", "b") == ["a", "b"]


def test_what_is_removed_is_gone_and_breaks_its_thread(make_store: MakeStore) -> None:
    store = make_store()
    chain(store, "a", "b", "c")
    assert store.delete(ME, "b")
    assert not store.delete(ME, "b")
    assert there(store, "a", "b", "c") == ["a", "c"]
    assert store.find(ME, ["in_b", "out_b"]) == {}
    assert ids_of(store, "c") == "broken"
    assert ids_of(store, "a") == ["in_a", "out_a"]
    store.keep(ME, kept("d", "b"))
    assert ids_of(store, "d") == "broken"


def test_the_oldest_go_first(make_store: MakeStore) -> None:
    store = make_store(responses=3)
    for id in "abcde":
        store.keep(ME, kept(id))
    assert there(store, *"abcde") == ["c", "d", "e"]
    assert store.find(ME, ["out_b", "out_c"]).keys() == {"out_c"}


def test_a_thread_that_goes_on_is_not_old(make_store: MakeStore) -> None:
    store = make_store(responses=4)
    chain(store, "a", "b")
    store.keep(ME, kept("x"))
    store.keep(ME, kept("c", "b"))
    store.keep(ME, kept("y"))
    assert there(store, *"abxcy") == ["a", "b", "c", "y"]
    store.keep(ME, kept("d", "c"))
    assert there(store, *"abcyd") == ["a", "b", "c", "d"]
    store.keep(ME, kept("e", "d"))
    assert there(store, *"abcde") == ["b", "c", "d", "e"], "a thread that is larger than the store loses its beginning"


def test_bytes_are_bounded(make_store: MakeStore) -> None:
    size = kept("a", text="x" * 1000).size
    store = make_store(bytes=3 * size)
    for id in "abcdefghij":
        store.keep(ME, kept(id, text="x" * 1000))
    assert there(store, *"abcdefghij") == ["h", "i", "j"]
    store.keep(ME, kept("k", text="x" * 2500))
    assert there(store, *"hijk")[-1] == "k"
    store.keep(ME, kept("l", text="x" * 10_000))
    assert there(store, *"jkl") == []
    store.keep(ME, kept("m"))
    assert there(store, "m") == ["m"], "what was removed does not count"


def test_age_counts_from_the_last_use(make_store: MakeStore) -> None:
    store = make_store()
    chain(store, "a")
    store.keep(ME, kept("x"))
    time.sleep(0.4)
    went_on = time.time()
    store.keep(ME, kept("b", "a"))
    later = make_store(age=time.time() - went_on + 0.2)
    assert there(later, *"abx") == ["a", "b"]
    assert later.find(ME, ["out_x", "out_a"]).keys() == {"out_a"}
    late = make_store(age=0.001)
    time.sleep(0.002)
    assert ids_of(late, "b") is None
    assert not late.delete(ME, "b")
    assert there(store, *"abx") == ["a", "b", "x"]
    late.keep(ME, kept("y"))
    assert there(store, *"abxy") == ["y"], "what is too old is removed when something comes"


def test_many_at_once_get_what_they_asked_for(make_store: MakeStore) -> None:
    store = make_store()

    def one(name: str) -> Any:
        chain(store, f"{name}1", f"{name}2")
        return ids_of(store, f"{name}2")

    jobs = [gevent.spawn(one, f"t{number}_") for number in range(20)]
    gevent.joinall(jobs)
    for number, job in enumerate(jobs):
        assert job.value == [f"{side}_t{number}_{place}" for place in (1, 2) for side in ("in", "out")]


def test_a_long_thread_is_stored_once(make_store: MakeStore) -> None:
    text, turns = "x" * 1000, 200
    store = make_store(bytes=turns * 3000)
    chain(store, *map(str, range(turns)), text=text)
    thread = store.thread(ME, str(turns - 1))
    assert thread is not None
    assert thread.whole
    assert len(json.loads(thread.items)) == 2 * turns

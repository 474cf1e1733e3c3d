"""The kept list: when it is fetched, with which key, and what holds while it is missing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from gateway.listing import ModelList, is_openai
from gateway.listing_fetch import ListUnavailable
from gateway.models import FALLBACK, Catalog, Overlay
from tests.support.upstream import Upstream

FALLBACK_NAMES = list(FALLBACK)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Source:
    """An upstream's list: what it answers to each key, and who has asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.lists: dict[str | None, Any] = {None: ["a"]}

    def __call__(self, key: str | None) -> bytes:
        self.asked.append(key)
        answer = self.lists.get(key, ListUnavailable("status 401", refused=True))
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else orjson.dumps({"data": [{"id": id} for id in answer]})


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def models(source: Source, clock: Clock) -> ModelList:
    """A list whose flights end before `spawn` returns."""
    return ModelList(source, clock=clock, spawn=lambda flight: flight())


def ids(catalog: Catalog) -> list[str]:
    return [line.name for line in catalog.listed("chat")]


DOWN = ListUnavailable("no connection")


def test_a_list_is_asked_for_once_a_minute(models: ModelList, source: Source, clock: Clock) -> None:
    assert source.asked == []
    assert ids(models.catalog(None)) == ["a"]
    first = models.catalog("key")
    source.lists[None] = ["b"]
    clock.now += 59
    assert models.catalog("other key") is first
    assert source.asked == [None]
    clock.now += 1
    assert ids(models.catalog("key")) == ["b"]
    assert source.asked == [None, None]


def test_the_same_list_makes_no_new_catalog(models: ModelList, clock: Clock) -> None:
    first = models.catalog(None)
    clock.now += 60
    assert models.catalog(None) is first


def test_the_last_good_list_stays(
    models: ModelList, source: Source, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    models.catalog(None)
    with caplog.at_level(logging.INFO, "gateway"):
        for broken in (DOWN, b"<html>", b'{"error": 1}', ListUnavailable("status 403", refused=True)):
            source.lists[None] = broken
            clock.now += 60
            assert ids(models.catalog(None)) == ["a"]
        source.lists[None] = ["b"]
        clock.now += 60
        assert ids(models.catalog(None)) == ["b"]
    assert [record.getMessage() for record in caplog.records] == [
        "model list not available: no connection",
        "model list available again",
    ]


def test_without_any_list_the_fallback_is_shown_and_asking_goes_on(
    models: ModelList, source: Source, clock: Clock
) -> None:
    source.lists[None] = DOWN
    assert ids(models.catalog(None)) == FALLBACK_NAMES
    clock.now += 4.9
    models.catalog(None)
    assert len(source.asked) == 1
    source.lists[None] = ["a"]
    clock.now += 0.1
    assert ids(models.catalog(None)) == ["a"]


def test_an_empty_list_is_a_list(models: ModelList, source: Source) -> None:
    source.lists[None] = []
    assert ids(models.catalog(None)) == []


def test_models_json_stands_over_the_list_and_alone(source: Source, clock: Clock) -> None:
    said: list[tuple[Overlay, ...]] = [(Overlay("mine", {}),)]
    models = ModelList(source, overlays=lambda: said[-1], clock=clock, spawn=lambda flight: flight())
    source.lists[None] = DOWN
    assert ids(models.catalog(None)) == ["mine"]
    source.lists[None] = ["a"]
    clock.now += 60
    assert ids(models.catalog(None)) == ["a", "mine"]
    assert models.catalog(None) is models.catalog(None)
    said.append((Overlay("yours", {}),))
    assert ids(models.catalog(None)) == ["a", "yours"]


def test_a_list_that_needs_a_key_is_kept_for_each_key(models: ModelList, source: Source, clock: Clock) -> None:
    source.lists = {"k1": ["one"], "k2": ["two"]}
    models.wait("k1", 2)
    assert source.asked == [None, "k1"]
    assert ids(models.catalog("k1")) == ["one"]
    assert ids(models.catalog("k2")) == ["two"]
    assert ids(models.catalog("k3")) == FALLBACK_NAMES
    assert ids(models.catalog(None)) == FALLBACK_NAMES
    assert source.asked == [None, "k1", "k2", "k3"]
    clock.now += 59
    for key in ("k1", "k2", "k3", None):
        models.catalog(key)
    assert len(source.asked) == 4
    clock.now += 1
    source.lists["k1"] = DOWN
    assert ids(models.catalog("k1")) == ["one"]
    assert source.asked == [None, "k1", "k2", "k3", "k1"]


def test_keys_that_see_the_same_list_share_it(models: ModelList, source: Source) -> None:
    source.lists = {"k1": ["one"], "k2": ["one"], "k3": ["two"]}
    for key in ("k1", "k2", "k3"):
        models.wait(key, 2)
    assert models.catalog("k1") is models.catalog("k2")
    assert models.catalog("k1") is not models.catalog("k3")


def test_a_list_that_opens_again_is_noticed(models: ModelList, source: Source, clock: Clock) -> None:
    source.lists = {"k": ["kept"]}
    models.wait("k", 2)
    source.lists[None] = ["open"]
    clock.now += 60
    assert ids(models.catalog(None)) == ["open"]
    assert ids(models.catalog("k")) == ["open"]


def test_a_list_that_begins_to_need_a_key(models: ModelList, source: Source, clock: Clock) -> None:
    models.catalog("k")
    source.lists = {"k": ["kept"]}
    clock.now += 60
    assert ids(models.catalog("k")) == ["a"]
    assert ids(models.catalog("k")) == ["kept"]
    assert ids(models.catalog("new")) == ["a"]


def test_the_number_of_kept_lists_is_bounded(models: ModelList, source: Source) -> None:
    source.lists = {f"k{n}": [f"m{n}"] for n in range(300)}
    for n in range(300):
        models.wait(f"k{n}", 2)
        models.wait("k0", 2)
    asked = len(source.asked)
    models.wait("k0", 2)
    models.wait("k299", 2)
    assert len(source.asked) == asked
    models.wait("k1", 2)
    assert len(source.asked) == asked + 1


@pytest.mark.parametrize("key", [None, "k"])
def test_a_404_refreshes(models: ModelList, source: Source, clock: Clock, key: str | None) -> None:
    models.catalog(key)
    source.lists[None] = ["b"]
    models.refresh(key)
    assert ids(models.catalog(key)) == ["b"]
    for _ in range(50):
        models.refresh(key)
    assert len(source.asked) == 11
    clock.now += 60
    models.refresh(key)
    assert len(source.asked) == 12


def test_a_404_while_the_list_begins_to_need_a_key(models: ModelList, source: Source) -> None:
    models.catalog("k")
    source.lists = {"k": ["kept"]}
    models.refresh("k")
    assert ids(models.catalog("k")) == ["kept"]


def test_only_the_first_fetch_is_waited_for(models: ModelList, source: Source, clock: Clock) -> None:
    source.lists[None] = DOWN
    models.wait(None, 2)
    clock.now += 100
    models.wait(None, 2)
    assert len(source.asked) == 1
    models.wait(None, 2, fresh=True)
    models.wait(None, 2, fresh=True)
    assert len(source.asked) == 2


class Flights:
    """Flights that start when told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def __call__(self, flight: Callable[[], None]) -> None:
        self.waiting.append(flight)


def test_one_flight_at_a_time_and_nobody_waits_for_it(source: Source) -> None:
    flights = Flights()
    models = ModelList(source, spawn=flights)
    for _ in range(3):
        assert ids(models.catalog(None)) == FALLBACK_NAMES
        models.wait(None, 0.01)
    assert len(flights.waiting) == 1
    flights.waiting.pop()()
    assert ids(models.catalog(None)) == ["a"]
    assert source.asked == [None]


def test_many_wait_for_one_flight(source: Source) -> None:
    gate = threading.Event()

    def slow(key: str | None) -> bytes:
        gate.wait(5)
        return source(key)

    models = ModelList(slow)
    waiting = [threading.Thread(target=models.wait, args=(None, 5.0)) for _ in range(5)]
    for thread in waiting:
        thread.start()
    gate.set()
    for thread in waiting:
        thread.join(5)
    assert source.asked == [None]
    assert ids(models.catalog(None)) == ["a"]


def test_made_from_settings(upstream: Upstream) -> None:
    upstream.lists("a/b", "a/c")
    settings = SimpleNamespace(
        backend_origin=upstream.url.removesuffix("/v1"),
        models_target="/v1/models?api-version=1",
        models_file=None,
        models_filter=None,
        trust_env=False,
    )
    models = ModelList.of(settings)
    models.wait(None, 5)
    assert ids(models.catalog(None)) == ["a/b", "a/c"]
    assert [request.target for request in upstream.requests] == ["/v1/models?api-version=1"]


@pytest.mark.parametrize(
    ("origin", "openai"),
    [
        ("https://api.openai.com", True),
        ("https://EU.API.OpenAI.com:443", True),
        ("https://openai.com.evil.example", False),
        ("https://notopenai.com", False),
        ("https://x.openai.azure.com", False),
        ("http://127.0.0.1:8080", False),
        ("", False),
    ],
)
def test_is_openai(origin: str, openai: bool) -> None:
    assert is_openai(origin) is openai

"""Stored responses where processes are killed: what was answered as stored is there afterwards, and nothing half."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import chat_text
from tests.support.gateway import Gateway
from tests.support.redis_server import RedisServer
from tests.support.upstream import Request, Upstream

JSON = dict[str, Any]
BROKEN = (OSError, http.client.HTTPException)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """A running server."""
    with RedisServer() as server:
        yield server


def spoken(request: Request) -> Any:
    """Answer with the last user message, so that nobody can be given another's answer."""
    return chat_text(f"you said {request.json['messages'][-1]['content']}")


class Talker(threading.Thread):
    """A client with one thread after another; it notes each response whose end it has seen."""

    def __init__(self, gateway: Gateway, number: int) -> None:
        super().__init__(daemon=True)
        self.gateway = gateway
        self.number = number
        self.ended: list[JSON] = []
        self.begun: list[str] = []
        self.refused: list[JSON] = []
        self.over = False

    def run(self) -> None:
        previous: str | None = None
        turn = 0
        while not self.over:
            turn += 1
            body = {"model": "m", "input": f"{self.number}-{turn}", "stream": True, "previous_response_id": previous}
            final = None
            with contextlib.suppress(*BROKEN), self.gateway.stream("/v1/responses", body, timeout=5) as stream:
                for frame in stream:
                    if frame.event == "response.created":
                        self.begun.append(frame.data["response"]["id"])
                    if frame.event in ("response.completed", "response.failed"):
                        final = frame.data["response"]
                if stream.status != 200:
                    self.refused.append({"status": stream.status, "previous": previous})
            if final is None or final["status"] != "completed" or not final["store"]:
                time.sleep(0.02)
                continue
            self.ended.append(final)
            previous = final["id"]


def check(gateway: Gateway, talkers: list[Talker]) -> None:
    """All that was told as stored is there, whole; all else is there whole or not at all; threads go on."""
    for talker in talkers:
        assert talker.refused == []
        for final in talker.ended:
            reply = gateway.get(f"/v1/responses/{final['id']}", headers={"Authorization": f"Bearer {KEY}"})
            assert (reply.status, reply.json) == (200, final)
        for id in set(talker.begun) - {final["id"] for final in talker.ended}:
            reply = gateway.get(f"/v1/responses/{id}", headers={"Authorization": f"Bearer {KEY}"})
            assert reply.status == 404 or reply.json["status"] in ("completed", "failed")
        if talker.ended:
            body = {"model": "m", "input": "end", "previous_response_id": talker.ended[-1]["id"]}
            assert gateway.post("/v1/responses", body, key=KEY).status == 200


KEY = "test-key-0123456789abcdef"


def talk_and_kill(gateway: Gateway, kill: Callable[[], None], least: int) -> list[Talker]:
    """Let clients talk; kill something again and again until each has seen enough."""
    talkers = [Talker(gateway, number) for number in range(3)]
    for talker in talkers:
        talker.start()
    end = time.monotonic() + 20
    while any(len(talker.ended) < least for talker in talkers) and time.monotonic() < end:
        time.sleep(random.uniform(0.1, 0.3))
        kill()
    for talker in talkers:
        talker.over = True
    for talker in talkers:
        talker.join(10)
    assert all(len(talker.ended) >= least for talker in talkers)
    return talkers


def store_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return server.url
    return f"sqlite:{folder}/responses.db"


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_killed_workers_and_a_killed_master_lose_nothing_that_was_stored(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, upstream: Upstream
) -> None:
    upstream.answers_with(spoken)
    store = store_of(kind, request, tmp_path)
    gateway = Gateway(upstream.url, WORKERS="2", RESPONSES_STORE=store)

    def kill_a_worker() -> None:
        with contextlib.suppress(ProcessLookupError, IndexError):
            os.kill(random.choice(gateway.workers), signal.SIGKILL)

    try:
        talkers = talk_and_kill(gateway, kill_a_worker, 6)
        check(gateway, talkers)
        more = [Talker(gateway, number) for number in range(10, 13)]
        for talker in more:
            talker.start()
        time.sleep(random.uniform(0.3, 0.6))
    finally:
        gateway.stop(signal.SIGKILL)
    for talker in more:
        talker.over = True
        talker.join(10)
    with Gateway(upstream.url, RESPONSES_STORE=store) as again:
        check(again, [*talkers, *more])


def test_memory_is_shared_by_workers_and_survives_their_death(upstream: Upstream) -> None:
    upstream.answers_with(spoken)
    with Gateway(upstream.url, WORKERS="2") as gateway:

        def kill_a_worker() -> None:
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(random.choice(gateway.workers), signal.SIGKILL)

        check(gateway, talk_and_kill(gateway, kill_a_worker, 5))


def test_memory_leaves_nothing_behind(upstream: Upstream) -> None:
    """Not even after a kill: the next start sweeps."""

    def folder_of(gateway: Gateway) -> Path:
        opened = [Path(os.readlink(one)) for one in Path(f"/proc/{gateway.pid}/fd").iterdir()]
        (folder,) = {path.parent for path in opened if path.parent.name.startswith("openai-proxy-store-")}
        return folder

    killed = Gateway(upstream.url)
    left = folder_of(killed)
    killed.stop(signal.SIGKILL)
    assert left.parent != Path("/dev/shm") or left.exists()
    with Gateway(upstream.url) as ordered:
        mine = folder_of(ordered)
        assert mine.exists()
        assert not left.exists()
    assert not mine.exists()


def test_a_client_that_leaves_leaves_a_failed_response(gateway: Gateway, upstream: Upstream) -> None:
    upstream.answers(chat_text("one two three").streamed().silent(30, after=3))
    with gateway.stream("/v1/responses", {"model": "m", "input": "count", "stream": True}) as stream:
        id = next(iter(stream)).data["response"]["id"]
    end = time.monotonic() + 10
    while (reply := gateway.get(f"/v1/responses/{id}", headers={"Authorization": f"Bearer {KEY}"})).status == 404:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert (reply.json["status"], reply.json["output"]) == ("failed", [])


def test_two_gateways_go_on_with_each_others_threads(redis_server: RedisServer, upstream: Upstream) -> None:
    upstream.answers_with(spoken)
    with (
        Gateway(upstream.url, RESPONSES_STORE=redis_server.url) as one,
        Gateway(upstream.url, RESPONSES_STORE=redis_server.url) as two,
    ):
        previous, item = None, None
        for turn, gateway in enumerate([one, two, two, one, two]):
            given: list[JSON] = [{"role": "user", "content": f"turn {turn}"}]
            body = {"model": "m", "input": given, "previous_response_id": previous}
            reply = gateway.post("/v1/responses", body)
            assert reply.status == 200
            previous, item = reply.json["id"], reply.json["output"][0]["id"]
        messages = upstream.chats[-1]["messages"]
        assert [message["content"] for message in messages[::2]] == [f"turn {turn}" for turn in range(5)]
        assert messages[7]["content"] == "you said turn 3"
        given = [{"type": "item_reference", "id": item}, {"role": "user", "content": "and?"}]
        assert one.post("/v1/responses", {"model": "m", "input": given}).status == 200
        assert upstream.chats[-1]["messages"][0]["content"] == "you said turn 4"
        key = {"Authorization": f"Bearer {KEY}"}
        assert one.get(f"/v1/responses/{previous}", headers=key).json["id"] == previous
        assert one.get(f"/v1/responses/{previous}", headers={"Authorization": "Bearer other"}).status == 404


def test_a_server_that_hangs_holds_nobody_back_for_long(upstream: Upstream) -> None:
    upstream.answers_with(spoken)
    with RedisServer() as server, Gateway(upstream.url, RESPONSES_STORE=server.url) as gateway:
        stored = gateway.post("/v1/responses", {"model": "m", "input": "hi"}).json
        assert stored["store"] is True
        server.pause(True)
        kept = [gateway.post("/v1/responses", {"model": "m", "input": "hi"}).json["store"] for _ in range(5)]
        assert not any(kept)
        needy = gateway.post("/v1/responses", {"model": "m", "input": "x", "previous_response_id": stored["id"]})
        assert (needy.status, needy.json["error"]["code"]) == (503, "store_unavailable")
        server.pause(False)
        end = time.monotonic() + 10
        while not gateway.post("/v1/responses", {"model": "m", "input": "hi"}).json["store"]:
            assert time.monotonic() < end, "it is used again"
            time.sleep(0.2)
        lines = [line for line in gateway.log_lines if line["message"] == "stored responses fail"]
        assert len(lines) == 1
        server.stop()
        reply = gateway.get(f"/v1/responses/{stored['id']}", headers={"Authorization": f"Bearer {KEY}"})
        assert reply.status == 503
        server.start()

"""Two faults at once: an upstream that fails and a full disk, under load. The traffic notices only the first."""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.answers import chat_text, dropped, error
from tests.support.gateway import Gateway
from tests.support.processes import forget_peak, peak_memory, recorders, wait_until, workers
from tests.support.sockets import KEY, raw_request
from tests.support.surfaces import SURFACES, Surface
from tests.support.upstream import Request, Scripted, Upstream

MIB = 1024 * 1024
TURNS = 12


@pytest.fixture(scope="module")
def on_a_full_disk(_session_upstream: Upstream) -> Iterator[Gateway]:
    with Gateway(_session_upstream.url, LOG_FILE="/dev/full") as gateway:
        yield gateway


def failing(request: Request) -> Scripted:
    """Fail in turn in every way; each fourth request is answered."""
    match request.index % 4:
        case 0:
            return error(500, "the model is gone")
        case 1:
            return dropped()
        case 2:
            return chat_text("one two three").streamed().cut(400)
        case _:
            return chat_text("fine")


def ask(gateway: Gateway, surface: Surface, filler: str, seen: list[tuple[int, float]]) -> None:
    for _ in range(TURNS):
        began = time.monotonic()
        with gateway.connect(surface.port(gateway), timeout=20) as client:
            body = surface.body(stream=True, metadata={"user_id": filler})
            client.send(raw_request("POST", surface.path, json.dumps(body).encode(), {"Connection": "close"}, key=KEY))
            answer = client.read_all()
        seen.append((int(answer[9:12]), time.monotonic() - began))
        assert b"the model is gone" in answer or b"upstream" in answer or b"fine" in answer or b"three" in answer


def test_a_failing_upstream_and_a_full_disk(on_a_full_disk: Gateway, upstream: Upstream) -> None:
    gateway = on_a_full_disk
    upstream.answers_with(failing)
    (worker,) = workers(gateway)
    seen: list[tuple[int, float]] = []
    before = forget_peak(worker)
    threads = [
        threading.Thread(target=ask, args=(gateway, SURFACES[number % 3], "x" * 200_000, seen)) for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(threads) * TURNS
    assert {status for status, _ in seen} <= {200, 500, 502}
    assert [status for status, _ in seen].count(200) >= len(seen) // 4
    half = len(seen) // 2
    early, late = (statistics.median(seconds for _, seconds in part) for part in (seen[:half], seen[half:]))
    assert late < early + 1.0, "it does not get slower with time"
    assert peak_memory(worker) < before + 60 * MIB

    def lost() -> int:
        found: int = gateway.get("/health").json["recorder"]["lost_records"]
        return found

    def told_alike() -> bool:
        """Both say the same, when nothing is on its way any more."""
        return f"gateway_recorder_lost_records_total {lost()}\n" in gateway.get("/metrics").body.decode()

    assert wait_until(lambda: lost() >= 6 * len(seen))
    assert wait_until(told_alike)
    told = [line for line in gateway.log_lines if "records of the traffic are lost" in line["message"]]
    assert len(told) == 1
    assert "No space left on device" in told[0]["message"]


def test_a_disk_that_has_room_again_is_written_again(upstream: Upstream, tmp_path: Path) -> None:
    """A full disk that is emptied: here a file that may not grow, by the limit that a process has on its files."""
    path = tmp_path / "traffic.jsonl"
    upstream.answers_with(lambda request: chat_text("word " * 100))
    with Gateway(upstream.url, LOG_FILE=str(path)) as gateway:
        (recorder,) = recorders(gateway)
        assert SURFACES[0].post(gateway).status == 200
        assert wait_until(lambda: b"downstream-response-end" in path.read_bytes())
        size = path.stat().st_size
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        assert SURFACES[0].post(gateway).status == 200
        assert wait_until(lambda: gateway.get("/health").json["recorder"]["lost_records"] > 0)
        assert path.read_bytes()[-1:] == b"\n"
        resource.prlimit(recorder, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        def written() -> bool:
            assert SURFACES[0].post(gateway).status == 200
            return path.stat().st_size > size

        assert wait_until(written)


def test_a_recorder_that_is_killed_comes_back_and_dies_with_its_master(upstream: Upstream, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    upstream.answers_with(lambda request: chat_text("word " * 10))
    with Gateway(upstream.url, LOG_FILE=str(path)) as gateway:
        assert SURFACES[0].post(gateway).status == 200
        assert wait_until(lambda: b"downstream-response-end" in path.read_bytes())
        (first,) = recorders(gateway)
        os.kill(first, signal.SIGKILL)
        assert SURFACES[0].post(gateway).status == 200

        def recorded_again() -> bool:
            reply = SURFACES[0].post(gateway)
            assert reply.status == 200
            return reply.headers["x-request-id"].encode() in path.read_bytes()

        assert wait_until(recorded_again)
        (second,) = recorders(gateway)
        assert second != first
        told = [line for line in gateway.log_lines if "the recorder process has ended" in line["message"]]
        assert len(told) == 1
        os.kill(gateway.pid, signal.SIGKILL)
        gateway.process.wait(5)
        assert wait_until(lambda: not Path(f"/proc/{second}").exists())
        gateway.process.returncode = 0


def test_a_recorder_that_stands_still_holds_no_request_up(upstream: Upstream, tmp_path: Path) -> None:
    upstream.answers_with(lambda request: chat_text("word " * 10))
    with Gateway(upstream.url, LOG_FILE=str(tmp_path / "traffic.jsonl")) as gateway:
        (recorder,) = recorders(gateway)
        os.kill(recorder, signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(20):
            assert SURFACES[0].post(gateway, metadata={"user_id": "x" * 500_000}).status == 200
        assert time.monotonic() - began < 10
        os.kill(recorder, signal.SIGCONT)
    lines = (tmp_path / "traffic.jsonl").read_bytes()
    assert lines.count(b'"direction":"downstream-response-end"') == 20, "a normal stop loses nothing"

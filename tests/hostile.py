"""How long others wait while hostile clients do their worst: the same requests before and meanwhile, in one run.

    python -m tests.hostile               every kind, three rounds (make hostile)
    python -m tests.hostile --only readers --rounds 1

Prints for each kind of client the median and the 99th percentile of the others' requests, before and meanwhile, in
milliseconds; how many times the percentile grew; the cores that the workers use, and the memory by which they grew: all
as medians over the rounds. The hostile clients and the upstream are processes of their own, so that only the gateway
is what makes a request slow.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import socket
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any

from tests.soak import gauge
from tests.support import answers
from tests.support.answers import Answer, Chat, Pause
from tests.support.gateway import Gateway
from tests.support.hostile import HELLO, endless, head
from tests.support.processes import wait_until
from tests.support.sockets import RawClient, raw_request
from tests.support.upstream import Request, Upstream

WORKERS = 2
CROWD = 1000
"""Clients that are slow, or do nothing."""
REST_SECS = 0.5
SETTLE_SECS = 180.0

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Kind:
    """One kind of hostile client. `attack(port, begun, over)` runs in a process of its own until `over`."""

    name: str
    title: str
    attack: Callable[[int, Event, Event], None]
    crowd: bool = True
    """There are `CROWD` of them, who stay connected."""


# --- the crowd ----------------------------------------------------------------------------------------------


def _streams(port: int, model: str) -> list[socket.socket]:
    request = raw_request("POST", "/v1/responses", json.dumps({**HELLO, "model": model, "stream": True}).encode())
    return _crowd(port, request)


def _crowd(port: int, first: bytes) -> list[socket.socket]:
    crowd = []
    for _ in range(CROWD):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", port))
        sock.sendall(first)
        crowd.append(sock)
    return crowd


def readers(port: int, begun: Event, over: Event) -> None:
    """Ask for answers of 64 MB and take a byte a second of each."""
    crowd = _streams(port, "endless")
    begun.set()
    _each_second(crowd, over, lambda sock: sock.recv(1))


def idle(port: int, begun: Event, over: Event) -> None:
    """Ask for answers that never go on."""
    crowd = _streams(port, "idle")
    begun.set()
    over.wait()
    del crowd


def heads(port: int, begun: Event, over: Event) -> None:
    """Send a head a line a second."""
    crowd = _crowd(port, head()[:-2])
    begun.set()
    _each_second(crowd, over, lambda sock: sock.send(b"X: 1\r\n"))


def bodies(port: int, begun: Event, over: Event) -> None:
    """Send a body a byte a second."""
    crowd = _crowd(port, head("POST", "/v1/responses", "Content-Length: 100000"))
    begun.set()
    _each_second(crowd, over, lambda sock: sock.send(b" "))


def chunks(port: int, begun: Event, over: Event) -> None:
    """Send a body in chunks of a byte, one a second."""
    crowd = _crowd(port, head("POST", "/v1/responses", "Transfer-Encoding: chunked"))
    begun.set()
    _each_second(crowd, over, lambda sock: sock.send(b"1\r\n \r\n"))


def _each_second(crowd: list[socket.socket], over: Event, act: Callable[[socket.socket], object]) -> None:
    """Have each of the crowd act once a second, spread over that second."""
    for sock in crowd:
        sock.setblocking(False)
    while True:
        for sock in crowd:
            with contextlib.suppress(OSError):  # nothing to take at the moment, or ended by the gateway
                act(sock)
            if over.wait(1.0 / len(crowd)):
                return


# --- one by one, at a rate ----------------------------------------------------------------------------------


def _at_a_rate(rate: float, data: bytes) -> Callable[[int, Event, Event], None]:
    def attack(port: int, begun: Event, over: Event) -> None:
        begun.set()
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - 1.0) + 1.0 / rate
            with contextlib.suppress(OSError), RawClient(port, 10.0) as client:
                client.send(data)
                client.read_all()

    return attack


def _posted(body: bytes, *lines: str) -> bytes:
    return head("POST", "/v1/responses", f"Content-Length: {len(body)}", "Connection: close", *lines) + body


def bombs(port: int, begun: Event, over: Event) -> None:
    """Send 256 KiB that unpack to 256 MiB, ten times a second."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 24)) for _ in range(16)) + packer.flush()
    _at_a_rate(10, _posted(bomb, "Content-Encoding: gzip"))(port, begun, over)


def deep(port: int, begun: Event, over: Event) -> None:
    """Send JSON 100 000 levels deep, twenty times a second."""
    _at_a_rate(20, _posted(b"[" * 100_000 + b"]" * 100_000))(port, begun, over)


def many(port: int, begun: Event, over: Event) -> None:
    """Send five million empty arrays, five times a second."""
    _at_a_rate(5, _posted(b"[" + b"[]," * 5_000_000 + b"[]]"))(port, begun, over)


def endless_heads(port: int, begun: Event, over: Event) -> None:
    """Send heads of many long lines, fifty times a second."""
    _at_a_rate(50, head("POST", "/v1/responses", *(f"X-{n}: {'a' * 8000}" for n in range(40)))[:-2])(port, begun, over)


def framing(port: int, begun: Event, over: Event) -> None:
    """Send both framings at once, a hundred times a second."""
    _at_a_rate(100, head("POST", "/v1/responses", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n")(
        port, begun, over
    )


KINDS = (
    Kind("readers", "1 000 readers of 64 MB answers, a byte a second", readers),
    Kind("idle", "1 000 streams that are silent", idle),
    Kind("heads", "1 000 heads, a line a second", heads),
    Kind("bodies", "1 000 bodies, a byte a second", bodies),
    Kind("chunks", "1 000 chunked bodies, a chunk of a byte a second", chunks),
    Kind("endless-heads", "heads of 320 KB, 50 a second", endless_heads, crowd=False),
    Kind("framing", "two framings at once, 100 a second", framing, crowd=False),
    Kind("bombs", "gzip that unpacks to 256 MiB, 10 a second", bombs, crowd=False),
    Kind("deep", "JSON 100 000 levels deep, 20 a second", deep, crowd=False),
    Kind("many", "JSON of 5 million arrays (15 MB), 5 a second", many, crowd=False),
)


# --- measuring ----------------------------------------------------------------------------------------------


def _script(request: Request) -> Answer | Chat:
    match request.json["model"]:
        case "endless":
            return endless()
        case "idle":
            first, *_ = answers.chat_text("one").streamed().steps
            return Answer((first, Pause(600.0)), headers={"content-type": "text/event-stream"})
        case _:
            return answers.chat_text("hi")


def _serve(told: Connection) -> None:
    """Be the upstream, in a process of its own."""
    _many_descriptors()
    with Upstream() as upstream:
        upstream.lists("m", "endless", "idle")
        upstream.answers_with(_script)
        told.send(upstream.url)
        while not told.poll(1.0):
            upstream.requests.clear()


@contextlib.contextmanager
def _upstream() -> Iterator[str]:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    ours.send(None)
    process.join(10)


@contextlib.contextmanager
def _attacking(kind: Kind, gateway: Gateway) -> Iterator[None]:
    begun, over = _SPAWN.Event(), _SPAWN.Event()
    process = _SPAWN.Process(target=kind.attack, args=(gateway.responses_port, begun, over), daemon=True)
    process.start()
    assert begun.wait(60)
    if kind.crowd:
        assert wait_until(lambda: gauge(gateway, "gateway_connections") > CROWD, 30), "they are not connected"
    if kind.attack is readers:
        # The buffers between are filled first, as fast as the gateway translates: until then it has work to do.
        assert wait_until(lambda: _work(gateway) <= 0.05, SETTLE_SECS), "the readers never came to rest"
    time.sleep(REST_SECS)
    yield
    over.set()
    process.join(30)


def _work(gateway: Gateway) -> float:
    """Return the cores' worth of time that the workers use now."""
    before = gateway.cpu_seconds()
    time.sleep(1.0)
    return gateway.cpu_seconds() - before


def waits(gateway: Gateway, times: int) -> list[float]:
    """Return how long bridged requests take, one after the other, in milliseconds, shortest first."""
    told = []
    for _ in range(times):
        began = time.monotonic()
        reply = gateway.post("/v1/responses", HELLO)
        assert reply.status == 200, reply.body
        told.append((time.monotonic() - began) * 1000)
    return sorted(told)


def _many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


def measure(kinds: tuple[Kind, ...], rounds: int, times: int) -> dict[str, list[tuple[float, ...]]]:
    """Return for each kind and round: median and 99th percentile before and meanwhile, the cores, the MiB grown."""
    found: dict[str, list[tuple[float, ...]]] = {kind.name: [] for kind in kinds}
    for number in range(rounds):
        for kind in kinds:
            with _upstream() as url, Gateway(url, WORKERS=str(WORKERS), LOG_LEVEL="error") as gateway:
                waits(gateway, 200)
                before = waits(gateway, times)
                held = gateway.memory()
                with _attacking(kind, gateway):
                    work = _work(gateway)
                    meanwhile = waits(gateway, times)
                    grown = (gateway.memory() - held) / (1 << 20)
            row = tuple(ms[int(times * share)] for ms in (before, meanwhile) for share in (0.5, 0.99))
            found[kind.name].append((*row, work, grown))
            print(f"{number + 1}  {kind.name:14}", *(f"{value:8.2f}" for value in found[kind.name][-1]), flush=True)
    return found


def report(found: dict[str, list[tuple[float, ...]]]) -> None:
    """Print a table for the docs."""
    print("\n| clients | p50 before, meanwhile | p99 before, meanwhile | ratio of the p99 | cores | MiB |")
    print("|---|---|---|---|---|---|")
    for kind in KINDS:
        if kind.name in found:
            p50, p99, p50_then, p99_then, work, grown = (
                statistics.median(column) for column in zip(*found[kind.name], strict=True)
            )
            ratio = statistics.median(row[3] / row[1] for row in found[kind.name])
            waited = f"{p50:.1f}, {p50_then:.1f} | {p99:.1f}, {p99_then:.1f} | {ratio:.2f}"
            print(f"| {kind.title} | {waited} | {work:.2f} | {grown:.0f} |")


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Tells how long others wait while hostile clients do their worst.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=500, help="of the others, before and meanwhile (500)")
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in KINDS], default=None, metavar="KIND")
    arguments: Any = parser.parse_args()
    _many_descriptors()
    kinds = tuple(kind for kind in KINDS if arguments.only is None or kind.name in arguments.only)
    report(measure(kinds, arguments.rounds, arguments.requests))
    return 0


if __name__ == "__main__":
    sys.exit(main())

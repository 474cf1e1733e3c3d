"""A long run against the real gateway: mixed dialects, large bodies, clients that leave, an upstream that fails.

    python -m tests.soak                 ten minutes (make soak)
    python -m tests.soak --seconds 60 --rate 40

Every request has an outcome that it must have; any other is an error. Memory, descriptors and greenlets of the
workers are measured all along and, at rest, before and after. Prints a table; exit code 1 where something grew or went
wrong.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import linear_regression
from typing import Any

from tests.support import answers
from tests.support.answers import Answer, Chat, Pause
from tests.support.gateway import Gateway
from tests.support.hostile import CHAT, HELLO, MESSAGES
from tests.support.sockets import raw_request
from tests.support.upstream import Request, Upstream

WORKERS = 2
CLIENTS = 16
SAMPLE_SECS = 5.0
WARM_UP = 0.25
"""Share of the run that is not counted: pools and caches fill."""

MEMORY_GROWTH = 1.05
"""Memory of the last third over the most of the first: an allocator under 2 MB bodies goes up and down by a tenth."""
PER_MINUTE = 2.0
"""Descriptors and greenlets of growth in a minute that count as flat: the load itself goes up and down."""

LARGE = "word " * 200_000
PATHS = {"responses": "/v1/responses", "messages": "/v1/messages", "chat": "/v1/chat/completions"}
BODIES: dict[str, dict[str, Any]] = {"responses": HELLO, "messages": MESSAGES, "chat": CHAT}
LAST_FRAMES = {"responses": b"response.completed", "messages": b"message_stop", "chat": b"[DONE]"}

TEXT = answers.chat_text("a few words of text, " * 20, reasoning="and some thought")
CALL = answers.chat_call("run", {"command": "ls -l"})


def upstream_script(request: Request) -> Answer | Chat | None:
    """Answer as the model's name says."""
    streamed = TEXT.streamed() if request.streamed else TEXT.whole()
    match request.json["model"]:
        case "call":
            return CALL
        case "slow":
            return streamed.slow(0.02) if request.streamed else streamed.late(0.2)
        case "silent":
            return Answer((Pause(30.0),), headers={"content-type": "text/event-stream"})
        case "refused":
            return answers.error(500, "injected")
        case "limited":
            return answers.error(429, "injected", headers={"retry-after": "1"})
        case "cut":
            return streamed.cut(400)
        case "reset":
            return streamed.reset(0)
        case "garbage":
            return answers.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n<garbage>")
        case _:
            return TEXT


@dataclass
class Run:
    """What has happened so far."""

    gateway: Gateway
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


def whole(run: Run, dialect: str, model: str, status: int, **more: Any) -> None:
    """Ask for a whole answer and expect a status."""
    reply = _post(run, dialect, {**BODIES[dialect], **more, "model": model})
    _expect(run, f"{dialect} {model}", reply.status == status, f"{reply.status} {reply.body[:200]!r}")


def streamed(run: Run, dialect: str, model: str, *, ends: bool, **more: Any) -> None:
    """Ask for a stream; expect its last frame, or that it is missing."""
    body = {**BODIES[dialect], **more, "model": model, "stream": True}
    stream = run.gateway.stream(PATHS[dialect], body, port=_port(run, dialect))
    try:
        text = stream.read()
    except http.client.IncompleteRead as cut:
        text = cut.partial
    found = LAST_FRAMES[dialect] in text
    _expect(run, f"{dialect} {model} streamed", found == ends, f"{stream.status} {text[-200:]!r}")


def left(run: Run, dialect: str, model: str) -> None:
    """Leave in the middle of a stream, or before its first byte."""
    body = {**BODIES[dialect], "model": model, "stream": True}
    if model == "silent":
        with run.gateway.connect(_port(run, dialect)) as client:
            client.send(raw_request("POST", PATHS[dialect], json.dumps(body).encode()))
            time.sleep(0.1)
    else:
        with run.gateway.stream(PATHS[dialect], body, port=_port(run, dialect)) as stream:
            next(iter(stream))
    run.outcomes[f"{dialect} {model} left"] += 1


def large(run: Run, dialect: str) -> None:
    """Send two megabytes."""
    texts = [f"{number} {LARGE}" for number in range(2)]
    if dialect == "responses":
        whole(run, dialect, "large", 200, input=[{"role": "user", "content": text} for text in texts])
    else:
        whole(run, dialect, "large", 200, messages=[{"role": "user", "content": "\n".join(texts)}])


def _post(run: Run, dialect: str, body: dict[str, Any]) -> Any:
    return run.gateway.post(PATHS[dialect], body, port=_port(run, dialect))


def _port(run: Run, dialect: str) -> int:
    return run.gateway.chat_port if dialect == "chat" else run.gateway.responses_port


def _expect(run: Run, name: str, right: bool, what: str) -> None:
    run.outcomes[name] += 1
    if not right:
        run.errors.append(f"{name}: {what}")


DIALECTS = tuple(PATHS)

KINDS: Sequence[tuple[int, Callable[[Run, str], None]]] = (
    (20, lambda run, dialect: whole(run, dialect, "plain", 200)),
    (30, lambda run, dialect: streamed(run, dialect, "plain", ends=True)),
    (10, lambda run, dialect: streamed(run, dialect, "slow", ends=True)),
    (10, lambda run, dialect: streamed(run, dialect, "call", ends=True)),
    (5, large),
    (6, lambda run, dialect: left(run, dialect, "slow")),
    (4, lambda run, dialect: left(run, dialect, "silent")),
    (3, lambda run, dialect: whole(run, dialect, "refused", 500)),
    (3, lambda run, dialect: whole(run, dialect, "limited", 429)),
    (3, lambda run, dialect: streamed(run, dialect, "cut", ends=False)),
    (3, lambda run, dialect: whole(run, dialect, "reset", 502) if dialect != "chat" else None),
    (3, lambda run, dialect: whole(run, dialect, "garbage", 502) if dialect != "chat" else None),
)
"""How often, and what; about a fifth are faults or clients that leave."""


def client(run: Run, over: threading.Event, seed: int, period: float) -> None:
    """Send requests at a fixed rate."""
    draw = random.Random(seed)
    weights = [weight for weight, _ in KINDS]
    due = time.monotonic() + draw.random() * period
    while not over.wait(max(0.0, due - time.monotonic())):
        due = max(due + period, time.monotonic() - period)
        (_, kind) = draw.choices(KINDS, weights)[0]
        dialect = draw.choice(DIALECTS)
        try:
            kind(run, dialect)
        except Exception as error:
            run.errors.append(f"{dialect}: {error!r}")


# --- measuring ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """The workers at one time."""

    time: float
    memory: int
    descriptors: int
    greenlets: int


def sample(gateway: Gateway) -> Sample:
    """Measure the workers."""
    descriptors = sum(len(os.listdir(f"/proc/{worker}/fd")) for worker in gateway.workers)
    return Sample(time.monotonic(), gateway.memory(), descriptors, int(gauge(gateway, "gateway_greenlets")))


def gauge(gateway: Gateway, name: str) -> float:
    """Read one gauge of the metrics."""
    lines = gateway.get("/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def at_rest(gateway: Gateway) -> Sample:
    """Measure when nothing is under way and what idles has been let go."""
    time.sleep(3.0)
    return sample(gateway)


def per_minute(samples: Sequence[Sample], what: str) -> float:
    """Return the slope of a measure after the warm-up."""
    counted = samples[int(len(samples) * WARM_UP) :]
    times = [one.time for one in counted]
    return linear_regression(times, [getattr(one, what) for one in counted]).slope * 60


def memory_grew(samples: Sequence[Sample]) -> bool:
    """Tell whether the end of the run took more than its beginning."""
    third = len(samples) // 3
    last = [one.memory for one in samples[-third:]]
    return sum(last) / len(last) > MEMORY_GROWTH * max(one.memory for one in samples[:third])


def soak(seconds: float, rate: float) -> int:
    """Run; print the figures; return the exit code."""
    with Upstream() as upstream, Gateway(upstream.url, WORKERS=str(WORKERS), LOG_LEVEL="warning") as gateway:
        upstream.lists("plain", "slow", "call")
        upstream.answers_with(upstream_script)
        run = Run(gateway)
        for dialect, (_, kind) in itertools.product(DIALECTS, KINDS):
            kind(run, dialect)
        _fill(run)
        before = at_rest(gateway)
        samples = _load(run, upstream, seconds, rate)
        after = at_rest(gateway)
        open_streams = gauge(gateway, "gateway_open_streams")
        died = "Worker" in gateway.log_text or "Traceback" in gateway.log_text
    return report(run, samples, before, after, open_streams, died)


def _fill(run: Run) -> None:
    """Send as many large bodies at once as there are clients: an allocator keeps what its worst moment took.

    Without this, that moment comes at some time of the run and looks like growth.
    """
    for _ in range(5):
        at_once = [threading.Thread(target=large, args=(run, draw)) for draw in DIALECTS * (CLIENTS // 2)]
        for one in at_once:
            one.start()
        for one in at_once:
            one.join()


def _load(run: Run, upstream: Upstream, seconds: float, rate: float) -> list[Sample]:
    over = threading.Event()
    period = CLIENTS / rate
    clients = [threading.Thread(target=client, args=(run, over, seed, period), daemon=True) for seed in range(CLIENTS)]
    for one in clients:
        one.start()
    samples = []
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(min(SAMPLE_SECS, seconds / 12))
        samples.append(sample(run.gateway))
        upstream.requests.clear()
    over.set()
    for one in clients:
        one.join(30)
    return samples


def report(run: Run, samples: Sequence[Sample], before: Sample, after: Sample, open_streams: float, died: bool) -> int:
    """Print the figures; return the exit code."""
    slopes = {what: per_minute(samples, what) for what in ("memory", "descriptors", "greenlets")}
    print(
        f"\n{sum(run.outcomes.values())} requests of {len(run.outcomes)} kinds, {len(run.errors)} unexpected outcomes"
    )
    for name, count in sorted(run.outcomes.items()):
        print(f"  {count:6}  {name}")
    print(f"{'':14}{'at rest before':>16}{'under load':>16}{'at rest after':>16}{'slope a minute':>18}")
    for what, unit in (("memory", 1024), ("descriptors", 1), ("greenlets", 1)):
        values = [getattr(one, what) for one in samples]
        mean = sum(values) / len(values)
        name = f"{what} (KiB)" if unit > 1 else what
        columns = [getattr(before, what) / unit, mean / unit, getattr(after, what) / unit]
        print(f"{name:14}" + "".join(f"{value:16.0f}" for value in columns) + f"{slopes[what] / unit:18.2f}")
    twelfths = [samples[len(samples) * part // 12] for part in range(12)]
    print("memory along the run (KiB):", *(one.memory // 1024 for one in twelfths))
    for error in run.errors[:20]:
        print(error, file=sys.stderr)
    grew = {
        "memory": memory_grew(samples),
        "descriptors": slopes["descriptors"] > PER_MINUTE,
        "greenlets": slopes["greenlets"] > PER_MINUTE or after.greenlets > before.greenlets + WORKERS,
        "open streams": open_streams > 0,
        "a worker died or a traceback was logged": died,
    }
    wrong = [what for what, is_so in grew.items() if is_so]
    print("flat, and nothing but what was injected" if not wrong and not run.errors else f"NOT FLAT: {wrong}")
    return 1 if wrong or run.errors else 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Loads a gateway for a while and tells what grew.")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the run (600)")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second (40)")
    arguments = parser.parse_args()
    return soak(arguments.seconds, arguments.rate)


if __name__ == "__main__":
    sys.exit(main())

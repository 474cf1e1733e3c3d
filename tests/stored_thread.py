"""What a long thread costs that goes on by `previous_response_id`, see docs/stored-responses.md.

    python -m tests.stored_thread [--turns 200] [--store sqlite:PATH | redis://…]

Each turn is a question and an answer of 1 KB each. Beside it stands the same history sent whole by a client with
`store: false`, which is what the thread's turns cost anyway: the upstream is sent everything in both cases.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.answers import chat_text
from tests.support.gateway import Gateway
from tests.support.upstream import Upstream

QUESTION, ANSWER = "q" * 1000, "a" * 1000
_WINDOW = 20
"""Turns that a figure is the mean of."""


def turn(gateway: Gateway, body: dict[str, Any]) -> Any:
    """Take one turn; return the response."""
    reply = gateway.post("/v1/responses", {"model": "m", **body})
    assert reply.status == 200, reply.body
    return reply.json


def cpu(gateway: Gateway) -> float:
    """Return the milliseconds of processor time that the workers have taken, all their threads together."""
    tasks = [task for worker in gateway.workers for task in Path(f"/proc/{worker}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


def stored(gateway: Gateway) -> Iterator[None]:
    """Take the turns of a stored thread."""
    previous = None
    while True:
        response = turn(gateway, {"input": QUESTION, "previous_response_id": previous})
        assert response["store"] is True
        previous = response["id"]
        yield


def sent_whole(gateway: Gateway) -> Iterator[None]:
    """Take the turns of a client that keeps the history itself."""
    history: list[Any] = []
    while True:
        history.append({"role": "user", "content": QUESTION})
        history += turn(gateway, {"input": history, "store": False})["output"]
        yield


def measured(gateway: Gateway, turns: Iterator[None], count: int) -> list[float]:
    """Return the milliseconds of a turn, for each window of turns."""
    figures = []
    for _ in range(count // _WINDOW):
        before = cpu(gateway)
        for _ in range(_WINDOW):
            next(turns)
        figures.append((cpu(gateway) - before) / _WINDOW)
    return figures


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--store")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Upstream() as upstream:
        upstream.always(chat_text(ANSWER))
        store = given.store or f"sqlite:{folder}/responses.db"
        with Gateway(upstream.url, RESPONSES_STORE=store) as gateway:
            measured(gateway, stored(gateway), _WINDOW)  # warms up
            by_id, whole = (measured(gateway, turns(gateway), given.turns) for turns in (stored, sent_whole))
    print("| Turns | going on by id | sent whole |\n|---|---|---|")
    for window, (one, other) in enumerate(zip(by_id, whole, strict=True)):
        first = window * _WINDOW + 1
        print(f"| {first} to {first + _WINDOW - 1} | {one:.1f} ms | {other:.1f} ms |")


if __name__ == "__main__":
    main()

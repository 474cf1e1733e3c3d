from __future__ import annotations

from gateway.events import BlockEnd, BlockStart, Delta, Event, Finish, Start, Usage
from gateway.filters.usage import UsageFilter
from tests import laws

ANSWER: list[Event] = [
    Start(),
    BlockStart(0, "reasoning"),
    Delta(0, "Hm"),
    BlockEnd(0),
    BlockStart(1, "text"),
    Delta(1, "Hel"),
    Delta(1, "lo"),
    BlockEnd(1),
    BlockStart(2, "tool_call", "c", "fn"),
    Delta(2, "{}"),
    BlockEnd(2),
]


def refuse() -> int:
    raise AssertionError("counted for nothing")


def test_estimates_what_is_missing() -> None:
    passed = laws.through([UsageFilter(lambda: 7, len)], [*ANSWER, Finish("stop", "stop")])
    assert passed[:-1] == ANSWER
    assert passed[-1] == Finish("stop", "stop", Usage(7, 11, reasoning_tokens=2, estimated=True))


def test_an_answer_without_content() -> None:
    assert laws.through([UsageFilter(lambda: 7, len)], [Start(), Finish("stop")])[-1] == Finish(
        "stop", usage=Usage(7, 0, estimated=True)
    )


def test_what_the_upstream_tells_stays() -> None:
    events = [*ANSWER, Finish("stop", usage=Usage(1, 1))]
    assert laws.through([UsageFilter(refuse, lambda _: refuse())], events) == events

"""Estimates the usage of an answer whose upstream tells none (llama_cpp.server never does in a stream)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from gateway.events import BlockStart, Delta, Event, Finish, Usage


class UsageFilter:
    """See `gateway.dialects.Filter`.

    `count_input` returns the tokens of the request, `count` those of a text; neither is called where the
    upstream tells the usage itself.
    """

    def __init__(self, count_input: Callable[[], int], count: Callable[[str], int]) -> None:
        self._count_input = count_input
        self._count = count
        self._said: list[str] = []
        self._reasoned: list[str] = []
        self._reasoning: set[int] = set()
        self.done = False
        """The end is what it waits for."""

    def feed(self, event: Event) -> list[Event]:
        """Take one event; return what takes its place."""
        if type(event) is Delta:
            (self._reasoned if event.block in self._reasoning else self._said).append(event.text)
        elif isinstance(event, BlockStart):
            self._begin(event)
        elif isinstance(event, Finish) and event.usage is None:
            return [dataclasses.replace(event, usage=self._estimate())]
        return [event]

    def _begin(self, event: BlockStart) -> None:
        if event.kind == "reasoning":
            self._reasoning.add(event.block)
        elif event.name:
            self._said.append(event.name)

    def _estimate(self) -> Usage:
        reasoned = self._count("".join(self._reasoned)) if self._reasoned else 0
        said = self._count("".join(self._said)) if self._said else 0
        return Usage(self._count_input(), said + reasoned, reasoning_tokens=reasoned, estimated=True)

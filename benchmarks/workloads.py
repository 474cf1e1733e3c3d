"""What is measured, and the figures to reach. CPU figures are microseconds for one unit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from benchmarks import bodies
from benchmarks.load import Traffic

Measure = Literal["cpu", "delay", "stall", "memory", "added"]


@dataclass(frozen=True)
class Workload:
    """One row of the table."""

    key: str
    title: str
    main: Traffic
    unit: Literal["request", "delta"]
    measure: Measure = "cpu"
    """`cpu`: microseconds for a unit. `delay`: milliseconds that a delta takes longer than without gateway, median
    and 99th percentile. `stall`: 99th percentile and longest delay, in milliseconds. `memory`: peak of the process
    tree in MB. `added`: milliseconds that `per` requests in a row take longer than without gateway."""
    per: int = 1
    beside: Traffic | None = None
    """Further traffic at the same time, which is not counted."""
    must: tuple[float, ...] = ()
    goal: tuple[float, ...] = ()
    seconds: float | None = None
    """Length of the window, where it is not the usual one."""
    recorded: bool = False
    """Also measured with the traffic recorder on."""

    @cached_property
    def traffics(self) -> tuple[Traffic, ...]:
        """All that runs at once, the counted one first."""
        return (self.main,) if self.beside is None else (self.main, self.beside)


def _chat(scenario: str, workers: int = 8) -> Traffic:
    streamed = scenario != "whole"
    body = bodies.chat(scenario, streamed)
    return Traffic("chat", "/v1/chat/completions", scenario, (body,), workers, streamed)


def _responses(scenario: str, workers: int = 8, *requests: bytes) -> Traffic:
    streamed = scenario != "whole"
    made = requests or (bodies.responses(scenario, streamed, scenario == "tools"),)
    return Traffic("responses", "/v1/responses", scenario, made, workers, streamed)


def _messages(scenario: str, workers: int = 8) -> Traffic:
    return Traffic("messages", "/v1/messages", scenario, (bodies.messages(scenario),), workers)


def all_workloads() -> list[Workload]:
    """Return the rows of the table, in its order."""
    two_megabytes = bodies.long_thread("whole", items=400, total_words=465_000)
    many_tokens = bodies.long_thread("whole", items=40, total_words=440_000)
    thread = bodies.agent_thread("tools")
    models = Traffic("models", "/v1/models")
    return [
        Workload(
            "chat-whole",
            "chat relayed, not streamed",
            _chat("whole"),
            "request",
            must=(600,),
            goal=(350,),
            recorded=True,
        ),
        Workload("chat-burst", "chat relayed, burst of 64", _chat("burst"), "delta", must=(20,), goal=(8,)),
        Workload("chat-paced", "chat relayed, 200 paced", _chat("paced", 200), "delta", must=(60,), goal=(40,)),
        Workload("whole", "Responses, not streamed", _responses("whole"), "request", must=(800,), goal=(500,)),
        Workload(
            "burst",
            "Responses, burst of 64",
            _responses("burst"),
            "delta",
            must=(40,),
            goal=(15,),
            recorded=True,
        ),
        Workload("tools", "Responses, reasoning and tools", _responses("tools"), "delta", must=(50,), goal=(20,)),
        Workload(
            "paced",
            "Responses, 200 paced",
            _responses("paced", 200),
            "delta",
            must=(90,),
            goal=(60,),
            recorded=True,
        ),
        Workload("messages-burst", "Messages, burst of 64", _messages("burst"), "delta", must=(40,), goal=(15,)),
        Workload("messages-paced", "Messages, 200 paced", _messages("paced", 200), "delta", must=(90,), goal=(60,)),
        Workload(
            "large",
            "Responses, 2 MB, 400 items",
            _responses("whole", 2, two_megabytes),
            "request",
            must=(20_000,),
            goal=(10_000,),
        ),
        Workload("models", "`GET /v1/models`", models, "request", must=(500,), goal=(250,)),
        Workload(
            "chat-delay",
            "added delay of a delta, chat, 20 paced (p50, p99)",
            _chat("paced", 20),
            "delta",
            "delay",
            must=(0.6, 15),
            goal=(0.3, 5),
        ),
        Workload(
            "chat-memory",
            "memory of 1000 slow streams, chat (MB)",
            _chat("slow", 1000),
            "delta",
            "memory",
            must=(250,),
            goal=(120,),
        ),
        Workload(
            "delay", "added delay of a delta, Responses, 20 paced (p50, p99)", _responses("paced", 20), "delta", "delay"
        ),
        Workload("memory", "memory of 1000 slow streams, Responses (MB)", _responses("slow", 1000), "delta", "memory"),
        Workload("chat-burst-500", "chat relayed, burst of 500", _chat("burst-500"), "delta"),
        Workload("burst-500", "Responses, burst of 500", _responses("burst-500"), "delta"),
        Workload(
            "thread",
            "30 turns of an agent, time added (ms)",
            _responses("tools", 1, *thread),
            "request",
            "added",
            per=30,
        ),
        Workload(
            "tokens",
            "a body of 440 000 tokens, time added (ms)",
            _responses("whole", 1, many_tokens),
            "request",
            "added",
        ),
        Workload(
            "stall",
            "delay of a delta beside 2 MB requests (p99, longest)",
            _responses("paced", 20),
            "delta",
            "stall",
            beside=_responses("whole", 1, two_megabytes),
        ),
    ]


def warm_up() -> list[Workload]:
    """Return what is run before anything is measured: a bit of each path."""
    traffics = (_chat("whole"), _chat("burst"), _responses("whole"), _responses("tools"), _messages("burst"))
    return [Workload("warm-up", "", traffic, "request") for traffic in traffics]


def soak(seconds: float) -> list[Workload]:
    """Return the rows of an endurance run: 200 paced streams, longest delay."""
    return [
        Workload("chat-soak", "200 paced, chat (p99, longest)", _chat("paced", 200), "delta", "stall", seconds=seconds),
        Workload(
            "soak", "200 paced, Responses (p99, longest)", _responses("paced", 200), "delta", "stall", seconds=seconds
        ),
    ]

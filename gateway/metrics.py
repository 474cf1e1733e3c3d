"""What the gateway counts, for Prometheus: kept per process, added up over all of them when it is asked for.

An exchange is counted once, at its end (`Metrics.ended`); nothing is counted per chunk. What has ended waits to be
counted with others, for a second at most: one by one that costs twice as much. Every label has a bounded
set of values: ports, dialects, statuses, ends, kinds of fault, and names of models that the upstream's list or
models.json knows, of which only the first hundred get a label of their own. Nothing that a client writes freely,
and no key, ever becomes one.

This room is imported after `gateway.metrics_folder` has said where the counts are kept; without that (in tests)
they stay in the process.
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.events import Usage
from gateway.metrics_folder import ENV, reading

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_DURATIONS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_OVERHEADS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

_MODELS = 100
"""Names of models that become labels, in each process."""

_TOGETHER = 64
"""Exchanges that are counted together at most: a worker that is killed takes fewer of them along."""

_OTHER = "other"

_DIALECTS = (
    ("/v1/responses", "responses"),
    ("/v1/messages", "messages"),
    ("/v1/chat/completions", "chat"),
)


def dialect_of(path: str) -> str:
    """Return the dialect of a path, as a label."""
    for prefix, dialect in _DIALECTS:
        if path.startswith(prefix):
            return dialect
    return _OTHER


class Outcome(NamedTuple):
    """One exchange at its end; times in seconds."""

    port: str
    path: str
    status: int
    end: str
    duration: float
    first_byte: float | None
    overhead: float
    fault: str | None
    """What the upstream did wrong, as a bounded word."""
    model: str | None
    """Only a name that the catalog knows."""
    usage: Usage | None
    dropped: int


_READINGS = 3
"""A worker that begins or ends while the files are read leaves one half written for a moment."""
_BETWEEN_READINGS_SECS = 0.02


class Metrics:
    """The counters of one process; made before the fork, see `gateway.metrics_folder`."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self._folder = Path(os.environ[ENV]) if ENV in os.environ else None
        self._requests = Counter(
            "gateway_requests", "Requests answered.", ["port", "dialect", "status", "end"], registry=own
        )
        by_dialect: Any = {"labelnames": ["dialect"], "registry": own}
        self._duration = Histogram(
            "gateway_request_duration_seconds",
            "From a request's head to the end of its answer.",
            buckets=_DURATIONS,
            **by_dialect,
        )
        self._first_byte = Histogram(
            "gateway_time_to_first_byte_seconds",
            "From a request's head to the first byte of its answer.",
            buckets=_DURATIONS,
            **by_dialect,
        )
        self._overhead = Histogram(
            "gateway_overhead_seconds",
            "The gateway's own part of the time to the first byte: without waiting for client or upstream.",
            buckets=_OVERHEADS,
            **by_dialect,
        )
        self._faults = Counter(
            "gateway_upstream_errors", "What the upstream did wrong.", ["dialect", "kind"], registry=own
        )
        self._tokens = Counter("gateway_tokens", "Tokens used.", ["model", "kind"], registry=own)
        self._dropped = Counter("gateway_dropped_fields", "Request fields that could not be passed on.", **by_dialect)
        self._stored = Counter(
            "gateway_stored_responses", "Responses that were to be stored.", ["result"], registry=own
        )
        live: Any = {"multiprocess_mode": "livesum", "registry": own}
        self._streams = Gauge("gateway_open_streams", "Streams under way.", **live)
        self._connections = Gauge("gateway_connections", "Connections of clients, idle ones too.", **live)
        self._greenlets = Gauge("gateway_greenlets", "Greenlets of connections and of background work.", **live)
        self._waiting: list[Outcome] = []
        self._open = 0
        self._models: set[str] = set()
        self._children: dict[tuple[Any, ...], Any] = {}

    def ended(self, outcome: Outcome) -> None:
        """Take an exchange that has ended; it is counted by the next `flush`."""
        self._waiting.append(outcome)
        if len(self._waiting) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Count what has ended."""
        waiting, self._waiting = self._waiting, []
        for outcome in waiting:
            self._count(outcome)
        self._streams.set(self._open)

    def _count(self, outcome: Outcome) -> None:
        dialect = dialect_of(outcome.path)
        self._child(self._requests, outcome.port, dialect, str(outcome.status), outcome.end).inc()
        self._child(self._duration, dialect).observe(outcome.duration)
        if outcome.first_byte is not None:
            self._child(self._first_byte, dialect).observe(outcome.first_byte)
            self._child(self._overhead, dialect).observe(outcome.overhead)
        if outcome.fault is not None:
            self._child(self._faults, dialect, outcome.fault).inc()
        if outcome.usage is not None:
            model = self._label(outcome.model)
            self._child(self._tokens, model, "input").inc(outcome.usage.input_tokens)
            self._child(self._tokens, model, "output").inc(outcome.usage.output_tokens)
        if outcome.dropped:
            self._child(self._dropped, dialect).inc(outcome.dropped)

    def answered(self, port: str, path: str, status: int) -> None:
        """Count a request that the gateway answered without an exchange."""
        end = "refused" if status >= 400 else "complete"
        self._child(self._requests, port, dialect_of(path), str(status), end).inc()

    def streams(self, change: int) -> None:
        """Count a stream that begins (1) or ends (-1)."""
        self._open += change

    def stored(self, kept: bool) -> None:
        """Count a response that was to be stored."""
        self._child(self._stored, "kept" if kept else "lost").inc()

    def worker(self, connections: int, greenlets: int) -> None:
        """Set what a worker holds now, and count what has ended; called each second."""
        self.flush()
        self._connections.set(connections)
        self._greenlets.set(greenlets)

    def render(self, breaker: dict[str, Any], lost_records: int = 0) -> bytes:
        """Return the text of a scrape; breaker and recorder are shared by all processes and told as they are now."""
        self.flush()
        text = self._collected()
        lines = [
            "# HELP gateway_breaker_open Circuits that are open: the upstream's (0 or 1), and how many of models.",
            "# TYPE gateway_breaker_open gauge",
            f'gateway_breaker_open{{circuit="upstream"}} {int(bool(breaker["is_open"]))}',
            f'gateway_breaker_open{{circuit="models"}} {len(breaker["open_models"])}',
            "# HELP gateway_breaker_consecutive_failures The most failures in a row of any circuit.",
            "# TYPE gateway_breaker_consecutive_failures gauge",
            f"gateway_breaker_consecutive_failures {breaker['consecutive_failures']}",
            "# HELP gateway_recorder_lost_records_total Records that the traffic recorder could not write.",
            "# TYPE gateway_recorder_lost_records_total counter",
            f"gateway_recorder_lost_records_total {lost_records}",
        ]
        return text + "\n".join([*lines, ""]).encode()

    def _collected(self) -> bytes:
        folder = self._folder
        if folder is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))

        def collect() -> bytes:
            for _ in range(_READINGS):
                with reading(folder), suppress(OSError, ValueError, RuntimeError, struct.error):
                    return generate_latest(registry)
                time.sleep(_BETWEEN_READINGS_SECS)
            with reading(folder):
                return generate_latest(registry)

        # In a thread of its own: adding up takes milliseconds, in which streams should go on.
        text: bytes = gevent.get_hub().threadpool.apply(collect)
        return text

    def _label(self, model: str | None) -> str:
        if model is None or (model not in self._models and len(self._models) >= _MODELS):
            return _OTHER
        self._models.add(model)
        return model

    def _child(self, metric: Any, *labels: str) -> Any:
        """Return a metric's child; the library's own look-up costs three times this one."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

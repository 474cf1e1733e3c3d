"""One measurement: one workload against one subject, for some seconds; and the figures made of many."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.load import Load, Tally
from benchmarks.subjects import Subject
from benchmarks.workloads import Workload

_MB = 1_000_000
_MS = 1_000_000
"""Nanoseconds in a millisecond."""


@dataclass
class Measurement:
    """What one window showed."""

    rate: float
    """Units in a second."""
    cpu: float
    """Microseconds of CPU for one unit."""
    memory: float
    """Highest memory of the process tree seen, in MB; 0 where it was not looked at."""
    delay: tuple[float, float, float]
    """Delay of a delta: median, 99th percentile, longest, in milliseconds."""
    duration: float
    """Mean time of a request, in milliseconds."""
    first: float
    """Median time to the first delta, in milliseconds."""
    errors: int
    missing: int
    first_error: str
    recorder: float = 0.0
    """How much of `cpu` was the recorder process's."""


@dataclass
class Figures:
    """All measurements of one workload on one subject."""

    measurements: list[Measurement] = field(default_factory=list)

    def median(self, name: str) -> float:
        """Return the median of a plain figure."""
        return float(statistics.median(getattr(one, name) for one in self.measurements))

    def delay(self, place: int) -> float:
        """Return the median over the rounds of the delay's median (0), 99th percentile (1) or maximum (2)."""
        return statistics.median(one.delay[place] for one in self.measurements)

    @property
    def longest(self) -> float:
        """The longest delay of all rounds."""
        return max(one.delay[2] for one in self.measurements)

    @property
    def errors(self) -> int:
        """Answers that failed, in all rounds."""
        return sum(one.errors for one in self.measurements)

    @property
    def missing(self) -> int:
        """Deltas that did not arrive, in all rounds."""
        return sum(one.missing for one in self.measurements)

    @property
    def first_error(self) -> str:
        """What the first failure said."""
        return next((one.first_error for one in self.measurements if one.first_error), "")


_IDLE_SHARE = 0.05
_LOOK_SECS = 0.3
_SETTLE_SECS = 30.0


def settle(subjects: Sequence[Subject]) -> list[str]:
    """Wait until no subject computes any more; return the names of those that still do.

    A load leaves in the midst of its answers. What a subject then does about them must be charged neither to
    the next workload nor, since they share a core, to the next subject.
    """
    end = time.monotonic() + _SETTLE_SECS
    while True:
        before = [subject.cpu_us() for subject in subjects]
        time.sleep(_LOOK_SECS)
        bound = _IDLE_SHARE * _LOOK_SECS * 1e6
        busy = [one.name for one, used in zip(subjects, before, strict=True) if one.cpu_us() - used > bound]
        if not busy or time.monotonic() > end:
            return busy


def measure(workload: Workload, subject: Subject, warm_up: float, seconds: float) -> Measurement:
    """Run a workload once."""
    load = Load(subject.port_of, [subject.adapted(traffic) for traffic in workload.traffics])
    started: list[int] = []
    memory: list[int] = [0]

    def at_start() -> None:
        started.extend((subject.cpu_us(), subject.recorder_us()))

    def sample() -> None:
        memory.append(subject.memory_bytes())

    try:
        measured = load.run(
            warm_up, workload.seconds or seconds, at_start, sample if workload.measure == "memory" else None
        )
        cpu, recorder = subject.cpu_us() - started[0], subject.recorder_us() - started[1]
    finally:
        load.close()
    return _summary(workload, load.tallies[0], measured, (cpu, recorder), max(memory))


def _summary(workload: Workload, tally: Tally, seconds: float, cpu: tuple[int, int], memory: int) -> Measurement:
    units = tally.deltas if workload.unit == "delta" else tally.requests
    delays = sorted(tally.delays)
    return Measurement(
        rate=units / seconds,
        cpu=cpu[0] / units if units else float("nan"),
        recorder=cpu[1] / units if units else float("nan"),
        memory=memory / _MB,
        delay=(percentile(delays, 0.5), percentile(delays, 0.99), percentile(delays, 1.0)),
        duration=statistics.fmean(tally.durations) / _MS if tally.durations else float("nan"),
        first=percentile(sorted(tally.firsts), 0.5),
        errors=tally.errors,
        missing=tally.missing,
        first_error=tally.first_error,
    )


def percentile(times: list[int] | array[int], share: float) -> float:
    """Return a percentile of sorted nanoseconds, in milliseconds; NaN where there are none."""
    if not times:
        return float("nan")
    return times[min(len(times) - 1, int(share * len(times)))] / _MS


def value(workload: Workload, figures: Figures, direct: Figures | None) -> tuple[float, ...]:
    """Return what stands in the table for a workload; `direct` are the figures without gateway."""
    match workload.measure:
        case "cpu":
            return (figures.median("cpu"),)
        case "memory":
            return (max(one.memory for one in figures.measurements),)
        case "stall":
            return (figures.delay(1), figures.longest)
        case "delay":
            return tuple(figures.delay(i) - (direct.delay(i) if direct else 0.0) for i in (0, 1))
        case "added":
            without = direct.median("duration") if direct else 0.0
            return ((figures.median("duration") - without) * workload.per,)

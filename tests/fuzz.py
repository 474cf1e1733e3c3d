"""Fuzzing for as long as one likes: the properties of `tests/support/fuzzing.py`, in turn, with fresh chance.

python -m tests.fuzz --seconds 600      (make fuzz)

A failure prints the smallest example that shows it; it becomes a case in `tests/reliability/test_fuzz.py`.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from tests.support.fuzzing import PROPERTIES, Subject

BATCH = 400


def fuzz(seconds: float) -> None:
    """Run all properties again and again. Raises: AssertionError, with hypothesis' example."""
    subject = Subject()
    tried: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    for name, (strategy, holds) in itertools.cycle(PROPERTIES.items()):
        if time.monotonic() >= ends:
            break
        _batch(strategy, partial(_check, subject, tried, name, holds))
    for name, count in tried.items():
        print(f"{count:8}  {name}")


def _check(subject: Subject, tried: Counter[str], name: str, holds: Callable[[Subject, Any], None], value: Any) -> None:
    tried[name] += 1
    holds(subject, value)


def _batch(strategy: SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    @settings(
        max_examples=BATCH, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
    )
    @given(value=strategy)
    def holds_for(value: Any) -> None:
        check(value)

    holds_for()


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description="Random requests and answers through the whole application.")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the run (600)")
    fuzz(parser.parse_args().seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())

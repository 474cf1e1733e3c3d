"""The command line: `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks import report
from benchmarks.measure import Figures, measure, settle
from benchmarks.subjects import ROOT, Gateway, LiteLLM, MockUpstream, Subject, can_record, two_cores
from benchmarks.workloads import Workload, all_workloads, soak, warm_up


@dataclass(frozen=True)
class Plan:
    """How long and how often."""

    rounds: int
    warm_up: float
    seconds: float


def main() -> int:
    """Measure, print the tables and, if asked, write them; the exit code tells whether a floor was missed."""
    options = _parse()
    plan = Plan(1, 0.3, 1.0) if options.quick else Plan(1 if options.soak else options.rounds, 0.4, 1.5)
    workloads = soak(options.soak) if options.soak else all_workloads()
    if options.only:
        workloads = [one for one in workloads if one.key in options.only]
    subject_core, load_core = two_cores()
    os.sched_setaffinity(0, {load_core})
    upstream = MockUpstream(load_core)
    subjects = _subjects(options, upstream.port, subject_core, load_core)
    try:
        results = _measure_all(subjects, workloads, plan)
    finally:
        for subject in subjects:
            subject.stop()
        upstream.stop()
    made = report.Report(workloads, {subject.name: subject.versions for subject in subjects}, results)
    print(made.markdown())
    if options.write:
        report.write(made, ROOT / "docs")
    for row in made.missed():
        print(f"floor missed: {row}", file=sys.stderr)
    return 1 if made.missed() else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the gateway costs.")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take medians of (default 3)")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="only these workloads")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only 200 paced streams for so long")
    parser.add_argument("--direct", action="store_true", help="without gateway: what upstream and load can do")
    parser.add_argument("--peer", choices=["litellm"], help="measure it in the same run (installed on first use)")
    parser.add_argument("--peer-requirement", default="litellm[proxy]", help="what pip installs for the peer")
    parser.add_argument("--gateway", type=Path, default=ROOT, help="folder of the gateway to measure")
    parser.add_argument("--write", action="store_true", help="put the tables and the plot into docs/")
    return parser.parse_args()


def _subjects(options: argparse.Namespace, port: int, core: int, load_core: int) -> list[Subject]:
    subjects = [Subject(port, core)]
    if options.direct:
        return subjects
    root = options.gateway.resolve()
    subjects.append(Gateway(port, core, root))
    if can_record(root):
        subjects.append(Gateway(port, core, root, recording=True, spare_core=load_core))
    if options.peer:
        subjects.append(LiteLLM(port, core, options.peer_requirement))
    return subjects


def _measure_all(subjects: list[Subject], workloads: list[Workload], plan: Plan) -> dict[tuple[str, str], Figures]:
    """Measure round after round, in each all subjects in turn, so that what disturbs meets all alike.

    Memory is looked at first, in processes that are new in each round. Before anything else each subject is
    run for a while, since what a program does but once must not count.
    """
    results: dict[tuple[str, str], Figures] = {}
    in_order = sorted(workloads, key=lambda workload: workload.measure != "memory")
    for number in range(plan.rounds):
        warm: set[Subject] = set()
        for workload in in_order:
            for subject in (one for one in subjects if _is_due(one, workload, number)):
                _prepare(subject, workload, warm, plan)
                for name in settle(subjects):
                    print(f"{name} does not come to rest; what follows is not to be trusted", file=sys.stderr)
                one = measure(workload, subject, plan.warm_up, plan.seconds)
                if workload.measure == "memory":
                    subject.stop()
                results.setdefault((workload.key, subject.name), Figures()).measurements.append(one)
                fault = f"  {one.errors} errors: {one.first_error}" if one.errors else ""
                line = f"{number + 1}  {workload.key:15} {subject.name:18} {one.rate:9.0f}/s {one.cpu:9.1f} us{fault}"
                print(line, file=sys.stderr)
        for subject in subjects:
            subject.stop()
    return results


def _is_due(subject: Subject, workload: Workload, number: int) -> bool:
    """Tell whether a subject is measured in a round: without gateway once is enough where nothing is taken off."""
    if type(subject) is Subject and workload.measure == "cpu" and number > 0:
        return False
    return subject.takes(workload)


def _prepare(subject: Subject, workload: Workload, warm: set[Subject], plan: Plan) -> None:
    """Have a subject run: a new one for its memory, else one that has worked before."""
    if workload.measure == "memory":
        subject.stop()
    subject.start()
    if workload.measure != "memory" and subject not in warm:
        warm.add(subject)
        for early in warm_up():
            measure(early, subject, 0.0, plan.seconds / 2)


if __name__ == "__main__":
    sys.exit(main())

"""Writes what was measured: tables in Markdown, and a plot as plain SVG."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.measure import Figures, value
from benchmarks.workloads import Workload

Results = Mapping[tuple[str, str], Figures]
"""(key of the workload, name of the subject) to its figures."""

BEGIN = "<!-- figures -->"
END = "<!-- /figures -->"


class Report:
    """The figures of one run."""

    def __init__(self, workloads: Sequence[Workload], versions: Mapping[str, str], results: Results) -> None:
        self._workloads = workloads
        self._versions = versions
        self._results = results
        self._subjects = [name for name in versions if name != "direct"]

    def value(self, workload: Workload, subject: str) -> tuple[float, ...] | None:
        """Return a row's figure for a subject."""
        figures = self._results.get((workload.key, subject))
        if figures is None:
            return None
        return value(workload, figures, self._results.get((workload.key, "direct")))

    def markdown(self) -> str:
        """Return both tables, with what was measured and where. Subject `direct` is the upstream alone."""
        versions = [f"- {name}: {text}" for name, text in self._versions.items() if name != "direct"]
        machine = f"- {platform.system()} {platform.release()}, {_processor()}"
        return "\n".join([machine, *versions, "", *self._costs(), "", *self._checks()]) + "\n"

    def missed(self) -> list[str]:
        """Return the rows of the gateway that miss their floor."""
        rows = []
        for workload in self._workloads:
            found = self.value(workload, "gateway")
            if found and workload.must and not _within(found, workload.must):
                rows.append(f"{workload.title}: {_shown(found)}, must be {_shown(workload.must)}")
        return rows

    def _costs(self) -> list[str]:
        peers = [name for name in self._subjects if name != "gateway"]
        heads = ["workload", "unit", "gateway", "must", "goal", "", *(h for p in peers for h in (p, "ratio"))]
        lines = [_row(heads), _row(["---"] * len(heads))]
        for workload in self._workloads:
            own = self.value(workload, "gateway")
            cells = [workload.title, workload.unit if workload.measure == "cpu" else "ms"]
            if workload.measure == "memory":
                cells[1] = "MB"
            cells += [_shown(own), _shown(workload.must), _shown(workload.goal), _verdict(own, workload)]
            for peer in peers:
                other = self.value(workload, peer)
                if self._overloaded(workload, peer):
                    cells += [f"{_shown(other)} (overloaded)", ""]
                else:
                    cells += [_shown(other), _ratio(other, own)]
            lines.append(_row(cells))
        return lines

    def _overloaded(self, workload: Workload, subject: str) -> bool:
        """Tell whether a subject takes less than the upstream offers in its own rhythm.

        Then its streams begin and pile up within the window, and what a delta costs is another question.
        """
        offered, taken = (self._results.get((workload.key, name)) for name in ("direct", subject))
        answer = workload.main.answer
        if offered is None or taken is None or answer is None or not answer.interval:
            return False
        return taken.median("rate") < 0.9 * offered.median("rate")

    def _checks(self) -> list[str]:
        heads = ["workload", "subject", "units/s", "first delta, ms", "delay p50 / p99 / longest", "errors", "missing"]
        recorder = any(figures.median("recorder") > 0 for figures in self._results.values())
        heads += ["recorder's CPU"] if recorder else []
        lines = [_row(heads), _row(["---"] * len(heads))]
        for workload in self._workloads:
            for subject in self._versions:
                figures = self._results.get((workload.key, subject))
                if figures is None:
                    continue
                speed = [f"{figures.median('rate'):.0f}", _number(figures.median("first"))]
                delay = (figures.delay(0), figures.delay(1), figures.longest)
                speed.append("" if math.isnan(delay[0]) else _shown(delay))
                faults = [str(figures.errors), str(figures.missing)]
                apart = [_number(figures.median("recorder") or math.nan)] if recorder else []
                lines.append(_row([workload.title, subject, *speed, *faults, *apart]))
        return lines

    def plot(self) -> str:
        """Return the CPU rows as bars on a logarithmic scale; a line marks the floor, a dot the goal."""
        rows = [w for w in self._workloads if w.measure == "cpu" and self.value(w, "gateway")]
        return _Plot(rows, self._subjects, self).svg()


class _Plot:
    WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 900, 250, 70, 14, 12, 50
    COLOURS = ("#2b6cb0", "#c05621", "#718096")

    def __init__(self, rows: Sequence[Workload], subjects: Sequence[str], report: Report) -> None:
        self._rows = rows
        self._subjects = subjects
        self._report = report
        self._row_height = self.BAR * len(subjects) + self.GAP
        values = [v[0] for w in rows for s in subjects if (v := report.value(w, s)) and v[0] > 0]
        self._decades = max(1, math.ceil(math.log10(max(values, default=10))))

    def svg(self) -> str:
        height = self.TOP + self._row_height * len(self._rows) + 30
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.WIDTH}" height="{height}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{self.WIDTH}" height="{height}" fill="white"/>',
            '<text x="10" y="18" font-size="14">CPU microseconds for a request or a delta (logarithmic; '
            "line: must, dot: goal)</text>",
        ]
        parts += self._legend() + self._grid(height)
        for number, workload in enumerate(self._rows):
            parts += self._bars(workload, self.TOP + number * self._row_height)
        return "\n".join([*parts, "</svg>", ""])

    def _x(self, figure: float) -> float:
        share = math.log10(max(figure, 1.0)) / self._decades
        return self.LEFT + share * (self.WIDTH - self.LEFT - self.RIGHT)

    def _legend(self) -> list[str]:
        parts = []
        for number, subject in enumerate(self._subjects):
            x = self.LEFT + number * 160
            parts.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{self.COLOURS[number % 3]}"/>')
            parts.append(f'<text x="{x + 15}" y="37">{subject}</text>')
        return parts

    def _grid(self, height: int) -> list[str]:
        parts = []
        for decade in range(self._decades + 1):
            x = self._x(10**decade)
            parts.append(f'<line x1="{x:.0f}" y1="{self.TOP}" x2="{x:.0f}" y2="{height - 25}" stroke="#e2e8f0"/>')
            parts.append(f'<text x="{x:.0f}" y="{height - 10}" text-anchor="middle">{10**decade}</text>')
        return parts

    def _bars(self, workload: Workload, top: int) -> list[str]:
        middle = top + self.BAR * len(self._subjects) / 2 + 4
        title = workload.title.replace("`", "")
        parts = [f'<text x="{self.LEFT - 8}" y="{middle:.0f}" text-anchor="end">{title}</text>']
        for number, subject in enumerate(self._subjects):
            figure = self._report.value(workload, subject)
            if not figure or not figure[0] > 0:
                continue
            y = top + number * self.BAR
            end = self._x(figure[0])
            colour = self.COLOURS[number % 3]
            width = max(1.0, end - self.LEFT)
            parts.append(f'<rect x="{self.LEFT}" y="{y}" width="{width:.0f}" height="{self.BAR - 2}" fill="{colour}"/>')
            parts.append(f'<text x="{end + 5:.0f}" y="{y + 10}" font-size="11">{_number(figure[0])}</text>')
        if workload.must:
            x = self._x(workload.must[0])
            bottom = top + self.BAR * len(self._subjects)
            parts.append(
                f'<line x1="{x:.0f}" y1="{top - 2}" x2="{x:.0f}" y2="{bottom}" stroke="#e53e3e" stroke-width="2"/>'
            )
            parts.append(f'<circle cx="{self._x(workload.goal[0]):.0f}" cy="{top + 6}" r="4" fill="#38a169"/>')
        return parts


def write(report: Report, folder: Path) -> None:
    """Put the tables between the marks of `performance.md`, and the plot beside it."""
    page = folder / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    plot = "![CPU for a request or a delta, on a logarithmic scale](performance.svg)"
    page.write_text(f"{before}{BEGIN}\n{report.markdown()}\n{plot}\n{END}{after}")
    (folder / "performance.svg").write_text(report.plot())


def _ratio(other: tuple[float, ...] | None, own: tuple[float, ...] | None) -> str:
    if not other or not own or math.isnan(other[0]) or not own[0] > 0:
        return ""
    return f"{other[0] / own[0]:.1f}"


def _within(found: tuple[float, ...], bound: tuple[float, ...]) -> bool:
    return all(one <= limit for one, limit in zip(found, bound, strict=True))


def _verdict(found: tuple[float, ...] | None, workload: Workload) -> str:
    if not found or not workload.must:
        return ""
    if _within(found, workload.goal):
        return "goal"
    return "must" if _within(found, workload.must) else "**missed**"


def _shown(figures: tuple[float, ...] | None) -> str:
    return " / ".join(_number(figure) for figure in figures) if figures else ""


def _number(figure: float) -> str:
    if math.isnan(figure):
        return ""
    if abs(figure) >= 100:
        return f"{figure:.0f}"
    return f"{figure:.1f}" if abs(figure) >= 1 else f"{figure:.2f}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

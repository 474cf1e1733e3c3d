"""What a comparison prints: short where nothing differs, bounded where much does."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gateway.recording.log import Exchange, Log, LogError
from gateway.replay.compare import Difference
from gateway.replay.report import Report, chosen
from tests.support.recordings import Tape


def test_nothing_differs() -> None:
    stream = io.StringIO()
    report = Report(stream)
    report.add(Exchange("req_1"), [])
    report.skip("lost")
    report.skip("lost")
    assert report.end() == 0
    assert stream.getvalue() == "1 exchanges compared, none differ; 2 left out: lost\n"


def test_much_differs() -> None:
    stream = io.StringIO()
    report = Report(stream)
    report.add(Exchange("req_1"), [Difference(f"event {n}", "a" * 400, "b") for n in range(25)])
    report.add(Exchange("req_2"), [Difference("status", "200", "500")])
    assert report.end() == 1
    shown = stream.getvalue()
    assert shown.startswith("req_1\n  event 0\n    - aaa")
    assert "a" * 301 not in shown
    assert "  … and 5 more\n" in shown
    assert shown.endswith("2 exchanges compared, 2 differ\n")


def test_an_exchange_is_chosen_by_id_or_number(tmp_path: Path) -> None:
    tape = Tape()
    tape.request("req_1", {})
    tape.request("req_2", {})
    with Log.open(tape.write(tmp_path / "log")) as log:
        assert [entry.id for entry in chosen(log, None)] == ["req_1", "req_2"]
        assert [entry.id for entry in chosen(log, "req_2")] == ["req_2"]
        assert [entry.id for entry in chosen(log, "1")] == ["req_1"]
        for name in ("0", "3", "req_3"):
            with pytest.raises(LogError, match="no exchange"):
                chosen(log, name)

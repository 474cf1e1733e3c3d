"""Progress is shown on a terminal, for work that takes a while, and nowhere else."""

from __future__ import annotations

import io

import pytest

from gateway import progress
from gateway.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_SECS", 0.0)
    monkeypatch.setattr(progress, "_EVERY_SECS", 0.0)


def test_a_terminal_sees_a_bar_that_is_gone_at_the_end(at_once: None) -> None:
    stream = Terminal()
    with Progress("reading", 4, stream) as bar:
        bar.add()
        assert "reading" in stream.getvalue()
        assert " 25%" in stream.getvalue()
        bar.add(3)
    assert "100%" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")


def test_short_work_shows_nothing() -> None:
    stream = Terminal()
    with Progress("reading", 2, stream) as bar:
        bar.add(2)
    assert stream.getvalue() == ""


def test_nobody_looks_at_a_file(at_once: None) -> None:
    stream = io.StringIO()
    with Progress("reading", 2, stream) as bar:
        bar.add(2)
    assert stream.getvalue() == ""

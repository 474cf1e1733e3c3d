"""The service's own log: JSON lines, whoever speaks and whatever is said."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import service_log


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Set up the log; the result returns its lines, parsed."""
    root, ours = logging.getLogger(), logging.getLogger("gateway")
    before = (root.handlers[:], root.level, ours.level)
    stderr = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    service_log.configure("info")
    yield lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]
    logging.captureWarnings(False)
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])


def test_a_line_has_what_was_said_and_more(lines: Any) -> None:
    logging.getLogger("gateway.exchange").info("exchange", extra={"status": 200, "key": None})
    (line,) = lines()
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {"level": "INFO", "logger": "gateway.exchange", "message": "exchange", "status": 200, "key": None}


def test_the_line_of_an_exchange_goes_straight_to_the_file(lines: Any, tmp_path: Path) -> None:
    log = logging.getLogger("gateway")
    facts = {"status": 200, "model": "\ud800", "end": "complete"}
    service_log.exchange(log, facts)  # standard error is no file here
    with open(tmp_path / "log", "w+") as file:
        sys.stderr = file
        service_log.configure("info")
        service_log.exchange(log, facts)
        log.setLevel("WARNING")
        service_log.exchange(log, facts)
        log.setLevel("INFO")
        file.seek(0)
        straight = [json.loads(line) for line in file]
    assert service_log._descriptor() is None  # nor is one that is closed
    (line,) = lines()
    for one in (line, *straight):
        assert one.pop("timestamp").endswith("+00:00")
        assert one == {"level": "INFO", "logger": "gateway", "message": "exchange", **facts}
    assert len(straight) == 1


def test_a_pipe_that_nobody_reads_ends_no_exchange(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with open(theirs, "w") as file, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        service_log.configure("info")
        service_log.exchange(logging.getLogger("gateway"), {"status": 200})


def test_what_may_not_be_waited_for_is_left_to_logging(lines: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with open(theirs, "w") as file, open(ours) as reader, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", file)
        service_log.configure("info")
        service_log.exchange(logging.getLogger("gateway"), {"status": 200})
        assert json.loads(reader.readline())["status"] == 200


def test_levels_are_kept(lines: Any) -> None:
    logging.getLogger("gateway").debug("no")
    logging.getLogger("urllib3").info("no")
    logging.getLogger("urllib3").warning("yes")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("as well", stacklevel=1)
    assert [line["logger"] for line in lines()] == ["urllib3", "py.warnings"]


def test_a_traceback_stays_in_its_line(lines: Any) -> None:
    try:
        raise ValueError("why")
    except ValueError:
        logging.getLogger("gateway").exception("failed")
    (line,) = lines()
    assert "ValueError: why" in line["exc_info"]


@pytest.mark.parametrize("value", ["\ud800", 1 << 80, object], ids=["lone-surrogate", "huge-number", "no-json"])
def test_anything_can_be_said(lines: Any, value: Any) -> None:
    logging.getLogger("gateway").info("said", extra={"value": value})
    assert lines()[0]["message"] == "said"


def test_what_gunicorn_remarks_is_for_debugging(lines: Any) -> None:
    log = service_log.ServerLog(None)
    log.info("Booting worker with pid: %s", 1)
    log.warning("Worker graceful timeout (pid:%s)", 1)
    log.reopen_files()
    assert [(line["logger"], line["message"]) for line in lines()] == [
        ("gateway.server", "Worker graceful timeout (pid:1)")
    ]
    assert not log.access_log_enabled

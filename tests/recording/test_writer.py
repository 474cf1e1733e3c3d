"""What is made of records: lines in order; what cannot be written, made or understood is lost and counted."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from gateway.recording import writer
from gateway.recording.frames import Record
from gateway.recording.lines import Clock
from gateway.recording.writer import Exchanges, Writer

HELD = "held-canary-0123456789"


class Kept:
    """A file in memory, into which so many lines fit."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.lines: list[bytes] = []
        self.lost = 0
        self.calls = 0

    def append(self, lines: list[bytes]) -> tuple[int, OSError | None]:
        self.calls += 1
        fit = lines[: self.room - len(self.lines)]
        self.lines += fit
        self.lost += len(lines) - len(fit)
        return len(fit), None if len(fit) == len(lines) else OSError(28, "No space left on device")

    def count_lost(self, records: int) -> None:
        self.lost += records


def writer_of(file: Kept) -> Writer:
    return Writer(file, Clock(0.0), lambda: (HELD,))


def begin(number: int) -> Record:
    return (number, "client_request", 1.0, ("8000", f"req_{number}"), "GET", "/v1/models", [], None, None)


def piece(number: int, data: Any = b"data\n") -> Record:
    return (number, "client_chunk", 1.0, data)


def end(number: int, dropped: int = 0) -> Record:
    return (number, "client_end", 2.0, 1.0, dropped, {"end": "complete", "status": 200})


def test_lines_are_written_in_order_and_an_exchange_is_forgotten_with_its_end() -> None:
    file = Kept()
    exchanges: Exchanges = {}
    one = writer_of(file)
    one.take(exchanges, [begin(1), begin(2), piece(1)])
    assert set(exchanges) == {1, 2}
    one.take(exchanges, [end(2), piece(1), end(1, dropped=3)])
    assert not exchanges
    assert [b"req_1" in line for line in file.lines] == [True, False, True, False, True, True]
    assert b'"lost":3' in file.lines[-1]
    assert file.calls == 2
    assert file.lost == 0


def test_a_key_that_the_gateway_holds_is_hidden() -> None:
    file = Kept()
    writer_of(file).take({}, [begin(1), piece(1, f"it is {HELD}\n".encode())])
    assert HELD.encode() not in file.lines[1]
    assert b"it is ***" in file.lines[1]


def test_of_an_exchange_whose_request_is_not_known_nothing_is_written() -> None:
    file = Kept()
    writer_of(file).take({}, [piece(1), begin(2), end(1), end(2)])
    assert len(file.lines) == 2
    assert file.lost == 2


def test_after_a_line_that_cannot_be_made_its_exchange_is_recorded_no_further(caplog: pytest.LogCaptureFixture) -> None:
    file = Kept()
    with caplog.at_level(logging.WARNING, "gateway"):
        writer_of(file).take({}, [begin(1), begin(2), piece(1, "secret words"), piece(1), end(1), end(2)])
    assert [b"req_1" in line for line in file.lines] == [True, False, False]
    assert file.lost == 3
    assert len(caplog.records) == 1
    assert "secret words" not in caplog.text


def test_a_full_disk_is_told_once_and_not_tried_all_the_time(caplog: pytest.LogCaptureFixture) -> None:
    file = Kept(room=2)
    exchanges: Exchanges = {}
    one = writer_of(file)
    with caplog.at_level(logging.WARNING, "gateway"):
        one.take(exchanges, [begin(1), begin(2), piece(1), piece(2), piece(2)])
        one.take(exchanges, [piece(1)])
    assert (file.lost, file.calls) == (4, 1), "for a moment nothing is tried"
    assert [exchanges[number].lost for number in (1, 2)] == [2, 2]
    one._rests_until = time.monotonic()
    file.room = 10
    one.take(exchanges, [end(1)])
    assert b'"lost":2' in file.lines[-1]
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text


def test_many_lines_are_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH_BYTES", 1000)
    file = Kept()
    writer_of(file).take({}, [begin(1), *(piece(1, b"x" * 99 + b"\n") for _ in range(50))])
    assert len(file.lines) == 51
    assert file.calls > 5

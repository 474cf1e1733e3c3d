"""The queue and its thread: what is put is written in order, what finds no room is lost and counted."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable

import gevent
import pytest

from gateway.recording import writer
from gateway.recording.writer import OVERHEAD, Writer


class Owner:
    """Whose records they are."""

    def __init__(self) -> None:
        self.lost = 0
        self.dropped = 0
        self.broken = False

    def line(self, at: float, text: bytes) -> list[bytes]:
        return [text + b"\n"]


class Kept:
    """A file in memory; `full` lines fit into it."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.lines: list[bytes] = []
        self.lost = 0
        self.threads: set[int] = set()
        self.calls = 0

    def append(self, lines: list[bytes]) -> tuple[int, OSError | None]:
        self.threads.add(threading.get_ident())
        self.calls += 1
        fit = lines[: self.room - len(self.lines)]
        self.lines += fit
        self.lost += len(lines) - len(fit)
        return len(fit), None if len(fit) == len(lines) else OSError(28, "No space left on device")

    def count_lost(self, records: int) -> None:
        self.lost += records


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        gevent.sleep(0.01)
    assert condition()


@pytest.fixture(autouse=True)
def no_long_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_GATHER_SECS", 0.001)


def test_records_are_written_in_order_by_a_thread_of_their_own() -> None:
    file, owner = Kept(), Owner()
    queue = Writer(file)
    for number in range(100):
        queue.put(owner, owner.line, 10, b"%d" % number)
    wait_for(lambda: len(file.lines) == 100)
    queue.put(owner, owner.line, 10, b"100")
    wait_for(lambda: len(file.lines) == 101)
    assert file.lines == [b"%d\n" % number for number in range(101)]
    assert threading.get_ident() not in file.threads
    queue.close()


def test_the_end_of_the_process_writes_what_is_left() -> None:
    file, owner = Kept(), Owner()
    queue = Writer(file)
    queue.close()  # nothing was ever put
    queue.put(owner, owner.line, 10, b"last")
    queue.close()
    queue.close()
    assert file.lines == [b"last\n"]


def test_what_finds_no_room_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    file, owner = Kept(), Owner()
    queue = Writer(file, limit=10 * OVERHEAD)
    with caplog.at_level(logging.WARNING, "gateway"):
        for _ in range(3):
            queue.put(owner, owner.line, 20 * OVERHEAD, b"large")
    assert owner.dropped == 3
    queue.put(owner, owner.line, 10, b"small")
    wait_for(lambda: file.lost == 3)
    wait_for(lambda: file.lines == [b"small\n"])
    assert queue.dropped == 0
    assert len(caplog.records) == 1
    queue.close()


def test_a_full_disk_is_told_once_and_not_tried_all_the_time(caplog: pytest.LogCaptureFixture) -> None:
    file, first, second = Kept(room=2), Owner(), Owner()
    queue = Writer(file)
    with caplog.at_level(logging.WARNING, "gateway"):
        for owner in (first, first, second, second):
            queue.put(owner, owner.line, 10, b"x")
        wait_for(lambda: file.lost == 2)
        queue.put(first, first.line, 10, b"y")
        wait_for(lambda: file.lost == 3)
        wait_for(lambda: len(caplog.records) == 1)
    assert (first.lost, second.lost) == (1, 2)
    assert file.calls == 1
    assert "No space left on device" in caplog.text
    queue.close()


def test_after_a_line_that_cannot_be_made_its_exchange_is_recorded_no_further() -> None:
    file, owner, other = Kept(), Owner(), Owner()
    queue = Writer(file)

    def broken(at: float, text: bytes) -> list[bytes]:
        raise ValueError("secret words")

    queue.put(owner, broken, 10, b"x")
    queue.put(owner, owner.line, 10, b"y")
    queue.put(other, other.line, 10, b"z")
    wait_for(lambda: file.lines == [b"z\n"])
    assert file.lost == 2
    queue.close()


def test_what_a_batch_loses_is_told_to_those_it_belongs_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread's work, done here: what is written, what is not, and whose it is."""
    monkeypatch.setattr(writer, "_BATCH_BYTES", 2 * OVERHEAD)
    file, first, second, broken = Kept(room=3), Owner(), Owner(), Owner()
    broken.broken = True
    queue = Writer(file)
    queue._process = 1  # no thread is started
    queue._closing = True  # nor is there a loop to tell
    for owner, size in ((first, 10), (first, 5 * OVERHEAD), (broken, 1), (second, 10), (second, 10), (first, 10)):
        queue.put(owner, owner.line, size, b"x")
    queue.drain()
    assert file.lines == [b"x\n"] * 3
    assert (first.lost, second.lost, file.lost) == (1, 1, 3)
    assert queue._failure == "No space left on device"
    tried = file.calls
    queue.put(first, first.line, 10, b"y")
    queue.drain()
    assert (first.lost, file.calls) == (2, tried), "for a while nothing is tried"
    queue._rests_until = 0.0
    file.room = 10
    queue.put(first, first.line, 10, b"z")
    queue.drain()
    assert file.lines[-1] == b"z\n"


def test_many_records_are_written_in_batches_and_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BATCH_BYTES", 1000)
    monkeypatch.setattr(writer, "_TURN_SECS", 0.0)
    file, owner = Kept(), Owner()
    queue = Writer(file)
    for number in range(50):
        queue.put(owner, owner.line, 100, b"%d" % number * 100)
    wait_for(lambda: len(file.lines) == 50)
    assert file.calls > 3
    queue.close()


def test_nothing_is_left_behind() -> None:
    queue = Writer(Kept())
    queue.put(Owner(), Owner().line, 10, b"x")
    queue.close()
    del queue
    gc.collect()

"""The recorder process: hears all workers, cannot be ended by signals, writes all before it stops, and comes back."""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.recording import process
from gateway.recording.frames import Record
from gateway.recording.process import Process
from gateway.recording.queue import Queue
from tests.support.processes import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


class Owner:
    """An exchange."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.dropped = 0


class Uncounted:
    """Nothing is lost here."""

    def count_lost(self, records: int) -> None:
        raise AssertionError(records)


class Told:
    """A process that tells of each record by a line in a pipe."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self.other = os.open(os.devnull, os.O_RDONLY)
        self.process = Process(self._take, (self._write,), self._forked)
        self.process.tend()

    def _forked(self) -> None:
        shown = os.readlink(f"/proc/self/fd/{self.other}")
        os.write(self._write, f"began {os.getpid()} {shown} {Path('/proc/self/comm').read_text()}".encode())

    def _take(self, exchanges: dict[int, Any], records: list[Record]) -> None:
        for number, kind, _, *what in records:
            os.write(self._write, f"{number} {kind} {what[0]}\n".encode())

    def line(self) -> str:
        """The next line that it told."""
        told = b""
        while not told.endswith(b"\n"):
            assert select.select([self._read], [], [], 5)[0], told
            told += os.read(self._read, 1)
        return told.decode().strip()

    def queue(self) -> Queue:
        return Queue(self.process.control, Uncounted())

    def close(self) -> None:
        self.process.stop()
        for descriptor in (self._read, self._write, self.other):
            os.close(descriptor)


@pytest.fixture
def told() -> Iterator[Told]:
    told = Told()
    yield told
    told.close()


def test_what_several_workers_send_is_taken_and_all_of_it_before_the_end(told: Told) -> None:
    _, pid, shown, name = told.line().split()
    assert name == process.NAME.decode()
    assert shown == os.devnull
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        os.kill(int(pid), number)
    for number in (1, 2):
        queue = told.queue()
        queue.put(Owner(number), "client_chunk", 2, f"of {number}")
        queue.close()  # as at the end of a worker
    told.process.stop()
    assert sorted(told.line() for _ in range(2)) == ["1 client_chunk of 1", "2 client_chunk of 2"]
    assert not Path(f"/proc/{pid}").exists()
    told.process = Process(told._take, (), lambda: None)  # one that was never started can be stopped, too


def test_one_that_has_died_is_started_anew_and_takes_what_waits(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    first = int(told.line().split()[1])
    told.process.tend()  # it runs: nothing is done
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: told.process._ended(0))
    queue = told.queue()
    queue.put(Owner(3), "client_chunk", 2, "waits")
    queue.close()
    with caplog.at_level(logging.ERROR, "gateway"):
        told.process.tend()
    assert int(told.line().split()[1]) != first
    assert told.line() == "3 client_chunk waits"
    assert len(caplog.records) == 1


def test_one_that_hangs_is_cut_off(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STOP_SECS", 0.1)
    pid = int(told.line().split()[1])
    os.kill(pid, signal.SIGSTOP)
    with caplog.at_level(logging.WARNING, "gateway"):
        told.process.stop()
    assert "is cut off" in caplog.text
    assert not Path(f"/proc/{pid}").exists()
    told.process = Process(told._take, (), lambda: None)

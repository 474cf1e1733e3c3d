"""The queue of a worker: what is put arrives in order, what finds no room or no recorder is lost and counted."""

from __future__ import annotations

import gc
import logging
import select
import socket
from _socket import socketpair
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from gateway.recording import queue
from gateway.recording.frames import LARGE, Frames, Record
from gateway.recording.queue import OVERHEAD, Queue


class Owner:
    """Whose records they are."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.dropped = 0


class Counter:
    """Counts what is lost."""

    def __init__(self) -> None:
        self.lost = 0

    def count_lost(self, records: int) -> None:
        self.lost += records


class Inbox:
    """The other side: takes the pairs that come, and reads them."""

    def __init__(self, taken: Any) -> None:
        self._taken = taken
        self.pairs: list[socket.socket] = []
        self.frames = Frames()

    def accept(self) -> None:
        """Take the end of a new pair."""
        assert select.select([self._taken], [], [], 5)[0]
        _, descriptors, _, _ = socket.recv_fds(self._taken, 16, 1)
        self.pairs.append(socket.socket(fileno=descriptors[0]))
        self.frames = Frames()

    def records(self, count: int) -> list[Record]:
        """Read from the latest pair until so many records have come."""
        if not self.pairs:
            self.accept()
        found: list[Record] = []
        while len(found) < count:
            self.pairs[-1].settimeout(5)
            for batch in self.frames.feed(self.pairs[-1].recv(1 << 16)):
                found += batch
        return found

    def close(self) -> None:
        """End all pairs."""
        for one in self.pairs:
            one.close()
        self.pairs = []


class Ends:
    """Both ends of a queue's way."""

    def __init__(self) -> None:
        self._taken, self.control = socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.setblocking(False)
        self.inbox = Inbox(self._taken)
        self.counter = Counter()

    def queue(self, limit: int = 1 << 20) -> Queue:
        return Queue(self.control, self.counter, limit=limit)

    def close(self) -> None:
        self.inbox.close()
        self._taken.close()
        self.control.close()


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr(queue, "_GATHER_SECS", 0.001)
    monkeypatch.setattr(queue, "_AGAIN_SECS", 0.01)
    monkeypatch.setattr(queue, "_LAST_SECS", 0.2)
    ends = Ends()
    yield ends
    ends.close()


def settle(one: Queue, turns: int = 500) -> None:
    """Give the sending greenlet its turns."""
    for _ in range(turns):
        gevent.sleep(0.002)
        if not one._sending:
            return


def test_records_arrive_in_order(ends: Ends) -> None:
    one = ends.queue()
    for number in range(100):
        assert one.put(Owner(7), "client_chunk", 1, b"%d" % number)
    settle(one)
    records = ends.inbox.records(100)
    assert [record[-1] for record in records] == [b"%d" % number for number in range(100)]
    assert {record[:2] for record in records} == {(7, "client_chunk")}
    assert one.put(Owner(8), "client_chunk", 1, b"more")
    settle(one)
    assert ends.inbox.records(1)[0][0] == 8
    one.close()


def test_the_end_of_the_process_sends_what_is_left(ends: Ends) -> None:
    one = ends.queue()
    one.close()  # nothing was ever put
    one.put(Owner(), "client_chunk", 4, b"last")
    one.close()
    assert ends.inbox.records(1)[0][-1] == b"last"
    assert ends.counter.lost == 0


def test_a_long_queue_goes_in_several_frames_and_large_payloads_by_themselves(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_BATCH_BYTES", 10 * OVERHEAD)
    one = ends.queue(limit=1 << 24)
    large = b"x" * LARGE * 8
    for number in range(50):
        one.put(Owner(), "client_chunk", 1, b"%d" % number)
    one.put(Owner(), "client_chunk", len(large), large)
    ends_reader = gevent.get_hub().threadpool.spawn(ends.inbox.records, 51)
    settle(one, 5000)
    records = ends_reader.get(timeout=5)
    assert [record[-1] for record in records] == [*(b"%d" % number for number in range(50)), large]
    assert one._bytes == 0
    one.close()


def test_what_finds_no_room_is_lost(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    one, owner = ends.queue(limit=3 * OVERHEAD), Owner()
    with caplog.at_level(logging.WARNING, "gateway"):
        for _ in range(3):
            assert not one.put(owner, "client_chunk", 3 * OVERHEAD, b"large")
        assert one.put(owner, "client_chunk", 5, b"small")
    assert (owner.dropped, one.dropped) == (3, 3)
    settle(one)
    assert (ends.counter.lost, one.dropped) == (3, 0)
    assert ends.inbox.records(1)[0][-1] == b"small"
    assert [record.getMessage() for record in caplog.records] == [
        "records of the traffic are lost: the disk does not keep up; the traffic goes on"
    ]
    one.close()


def test_a_recorder_that_reads_nothing_holds_nobody_up(ends: Ends) -> None:
    """The socket takes some, the queue the rest up to its limit; at the end what is left is counted."""
    one, owner = ends.queue(limit=1 << 20), Owner()
    put = sum(one.put(owner, "client_chunk", 1 << 14, b"x" * (1 << 14)) for _ in range(100))
    assert put < 100
    gevent.sleep(0.05)
    one.close()
    assert 0 < ends.counter.lost <= 100
    assert ends.counter.lost >= owner.dropped


def test_a_recorder_that_has_died_is_found_again_by_a_new_pair(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    one = ends.queue()
    one.put(Owner(), "client_chunk", 1, b"a")
    settle(one)
    ends.inbox.records(1)
    ends.inbox.close()
    with caplog.at_level(logging.WARNING, "gateway"):
        one.put(Owner(), "client_chunk", 1, b"b")
        settle(one)
    assert ends.counter.lost == 1
    assert "the recorder ended" in caplog.text
    one.put(Owner(), "client_chunk", 1, b"c")
    settle(one)
    assert ends.inbox.records(1)[0][-1] == b"c"
    one.close()


def test_where_nobody_takes_the_pair_it_is_tried_again(ends: Ends) -> None:
    taken = 0
    while True:
        try:
            ends.control.send(b"+")
        except BlockingIOError:
            break
        taken += 1
    one = ends.queue()
    one.put(Owner(), "client_chunk", 1, b"a")
    gevent.sleep(0.03)
    for _ in range(taken):
        ends._taken.recv(1)
    settle(one)
    assert ends.inbox.records(1)[0][-1] == b"a"
    one.close()


def test_the_end_does_not_wait_for_long_where_there_is_no_recorder(ends: Ends) -> None:
    with pytest.raises(BlockingIOError):
        while True:
            ends.control.send(b"+")
    one = ends.queue()
    one.put(Owner(), "client_chunk", 1, b"a")
    one.close()
    assert ends.counter.lost == 1


def test_a_record_that_cannot_travel_ends_the_pair(ends: Ends, caplog: pytest.LogCaptureFixture) -> None:
    """What it would have told to hide is not known there: over a new pair no exchange is."""
    one = ends.queue()
    one.put(Owner(), "client_chunk", 1, b"a")
    settle(one)
    ends.inbox.records(1)
    with caplog.at_level(logging.WARNING, "gateway"):
        one.put(Owner(), "client_head", 0, object())
        settle(one)
    assert ends.counter.lost == 1
    assert ends.inbox.pairs[-1].recv(10) == b""
    assert "cannot be sent" in caplog.text
    one.close()
    gc.collect()

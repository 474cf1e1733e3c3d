"""The load generator: raw sockets and one epoll loop; a number of workers that each ask again when answered.

A worker holds one connection. In closed loop it sends its next request as soon as the last answer is complete,
so the load follows the subject: what is measured is cost, not endurance. Streams that the upstream paces are the
same thing with long answers; their workers start one after the other over the length of one stream, so that
starts and ends spread evenly.

Nothing is counted before the warm-up has passed.
"""

from __future__ import annotations

import gc
import re
import select
import socket
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.answers import AnswerError, ModelsAnswer, StreamedAnswer, WholeAnswer
from benchmarks.scenarios import SCENARIOS, Scenario

READ_BYTES = 256 * 1024
KEY = "sk-benchmark"
"""What every request sends as its key; a made-up one, for servers that check it."""
_RETRY_SECS = 0.05
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:\s*chunked")
_CLOSES = re.compile(rb"(?i)\r\nconnection:\s*close")

Answer = ModelsAnswer | StreamedAnswer | WholeAnswer


@dataclass(frozen=True)
class Traffic:
    """What a set of workers asks for. `dialect` is that of the answer; `models` for the list of models."""

    dialect: str
    path: str
    scenario: str = ""
    bodies: tuple[bytes, ...] = (b"",)
    """Sent in turn."""
    workers: int = 8
    streamed: bool = True

    @property
    def answer(self) -> Scenario | None:
        """What the upstream answers."""
        return SCENARIOS.get(self.scenario)


@dataclass
class Tally:
    """What was counted of one traffic within the window."""

    requests: int = 0
    deltas: int = 0
    errors: int = 0
    missing: int = 0
    first_error: str = ""
    delays: array[int] = field(default_factory=lambda: array("q"))
    """Nanoseconds from the sending of each delta to its arrival (paced answers only)."""
    durations: array[int] = field(default_factory=lambda: array("q"))
    """Nanoseconds of each request, from the first byte sent to the last byte read."""
    firsts: array[int] = field(default_factory=lambda: array("q"))
    """Nanoseconds to the first delta of each stream."""


class ResponseReader:
    """Takes one HTTP response off its bytes."""

    def __init__(self) -> None:
        self.status = 0
        self.complete = False
        self.closes = False
        self._rest = b""
        self._left: int | None = None
        self._chunked = False

    def feed(self, data: bytes) -> bytes:
        """Take bytes of the connection; return those of the body."""
        if not self.status:
            self._rest += data
            end = self._rest.find(b"\r\n\r\n")
            if end < 0:
                return b""
            self._head(self._rest[: end + 2])
            data, self._rest = self._rest[end + 4 :], b""
        if self._chunked:
            return self._dechunked(data)
        if self._left is not None:
            self._left -= len(data)
            self.complete = self._left <= 0
        return data

    def closed(self) -> None:
        """The connection has ended, which ends a body of unknown length."""
        if self.status and not self._chunked and self._left is None:
            self.complete = True

    def _head(self, head: bytes) -> None:
        self.status = int(head[9:12])
        self._chunked = _CHUNKED.search(head) is not None
        length = _LENGTH.search(head)
        self._left = int(length[1]) if length else None
        self.closes = _CLOSES.search(head) is not None
        self.complete = self._left == 0

    def _dechunked(self, data: bytes) -> bytes:
        data = self._rest + data
        out: list[bytes] = []
        position = 0
        while True:
            line_end = data.find(b"\r\n", position)
            if line_end < 0:
                break
            size = int(data[position:line_end].partition(b";")[0], 16)
            end = line_end + 2 + size
            if len(data) < end + 2:
                break
            if size == 0:
                self.complete = True
                break
            out.append(data[line_end + 2 : end])
            position = end + 2
        self._rest = data[position:]
        return b"".join(out)


class _Worker:
    """One connection and the exchange under way on it."""

    def __init__(self, traffic: Traffic, tally: Tally, port: int, turn: int) -> None:
        self.traffic = traffic
        self.tally = tally
        self.port = port
        self.turn = turn
        self.sock: socket.socket | None = None
        self.out = memoryview(b"")
        self.reader = ResponseReader()
        self.answer: Answer = ModelsAnswer()
        self.failure = b""
        self.started = 0

    @property
    def arrived(self) -> int:
        """Deltas of the answer under way that have been counted."""
        return self.answer.arrived if isinstance(self.answer, StreamedAnswer) else 0

    def request(self) -> bytes:
        """Make the next request ready and return it."""
        traffic = self.traffic
        body = traffic.bodies[self.turn % len(traffic.bodies)]
        self.turn += 1
        self.reader = ResponseReader()
        self.failure = b""
        scenario = traffic.answer
        if scenario is None:
            self.answer = ModelsAnswer()
        elif traffic.streamed:
            self.answer = StreamedAnswer(traffic.dialect, scenario, self.tally.delays)
        else:
            self.answer = WholeAnswer(traffic.dialect, scenario)
        method = "POST" if scenario else "GET"
        length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if scenario else ""
        head = (
            f"{method} {traffic.path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {KEY}\r\nAccept: */*\r\n{length}\r\n"
        )
        return head.encode() + body

    def take(self, data: bytes, now: int) -> bool:
        """Take what arrived; tell whether the answer is complete. Raises: AnswerError."""
        body = self.reader.feed(data)
        if self.reader.status == 200:
            if body:
                before = self.arrived
                self.answer.feed(body, now)
                self.tally.deltas += self.arrived - before
            return self.reader.complete
        self.failure += body
        if self.reader.complete:
            raise AnswerError(f"status {self.reader.status}: {self.failure[:300]!r}")
        return False


class Load:
    """One run of some traffics against one subject."""

    def __init__(self, port_of: Callable[[Traffic], int], traffics: Sequence[Traffic]) -> None:
        self.tallies = [Tally() for _ in traffics]
        self._epoll = select.epoll()
        self._workers: dict[int, _Worker] = {}
        self._starts: list[tuple[float, _Worker]] = []
        begin = time.monotonic()
        self.ramp = 0.0
        for traffic, tally in zip(traffics, self.tallies, strict=True):
            ramp = min(traffic.answer.seconds if traffic.answer else 0.0, 3.0)
            self.ramp = max(self.ramp, ramp)
            for number in range(traffic.workers):
                worker = _Worker(traffic, tally, port_of(traffic), number if traffic.workers > 1 else 0)
                self._starts.append((begin + ramp * number / traffic.workers, worker))
        self._starts.sort(key=lambda start: -start[0])

    def run(
        self, warm_up: float, seconds: float, at_start: Callable[[], None], sample: Callable[[], None] | None = None
    ) -> float:
        """Run; return the seconds measured. `at_start` is called when counting begins, `sample` twice a second.

        The workers leave in the midst of their answers; the caller reads its own clocks when this returns.
        """
        gc.collect()
        gc.disable()
        try:
            self._until(time.monotonic() + self.ramp + warm_up, sample)
            for tally in self.tallies:
                self._reset(tally)
            at_start()
            begin = time.monotonic()
            self._until(begin + seconds, sample)
            return time.monotonic() - begin
        finally:
            gc.enable()

    def close(self) -> None:
        """Close all connections."""
        for worker in self._workers.values():
            if worker.sock is not None:
                worker.sock.close()
        self._workers.clear()
        self._epoll.close()

    @staticmethod
    def _reset(tally: Tally) -> None:
        # The workers hold on to the tally and to its arrays.
        tally.requests = tally.deltas = tally.errors = tally.missing = 0
        tally.first_error = ""
        for times in (tally.delays, tally.durations, tally.firsts):
            del times[:]

    def _until(self, end: float, sample: Callable[[], None] | None) -> None:
        next_sample = time.monotonic()
        while (now := time.monotonic()) < end:
            while self._starts and self._starts[-1][0] <= now:
                self._start(self._starts.pop()[1])
            if sample is not None and now >= next_sample:
                sample()
                next_sample = now + 0.5
            next_start = self._starts[-1][0] - now if self._starts else 0.1
            for fd, events in self._epoll.poll(max(0.0, min(next_start, end - now, 0.1))):
                self._serve(self._workers[fd], events)

    def _start(self, worker: _Worker) -> None:
        if worker.sock is None:
            worker.sock = socket.create_connection(("127.0.0.1", worker.port), timeout=10)
            worker.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            worker.sock.setblocking(False)
            self._workers[worker.sock.fileno()] = worker
            self._epoll.register(worker.sock, select.EPOLLIN)
        worker.out = memoryview(worker.request())
        worker.started = time.monotonic_ns()
        self._send(worker)

    def _send(self, worker: _Worker) -> None:
        assert worker.sock is not None
        try:
            worker.out = worker.out[worker.sock.send(worker.out) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._failed(worker, f"{error} while sending")
            return
        wanted = select.EPOLLIN | (select.EPOLLOUT if worker.out else 0)
        self._epoll.modify(worker.sock, wanted)

    def _serve(self, worker: _Worker, events: int) -> None:
        assert worker.sock is not None
        if events & select.EPOLLOUT and worker.out:
            self._send(worker)
        if not events & ~select.EPOLLOUT or worker.sock is None:
            return
        try:
            data = worker.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._failed(worker, f"{error} while reading")
            return
        now = time.monotonic_ns()
        try:
            if not data:
                worker.reader.closed()
                if not worker.reader.complete:
                    raise AnswerError("the connection was closed within the answer")
                self._completed(worker, now)
            elif worker.take(data, now):
                self._completed(worker, now)
        except AnswerError as error:
            self._failed(worker, str(error))

    def _completed(self, worker: _Worker, now: int) -> None:
        """Count an answer and ask again. Raises: AnswerError."""
        missing = worker.answer.finish()
        tally = worker.tally
        tally.requests += 1
        tally.missing += missing
        if worker.traffic.answer is not None:
            # Deltas count as they arrive, since a slow subject may complete few streams within the window.
            tally.deltas += len(worker.traffic.answer.pieces) - missing - worker.arrived
        tally.durations.append(now - worker.started)
        if isinstance(worker.answer, StreamedAnswer) and worker.answer.first is not None:
            tally.firsts.append(worker.answer.first - worker.started)
        if worker.reader.closes:
            self._disconnect(worker)
        self._start(worker)

    def _failed(self, worker: _Worker, reason: str) -> None:
        worker.tally.errors += 1
        worker.tally.first_error = worker.tally.first_error or reason
        self._disconnect(worker)
        self._starts.insert(0, (time.monotonic() + _RETRY_SECS, worker))
        self._starts.sort(key=lambda start: -start[0])

    def _disconnect(self, worker: _Worker) -> None:
        if worker.sock is not None:
            self._epoll.unregister(worker.sock)
            del self._workers[worker.sock.fileno()]
            worker.sock.close()
            worker.sock = None

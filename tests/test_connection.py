"""Waiting for bytes: one clock for many waits, nothing missed, nothing asked twice."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator

import gevent
import gevent.socket
import pytest

from gateway.connection import READ_SIZE, Connection

Ends = tuple[Connection, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A connection and the socket at its other end."""
    ours, theirs = gevent.socket.socketpair()
    connection = Connection(ours)
    connection.send(b"", 1.0)
    with theirs:
        yield connection, theirs
    connection.close()
    connection.close()


def within(seconds: float) -> float:
    return time.monotonic() + seconds


def test_bytes_end_a_wait_and_the_end_is_no_silence(ends: Ends) -> None:
    connection, theirs = ends
    gevent.spawn_later(0.01, theirs.send, b"one")
    assert connection.receive(within(5)) == b"one"
    theirs.send(b"two")
    assert connection.receive(within(5)) == b"two"
    gevent.spawn_later(0.01, theirs.close)
    assert connection.receive(within(5)) == b""


def test_silence_ends_when_it_should(ends: Ends) -> None:
    connection, theirs = ends
    began = time.monotonic()
    assert connection.receive(began + 0.05) is None
    assert connection.receive(began) is None  # the time is over before it began
    assert time.monotonic() - began >= 0.05
    theirs.send(b"late")
    assert connection.receive(within(5)) == b"late"


def test_a_shorter_wait_after_a_longer_one_has_its_own_end(ends: Ends) -> None:
    connection, theirs = ends
    theirs.send(b"soon")
    assert connection.receive(within(3600)) == b"soon"
    assert connection.receive(within(0.02)) is None


def test_the_clock_of_an_earlier_wait_does_not_end_a_later_one(ends: Ends) -> None:
    connection, theirs = ends
    theirs.send(b"soon")
    assert connection.receive(within(0.02)) == b"soon"
    gevent.spawn_later(0.1, theirs.send, b"after the clock has rung")
    assert connection.receive(within(3600)) == b"after the clock has rung"


def test_a_clock_that_rings_while_nobody_waits_wakes_nobody(ends: Ends) -> None:
    connection, theirs = ends
    theirs.send(b"soon")
    assert connection.receive(within(0.02)) == b"soon"
    gevent.sleep(0.05)
    assert connection.receive(within(0.02)) is None


def test_what_comes_while_nobody_waits_wakes_the_loop_once_and_is_found_by_the_next_wait(ends: Ends) -> None:
    connection, theirs = ends
    theirs.send(b"one")
    assert connection.receive(within(5)) == b"one"
    theirs.send(b"two")
    gevent.sleep(0.05)
    assert not connection._watches, "a socket that stays readable would wake the loop again and again"
    assert connection.receive(within(5)) == b"two"
    gevent.spawn_later(0.01, theirs.send, b"three")
    assert connection.receive(within(5)) == b"three"


def test_more_than_one_read_takes_comes_whole(ends: Ends) -> None:
    connection, theirs = ends
    sent = bytes(range(256)) * (READ_SIZE // 256) * 3
    sending = gevent.spawn(theirs.sendall, sent)
    received = b""
    while len(received) < len(sent):
        received += connection.receive(within(5)) or b""
    assert received == sent
    assert connection.receive(within(0.01)) is None
    sending.get()


def test_a_wait_may_be_broken_off_and_the_connection_used_again(ends: Ends) -> None:
    connection, theirs = ends
    waiting = gevent.getcurrent()
    gevent.get_hub().loop.run_callback(waiting.throw, KeyError("enough"))
    with pytest.raises(KeyError, match="enough"):
        connection.receive(within(5))
    theirs.send(b"news")
    assert connection.receive(within(5)) == b"news"


def test_who_takes_nothing_of_a_request_may_still_have_answered(ends: Ends) -> None:
    connection, theirs = ends
    theirs.send(b"no")
    with pytest.raises(TimeoutError):
        connection.send(bytes(64 << 20), 0.05)
    assert connection.has_news()
    assert connection.receive(within(5)) == b"no"
    assert connection.receive(within(0.01)) is None


class _ChangingKeys:
    """A TLS socket that must write before it can read on."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.asked = 0

    def recv(self, size: int) -> bytes:
        self.asked += 1
        if self.asked == 1:
            raise ssl.SSLWantWriteError
        return self._sock.recv(size)

    def fileno(self) -> int:
        return self._sock.fileno()

    def settimeout(self, seconds: float | None) -> None:
        self._sock.settimeout(seconds)

    def close(self) -> None:
        self._sock.close()


def test_tls_that_must_write_first_waits_for_that() -> None:
    ours, theirs = gevent.socket.socketpair()
    sock = _ChangingKeys(ours)
    connection = Connection(sock)  # type: ignore[arg-type]
    connection._drained = False
    ours.settimeout(0.0)
    theirs.send(b"read")
    assert connection.receive(within(5)) == b"read"
    assert sock.asked == 2
    theirs.close()
    connection.close()


def _tls(side: int) -> ssl.SSLContext:
    """Return a context that needs no certificate: nobody is to be trusted within this test."""
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("aNULL:@SECLEVEL=0")
    return context


def test_tls_records_that_came_together_are_all_read() -> None:
    ours, theirs = socket.socketpair()
    pool = gevent.get_hub().threadpool
    accepting = pool.spawn(_tls(ssl.PROTOCOL_TLS_SERVER).wrap_socket, theirs, server_side=True)
    connection = Connection(_tls(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(ours))
    with accepting.get() as server:
        connection.send(b"ask", 1.0)
        assert server.recv(10) == b"ask"
        for record in (b"one", b"two", b"three"):
            server.send(record)
        received = b""
        while len(received) < 11:
            received += connection.receive(within(5)) or b""
        assert received == b"onetwothree"
        assert connection.receive(within(0.01)) is None
    connection.close()

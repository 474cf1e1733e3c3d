"""Long work leaves room for the rest: sockets and clocks are looked at between its turns."""

from __future__ import annotations

import gevent
from gevent import socket

from gateway.turns import give_way


def test_a_socket_that_is_ready_gets_its_turn_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reader = gevent.spawn(ours.recv, 1)
        gevent.sleep(0.001)
        theirs.send(b"x")
        give_way()
        give_way()
        assert reader.ready()


def test_a_clock_that_is_due_gets_its_turn_at_once() -> None:
    woken: list[bool] = []
    gevent.spawn_later(0.0, woken.append, True)
    give_way()
    give_way()
    assert woken == [True]

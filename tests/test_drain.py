"""The end of a process, as open exchanges see it."""

from __future__ import annotations

import gevent
import pytest

from gateway.drain import Drain


def test_nothing_is_told_before_the_grace_is_over() -> None:
    drain, told = Drain(), []
    drain.register(lambda: told.append(1))
    assert (drain.draining, drain.remaining()) == (False, None)
    drain.begin(0.05)
    assert drain.draining
    assert told == []
    with gevent.Timeout(5):
        while not told:
            gevent.sleep(0.01)
    assert told == [1]


def test_the_remaining_seconds_count_down() -> None:
    now = 100.0
    drain = Drain(clock=lambda: now)
    drain.begin(30)
    now = 110.0
    assert drain.remaining() == 20
    drain.begin(99)
    assert drain.remaining() == 20
    now = 200.0
    assert drain.remaining() == 0


def test_who_unregistered_is_not_told() -> None:
    drain, told = Drain(), []
    token = drain.register(lambda: told.append(1))
    drain.unregister(token)
    drain.unregister(token)
    drain.begin(0)
    gevent.sleep(0.02)
    assert told == []


def test_who_registers_late_is_told_soon() -> None:
    drain, told = Drain(), []
    drain.begin(0)
    gevent.sleep(0.02)
    drain.register(lambda: told.append(1))
    assert told == []
    gevent.sleep(0.02)
    assert told == [1]


def test_each_is_told_once_and_may_leave_while_being_told() -> None:
    drain, told = Drain(), []
    tokens = [drain.register(lambda: told.append("first"))]
    drain.register(lambda: drain.unregister(tokens[1]))
    tokens.append(drain.register(lambda: told.append("gone by then")))
    drain.begin(0)
    gevent.sleep(0.05)
    assert told == ["first"]


def test_one_that_fails_does_not_keep_the_rest_from_hearing(capsys: pytest.CaptureFixture[str]) -> None:
    drain, told = Drain(), []

    def fail() -> None:
        raise ValueError("mine")

    drain.register(fail)
    drain.register(lambda: told.append(1))
    drain.begin(0)
    gevent.sleep(0.05)
    assert told == [1]
    assert "ValueError: mine" in capsys.readouterr().err

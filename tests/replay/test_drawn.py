"""Ids of one run in the requests of another."""

from __future__ import annotations

from gateway.replay.drawn import Drawn

ONE, TWO, THREE = (f"resp_{digit * 48}".encode() for digit in "123")


def test_what_was_told_is_renewed() -> None:
    drawn = Drawn()
    assert drawn.renewed(ONE) == ONE
    drawn.learn(b'{"id": "%b", "again": "%b"}' % (ONE, ONE), b'{"id": "%b"}' % TWO)
    assert drawn.renewed(b"/v1/responses/%b/input_items, %b" % (ONE, THREE)) == (
        b"/v1/responses/%b/input_items, %b" % (TWO, THREE)
    )


def test_answers_that_differ_teach_nothing() -> None:
    drawn = Drawn()
    drawn.learn(b"%b %b" % (ONE, TWO), THREE)
    assert drawn.renewed(ONE) == ONE

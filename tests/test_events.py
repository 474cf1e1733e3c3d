from __future__ import annotations

import pytest
from hypothesis import given

from gateway.errors import UpstreamProtocol
from gateway.events import (
    Annotation,
    BlockEnd,
    BlockStart,
    Delta,
    Event,
    Failure,
    Finish,
    GrammarError,
    Start,
    Usage,
    check,
)
from tests.strategies import answers

FAILURE = Failure(UpstreamProtocol("broken"))
CALL = BlockStart(1, "tool_call", call_id="c1", name="f")


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([FAILURE], id="failed-before-the-start"),
        pytest.param([Start(), Finish("stop")], id="nothing-said"),
        pytest.param([Start(), BlockStart(0, "text"), Delta(0, "a"), BlockEnd(0), Finish("stop")], id="text"),
        pytest.param(
            [Start(), BlockStart(0, "text"), Annotation(0, {"type": "x"}), BlockEnd(0), Finish("stop")], id="annotation"
        ),
        pytest.param(
            [Start(), BlockStart(0, "text"), CALL, Delta(0, "a"), BlockEnd(1), BlockEnd(0), Finish("stop")],
            id="overlap",
        ),
        pytest.param([Start(), BlockStart(0, "text"), FAILURE], id="failure-ends-open-blocks"),
    ],
)
def test_grammar_allows(events: list[Event]) -> None:
    check(events)


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        pytest.param([], "no end", id="nothing"),
        pytest.param([Start()], "no end", id="unended"),
        pytest.param([Start(), Start(), Finish("stop")], "second start", id="two-starts"),
        pytest.param([Finish("stop")], "before the start", id="finish-first"),
        pytest.param([BlockStart(0, "text")], "before the start", id="block-first"),
        pytest.param([Start(), Finish("stop"), Finish("stop")], "after the end", id="two-ends"),
        pytest.param([FAILURE, Start()], "after the end", id="after-failure"),
        pytest.param([Start(), BlockStart(0, "text"), Finish("stop")], r"blocks \[0\] are open", id="open-at-finish"),
        pytest.param(
            [Start(), BlockStart(0, "text"), BlockEnd(0), BlockStart(0, "text")], "used twice", id="number-again"
        ),
        pytest.param([Start(), Delta(0, "a")], "not open", id="delta-outside"),
        pytest.param([Start(), BlockStart(0, "text"), Delta(0, "")], "empty delta", id="empty-delta"),
        pytest.param([Start(), Annotation(0, {})], "not open", id="annotation-outside"),
        pytest.param([Start(), BlockEnd(0)], "not open", id="end-outside"),
        pytest.param([Start(), BlockStart(0, "tool_call")], "an id and a name", id="call-without-name"),
        pytest.param([Start(), BlockStart(0, "text", name="f", call_id="c")], "an id and a name", id="text-with-name"),
    ],
)
def test_grammar_refuses(events: list[Event], fault: str) -> None:
    with pytest.raises(GrammarError, match=fault):
        check(events)


@given(answers())
def test_drawn_answers_are_allowed(events: list[Event]) -> None:
    check(events)


def test_total_tokens() -> None:
    assert Usage(2, 3).total_tokens == 5

"""Pieces of calls, one chunk an entry; what comes of them at the end."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from gateway.dialects.chat.tool_calls import CALLS_LIMIT, ToolCalls
from gateway.errors import UpstreamProtocol
from gateway.events import BlockEnd, BlockStart, Delta, Event


def piece(index: Any = None, id: str | None = None, name: str | None = None, arguments: Any = None) -> dict[str, Any]:
    return {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}


def run(*chunks: list[Any], cut: bool = False) -> list[Event]:
    calls = ToolCalls(count().__next__, "seed")
    events = [event for pieces in chunks for event in calls.feed(pieces)]
    return events + calls.flush() + calls.end(cut)


def told(events: list[Event]) -> list[tuple[str | None, str | None, str]]:
    """Return id, name and arguments of each call."""
    starts = [event for event in events if isinstance(event, BlockStart)]
    assert [event.block for event in events if isinstance(event, BlockEnd)] == [start.block for start in starts]
    return [
        (s.call_id, s.name, "".join(e.text for e in events if isinstance(e, Delta) and e.block == s.block))
        for s in starts
    ]


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        pytest.param([[piece(0, "c", "f", "{")], [piece(0, None, None, "}")]], [("c", "f", "{}")], id="standard"),
        pytest.param([[piece(0, "c", "f", "{")], [piece(None, "c", None, "}")]], [("c", "f", "{}")], id="by-id"),
        pytest.param([[piece(None, "c", "f", "{")], [piece(None, None, None, "}")]], [("c", "f", "{}")], id="latest"),
        pytest.param(
            [[piece(0, "c", "f", '{"a":')], [piece(3, "c", None, "1}")]], [("c", "f", '{"a":1}')], id="wrong-index"
        ),
        pytest.param(
            [
                [piece(0, "c", "f", "{")],
                [piece(1, "c", "g", "{")],
                [piece(0, "c", None, "}")],
                [piece(1, "c", None, "}")],
            ],
            [("c", "f", "{}"), ("c_2", "g", "{}")],
            id="one-id-two-indexes",
        ),
        pytest.param(
            [[piece(0, "c", "f", "{}{}")], [piece(0, "c", None, "{}")]],
            [("c", "f", "{}"), ("c_2", "f", "{}"), ("c_3", "f", "{}")],
            id="object-after-object",
        ),
        pytest.param([[piece(0, "c", "f", "{}}")]], [("c", "f", "{}}")], id="one-bracket-too-many"),
        pytest.param(
            [[piece(0, "c", "f", "")], [piece(0, "c", "f_more", "{}")]], [("c", "f", "{}")], id="another-name-same-id"
        ),
        pytest.param(
            [[piece(0, "c", "f", "{")], [piece(0, None, "g", "}")]], [("c", "f", "{}")], id="another-name-midway"
        ),
        pytest.param([[piece(0, "c", None, "{}")]], [], id="nameless"),
        pytest.param([[piece("0", "c", "f", "{}")]], [("c", "f", "{}")], id="index-as-text"),
        pytest.param([[{"id": "c", "name": "f", "arguments": {"a": "é"}}]], [("c", "f", '{"a": "é"}')], id="flat"),
        pytest.param([[7, None, {}, piece(), piece(0, "c", "f", 7)]], [("c", "f", "{}")], id="odd"),
    ],
)
def test_pieces(chunks: list[list[Any]], calls: list[Any]) -> None:
    assert told(run(*chunks)) == calls


def test_a_cut_call_gets_no_arguments() -> None:
    assert run([piece(0, "c", "f")], cut=True) == [BlockStart(0, "tool_call", "c", "f"), BlockEnd(0, cut=True)]


def test_too_many() -> None:
    with pytest.raises(UpstreamProtocol, match="more than"):
        run([piece(n, f"c{n}", "f") for n in range(CALLS_LIMIT + 1)])


@pytest.mark.parametrize(
    ("arguments", "broken_off", "parse"),
    [
        ("{}", False, True),
        ("[1]", False, True),
        ('{"a"', True, False),
        ("a", False, False),
        ("[" * 100_000, False, False),
    ],
)
def test_what_the_arguments_are(arguments: str, broken_off: bool, parse: bool) -> None:
    calls = ToolCalls(count().__next__, "")
    calls.feed([piece(0, "c", "f", arguments)])
    assert (calls.announced, calls.nameless, calls.broken_off, calls.parse) == (True, False, broken_off, parse)

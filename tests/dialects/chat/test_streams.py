"""The laws over every recorded stream, and what a person expects of each.

`golden/streams/CASE.sse` is a stream, `CASE.json` what it says: `blocks` as [kind, text] or [kind, name,
arguments], with "cut" behind those that were; `finish`, `usage` as [input, output, cached, reasoning] and
`stop_sequence`, or the status of its `failure`. Names say what is odd; `real-…` were recorded from servers.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.dialects.chat.context import ChatContext
from gateway.dialects.chat.decode import Decoder
from gateway.dialects.chat.encode import Encoder
from gateway.events import BlockStart, Delta, Event, Failure, Finish, Start
from gateway.filters.calls import CallsFilter
from gateway.filters.think import ThinkFilter
from gateway.filters.usage import UsageFilter
from gateway.profile import Model, Terms
from gateway.sse import Frame
from tests import laws

STREAMS = sorted((Path(__file__).parents[2] / "golden" / "streams").glob("*.sse"))
cases = pytest.mark.parametrize("path", STREAMS, ids=[path.stem for path in STREAMS])


def make() -> Decoder:
    return Decoder(Terms(Model("m")))


@cases
def test_says_what_a_person_expects(path: Path) -> None:
    events = laws.decode(make, [path.read_bytes()])
    assert laws.summary(events) == json.loads(path.with_suffix(".json").read_text())


@cases
def test_obeys_the_grammar(path: Path) -> None:
    laws.obeys_grammar(laws.decode(make, [path.read_bytes()]))


@cases
def test_is_the_same_however_it_is_cut(path: Path) -> None:
    laws.is_cut_invariant(make, path.read_bytes())


def tells_the_end(frame: Frame) -> bool:
    if frame.data == b"[DONE]":
        return True
    try:
        choices = orjson.loads(frame.data)["choices"]
        return any(choice.get("finish_reason") and choice.get("index") == 0 for choice in choices)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


@cases
def test_fails_if_cut_before_its_end(path: Path) -> None:
    laws.cut_fails(make, path.read_bytes(), tells_the_end)


@cases
@pytest.mark.parametrize("opened", [False, True], ids=["think", "opened-by-template"])
def test_filters_keep_the_grammar(path: Path, opened: bool) -> None:
    filters = (
        ThinkFilter(opened=opened),
        CallsFilter({"f": {}, "add_note": {}}, lambda prefix: f"{prefix}1"),
        UsageFilter(lambda: 1, len),
    )
    events = laws.through(filters, laws.decode(make, [path.read_bytes()]))
    laws.obeys_grammar(events)
    assert isinstance(events[-1], Failure) or (isinstance(events[-1], Finish) and events[-1].usage is not None)


@cases
def test_survives_encoding(path: Path) -> None:
    """Law 4. What Chat has no words for is left out, and later text is a paragraph of its own."""
    events = laws.decode(make, [path.read_bytes()])
    encoder = Encoder(ChatContext("m", include_usage=True), lambda prefix: f"{prefix}1", lambda: 1)
    again = laws.decode(make, [laws.encode(encoder, events)])
    if isinstance(events[-1], Failure):
        assert isinstance(again[-1], Failure)
        return
    assert _spelled(again, known=True) == _spelled(events, known=False)


@cases
def test_streamed_and_whole_are_the_same(path: Path) -> None:
    """The whole answer that the encoder makes decodes to the same text, calls and end."""
    events = laws.decode(make, [path.read_bytes()])
    if isinstance(events[-1], Failure):
        return
    encoder = Encoder(ChatContext("m"), lambda prefix: f"{prefix}1", lambda: 1)
    laws.encode(encoder, events)
    whole = make().decode(encoder.body)
    laws.obeys_grammar(whole)
    streamed = laws.summary(_spelled(events, known=False))
    assert _by_kind(laws.summary(_spelled(whole, known=True))) == _by_kind(streamed)


def _spelled(events: list[Event], known: bool) -> list[Event]:
    """Return events as they are after Chat: without raw reasons; paragraphs set where they are not `known` yet."""
    spelled: list[Event] = []
    kinds: dict[int, str] = {}
    for event in events:
        if isinstance(event, BlockStart):
            again = not known and event.kind in kinds.values() and event.kind != "tool_call"
            kinds[event.block] = event.kind
            spelled += [event, Delta(event.block, "\n\n")] if again else [event]
        elif isinstance(event, Finish):
            reason = "stop" if event.reason == "other" else event.reason
            spelled.append(dataclasses.replace(event, reason=reason, raw_reason=None, stop_sequence=None))
        elif isinstance(event, Start):
            spelled.append(Start("id", "m", 1))
        else:
            spelled.append(event)
    return spelled


def _by_kind(told: dict[str, Any]) -> dict[str, Any]:
    """Join the texts of a summary: a whole message has one of each kind."""
    texts: dict[str, str] = {}
    for block in told["blocks"]:
        if block[0] != "tool_call":
            texts[block[0]] = texts.get(block[0], "") + block[1]
    calls = [block for block in told["blocks"] if block[0] == "tool_call"]
    return {**told, "blocks": [texts, calls]}
